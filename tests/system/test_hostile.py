# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest tries what is forbidden or odd; both sides of each group of acts are compared with one table.

The table is guests/hostile/acts.def: what the guest must see (it judges that itself and says so as TAP) and what the
hypervisor must have recorded ("stats", the log). heart has CPU 0 and must not miss a beat; hostile has CPUs 1 and 2;
kept, on CPU 3, is to stay as it is when it falls over. In a second boot hostile has CPUs 0 to 3, and heart another.
"""
import os
import re

from frame import ROOT, check, expect_that
from guests import HEART_CONFIG, LEGACY, GuestBoot

CONFIG = HEART_CONFIG + """\
[guest.hostile]
cpus = "1-2"
memory = "32M"
kernel = "guests/hostileguest"
cmdline = "cpus=2 memory=32@SKIP@"
on_crash = "restart"

[guest.kept]
cpus = "3"
memory = "16M"
kernel = "guests/testguest"
on_crash = "halt"
"""

FIRST_CONFIG = HEART_CONFIG.replace('"0"', '"4"') + """\
[guest.hostile]
cpus = "0-3"
memory = "32M"
kernel = "guests/hostileguest"
cmdline = "cpus=4 memory=32@SKIP@"
on_crash = "restart"
"""

KEPT = 3
ACT = re.compile(r'^ACT\((\w+), (\w+), "([^"]*)", "([^"]*)", "([^"]*)"\)$')
# Where an emulator is known to be wrong: target -> {act: (what the guest sees there, why)}.
EMULATORS = {
    "qemu-tcg": {
        "cr0_high": ("0 times #GP(0)", "cuts CR0 to 32 bits"),
        "cr8": ("no trap", "cuts CR8 to 4 bits"),
        "not_canonical": ("no trap", "does not look at the address"),
        "beyond": ("#PF(8)", "calls an address bit that the CPU has not a page that is not present"),
    },
}
WALL_CLOCK = "its time is this PC's"
# What crashes the emulator: left out.
LEFT_OUT = {
    "qemu-tcg": {
        "cr3_high": "ends the guest with an invalid exit instead of #GP",
        "hang_alignment": "does not know #AC",
        "hang_debug": "ends the loop of #DB in its own way, after one exit",
        "hang_timer": WALL_CLOCK + ", which may be too slow for a thousand interrupts",
        "timer_shortest": WALL_CLOCK + ", which may be too slow for a thousand ticks",
    },
    "bochs-amd": {
        "vm86": LEGACY["bochs-amd"],
        "hang_alignment": LEGACY["bochs-amd"],
    },
}


def read_acts():
    """(group, name, what, outcome, record) in the order of the file."""
    with open(os.path.join(ROOT, "guests/hostile/acts.def"), encoding="ascii") as file:
        lines = [line.rstrip("\n") for line in file if line.startswith("ACT(")]
    return [ACT.fullmatch(line).groups() for line in lines]


ACTS = read_acts()


def records(record, vendor):
    """"vmx:a-denied 1, exits b 2" -> [(counter, number or "told")] of this vendor."""
    prefix = {"VT-x": "vmx", "AMD-V": "svm"}[vendor]
    found = []
    for part in filter(None, record.split(", ")):
        only, _, rest = part.rpartition(":")
        counter, _, number = rest.rpartition(" ")
        if only in ("", prefix):
            found.append((counter, number if number == "told" else int(number)))
    return found


class HostileBoot(GuestBoot):
    """A boot with the hostile guest: what it is told, and how both sides are compared."""
    guest_config = CONFIG

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "guests/hostileguest": self.guest_file("hostileguest"),
                                "bulkhead/bulkhead.toml": self.config().encode()})

    def config(self):
        names = ",".join(self.left_out())
        return self.guest_config.replace("@SKIP@", f" skip={names}" if names else "")

    @check("the guests start", required=True)
    def start(self):
        self.machine.expect(r"console 1/\d: heart", 240, "the focus to move to the first guest")
        self.heart_goes_on()
        self.counted = self.statistics("hostile")

    def left_out(self):
        """Act -> why. What only QEMU's clock forbids is done where its time is the number of instructions."""
        return {act: why for act, why in LEFT_OUT.get(self.target.name, {}).items()
                if not (self.machine_icount and why.startswith(WALL_CLOCK))}

    def acts(self, group):
        """Both sides of a group: the guest's TAP, then the counters."""
        before = self.counted
        lines, _, _ = self.group_lines(group)
        self.heart_goes_on()
        self.counted = after = self.statistics("hostile")
        wrong_here = EMULATORS.get(self.target.name, {})
        left_out = self.left_out()
        acts = [a for a in ACTS if a[0] == group]
        results = re.findall(r"^(?:# saw: ([^\n]*)\n)?(not ok|ok) \d+ - ([^\n]*)$", lines, re.M)
        bad = []
        for (_, name, what, outcome, _), (seen, ok, told) in zip(acts, results):
            told, _, skipped = told.partition(" # SKIP")
            there, why = wrong_here.get(name, ("", ""))
            if told != what or (ok == "ok") == bool(why) or seen != there or bool(skipped) != (name in left_out):
                bad.append(f"{name} ({what}): must be {outcome!r}, the guest saw {seen or outcome!r}"
                           + (f"; here {there!r} was expected, because this emulator {why}" if why else ""))
        expect_that(len(results) == len(acts) and not bad, f"each act of {group} as acts.def says",
                    "\n".join(bad) or lines)
        told = int(re.search(r"^# told (\d+)$", lines, re.M).group(1))
        done = [act for act in acts if act[1] not in left_out]
        self.compare(group, done, told, before, after)

    def compare(self, group, acts, told, before, after):
        """
        What was denied must be exact. Exits are "or more": the guest's own console makes some of each kind. told is of
        the whole group: its counter takes it once.
        """
        exact = {c: 0 for c in after if c.endswith("-denied")}
        least, uses_told = {}, set()
        for _, _, _, _, record in acts:
            for counter, number in records(record, self.target.vendor):
                if number == "told":
                    uses_told.add(counter)
                else:
                    sums = exact if counter in exact else least
                    sums[counter] = sums.get(counter, 0) + number
        for counter in uses_told:
            exact[counter] += told
        bad = []
        for counter, number in [*exact.items(), *least.items()]:
            risen = after.get(counter, 0) - before.get(counter, 0)
            if risen < number if counter in least else risen != number:
                bad.append(f"{counter}: must rise by {number}{' or more' if counter in least else ''}, rose by {risen}")
        expect_that(not bad, f"the record of {group}", "\n".join(bad))

    def all_hangs(self):
        """Each act that never ends: console, operator and the heart go on."""
        for _, name, _, _, record in (a for a in ACTS if a[0] == "hang"):
            if name in self.left_out():
                continue
            before = self.statistics("hostile")
            self.begin(name)
            self.heart_goes_on()
            for counter, least in records(record, self.target.vendor):
                self.wait_for_counter(name, counter, before.get(counter, 0), least)
            self.order("reset", "hostile")
        self.group_lines("across")
        self.heart_goes_on()


    def wait_for_counter(self, name, counter, before, least):
        """It rises with the guest's time, which a slow PC lets pass slowly: some looks at it."""
        for _ in range(20):
            risen = self.statistics("hostile").get(counter, 0) - before
            if risen >= least:
                return
        expect_that(False, f"{name}: {counter} up by {least} or more", risen)


class Hostile(HostileBoot):
    name = "hostile"
    seconds = 60
    machine_cpus = 4

    @check("instructions")
    def insn(self):
        self.acts("insn")

    @check("control registers")
    def registers(self):
        self.acts("cr")

    @check("model-specific registers")
    def msr(self):
        self.acts("msr")

    @check("ports")
    def ports(self):
        self.acts("ports")

    @check("memory")
    def memory(self):
        self.acts("memory")

    @check("interrupts")
    def interrupts(self):
        self.acts("interrupts")

    @check("devices")
    def small_devices(self):
        self.acts("platform")

    @check("what is refused is in the log, at level debug, and not too often")
    def log(self):
        self.operator("log debug")
        self.new_log()
        self.group_lines("smm")
        self.group_lines("across")
        lines = [line for _, _, vm, line in self.new_log() if vm == "hostile"]
        for pattern in (r"refused read of MSR 0x9e at rip", r"refused write of MSR 0xc0010111 at rip",
                        r"refused read of port 0x71 at rip"):
            expect_that(any(re.search(pattern, line) for line in lines), f"a line /{pattern}/", "\n".join(lines))
        self.group_lines("hpet")
        refused = [line for _, _, vm, line in self.new_log() if vm == "hostile" and "refused" in line]
        expect_that(1 <= len(refused) < 200, "a few lines for 1,536 refusals", len(refused))
        self.operator("log info")
        self.counted = self.statistics("hostile")

    @check("what ends the guest: reported, started again")
    def stops(self):
        self.order("reset", "hostile")
        for name, reason in self.reasons():
            if name != "stop_triple":
                self.crash(name, reason)
        self.heart_goes_on()

    @check("a triple fault: reported, started again", cannot_run={
        "bochs-amd": "Bochs ends itself at a triple fault in an AMD-V guest"})
    def triple(self):
        self.crash("stop_triple", dict(self.reasons())["stop_triple"])
        self.heart_goes_on()

    @staticmethod
    def reasons():
        return [(name, re.escape(record.removeprefix("stopped: "))) for group, name, _, _, record in ACTS
                if group == "stop"]

    @check("resets, each way a PC has")
    def resets(self):
        for number, (_, name, _, _, record) in enumerate(a for a in ACTS if a[0] == "reset"):
            if number % 4 == 0:         # of more in a row not each is told
                self.order("reset", "hostile")
            self.new_log()
            self.begin(name)
            self.expect_log("hostile", re.escape(record))
        self.heart_goes_on()

    @check("what never ends: the operator resets it")
    def hangs(self):
        self.all_hangs()

    @check('on_crash = "halt": halted, memory kept, started anew by the operator')
    def halt(self):
        self.begin("jump", KEPT)
        self.expect_log("kept", r"stopped: code in memory that is not there", r"halted, memory kept")
        answer, _ = self.operator("list")
        expect_that(re.search(r"kept +halted", answer), "kept halted", answer)
        self.order("start", "kept")
        self.subtest("alive", KEPT)
        self.heart_goes_on()

    @check("the heart missed no beat, and none was late")
    def no_gap(self):
        self.heart_goes_on()
        expect_that(self.last_beat > 50, "more than 50 beats", self.last_beat)


class HostileFirst(HostileBoot):
    """The hostile guest has the CPU that serves the consoles where no CPU is free, and three more."""
    name = "hostile-first"
    seconds = 40
    machine_cpus = 5
    machine_icount = True   # also in QEMU, so that beats are judged there, too
    guest_config = FIRST_CONFIG

    @check("what never ends, on the first CPU: console, operator and neighbour go on")
    def hangs(self):
        served = "consoles: served by cpu 0, which has a guest"
        expect_that(served in self.machine.serial.text, served, "another line")
        self.all_hangs()

    @check("the heart missed no beat, and none was late")
    def no_gap(self):
        self.heart_goes_on()
        expect_that(self.last_beat > 50, "more than 50 beats", self.last_beat)
