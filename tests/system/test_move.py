# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM is three things: RAM, compartment region, vCPU records. Paused, copied to another one's memory and CPUs, it goes on
there; what it was is overwritten before, and starts anew while the copy runs. Both have disks and a wire, of which no
driver knows here: test_wires.py has them in use.
"""
from frame import check, expect_that
from guests import HEART_CONFIG, GuestBoot

CONFIG = HEART_CONFIG + """\
[guest.first]
cpus = "1-2"
memory = "24M"
kernel = "guests/testguest"
cmdline = "test=interactive memory=24 cpus=2"
net = ["lan"]
disk = ["data:blank:2M", "file:images/file:volatile:2M"]

[guest.second]
cpus = "3-4"
memory = "24M"
kernel = "guests/testguest"
cmdline = "test=interactive memory=24 cpus=2"
net = ["lan"]
disk = ["data:blank:2M", "file:images/file:volatile:2M"]
start = "manual"

[wire.lan]
"""
FIRST, SECOND = 2, 3
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class Move(GuestBoot):
    name = "move"
    keeps_time = False      # in QEMU nobody judges a beat
    machine_cpus = 5
    subject = (FIRST, "first")

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "images/file": bytes(range(256)) * 4096,
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    @check("who runs is not moved, nor to one that runs", required=True)
    def refused(self):
        self.machine.expect(r"console 1/3: heart", 240, "the focus to move to the first guest")
        self.begin("move")
        self.machine.expect("# one half of a line: abc", 60)
        answer, _ = self.operator("move first second")
        expect_that("first must be paused, and second off [BH6108]" in answer, "to be refused", answer)
        self.pause("first")
        answer, _ = self.operator("move first heart")
        expect_that("first must be paused, and heart off [BH6108]" in answer, "to be refused", answer)
        self.operator("link first lan down")

    @check("paused in the middle of a line and moved, it goes on in the copy; what it was starts anew meanwhile", required=True)
    def moved(self):
        self.go("first", "second")
        self.order("start", "first")
        self.view(SECOND)
        start = self.machine.serial.mark
        self.machine.send(" ")
        rest = self.machine.expect(r" 0 log[^\n]*help\r?\n([a-z]+)\.\r?\n# letters (\d+)\r?\n", 60,
                                   "the rest of the line on the other console")
        done = self.machine.expect(r"# done: move (\d+) passed, (\d+) failed", 60)
        lines = self.machine.serial.text[start:done.end()]
        expect_that(done.group(2) == "0" and int(done.group(1)) > 10, "all lines ok", lines)
        answer, _ = self.operator("stats second")
        expect_that("net lan link down" in answer, "the cable to be pulled there, too", answer)
        self.view(FIRST)
        half = self.machine.expect(r"# one half of a line: ([a-z]+)\r?\n# test guest", 60, "the first half of the line")
        line, count = half.group(1) + rest.group(1), int(rest.group(2))
        expect_that(line == (ALPHABET * (count // 26 + 1))[:count], f"{count} letters in their order, each once", line)

    @check("both run, and back again: to the other's CPUs and memory")
    def back(self):
        self.subtest("alive")
        self.operator("kill first")
        self.pause("second")
        self.go("second", "first")
        self.subtest("smp")
        self.order("start", "second")
        self.subtest("alive", SECOND)
        for guest, cable in ("first", "down"), ("second", "up"):
            answer, _ = self.operator(f"stats {guest}")
            expect_that(f"net lan link {cable}" in answer, f"{guest}'s cable to be as it was: {cable}", answer)
        self.heart_goes_on()

    def go(self, one, other):
        self.operator(f"move {one} {other}")
        self.expect_logs((one, rf"moved to {other} \[BH3007\]$"), (other, "goes on in the place of another guest"))
        self.operator(f"resume {other}")
        self.expect_log(other, r"resumed: its clocks are \d+\.\d{3} s behind$")
