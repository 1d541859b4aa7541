# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile guest knocks on every wall, while another guest's heart goes on beating.

heart has CPU 0 and counts; hostile has CPUs 1 to 3 and runs what is typed to it (guests/test); strict has CPU 4, is
started by the operator and is to be stopped at its first violation.
"""
import os
import re
import struct

from frame import check, expect_that
from guests import HEART_CONFIG, LATEST_APART, LEGACY, RESTARTS, GuestBoot
from machine import TARGETS
from test_refusals import squeeze

# CPUID.1:EAX of the emulated CPUs: Bochs's Haswell; Bochs's Trinity and QEMU's "max".
INTEL_CPUS, AMD_CPUS, REVISION = [0x306c3, 0x206a7], [0x610f01, 0x60fb1], 0x70000077


def intel_microcode(signature):
    """An update as Intel publishes them, of nothing: a real CPU would refuse it, too."""
    words = [1, REVISION, 0x11282026, signature, 0, 1, 0xff, 976, 1024, 0, 0, 0] + [0x5a5a5a5a] * (976 // 4)
    words[4] = -sum(words) & 0xffffffff
    return struct.pack(f"<{len(words)}I", *words)


def amd_microcode(signatures):
    """A container as AMD publishes them, with one patch of nothing for these CPUs."""
    table = b"".join(struct.pack("<IIIHH", s, 0, 0, 0x1234, 0) for s in signatures) + bytes(16)
    patch = struct.pack("<IIHBBIIIHBB", 0x11282026, REVISION, 0, 0, 0, 0, 0, 0, 0x1234, 0, 0) + bytes(100)
    return (struct.pack("<4sII", b"DMA\0", 0, len(table)) + table +
            struct.pack("<II", 1, len(patch)) + patch)


CONFIG = HEART_CONFIG + """\
[guest.hostile]
cpus = "1-3"
memory = "32M"
kernel = "guests/testguest"
cmdline = "test=interactive memory=32 cpus=3@LEGACY@"
on_crash = "restart"

[guest.strict]
cpus = "4"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=interactive"
start = "manual"
stop_timeout = "2s"
watchdog = "2s"
on_crash = "stop"
on_violation = "stop"
"""

HEART, HOSTILE, STRICT = 1, 2, 3

WAKE_UPS = int(os.environ.get("BULKHEAD_WAKE_UPS", "1000000"))
STORM_CONFIG = f"""\
[guest.storm]
cpus = "0-2"
memory = "32M"
kernel = "guests/testguest"
cmdline = "test=interactive memory=32 cpus=3 wakeups={WAKE_UPS}"
"""
# Lines that are "not ok" because of the emulator, by target and group, to the letter. Each must come.
# QEMU: registers that pass to the guest, so the CPU itself has to refuse these values; and it does not know INT1.
# Bochs: an AMD CPU has written DR6 when it exits for a #DB, and that one has not.
EMULATOR_FAULTS = {
    "qemu-tcg": {
        "msr": ["PAT with a reserved type: #GP", "LSTAR not canonical: #GP", "FS base not canonical: #GP"],
        "paging": ["the NX bit without EFER.NXE is a reserved one # saw 0xe00000008"],
        "debug": ["INT1 behind MOV SS under TF # saw 0x6"],
    },
    "bochs-amd": {
        "debug": ["DR6: BS stays, B1 goes, B2 comes # saw 0xffff4ff2",
                  "DR6: BD stays, B3 goes, BS comes # saw 0xffff2ff8"],
    },
}


class HostileGuests(GuestBoot):
    """The three of them, and what no CPU may show a difference in."""
    machine_cpus = 6    # one of nobody, which serves the console
    latest = LATEST_APART
    emulator_faults = EMULATOR_FAULTS
    apic_virtualization = "yes"

    def image(self):
        updates = [intel_microcode(s) for s in INTEL_CPUS]
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/microcode/intel": b"".join(updates),
                                "bulkhead/microcode/microcode_amd.bin": amd_microcode(AMD_CPUS),
                                "bulkhead/microcode/short": updates[0][:-4],
                                "bulkhead/bulkhead.toml": self.config().encode()})

    def config(self):
        return CONFIG.replace("@LEGACY@", " legacy=0" if self.target.name in LEGACY else "")

    # Steps.
    def denied(self, test, **wanted):
        """Runs a group. wanted: what was denied in it, by kind; nothing else may have been."""
        before = self.statistics("hostile")
        self.subtest(test)
        after = self.statistics("hostile")
        risen = {kind: after[counter] - before[counter] for counter in after
                 if (kind := counter.removesuffix("-denied")) != counter}
        wanted = {**dict.fromkeys(risen, 0), **wanted}
        expect_that(risen == wanted, f"denied in {test}: {wanted}", risen)
        self.heart_goes_on()

    def hang_with(self, test, hold):
        """hold: pause or hold."""
        self.begin(test)
        hold("hostile")
        self.heart_goes_on()
        self.order("reset", "hostile")
        self.subtest("alive")

    # Tests.
    @check("both guests start", required=True)
    def start(self):
        self.machine.expect(r"console 1/3: heart", 240, "the focus to move to the first guest")
        self.expect_log("heart", r"started \(1 vCPU on cpu 0, 16M\)")
        served = "consoles: served by cpu 5, which has no guest"
        expect_that(served in self.machine.serial.text, served, "another line")
        self.subtest("alive")

    @check("each CPU maps the core, its own guest, and nothing else of any other")
    def own_tables(self):
        """What a CPU sees when it reads its own tables: a line each, by the owner of the CPU."""
        owners = {0: "heart", 1: "hostile", 2: "hostile", 3: "hostile", 4: "strict", 5: None}
        for cpu, owner in owners.items():
            own = f"records of {owner} \\w+, " if owner else ""
            end = f"{own}no guest's memory, nothing else of any {'other ' if owner else ''}guest"
            line = f"cpu{cpu}: maps core \\w+, devices \\w+, public parts of guests 20K, own stacks 64K, {end}\r?\n"
            expect_that(re.search(line, self.machine.serial.text), line,
                        re.findall(f"cpu{cpu}: maps.*", self.machine.serial.text))

    @check("guests' pages are small where the CPU has the iTLB multihit flaw")
    def pages(self):
        said = r"guests' memory is in 4 KiB pages" in self.machine.serial.text
        expect_that(said == (self.target.name == "bochs-intel"), "the log to say so on Intel's CPUs", said)

    @check("microcode: the file for this CPU is found, a damaged one is named, the CPU's answer is told")
    def microcode(self):
        text = squeeze(self.machine.serial.text)
        expect_that("microcode/shortisleftout:itiscutoffinanupdate" in text, "the short file to be named", text[:3000])
        nested = "0x70000077islefttothehypervisorbelow"
        answer = nested if self.target.name.startswith("qemu") else "didnottake0x70000077"
        expect_that(re.search(r"Microcode0x?[0-9a-f]*," + answer, text), f"a line with {answer}", text[:5000])
        expect_that("microcode:revision" in text, "the revision in the log", text[-5000:])

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
        if self.target.name == "bochs-intel":
            virtual = re.search(r"APIC virtualization (\w+)", self.machine.serial.text)
            expect_that(virtual and virtual.group(1) == self.apic_virtualization,
                        f"APIC virtualization {self.apic_virtualization}", virtual and virtual.group())
        self.subtest("apic")
        self.heart_goes_on()

    @check("8254, CMOS clock, local APIC's timer, PM timer: all modes, in time, in step")
    def timers(self):
        self.subtest("timers")
        self.heart_goes_on()

    @check("several vCPUs: start, stop, messages of every kind")
    def smp(self):
        self.subtest("smp")
        self.heart_goes_on()


class OlderCpu(HostileGuests):
    """A CPU without APIC virtualization, and without what is to be avoided: nothing is different for a guest."""
    name = "older-cpu"
    seconds = 40
    machine_virtualization = "older"
    apic_virtualization = "no"

    def config(self):
        return super().config().replace("[hypervisor]\n", "[hypervisor]\navoid = \"vpid deadline\"\n", 1)

    @check("what the config avoids is left off")
    def avoided(self):
        for line in (r"not used, as the config says \(avoid\): vpid deadline", r"VT-x: EPT [^\n]* VPID no"):
            expect_that(re.search(line, self.machine.serial.text), f"/{line}/ in the log",
                        self.machine.serial.text[-5000:])

    cannot_run = {name: "of this machine's CPUs there is one" for name in ("bochs-amd", "qemu-tcg", "qemu-kvm")}


class Walls(HostileGuests):
    name = "walls"
    seconds = 150

    @check("events in numbers: no trap flag of ours, no wake-up lost")
    def events(self):
        self.subtest("events")
        self.heart_goes_on()

    @check("guest paging of every kind")
    def paging(self):
        self.subtest("paging")

    @check("debug traps: DR6, RF, interrupt shadows")
    def debug(self):
        self.subtest("debug")

    @check("the PC's small devices")
    def platform(self):
        self.subtest("platform")

    @check("virtualization is not announced, its registers and instructions are not there")
    def vmxon(self):
        self.subtest("vmxon")

    @check("memory is zero at start and ends where the configuration says")
    def memory(self):
        self.subtest("memory-probe")
        self.heart_goes_on()

    @check("forbidden MSRs: #GP, counted")
    def msr(self):
        self.denied("msr", msr=39)

    @check("reboot: memory is zero again")
    def scrubbed(self):
        self.subtest("dirty")
        self.new_log()
        self.begin("reboot")
        self.expect_log("hostile", r"reset by the guest, starting again")
        self.subtest("memory-probe")
        self.heart_goes_on()

    @check("crash: memory is zero again")
    def scrubbed_after_crash(self):
        self.subtest("dirty")
        self.crash("jump", "code in memory that is not there")
        self.subtest("memory-probe")

    @check("instructions on devices and string I/O do what they do on memory")
    def decoder(self):
        self.denied("decoder", port=205, memory=9007)

    @check("string I/O on unknown ports: all ones, counted")
    def string_io(self):
        self.denied("string-io", port=16)

    @check("a guest that gives up: its last words in the log, started again")
    def gives_up(self):
        self.order("reset", "hostile")
        self.new_log()
        self.begin("give-up")
        self.expect_log("hostile", r"warning: gave up \[BH3039\]: no way\\x1b\[2J\\x0a$", r"restarting \(1 of 3\)")
        self.subtest("alive")

    @check("a guest that resets in a loop is held back, and can be killed meanwhile")
    def reset_loop(self):
        self.order("reset", "hostile")
        self.new_log()
        self.begin("reset-loop")
        self.expect_log("hostile", r"restart 4 in a row, held back for 800 ms")
        answer, _ = self.operator("list")
        while not re.search(r"hostile +delayed", answer):
            answer, _ = self.operator("list")
        self.operator("kill hostile")
        self.expect_log("hostile", r"stopped by the operator")
        self.heart_goes_on()
        self.order("start", "hostile")      # it goes on with its loop to the end, and hears nothing before
        self.view(HOSTILE)
        self.machine.expect(r"# begin reset-loop.*ready> ", 120, "the loop's end")
        self.subtest("alive")
        self.order("reset", "hostile")

    @check("a guest that keeps crashing is left stopped until an operator starts it")
    def limit(self):
        self.order("reset", "hostile")
        gave_up = [self.crash("jump", "code in memory that is not there") for _ in range(RESTARTS + 1)]
        expect_that(gave_up == RESTARTS * [False] + [True], f"to give up after {RESTARTS} restarts", gave_up)
        self.expect_last_crash("hostile", "code in memory that is not there", r"guest's rip 0x[1-9a-f][0-9a-f]*, exit memory")
        self.heart_goes_on()

    @check("the flight recorder: of a crash the last exits in the log, and all of them by trace, also when it is off")
    def flight_recorder(self):
        self.operator("kill hostile")
        self.order("start", "hostile")
        self.new_log()      # of crashes before
        self.crash("jump", "code in memory that is not there")
        exits = [line for _, _, vm, line in self.new_log() if vm == "hostile" and line.startswith("  exit ")]
        last = re.search(r"rip 0x[0-9a-f]+ memory fetch 0x[0-9a-f]+ at-work$", exits[-1]) if exits else None
        expect_that(len(exits) == 16 and last, "16 exits, the last one the fetch of what is not there", "\n".join(exits))
        times = [float(line.split()[1]) for line in exits]
        expect_that(times == sorted(times), "the oldest first", "\n".join(exits))
        self.operator("kill hostile")
        self.expect_state("hostile", "stopped")
        answer, _ = self.operator("trace hostile")
        for cpu in range(3):
            expect_that(f"vcpu{cpu} on cpu {cpu + 1}: its last exits" in answer, f"vcpu{cpu}", answer)
        expect_that(answer.count("\n  exit ") >= 128, "as many exits as are kept, of the first vCPU", answer)
        self.order("start", "hostile")
        self.heart_goes_on()

    @check("audit, top, logs, dmesg, and a second word for what hurts: as a person types them")
    def verbs(self):
        self.subtest("alive")
        self.new_log()
        self.operator("audit")
        passed = (r"audit: nested tables, compartment and bitmaps are as planned "
                  r"\(\d+\.\d{3} ms of work in \d+ parts, the longest \d+\.\d{3} ms\)$")
        self.expect_logs(*((name, passed) for name in ("heart", "hostile", "strict")))
        self.heart_goes_on()
        answer, _ = self.operator("kill  hostile")      # two spaces, or the word would come by itself
        expect_that('hostile runs, and kill pulls its plug: "kill hostile yes" does it [BH6104]' in answer, "to be asked", answer)
        self.expect_state("hostile", "running")
        answer, _ = self.operator("logs hostile")
        expect_that(re.search(r"^# begin alive \d+\r?$", answer, re.M), "the end of its console as text", answer)
        answer, _ = self.operator("dmesg")
        expect_that(re.search(r"^\[ *\d+\.\d{6}\] cpu\d hostile: audit: ", answer, re.M) and "bulkhead>" not in answer[:-20],
                    "the log without the prompt's answers", answer)
        self.machine.send("top\r")
        row = r"heart +running +\d+ +\w+ +\d+ +\d+ +0 +0\r?\n +[a-z][^\n]* \d+[^\n]*\r?\n(?:hostile|strict) "
        picture = r"guest +state +cpu % +memory +exits/s +intr/s +frames/s +blocks/s\r?\n" + row
        self.machine.expect(picture, 60, "the first picture of top")
        self.machine.expect(picture, 60, "the second one")
        self.machine.send("q")
        self.machine.expect(r"bulkhead> ", 60, "the prompt again")
        self.heart_goes_on()

    @check("power-off: the guest stays off until an operator starts it")
    def power_off(self):
        self.new_log()
        self.begin("poweroff")
        self.expect_log("hostile", r"powered off by the guest")
        self.heart_goes_on()
        self.order("start", "hostile")
        self.subtest("alive")

    @check("start and kill in one breath, ten times: all done, in their order")
    def one_breath(self):
        self.new_log()
        for _ in range(10):
            self.operator("kill hostile")
            self.operator("start hostile")
        self.operator("kill hostile")
        self.operator("stop hostile")
        lines, wanted = [], 10 * ["stopped by", "started by"] + ["stopped by", "stop: it is stopped, nothing to do"]
        while not lines or "nothing to do" not in lines[-1]:
            lines += [line for _, _, vm, line in self.new_log() if vm == "hostile"]
        done = [word for line in lines for word in set(wanted) if word in line]
        expect_that(done == wanted, "each request done", "\n".join(lines))
        self.order("start", "hostile")
        self.subtest("alive")

    @check('on_violation = "stop": stopped at the first one')
    def violation(self):
        self.order("start", "strict")
        self.begin("violate", STRICT)
        self.machine.expect(r"# reading an MSR that is not there", 60)
        start = self.machine.serial.mark
        self.new_log()
        self.expect_state("strict", "stopped|crashed")
        seen = self.machine.serial.text[start:]
        expect_that("still running" not in seen, "no line after the violation", seen)
        self.heart_goes_on()

    @check("stop: a guest that does not hear its power button is stopped by force after stop_timeout")
    def force(self):
        self.order("start", "strict")
        self.new_log()
        self.operator("stop strict")
        self.expect_log("strict", r"asked to switch off \(power button\), has 2 s for it$",
                        r"warning: did not switch off within 2 s: stopped by force \[BH3006\]$")
        self.expect_state("strict", "stopped")
        self.heart_goes_on()

    @check("a watchdog that is fed, and then is not, ends its guest as a crash: on_crash is heeded")
    def watchdog(self):
        self.order("start", "strict")
        self.new_log()
        self.begin("watchdog", STRICT)
        self.machine.expect(r"who feeds it lives", 120)
        self.expect_log("strict", r"stopped: watchdog: not fed for 2 s \[BH3043\]$")
        start = self.machine.serial.mark
        self.view(STRICT)       # once more all that it has said
        self.machine.expect(r"who feeds it lives", 60)
        self.expect_state("strict", "crashed")
        seen = self.machine.serial.text[start:]
        expect_that("still runs" not in seen, "no line after the watchdog", seen)
        self.heart_goes_on()

    @check("paused amid the tests of clocks, and of messages between vCPUs: the guest does not notice")
    def pause_amid(self):
        self.subtest("timers", meanwhile=lambda: [self.hold("hostile") for _ in range(2)])
        self.subtest("smp", meanwhile=lambda: self.hold("hostile"))

    @check("a paused guest: its registers are shown, kill ends it, stop lets it hear its button")
    def pause_ends(self):
        self.pause("hostile")
        answer, _ = self.operator("regs hostile")
        expect_that(re.search(r"vcpu0 on cpu 1: 64-bit mode.*vcpu2 on cpu 3: waits for a startup message", answer, re.S),
                    "registers of the first vCPU, and that the last was not started", answer)
        self.operator("kill hostile")
        self.order("start", "hostile")
        self.order("start", "strict")
        self.pause("strict")
        self.operator("stop strict")
        self.expect_log("strict", "resumed", "asked to switch off", "did not switch off within 2 s: stopped by force")

    # It is only paused and then reset: see hang() in guests/test/main.c.
    @check("an endless loop with interrupts off: the operator can pause it, and reset it then",
           cannot_run=dict.fromkeys(("bochs-intel", "bochs-amd"), "gives a guest with IF clear one host interrupt: it may be another"))
    def hang(self):
        self.hang_with("hang", self.pause)

    @check("an endless loop of exits with interrupts off: the operator can pause it, resume it and reset it")
    def hang_in_exits(self):
        self.hang_with("hang-exits", self.hold)

    @check("the heart missed no beat, and none was late")
    def no_gap(self):
        self.heart_goes_on()
        expect_that(self.last_beat > 50, "more than 50 beats", self.last_beat)


class Storm(GuestBoot):
    """What takes hours: make storm."""
    name = "storm"
    heavy = tuple(target.name for target in TARGETS)
    machine_cpus = 4    # one of nobody, which serves the console
    subject = (1, "storm")
    group_seconds = 8 * 3600

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": STORM_CONFIG.encode()})

    @check("the guest starts", required=True)
    def start(self):
        self.machine.expect(r"console 1/1: storm", 240, "the focus to move to the guest")
        self.subtest("alive")

    @check("many wake-ups from HLT under a storm of host interrupts, none lost")
    def wake_ups(self):
        self.subtest("events")
        count = int(re.findall(r"# wake-ups 0x([0-9a-f]+)", self.machine.serial.text)[-1], 16)
        expect_that(count >= WAKE_UPS, f"{WAKE_UPS} wake-ups", count)
