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
VMCB, a VPID or ASID and nested tables of its own. What reads what a guest wrote is going to run there, so that a mistake
in it costs that guest alone. Today the program loads the guest's kernel and answers an upcall that does nothing, which is
there to be measured; the devices and the emulator are cut loose from the core (hv/compartment) but still linked into it.

## What it can reach

| what | where | rights |
|---|---|---|
| the guest's RAM | where the guest has it; at 100000000000h in the program's addresses, so that no null pointer meets it | read, write |
| the program, one copy for all VMs | from FFFFFFFF80000000h | code: read, execute; constants: read |
| its data | behind the program | read, write |
| a slot for each vCPU: a stack between two holes, an exchange page | from FFFFFFFF80200000h | read, write |
| its page tables | from FFFFFFFF80300000h | read, write: the nested tables set the bounds |

Nothing else is in its nested tables: no core, no device, no other VM. `hv/monitor/audit_vm.c` compares each entry with that
list at the start. The guest's own tables map none of it but the RAM. All of it lies in the VM's own budget, but for the
program, and is as built at each start of the VM.

## What core and compartment say to each other

`hv/abi/compartment.h` is all of it. The core writes the upcall into the exchange page and enters the compartment. The
program calls the core (VMCALL or VMMCALL) with a number in RAX: `CORE_DONE`, and so far no other. It stays in a loop, so
that an upcall goes on behind its last call, and the core sets up no registers.

Code there is built for general registers only; CR0.EM and TS are set, CR4 has PAE and MCE alone, EFER no SCE. So vector
registers, debug registers, XCR0 and PKRU stay the guest's in the CPU. There is no IDT: each exception exits before one is
needed. Host interrupts end its run and are taken; it goes on behind them, but an upcall that takes more than a second
ends its VM. A VM that is to stop does not wait for its compartment.

`UPCALL_LOAD` comes at each start of the VM, on vCPU 0, before the guest's first instruction, again and again until its
answer is not "more" (hv/abi/load.h). The core puts into the exchange page what CPUID says, which the program may not ask
itself. It takes one number back. A number that names no fault, or "more" more often than moving all of low RAM twice
takes, ends the VM as crashed; a number that names one gives a line of the log whose words are the core's.

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
