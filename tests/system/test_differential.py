# SPDX-License-Identifier: GPL-2.0-or-later
"""The same privileged acts on every target: guests/differ prints a line for each, "act NAME = WHAT CAME OF IT".

Differential boots that guest alone and judges its trace; Compare, after all other boots, holds the traces of all
targets against each other. Two tables say where a trace may be different, and why; an entry that is not true any more
is a failure too.
"""
import glob
import hashlib
import itertools
import os
import re

from frame import Boot, check, expect_that

CONFIG = """\
[hypervisor]
console = "com1"

[guest.differ]
cpus = "0"
memory = "32M"
kernel = "guests/differguest"
on_crash = "stop"
"""

# Where a CPU model or a vendor has an answer of its own: pattern of act names, "vendor" or "model", why.
# "vendor" entries are judged once both vendors have run, "model" entries once two targets have.
MODELS = [
    (r"cpuid (0|80000000)\.0 e[bcd]x", "vendor", "the vendor's name; AMD repeats it in leaf 80000000h"),
    (r"cpuid 1\.0 eax", "model", "family, model, stepping"),
    (r"cpuid 2\.0 e[abd]x", "vendor", "cache descriptors are Intel's"),
    (r"cpuid 4\.[0-3] e..", "model", "caches, as each model has them"),
    (r"cpuid 1\.0 e[cd]x", "model", "the model's feature bits"),
    (r"cpuid 7\.0 e[bcd]x", "model", "the model's feature bits"),
    (r"cpuid d\.0 e[ac]x", "model", "protection keys are a component of XSAVE, where there are any"),
    (r"cpuid d\.9 e[ab]x", "model", "the same, its size and place"),
    (r"cpuid d\.1 eax", "model", "the XSAVE instructions it has"),
    (r"cpuid d\.1 ebx", "model", "size of the compacted area, where there is one"),
    (r"cpuid 80000001\.0 eax", "vendor", "AMD repeats family, model, stepping"),
    (r"cpuid 80000001\.0 e[cd]x", "model", "the model's feature bits"),
    (r"cpuid 8000000[234]\.0 e..", "model", "the model's name"),
    (r"cpuid 8000000[56]\.0 e..", "model", "caches, as each model has them"),
    (r"cpuid 80000007\.0 edx", "model", "invariant TSC, or not"),
    (r"cpuid 80000000\.0 eax", "vendor", "AMD has more leaves"),
    (r"cpuid 8000001d\.[0-3] e..", "model", "caches, as each AMD model has them"),
    (r"rdmsr c00100(00|10|15|1f|55)", "vendor", "a counter, SYSCFG, HWCR, NB_CFG, interrupt pending: what Linux reads on AMD"),
    (r"lock mov cr0", "vendor", "AMD CPUs take it for CR8, whatever CPUID says"),
    (r"CPL 3: (vmrun|vmload|vmsave|stgi|clgi|invlpga|skinit)", "vendor",
     "an AMD CPU runs guests with EFER.SVME set, so it checks the privilege first: #GP"),
]

# Where an emulator is known to be wrong: pattern of act names, targets, why.
TCG, BOCHS_SVM = ("qemu-tcg",), ("bochs-amd",)
SOMETIMES = "at times: "        # how the reason begins of what depends on when a host interrupt comes
EMULATORS = [
    (r"self-IPI pending, sti cli", ("bochs-intel",),
     SOMETIMES + "its APIC virtualization forgets IF for a virtual interrupt while a host interrupt waits"),
    (r"rdmsr 277", TCG, "does not switch PAT with nested paging"),
    (r"wrmsr (SYSENTER_EIP|LSTAR|FS base) not canonical", TCG, "does not look at the address"),
    (r"wrmsr PAT, reserved type", TCG, "does not look at the types"),
    (r"tsc as an MSR", TCG, "RDMSR of the TSC gives 0"),
    (r"cr0 bit (32|63)", TCG, "cuts CR0 to 32 bits"),
    (r"cr8 16|cr8 from rsp|rf of cr8 16", TCG, "cuts CR8 to 4 bits"),
    (r"dr6 all|dr7 reserved bits", TCG, "keeps reserved bits"),
    (r"mov ss from a breakpoint, cpuid", TCG, "MOV SS does not hold #DB back"),
    (r"rf cleared by nop", TCG, "RF lasts for more than one instruction"),
    (r"rf of #UD", TCG, "does not push RF"),
    (r"(CPL 3: )?int1", TCG, "does not know INT1"),
    (r"int 80h without gate", TCG, "counts an IDT entry as 16 in the error code"),
    (r"CPL 3: int 41h", TCG, "counts an IDT entry as 16 in the error code"),
    (r"(#UD|monitor) without gate", TCG, "the same, and no EXT bit in it"),
    (r"#SS", TCG, "non-canonical on the stack is #GP"),
    (r"refused rdmsr without gate", TCG, "an injected #GP and #NP make no #DF"),
    (r"self-IPI pending, sti mov ss, cpuid", TCG,
     "the host's STI before VMRUN shadows the guest's next instruction; MOV SS shadows none"),
    (r"xcr0 1b", TCG, "XSETBV cannot be intercepted"),
    (r"CPL 3: #AC", TCG, "does not know #AC"),
    (r"dr7\.gd", TCG, "does not know DR7.GD"),
    (r"nmi sent in the nmi handler", BOCHS_SVM,
     "gives the host no interrupt before the guest has changed IF: the second NMI waits for an exit"),
    (r"data breakpoint|code breakpoints, cpuid|dr7\.gd|step cr8", BOCHS_SVM,
     "an intercepted #DB does not write DR6"),
    (r"mov ss from a breakpoint, cpuid", BOCHS_SVM, "an exit loses the #DB held back"),
]

# The tables above say where and why; this file, to the letter what each target answers there: "TARGET: ACT = ANSWER".
# Of what an emulator gets wrong at times only, the wrong answer.
# BULKHEAD_WRITE_ANSWERS=1 writes what the targets say now, for a look at the change.
ANSWERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "answers.txt")
ANSWER = re.compile(r"([\w-]+): (.+?) = (.*)")

STOPPED = r"BULKHEAD PANIC[^\r\n]*|error: stopped[^\r\n]*"

BUILT = ("BOOTX64.EFI", "guests/differguest")


def fingerprint(build):
    """Traces of another build say nothing of this one."""
    digest = hashlib.sha256()
    for name in BUILT:
        with open(os.path.join(build, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def traces_of(build):
    """target -> {act: what came of it}, of this build."""
    mark, traces = fingerprint(build), {}
    for path in sorted(glob.glob(os.path.join(build, "test", "*", "differential", "trace.txt"))):
        with open(path, encoding="ascii") as file:
            first, *lines = file.read().splitlines()
        if first == mark:
            traces[path.split(os.sep)[-3]] = dict(line.split(" = ", 1) for line in lines)
    return traces


def answers_of(target):
    """{act: answer} of the file; empty for a target that is not in it, whose CPU is that of the PC at hand."""
    with open(ANSWERS, encoding="ascii") as file:
        lines = [ANSWER.fullmatch(line.rstrip("\n")) for line in file if not line.startswith("#")]
    return {line[2]: line[3] for line in lines if line[1] == target}


def write_answers(target, answers):
    with open(ANSWERS, encoding="ascii") as file:
        lines = list(file)
    head = [line for line in lines if line.startswith("#")]
    answers = {**{act: known for act, known in answers_of(target).items() if is_sometimes(act, target)}, **answers}
    kept = [line for line in lines if not line.startswith(("#", target + ": "))]
    lines = sorted(kept + [f"{target}: {act} = {answer}\n" for act, answer in answers.items()])
    with open(ANSWERS, "w", encoding="ascii") as file:
        file.writelines(head + lines)


def emulator_entry(act, target):
    return next((e for e in EMULATORS if target in e[1] and re.fullmatch(e[0], act)), None)


def is_sometimes(act, target):
    """Does the emulator get it wrong at times only?"""
    entry = emulator_entry(act, target)
    return entry is not None and entry[2].startswith(SOMETIMES)


class Differential(Boot):
    name = "differential"
    seconds = 40
    machine_cpus = 2

    def __init__(self, *args):
        super().__init__(*args)
        self.acts, self.wanted = {}, {}
        self.path = os.path.join(self.folder, "trace.txt")

    def image(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        return self.make_stick({"guests/differguest": self.guest_file("differguest"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    @check("every act is told", required=True)
    def complete(self):
        self.machine.expect(rf"console 1/1: differ|{STOPPED}", 240, "the focus to move to the guest")
        self.machine.expect(rf"ready>|{STOPPED}", 60, "the guest to be ready")
        self.machine.send("\r")
        begun = self.machine.expect(rf"# differ\r?\n|{STOPPED}", 60, "the guest to begin")
        start = begun.end()
        done = self.machine.expect(rf"(?m)^done: (.*?)\r?\n|{STOPPED}", 240, "the guest to come to its end")
        lines = self.machine.serial.text[start:done.start()].replace("\r", "").splitlines()
        numbers = re.fullmatch(r"differ (\d+) acts, (\d+) wrong", done.group(1) or "")
        expect_that(numbers, "done: differ N acts, N wrong", "\n".join(lines[-3:] + [done.group(0)]))
        told = [re.fullmatch(r"act (.+?) = (.*)", line) for line in lines]
        wrong = [re.fullmatch(r"not ok - (.+): must be (.*)", line) for line in lines]
        other = [l for l, t, w in zip(lines, told, wrong) if not t and not w]
        expect_that(not other, "only lines of acts", "\n".join(other))
        self.acts = dict(t.groups() for t in told if t)
        self.wanted = dict(w.groups() for w in wrong if w)
        counts = len(self.acts), sum(map(bool, told)), len(self.wanted)
        expect_that(counts == (int(numbers[1]), int(numbers[1]), int(numbers[2])) and counts[0] > 500,
                    "as many acts as the guest counted, each with a name of its own",
                    f"{counts}, counted {numbers.groups()}")
        with open(self.path, "w", encoding="ascii") as file:
            file.write(fingerprint(self.build) + "\n")
            file.writelines(f"{act} = {what}\n" for act, what in self.acts.items())

    @check("each act comes out as the manuals and the policy say")
    def right(self):
        bad, known = [], answers_of(self.target.name)
        for act, what in self.acts.items():
            entry = emulator_entry(act, self.target.name)
            if entry and act in self.wanted and what != known.get(act):
                bad.append(f"{act} = {what}\n  known is {known.get(act)}: {entry[2]}")
            elif not entry and act in self.wanted:
                bad.append(f"{act} = {what}\n  must be {self.wanted[act]}")
        expect_that(not bad, "no act out of line", f"{len(bad)} wrong:\n" + "\n".join(bad))

    def is_its_own(self, act):
        """Has this target an answer of its own to it, the same each time?"""
        if emulator_entry(act, self.target.name):
            return not is_sometimes(act, self.target.name)
        return any(re.fullmatch(pattern, act) for pattern, _, _ in MODELS)

    @check("where this CPU or emulator has an answer of its own, it is the known one",
           cannot_run={"qemu-kvm": "its CPU is this PC's"})
    def own_answers(self):
        seen = {act: what for act, what in self.acts.items() if self.is_its_own(act)}
        if os.environ.get("BULKHEAD_WRITE_ANSWERS"):
            write_answers(self.target.name, seen)
        known = {act: what for act, what in answers_of(self.target.name).items()
                 if not is_sometimes(act, self.target.name)}
        bad = [f"{act}: known {known.get(act, '(none)')!r}, seen {seen.get(act, '(none)')!r}"
               for act in dict.fromkeys([*known, *seen]) if known.get(act) != seen.get(act)]
        expect_that(not bad, "the answers of tests/system/answers.txt", "\n".join(bad))

    @check("what the table says of this emulator is true")
    def table(self):
        entries = [e for e in EMULATORS if self.target.name in e[1]]
        idle = [f"{e[0]}: {e[2]}" for e in entries
                if not any(re.fullmatch(e[0], act) for act in self.acts)]
        idle += [f"{act} is right" for act in self.acts
                 if emulator_entry(act, self.target.name) and act not in self.wanted
                 and not is_sometimes(act, self.target.name)]
        expect_that(not idle, "every entry to be needed", "\n".join(idle))


class Compare(Boot):
    name = "compare"
    needs_machine, last = False, True
    seconds = 1

    @classmethod
    def why_not(cls, build):
        """Why there is nothing to compare, or None."""
        count = len(traces_of(build))
        return None if count > 1 else f"{count} target has run the differential boot of this build"

    def __init__(self, *args):
        super().__init__(*args)
        self.traces = traces_of(self.build)

    def vendor(self, target):
        return self.traces[target]["cpuid 0.0 ebx"]

    def different(self, act):
        """True if two targets differ in it, those aside whose emulator is wrong."""
        return len({trace.get(act) for target, trace in self.traces.items()
                    if not emulator_entry(act, target)}) > 1

    def acts(self):
        return dict.fromkeys(act for trace in self.traces.values() for act in trace)

    @check("targets differ only where they must")
    def compare(self):
        expect_that(len(self.traces) > 1, "the traces of two targets", ", ".join(self.traces))
        bad = []
        for act in self.acts():
            if self.different(act) and not any(re.fullmatch(e[0], act) for e in MODELS):
                bad.append(act)
                bad += [f"  {target}: {trace.get(act, '(not there)')}"
                        for target, trace in self.traces.items()]
        expect_that(not bad, f"{', '.join(self.traces)} to agree", "\n".join(bad))

    @check("every entry of the table is still true")
    def table(self):
        idle = []
        expect_that(len(self.traces) > 1, "the traces of two targets", ", ".join(self.traces))
        both = any(self.vendor(a) != self.vendor(b)
                   for a, b in itertools.combinations(self.traces, 2))
        for pattern, scope, why in MODELS:
            matching = [act for act in self.acts() if re.fullmatch(pattern, act)]
            if (scope == "model" or both) and not any(map(self.different, matching)):
                idle.append(f"{pattern} ({why}): the same everywhere")
        expect_that(not idle, "every entry to be needed", "\n".join(idle))
