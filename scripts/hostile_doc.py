#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints docs/hostile.md from guests/hostile/acts.def, the table that guest and system test share."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
ACT = re.compile(r'^ACT\((\w+), (\w+), "([^"]*)", "([^"]*)", "([^"]*)"\)$')
GROUPS = {"insn": "Instructions", "cr": "Control registers", "msr": "Model-specific registers", "ports": "Ports",
          "memory": "Memory", "interrupts": "Interrupts", "platform": "Devices", "console": "The console",
          "bus": "The PCI bus", "virtio": "A virtio device", "sockets": "A socket device",
          "terminal": "The virtio console", "msix": "MSI-X", "stop": "What ends the guest",
          "reset": "Resets", "hang": "What never ends"}

HEAD = """\
# The hostile guest

Printed by `make docs` from `guests/hostile/acts.def`; do not edit. A guest (`guests/hostile`) does {count} forbidden or
odd things. Each has one outcome, the manual's or Bulkhead's policy, and `tests/system/test_hostile.py` compares both
sides with this table: what the guest saw, and what the hypervisor recorded. Meanwhile a second guest's heart beats every
100 ms on a CPU of its own; it measures by its own clock, and no beat may be missed or late.

The record is what the operator's `stats` shows, read before and behind each act. Counters that end in `-denied`, and exits
by hypercalls, control registers, caches and task switches, must rise by exactly what stands here, and by nothing where
they do not; exits by CPUID exactly, where they are named. Other exits are made by the guest's console as well, and must
rise by at least that. "As told": by as many as the guest counted itself. VT-x or AMD-V before a counter: with the other
vendor's CPU nothing is recorded, for the CPU deals with it alone. Where an emulator is wrong, or looks at what an act
does in another order, the test names the act and the reason.
"""


def record_text(group, record):
    if group in ("stop", "reset"):
        return f"log: `{record}`"
    parts = []
    for part in filter(None, record.split(", ")):
        only, _, rest = part.rpartition(":")
        counter, _, number = rest.rpartition(" ")
        number = "as told" if number == "told" else number
        parts.append({"vmx": "VT-x: ", "svm": "AMD-V: ", "": ""}[only] + f"{counter} {number}")
    return ", ".join(parts) or "nothing"


def main():
    text = (ROOT / "guests/hostile/acts.def").read_text(encoding="ascii")
    body, group, count = [], None, 0
    for line in text.split("\n"):
        match = ACT.match(line)
        if not match:
            continue
        if match[1] != group:
            group = match[1]
            body += ["", f"## {GROUPS[group]}", "", "| act | the guest sees | recorded |", "|---|---|---|"]
        count += 1
        body.append(f"| {match[3]} | {match[4] or '-'} | {record_text(group, match[5])} |")
    print(HEAD.format(count=count) + "\n".join(body))


main()
