# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile guest knocks on every wall, while another guest's heart goes on beating.

heart has CPU 0 and counts; hostile has CPU 1 and runs what is typed to it (guests/test); strict has CPU 2, is
started by the operator and is to be stopped at its first violation.
"""
import re

from frame import Boot, check, expect_that
from machine import Expected

CONFIG = """\
[hypervisor]
console = "com1"

[guest.heart]
cpus = "0"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=heartbeat period=200"

[guest.hostile]
cpus = "1"
memory = "32M"
kernel = "guests/testguest"
cmdline = "test=interactive memory=32"
on_crash = "restart"

[guest.strict]
cpus = "2"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=interactive"
start = "manual"
on_crash = "stop"
on_violation = "stop"
"""

HEART, HOSTILE, STRICT = 1, 2, 3
# Registers that pass to the guest, so the CPU itself has to refuse these values: TCG does not.
EMULATOR_FAULTS = {"qemu-tcg": r"PAT with a reserved type|(LSTAR|FS base) not canonical"}
RESTARTS = 3


class Walls(Boot):
    name = "walls"
    seconds = 180
    machine_cpus = 3

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def __init__(self, *args):
        super().__init__(*args)
        self.last_beat = 0

    # Steps.
    def heart_goes_on(self):
        self.view(HEART)
        self.tag += 1
        self.machine.send(f"ping {self.tag}\r")
        beat = int(self.machine.expect(rf"answer ping {self.tag} at (\d+)\r?\n", 120,
                                       "the heart's answer to ping").group(1))
        expect_that(beat > self.last_beat, f"a beat after {self.last_beat}", beat)
        self.last_beat = beat

    def begin(self, test, view=HOSTILE):
        """Types a subtest's name with a tag, so that its output is told from the scrollback."""
        self.view(view)
        for attempt in range(6):        # a guest that is just starting does not hear the first
            self.tag += 1
            self.machine.send(f"\r{test} {self.tag}\r")
            try:
                self.machine.expect(rf"# begin {test} {self.tag}\r?\n", 10,
                                    f"the guest to begin {test}")
                return
            except Expected:
                if attempt == 5:
                    raise

    def subtest(self, test, view=HOSTILE):
        """Runs a subtest to its end: none of its lines may be "not ok", but for an emulator's own faults."""
        self.begin(test, view)
        start = self.machine.serial.mark
        done = self.machine.expect(rf"# done: {test} (\d+) passed, (\d+) failed|Bail out![^\r\n]*\r?\n", 180)
        lines = self.machine.serial.text[start:done.end()]
        expect_that(done.group(1), f"{test} to come to its end", lines)
        known = [line for line in re.findall(r"^not ok [^\r\n]*", lines, re.M)
                 if re.search(EMULATOR_FAULTS.get(self.target.name, r"(?!)"), line)]
        expect_that(int(done.group(1)) > 0 and int(done.group(2)) == lines.count("not ok") == len(known),
                    f"{test}: all lines ok",
                    "\n".join(l for l in lines.split("\n") if not l.startswith("ok ")))

    def denied(self, test, counter, least):
        before = self.statistics("hostile").get(counter, 0)
        self.subtest(test)
        after = self.statistics("hostile")
        expect_that(after.get(counter, 0) - before >= least, f"{counter} up by {least} or more",
                    f"{before} before, then {after}")
        self.heart_goes_on()

    def crash(self, test, reason):
        """The guest falls over, is reported and comes back; an operator helps once the limit is reached."""
        self.new_log()
        self.begin(test)
        self.expect_log("hostile", rf"stopped: {reason}")
        self.heart_goes_on()
        answer, _ = self.operator("list")
        if re.search(r"hostile[^\n]*(stopped|crashed)", answer):
            self.operator("start hostile")
        self.subtest("alive")

    def hang_with(self, test):
        self.new_log()
        self.begin(test)
        self.heart_goes_on()
        self.operator("reset hostile")
        self.expect_log("hostile", "reset by the operator")
        self.subtest("alive")

    # Tests.
    @check("both guests start", required=True)
    def start(self):
        self.machine.expect(r"console 1/3: heart", 240, "the focus to move to the first guest")
        self.machine.expect(r"beat 1\r?\n.*?beat 5\r?\n", 60)
        self.expect_log("heart", r"started \(1 vCPU on cpu 0, 16M\)")
        self.subtest("alive")

    @check("the heart answers", required=True)
    def heart(self):
        self.heart_goes_on()

    @check("CPUID shows what it may")
    def cpuid(self):
        self.subtest("cpuid")

    @check("hypercalls")
    def hypercall(self):
        self.subtest("hypercall")

    @check("interrupt controllers: 8259, LINT0, I/O APIC, messages, errors")
    def interrupts(self):
        self.subtest("interrupts")
        self.heart_goes_on()

    @check("local APIC")
    def apic(self):
        self.subtest("apic")

    @check("8254, CMOS clock, local APIC's timer, PM timer: all modes, in time, in step")
    def timers(self):
        self.subtest("timers")
        self.heart_goes_on()

    @check("memory is zero at start and ends where the configuration says")
    def memory(self):
        self.subtest("memory-probe")
        self.heart_goes_on()

    @check("forbidden MSRs: #GP, counted")
    def msr(self):
        self.denied("msr", "msr-denied", 20)

    @check("VMXON, VMRUN and their like: #UD, as without VT-x and AMD-V")
    def vmxon(self):
        self.subtest("vmxon")
        self.heart_goes_on()

    @check("unmapped memory: all ones, lost writes, counted")
    def unmapped(self):
        self.denied("unmapped", "memory-denied", 20)

    @check("unknown ports: all ones, counted")
    def ports(self):
        self.denied("ports", "port-denied", 20)

    @check("reboot: memory is zero again")
    def scrubbed(self):
        self.subtest("dirty")
        self.new_log()
        self.begin("reboot")
        self.expect_log("hostile", r"reset by the guest, starting again")
        self.subtest("memory-probe")
        self.heart_goes_on()

    @check("triple fault: reported, started again", cannot_run={
        "bochs-amd": "Bochs ends itself at a triple fault in an AMD-V guest"})
    def triple(self):
        self.crash("triple", "triple fault")

    @check("crash: memory is zero again")
    def scrubbed_after_crash(self):
        self.subtest("dirty")
        self.crash("jump", "code in memory that is not there")
        self.subtest("memory-probe")

    @check("execution where no memory is: reported, started again")
    def jump(self):
        self.crash("jump", "code in memory that is not there")

    @check("a device touched with an odd instruction: reported, started again")
    def badmmio(self):
        self.crash("badmmio", "instruction the emulator does not know")

    @check("string I/O: not in this release, reported, started again")
    def string_io(self):
        self.crash("string-io", "string I/O")

    @check("a guest that keeps crashing is left stopped until an operator starts it")
    def limit(self):
        self.operator("reset hostile")
        for _ in range(RESTARTS + 1):
            self.new_log()
            self.begin("jump")
            self.expect_log("hostile", r"stopped: code in memory that is not there")
            answer, _ = self.operator("list")
            if re.search(r"hostile[^\n]*(stopped|crashed)", answer):
                break
        expect_that(re.search(r"hostile[^\n]*(stopped|crashed)", answer),
                    f"hostile stopped after {RESTARTS} restarts", answer)
        self.heart_goes_on()
        self.operator("start hostile")
        self.subtest("alive")

    @check("power-off: the guest stays off until an operator starts it")
    def power_off(self):
        self.new_log()
        self.begin("poweroff")
        self.expect_log("hostile", r"powered off by the guest")
        self.heart_goes_on()
        self.operator("start hostile")
        self.subtest("alive")

    @check('on_violation = "stop": stopped at the first one')
    def violation(self):
        self.operator("start strict")
        self.begin("violate", STRICT)
        self.machine.expect(r"# reading an MSR that is not there", 60)
        start = self.machine.serial.mark
        self.new_log()
        self.expect_state("strict", "stopped|crashed")
        seen = self.machine.serial.text[start:]
        expect_that("still running" not in seen, "no line after the violation", seen)
        self.heart_goes_on()

    def expect_state(self, name, state):
        answer, _ = self.operator("list")
        expect_that(re.search(rf"{name}[^\n]*({state})", answer), f"{name} {state}", answer)

    @check("an endless loop with interrupts off: the operator can reset it")
    def hang(self):
        self.hang_with("hang")

    @check("an endless loop of exits with interrupts off: the operator can reset it")
    def hang_in_exits(self):
        self.hang_with("hang-exits")

    @check("the heart missed no beat")
    def no_gap(self):
        self.heart_goes_on()
        beats = sorted({int(n) for n in re.findall(r"beat (\d+)\r?\n", self.machine.serial.text)})
        # What was overwritten in the scrollback before it was looked at cannot be seen.
        missing = [n for n in range(beats[0], beats[-1] + 1) if n not in set(beats)]
        skipped = "bytes skipped" in self.machine.serial.text
        expect_that(not missing or skipped, "an unbroken row of beats",
                    f"{len(missing)} missing: {missing[:20]}")
        expect_that(beats[-1] >= self.last_beat and len(beats) > 50, "more than 50 beats", beats[-5:])
        restarts = len(re.findall(r"beat 1\r?\n", self.machine.serial.text))
        expect_that(restarts >= 1, "the first beat in the scrollback", restarts)
