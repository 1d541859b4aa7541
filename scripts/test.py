#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""make test: every suite in turn, each through its own make target; adds up their closing lines."""
import os
import re
import subprocess
import sys

# Cheap ones first. A suite that breaks before it can count is one failure.
SUITES = ["unit", "check", "coverage-short", "mutate-short", "system-test"]
JOBS = f"-j{os.cpu_count()}"     # for what they build
CLOSING = re.compile(r"^(?:\w[\w-]*: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


def run(suite):
    """Runs one target, shows its output as it comes; returns (passed, failed, skipped)."""
    print(f"== make {suite}", flush=True)
    counts = None
    process = subprocess.Popen(["make", "-s", JOBS, suite], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace")
    for line in process.stdout:
        found = CLOSING.match(line.rstrip())
        if found:
            counts = [int(n or 0) for n in found.groups()]
            line = f"# {suite}: {line}"
        print(line, end="", flush=True)
    broken = process.wait() != 0
    if counts is None:
        print(f"not ok - make {suite} ended without a count. Again: make {suite}")
        return 0, 1, 0
    if broken and counts[1] == 0:
        print(f"not ok - make {suite} failed beside its tests. Again: make {suite}")
        counts[1] = 1
    return counts


def main():
    # Alone, so that what it installs and builds is not done twice at once.
    if subprocess.run(["make", "-s", JOBS, "all", "usb", "test-guests"]).returncode:
        print("not ok - the build. Again: make all usb test-guests\n0 passed, 1 failed")
        return 1
    total = [sum(column) for column in zip(*map(run, SUITES))]
    print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""))
    return total[1] != 0


sys.exit(main())
