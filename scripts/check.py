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

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Who may include whom (docs/architecture.md, "The house"). A room may always include itself.
ROOMS = {
    "hv/lib": [],
    "hv/abi": ["hv/lib"],
    "hv/plan": ["hv/lib"],
    "hv/mem": ["hv/lib", "hv/plan"],
    "hv/dev": ["hv/lib"],
    "hv/vm": ["hv/lib", "hv/abi", "hv/plan", "hv/mem", "hv/dev"],
    "hv/exit": ["hv/lib", "hv/abi", "hv/plan", "hv/mem", "hv/dev", "hv/vm"],
    "hv/compartment/emulate": ["hv/lib", "hv/abi"],
    "hv/monitor": ["hv/lib", "hv/abi", "hv/plan", "hv/mem", "hv/dev", "hv/vm", "hv/exit"],
    "config": ["hv/lib", "hv/plan"],
    "boot": ["hv/lib", "hv/plan", "config"],
    "tools": ["hv/lib", "hv/plan", "config"],
    "guests": [],
    "arch/x86_64/vmx": ["hv", "arch/x86_64"],
    "arch/x86_64/svm": ["hv", "arch/x86_64"],
    "arch/x86_64": ["hv"],
}
# arch/x86_64/vendor.c chooses between the vendors; nothing else there may know them.
# hv/exit/upcall*.c are the only way from the core to what emulates.
EXTRA = {
    "arch/x86_64/vendor.c": ["arch/x86_64/vmx", "arch/x86_64/svm"],
    "hv/exit/upcall.c": ["hv/compartment/emulate"],
    "hv/exit/upcall_code.c": ["hv/compartment/emulate"],
}
ABI = "hv/abi.h"
# Rooms whose files call each other in one direction only, and link to nothing but what they may include.
ONE_WAY = ["hv/lib", "hv/plan", "hv/mem", "hv/exit", "hv/compartment/emulate"]
COMPARTMENT = "hv/compartment"
# Lines by what they are trusted with: the core (hv/ but its compartment, and arch/) by all guests; what comes before
# it; the compartment, which is moving out of the core, by its own guest alone. See docs/architecture.md.
BUDGETS = {("hv", "arch"): 18000, ("boot", "config"): 4000, (COMPARTMENT,): 9000}
FILE_LIMIT = 600


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
            if not found or found[1] == ABI:
                continue
            target = room_of(found[1])
            inside = target == room if target in EXTRA.get(name, []) else any(
                target == a or (target or "").startswith(a + "/") and a != "arch/x86_64" for a in allowed)
            if target is None or not (inside or target in allowed):
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


def check_file_size():
    """No file of the core is longer than a person reads in one go."""
    return [f"{p.relative_to(ROOT)}: {n} lines, at most {FILE_LIMIT}"
            for p in sources("hv", "arch", "boot", "config", suffixes=(".c", ".h", ".S"))
            if (n := len(p.read_text().splitlines())) > FILE_LIMIT]


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


def linked_files(build):
    """Which source file of hv/ uses names that another one defines, by the objects."""
    folder = pathlib.Path(build) / "obj"
    names = [p.relative_to(ROOT) for p in sources("hv", suffixes=(".c",))]
    objects = {str(n): folder / n.with_suffix(".o") for n in names}
    owner, wants = {}, {}
    for name, path in objects.items():
        out = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
        words = [line.split()[-2:] for line in out.splitlines()]
        owner.update({symbol: name for kind, symbol in words if kind in "TDBRVW"})
        wants[name] = [symbol for kind, symbol in words if kind == "U"]
    return {name: {owner[s] for s in symbols if s in owner} - {name} for name, symbols in wants.items()}


def reached_from(graph, start):
    seen, todo = set(), list(graph[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += graph[name]
    return seen


def check_no_circles(build):
    """In the rooms of ONE_WAY no file calls, by whatever way, one that calls it."""
    graph = linked_files(build)
    reach = {name: reached_from(graph, name) for name in graph}
    return [f"{name} is in a circle with {', '.join(sorted(n for n in graph[name] if name in reach[n]))}"
            for name in sorted(graph) if room_of(name) in ONE_WAY and name in reach[name]]


def check_link_rule(build):
    """The rooms of ONE_WAY use no name that another room defines, unless they may include that room."""
    faults = []
    for name, targets in sorted(linked_files(build).items()):
        room = room_of(name)
        allowed = [room] + ROOMS[room] + EXTRA.get(name, [])
        faults += [f"{name}: {room} may not use what {target} defines"
                   for target in sorted(targets) if room in ONE_WAY and room_of(target) not in allowed]
    return faults


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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    checks = {
        "include-rule": check_include_rule, "pure-hv": check_pure_hv, "format": check_format,
        "line-budget": check_line_budget, "file-size": check_file_size, "spdx": check_spdx,
        "headers-alone": check_headers_alone, "w-xor-x": lambda: check_wx(args.build),
        "no-circles": lambda: check_no_circles(args.build), "link-rule": lambda: check_link_rule(args.build),
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
