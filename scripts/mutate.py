#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Breaks one line at a time and expects a unit test to turn red: mutate.py [--count N] [--seed N] [--floor PERCENT] [FILE ...]

Each fault is one small change of one line of hv/ (or of FILEs): an operator turned round, a condition negated, a
number one off, a statement left out. The code is built into one shared library, which the unit tests' programs load, so
that a fault costs one compilation and no linking of tests. Faults that do not compile do not count. What no test saw is
printed as a diff of one line. Without --count: all lines. The last line is "N passed, N failed": one test, that
the share seen is not below the floor.
"""
import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What a fault is allowed to take: it may loop for ever.
TEST_SECONDS = 20
# As in an executable, calls inside a file may be folded in: else tests would link more than they do.
COUNTERS = "HOST_COUNTERS=-fPIC -fno-semantic-interposition"
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
    ("number", r"\b(0x[0-9a-f]+|\d+)(?=u?(ll)?\b)", lambda m: str(int(m[0], 0) + 1)),
]
# A call or an assignment that stands alone.
STATEMENT = re.compile(r"^\s+(?!return\b|goto\b|break\b|continue\b|ASSERT)[\w*(>\-.\[\]+, &]+(\(.*\)|\s[|&+\-]?=\s.*);\s*$")
DECLARATION = re.compile(r"^\s+(static |const |struct \w+|enum \w+|unsigned|u?int\d*_t|bool|size_t|char|void|[a-z]\w*_t) .*;")
# Not code that a test could tell apart: comments, preprocessor, log lines' texts, attributes and hints for the compiler.
NO_CODE = re.compile(r"^\s*(#|/?\*|//)|\b(vm_log|log_\w+|console_print|UNUSED|__attribute__|ASSERT|STATIC_ASSERT|_Static_assert)\b")


class Fault:
    def __init__(self, path, number, name, before, after):
        self.path, self.number, self.name, self.before, self.after = path, number, name, before, after

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
        if was_in_comment or NO_CODE.search(line) or not line.startswith(" "):
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


class Bench:
    """The unit tests as programs that load the code to be broken."""

    def __init__(self, build):
        self.build = build
        self.folder = build / "mutate"

    def told(self, *arguments):
        """The command lines that make would run."""
        out = subprocess.run(["make", "-n", f"BUILD={self.build}", COUNTERS, *arguments], cwd=ROOT, check=True,
                             capture_output=True, text=True).stdout
        return [shlex.split(line) for line in out.replace("\\\n", " ").splitlines() if " -o " in line]

    def make(self):
        """Builds as `make unit` does, then links code and tests apart; how is asked of the Makefile."""
        subprocess.run(["make", "-s", f"-j{os.cpu_count()}", f"BUILD={self.build}", COUNTERS, "unit"], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
        source = "hv/lib/str.c"
        compile_line = self.told("-W", source, f"{self.build}/host/hv/lib/str.o")[0]
        self.compiler = compile_line[0]
        self.flags = [word for word in compile_line[1:compile_line.index("-c")] if word not in ("-MMD", "-MP")]
        self.objects = sorted(o for o in (self.build / "host").rglob("*.o")
                              if o.relative_to(self.build / "host").parts[0] in ("hv", "config"))
        self.objects.append(self.build / "host/tests/unit/fake_plat.o")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.link_library(self.objects, self.folder / "good" / "libhv.so")
        self.link_absent()
        programs = sorted((self.build / "unit").glob("test_*"))
        links = self.told(*[word for p in programs for word in ("-W", f"tests/unit/{p.name}.c")], *programs)
        self.tests = [self.link_test(line) for line in links if line[line.index("-o") + 1].startswith(f"{self.build}/unit/")]
        bad = [t.name for t in self.tests if not self.passes(t, self.folder / "good")]
        if bad or not self.tests:
            sys.exit(f"not ok - these unit tests fail without any fault: {' '.join(bad)}\n0 passed, 1 failed")

    def link_library(self, objects, output):
        output.parent.mkdir(parents=True, exist_ok=True)
        return subprocess.run([self.compiler, *self.flags, "-shared", "-o", output, *objects], cwd=ROOT,
                              capture_output=True, text=True).returncode == 0

    def link_absent(self):
        """What the code wants of the machine and a single test does not bring along: never called there."""
        wanted = subprocess.run(["nm", "-u", self.folder / "good" / "libhv.so"], check=True, capture_output=True, text=True).stdout
        names = [name for name in wanted.split() if name.startswith(("plat_", "hvm_"))]
        source = self.folder / "absent.S"
        source.write_text(".data\n" + "".join(f".globl {n}\n.balign 16\n{n}: .skip 65536\n" for n in names)
                          + '.section .note.GNU-stack,"",@progbits\n')
        subprocess.run([self.compiler, "-shared", "-nostdlib", "-o", self.folder / "libabsent.so", source], check=True)

    def link_test(self, line):
        """One of the Makefile's links, with the shared library for the static one."""
        output = self.folder / pathlib.Path(line[line.index("-o") + 1]).name
        own = [word for word in line[1:] if word.endswith(".o") or word.startswith("-l")]
        subprocess.run([self.compiler, *self.flags, "-Wl,--export-dynamic", "-o", output,
                        *[word for word in own if word.endswith(".o")], f"-L{self.folder / 'good'}", "-lhv",
                        f"-L{self.folder}", "-labsent", f"-Wl,-rpath,{self.folder}",
                        *[word for word in own if word.startswith("-l")]], cwd=ROOT, check=True)
        return output

    def passes(self, test, library):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(library), "ASAN_OPTIONS": "detect_leaks=0:detect_odr_violation=0"}
        try:
            return subprocess.run([test], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=TEST_SECONDS).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def order(self, fault):
        """Those first whose names are most like the file's."""
        stem = fault.path.stem
        return sorted(self.tests, key=lambda t: (stem not in t.name, not any(w in t.name for w in stem.split("_"))))

    def try_fault(self, fault):
        """"seen by TEST", None if no test saw it, or "" if it does not compile."""
        name = f"{fault.path.relative_to(ROOT)}".replace("/", "_") + f"_{fault.number}_{abs(hash(fault.after + fault.name))}"
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lines = fault.path.read_text().split("\n")
            lines[fault.number - 1] = fault.after
            source = folder / fault.path.name
            source.write_text("\n".join(lines))
            good = self.build / "host" / fault.path.relative_to(ROOT).with_suffix(".o")
            broken = folder / "broken.o"
            # A fault may leave a variable unused: what the compiler only dislikes is a fault all the same.
            compiled = subprocess.run([self.compiler, *self.flags, "-w", "-Wno-error", "-c", source, "-o", broken],
                                      cwd=ROOT, capture_output=True)
            if compiled.returncode:
                return ""
            if broken.read_bytes() == good.read_bytes():
                return ""
            objects = [broken if o == good else o for o in self.objects]
            if not self.link_library(objects, folder / "libhv.so"):
                return ""
            for test in self.order(fault):
                if not self.passes(test, folder):
                    return test.name
            return None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/mutate")
    parser.add_argument("--count", type=int, default=0, help="how many faults; 0 = all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--floor", type=float, default=0.0, help="percent that must be seen")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    files = [f.resolve() for f in args.files] or sorted((ROOT / "hv").rglob("*.c"))
    faults = spread([fault for f in files for fault in faults_of(f)], args.count, args.seed)
    bench = Bench((ROOT / args.build).resolve())
    bench.make()
    seen, missed, void, rooms = 0, [], 0, {}
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for fault, result in zip(faults, pool.map(bench.try_fault, faults)):
            if result == "":
                void += 1
                continue
            room = rooms.setdefault(str(fault.path.parent.relative_to(ROOT)), [0, 0])
            room[1] += 1
            if result is None:
                missed.append(fault)
                print(f"# not seen: {fault}", flush=True)
            else:
                seen += 1
                room[0] += 1
    total = seen + len(missed)
    share = 100 * seen / total if total else 0.0
    for name, (found, all_of_it) in sorted(rooms.items()):
        print(f"# {name}: {found} of {all_of_it} seen")
    good = share >= args.floor and total > 0
    print(f"# {void} changes were no fault (did not compile, or made the same code); {time.monotonic() - begin:.0f} s")
    print(f"{'ok' if good else 'not ok'} - mutate: {seen} of {total} faults seen, {share:.1f} %, floor {args.floor} %")
    if not good:
        print("#   expected: a red unit test for each. Again: scripts/mutate.py "
              f"--count {args.count} --seed {args.seed} --floor {args.floor}")
    print(f"mutate: {int(good)} passed, {int(not good)} failed")
    return not good


sys.exit(main())
