# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest tries what is forbidden or odd; both sides of each act are compared with one table.

The table is guests/hostile/acts.def: what the guest must see (it judges that itself and says so as TAP) and what the
hypervisor must have recorded ("stats", the log). heart has CPU 0 and must not miss a beat; hostile has CPUs 1 and 2;
kept, on CPU 3, is to stay as it is when it falls over. In a second boot hostile has CPUs 0 to 3, and heart another.
"""
import os
import re
import time

from frame import ROOT, check, expect_that
from guests import HEART_CONFIG, LEGACY, GuestBoot
from machine import SCALE, Expected

# heart has sockets and never reads them; kept may connect to hostile, and hostile not to kept.
HEART = HEART_CONFIG.replace("test=heartbeat", "test=heartbeat sockets=1")
CONFIG = HEART + """\
[guest.hostile]
cpus = "1-2"
memory = "32M"
kernel = "guests/hostileguest"
cmdline = "cpus=2 memory=32@SKIP@"
vsock = ["heart"]
on_crash = "restart"
stop_timeout = "60m"

[guest.kept]
cpus = "3"
memory = "16M"
kernel = "guests/testguest"
cmdline = "sockets=1"
vsock = ["hostile"]
on_crash = "halt"
"""

FIRST_CONFIG = HEART.replace('"0"', '"4"') + """\
[guest.hostile]
cpus = "0-3"
memory = "32M"
kernel = "guests/hostileguest"
cmdline = "cpus=4 memory=32@SKIP@"
vsock = ["heart"]
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
# Counters that nothing but acts makes rise. The others' exits are made by the guest's console as well: "or more".
HYPERCALLS = "exits hypercall"
ONLY_ACTS = [HYPERCALLS, "exits control-register", "exits cache", "exits task-switch"]
# Some acts ask CPUID for something else than the act itself.
EXACT = {"exits cpuid", *ONLY_ACTS}
# Where an emulator makes another number of exits than its vendor's CPUs: target -> {act: (record, why)}.
EXITS_FIRST = "exits before it looks at the bits of the value"
RECORDS = {
    "qemu-tcg": {
        "cr0_nw": ("exits control-register 1", EXITS_FIRST),
        "cr0_pg": ("exits control-register 1", EXITS_FIRST),
        # Each reads the register first, which is an exit as well.
        "cr4_high": ("exits control-register 64", EXITS_FIRST),
        "cr4_vmxe": ("exits control-register 2", EXITS_FIRST),
        "cr4_smxe": ("exits control-register 2", EXITS_FIRST),
        "cr4_pae": ("exits control-register 2", EXITS_FIRST),
    },
}
WALL_CLOCK = "its time is this PC's"
# What crashes the emulator, or what it does wrong from then on: left out.
LEFT_OUT = {
    "qemu-tcg": {
        "cr3_high": "ends the guest with an invalid exit instead of #GP",
        "hang_alignment": "does not know #AC",
        "hang_debug": "ends the loop of #DB in its own way, after one exit",
        "hang_timer": WALL_CLOCK + ", which may be too slow for a thousand interrupts",
        "timer_shortest": WALL_CLOCK + ", which may be too slow for a thousand ticks",
    },
    # Its VM entry masks NMIs where the VMCS says so and never unmasks them where it does not. So the state of a guest in an
    # NMI's task, whose switch an upcall does, stays in the compartment's VMCS and from there comes back with each upcall.
    "bochs-intel": {
        "task_nmi": "leaves NMIs blocked over a VM entry that does not want it, so that later acts get none",
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


def is_exact(counter):
    return counter.endswith("-denied") or counter in EXACT


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

    def left_out(self):
        """Act -> why. What only QEMU's clock forbids is done where its time is the number of instructions."""
        return {act: why for act, why in LEFT_OUT.get(self.target.name, {}).items()
                if not (self.machine_icount is not None and why.startswith(WALL_CLOCK))}

    def acts(self, group):
        """
        Both sides of each act of a group: the guest's TAP, and the counters before and after it. Where no act may
        leave anything, the counters of the group say as much: they only rise.
        """
        acts = [a for a in ACTS if a[0] == group]
        stepped = len(acts) > 1 and any(a[4] for a in acts)
        if not stepped:
            self.group_lines("vcpus")
        counters = [self.statistics("hostile")]
        if stepped:
            lines, _, _ = self.group_lines("step-" + group, meanwhile=lambda: self.step(acts, counters))
        else:
            lines, _, _ = self.group_lines(group)
            after = self.statistics("hostile")
            counters += [counters[0]] * (len(acts) - 1) + [after]
        self.heart_goes_on()
        results = re.findall(r"^(?:# saw: ([^\n]*)\n)?(not ok|ok) \d+ - ([^\n]*)\n# told (\d+)$", lines, re.M)
        expect_that(len(results) == len(acts), f"{len(acts)} acts of {group}", lines)
        bad = []
        for act, result, before, after in zip(acts, results, counters, counters[1:]):
            bad += self.judge_guest(act, *result[:3])
            bad += self.judge_record(act, stepped, int(result[3]), before, after)
        expect_that(not bad, f"each act of {group} as acts.def says", "\n".join(bad))

    def step(self, acts, counters):
        """
        counters has what they were before the group; becomes what they were before the first act and behind each. The
        guest ends each with a hypercall and waits for its power button, so that nobody need look at its console.
        """
        self.operator("list")       # what the switch replays is over then
        counters[0] = self.wait_for_step("", counters[0], 0)
        for act in acts:
            own = dict(self.record(act)).get(HYPERCALLS, 0)
            counters.append(self.wait_for_step("stop hostile\r", counters[-1], own))
        self.machine.send("stop hostile\r")

    def wait_for_step(self, go_on, before, own):
        """The counters once the act and the hypercall behind it are through."""
        deadline = time.monotonic() + 120 * SCALE
        while time.monotonic() < deadline:
            after = self.look(go_on)
            if after.get(HYPERCALLS, 0) > before.get(HYPERCALLS, 0) + own:
                return after
            go_on = ""
        raise Expected("the act to come to its end", str(after))

    def look(self, go_on):
        """Types that and asks for the counters. Those of a vCPU are of one moment; the first one's are the oldest, and it acts."""
        self.machine.send(go_on + "stats hostile\r")
        start = self.machine.expect(r"bulkhead> stats hostile[ \t]*\r?\n", 60, "the echo of stats").end()
        end = self.machine.expect(r"(?=bulkhead> )", 60, "the end of the answer").start()
        return self.counters_of(self.machine.serial.text[start:end])

    def record(self, act):
        """[(counter, number or "told")] that this act must come to here."""
        _, name, _, _, usual = act
        record, _ = RECORDS.get(self.target.name, {}).get(name, (usual, None))
        return [] if name in self.left_out() else records(record, self.target.vendor)

    def judge_guest(self, act, seen, ok, told):
        """What the guest saw."""
        _, name, what, outcome, _ = act
        told, _, skipped = told.partition(" # SKIP")
        there, why = EMULATORS.get(self.target.name, {}).get(name, ("", ""))
        if told == what and (ok == "ok") != bool(why) and seen == there and bool(skipped) == (name in self.left_out()):
            return []
        return [f"{name} ({what}): must be {outcome!r}, the guest saw {seen or outcome!r}"
                + (f"; here {there!r} was expected, because this emulator {why}" if why else "")]

    def judge_record(self, act, stepped, told, before, after):
        """What the hypervisor recorded: what was denied, and exits that nothing but acts makes, to the number."""
        _, name, what, _, _ = act
        want = dict.fromkeys([c for c in after if c.endswith("-denied")] + ONLY_ACTS, 0)
        want[HYPERCALLS] = int(stepped)
        for counter, number in self.record(act):
            want[counter] = want.get(counter, 0) + (told if number == "told" else number)
        risen = {counter: after.get(counter, 0) - before.get(counter, 0) for counter in want}
        return [f"{name} ({what}): {counter} must rise by {want[counter]}, rose by {risen[counter]}"
                for counter in want if (risen[counter] != want[counter] if is_exact(counter)
                                        else risen[counter] < want[counter])]

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
    seconds = 380
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

    @check("the console")
    def flood(self):
        self.acts("console")

    @check("the PCI bus")
    def bus(self):
        self.acts("bus")

    @check("a virtio device's rings and registers")
    def virtio(self):
        self.acts("virtio")

    @check("a socket device's packets and buffers")
    def sockets(self):
        self.acts("sockets")

    @check("the virtio console's queues and messages")
    def terminal(self):
        self.acts("terminal")

    @check("MSI-X")
    def msix(self):
        self.acts("msix")

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
    machine_icount = 6      # also in QEMU, so that beats are judged there, too
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
