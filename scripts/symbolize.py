#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns the addresses of a panic into functions and lines.

    scripts/symbolize.py [--elf build/bulkhead.elf] [FILE]

Reads FILE, or what is pasted (end it with Ctrl-D): a panic or any text with "text+0x1234" in it. Prints that text,
and after each line with addresses one line for each of them. The file with the symbols must be of the very build
that panicked; the build id in the text tells whether it is. Needs binutils.
"""
import argparse
import bisect
import os
import re
import subprocess
import sys

ADDRESS = re.compile(r"text\+0x([0-9a-f]+)")
BUILD = re.compile(r"\bbuild ([0-9a-f]{16})\b")


class Refused(Exception):
    """What is wrong with the arguments, and the fix."""


def run(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise Refused(f"{command[0]} is not there; install binutils") from None
    except subprocess.CalledProcessError as error:
        raise Refused(error.stderr.strip() or f"{command[0]} failed") from None


def build_id(elf):
    found = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", elf))
    if not found:
        raise Refused(f"{elf} has no build id; is it build/bulkhead.elf?")
    return found[1]


def symbols(elf):
    """Address and name of each function, sorted; without linker.ld's names for places."""
    found = re.findall(r"^([0-9a-f]+) [tT] ((?!image_)\S+)$", run("nm", "-n", elf), re.M)
    return [(int(address, 16), name) for address, name in found]


def without_strangers(found, table):
    """
    Functions that the linker threw away keep their debug information at address 0, where the entry lies: the symbol
    table has the last word.
    """
    starts = [address for address, _ in table]
    for offset, lines in found.items():
        start, name = table[max(bisect.bisect_right(starts, offset) - 1, 0)]
        said = lines[-1].removeprefix("(inlined by) ").split(" ")[0]
        if said.split(".")[0] != name.split(".")[0]:
            found[offset] = [f"{name}+{offset - start:#x}"]
    return found


def places(elf, offsets):
    """Offset -> ["function at file:line", ...], what was inlined there first."""
    lines = run("addr2line", "-e", elf, "-f", "-i", "-p", "-a", *(f"{o:#x}" for o in offsets)).splitlines()
    found, current = {}, None
    for line in lines:
        start = re.match(r"0x([0-9a-f]+): (.*)", line)
        if start:
            current = found.setdefault(int(start[1], 16), [])
            line = start[2]
        current.append(line.strip())
    return found


def offsets_of(line):
    """(as printed, where to look): a return address belongs to the CALL before it."""
    back = 0 if line.lstrip().startswith("at ") else 1
    return [(int(m, 16), max(int(m, 16) - back, 0)) for m in ADDRESS.findall(line)]


def symbolize(text, elf):
    """The lines of text with an explanation after each line that has addresses."""
    own, said = build_id(elf), BUILD.search(text)
    out = []
    if said and not own.startswith(said[1]):
        raise Refused(f"the text is of build {said[1]}, {elf} is of build {own[:16]}: take the file of that build")
    if not said:
        out.append(f"(the text names no build: nobody knows whether {elf} belongs to it)")
    wanted = {where for line in text.splitlines() for _, where in offsets_of(line)}
    known = without_strangers(places(elf, sorted(wanted)), symbols(elf)) if wanted else {}
    for line in text.splitlines():
        out.append(line.rstrip())
        for shown, where in offsets_of(line):
            first, *outer = known.get(where, ["?? ??:0"])
            out.append(f"    text+{shown:#x}  {first}")
            out += [f"        {place}" for place in outer]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elf", default="build/bulkhead.elf", help="the file with the symbols")
    parser.add_argument("file", nargs="?", help="the text; without it, what is pasted")
    args = parser.parse_args()
    try:
        if not os.path.exists(args.elf):
            raise Refused(f"{args.elf} is not there; build it, or name it with --elf")
        if args.file:
            with open(args.file, encoding="latin-1") as file:
                text = file.read()
        else:
            text = sys.stdin.read()
        print("\n".join(symbolize(text, args.elf)))
    except (Refused, OSError) as refused:
        sys.exit(f"symbolize: {refused}")


if __name__ == "__main__":
    main()
