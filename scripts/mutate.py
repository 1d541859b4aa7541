#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Breaks one line at a time and expects a unit test to turn red: mutate.py [--count N] [--seed N] [--write-docs] [FILE[:LINE] ...]

Each fault is one small change of one line of hv/ (or of FILEs): an operator turned round, a condition negated, a number
one off, a statement left out. It costs one compilation, without sanitizers, and one link for each test that runs the
line until one is red: mostly the first one, because the tests that know the file best begin. What none saw is tried
again with sanitizers. gcc's counters tell which tests run the line, in the build of `make coverage-short`; they slow
programs down fivefold, so the tests run in a build without them. After a change only the tests whose program has become
another are looked at anew. Changes that do not compile, that make the same code, or that tests/mutate/equivalent.txt
names with a reason do not count. What no test saw is printed as a diff of one line. Without --count: all lines.

The share seen of hv/, and of each room of which enough was tried, must not be below its floor in
tests/mutate/floors.txt by more than chance explains: of a hundred faults another sample sees more or fewer. The last
line is "N passed, N failed".
"""
import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import coverage

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOORS = ROOT / "tests/mutate/floors.txt"
EQUIVALENT = ROOT / "tests/mutate/equivalent.txt"
# Of what no test saw without sanitizers, so many tests are asked again with them.
SANITIZED = 3
PLAIN_FLAGS = "HOST_COUNTERS=-fno-sanitize=all -w"
# What a link costs, beside a test's own seconds.
LINK_SECONDS = 0.05
# What no test has seen in so many seconds may well be no fault: two compilations tell.
COMPARE_AFTER = 0.5
# Seconds after which a test that hangs without using the CPU is ended.
PATIENCE = 1800
# A room's share is judged if so many of its faults were tried.
ENOUGH = 50
# A sample is below its floor if a share of just the floor would give as few as it has once in so many samples.
CHANCE = 1000
# (name, pattern, replacement): one match is changed at a time.
OPERATORS = [
    ("==", r"==", "!="), ("!=", r"!=", "=="),
    ("<=", r"<=", "<"), (">=", r">=", ">"),
    ("<", r"(?<=\w )<(?= )", "<="), (">", r"(?<=\w )>(?= )", ">="),
    ("&&", r"&&", "||"), ("||", r"\|\|", "&&"),
    ("+", r"(?<=\w )\+(?= )", "-"), ("-", r"(?<=\w )-(?= \w)", "+"),
    ("&", r"(?<=[\w)] )&(?= )", "|"), ("|", r"(?<=[\w)] )\|(?= )", "&"),
    ("& ~", r"& ~", "& "), ("|=", r"\|=", "="), ("&=", r"&=", "|="), ("+=", r"\+=", "-="), ("-=", r"-=", "+="),
    ("<<", r"<<", ">>"), (">>", r">>", "<<"), ("++", r"\+\+", "--"),
    ("true", r"\btrue\b", "false"), ("false", r"\bfalse\b", "true"),
    ("!", r"!(?=[a-z(])", ""), ("if (", r"\bif \((?=[^)])", "if (!"),
    ("number", r"(?<!_t\[)\b(0x[0-9a-f]+|\d+)(?=u?(ll)?\b)", lambda m: str(int(m[0], 0) + 1)),
]
# A call or an assignment that stands alone. Not a return: what the caller gets without it is undefined, and often the same.
STATEMENT = re.compile(r"^\s+(?=\S)(?!return\b|goto\b|break\b|continue\b|ASSERT)(\(void\))?[\w*(>\-.\[\]+, &]+(\(.*\)|\s[|&+\-]?=\s.*);\s*$")
DECLARATION = re.compile(r"^\s+(static |const |struct \w+|enum \w+|unsigned|u?int\d*_t|bool|size_t|char|void|[a-z]\w*_t) .*;")
# Not code that a test could tell apart: comments, preprocessor, log lines' texts and numbers, attributes and hints for the compiler.
# An array one larger is as good, also one without a name, whose size the number operator leaves alone. A fence is for what another CPU sees in between, and tests have one.
BUFFER = re.compile(r"^\s+char \w+\[\d+\]|^\s+\w+ \w+\[\d+\](\[\w+\])*;")
NO_CODE = re.compile(r"^\s*(#|/?\*|//)|\b(vm_log|log_\w+|console_print|MSG|UNUSED|__attribute__|__atomic_thread_fence|ASSERT|STATIC_ASSERT|_Static_assert)\b")


class Fault:
    def __init__(self, path, number, name, before, after):
        self.path, self.number, self.name, self.before, self.after = path, number, name, before, after

    def key(self):
        return self.path.name, self.before.strip(), self.after.strip()

    def __str__(self):
        where = f"{self.path.relative_to(ROOT)}:{self.number}"
        return f"{where}: {self.name}\n#     - {self.before.strip()}\n#     + {self.after.strip()}"


def without_texts(line):
    """Strings, character constants and comments blanked, in place."""
    line = re.sub(r"/\*.*?\*/|//.*|/\*.*", lambda m: " " * len(m[0]), line)
    return re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'', lambda m: "_" * len(m[0]), line)


def faults_of(path):
    """Every fault of a file, in order."""
    found, in_comment = [], False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        was_in_comment = in_comment
        if in_comment or "/*" in line:
            in_comment = "*/" not in line[line.rfind("/*"):] if "/*" in line else "*/" not in line
        if was_in_comment or NO_CODE.search(line) or BUFFER.match(line) or not line.startswith(" "):
            continue
        code = without_texts(line)
        for name, pattern, by in OPERATORS:
            for match in re.finditer(pattern, code):
                new = by(match) if callable(by) else by
                found.append(Fault(path, number, name, line, line[:match.start()] + new + line[match.end():]))
        if STATEMENT.match(code) and not DECLARATION.match(code):
            found.append(Fault(path, number, "left out", line, ";"))
    return found


def spread(faults, count, seed):
    """count of them, at most one a line as long as there are lines; the same for the same seed."""
    order = list(faults)
    random.Random(seed).shuffle(order)
    seen, first, rest = set(), [], []
    for fault in order:
        line = fault.path, fault.number
        (rest if line in seen else first).append(fault)
        seen.add(line)
    return (first + rest)[:count] if count else faults


class Test:
    """One unit test's program: how it is linked, and which lines of hv/ it runs."""

    def __init__(self, link):
        self.program = pathlib.Path(link[link.index("-o") + 1])
        self.name = self.program.name
        self.link = link
        self.lines = {}
        self.run = {}
        self.seconds = 0.0

    def knows(self, path):
        """How much of what it runs is this file: 1 if nothing else."""
        return self.run.get(path, 0) / max(1, sum(self.run.values()))


def passes(program, seconds):
    """Within so many seconds of the CPU's time: a loaded PC is no fault. Nothing here sleeps for long."""
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    try:
        return subprocess.run(["prlimit", f"--cpu={round(seconds)}", program], cwd=ROOT, env=environment,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=PATIENCE).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def cpu_seconds():
    """That all children which ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lines_run(told):
    """{file: [line that was run, and -line for each line with code]}, of gcov's documents, one a line."""
    files = {}
    for document in told.splitlines():
        for entry in json.loads(document)["files"]:
            if entry["file"].startswith(("/", "tests/")):
                continue
            lines = files.setdefault(entry["file"], set())
            for line in entry["lines"]:
                lines.add(-line["line_number"])
                if line["count"] > 0:
                    lines.add(line["line_number"])
    return {name: sorted(lines) for name, lines in files.items()}


class Build:
    """One build of the unit tests, and how make would compile and link in it."""

    def __init__(self, folder, *flags):
        self.folder = folder
        self.variables = [f"BUILD={folder}", *flags]
        programs = [folder / "unit" / source.stem for source in sorted((ROOT / "tests/unit").glob("test_*.c"))]
        subprocess.run(["make", "-s", f"-j{os.cpu_count()}", *self.variables, *map(str, programs)], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
        links = self.told(*[word for p in programs for word in ("-W", f"tests/unit/{p.name}.c")], *programs)
        self.links = [link for link in links if f"{folder}/unit/" in link[link.index("-o") + 1]]
        self.compile_line = self.told("-W", "hv/lib/str.c", folder / "host/hv/lib/str.o")[0]

    def told(self, *arguments):
        """The command lines that make would run."""
        out = subprocess.run(["make", "-n", *self.variables, *map(str, arguments)], cwd=ROOT, check=True,
                             capture_output=True, text=True).stdout
        return [shlex.split(line) for line in out.replace("\\\n", " ").splitlines() if " -o " in line]

    def compile(self, source, output, *more):
        # A fault may leave a variable unused: what the compiler only dislikes is a fault all the same.
        line = self.compile_line
        flags = [w for w in line[:line.index("-c")] if w not in ("-MMD", "-MP", "--coverage")]
        return subprocess.run([*flags, "-w", "-Wno-error", *more, "-c", source, "-o", output], cwd=ROOT,
                              capture_output=True).returncode == 0

    def link(self, link, path, broken, output):
        """A test's program with a broken object, which goes first, so the library's own is left where it is; returns whether
        it could be linked: not where a test has names of its own for what the file has, for then it does not use it."""
        where = link.index("-o")
        good = str(self.folder / "host" / path.relative_to(ROOT).with_suffix(".o"))
        others = [word for word in link[where + 2:] if word != good]
        return subprocess.run([*link[:where], "-Wl,--strip-debug", "-o", output, broken, *others], cwd=ROOT,
                              capture_output=True).returncode == 0


class Bench:
    """Unit tests, the quickest way: those that run the broken line, first without sanitizers, then with them."""

    def __init__(self, counted, plain, checked, most):
        self.counted = Build(counted, coverage.UNIT_FLAGS)
        self.plain = Build(plain, PLAIN_FLAGS)
        self.checked = Build(checked)
        self.links = {pathlib.Path(link[link.index("-o") + 1]).name: link for link in self.checked.links}
        self.folder = plain / "faults"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tests = [Test(link) for link in self.plain.links]
        self.killers = {}
        self.most = most
        bad = [test.name for test in self.tests if not self.look(test)]
        if bad or not self.tests:
            sys.exit(f"not ok - these unit tests fail without any fault: {' '.join(bad)}\n0 passed, 1 failed")

    def look(self, test):
        """Which lines a test runs, kept beside it; returns whether it passes."""
        kept = self.folder / f"{test.name}.json"
        digest = hashlib.sha256(test.program.read_bytes()).hexdigest()
        known = json.loads(kept.read_text()) if kept.exists() else {}
        if known.get("program") != digest:
            host = self.counted.folder / "host"
            for old in host.rglob("*.gcda"):
                old.unlink()
            begin = cpu_seconds()
            if not passes(test.program, PATIENCE):
                return False
            seconds = cpu_seconds() - begin
            if not passes(self.counted.folder / "unit" / test.name, PATIENCE):
                return False
            counts = sorted(str(f) for f in host.rglob("*.gcda") if "tests" not in f.relative_to(host).parts)
            # A test of boot/ alone holds nothing of hv/.
            told = subprocess.run(["gcov", "--json-format", "--stdout", *counts], cwd=ROOT, check=True, capture_output=True,
                                  text=True).stdout if counts else ""
            known = {"program": digest, "seconds": seconds, "lines": lines_run(told)}
            kept.write_text(json.dumps(known))
        test.seconds = known["seconds"]
        test.lines = {ROOT / name: set(lines) for name, lines in known["lines"].items()}
        test.run = {path: sum(number > 0 for number in numbers) for path, numbers in test.lines.items()}
        return True

    def tests_of(self, fault):
        """Those that run the line; first what sees most in this file for the time it takes: by what each saw before, and
        at the start by how well it knows the file.

        For a line without code of its own (a table's row, the rest of a long statement): all that hold the file. One
        without any code is in every program, for all that gcc's counters tell.
        """
        killers = self.killers.get(fault.path, {})
        tests = [t for t in self.tests if fault.path in t.lines] or self.tests
        if any(-fault.number in t.lines.get(fault.path, ()) for t in tests):
            tests = [t for t in tests if fault.number in t.lines[fault.path]]
        return sorted(tests, key=lambda t: (t.seconds + LINK_SECONDS) / (killers.get(t.name, 0) + 10 * t.knows(fault.path) + 0.1))

    def try_fault(self, fault):
        """"seen by TEST", None if no test saw it, or "" if it is none: does not compile, or makes the same code."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        try:
            lines = fault.path.read_text().split("\n")
            lines[fault.number - 1] = fault.after
            source = folder / fault.path.name
            source.write_text("\n".join(lines))
            return self.seen_by(fault, source, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def seen_by(self, fault, source, folder):
        broken, program = folder / "broken.o", folder / "program"
        if not self.plain.compile(source, broken, "-O0", "-g0"):
            return ""
        tests, spent, compared = self.tests_of(fault), 0.0, False
        for test in tests:
            if spent > COMPARE_AFTER and not compared:
                compared = True
                if self.same_code(fault, source, folder):
                    return ""
            if self.most != 0 and spent > self.most:
                break
            spent += test.seconds + LINK_SECONDS
            if not self.plain.link(test.link, fault.path, broken, program):
                continue
            if not passes(program, 2 + 5 * test.seconds):
                killers = self.killers.setdefault(fault.path, {})
                killers[test.name] = killers.get(test.name, 0) + 1
                return test.name
        if not compared and self.same_code(fault, source, folder):
            return ""
        if not self.checked.compile(source, broken, "-g0"):
            return ""
        for test in tests[:SANITIZED]:
            if not self.checked.link(self.links[test.name], fault.path, broken, program):
                continue
            if not passes(program, 30 + 30 * test.seconds):
                return f"{test.name} under sanitizers"
        return None

    def same_code(self, fault, source, folder):
        """Whether an optimising compiler makes the same of both."""
        self.plain.compile(source, folder / "optimised.o", "-O2", "-g0")
        good = folder / "good" / source.name
        good.parent.mkdir()
        good.write_text(fault.path.read_text())
        self.plain.compile(good, folder / "good.o", "-O2", "-g0", f"-ffile-prefix-map={good.parent}={folder}")
        return (folder / "optimised.o").read_bytes() == (folder / "good.o").read_bytes()


class Share:
    """How many of the faults tried were seen."""

    def __init__(self):
        self.seen = self.tried = 0

    def add(self, seen):
        self.tried += 1
        self.seen += seen

    def percent(self):
        return 100 * self.seen / self.tried if self.tried else 0.0

    def probability(self, floor):
        """Of no more faults seen than these, where each is seen with a probability of `floor` percent."""
        seen, missed = math.log(floor / 100), math.log(1 - floor / 100)
        ways = lambda k: math.lgamma(self.tried + 1) - math.lgamma(k + 1) - math.lgamma(self.tried - k + 1)
        return sum(math.exp(ways(k) + k * seen + (self.tried - k) * missed) for k in range(self.seen + 1))


def equivalents():
    """Changes that change nothing a test could see, {(file's name, before, after)}: a file keeps them when it moves."""
    found = set()
    for line in EQUIVALENT.read_text().splitlines():
        match = re.fullmatch(r"(\S+): (.*) => (.*)", line)
        if match:
            found.add(match.groups())
    return found


def floors():
    return {room: float(least) for room, least in
            re.findall(r"^([^#=\n]+?) *= *([\d.]+)$", FLOORS.read_text(), re.M)}


def judge(rooms, total):
    """Verdicts of the whole, and of each room of which enough was tried; returns (passed, failed)."""
    passed = failed = 0
    for room, least in floors().items():
        share = total if room == "hv" else rooms.get(room, Share())
        if share.tried < (ENOUGH if room != "hv" else 1):
            continue
        good = share.percent() >= least or share.probability(least) > 1 / CHANCE
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok' if good else 'not ok'} - mutate {room}: {share.seen} of {share.tried} faults seen, "
              f"{share.percent():.1f} %, floor {least} %")
        if not good:
            print(f"#   expected: a red unit test for each of those not seen above. Again: {shlex.join(sys.argv)}")
    return passed, failed


def write_readme(rooms, total):
    """The last column of the README's table."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    for room, share in [*rooms.items(), ("hv", total)]:
        told = f"{share.percent():.0f} % of {share.tried}"
        text = re.sub(rf"^(\| {re.escape(room)} \|.*\|) [^|]* \|$", rf"\1 {told} |", text, flags=re.M)
    readme.write_text(text)


def chosen(args):
    """The faults to be tried: a fair share of each room, or of all."""
    groups = {}
    for place in args.files or sorted((ROOT / "hv").rglob("*.c")):
        name, _, line = str(place).partition(":")
        path = pathlib.Path(name).resolve()
        found = [fault for fault in faults_of(path) if not line or fault.number == int(line)]
        groups.setdefault(path.parent if args.room_count else None, []).extend(found)
    count = args.room_count or args.count
    return [fault for group in groups.values() for fault in spread(group, count, args.seed)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--count", type=int, default=0, help="how many faults; 0 = all")
    parser.add_argument("--room-count", type=int, default=0, help="how many faults of each room; 0 = all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--most", type=float, default=0, metavar="SECONDS",
                        help="after so many seconds of tests a fault is not seen: quicker, and lists too many; 0 = all")
    parser.add_argument("--write-docs", action="store_true", help="the shares into the README")
    parser.add_argument("files", nargs="*", metavar="FILE[:LINE]", help="a whole file, or one line of it")
    args = parser.parse_args()
    faults = chosen(args)
    os.chdir(ROOT)
    # Named as make names it: in files of dependencies another name would be another file's.
    build = pathlib.Path(args.build)
    bench = Bench(coverage.unit_folder((build / "coverage").resolve()), build / "mutate", build, args.most)
    os.environ["CCACHE_DISABLE"] = "1"  # each broken file is compiled once
    known, void, rooms, total = equivalents(), 0, {}, Share()
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for fault, result in zip(faults, pool.map(bench.try_fault, faults)):
            if result == "" or (result is None and fault.key() in known):
                void += 1
                continue
            room = rooms.setdefault(str(fault.path.parent.relative_to(ROOT)), Share())
            room.add(result is not None)
            total.add(result is not None)
            if result is None:
                print(f"# not seen: {fault}", flush=True)
    for name, share in sorted(rooms.items()):
        print(f"# {name}: {share.seen} of {share.tried} seen, {share.percent():.1f} %")
    seconds = time.monotonic() - begin
    print(f"# {void} changes were no fault (did not compile, made the same code, or are in {EQUIVALENT.relative_to(ROOT)}); "
          f"{seconds:.0f} s, {seconds / max(1, len(faults)):.2f} s each")
    passed, failed = judge(rooms, total)
    if args.write_docs:
        write_readme(rooms, total)
    print(f"mutate: {passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
