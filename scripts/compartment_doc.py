#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints docs/compartment.md, its table from tests/backdoor/acts.def, which program and system test share."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
ACT = re.compile(r'^ACT\(\w+, "([^"]*)", "([^"]*)"\)$', re.M)

HEAD = """\
# Compartments

Printed by `make docs`; do not edit. The text is scripts/compartment_doc.py's, the table tests/backdoor/acts.def's.

Each vCPU has a second context in guest mode, in which it runs a program of ours: the VM's compartment. It has a VMCS or
VMCB, a VPID or ASID and nested tables of its own. All that reads what a guest wrote runs there: its devices, the emulator,
the loading of its kernel. A mistake in it costs that guest alone.

## What it can reach

| what | where | rights |
|---|---|---|
| the guest's RAM | where the guest has it; at 100000000000h in the program's addresses, so that no null pointer meets it | read, write |
| the program, one copy for all VMs | from FFFFFFFF80000000h | code: read, execute; constants: read |
| its data | after the program | read, write |
| a slot for each vCPU: a stack between two holes, an exchange page | from FFFFFFFF80200000h | read, write |
| a page that says which disks and adapters the config gives the guest | after the slots | read, write: it is as the plan says at each start |
| files of the stick that are the guest's disks, or in its memory | above the guest's RAM | read |
| copies of what the guest has written to its disks | above the RAM | read, write |
| of each channel to another VM its own half, and the other's | above the RAM | its own: read, write; the other's: read |
| its page tables | from FFFFFFFF80300000h | read, write: the nested tables set the bounds |

Nothing else is in its nested tables: no core, no device, no other VM. `hv/monitor/audit_vm.c` compares each entry with that
list at the start. The guest's own tables map none of it but the RAM. Files are shared
by all guests whose config names them, channels by exactly two VMs ([devices.md](devices.md)). All else lies in the VM's own
memory, but for the program, and is as built at each start of the VM.

## What core and compartment say to each other

`hv/abi/compartment.h` is all of it: an exchange page for each vCPU, and a number in RAX. The core fills the page, writes
which of its upcalls it wants (`enum upcall`), and enters the compartment. The program does the work and calls the core
(VMCALL or VMMCALL) with `CORE_DONE`. It stays in a loop, so that an upcall goes on after its last call, and the core sets
up no registers.

| the core asks | when |
|---|---|
| START, LOAD | at each start of the VM: devices as after power-up; what the guest's first instruction finds |
| READ, WRITE | IN and OUT |
| MEMORY, STRING, TASK | an instruction touched what is not RAM; INS and OUTS; a task switch (VT-x) |
| LENGTH | a CPU does not tell an instruction's length, or not all of a MOV CR |
| SERVICE | the CPU's timer fired, or a device was set: what is due, and when the next is |
| ACKNOWLEDGE, END | the 8259s' vector is wanted; a level-triggered interrupt has ended in a local APIC |
| CHANNELS | another VM has rung, or the operator has set a link: what is in the halves of its channels is looked at |
| TYPE, DRAIN, POWER | a byte was typed; the console has room; the power button |
| CODE, PDPTES | the bytes at RIP for a report; are these tables of PAE paging good? |

| the compartment calls | and the core |
|---|---|
| DONE | goes on |
| TELL | takes what is told so far (below); for what has no room in one page |
| STATE | fills in eight registers, the segments and PKRU of its own vCPU |
| APIC_READ | gives a register of its own vCPU's local APIC, if that is in xAPIC mode |
| VECTOR_GET, VECTOR_SET | moves one of its vCPU's XMM registers |
| PCI | does one of seven things to a real device that the config gives the guest ([passthrough.md](passthrough.md)) |
| CONTROL | tells what is public of a guest that the config lets this one control, what has become of it, what its console shows; orders it about, types there ([control.md](control.md)) |

What the compartment tells is a bit each in the page, with its data: messages for local APICs, INTR has risen, a clock was
set, doorbells of channels to other VMs, bytes for the console, a write of the local APIC's page, an access where nothing is, registers to set, the end of the
run, something worth a line in the log. At the end there is the answer: how the guest goes on, an instruction's length,
general registers, an exception. What its devices have done, frames and requests, it counts in the page of vCPU 0; the core
copies that for `stats` and does nothing else with it.

## How it is judged

Nothing of that is believed. Each word is read once. A number selects from a table or ends the VM; a count has a most; a
message goes where the guest itself could have sent one; a register is set within a mask (hv/vm/told_state.c: RIP, RSP,
the flags, CR0.TS, CR3, DR7's local enables); an exception is one that an instruction raises; a length is at most 15.
A doorbell goes to the VM at
the other end of a channel that this one has, and to no other. What passes, the guest's own kernel could have done. tests/unit/test_requests.c answers a million upcalls at random under
the sanitizers.

Code there is built for general registers only; CR0.EM and TS are set, CR4 has PAE and MCE alone, EFER no SCE. So vector
registers, debug registers, XCR0 and PKRU stay the guest's in the CPU. There is no IDT: each exception exits before one is
needed. Host interrupts end its run and are taken; it goes on after them, but an upcall that takes more than a second
ends its VM. A VM that is to stop does not wait for its compartment.

## What a hostile one could try

A test builds the program with a back door (tests/backdoor), whose guest has it do each of these. All but what comes to
nothing end that VM as crashed: one line of the log says what it did, where, and for which exit; a crash report follows, and
`on_crash` decides. The neighbour's heart goes on. `tests/system/test_compartment.py` compares each line on all targets.

| it | the log says: its compartment |
|---|---|
"""


def main():
    text = (ROOT / "tests/backdoor/acts.def").read_text(encoding="ascii")
    rows = []
    for what, report in ACT.findall(text):
        told = " or ".join(re.sub(r"\.\*", " ... ", re.sub(r"\[([0-9]+)\]", r"[\1]", part))
                           for part in report.split("|")) or "nothing: it comes to nothing"
        rows.append(f"| {what} | {told} |")
    print(HEAD + "\n".join(rows))


main()
