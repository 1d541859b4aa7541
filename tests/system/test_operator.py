# SPDX-License-Identifier: GPL-2.0-or-later
"""The operator asks who has what, while guests run, and switches the machine off."""
import re

from frame import check, expect_that
from guests import HEART_CONFIG, GuestBoot

CONFIG = HEART_CONFIG.rstrip("\n") + """
stop_timeout = "1s"

[guest.friend]
cpus = "1"
memory = "24M"
kernel = "guests/testguest"
cmdline = "test=interactive memory=24"
net = ["lan"]
disk = ["data:blank:2M"]
stop_timeout = "1s"

[guest.other]
cpus = "2"
memory = "16M"
kernel = "guests/testguest"
cmdline = "test=interactive memory=16"
net = ["lan"]
start = "manual"

[wire.lan]
"""
FRIEND = 2


class Operator(GuestBoot):
    name = "operator"
    keeps_time = False
    machine_cpus = 4
    subject = (FRIEND, "friend")

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    @check("hardware.toml: this machine, by which bhcheck judges a config elsewhere", required=True)
    def hardware(self):
        self.machine.expect(r"console 1/3: heart", 240, "the focus to move to the first guest")
        text = self.file_on_stick("bulkhead/hardware.toml").replace("\r", "")
        for line in (r"^# CPU +\S", r'^cpu3 = "apic=3 node=0"', r'^range\d+ = "0x[0-9a-f]+-0x[0-9a-f]+ free"$',
                     r'^function0 = "0000:00:00\.0 '):
            expect_that(re.search(line, text, re.M), f"/{line}/", text)
        said, status = self.bhcheck_machine(text, CONFIG)
        expect_that(status == 0 and re.search(r"^friend +1 +24M +0x", said, re.M), "a plan", said)
        before, other = CONFIG.split("[guest.other]")
        for right, wrong, column in (('cpus = "2"', 'cpus = "4"', 8), ('memory = "16M"', 'memory = "64G"', 10),
                                     ('start = "manual"', 'pci = ["00:1e.7"]', 8)):
            where = f"{1 + (before + other[:other.index(right)]).count(chr(10))}:{column}"
            said, status = self.bhcheck_machine(text, before + "[guest.other]" + other.replace(right, wrong))
            expect_that(status == 1 and f"bulkhead.toml:{where}: " in said, f"{wrong} refused at {where}", said)
        said, status = self.bhcheck_machine(text.replace(" free", " mine"), CONFIG)
        expect_that(status == 1 and "hardware.toml:" in said, "a broken file refused", said)

    @check("config: the file as it was read")
    def config(self):
        answer, _ = self.operator("config")
        lines = answer.replace("\r", "")
        expect_that(CONFIG.strip() in lines, "the whole file", lines)
        expect_that("a changed file counts from the next one" in lines, "to be told when it counts", lines)

    @check("map: RAM, records, program, channel, bitmaps, from the tables in use")
    def map(self):
        answer, _ = self.operator("map")
        lines = answer.replace("\r", "")
        for line in (r"^nobody: CPUs 3$", r"^heart: CPUs 0$", r"^friend: CPUs 1$", r"^other: CPUs 2$",
                     r"^  guest +0x0-0x17fffff is 0x[0-9a-f]+-0x[0-9a-f]+ rwx  RAM$",
                     r"^  compartment 0x0-0x17fffff is 0x[0-9a-f]+-0x[0-9a-f]+ rw-  RAM$",
                     r"^  compartment 0x[0-9a-f]+-0x[0-9a-f]+ is 0x[0-9a-f]+-0x[0-9a-f]+ r-x  the compartments' program$",
                     r"rw-  its own records$", r"rw-  channel with other \(wire\)$", r"r--  channel with other \(wire\)$",
                     r"r--  channel with friend \(wire\)$", r"rw-  pages that a disk has written$",
                     r"^  ports +none$", r"^  MSRs read   0x[0-9a-f]+", r"^  wire        lan, link up$"):
            expect_that(re.search(line, lines, re.M), f"/{line}/", lines)
        expect_that("NOT in the plan" not in lines, "nothing that is not planned", lines)
        ram = [tuple(int(n, 16) for n in piece) for piece in
               re.findall(r"^  guest +0x[0-9a-f]+-0x[0-9a-f]+ is 0x([0-9a-f]+)-0x([0-9a-f]+) rwx", lines, re.M)]
        ram.sort()
        expect_that(len(ram) >= 3 and all(a[1] < b[0] for a, b in zip(ram, ram[1:])), "RAM of nobody else's", ram)
        self.heart_goes_on()

    @check("inspect: a guest's table, what it has, its registers")
    def inspect(self):
        answer, _ = self.operator("inspect friend")
        lines = answer.replace("\r", "")
        for line in (r"^2 friend +running ", r'^\[guest\.friend\]$', r'^disk = \["data:blank:2M"\]$', r"^friend: CPUs 1$",
                     r"^vcpu0 on cpu 1: ", r"^  rip [0-9a-f]{16}"):
            expect_that(re.search(line, lines, re.M), f"/{line}/", lines)
        expect_that("guest.other" not in lines and "guest.heart" not in lines, "no other guest's table", lines)

    @check("poweroff: asks, stops the guests, by force if need be; the machine is off if its firmware says how")
    def poweroff(self):
        answer, _ = self.operator("poweroff")
        expect_that("2 guests run and would be switched off" in answer, "to be asked", answer)
        self.machine.send("poweroff yes\r")
        self.machine.expect(r"friend: asked to switch off \(power button\)", 60)
        if not self.target.tells_power_off:
            self.machine.expect(r"all guests are off\. This machine's firmware does not say how to switch it off: use its "
                                r"power button", 120)
            self.machine.expect("bulkhead> ", 60)
            return
        self.machine.expect(r"switching the machine off at the operator's request", 120)
        try:
            self.machine.process.wait(60)
        except subprocess.TimeoutExpired:
            expect_that(False, "the emulator to end", "it runs on")
