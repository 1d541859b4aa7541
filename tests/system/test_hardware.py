# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines and firmware of all kinds, each booted to two guests that answer; `make hardware-test` runs all of them.

A row of VARIANTS is a boot. Habits are bad ones of the firmware: tests/habits/ gives them to the emulator's before it
starts Bulkhead. Where there is a screen, the log must be readable on it, letter by letter.
"""
import re
import time

from frame import check, expect_that
from guests import GuestBoot
from test_screen import NO_SCREEN, UNKNOWN, ScreenReader

BOCHS, QEMU = ("bochs-intel",), ("qemu-tcg", "qemu-kvm")
BEATS = 10                      # of a heart in a second
ALL = ("bochs-intel", "bochs-amd", *QEMU)

CONFIG = b"""\
[guest.alpha]
cpus = "0"
memory = "32M"
kernel = "guests/testguest"
cmdline = "test=heartbeat"

[guest.beta]
cpus = "1"
memory = "32M"
kernel = "guests/testguest"
cmdline = "test=heartbeat"
"""

VGA, SECOND = "VGA,edid=on,xres=1024,yres=768", "bochs-display,edid=on,xres=800,yres=600"


class Variant(GuestBoot, ScreenReader):
    """
    habits: the firmware's, separated by blanks. shown: which screens have the log, dark: which are left alone. says:
    patterns that the serial line has before the guests run.
    """
    group = "hardware"
    heavy = ALL
    seconds = 25
    habits = ""
    shown, dark, says = (0,), (), ()
    lasts = 0                   # seconds of the guests' time that the machine must go on

    def image(self):
        files = {"guests/testguest": self.guest_file("testguest"), "bulkhead/bulkhead.toml": CONFIG}
        if self.habits:
            self.efi_file = "habits.efi"
            files["EFI/BOOT/BULKHEAD.EFI"] = f"{self.build}/BOOTX64.EFI"
            files["habits.txt"] = self.habits.encode() + b"\n"
        return self.make_stick(files)

    @check("both guests answer", required=True)
    def guests(self):
        end = self.machine.expect(r"console 1/2: alpha|BULKHEAD PANIC[^\n]*|Bulkhead\s+cannot\s+start", 240,
                                  "the focus to move to alpha").group()
        said = self.machine.serial.text[:self.machine.serial.mark]
        expect_that("alpha" in end, "the guests to start", said)
        for habit in self.habits.split():
            expect_that(f"habit: {habit}\r" in said, f"the firmware to have the habit {habit}", said)
        for pattern in self.says:
            expect_that(re.search(pattern, said), f"/{pattern}/", said)
        expect_that("forbidden" not in said, "no call that is forbidden by then", said)
        for self.heart_view in (1, 2):
            self.last_beat = 0
            self.heart_goes_on()
        while self.last_beat < BEATS * self.lasts:
            time.sleep(1)
            self.heart_goes_on()

    @check("what the pre-flight said is on the stick")
    def trace(self):
        text = self.file_on_stick("bulkhead/last-start.txt")
        for words in (r"looking at this machine", r"\n  CPUs +2 +ok", r"\nCPU 1: APIC ID 1\n", r"\n0x100000-0x[0-9a-f]+ "):
            expect_that(re.search(words, text), f"/{words}/", text)

    @check("the log is readable on the screen", cannot_run={target: NO_SCREEN for target in BOCHS})
    def screens(self):
        self.view(0)
        for number in self.shown:
            cells = self.settled_picture(device=f"screen{number}")
            text = "\n".join("".join(c for c, _ in row).rstrip() for row in cells)
            strange = sum(c == UNKNOWN for row in cells for c, _ in row)
            expect_that(not strange, f"no cell of screen {number} unlike all letters", f"{strange} of them")
            expect_that("machine divided between 2 guests" in text, f"the log on screen {number}", text)
        for number in self.dark:
            cells = self.picture(device=f"screen{number}")
            text = "\n".join("".join(c for c, _ in row).rstrip() for row in cells)
            expect_that("machine divided" not in text, f"screen {number} left alone", text)


def variant(name, targets=QEMU, screens=None, extra=(), model=None, **members):
    """A boot for that row. What it says of the machine goes to the target's start()."""
    options = {}
    if screens is not None:
        options["screens"] = screens
    if extra:
        options["extra"] = list(extra)
    if model is not None:
        members["machine_virtualization"] = model
    members["machine_options"] = options
    members["targets"] = targets
    members["name"] = "hardware-" + name
    return type("Variant" + name.title().replace("-", ""), (Variant,), members)


HARDWARE = [
    # What `make test` runs: as many bad habits as go together, and two screens, of which one shows the log.
    variant("habits", screens=[VGA, SECOND], shown=(1,), dark=(0,), heavy=("qemu-kvm",),
            habits="exit3 strict lowmem nx la57 pcid notime fragments untagged stride fbsize",
            says=(r"900 pages are reserved", r"ExitBootServices fails", r"Screen\s+1024x768\s+ok",
                  r"five-level paging is on")),
    # One by one.
    variant("lowmem", habits="lowmem"),
    variant("exit", habits="exit3"),
    variant("exit-strict", habits="exit1 strict"),
    variant("nx", habits="nx"),
    variant("cet", BOCHS, model="newer", habits="cet", heavy=()),
    variant("la57", habits="la57"),
    variant("fragments", habits="fragments", says=(r"900 pages are reserved",)),
    variant("stride", habits="stride"),
    variant("fbsize", habits="fbsize"),
    variant("two-screens", screens=[VGA, SECOND], shown=(0, 1), says=(r"Screen\s+1024x768 and 1 more\s+ok",)),
    variant("second-screen", screens=[VGA, SECOND], habits="untagged", shown=(1,), dark=(0,),
            says=(r"first screen is not",)),
    variant("bltonly", screens=[VGA, SECOND], habits="bltonly", shown=(1,), dark=(0,)),
    variant("no-screen", screens=[], shown=(), says=(r"Screen\s+none after the start, the serial port only\s+ok",)),
    variant("tco", extra=("-global", "ICH9-LPC.noreboot=false"), habits="tco", lasts=20),
]
