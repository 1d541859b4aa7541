# SPDX-License-Identifier: GPL-2.0-or-later
"""Compartments with a back door (tests/backdoor), which do on their guest's request what no compartment may.

Each act ends that VM with a report that names the compartment, or comes to nothing; the neighbour's heart goes on.
"""
import os
import re

from frame import ROOT, check, expect_that
from guests import HEART_CONFIG, GuestBoot

CONFIG = HEART_CONFIG + """\
net = ["lan"]

[wire.lan]

[guest.hostile]
cpus = "1-2"
memory = "16M"
kernel = "guests/hostileguest"
cmdline = "cpus=2 memory=16"
on_crash = "restart"
net = ["lan"]
disk = ["file:images/file:ro", "own:blank:2M"]
pmem = ["images/pages"]
"""

# What an emulator cannot show: target -> {act: why}.
TELLS_CR = "its CPU tells all of a MOV CR: the compartment is not asked"
LEFT_OUT = {
    "bochs-amd": {"loop_without_if": "gives no host interrupt to what runs with interrupts off",
                  "wrong_task": "no guest can leave long mode: see LEGACY in guests.py"},
    "bochs-intel": {"loop_without_if": "ends it as it must, but gives no host interrupt to the next loop on that CPU",
                    "wrong_cr": TELLS_CR, "wrong_cr_way": TELLS_CR, "wrong_cr_access": TELLS_CR},
}
# What two vCPUs do at once.
BOTH = ["write_null", "map_core", "write_text", "recurse", "wild_call", "wrong_exchange", "told_messages", "told_cr4", "halt",
        "wrong_outcome", "loop", "race"]
AT_START = ["load_unknown", "load_for_ever"]    # of the next run
TOGETHER = "race"               # of no use alone
# With the key control alone.
OF_CONTROL = ["control_other", "control_far", "control_long", "control_no_call", "control_for_ever", "control_types_for_ever"]
AFTER = {"wrong_task": "task_jump"}     # a group that the guest runs next: the act is about its exits
ACT = re.compile(r'^ACT\((\w+), "([^"]*)", "([^"]*)"\)$', re.M)


def read_acts():
    """(number, name, what, report) in the order of the file."""
    with open(os.path.join(ROOT, "tests/backdoor/acts.def"), encoding="ascii") as file:
        return [(number, *found) for number, found in enumerate(ACT.findall(file.read()), 1)]


class BackDoor(GuestBoot):
    """The guest hostile has it; config: the whole one."""
    config = CONFIG
    keeps_time = False      # in QEMU nobody judges a beat
    machine_cpus = 3
    efi_file = "backdoor/BOOTX64.EFI"

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "guests/hostileguest": self.guest_file("hostileguest"),
                                "images/file": b"\xc3" * 4096,   # RET, should it ever be run
                                "images/pages": b"\xc3" * (2 << 20),
                                "bulkhead/bulkhead.toml": self.config.encode()})

    @check("the guests start", required=True)
    def start(self):
        self.machine.expect(r"console 1/\d: heart", 240, "the focus to move to the first guest")
        self.heart_goes_on()

    def act(self, number, name, what, report, command="upcall"):
        """One act; the guest is as before then. What was wrong, or None."""
        ends = {"": self.comes_to_nothing, "nothing: its guest takes an NMI": self.takes_nmi,
                "nothing: its guest is reset": self.is_reset, "nothing: its guest crashes": self.crashes,
                "nothing: its guest stands still": self.stands_still}
        end = ends.get(report, self.fails_at_start if name in AT_START else self.fails)
        fault = end(f"{command}-{number}", AFTER.get(name), report)
        return fault and f"{name} ({what}): {fault}"

    def fails(self, test, _after, report, at_start=False):
        start = len(self.machine.serial.text)
        self.crash(test, *(("its compartment ", "") if at_start else ("its compartment failed",)))
        text = self.machine.serial.text[start:]
        if test.startswith("upcall-both") and "# from two vCPUs" not in text:
            return f"two vCPUs must try at once, but:\n{text}"
        told = re.findall(r"hostile: error: its compartment ([^\r\n]*)", text)
        return None if told and re.match(report, told[0]) else f"must end by /{report}/, but: {told}"

    def fails_at_start(self, test, after, report):
        return self.fails(test, after, report, at_start=True)

    def comes_to_nothing(self, test, after, _report):
        for group in filter(None, (test, after)):
            lines, _, failed = self.group_lines(group)
            if failed:
                return f"must come to nothing:\n{lines}"
        return None

    def takes_nmi(self, test, _after, _report):
        lines, _, failed = self.group_lines(test)
        return None if not failed and re.search(r"^# NMIs 0x[1-9]", lines, re.M) else f"must be one NMI or more:\n{lines}"

    def is_reset(self, test, _after, _report):
        """That guest alone, and by this. Of many restarts in a row not each is told: the operator's ends the row."""
        self.order("reset", "hostile")
        self.new_log()
        self.begin(test)
        self.expect_log("hostile", r"reset by INIT to its first CPU, starting again \[BH3003\]$", r"first instruction after")
        self.view(self.subject[0])
        self.machine.expect(r"ready> ", 60, "the guest to start again")
        self.heart_goes_on()

    def crashes(self, test, _after, _report):
        self.crash(test, "instruction the emulator does not know")

    def stands_still(self, test, _after, _report):
        """What it does then is its own; neighbour and operator do not notice."""
        self.begin(test)
        for _ in range(3):
            self.heart_goes_on()
        self.order("reset", "hostile")
        self.view(self.subject[0])
        self.machine.expect(r"ready> ", 60, "the guest to start again")


class Compartment(BackDoor):
    name = "compartment"
    seconds = 110

    @check("what a compartment may not do ends its VM, with a report that names it")
    def acts(self):
        acts = read_acts()
        expect_that(len(acts) >= 20, "20 acts or more", len(acts))
        left_out = {TOGETHER, *OF_CONTROL, *LEFT_OUT.get(self.target.name, {})}
        bad = [fault for act in acts if act[1] not in left_out and (fault := self.act(*act))]
        self.heart_goes_on()
        expect_that(not bad, "each act to end as acts.def says", "\n".join(bad))

    @check("two vCPUs whose compartments do so at once end their VM as one does")
    def acts_of_two(self):
        acts = {act[1]: act for act in read_acts()}
        bad = [fault for name in BOTH if (fault := self.act(*acts[name], command="upcall-both"))]
        self.heart_goes_on()
        expect_that(not bad, "each act to end as acts.def says", "\n".join(bad))

    @check("the operator reads in the list which compartment failed last, and where")
    def last_crash(self):
        acts = {act[1]: act for act in read_acts()}
        expect_that(self.act(*acts["write_null"]) is None, "the act to end as acts.def says", "it did not")
        self.expect_last_crash("hostile", "its compartment failed",
                               r"compartment's rip 0xf+[0-9a-f]{8,}, at work on hypercall")


class CompartmentControl(BackDoor):
    """It may control itself, and no other."""
    name = "compartment-control"
    seconds = 20
    config = CONFIG + 'control = ["hostile"]\n'

    @check("who may control itself learns of no other guest, and what is nonsense ends its VM")
    def acts(self):
        bad = [fault for act in read_acts() if act[1] in OF_CONTROL and (fault := self.act(*act))]
        self.heart_goes_on()
        self.expect_state("heart", "running")
        expect_that(not bad, "each act to end as acts.def says", "\n".join(bad))
