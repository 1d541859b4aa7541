# SPDX-License-Identifier: GPL-2.0-or-later
"""Sticks with two sets: the new one is tried once, what falls back, and the menu. One machine each, which is started again and
again. The sticks are made and updated by tools/mkstick; what its updates survive is test_sticks.py's.
"""
import os
import shutil
import subprocess
import sys

from frame import ROOT, check, expect_that
from guests import GuestBoot

sys.path.insert(0, os.path.join(ROOT, "tools"))
import stick_sets
from test_sticks import Recorder, after, load_mkstick

HEAD = """\
[hypervisor]
console = "com1"
menu = "1s"
trial = "{trial}"
"""
GUEST = """
[guest.{name}]
cpus = "{cpu}"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=interactive"
{more}
"""


class SetsBoot(GuestBoot):
    seconds = 120
    keeps_time = False
    targets = ["qemu-tcg", "qemu-kvm"]
    good = HEAD.format(trial="2s") + GUEST.format(name="alpha", cpu=0, more="")
    new = HEAD.format(trial="2s") + GUEST.format(name="beta", cpu=0, more="")

    def image(self):
        """A stick with both sets, and beside it the new one's config."""
        os.makedirs(os.path.join(self.folder, "guests"), exist_ok=True)
        shutil.copy(self.guest_file("testguest"), os.path.join(self.folder, "guests"))
        image = os.path.join(self.folder, "stick.img")
        common = ["--bhcheck", os.path.join(self.build, "bhcheck")]
        first = ["-o", image, "--id", "test", "--application", os.path.join(self.build, "BOOTX64.EFI")]
        for name, text, words in ("good", self.good, first), ("new", self.new, ["--update", image]):
            config = os.path.join(self.folder, f"{name}.toml")
            with open(config, "w", encoding="ascii") as file:
                file.write(text)
            subprocess.run([sys.executable, "-B", os.path.join(ROOT, "tools/mkstick"), *words, *common, config], check=True,
                           stdout=subprocess.DEVNULL)
        return image

    def state(self):
        texts = [self.file_on_stick(f"bulkhead/state-{n}.txt").encode() for n in (0, 1)]
        state = stick_sets.read(texts)
        expect_that(state, "a state on the stick", texts)
        return state

    def expect_state(self, *wanted):
        state = self.state()
        expect_that((state.good, state.new, state.trial) == wanted, f"{wanted} on the stick", vars(state))

    def restart(self):
        self.viewed = None
        self.machine.monitor.command("system_reset")

    def choose(self, number, name):
        """In the menu; what was typed before it is forgotten there, so more than once."""
        self.machine.expect(r"Starting in 1 s; a key stops that", 240, "the menu")
        self.press(r"Press a number, or Enter for", "the count to stop")
        self.machine.send(number)
        self.machine.expect(rf"Starting: {name}\s", 60)

    def starts(self, count, name):
        """The first guest of a set has the prompt."""
        self.machine.expect(rf"console \d/{count}: {name}", 240, f"{name} to start")
        self.machine.expect(r"ready> ", 120, f"{name}'s prompt")


class Sets(SetsBoot):
    name = "sets"

    @check("a menu is shown, and goes on by itself with the new set", required=True)
    def menu(self):
        self.machine.expect(r"1  last good [^\n]*\(set a\)\s+2  new [^\n]*\(set b, not tried yet\)\s+3  look only [^\n]*\s+4  safe ", 120)
        self.machine.expect(r"Starting: new\s", 60)
        self.machine.expect(r"Set +set b, new, on trial +warn", 120)
        self.machine.expect(r"set b is on trial", 120)
        self.expect_state("a", "b", "tried")
        self.starts(1, "beta")

    @check("it comes up, and is the good one after the next restart", required=True)
    def becomes_good(self):
        self.machine.expect(r"set b has come up: the next restart", 60)
        self.restart()
        self.machine.expect(r"1  last good [^\n]*\(set b\)\s+3  look only", 240)
        self.machine.expect(r"Set +set b, good: it has come up +ok", 120)
        self.starts(1, "beta")
        self.expect_state("b", "0", "fresh")


class SetsBack(SetsBoot):
    """The new set's guest never has the time to prove itself."""
    name = "sets-back"
    machine_cpus = 3
    good = (HEAD.format(trial="2s") + GUEST.format(name="alpha", cpu=1, more='start = "manual"') +
            GUEST.format(name="gamma", cpu=0, more='net = ["lan"]\nwatchdog = "30s"') + "[wire.lan]\n")
    new = HEAD.format(trial="60m") + GUEST.format(name="beta", cpu=0, more='on_crash = "stop"')

    @check("a guest of the new set crashes for good: the machine restarts by itself, with the good set", required=True)
    def crash(self):
        self.starts(1, "beta")
        self.machine.send("jump\r")
        self.machine.expect(r"set b has not come up, because of beta: the machine restarts with the good set in 10 s", 120)
        self.machine.expect(r"2  new [^\n]*\(set b, did not come up\)", 240, "the machine to restart")
        self.machine.expect(r"Starting: last good\s", 60)
        self.machine.expect(r"Set +set a, the last good one, not set b +warn", 120)
        self.machine.expect(r"The new set was tried once and did not come up", 60)
        self.starts(2, "gamma")
        self.expect_state("a", "b", "fails")
        expect_that("A crash of beta in the last start is now in bulkhead/crash/1.txt." in self.machine.serial.text,
                    "the crash on the stick", "")

    @check("look only looks, starts nothing and uses up no try", required=True)
    def look(self):
        self.restart()
        self.choose("3", "look only")
        self.machine.expect(r"Set +set a, the last good one", 120)
        self.machine.expect(r"Looked only: nothing was started\.\s+Press any key to return to the firmware", 120)
        self.expect_state("a", "b", "fails")
        expect_that('"' in self.file_on_stick("bulkhead/hardware.toml"), "hardware.toml", "")

    @check("safe starts the good set's first guest alone, without what is not its own", required=True)
    def safe(self):
        self.restart()
        self.choose("4", "safe")
        self.starts(1, "gamma")
        shown = self.operator("stats gamma")[0]
        expect_that("exits" in shown and "lan" not in shown, "no wire", shown)

    @check("the new set is tried once more from the menu; a panic restarts the machine with the good one", required=True)
    def panic(self):
        self.restart()
        self.choose("2", "new")
        self.starts(1, "beta")
        self.expect_state("a", "b", "tried")
        self.machine.monitor.human(f"mce 2 1 {0xb60000000000_0135:#x} 0x4 0x12345000 0")
        self.machine.expect(r"The set was on trial: the machine restarts with the good one in 30 s", 60, "the panic")
        self.machine.expect(r"2  new [^\n]*\(set b, did not come up\)", 240, "the machine to restart")
        self.starts(2, "gamma")

    @check("the power is cut: nothing tells whether the new set had come up, so it is the good one, and it says so")
    def power_cut(self):
        self.restart()
        self.choose("2", "new")
        self.starts(1, "beta")
        image = os.path.join(self.folder, "cut.img")
        shutil.copy(os.path.join(self.folder, "disk.img"), image)
        self.machine.stop()
        self.viewed = None
        self.machine = self.target.start(image, self.folder, cpus=self.machine_cpus, memory=self.machine_memory)
        self.machine.expect(r"2  new [^\n]*\(set b, tried, then the power was cut\)", 240)
        self.machine.expect(r"nothing tells whether it had come up", 120)
        self.starts(2, "gamma")
        self.expect_state("a", "b", "lost-")


class SetsRefused(SetsBoot):
    """The new set asks for more than the machine has: bhcheck judged it for another one."""
    name = "sets-refused"
    new = HEAD.format(trial="2s") + GUEST.format(name="beta", cpu=7, more="")

    @check("a new set that the pre-flight refuses is followed by the good one, and the reasons are kept")
    def refused(self):
        self.machine.expect(r'CPU 7', 240, "the fault")
        self.machine.expect(r"The new set cannot start\. The next start is of set a, in 30 s", 120)
        self.press(r"2  new [^\n]*\(set b, did not come up\)", "the machine to restart")
        self.starts(1, "alpha")
        self.expect_state("a", "b", "fails")
        expect_that("CPU 7" in self.file_on_stick("bulkhead/last-trial.txt"), "the fault in last-trial.txt", "")


class SetsCut(SetsBoot):
    """What test_sticks.py judges without a machine, in one: updates that were cut off."""
    name = "sets-cut"

    def image(self):
        image = super().image()
        with open(image, "rb") as file:
            base = file.read()
        files = [("bulkhead.toml", os.path.join(self.folder, "new.toml")), ("guests/testguest", self.guest_file("testguest"))]
        disk, mkstick = Recorder(base), load_mkstick()
        mkstick.update(mkstick.Image(None, disk), files)
        writes = [item for item in disk.done if item]
        expect_that(len(writes) > 10, "many writes", len(writes))
        self.cuts = []
        for number, count in enumerate((1, len(writes) // 2, len(writes) - 1)):
            self.cuts.append((count, os.path.join(self.folder, f"cut{number}.img")))
            with open(self.cuts[-1][1], "wb") as file:
                file.write(after(base, writes[:count]))
        return self.cuts[0][1]

    @check("after an update that was cut off early, in its middle and before its last write the good set starts")
    def cut(self):
        for count, image in self.cuts:
            if image != self.cuts[0][1]:
                self.machine.stop()
                self.machine = self.target.start(image, self.folder, cpus=self.machine_cpus, memory=self.machine_memory)
            self.machine.expect(r"1  last good [^\n]*\(set a\)\s+3  look only", 240, f"no new set after {count} writes")
            self.starts(1, "alpha")
