#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the TAP programs given as arguments, one for each CPU of this PC, and counts their tests.

Shows the log of each test that failed and how to run it again. The last line is
"N passed, N failed"; a program that crashed, ended early or told no plan counts as one failure
more. Exit status 1 if anything failed.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

TIMEOUT = 300  # seconds for one program

LINE = re.compile(r"(not )?ok \d+ - (\S+)")
PLAN = re.compile(r"1\.\.(\d+)$")


def run(program):
    """Returns (passed, failed, what went wrong)."""
    try:
        done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TIMEOUT)
        output, status = done.stdout.decode(errors="replace"), done.returncode
    except OSError as error:
        output, status = "", error
    except subprocess.TimeoutExpired as late:
        output, status = (late.stdout or b"").decode(errors="replace"), "timeout"
    passed = failed = 0
    planned = None
    log, wrong = [], ""
    for line in output.splitlines():
        result, plan = LINE.match(line), PLAN.match(line)
        if plan:
            planned = int(plan.group(1))
        if not result:
            if not line.startswith("# again: "):
                log.append(line)
            continue
        if result.group(1):
            failed += 1
            wrong += f"FAILED {program}: {result.group(2)}\n"
            wrong += "".join(f"    {entry}\n" for entry in log)
            wrong += f"    run it again: {program} {result.group(2)}\n"
        else:
            passed += 1
        log = []
    if status not in (0, 1) or planned != passed + failed or (status == 1) != (failed > 0) \
            or planned == 0:
        failed += 1
        wrong += f"FAILED {program}: ended with status {status} after {passed + failed - 1} tests\n"
        wrong += "".join(f"    {entry}\n" for entry in log[-60:])
        wrong += f"    run it again: {program}\n"
    return passed, failed, wrong


def main():
    total_passed = total_failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for passed, failed, wrong in pool.map(run, sys.argv[1:]):
            print(wrong, end="", flush=True)
            total_passed += passed
            total_failed += failed
    print(f"{total_passed} passed, {total_failed} failed")
    return 1 if total_failed or not total_passed else 0


if __name__ == "__main__":
    sys.exit(main())
