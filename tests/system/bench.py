# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench: the exact number of instructions of one exit, counted in Bochs with one CPU.

guests/bench counts with RDTSC; the emulator's debugger then lists one exit of each kind, which gives the VMREADs
and VMWRITEs and checks the count. Prints a table, writes build/bench.json, and with --write-docs the table in
docs/performance.md.
"""
import argparse
import json
import os
import re
import sys

from frame import ROOT, Boot
from machine import Expected, target_named

CONFIG = """\
[guest.bench]
cpus = "0"
memory = "16M"
kernel = "guests/benchguest"
cmdline = "trace=1"
"""

# In the order of the guest's traces: name, text, aim, aim for VMREADs and VMWRITEs, KVM's and Xen's figure.
NOPS = "nops"
OPERATIONS = [
    (NOPS, "100 NOPs (self-check)", None, None, "100", "100"),
    ("cpuid", "CPUID", 120, (4, 2), "983", "892"),
    ("hypercall", "hypercall that does nothing", 120, (4, 2), "1,020", "886"),
    ("msr", "RDMSR IA32_APIC_BASE", 150, (4, 2), "1,099", "792"),
    ("port", "IN from an emulated port", 200, None, "1,243", "1,278"),
    ("xapic-page", "xAPIC page, read", None, None, "7,166", "no exit"),
    ("refused-msr", "refused RDMSR, up to the guest's #GP handler", 250, None, "-", "-"),
    ("x2apic", "x2APIC register, read (TPR)", 180, None, "-", "-"),
    ("x2apic-tpr-write", "x2APIC TPR, write", None, None, "no exit", "no exit"),
    ("x2apic-eoi", "x2APIC EOI, write", None, None, "1,179", "no exit"),
    ("timer-arm", "TSC-deadline timer, armed", None, None, "1,309", "1,725"),
]
TRACES = 3
START_AIM = 20_000_000
MARK = "<!-- bench: {} -->"
INSTRUCTION = re.compile(r"^\(0\)\.\[\d+\].*?\): (\S+)", re.M)


class Bench(Boot):
    name = "bench"

    def image(self):
        return self.make_stick({"guests/benchguest": self.guest_file("benchguest"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})


def debugger_script():
    """From breakpoint to breakpoint; every second stretch is traced. The last breakpoint ends the run."""
    return "c\n" + "trace on\nc\ntrace off\nc\n" * (len(OPERATIONS) * TRACES) + "q\n"


def run_bench(build):
    target = target_named("bochs-intel")
    boot = Bench(os.path.abspath(build), target, os.path.join(os.path.abspath(build), "test/bench"))
    boot.machine = target.start(boot.image(), boot.folder, cpus=1, debugger=debugger_script(),
                                magic=True)
    with boot.machine as machine:
        machine.expect(r"result nops", 240, "the bench guest to start")
        done = machine.expect(r".*?bench done", 600)
        results = {name: int(ticks) / 1000
                   for name, ticks in re.findall(r"result (\S+) (\d+)", "result nops" + done.group())}
        boot.view(0)
        first = machine.expect(r"bench: first instruction after (\d+) ticks \(scrub (\d+), copy "
                               r"(\d+)\)", 120)
        boot.view(1)
        machine.send("x")
        machine.process.wait(120)
    with open(os.path.join(boot.folder, "emulator.txt"), encoding="latin-1") as file:
        traces = re.findall(r"Tracing enabled.*?\n(.*?)Tracing disabled", file.read(), re.S)
    return results, traces, [int(n) for n in first.groups()]


def count_traces(traces):
    """The shortest of an operation's traces: another may hold a timer interrupt. Without the guest's own two."""
    counts = {}
    for i, operation in enumerate(OPERATIONS):
        lists = [INSTRUCTION.findall(t) for t in traces[i * TRACES:(i + 1) * TRACES]]
        if len(lists) == TRACES:
            names = min(lists, key=len)
            counts[operation[0]] = (len(names) - 2, names.count("vmread"), names.count("vmwrite"))
    return counts


def verdict(value, aim):
    return "" if aim is None else "ok" if value <= aim else "OVER"


def judge(results, counts):
    """Rows of the table and what makes the measurement itself doubtful."""
    rows, doubts = [], []
    for name, text, aim, accesses, kvm, xen in OPERATIONS:
        if name not in results:
            doubts.append(f"{text}: not measured")
            continue
        total, reads, writes = counts.get(name, (None, None, None))
        row = {"name": name, "text": text, "instructions": results[name], "aim": aim,
               "vmread": reads, "vmwrite": writes, "traced": total, "kvm": kvm, "xen": xen,
               "verdict": verdict(results[name], aim)}
        if accesses and reads is not None and (reads > accesses[0] or writes > accesses[1]):
            row["verdict"] = "OVER"
        rows.append(row)
        if total is None:
            doubts.append(f"{text}: no trace")
        elif name != NOPS and abs(total - results[name]) > 2:
            doubts.append(f"{text}: {results[name]:.3f} by the TSC, {total} in the trace")
    if results.get(NOPS) != 100:
        doubts.append(f"100 NOPs took {results.get(NOPS)}: the counting is wrong")
    return rows, doubts


def table(rows, start):
    ticks, scrub, copy = start
    own = ticks - scrub - copy
    lines = ["| one round trip | instructions | aim | VMREAD | VMWRITE | KVM | Xen | |",
             "|---|---:|---:|---:|---:|---:|---:|---|"]
    for r in rows:
        number = f"{r['instructions']:.3f}".rstrip("0").rstrip(".")
        shown = ["-" if v is None else str(v) for v in (r["aim"], r["vmread"], r["vmwrite"])]
        lines.append(f"| {r['text']} | {number} | {shown[0]} | {shown[1]} | {shown[2]} | {r['kvm']} | "
                     f"{r['xen']} | {r['verdict']} |")
    lines += ["", "| from the hypervisor's entry to the guest's first instruction | instructions |",
              "|---|---:|",
              f"| scrubbing the guest's memory | {scrub:,} |", f"| copying its files | {copy:,} |",
              f"| everything else | {own:,} |",
              f"| together (aim: {START_AIM:,}) {verdict(ticks, START_AIM)} | {ticks:,} |"]
    return "\n".join(lines)


def write_docs(text):
    path = os.path.join(ROOT, "docs/performance.md")
    with open(path, encoding="utf-8") as file:
        page = file.read()
    begin, end = MARK.format("begin"), MARK.format("end")
    page = page[:page.index(begin)] + begin + "\n" + text + "\n" + page[page.index(end):]
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--write-docs", action="store_true")
    args = parser.parse_args()
    try:
        results, traces, start = run_bench(args.build)
    except Expected as failure:
        sys.exit(f"bench: expected {failure.expected}; seen:\n{failure.seen[-2000:]}")
    rows, doubts = judge(results, count_traces(traces))
    text = table(rows, start)
    print(text)
    with open(os.path.join(args.build, "bench.json"), "w", encoding="ascii") as file:
        json.dump({"operations": rows, "start": dict(zip(("ticks", "scrub", "copy"), start)),
                   "doubts": doubts}, file, indent=1)
    for doubt in doubts:
        print("doubtful: " + doubt)
    if args.write_docs and not doubts:
        write_docs(text)
    return 1 if doubts else 0


if __name__ == "__main__":
    sys.exit(main())
