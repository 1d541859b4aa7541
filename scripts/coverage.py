#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How many lines of each room the tests run: coverage.py [--unit-only] [--target NAME ...] [--write-docs] [BOOT ...]

The unit tests are built with gcc's counters and run on this PC. The hypervisor and its EFI application are built with
them as well (COVERAGE=1, tests/coverage/), run their system tests in the emulators, and print the counters on the serial
line. lcov merges both into one report, build/coverage/coverage.info, with pages in build/coverage/html. The share of
each room must not fall below its floor in tests/coverage/floors.txt. The last line is "N passed, N failed".

--unit-only: the short form of `make test`, for the floors of the unit tests alone.
"""
import argparse
import base64
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOORS = ROOT / "tests/coverage/floors.txt"
REST = ROOT / "tests/coverage/rest.txt"
ROOMS = ["boot", "config", "hv/lib", "hv/plan", "hv/mem", "hv/vm", "hv/exit", "hv/monitor",
         "hv/compartment/dev", "hv/compartment/pci", "hv/compartment/virtio", "hv/compartment/emulate", "hv/compartment/entry",
         "hv/compartment/load", "arch/x86_64", "arch/x86_64/vmx",
         "arch/x86_64/svm", "arch/x86_64/xhci", "arch/x86_64/iommu"]
SUMS = {"hv": "hv/", "hv + arch": ("hv/", "arch/")}
DUMP = re.compile(rb"<<gcda (\S+)\r?\n(.*?)>>gcda", re.S)
UNIT_FLAGS = "HOST_COUNTERS=--coverage -fprofile-update=atomic -fno-sanitize=all -w"
LCOV = ["--quiet", "--rc", "lcov_branch_coverage=0"]


def run(*command, **options):
    return subprocess.run([str(c) for c in command], cwd=ROOT, check=True, **options)


def make(*arguments):
    run("make", "-s", f"-j{os.cpu_count()}", *arguments)


def capture(folder, output):
    """What gcc's files in a folder say of our own sources."""
    everything = output.with_suffix(".all")
    run("lcov", *LCOV, "--capture", "--directory", folder, "--base-directory", ROOT, "--output-file", everything,
        stderr=subprocess.DEVNULL)
    run("lcov", *LCOV, "--extract", everything, *(f"{ROOT}/{room}/*" for room in ("boot", "config", "hv", "arch")),
        "--output-file", output, stderr=subprocess.DEVNULL)


def unit_folder(build):
    return build / "unit-counted"


def count_unit(build):
    """The unit tests, without sanitizers: those come with `make unit`."""
    folder = unit_folder(build)
    for old in folder.rglob("*.gcda"):
        old.unlink()
    make(f"BUILD={folder}", UNIT_FLAGS, "unit")
    output = build / "unit.info"
    capture(folder / "host", output)
    return output


def dumps_of(text):
    """(file, bytes) of each file's counters in one serial log; what another line has cut through is left out."""
    for name, lines in DUMP.findall(text):
        try:
            yield os.fsdecode(name), base64.b64decode(b"".join(lines.split()), validate=True)
        except ValueError:
            print(f"# damaged on its way: {os.fsdecode(name)}")


def merge_dumps(build, logs):
    """Adds the counters of all dumps up, beside their .gcno files; returns how many files' counters came."""
    merged, count = build / "merged", 0
    shutil.rmtree(merged, ignore_errors=True)
    for log in logs:
        names = {}
        for name, data in dumps_of(log.read_bytes()):
            number = names[name] = names.get(name, -1) + 1
            part = build / "part" / str(number) / pathlib.Path(name).relative_to(build)
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            count += 1
        for part in sorted((build / "part").glob("*")):
            if merged.exists():
                both = build / "both"
                run("gcov-tool", "merge", "-o", both, merged, part, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                shutil.rmtree(merged)
                both.rename(merged)
            else:
                shutil.copytree(part, merged)
        shutil.rmtree(build / "part", ignore_errors=True)
    for note in (build / "obj").rglob("*.gcno"):
        place = merged / note.relative_to(build)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(note, place)
    return count


def count_machines(build, targets, boots):
    """The hypervisor and its EFI application in the emulators."""
    make(f"BUILD={build}", "COVERAGE=1", "all", "usb", "test-guests", "bhcheck")
    shutil.rmtree(build / "test", ignore_errors=True)
    command = [sys.executable, "-B", "tests/system/run.py", "--build", build]
    for target in targets:
        command += ["--target", target]
    # Twice as many instructions: patience. A test that fails here is told, and is `make test`'s to judge.
    environment = {**os.environ, "BULKHEAD_COVERAGE": "1"}
    environment["BULKHEAD_TIMEOUT_SCALE"] = str(3 * float(environment.get("BULKHEAD_TIMEOUT_SCALE", "1")))
    subprocess.run([*map(str, command), *boots], cwd=ROOT, env=environment, check=False)
    count = merge_dumps(build, sorted((build / "test").rglob("serial.txt")))
    if count == 0:
        sys.exit("not ok - no counters came out of any machine\n0 passed, 1 failed")
    output = build / "machines.info"
    capture(build / "merged", output)
    return output


def lines_of(info):
    """Each file of a report: {line: count}."""
    files, lines = {}, None
    for line in info.read_text().splitlines():
        if line.startswith("SF:"):
            lines = files.setdefault(str(pathlib.Path(line[3:]).relative_to(ROOT)), {})
        elif line.startswith("DA:"):
            number, count = line[3:].split(",")[:2]
            lines[int(number)] = max(lines.get(int(number), 0), int(count))
    return files


def room_of(name):
    return max((r for r in ROOMS if name.startswith(r + "/")), key=len, default=None)


def shares(info):
    """{room or sum: (lines run, lines)}"""
    files = lines_of(info)
    groups = {room: [n for n in files if room_of(n) == room] for room in ROOMS}
    groups |= {name: [n for n in files if n.startswith(prefix)] for name, prefix in SUMS.items()}
    return {name: (sum(count > 0 for n in names for count in files[n].values()), sum(len(files[n]) for n in names))
            for name, names in groups.items()}


def floors(kind):
    """{room: percent} of one column's lines: KIND ROOM = PERCENT."""
    found = {}
    for line in FLOORS.read_text().splitlines():
        match = re.fullmatch(r"(\w+) ([^=#]+?) *= *([\d.]+)", line)
        if match and match[1] == kind:
            found[match[2]] = float(match[3])
    return found


def judge(kind, share):
    """Prints the table and the verdict; returns (passed, failed)."""
    passed = failed = 0
    for room, least in floors(kind).items():
        ran, lines = share.get(room, (0, 0))
        percent = 100 * ran / lines if lines else 0.0
        good = percent >= least
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok' if good else 'not ok'} - coverage ({kind}) {room}: {percent:.1f} % of {lines} lines, floor {least} %")
        if not good:
            print(f"#   expected: {least} % or more (tests/coverage/floors.txt). Again: scripts/coverage.py"
                  f"{' --unit-only' if kind == 'unit' else ''}; the lines: make coverage")
    return passed, failed


def never_run(info):
    """(file, function) of hv/ and arch/ that nothing has run."""
    found, name = [], None
    for line in info.read_text().splitlines():
        if line.startswith("SF:"):
            name = str(pathlib.Path(line[3:]).relative_to(ROOT))
        match = re.fullmatch(r"FNDA:0,(\w+)", line)
        if match and name.startswith(("hv/", "arch/")):
            found.append((name, match[1]))
    return found


def tell_rest(info):
    """
    Functions that nothing runs, with the reason from tests/coverage/rest.txt: FILE FUNCTION: REASON, FILE without its
    folder. Returns (passed, failed): one of them has no reason.
    """
    reasons = dict(re.findall(r"^(\S+ \w+): (.*)$", REST.read_text(), re.M))
    without = []
    for name, function in never_run(info):
        reason = reasons.get(f"{pathlib.Path(name).name} {function}")
        print(f"# never run: {name} {function}(): {reason or 'NO REASON is given'}")
        without += [] if reason else [f"{pathlib.Path(name).name} {function}"]
    print(f"{'not ok' if without else 'ok'} - coverage: each function that nothing runs has its reason")
    if without:
        print(f"#   expected: a line for each in tests/coverage/rest.txt; none for {', '.join(without)}")
    return (0, 1) if without else (1, 0)


def write_readme(unit, both):
    """The table between the two marks of the README."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    # The last column is scripts/mutate.py's.
    rows = ["| room | lines | unit tests | with the emulators | faults seen |", "|---|---|---|---|---|"]
    both = both or {}
    for room in [*ROOMS, *SUMS]:
        def percent(share):
            ran, lines = share.get(room, (0, 0))
            return f"{100 * ran / lines:.0f} %" if lines else "-"
        seen = re.search(rf"^\| {re.escape(room)} \|.*\| ([^|]*) \|$", text, re.M)
        rows.append(f"| {room} | {both.get(room, unit[room])[1]} | {percent(unit)} | {percent(both)} | {seen[1] if seen else '-'} |")
    begin, end = "<!-- coverage -->\n", "<!-- /coverage -->"
    before, after = text.index(begin) + len(begin), text.index(end)
    readme.write_text(text[:before] + "\n".join(rows) + "\n" + text[after:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/coverage")
    parser.add_argument("--unit-only", action="store_true")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--target", action="append", default=[])
    parser.add_argument("boots", nargs="*")
    args = parser.parse_args()
    if not shutil.which("lcov"):
        sys.exit("not ok - lcov is not installed. Run: make setup\n0 passed, 1 failed")
    build = (ROOT / args.build).resolve()
    build.mkdir(parents=True, exist_ok=True)
    unit_info = count_unit(build)
    unit = shares(unit_info)
    passed, failed = judge("unit", unit)
    if not args.unit_only:
        machines_info, both_info = count_machines(build, args.target, args.boots), build / "coverage.info"
        run("lcov", *LCOV, "--add-tracefile", unit_info, "--add-tracefile", machines_info, "--output-file", both_info)
        run("genhtml", "--quiet", "--output-directory", build / "html", both_info)
        both = shares(both_info)
        rest = tell_rest(both_info)
        more = judge("all", both)
        passed, failed = passed + rest[0] + more[0], failed + rest[1] + more[1]
        if args.write_docs:
            write_readme(unit, both)
    elif args.write_docs:
        write_readme(unit, None)
    print(f"coverage: {passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
