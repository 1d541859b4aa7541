# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the system tests: run.py [--build DIR] [--target NAME ...] [BOOT | BOOT/CHECK ...]

Without a target: all of them; those that cannot run here say why. Without names: every test but the heavy ones. Boots
run side by side, one for each CPU of this PC; where the machine's clock is this PC's and a guest keeps time by it, only one
of these at a time, and what else runs then takes what that one leaves of the PC.
The last line is "N passed, N failed[, N skipped]"; the exit status is 0 only if none failed and one passed.
"""
import argparse
import collections
import os
import signal
import sys
import threading
import time

from frame import Report, checks_of, run_boot
from machine import HOST, TARGETS, Machine, fastest_of, target_named
from test_bulkctl import Bulkctl
from test_compartment import Compartment, CompartmentControl
from test_devices import Devices, DevicesRefused, DevicesUnwalled
from test_control import Control
from test_differential import Compare, Differential
from test_full_kernel import FullKernel
from test_hardware import HARDWARE
from test_hostile import Hostile, HostileFirst
from test_heavy import Dom0, Installer, Kdump
from test_image import Image
from test_kinds import Kinds
from test_large import Large
from test_limits import Limits
from test_linux_pair import LinuxPair
from test_move import Move
from test_network import Network, Pxe
from test_operator import Operator
from test_preflight import Preflight, Starter
from test_refusals import Refusals
from test_restarts import Restarts, RestartsSoak
from test_screen import Screen
from test_secure import Secure
from test_serial import SerialMemory, SerialPci, SerialTable
from test_passed import Passed, PassedAmdVi, PassedHostile, PassedKinds, PassedKindsSoak, PassedRestartsSoak
from test_driver_guest import DriverGuest
from test_sets import Sets, SetsBack, SetsCut, SetsRefused
from test_served import Served, ServedDisk
from test_smp import Smp, Soak
from test_sticks import Sticks
from test_walls import OlderCpu, Storm, Walls
from test_wires import Wires
from test_wires_soak import WiresSoak

BOOTS = [Image, Bulkctl, Sticks, Preflight, Starter, Refusals, Devices, DevicesRefused, DevicesUnwalled, Network, Pxe, Secure, Screen, SerialPci, SerialTable, SerialMemory, Walls, OlderCpu, Hostile, HostileFirst, Compartment, CompartmentControl, Limits, Control, Restarts, RestartsSoak, Sets, SetsBack, SetsRefused, SetsCut, LinuxPair, Wires, Served, ServedDisk, Passed, PassedHostile, PassedKinds, PassedAmdVi, PassedRestartsSoak, PassedKindsSoak, DriverGuest, FullKernel, Smp, Move, Operator, Kinds, Large, Soak, WiresSoak, Storm, Kdump, Dom0, Installer, Differential, Compare, *HARDWARE]

# For so long boots are run once more. Where that is not enough, it is not the emulator, and the run has to come to its end.
REPEAT_SECONDS = 600

Job = collections.namedtuple("Job", "boot target wanted")


def wanted_checks(boot_class, target, names):
    """None: all of this boot; a set: these; empty: leave the boot out, as those are that nobody named and are heavy."""
    if boot_class.name in names or boot_class.group in names or not (names or target.name in boot_class.heavy):
        return None
    prefix = boot_class.name + "/"
    return {name[len(prefix):] for name in names if name.startswith(prefix)}


def is_heavy_everywhere(boot):
    """A test of its own, which no usual run has."""
    return all(target.name in boot.heavy for target in TARGETS if target.name in (boot.targets or [target.name]))


def plan_jobs(targets, names, report):
    """What is to be run, the longest first; the targets and boots left out are reported with their reason."""
    jobs = []
    for target in targets:
        why = target.why_not()
        if why:
            report.skip(target.name, why)
            continue
        if target is not HOST:
            report.note(f"{target.name}: {target.vendor} {target.where}")
        for boot in BOOTS:
            wanted = wanted_checks(boot, target, names)
            fits = boot.needs_machine == target.needs_machine and target.name in (boot.targets or [target.name])
            if fits and not names and target.name in boot.heavy and not is_heavy_everywhere(boot):
                report.skip(f"{target.name}: {boot.name}", "takes long there, and runs when it is named")
            if not fits or wanted == set():
                continue
            if target.name in boot.cannot_run:
                report.skip(f"{target.name}: {boot.name}", boot.cannot_run[target.name])
                continue
            jobs.append(Job(boot, target, wanted))
            for one in checks_of(boot):
                if target.name in one.cannot_run and (wanted is None or one.check_name in wanted):
                    report.skip(f"{target.name}: {boot.name}/{one.check_name}", one.cannot_run[target.name])
    return sorted(jobs, key=lambda job: job.boot.seconds * (job.target.seconds or 1), reverse=True)


def is_alone(job):
    return job.target.alone and job.boot.keeps_time and job.boot.machine_icount is None


def is_possible(job, build, report):
    """What comes last needs what others left behind."""
    why = job.boot.why_not(build)
    if why:
        report.skip(f"{job.target.name}: {job.boot.name}", why)
    return why is None


def run_job(job, build, report):
    name = f"{job.target.name}: {job.boot.name}"
    report.note(f"{name} begins")
    start = time.monotonic()
    try:
        results, blame = run_boot(job.boot, build, job.target, job.wanted)
        took = time.monotonic() - start     # as it will again
        if blame and report.repeat_seconds + took <= REPEAT_SECONDS:
            report.repeat(name, blame, results, took)
            results, _ = run_boot(job.boot, build, job.target, job.wanted)
    except Exception as error:          # of the frame itself
        results = [(name, error, f"tests/system/run.py --target {job.target.name} {job.boot.name}")]
    report.show(f"{name} took {time.monotonic() - start:.0f} s", results)


def run_jobs(jobs, workers, build, report):
    """
    The first worker takes those that want the PC for themselves, one after another, and then goes on as the others do.
    Daemons, so that Ctrl-C need not wait for them.
    """
    alone = collections.deque(job for job in jobs if is_alone(job))
    others = collections.deque(job for job in jobs if not is_alone(job))

    def work(*queues):
        for queue in queues:
            while queue:
                try:
                    job = queue.popleft()
                except IndexError:      # another worker was faster
                    break
                Machine.yields.wanted = queue is others and len(alone) != 0
                run_job(job, build, report)

    threads = [threading.Thread(target=work, args=(others,), daemon=True) for _ in range(workers - 1)]
    threads.append(threading.Thread(target=work, args=(alone, others), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def choose_targets(names):
    """"A/B: the first of the two that can run, and it is said why."""
    if not names:
        return TARGETS
    targets = []
    for name in names:
        if "/" in name:
            target, why = fastest_of(name.split("/"))
            if target is None:
                sys.exit(f"no target can run here: {why}")
            print(f"# taking {target.name}" + (f" ({why})" if why else ""), flush=True)
            targets.append(target)
        else:
            targets.append(target_named(name))
    return targets


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--target", action="append", metavar="NAME",
                        help="may be repeated; A/B is the first of both that can run here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="boots at a time")
    parser.add_argument("--list", action="store_true", help="names of all tests")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    known = {b.name for b in BOOTS} | {f"{b.name}/{c.check_name}" for b in BOOTS
                                       for c in checks_of(b)} | {b.group for b in BOOTS if b.group}
    if args.list:
        print("\n".join(f"{b.name}/{c.check_name}" for b in BOOTS for c in checks_of(b)))
        return 0
    for name in args.names:
        if name not in known:
            sys.exit(f"no test {name}; run.py --list names them")
    report = Report()
    try:
        jobs = plan_jobs(choose_targets(args.target), args.names, report)
        run_jobs([j for j in jobs if not j.boot.last], args.jobs, args.build, report)
        run_jobs([j for j in jobs if j.boot.last and is_possible(j, args.build, report)], 1, args.build, report)
    except (KeyboardInterrupt, SystemExit):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        report.silence()
        Machine.stop_all()
        print("\nended early: nothing is said of what was still running", flush=True)
        os._exit(1)
    report.last_line()
    return 0 if report.failed == 0 and report.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
