# SPDX-License-Identifier: GPL-2.0-or-later
"""Steps with test guests (guests/test/shell.c): start a group of tests, read its TAP, ask the heart.

A heart beats on a CPU of its own with a timer of its own, and measures by its own clock how late it was. No step
draws a conclusion from this PC's time.
"""
import re

from frame import Boot, expect_that
from machine import Expected

RESTARTS = 3                    # in a row, after which on_crash = "restart" gives up
# A beat may come so much later than due, in thousandths of a period (100 ms), which are 1,000 instructions in Bochs: the
# heart's time is the machine's, so this PC's speed and load do not count. Where the heart's CPU serves the consoles, a
# piece of work for console, log or operator takes up to 50,000 instructions, and two may follow one another without the
# guest in between. Seen: 21 to 36 in hostile.
LATEST = 100
# Where another CPU does. Seen: 1 to 2 in walls.
LATEST_APART = 20
# One thread runs all CPUs of QEMU by turns then (machine_icount). A turn is a fifth of the time to the next timer's end, if
# no byte comes or goes on this PC and ends it sooner; the heart's CPU may have to wait for four others. Seen: 54 on a quiet
# PC, 105 to 461 on a busy one. A beat that is missed is a fault there, too.
LATEST_BY_TURNS = 900
# Their time is this PC's, which has other things to do: beats are told and not judged. hostile-first has QEMU count
# instructions instead (machine_icount), which makes one thread of all CPUs; there they are judged, too.
NO_CLOCK = ("qemu-tcg", "qemu-kvm")
# Why no guest can leave long mode there.
LEGACY = {"bochs-amd": "clears EFER.LMA before it exits for CR0, so that the instruction cannot be fetched"}


# How the config of such a boot begins; CPU 0 is the heart's.
HEART_CONFIG = """\
[hypervisor]
console = "com1"

[guest.heart]
cpus = "0"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=heartbeat"

"""


def test_guest(name, cpus, more=""):
    """Its table in the config: a test guest that waits for a group's name. more: further keys."""
    return f"""\
[guest.{name}]
cpus = "{cpus}"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=interactive"
{more}
"""


WARNING = r"(?:\r?\n\[bulkhead\][^\n]*\n)*"       # as every view shows it


class GuestBoot(Boot):
    """heart_view: number of the heart's console; subject: (number, name) of the guest under test."""
    heart_view, subject, latest = 1, (2, "hostile"), LATEST
    # Lines that are "not ok" because of the emulator: target -> {group: [line]}.
    emulator_faults = {}

    def __init__(self, *args):
        super().__init__(*args)
        self.last_beat = 0

    def heart_goes_on(self):
        """It answers, has beaten since, and no beat so far was missed or late, where time is the machine's."""
        self.look_at(self.heart_view)
        beat, late, missed = self.ping()
        by_turns = self.machine_icount is not None and self.target.name == "qemu-tcg"
        judged = self.target.name not in NO_CLOCK or by_turns
        latest = LATEST_BY_TURNS if by_turns else self.latest
        expect_that(beat > self.last_beat, f"a beat after {self.last_beat}", beat)
        expect_that(not judged or missed == 0 and late <= latest,
                    f"no beat missed, none later than {latest} thousandths",
                    f"{missed} missed, the worst {late} thousandths of a period late")
        self.last_beat = beat

    def ping(self):
        """The heart's answer: its beats, the worst lateness, beats missed."""
        for attempt in range(6):        # a guest that is just starting empties its UART
            self.tag += 1
            self.machine.send(f"ping {self.tag}\r")
            try:
                return map(int, self.machine.expect(
                    rf"answer ping {self.tag} at (\d+) late (\d+) missed (\d+)\r?\n", 20,
                    "the heart's answer to ping").groups())
            except Expected:
                if attempt == 5:
                    raise

    def begin(self, test, view=None):
        """
        Types a group's name with a tag, so that its output is told from the scrollback. A warning may stand in the middle
        of the guest's line. On a slow PC the answer to an earlier try may come after the next was typed.
        """
        self.look_at(view or self.subject[0])
        begun = []
        # A guest that was off a moment ago may not have heard the first. Of a group that ends the guest a second one too
        # many would end it once more: so it is typed late.
        for attempt in range(3):
            self.tag += 1
            begun.append(WARNING.join(map(re.escape, f"# begin {test} {self.tag}")))
            self.machine.send(f"\r{test} {self.tag}\r")
            try:
                self.machine.expect(rf"(?:{'|'.join(begun)})\r?\n", 60, f"the guest to begin {test}")
                return
            except Expected:
                if attempt == 2:
                    raise

    group_seconds = 180

    def group_lines(self, test, view=None, meanwhile=None):
        """Runs a group to its end: (its lines, number passed, number failed). meanwhile: what else is done, elsewhere."""
        self.begin(test, view)
        if meanwhile:
            begun = f"# begin {test} {self.tag}"
            meanwhile()
            self.view(view or self.subject[0])
            self.machine.expect(begun, 60)
        start = self.machine.serial.mark
        done = self.machine.expect(rf"# done: {test} (\d+) passed, (\d+) failed|Bail out![^\r\n]*\r?\n",
                                   self.group_seconds)
        lines = self.machine.serial.text[start:done.end()].replace("\r", "")
        expect_that(done.group(1), f"{test} to come to its end", lines)
        plan = re.search(r"^1\.\.(\d+)$", lines, re.M)
        expect_that(plan and int(plan.group(1)) == len(re.findall(r"^(?:not )?ok \d+ - ", lines, re.M)) > 0,
                    f"{test}: as many lines as planned", lines)
        return lines, int(done.group(1)), int(done.group(2))

    def subtest(self, test, view=None, meanwhile=None):
        """Runs a group to its end: "not ok" are just the lines that the emulator's own faults make so."""
        lines, _, failed = self.group_lines(test, view, meanwhile)
        known = self.emulator_faults.get(self.target.name, {}).get(test, [])
        seen = re.findall(r"^not ok \d+ - ([^\n]*)", lines, re.M)
        expect_that(failed == len(seen) and seen == known,
                    f"{test}: all lines ok" + "".join(f", but for {line!r}" for line in known),
                    "\n".join(line for line in lines.split("\n") if not line.startswith("ok ")))

    def expect_state(self, name, state):
        answer, _ = self.operator("list")
        expect_that(re.search(rf"{name}[^\n]*({state})", answer), f"{name} {state}", answer)

    def expect_last_crash(self, name, reason, where):
        """What the operator is told of it, though it runs again."""
        answer, _ = self.operator(f"list {name}")
        for line in (rf"{name} +running ", rf"^  crashed [1-9]\d* times?, last [\d:]+ ago: {reason} \[BH\d+\]\r?$",
                     rf"^  \[ *\d+\.\d{{6}}\] vcpu \d, {where}\r?$"):
            expect_that(re.search(line, answer, re.M), f"/{line}/", answer)

    def pause(self, name):
        self.new_log()
        self.operator(f"pause {name}")
        self.expect_log(name, rf'paused: its clocks stand still until "resume {name}"$')
        self.expect_state(name, "paused")
        self.heart_goes_on()

    def hold(self, name):
        """The operator pauses a guest, which all but the guest notice, and lets it go on."""
        self.pause(name)
        self.operator(f"resume {name}")
        self.expect_log(name, r"resumed: its clocks are \d+\.\d{3} s behind$")

    def order(self, command, name):
        """Has the operator start or reset a guest and waits until it has begun."""
        self.operator(f"{command} {name}")
        text = self.machine.serial.text
        self.machine.serial.mark = text.rfind(f"bulkhead> {command} {name}")    # the log may have been faster
        self.machine.expect(rf"{name}: {command}(ed)? by the operator", 60)
        self.machine.expect(rf"{name}: first instruction after", 60)

    def crash(self, test, reason, report="stopped: "):
        """
        The guest falls over, is reported and comes back; an operator helps once the limit is reached. What is told
        at level warning or above is told in every view. True if it had to be started by the operator. A guest that does
        not come to its first instruction has no report but the reason.
        """
        number, name = self.subject
        self.view(number)
        start = self.machine.serial.mark
        self.begin(test)
        begun = self.machine.serial.mark
        self.machine.serial.mark = start        # a warning overtakes what the guest has said before
        self.machine.expect(rf"{name}: error: {report}{reason}", 60)
        gave_up = "stays" in self.machine.expect(r"restarting \(\d+ of \d+\)|stays stopped", 60).group()
        self.machine.serial.mark = max(begun, self.machine.serial.mark) if gave_up else begun
        if gave_up:
            self.order("start", name)
            self.view(number)
        self.machine.expect(r"ready> ", 60, f"{name} to start again")
        return gave_up
