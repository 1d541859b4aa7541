# SPDX-License-Identifier: GPL-2.0-or-later
"""Compartments with a back door (tests/backdoor), which do on their guest's request what no compartment may.

Each act ends that VM with a report that names the compartment, or comes to nothing; the neighbour's heart goes on.
"""
import os
import re

from frame import ROOT, check, expect_that
from guests import HEART_CONFIG, GuestBoot

CONFIG = HEART_CONFIG + """\
[guest.hostile]
cpus = "1-2"
memory = "16M"
kernel = "guests/hostileguest"
cmdline = "cpus=2 memory=16"
on_crash = "restart"
"""

# What an emulator cannot show: target -> {act: why}.
LEFT_OUT = {
    "bochs-amd": {"loop_without_if": "gives no host interrupt to what runs with interrupts off"},
    "bochs-intel": {"loop_without_if": "ends it as it must, but gives no host interrupt to the next loop on that CPU"},
}
# What two vCPUs do at once.
BOTH = ["write_null", "map_core", "write_text", "recurse", "wild_call", "wrong_exchange", "told_messages", "told_cr4", "halt",
        "loop"]
ACT = re.compile(r'^ACT\((\w+), "([^"]*)", "([^"]*)"\)$', re.M)


def read_acts():
    """(number, name, what, report) in the order of the file."""
    with open(os.path.join(ROOT, "tests/backdoor/acts.def"), encoding="ascii") as file:
        return [(number, *found) for number, found in enumerate(ACT.findall(file.read()), 1)]


class Compartment(GuestBoot):
    name = "compartment"
    seconds = 60
    machine_cpus = 3
    efi_file = "backdoor/BOOTX64.EFI"

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "guests/hostileguest": self.guest_file("hostileguest"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    @check("the guests start", required=True)
    def start(self):
        self.machine.expect(r"console 1/\d: heart", 240, "the focus to move to the first guest")
        self.heart_goes_on()

    @check("what a compartment may not do ends its VM, with a report that names it")
    def acts(self):
        acts = read_acts()
        expect_that(len(acts) >= 20, "20 acts or more", len(acts))
        left_out = LEFT_OUT.get(self.target.name, {})
        bad = [fault for act in acts if act[1] not in left_out and (fault := self.act(*act))]
        self.heart_goes_on()
        expect_that(not bad, "each act to end as acts.def says", "\n".join(bad))

    @check("two vCPUs whose compartments do so at once end their VM as one does")
    def acts_of_two(self):
        acts = {act[1]: act for act in read_acts()}
        bad = [fault for name in BOTH if (fault := self.act(*acts[name], command="upcall-both"))]
        self.heart_goes_on()
        expect_that(not bad, "each act to end as acts.def says", "\n".join(bad))

    def act(self, number, name, what, report, command="upcall"):
        """One act; the guest is as before then. What was wrong, or None."""
        if not report:
            lines, _, failed = self.group_lines(f"{command}-{number}")
            return f"{name} ({what}) must come to nothing:\n{lines}" if failed else None
        start = len(self.machine.serial.text)
        self.crash(f"{command}-{number}", "its compartment failed")
        told = re.findall(r"hostile: error: its compartment ([^\r\n]*)", self.machine.serial.text[start:])
        if told and re.match(report, told[0]):
            return None
        return f"{name} ({what}) must end by /{report}/, but: {told}"
