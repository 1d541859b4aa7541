# SPDX-License-Identifier: GPL-2.0-or-later
"""Sticks with two sets: the new one is tried once, and the menu. One machine each, started again and again by its reset."""
import os
import re
import sys

from frame import ROOT, check, expect_that
from guests import GuestBoot

sys.path.insert(0, os.path.join(ROOT, "tools"))
import stick_sets

TRIAL = 2       # seconds

SET = """\
[hypervisor]
console = "com1"
menu = "1s"
trial = "{trial}s"

[guest.{name}]
cpus = "0"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=interactive"
"""


class Sets(GuestBoot):
    name = "sets"
    seconds = 120
    keeps_time = False
    targets = ["qemu-tcg", "qemu-kvm"]
    new = SET.format(name="beta", trial=TRIAL)

    def image(self):
        good = SET.format(name="alpha", trial=TRIAL)
        state = stick_sets.State(6, "a", "b")
        older = stick_sets.State(5, "a")
        return self.make_stick({"bulkhead/a/bulkhead.toml": good.encode(), "bulkhead/b/bulkhead.toml": self.new.encode(),
                                "bulkhead/a/guests/testguest": self.guest_file("testguest"),
                                "bulkhead/b/guests/testguest": self.guest_file("testguest"),
                                state.path(): state.text(), older.path(): older.text()})

    def state(self):
        texts = [self.file_on_stick(f"bulkhead/state-{n}.txt").encode() for n in (0, 1)]
        state = stick_sets.read(texts)
        expect_that(state, "a state on the stick", texts)
        return state

    def restart(self):
        self.machine.monitor.command("system_reset")

    def starts(self, number, name):
        """The guest of a set has the prompt."""
        self.machine.expect(rf"console 1/{number}: {name}", 240, f"{name} to start")
        self.machine.expect(r"ready> ", 120, f"{name}'s prompt")

    @check("a menu is shown, and goes on by itself with the new set", required=True)
    def menu(self):
        self.machine.expect(r"1  last good [^\n]*\(set a\)\s+2  new [^\n]*\(set b, not tried yet\)\s+3  look only [^\n]*\s+4  safe ", 120)
        self.machine.expect(r"Starting: new\s", 60)
        self.machine.expect(r"Set +set b, new, on trial +warn", 120)
        self.machine.expect(r"set b is on trial", 120)
        state = self.state()
        expect_that((state.good, state.new, state.trial) == ("a", "b", "tried"), "the try to be on the stick", vars(state))
        self.starts(1, "beta")

    @check("it comes up, and is the good one after the next restart", required=True)
    def good(self):
        self.machine.expect(r"set b has come up: the next restart", 60)
        self.restart()
        self.machine.expect(r"1  last good [^\n]*\(set b\)\s+3  look only", 240)
        self.machine.expect(r"Set +set b, good: it has come up +ok", 120)
        self.starts(1, "beta")
        state = self.state()
        expect_that((state.good, state.new) == ("b", "0"), "set b to be good", vars(state))
