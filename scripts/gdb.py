# SPDX-License-Identifier: GPL-2.0-or-later
"""Bulkhead's commands for gdb; docs/debugging.md shows a session.

    gdb -x scripts/gdb.py -ex 'target remote :1234'

bulkhead-load [BASE]  symbols, loaded where the text lies; BASE as the log tells it ("text at 0x..."), without it as
                      build/run/serial.txt of `make run` has it
bulkhead-vcpus        each virtual CPU: guest, state, its CPU, requests, exits
bulkhead-vcpu CPU     the struct vcpu of that host CPU; $vcpu is it afterwards
bulkhead-vmcb CPU     AMD-V: its VMCB; $vmcb is it afterwards
"""
import re

import gdb

ELF, LOG = "build/bulkhead.elf", "build/run/serial.txt"


def read_all_memory():
    """No CPU's page tables have more than its own guest: QEMU reads by physical address, which is the same here."""
    try:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    except gdb.error:
        pass            # not QEMU: what is not mapped is said to be so


def value(expression):
    return gdb.parse_and_eval(expression)


def find_base():
    try:
        with open(LOG, encoding="latin-1") as file:
            found = re.findall(r"text at (0x[0-9a-f]+)", file.read())
    except OSError:
        found = []
    if not found:
        raise gdb.GdbError(f'no "text at 0x..." in {LOG}: give BASE as the log tells it')
    return found[-1]


def vcpu_of(argument):
    read_all_memory()
    if not argument.strip():
        raise gdb.GdbError("which host CPU?")
    vcpu = value(f"vcpu_of_cpu[{argument}]")
    if int(vcpu) == 0:
        raise gdb.GdbError(f"CPU {argument} has no guest")
    return vcpu


def flag_names(number, enumeration):
    """The enumerators whose bits are set, without what their names have in common."""
    names = [f.name for f in gdb.lookup_type(enumeration).fields() if number & f.enumval]
    return " ".join(n.split("_", 1)[1].lower() for n in names) or "-"


class Command(gdb.Command):
    def __init__(self, name, run):
        super().__init__(name, gdb.COMMAND_DATA)
        self.run = run
        self.__doc__ = run.__doc__

    def invoke(self, argument, from_tty):
        self.run(argument)


def load(argument):
    """Loads the symbols where the text lies: bulkhead-load [BASE]."""
    base = argument.strip() or find_base()
    gdb.execute("symbol-file")
    gdb.execute(f"symbol-file {ELF} -o {base}")


def show_vcpus(_):
    """Lists each virtual CPU with guest, state, host CPU, requests and exits."""
    read_all_memory()
    names = {f.enumval: f.name for f in gdb.lookup_type("enum vm_state").fields()}
    for cpu in range(int(value("percpu_count"))):
        vcpu = value(f"vcpu_of_cpu[{cpu}]")
        if int(vcpu) == 0:
            continue
        v, vm = vcpu.dereference(), vcpu["vm"]["public"].dereference()
        public = v["public"]
        exits = sum(int(public["exits"][i]) for i in range(public["exits"].type.range()[1] + 1))
        state = names.get(int(vm["state"]), "?").split("_", 1)[1].lower()
        print(f"cpu {cpu}: {vm['name'].string()} vcpu {int(v['index'])}  {state}"
              f"{' halted' if v['halted'] else ''}  requests {flag_names(int(public['requests']), 'enum vcpu_request')}"
              f"  exits {exits}  struct vcpu at {int(vcpu):#x}")


def show_vcpu(argument):
    """Prints the struct vcpu of a host CPU: bulkhead-vcpu CPU."""
    gdb.set_convenience_variable("vcpu", vcpu_of(argument))
    gdb.execute("print *$vcpu")


def show_vmcb(argument):
    """Prints the VMCB of a host CPU's guest (AMD-V): bulkhead-vmcb CPU."""
    if value("hvm->name").string() != "AMD-V":
        raise gdb.GdbError("only AMD-V has a VMCB; a VMCS has no form that is known: stop where vmx/ reads it")
    vmcb = vcpu_of(argument)["vendor"].cast(gdb.lookup_type("struct vmcb").pointer())
    gdb.set_convenience_variable("vmcb", vmcb)
    gdb.execute("print -pretty on -repeats 4 -- /x *$vmcb")


Command("bulkhead-load", load)
Command("bulkhead-vcpus", show_vcpus)
Command("bulkhead-vcpu", show_vcpu)
Command("bulkhead-vmcb", show_vmcb)
gdb.execute("set confirm off")
gdb.execute("set architecture i386:x86-64")
