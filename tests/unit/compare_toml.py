#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the TOML reader with python's tomllib: compare_toml.py BHCHECK [COUNT].

What ours accepts, tomllib must accept with the same values; what ours refuses and tomllib accepts
must be refused as not supported. Texts are random cuts and mixes of the lines below, with a fixed
seed. Prints TAP, as the unit tests do.
"""

import random
import subprocess
import sys
import tempfile
import tomllib

LINES = [
    "[hypervisor]", "[guest.web]", " [ guest . \"db\" ] # c", "['a b'.'c.d']", "[[x]]", "[a", "[]",
    "console = \"com1\"", "log='info'# c", "memory = 512M", "cpus = \"1-2\"", "n = 0x1_f", "o = 0o17",
    "b = 0b1_0", "i = +1_000", "z = 012", "u = 1__0", "big = 9223372036854775807",
    "over = 9223372036854775808", "low = -9223372036854775808", "t = true", "f = false",
    "x = True", "fl = 1.5", "e = 1e9", "inf = -inf", "d = 1979-05-27", "l = 07:32:00",
    "esc = \"\\b\\t\\n\\f\\r\\\"\\\\\\u00e4\\U0001F600\"", "bad = \"\\v\"", "sur = \"\\ud800\"",
    "lit = 'C:\\x \"q\"'", "open = \"x", "arr = [1, 2]", "arr2 = [1,", "arr3 = ['a', \"b\"]", "arr4 = [", "'x', # c", "]", "arr5 = []", "arr6 = ['a',]", "in = { a = 1 }",
    "ml = \"\"\"a", "\"\"\"", "ml2 = '''q'''", "a.b = 1", "\"quoted key\" = 1", "'' = 2",
    "\u00e4 = 1", "um = \"\u00e4\u20ac\U0001f600\"", "# only", "", "\t", "no value =", "= 1", "bare",
    "two = 1 2", "tab = \"\t\"", "nul = \"\x01\"", "del = 1 # \x7f", "k\ty = 1",
]
# What we may refuse although it is TOML.
ALLOWED = ("not supported",)
GOOD = ["[hypervisor]", "[guest.web]", " [ guest . \"db\" ] # c", "['a b'.'c.d']", "console = \"com1\"",
        "log='info'# c", "cpus = \"1-2\"", "q = \"\\\"\\\\\"", "lit = 'C:\\x \"q\"'", "\"quoted key\" = \"1\"",
        "um = \"\u00e4\u20ac\U0001f600\"", "# only", "", "\t", "tab = \"\t\"", "-_1 = ''",
        "arr3 = ['a', \"b\"]", "arr4 = [\n'x', # c\n]", "arr5 = [ ]", "arr6 = ['a' ,]"]


def make_text(rng):
    lines = rng.sample(GOOD if rng.random() < 0.5 else LINES, rng.randint(1, 8))
    text = rng.choice(["\n", "\n", "\r\n"]).join(lines) + rng.choice(["", "\n", "\r\n"])
    data = bytearray(text.encode())
    if rng.random() < 0.4:
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(len(data) + 1)
            data[at:at + rng.randint(0, 1)] = rng.choice(
                [b"\"", b"'", b"#", b"=", b"[", b"]", b".", b"_", b"\\", b"\n", b"\r", b" ", b"0",
                 b"x", b"\xff", b"\xc3", b"\x00", b"-", b"+", b"1"])
    return (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + bytes(data)


def ours(program, data):
    """Returns (tree or None, the program's output)."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        done = subprocess.run([program, "--toml", f.name], stdout=subprocess.PIPE, check=False)
    output = done.stdout.decode(errors="replace")
    if done.returncode not in (0, 1):
        raise SystemExit(f"Bail out! {program} ended with {done.returncode} on {data!r}")
    if done.returncode == 1:
        return None, output
    root = {}
    table = root
    for line in output.splitlines():
        kind, *words = line.split(" ")
        if kind == "table":
            table = root
            for word in words:
                table = table.setdefault(bytes.fromhex(word).decode(), {})
        else:
            key, *texts = (bytes.fromhex(word).decode() for word in words)
            table[key] = texts if kind == "array" else texts[0]
    return root, output


def reference(data):
    """Returns (tree or None, the reason)."""
    try:
        text = data.decode()
        return tomllib.loads(text.removeprefix("\ufeff")), ""
    except ValueError as error:
        return None, str(error)


def judge(seen, output, data):
    """None if both agree, else what differs."""
    want, reason = reference(data)
    if seen is not None and want is None:
        double = "Cannot" in reason or "twice" in reason  # double keys: parse.c's business
        return None if double else f"accepted, tomllib says: {reason}"
    if seen is None and want is not None:
        faults = [line for line in output.splitlines() if line.startswith("bulkhead.toml:")]
        known = faults and all(any(word in line for word in ALLOWED) for line in faults)
        return None if known else f"refused: {output}"
    return None if seen == want else f"values differ: {seen} and {want}"


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    rng = random.Random(1)
    differences = accepted = 0
    for _ in range(count):
        data = make_text(rng)
        seen, output = ours(program, data)
        difference = judge(seen, output, data)
        accepted += seen is not None
        if difference:
            differences += 1
            print(f"# {data!r}: {difference}")
    good = differences == 0 and accepted > count // 10
    print(f"{'ok' if good else 'not ok'} 1 - same_as_tomllib # {count} texts, {accepted} accepted")
    print("1..1")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
