# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench: the exact number of instructions of one exit, counted in emulators with one CPU.

guests/bench counts with RDTSC. In Bochs the debugger then lists one exit of each kind, which gives the slow
instructions among them and checks the count; QEMU with -icount has no such list. Prints a table, writes
build/bench.json, and with --write-docs the tables in docs/performance.md.
"""
import argparse
import bisect
import collections
import concurrent.futures
import itertools
import json
import os
import re
import subprocess
import sys

from frame import ROOT, Boot
from machine import Expected, Machine, target_named

CONFIG = """\
[guest.bench]
cpus = "{cpus}"
memory = "16M"
kernel = "guests/benchguest"
cmdline = "{cmdline}"
"""

# A column group. slow: what is counted in the trace, as mnemonics. aids: the CPU tells an instruction's length.
Column = collections.namedtuple("Column", "target title slow aids peers")
COLUMNS = [
    Column("bochs-intel", "VT-x", ("vmread", "vmwrite", "vmptrld", "wrmsr"), True, "vtx"),
    Column("bochs-amd", "AMD-V", ("vmload", "vmsave", "stgi", "clgi", "mov cr3", "vmrun", "wrmsr"), True, "amd"),
    Column("qemu-tcg", "AMD-V without next-RIP save", None, False, None),
]
# What the flight recorder (12) and the limit of exits (2) may cost at each exit: on top of the aims, which are older.
RECORDER = 12 + 2
# What a device in the compartment may cost: a port read; by memory, the local APIC's page and the I/O APIC.
PORT_AIM, PAGE_AIM, IOAPIC_AIM = 330 + RECORDER, 480 + RECORDER, 520 + RECORDER
DOORBELL_AIM = 300 + RECORDER
# What finding an instruction's length may cost where the CPU does not tell: an upcall that reads and decodes it.
LENGTH_AIM = 300

# In the order of the guest's traces. decoded: its length has to be known. slow_aim: by a column's title. vtx, amd: what
# KVM and Xen take.
# traced: it has a place in the guest's list of traces; what waits for an interrupt has none. beyond: less this row.
Operation = collections.namedtuple("Operation", "name text aim decoded slow_aim vtx amd traced beyond",
                                   defaults=(None, False, {}, ("-", "-"), ("-", "-"), True, None))
NOPS = "nops"
ASSISTED = "cr8-write-assisted"
OPERATIONS = [
    Operation(NOPS, "100 NOPs (self-check)", vtx=("100", "100"), amd=("100", "100")),
    Operation("cpuid", "CPUID", 120 + RECORDER, True, {"VT-x": (4, 2)}, ("983", "892"), ("1,165", "738")),
    Operation("hypercall", "hypercall that does nothing", 120 + RECORDER, True, {"VT-x": (4, 2)},
              ("1,020", "886"), ("1,218", "714")),
    Operation("upcall", "an upcall that does nothing, there and back", 150, beyond="hypercall"),
    Operation("msr", "RDMSR IA32_APIC_BASE", 150 + RECORDER, True, {"VT-x": (4, 2)},
              ("1,099", "792"), ("1,234", "655")),
    Operation("port", "IN from an emulated port", PORT_AIM, vtx=("1,243", "1,278"), amd=("1,412", "1,097")),
    Operation("xapic-page", "xAPIC page, read (TPR)", PAGE_AIM, vtx=("7,166", "no exit"), amd=("3,587", "14,134")),
    Operation("xapic-page-write", "xAPIC page, write (TPR)", PAGE_AIM, vtx=("-", "no exit")),
    Operation("xapic-eoi", "xAPIC page, write (EOI)", PAGE_AIM, vtx=("-", "no exit")),
    Operation("ioapic", "I/O APIC, read by MMIO", IOAPIC_AIM, vtx=("3,781", "14,541"), amd=("3,751", "14,840")),
    Operation("pic", "8259, read of its mask", PORT_AIM, vtx=("1,243", "1,278"), amd=("1,412", "1,097")),
    Operation("pic-write", "8259, write of its mask"),
    Operation("doorbell", "a virtio doorbell that finds nothing to do", DOORBELL_AIM, amd=("1,600", "-")),
    Operation("refused-msr", "refused RDMSR, up to the guest's #GP handler", 250, True),
    Operation("x2apic", "x2APIC register, read (TPR)", 180, True),
    Operation("x2apic-tpr-write", "x2APIC TPR, write", None, True, {},
              ("no exit", "no exit"), ("1,334", "712")),
    Operation("x2apic-eoi", "x2APIC EOI, write", None, True, {},
              ("1,179", "no exit"), ("1,331", "790")),
    Operation("x2apic-icr", "x2APIC ICR, write (to nobody)", None, True),
    Operation("timer-arm", "TSC-deadline timer, armed", None, True, {},
              ("1,309", "1,725"), ("1,883", "1,585")),
    Operation("cr8-read", "CR8, read", 5),
    Operation("cr8-write", "CR8, write", 5),
    Operation("cr8-write-held", "CR8, write while it holds an interrupt back", 250 + RECORDER, True),
    Operation(ASSISTED, "the same, less the upcall, of which CPUs with decode assists have no need", 250 + RECORDER,
              traced=False),
    Operation("self-ipi", "x2APIC self-IPI, sent, taken and ended", 350, True, {},
              ("4,064", "1,407"), ("4,440", "2,152")),
    Operation("timer-expiry", "timer, from expiry to the handler", 600, traced=False),
    Operation("ipi", "IPI between two vCPUs, from the command to the handler", traced=False),
    Operation("ipi-hlt", "the same to a vCPU in HLT", traced=False),
    Operation("hlt-wake", "timer, from expiry to the handler of a guest in HLT", traced=False),
]
TRACED = [operation for operation in OPERATIONS if operation.traced]
PAIR = ("ipi", "ipi-hlt")
TRACES = 3
START_AIM = 7_000_000         # without scrubbing
MARK = "<!-- bench: {} -->"
# The debugger cannot show the guest's own instructions under AMD's nested paging: "???" then.
# The number of the instruction, its address, its mnemonic, its bytes.
ADDRESS = re.compile(r"^\(0\)\.\[(\d+)\] \[0x([0-9a-f]+)\] .*?: ([a-z]+)[^;]*; ([0-9a-f]+)$", re.M)
INSTRUCTION = re.compile(r"^\(0\)\.\[\d+\](?:.*?\): ([^;\n]*)| \?\?\?)", re.M)


class Symbols:
    """Of a program that lies at base: which function an address is in."""

    def __init__(self, path, base):
        names = subprocess.run(["nm", "-n", path], stdout=subprocess.PIPE, check=True, text=True).stdout
        found = [(int(address, 16), name) for address, kind, name in re.findall(r"([0-9a-f]+) ([tT]) (\S+)", names)]
        self.base, self.starts, self.names = base, [a for a, _ in found], [n for _, n in found]
        self.names_at = dict(found)

    def function(self, address):
        place = bisect.bisect_right(self.starts, address - self.base) - 1
        return self.names[place] if place >= 0 else "?"

    def __contains__(self, address):
        return self.base <= address < self.base + self.starts[-1]

    def begins(self, address):
        """The function that begins there."""
        return self.names_at.get(address - self.base)

    def address(self, name):
        return self.base + self.starts[self.names.index(name)]


class Bench(Boot):
    name = "bench"

    cpus, cmdline = "0", "trace={trace}"

    def image(self):
        config = CONFIG.format(cpus=self.cpus, cmdline=self.cmdline.format(trace=int(has_debugger(self.target))))
        return self.make_stick({"guests/benchguest": self.guest_file("benchguest"),
                                "bulkhead/bulkhead.toml": config.encode()})


class PairBench(Bench):
    """What takes two CPUs, which the emulators run in turns: exact to a turn's length only."""
    name = "bench-pair"
    cpus, cmdline = "0-1", "pair=1"


def has_debugger(target):
    return target.name.startswith("bochs")


def debugger_script():
    """From breakpoint to breakpoint; every second stretch is traced. The last breakpoint ends the run."""
    return "c\n" + "trace on\nc\ntrace off\nc\n" * (len(TRACED) * TRACES) + "q\n"


def results_of(machine):
    machine.expect(r"result ", 400, "the bench guest to start")
    done = machine.expect(r".*?bench done", 600)
    return {name: int(ticks) / 1000 for name, ticks in re.findall(r"result (\S+) (\d+)", "result " + done.group())}


def run_pair(build, target):
    """In Bochs: QEMU that counts instructions starts no second CPU within the guest's patience."""
    if not has_debugger(target):
        return {}
    boot = PairBench(build, target, os.path.join(build, "test", target.name, "bench-pair"))
    with target.start(boot.image(), boot.folder, cpus=2) as machine:
        return results_of(machine)


def run_bench(build, column):
    """What one target says: (name -> instructions, traces, (all, scrub, copy, load) ticks of the start)."""
    target = target_named(column.target)
    if target.why_not():
        raise Expected(f"{target.name} to be there: {target.why_not()}", "")
    build = os.path.abspath(build)
    boot = Bench(build, target, os.path.join(build, "test", target.name, "bench"))
    options = ({"debugger": debugger_script(), "magic": True} if has_debugger(target)
               else {"icount": 0})
    boot.machine = target.start(boot.image(), boot.folder, cpus=1, **options)
    with boot.machine as machine:
        results = results_of(machine)
        boot.view(0)
        first = machine.expect(r"\[ *([0-9.]+)\] cpu\d+ bench: first instruction after [0-9.]+ ms "
                               r"\(scrub ([0-9.]+), copy ([0-9.]+), load ([0-9.]+)\)", 120)
        khz = int(re.search(r"TSC (\d+) kHz", machine.serial.text).group(1))
        if has_debugger(target):
            boot.view(1)
            machine.send("x")
            machine.process.wait(120)
    results.update(run_pair(build, target))
    with open(os.path.join(boot.folder, "emulator.txt"), encoding="latin-1") as file:
        traces = re.findall(r"Tracing enabled.*?\n(.*?)Magic breakpoint.*?Tracing disabled", file.read(), re.S)
    write_without_upcall(build, machine.serial.text, traces, results)
    together, *parts = (float(n) for n in first.groups())     # seconds since the entry; milliseconds
    return results, traces, [int(n * khz) for n in (together * 1000, *parts)]


def calls(trace, symbols, caller, callee):
    """How many instructions a trace has in a function that another one's last jump went to, with all that it calls."""
    first = back = None
    for (at, address, name, code), (_, then, _, _) in itertools.pairwise(ADDRESS.findall(trace)):
        if first is None and name == "call" and symbols.begins(int(then, 16)) == caller:
            back = int(address, 16) + len(code) // 2
        if first is None and symbols.begins(int(address, 16)) == callee:
            first = int(at)
        if first is not None and int(address, 16) == back:
            return int(at) - first
    return None


def write_without_upcall(build, text, traces, results):
    """Bochs's CPUs have no decode assists. What they spare is the way to the instruction's register: the list tells."""
    place = [operation.name for operation in TRACED].index("cr8-write-held") * TRACES
    base = int(re.search(r"text at 0x([0-9a-f]+)", text).group(1), 16)
    symbols = Symbols(os.path.join(build, "bulkhead.elf"), base)
    upcalls = [calls(trace, symbols, "svm_read_details", "svm_find_length") for trace in traces[place:place + TRACES]]
    if all(upcalls) and upcalls:
        results[ASSISTED] = results["cr8-write-held"] - min(upcalls)


def count_traces(traces, slow):
    """
    name -> (length, how many of each slow instruction), of the shortest of an operation's traces: another may hold a
    timer interrupt. Without the breakpoint at the end.
    """
    counts = {}
    for i, operation in enumerate(TRACED):
        lists = [INSTRUCTION.findall(t) for t in traces[i * TRACES:(i + 1) * TRACES]]
        if len(lists) == TRACES:
            texts = min(lists, key=len)
            counts[operation.name] = (len(texts) - 1, [sum(t.startswith(s) for t in texts) for s in slow])
    return counts


def has_exit(column, slow):
    """Of what was counted in a trace: anything that a guest does not execute itself?"""
    return any(n for name, n in zip(column.slow, slow) if name != "wrmsr")


def judge(column, results, traces):
    """A row for each operation, and what makes the measurement itself doubtful."""
    rows, doubts = {}, []
    counts = count_traces(traces, column.slow) if column.slow else {}
    for op in OPERATIONS:
        if op.name not in results:
            if not column.slow and op.name in PAIR or column.peers != "amd" and op.name == ASSISTED:
                continue
            doubts.append(f"{op.text}: not measured")
            continue
        taken = results[op.name]
        told = taken - results.get(op.beyond, 0)
        aim = op.aim and op.aim + LENGTH_AIM * (op.decoded and not column.aids)
        length, slow = counts.get(op.name, (None, None))
        rows[op.name] = {"instructions": told, "aim": aim, "traced": length, "slow": slow,
                         "over": aim is not None and told > aim
                         or any(n > most for n, most in zip(slow or [], op.slow_aim.get(column.title, [])))}
        if op.traced and column.slow and length is None:
            doubts.append(f"{op.text}: no trace")
        # Without an exit: what Bochs's virtual APIC does behind a write is one more to the TSC, none in the trace. The
        # guest's own WRMSR is in the list, too.
        elif length is not None and length != taken and (has_exit(column, slow) or taken != length + 1):
            doubts.append(f"{op.text}: {taken:.3f} by the TSC, {length} in the trace")
    if results.get(NOPS) != 100:
        doubts.append(f"100 NOPs took {results.get(NOPS)}: the counting is wrong")
    return rows, doubts


def number(value):
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def cells_of(column, op, row):
    """A row's cells in one column group."""
    if row is None:
        cells = ["-"]
    else:
        cells = [number(row["instructions"]) + (f" OVER {row['aim']}" if row["over"] else "")]
    if column.slow:
        slow = row and row["slow"]
        cells.append(" ".join(map(str, slow)) if slow else "-")
    return cells + list(getattr(op, column.peers) if column.peers else ())


def titles_of(column):
    cells = [column.title]
    if column.slow:
        cells.append(" ".join(s.upper() for s in column.slow))
    return cells + [f"{peer}, {column.title}" for peer in ("KVM", "Xen") if column.peers]


def markdown(titles, lines):
    rows = [titles, ["---"] + ["---:"] * (len(titles) - 1)] + lines
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def tables(measured):
    """measured: (column, rows, start) of each target that ran. QEMU's start says nothing: its waits are counted."""
    columns = [m[0] for m in measured]
    lines = [[op.text, str(op.aim or "-")] + [cell for column, rows, _ in measured
                                              for cell in cells_of(column, op, rows.get(op.name))]
             for op in OPERATIONS]
    titles = ["one round trip", "aim"] + [t for column in columns for t in titles_of(column)]
    starts = [start for column, _, start in measured if column.slow]
    parts = [("scrubbing the guest's memory", lambda all_, scrub, copy, load: scrub),
             ("copying its files", lambda all_, scrub, copy, load: copy),
             ("its compartment, which loads its kernel", lambda all_, scrub, copy, load: load),
             ("everything else", lambda all_, scrub, copy, load: all_ - scrub - copy - load),
             ("together", lambda all_, scrub, copy, load: all_)]
    start = [[text] + [number(part(*s)) for s in starts] for text, part in parts]
    rest = [all_ - scrub for all_, scrub, copy, load in starts]
    start.append([f"without scrubbing (aim: {START_AIM:,})"]
                 + [number(n) + (" OVER" if n > START_AIM else "") for n in rest])
    return (markdown(titles, lines) + "\n\n"
            + markdown(["from the hypervisor's entry to the guest's first instruction"]
                       + [c.title for c in columns if c.slow], start))


def write_docs(text, mark=MARK):
    path = os.path.join(ROOT, "docs/performance.md")
    with open(path, encoding="utf-8") as file:
        page = file.read()
    begin, end = mark.format("begin"), mark.format("end")
    page = page[:page.index(begin)] + begin + "\n" + text + "\n" + page[page.index(end):]
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def measure(build, columns):
    """Runs the targets side by side: (column, rows, start) of those that gave numbers, and all doubts."""
    measured, doubts = [], []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [(column, pool.submit(run_bench, build, column)) for column in columns]
        for column, run in runs:
            try:
                results, traces, start = run.result()
            except Expected as failure:
                doubts.append(f"{column.target}: expected {failure.expected}; seen:\n{failure.seen[-2000:]}")
                continue
            except BaseException:
                Machine.stop_all()
                raise
            rows, found = judge(column, results, traces)
            measured.append((column, rows, start))
            doubts += [f"{column.target}: {doubt}" for doubt in found]
    return measured, doubts


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--target", action="append", choices=[c.target for c in COLUMNS])
    parser.add_argument("--write-docs", action="store_true")
    args = parser.parse_args()
    columns = [c for c in COLUMNS if c.target in (args.target or [c.target])]
    measured, doubts = measure(args.build, columns)
    text = tables(measured)
    print(text)
    with open(os.path.join(args.build, "bench.json"), "w", encoding="ascii") as file:
        json.dump({"targets": {column.target: {"operations": rows, "start": dict(
            zip(("ticks", "scrub", "copy", "load"), start))} for column, rows, start in measured},
                   "doubts": doubts}, file, indent=1)
    for doubt in doubts:
        print("doubtful: " + doubt)
    if args.write_docs and not doubts and columns == COLUMNS:
        write_docs(text)
    return 1 if doubts else 0


if __name__ == "__main__":
    sys.exit(main())
