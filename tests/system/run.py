# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the system tests: run.py [--build DIR] [--target NAME] [BOOT | BOOT/CHECK ...]

Without a target: all of them; those that cannot run here say why. Without names: every test. The last line is
"N passed, N failed[, N skipped]"; the exit status is 0 only if none failed and one passed.
"""
import argparse
import signal
import sys

from frame import Report, checks_of, run_boot
from machine import TARGETS, target_named
from test_image import Image
from test_linux_pair import LinuxPair
from test_preflight import Preflight
from test_refusals import Refusals
from test_walls import Walls

BOOTS = [Image, Preflight, Refusals, Walls, LinuxPair]


def wanted_checks(boot_class, names):
    """None: all of this boot; a set: these; empty: leave the boot out."""
    if not names or boot_class.name in names:
        return None
    prefix = boot_class.name + "/"
    return {name[len(prefix):] for name in names if name.startswith(prefix)}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--target")
    parser.add_argument("--list", action="store_true", help="names of all tests")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    known = {b.name for b in BOOTS} | {f"{b.name}/{c.check_name}" for b in BOOTS
                                       for c in checks_of(b)}
    if args.list:
        print("\n".join(f"{b.name}/{c.check_name}" for b in BOOTS for c in checks_of(b)))
        return 0
    for name in args.names:
        if name not in known:
            sys.exit(f"no test {name}; run.py --list names them")
    report = Report()
    for target in [target_named(args.target)] if args.target else TARGETS:
        why = target.why_not()
        if why:
            report.skip(target.name, why)
            continue
        if not target.has_vtx:
            report.skip(target.name, "no VT-x there: only the tests that need none")
        for boot_class in BOOTS:
            wanted = wanted_checks(boot_class, args.names)
            if boot_class.runs_on(target) and wanted != set():
                run_boot(boot_class, args.build, target, wanted, report)
    report.last_line()
    return 0 if report.failed == 0 and report.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
