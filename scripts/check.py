#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of the tree that no compiler knows. Each is one check with a name; `check.py NAME` runs one.

Prints TAP-like lines and last `N passed, N failed`.
"""
import argparse
import pathlib
import re
import subprocess
import sys

from messages import check_messages

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Who may include whom (docs/architecture.md, "The house"). A room may always include itself.
ROOMS = {
    "hv/lib": [],
    "hv/abi": ["hv/lib"],
    "hv/plan": ["hv/lib", "hv/abi"],
    "hv/mem": ["hv/lib", "hv/abi", "hv/plan"],
    "hv/vm": ["hv/lib", "hv/abi", "hv/plan", "hv/mem"],
    "hv/exit": ["hv/lib", "hv/abi", "hv/plan", "hv/mem", "hv/vm"],
    "hv/compartment/dev": ["hv/lib", "hv/abi", "hv/compartment/pci", "hv/compartment/virtio"],
    "hv/compartment/pci": ["hv/lib", "hv/abi", "hv/compartment/dev"],
    "hv/compartment/virtio": ["hv/lib", "hv/abi", "hv/compartment/dev", "hv/compartment/pci"],
    "hv/compartment/entry": ["hv/lib", "hv/abi", "hv/compartment/dev", "hv/compartment/emulate",
                              "hv/compartment/load"],
    "hv/compartment/load": ["hv/lib", "hv/abi"],
    "hv/compartment/emulate": ["hv/lib", "hv/abi"],
    "hv/monitor": ["hv/lib", "hv/abi", "hv/plan", "hv/mem", "hv/vm", "hv/exit"],
    "config": ["hv/lib", "hv/abi", "hv/plan"],
    "boot": ["hv/lib", "hv/abi", "hv/plan", "config"],
    "tools": ["hv/lib", "hv/abi", "hv/plan", "config"],
    "guests": [],
    "arch/x86_64/vmx": ["hv", "arch/x86_64"],
    "arch/x86_64/svm": ["hv", "arch/x86_64"],
    "arch/x86_64/xhci": ["hv"],
    "arch/x86_64/iommu": ["hv"],
    "arch/x86_64": ["hv"],
}
# arch/x86_64/vendor.c chooses between the vendors; nothing else there may know them. usb.c drives the USB keyboards,
# iommu.c the IOMMUs.
# The guests' firmware reads what the loader leaves it: numbers, and no code.
EXTRA = {
    "guests/firmware/bios.S": ["hv/compartment/load"],
    "guests/firmware/start.S": ["hv/compartment/load"],
    "arch/x86_64/vendor.c": ["arch/x86_64/vmx", "arch/x86_64/svm"],
    "arch/x86_64/usb.c": ["arch/x86_64/xhci"],
    "arch/x86_64/iommu.c": ["arch/x86_64/iommu"],
}
ABI = "hv/abi.h"
# What a header declares, its own room defines; but for the words between the core and the machine, where the room is
# named that does: header, how the names begin, room.
INTERFACES = [
    ("hv/vm/plat.h", "plat_", "arch/x86_64"),          # the machine, as hv/ asks for it
    ("hv/vm/plat.h", "hv_", "hv/monitor"),             # what arch/ calls
    ("hv/vm/hvm.h", "hvm_probe", "arch/x86_64"),       # the choice of the vendor
    ("hv/lib/types.h", "assert_failed", "arch/x86_64"),  # how the machine stops
    ("hv/lib/str.h", "mem", "arch/x86_64"), ("hv/lib/str.h", "strlen", "arch/x86_64"),  # by the CPU's own instructions
]
# Files that use each other in a circle: ("the reason", "file file ..."). What a file uses never leads back to it, neither
# in a room nor through others, and what is named here and is no circle any more has to go: let it stay empty.
CIRCLES = []
COMPARTMENT = "hv/compartment"
# All of it is linked into the compartments' program alone.
APART = ["hv/compartment/entry", "hv/compartment/dev", "hv/compartment/emulate", "hv/compartment/load",
         "hv/compartment/pci", "hv/compartment/virtio"]
# Lines by what they are trusted with: the core (hv/ but its compartment, and arch/) by all guests; what comes before
# it (some 350 lines of that for Secure Boot: SHA-256, the list of files); the compartment by its own guest alone. See
# docs/architecture.md. USB keyboards and IOMMUs are in arch's count and have limits of their own.
# About 900 lines were asked for USB keyboards, and they are 1,290, with each declaration and brace: 180 say what is kept and
# who calls whom, 290 are the controller from the firmware's hands to its events, 360 the way from a plug to what works, and
# its end, 110 ports and hubs, 220 transfers, rings and contexts, 130 descriptors, reports and repeating keys. What could go
# is hubs, second tries, and doubt of what a device says: the first has keyboards behind it, the others are the point.
USB = "arch/x86_64/xhci"
IOMMU = "arch/x86_64/iommu"
BUDGETS = {("hv",): 13990, ("arch",): 8290, ("boot", "config"): 9440, (COMPARTMENT,): 10960, (USB,): 1300,
           (IOMMU,): 1150}
FILE_LIMIT = 600
FUNCTION_LIMIT = 40  # lines of a body, without comments and blanks
# Longer ones, and files with statements that have two `?` or more, with their number. Lists that only get shorter.
LONG_FUNCTIONS = {}
CONDITIONALS = {}


def sources(*folders, suffixes=(".c", ".h")):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def room_of(name):
    return max((r for r in ROOMS if name.startswith(r + "/")), key=len, default=None)


def check_include_rule():
    """Every #include "..." keeps to the table of rooms."""
    faults = []
    for path in sources("hv", "arch", "boot", "config", "tools", "guests", suffixes=(".c", ".h", ".S")):
        name = str(path.relative_to(ROOT))
        room = room_of(name)
        if room is None:
            continue
        allowed = [room] + ROOMS[room] + EXTRA.get(name, [])
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not found or found[1] in ABI:
                continue
            target = room_of(found[1]) or ""
            inside = target in EXTRA.get(name, []) or any(
                target == a or target.startswith(a + "/") and a == "hv" and not target.startswith(COMPARTMENT)
                for a in allowed)
            if not inside:
                faults.append(f"{name}:{number}: {room} may not include {found[1]}")
    return faults


def check_pure_hv():
    """hv/ and config/ are portable C: no assembly, no conditional compilation, no volatile."""
    bad = re.compile(r"\b(__asm__|asm|volatile)\b|^\s*#\s*(ifdef|if)\b")
    faults = []
    for path in sources("hv", "config"):
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
        for number, line in enumerate(text.splitlines(), 1):
            if bad.search(re.sub(r'"(\\.|[^"\\])*"', '""', line)):
                faults.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return faults


def check_format():
    """clang-format has nothing to change."""
    files = [str(p.relative_to(ROOT)) for p in sources("hv", "arch", "boot", "config", "tools", "guests", "tests")]
    run = subprocess.run(["clang-format", "--dry-run", "-Werror"] + files, cwd=ROOT,
                         capture_output=True, text=True)
    lines = [l for l in run.stderr.splitlines() if "error:" in l]
    return lines if run.returncode else []


def without_tables(text):
    """Cuts the bodies of enums and of const initialisers out: names and rows are no code to be read."""
    head = re.compile(r"\benum\b[^;{}()]*\{|\bconst\b[^;{}]*=\s*\{")
    out, at = [], 0
    while found := head.search(text, at):
        out.append(text[at:found.end()])
        depth, at = 1, found.end()
        while at < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        out.append("}")
    return "".join(out) + text[at:]


def code_lines(path):
    """Lines without comments, blanks, #include, #define, enumerators and rows of const tables."""
    text = path.read_text()
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    if path.suffix != ".S":
        text = re.sub(r"'(\\.|[^'\\])'|\"(\\.|[^\"\\])*\"", '""', text)
        text = re.sub(r"^\s*#\s*(include|define|pragma)\b([^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
        text = without_tables(text)
    return sum(1 for line in text.splitlines() if line.strip())


def count_lines(room):
    """Of hv/ without its compartment, which has a budget of its own."""
    inside = ROOT / COMPARTMENT
    return sum(code_lines(p) for p in sources(room, suffixes=(".c", ".h", ".S"))
               if room == COMPARTMENT or inside not in p.parents)


def check_line_budget():
    """What all guests trust, and what judges the config before the start, each under its budget."""
    faults, shown = [], []
    for rooms, most in BUDGETS.items():
        count = {room: count_lines(room) for room in rooms}
        total = sum(count.values())
        shown.append(", ".join(f"{r} {n}" for r, n in count.items()) + f", together {total} of {most}")
        if total > most:
            faults.append(f"{' + '.join(rooms)}: {total} lines, the budget is {most}")
    print("# lines without comments, blanks, #include, #define, enumerators and rows of const tables: " +
          "; ".join(shown))
    return faults


# What the docs tell of these counts: file, words before and after a number, and what is counted.
TOLD_LINES = [
    ("README.md", r"is about (\S+) lines of C", ("hv", "arch")),
    ("README.md", r"(\S+) of them for USB keyboards", (USB,)),
    ("README.md", r"and (\S+) for IOMMUs", (IOMMU,)),
    ("README.md", r"only that guest trusts, are ([\d,]+)", (COMPARTMENT,)),
    ("README.md", r"before the start, are ([\d,]+)", ("boot", "config")),
    ("docs/architecture.md", r"without its compartment has (\S+) lines of code", ("hv",)),
    ("docs/architecture.md", r"lines of code, arch/ ([\d,]+)", ("arch",)),
]
TOLD_WITHIN = 0.04


def check_told_lines():
    """What README and docs say of how many lines there are is about so."""
    faults = []
    for name, words, rooms in TOLD_LINES:
        found = re.search(words, " ".join((ROOT / name).read_text().split()))
        if not found:
            faults.append(f"{name}: expected /{words}/")
            continue
        told, count = int(found[1].replace(",", "")), sum(count_lines(room) for room in rooms)
        if abs(told - count) > TOLD_WITHIN * count:
            faults.append(f"{name}: says {found[1]} lines of {' and '.join(rooms)}, there are {count}")
    return faults


def check_file_size():
    """No file of the core is longer than a person reads in one go."""
    return [f"{p.relative_to(ROOT)}: {n} lines, at most {FILE_LIMIT}"
            for p in sources("hv", "arch", "boot", "config", suffixes=(".c", ".h", ".S"))
            if (n := len(p.read_text().splitlines())) > FILE_LIMIT]


def plain_code(path):
    """A file without comments and texts, line by line as it was."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"'(\\.|[^'\\])'|\"(\\.|[^\"\\])*\"", '""', text)


def functions(path):
    """(name, lines of the body) of each function: a body begins where a line ends with ") {", and ends with "}" alone."""
    start = r"^(?=[a-zA-Z])[^;{}=]*?\b(\w+)\s*\([^;{}]*\)\s*\{\n(.*?)^\}"
    for found in re.finditer(start, plain_code(path), flags=re.S | re.M):
        yield found[1], sum(1 for line in found[2].splitlines() if line.strip())


def check_function_size():
    """No function of the core is longer than a screen."""
    faults, seen = [], set()
    for path in sources("hv", "arch", "boot", "config", suffixes=(".c",)):
        name = str(path.relative_to(ROOT))
        for function, lines in functions(path):
            if lines > LONG_FUNCTIONS.get(f"{name}:{function}", FUNCTION_LIMIT):
                faults.append(f"{name}: {function}() has {lines} lines, at most {FUNCTION_LIMIT}")
            elif lines > FUNCTION_LIMIT:
                seen.add(f"{name}:{function}")
    return faults + [f"scripts/check.py: take {n} out of LONG_FUNCTIONS" for n in set(LONG_FUNCTIONS) - seen]


def crowded_statements(path):
    """Lines on which statements with two `?` or more begin. What a comma parts in braces counts by itself."""
    line, first, count, nesting, lines = 1, 0, 0, [], []
    for char in plain_code(path):
        line += char == "\n"
        if char == "?":
            count, first = count + 1, first or line
        elif char in "({":
            nesting.append(char)
        elif char in ")}" and nesting:
            nesting.pop()
        if char in "{};" or (char == "," and nesting[-1:] == ["{"]):
            lines += [first] if count > 1 else []
            first = count = 0
    return lines


def check_conditionals():
    """No statement has two `?`: one statement does one thing."""
    faults = []
    for path in sources("hv", "arch", "boot", "config", "tools", "guests"):
        name = str(path.relative_to(ROOT))
        lines, known = crowded_statements(path), CONDITIONALS.get(name, 0)
        if len(lines) > known:
            faults += [f"{name}:{line}: a statement with two `?`" for line in lines]
        elif len(lines) < known:
            faults.append(f"scripts/check.py: {name} in CONDITIONALS has {len(lines)} now, not {known}")
    return faults + [f"scripts/check.py: take {n} out of CONDITIONALS" for n in CONDITIONALS if not (ROOT / n).exists()]


def check_spdx():
    """Every source file names its licence."""
    return [f"{p.relative_to(ROOT)}: no SPDX line"
            for p in sources("hv", "arch", "boot", "config", "tools", "guests", "tests",
                             suffixes=(".c", ".h", ".S", ".py", ".sh"))
            if "SPDX-License-Identifier: GPL-2.0-or-later" not in "".join(
                p.read_text().splitlines(keepends=True)[:3])]


def check_headers_alone():
    """Each header of hv/, arch/ and config/ compiles by itself."""
    faults = []
    for path in sources("hv", "arch", "config"):
        if path.suffix != ".h":
            continue
        name = str(path.relative_to(ROOT))
        run = subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I.", "-x", "c",
                              "-fsyntax-only", "-ffreestanding", "-mgeneral-regs-only", "-"],
                             input=f'#include "{name}"\n#include "{name}"\n', cwd=ROOT,
                             capture_output=True, text=True)
        if run.returncode:
            faults.append(f"{name}: {run.stderr.strip().splitlines()[0]}")
    return faults


def file_scope(path):
    """A header's text outside of braces, without comments, strings and macros."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.S)
    text = re.sub(r"'(\\.|[^'\\])'|\"(\\.|[^\"\\])*\"", '""', text)
    text = re.sub(r"^\s*#([^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    out, depth = [], 0
    for piece in re.split(r"([{}])", text):
        depth += {"{": 1, "}": -1}.get(piece, 0)
        out.append(piece if depth == 0 else "")
    return "".join(out)


def is_interface(header, symbol, room):
    return any(header == h and symbol.startswith(begins) and room == r for h, begins, r in INTERFACES)


class Links:
    """Who defines and who uses what in hv/ and arch/, by the object files."""

    def __init__(self, build):
        self.defined, self.uses = {}, {}
        for path in sources("hv", "arch", suffixes=(".c", ".S")):
            name = str(path.relative_to(ROOT).with_suffix(""))
            program = "compartment" if name.startswith(COMPARTMENT) else "obj"
            obj = pathlib.Path(build) / program / (name + ".o")
            if not obj.exists():
                continue
            out = subprocess.run(["nm", "-g", obj], capture_output=True, text=True, check=True).stdout
            symbols = [line.split()[-2:] for line in out.splitlines()]
            self.uses[name] = {symbol for kind, symbol in symbols if kind == "U"}
            self.defined.update({symbol: name for kind, symbol in symbols if kind != "U"})
        self.headers = {str(p.relative_to(ROOT)): file_scope(p) for p in sources("hv", "arch", suffixes=(".h",))}
        # Known by all, and defined above those who use them.
        self.upwards = {s for h, b, _ in INTERFACES for s in self.declared(h) if s.startswith(b)}

    def declared(self, header):
        """Symbols of the object files that a header declares."""
        found = re.findall(r"(?:(struct|enum|union)\s+)?\b([A-Za-z_]\w*)\s*(?=[(\[;,=])", self.headers[header])
        return {symbol for tag, symbol in found if not tag and symbol in self.defined}

    def edges(self, name):
        """Files that this one uses, each with one of the symbols."""
        out = {}
        for symbol in sorted(self.uses[name]):
            to = self.defined.get(symbol, name)
            up = symbol in self.upwards and to.split("/")[0] != name.split("/")[0]
            if to != name and not up:
                out.setdefault(to, symbol)
        return out


def check_link_rule(build):
    """A symbol is defined in the room whose header declares it, and used where that header may be included."""
    links, faults = Links(build), []
    for header in links.headers:
        for symbol in sorted(links.declared(header)):
            room = room_of(links.defined[symbol] + ".c")
            if room != room_of(header) and not is_interface(header, symbol, room):
                faults.append(f"{header} declares {symbol}, which {links.defined[symbol]} defines")
    for name in links.uses:
        room = room_of(name + ".c")
        allowed = [room] + ROOMS[room] + EXTRA.get(name + ".c", [])
        faults += [f"{name}: {room} may not use {symbol}, which {to} defines"
                   for to, symbol in links.edges(name).items()
                   if name.startswith("hv/") and room_of(to + ".c") not in allowed]
    return faults


def reachable(graph, start):
    """Files that start leads to, each with the one before it on a shortest way."""
    before, queue = {}, [start]
    for at in queue:
        for to in graph[at]:
            if to not in before:
                before[to] = at
                queue.append(to)
    return before


def describe_circle(graph, name, before):
    """A shortest way from name back to name, with what each uses of the next."""
    way, at = [name], before[name]
    while at != name:
        way.append(at)
        at = before[at]
    way = [name] + way[:0:-1] + [name]
    return way[0] + "".join(f" -> {b} ({graph[a][b]})" for a, b in zip(way, way[1:]))


def check_circles(build):
    """No file of the core uses what leads back to it, but for those that CIRCLES names."""
    links, faults = Links(build), []
    graph = {name: links.edges(name) for name in links.uses}
    ways = {name: reachable(graph, name) for name in graph}
    circles = {}
    for name in graph:
        if name in ways[name]:
            circles[frozenset(n for n in ways[name] if name in ways[n])] = name
    listed = {frozenset(names.split()) for _, names in CIRCLES}
    for members, name in circles.items():
        known = max((members & other for other in listed), key=len, default=frozenset())
        fresh = sorted(members - known)
        if fresh:
            faults.append("a circle of files: " + describe_circle(graph, fresh[0], ways[fresh[0]]))
    for other in listed:
        left = {n for members in circles for n in members & other}
        if left != other:
            faults.append(f"scripts/check.py: no circle any more, take out of CIRCLES: {' '.join(sorted(other - left))}")
    return faults


def check_help():
    """`make help` names every goal that a person may ask for."""
    text = (ROOT / "Makefile").read_text()
    goals = {goal for line in re.findall(r"^\.PHONY:(.*)$", text, re.M) for goal in line.split()}
    shown = set(re.findall(r"[\w-]+", text[text.index("\nhelp:"):]))
    return [f"Makefile: make help does not name {goal}" for goal in sorted(goals - shown - {"help", "usb-size"})]


def check_wx(build):
    """No program header of the hypervisor is writable and executable, and none is both by neighbours."""
    elf = pathlib.Path(build) / "bulkhead.elf"
    out = subprocess.run(["readelf", "-lW", elf], capture_output=True, text=True, check=True).stdout
    faults, loads = [], 0
    for line in out.splitlines():
        found = re.match(r"\s*(LOAD|GNU_STACK)\s+(\S+\s+){5}([R ][W ][E ])", line)
        if found:
            loads += found[1] == "LOAD"
            if "W" in found[3] and "E" in found[3]:
                faults.append(f"{found[1]} is writable and executable: {line.strip()}")
    return faults if loads >= 3 else faults + ["expected at least 3 LOAD headers"]


def check_scrub(build):
    """Memory is scrubbed past the caches: a guest that reads it uncached must not see what was there before."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=plat_scrub",
                           pathlib.Path(build) / "bulkhead.elf"], capture_output=True, text=True, check=True).stdout
    stores = re.findall(r"\t(\w+) +\S+,[^,\n]*\(%rdi\)", code)
    good = len(stores) == 8 and set(stores) == {"movnti"} and re.search(r"\tsfence\s*\n.*\tret", code)
    return [] if good else [f"plat_scrub: expected eight MOVNTI, then SFENCE before RET:\n{code}"]


def defined_symbols(path, kinds):
    """Of an object or a program, by nm's letters."""
    out = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line.split()[-2] in kinds}


def check_apart(build):
    """What is linked into the compartments' program alone is not in the core."""
    build, faults, looked = pathlib.Path(build), [], 0
    core = defined_symbols(build / "bulkhead.elf", "TtDdRrBb")
    for room in APART:
        sources_of = {path.stem for path in (ROOT / room).glob("*.c")}
        for path in sorted((build / "compartment" / room).glob("*.o")):
            if path.stem not in sources_of:
                continue
            looked += 1
            faults += [f"bulkhead.elf has {symbol}, which {room}/{path.stem}.c defines"
                       for symbol in sorted(defined_symbols(path, "TDRB") & core)]
    return faults if looked else [f"no objects of {', '.join(APART)} in {build}"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    checks = {
        "include-rule": check_include_rule, "pure-hv": check_pure_hv, "format": check_format,
        "line-budget": check_line_budget, "told-lines": check_told_lines, "file-size": check_file_size,
        "function-size": check_function_size, "conditionals": check_conditionals, "spdx": check_spdx,
        "headers-alone": check_headers_alone, "messages": check_messages, "help": check_help,
        "w-xor-x": lambda: check_wx(args.build), "scrub": lambda: check_scrub(args.build),
        "link-rule": lambda: check_link_rule(args.build), "circles": lambda: check_circles(args.build),
        "apart": lambda: check_apart(args.build),
    }
    passed = failed = 0
    for name, check in checks.items():
        if args.names and name not in args.names:
            continue
        faults = check()
        passed, failed = passed + (not faults), failed + bool(faults)
        print(f"{'not ok' if faults else 'ok'} - check {name}")
        for fault in faults[:20]:
            print(f"#   {fault}")
        if faults:
            print(f"# {len(faults)} faults; expected none. Again: scripts/check.py {name}")
    print(f"check: {passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
