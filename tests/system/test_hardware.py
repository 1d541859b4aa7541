# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines and firmware of all kinds, each booted to two guests that answer; `make hardware-test` runs all of them.

A row of VARIANTS is a boot. Habits are bad ones of the firmware: tests/habits/ gives them to the emulator's before it
starts Bulkhead. Where there is a screen, the log must be readable on it, letter by letter.
"""
import fcntl
import os
import re
import socket
import struct
import termios
import time

from frame import Boot, check, expect_that
from machine import SCALE
from guests import GuestBoot
from test_screen import NO_SCREEN, UNKNOWN, ScreenReader
from test_sets import SetsBoot

BOCHS, QEMU = ("bochs-intel",), ("qemu-tcg", "qemu-kvm")
TCG = ("qemu-tcg",)             # whose CPU can be another than this PC's
SILENT = []                     # no screen
NO_NMI = "has no button for one"
BEATS = 10                      # of a heart in a second
ALL = ("bochs-intel", "bochs-amd", *QEMU)

CONFIG = """\
[guest.alpha]
cpus = "{}"
memory = "{}"
kernel = "guests/testguest"
cmdline = "test=heartbeat"

[guest.beta]
cpus = "{}"
memory = "32M"
kernel = "guests/testguest"
cmdline = "test=heartbeat"
"""

VGA, SECOND = "VGA,edid=on,xres=1024,yres=768", "bochs-display,edid=on,xres=800,yres=600"


class Variant(GuestBoot, ScreenReader):
    """
    habits: the firmware's, separated by blanks. shown: which screens have the log, dark: which are left alone. says:
    patterns that the serial line has before the guests run. memory: of the first guest. The guests have the last CPUs.
    """
    group = "hardware"
    keeps_time = False
    heavy = ALL
    seconds = 25
    habits = ""
    shown, dark, says = (0,), (), ()
    lasts = 0                   # seconds of the guests' time that the machine must go on
    memory = "32M"

    def config(self):
        """CPU 0 has the console's work as well: with two CPUs a guest has it, with more nobody."""
        return CONFIG.format(self.machine_cpus - 2, self.memory, self.machine_cpus - 1).encode()

    def image(self):
        files = {"guests/testguest": self.guest_file("testguest"), "bulkhead/bulkhead.toml": self.config()}
        if self.habits:
            self.efi_file = "habits.efi"
            files["EFI/BOOT/BULKHEAD.EFI"] = f"{self.build}/BOOTX64.EFI"
            files["habits.txt"] = self.habits.encode() + b"\n"
        return self.make_stick(files)

    def firmware(self):
        """What its habits wait for."""

    @check("both guests answer", required=True)
    def guests(self):
        self.firmware()
        end = self.machine.expect(r"console 1/\d: alpha|BULKHEAD PANIC[^\n]*|Bulkhead\s+cannot\s+start", 240,
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
        for words in (r"looking at this machine", rf"\n  CPUs +{self.machine_cpus} +ok",
                      rf"\nCPU {self.machine_cpus - 1}: APIC ID \d+\n", r"\n0x100000-0x[0-9a-f]+ "):
            expect_that(re.search(words, text), f"/{words}/", text)

    @check("the log is readable on the screen", cannot_run={target: NO_SCREEN for target in ("bochs-intel", "bochs-amd")})
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

    @check("NMIs of the machine are counted and told, and the guests go on", cannot_run={target: NO_NMI for target in ("bochs-intel", "bochs-amd")})
    def nmi(self):
        self.new_log()
        self.machine.monitor.command("inject-nmi")
        self.expect_log("", r"warning: NMI of the machine: \d+ since the last line, \d+ in all, the last on cpu \d+; ")
        for self.heart_view in (1, 2):
            self.last_beat = 0
            self.heart_goes_on()


class Restarted(Variant):
    """A guest has crashed, twice, and the reset button is pressed."""
    machine_cpus = 3

    def config(self):
        return super().config() + b"""
[guest.gamma]
cpus = "0"
memory = "32M"
kernel = "guests/testguest"
"""

    @check("after a reset the log of the start before is on the stick, and the crashes one by one")
    def again(self):
        self.view(3)
        for _ in range(2):
            self.machine.expect(r"ready> ", 120, "gamma's prompt")
            self.machine.send("jump\r")
            self.machine.expect(r"gamma: warning: restarting \(\d of 3\)", 120, "gamma to crash")
        self.machine.monitor.command("system_reset")
        self.machine.expect(r"The log of the last start is now in", 240, "the next start to find a log")
        self.machine.expect(r"console 1/3: alpha", 240, "the focus to move to alpha")
        for number in (1, 2):
            expect_that(f"A crash of gamma in the last start is now in bulkhead/crash/{number}.txt." in self.machine.serial.text,
                        f"record {number} named", self.machine.serial.text[-3000:])
        for number in (1, 2):
            text = self.file_on_stick(f"bulkhead/crash/{number}.txt")
            lines = text.splitlines()
            expect_that(lines[0].startswith(f"Bulkhead's crash record {number}, found by the start of "), "its number", text)
            expect_that(lines[1].endswith("gamma: error: stopped: code in memory that is not there [BH3037]") and
                        "gamma:   policy: on_crash" in lines[-1] and all(" gamma: " in line for line in lines[1:]) and
                        text.count("gamma:   exit ") == 16, "the report, and nothing else", text)
        text = self.file_on_stick("bulkhead/last-log.txt")
        for words in (r"3 of 3 CPUs running", r"machine divided between 3 guests", r"alpha: started", r"beta: started"):
            expect_that(re.search(words, text), f"/{words}/", text)


class Absent(Variant):
    """The last two CPUs of five do not exist: two guests have one of them each, and two do without."""

    def config(self):
        more = "".join(f"""
[guest.{name}]
cpus = "{cpus}"
memory = "32M"
kernel = "guests/testguest"
cmdline = "test=heartbeat"
""" for name, cpus in (("gamma", "0,3"), ("delta", "4")))
        return (CONFIG.format(1, self.memory, 2) + more).encode()

    @check("a CPU that does not come costs its guest, which says so, and no other")
    def absent(self):
        text = self.machine.serial.text
        for line in (r"Silent CPUs +2, the first is CPU 3 +warn", r"CPU 3 \(APIC ID 3\) did not start: guest gamma cannot",
                     r"CPU 4 \(APIC ID 4\) did not start: guest delta cannot", r"3 of 5 CPUs running",
                     r"gamma: error: cannot start: CPU 3 did not come"):
            expect_that(re.search(line, text), f"/{line}/", text)
        answer, _ = self.operator("list")
        for line in (r"alpha +running", r"beta +running", r"gamma +stopped .* CPU 3 is missing",
                     r"delta +stopped .* CPU 4 is missing"):
            expect_that(re.search(line, answer), f"/{line}/", answer)
        answer, _ = self.operator("start delta")
        expect_that("delta cannot run: CPU 4 did not come, or runs no guests [BH6105]" in answer, "why delta does not start", answer)
        self.new_log()
        self.operator("start gamma")
        self.expect_log("gamma", r"error: cannot start: CPU 3 did not come, or cannot run guests")
        for self.heart_view in (1, 2):
            self.last_beat = 0
            self.heart_goes_on()


class Receiving(Variant):
    """The firmware leaves its network card receiving: frames of ones before the start, of twos after it."""
    machine_devices = ("e1000,netdev=wire,romfile=",)

    def __init__(self, *args):
        super().__init__(*args)
        self.wire, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for end in (self.wire, other):
            end.bind(("127.0.0.1", 0))
        self.card = other.getsockname()
        other.close()
        ports = "udp=127.0.0.1:{},localaddr=127.0.0.1:{}".format(self.wire.getsockname()[1], self.card[1])
        self.machine_options = {**self.machine_options, "extra": ("-netdev", "socket,id=wire," + ports)}

    def frame(self, digit):
        """To all, of a type for experiments."""
        self.wire.sendto(b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x88\xb5" + bytes([digit * 0x11]) * 50, self.card)
        time.sleep(0.1)

    def firmware(self):
        self.machine.expect("the network card listens", 240)
        while not re.search(r"frame has come to 0x[0-9a-f]{8}\r", self.machine.serial.text):
            self.frame(1)
        self.place = self.machine.expect(r"a frame has come to (0x[0-9a-f]{8})\r", 10)[1]

    def hears(self):
        """Frames, of which none comes to where the first one is."""
        for _ in range(20):
            self.frame(2)
        word = self.physical_word(int(self.place, 16))
        expect_that(word == 0x11111111, f"the first frame still at {self.place}", f"{word:#x}")

    @check("what a network card hears comes to nobody's memory any more")
    def silent(self):
        self.hears()


class Stray(Receiving):
    """
    The same card behind an IOMMU, and somebody switches its bus master bit on again: it writes where the firmware told
    it to, and is held back. told: its faults can be read.
    """
    iommu, told = (), True

    def __init__(self, *args):
        super().__init__(*args)
        self.machine_options["extra"] += self.iommu

    def ports(self, *writes):
        for port, value in writes:
            self.machine.monitor.human(f"o /4x {port:#x} {value:#x}")

    @check("the interrupts of serial line and keyboard arrive")
    def interrupts(self):
        self.operator("list")
        text = self.machine.serial.text
        expect_that("interrupts are remapped" in text, "interrupts to be remapped", text)
        expect_that("does not come" not in text, "no word of an interrupt that does not come", text)

    @check("what a stray bus master writes comes to nobody's memory")
    def stray(self):
        told = self.machine.monitor.human("info pci")
        bus, device, function = map(int, re.search(r"Bus +(\d+), device +(\d+), function (\d+):\s+Ethernet", told).groups())
        self.ports((0xcf8, 0x80000004 | bus << 16 | device << 11 | function << 8), (0xcfc, 0x7))
        self.hears()
        if self.told:
            self.machine.expect(rf"IOMMU: PCI {bus:02x}:{device:02x}.{function}, nobody's, was not let (read|write to) 0x[0-9a-f]+: ",
                                60, "the fault to be told")


class FromShell(Variant):
    """No firmware's boot menu starts it, but a script of the EFI shell, under another name."""

    def image(self):
        self.efi_file = "guests/testguest"      # at the usual name: no program
        return self.make_stick({"guests/testguest": self.guest_file("testguest"), "bulkhead/bulkhead.toml": self.config(),
                                "tools/bh.efi": f"{self.build}/BOOTX64.EFI", "startup.nsh": b"fs0:\\tools\\bh.efi\r\n"})


class Typed(Variant):
    """A serial line with a fault of its own: what is typed on it arrives all the same."""
    faults = ()

    @check("what is typed on it arrives")
    def typed(self):
        answer, _ = self.operator("list")
        expect_that(re.search(r"2 beta +running", answer), "the answer to list", answer)
        for fault in self.faults:
            expect_that(re.search(fault, self.machine.serial.text), f"/{fault}/ in the log", answer)


class Elsewhere(Variant):
    """A PS/2 keyboard, of whose interrupt the firmware's tables say what is not so."""

    @check("what is typed on a keyboard without an interrupt arrives")
    def typed(self):
        self.operator("list")
        for key in ("l", "i", "s", "t", "ret"):
            self.machine.monitor.human(f"sendkey {key}")
        self.machine.expect(r"list[ \t]*\r?\n", 60, "the echo of what was typed")
        self.machine.expect(r"2 beta +running", 60, "the answer to it")


class OnScreen(ScreenReader):
    """Judged by the screen alone, and typed to by a keyboard."""
    group = "hardware"
    keeps_time = False
    seconds = 25
    console = "auto"

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"), "bulkhead/bulkhead.toml":
                                f'[hypervisor]\nconsole = "{self.console}"\n\n'.encode() + CONFIG.format(0, "32M", 1).encode()})

    def sees(self, *patterns):
        """Waits until the screen has all of them."""
        deadline = time.monotonic() + 60 * SCALE
        while True:
            text = "\n".join("".join(c for c, _ in row).rstrip() for row in self.picture())
            missing = [pattern for pattern in patterns if not re.search(pattern, text, re.M)]
            if not missing or time.monotonic() > deadline:
                break
            time.sleep(1)
        expect_that(not missing, f"{missing} on the screen", text)
        return text

    def press_keys(self, *keys):
        """By the names that QEMU has for them."""
        for key in keys:
            self.machine.monitor.human(f"sendkey {key}")
            time.sleep(0.3)


class NoInput(OnScreen):
    """
    Neither a serial line nor a keyboard: judged by the screen alone. A keyboard is plugged in at the end. said: what the
    pre-flight has to say of it.
    """
    said = "nothing that Bulkhead knows"
    heavy = ("qemu-kvm",)
    console = "none"

    @check("the consoles of all guests and the log share the screen", required=True)
    def shared(self):
        self.machine.expect(rf"Input +{self.said} +warn", 240, "the pre-flight to miss a keyboard")
        self.machine.expect(r"No\s+keyboard\s+will\s+work\s+after\s+the\s+start", 60)
        text = self.sees(r"^ alpha$", r"^ beta$", r"^ log$", r"no keyboard: all consoles \| alpha running, beta running",
                         r"beta: first instruction after", r"(?s)test guest.*\n beta\n.*test guest.*\n log\n")
        expect_that("\0" not in text, "letters of the font alone", text)

    @check("a key typed on a USB keyboard that is plugged in gives the screen to a guest")
    def typed(self):
        self.machine.monitor.command("device_add", driver="usb-kbd", id="late", bus="usb-bus.0", port="3")
        self.sees(r"USB: keyboard at controller 0, port \d")
        self.press_keys("ret", "p", "i", "n", "g", "spc", "7", "ret")
        text = self.sees(r"answer ping 7 at", r"^ 1/2 alpha \| keys: Ctrl-\] then \? \| alpha running, beta running")
        expect_that(not re.search(r"^ (beta|log)$", text, re.M), "nothing of the others", text)


class ThinksAgain(OnScreen):
    """
    A keyboard that falls silent, and nothing else to type on: a key in time, and nothing starts. Of two sets the new one was
    to be tried; it still is.
    """
    console = "none"
    good, new = (text.replace("com1", "none") for text in (SetsBoot.good, SetsBoot.new))

    def image(self):
        return SetsBoot.image(self)

    @check("a key typed before the start returns to the firmware", required=True)
    def back(self):
        self.machine.expect(r"which\s+begins\s+in\s+10\s+s", 240, "the warning")
        self.press_keys(*["spc"] * 10)      # what comes right after a prompt is often dropped
        self.machine.expect(r"failed to start Boot\w+[^\n]*Aborted", 60, "the firmware to go on")
        state = SetsBoot.state(self)
        expect_that((state.new, state.trial) == ("b", "fresh"), "the new set to be tried yet", vars(state))


class StuckLine(OnScreen):
    """COM1, whose other end takes 4 KiB and then nothing: what is sent there comes to nobody."""
    heavy = ALL
    pipe = None
    room = 4096

    @property
    def line(self):
        path = os.path.join(self.folder, "line")
        if self.pipe is None:
            for end in (path + ".in", path + ".out"):
                if os.path.exists(end):
                    os.unlink(end)
                os.mkfifo(end)
            self.pipe = os.open(path + ".out", os.O_RDWR | os.O_NONBLOCK)
            fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, self.room)
        return ["-chardev", f"pipe,id=stuck,path={path}", "-device", "isa-serial,chardev=stuck"]

    def unread(self):
        return struct.unpack("i", fcntl.ioctl(self.pipe, termios.FIONREAD, bytes(4)))[0]

    def answers(self, guest, name, number):
        """That guest's view, and what is typed there."""
        self.press_keys("ctrl-bracket_right", guest, "ret", "p", "i", "n", "g", "spc", number, "ret")
        return int(re.search(rf"answer ping {number} at (\d+)", self.sees(rf"answer ping {number} at", rf"^ {guest}/2 {name} "))[1])

    @check("the screen has the log, which says that the line is stuck", required=True)
    def says(self):
        self.sees(r"^ 1/2 alpha ", r"test guest")
        self.press_keys("ctrl-bracket_right", "0")
        self.sees(r"machine divided between 2 guests", r"beta: first instruction after",
                  r"warning: serial line: it has taken nothing for 500 ms, what it does not take is lost")

    @check("what is typed on the keyboard is answered by both guests, whose hearts beat on")
    def typed(self):
        for guest, name in (("1", "alpha"), ("2", "beta")):
            first = self.answers(guest, name, "7")
            second = self.answers(guest, name, "8")
            expect_that(second > first, f"more beats than {first}", second)
        expect_that(self.unread() == self.room, f"{self.room} bytes that nobody has read", self.unread())

    @check("somebody reads it at last: it is used again")
    def read(self):
        os.read(self.pipe, self.room)
        self.press_keys("ctrl-bracket_right", "0")
        self.sees(r"warning: serial line: it takes bytes again")
        text, deadline = "", time.monotonic() + 60 * SCALE
        while "takes bytes again" not in text and time.monotonic() < deadline:
            time.sleep(0.1)
            if self.unread() != 0:
                text += os.read(self.pipe, self.room).decode("latin-1")
        expect_that("takes bytes again" in text, "the log on the line", text)

    @check("it gets stuck once more, amid work: screen and guests go on")
    def once_more(self):
        for _ in range(10):         # each view begins with what was there before
            self.press_keys("ctrl-bracket_right", "1", "ctrl-bracket_right", "0")
            if self.unread() == self.room:
                break
        self.sees(r"(?s)takes bytes again.*warning: serial line: it has taken nothing for 500 ms")
        self.answers("1", "alpha", "9")
        self.answers("2", "beta", "9")
        expect_that(self.unread() == self.room, f"{self.room} bytes that nobody has read", self.unread())
        os.close(self.pipe)


class Refused(Boot):
    """lacks: the line of the pre-flight that says why."""
    group = "hardware"
    keeps_time = False
    heavy = ALL
    starts_hypervisor = False
    lacks = None

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": CONFIG.format(0, "32M", 1).encode()})

    @check("refused, and it is said why", required=True)
    def refused(self):
        text = self.refusal()
        expect_that(re.search(self.lacks + r"[^\n]*LACKING", text), f"{self.lacks} LACKING in the table", text)
        expect_that("Nothing was changed" in text, '"Nothing was changed"', text)


def refused(name, cpu, lacks):
    return type("Refused" + name.title().replace("-", ""), (Refused,),
                {"name": "hardware-" + name, "targets": TCG, "machine_options": {"cpu": cpu, "screens": SILENT},
                 "lacks": lacks})


def variant(name, targets=QEMU, model=None, base=Variant, **members):
    """A boot for that row, with base's checks. What it says of the machine goes to the target's start()."""
    options = ("screens", "extra", "machine", "cpu", "stick", "firmware")
    members["machine_options"] = {option: members.pop(option) for option in options if option in members}
    if model is not None:
        members["machine_virtualization"] = model
    members["targets"] = targets
    members["name"] = "hardware-" + name
    return type("Variant" + name.title().replace("-", ""), (base,), members)




def bochs_models(vendor, *models):
    """A boot for each of Bochs's models."""
    return [variant("cpu-" + model.replace("_", "-"), ("bochs-" + vendor,), model=model) for model in models]


def cpu_models(**models):
    """A boot for each of QEMU's models, which must name itself in the pre-flight as it is told."""
    return [variant("cpu-" + name.replace("_", "-"), TCG, cpu=model, screens=SILENT, shown=()) for name, model in models.items()]


def processors(count, **members):
    """A boot with so many CPUs; it is quicker without a screen."""
    return variant(f"cpus-{count}", TCG, screens=SILENT, shown=(), machine_cpus=count, **members,
                   says=(rf"{count} of {count} CPUs running",))


def memory(name, size, *extra, **members):
    return variant("memory-" + name, machine_memory=size, extra=extra, screens=SILENT, shown=(), **members)


def line(name, base, irq, says, *faults):
    """An ISA UART there, and no other."""
    return variant("line-" + name, base=Typed, screens=SILENT, shown=(), faults=faults, says=(rf"Serial line +{says} +ok",),
                   line=["-device", f"isa-serial,iobase={base:#x},irq={irq},chardev=line"])


def stick(name, *devices):
    """Where Bulkhead is read from."""
    return variant("stick-" + name, stick=devices, screens=SILENT, shown=())


def board(name, machine="q35", extra=(), **members):
    return variant("board-" + name, TCG, machine=machine, extra=extra, **{"screens": SILENT, "shown": (), **members})


def screen(name, device, size, **members):
    return variant("screen-" + name, screens=[device], says=(rf"Screen\s+{size}\s+ok",), **members)


WDAT = (r"Watchdog \(WDAT\) +runs, is stopped at the start +ok", r"watchdog of the ACPI table WDAT stopped")

HARDWARE = [
    # What `make test` runs: as many bad habits as go together, and two screens, of which one shows the log.
    variant("habits", screens=[VGA, SECOND], shown=(1,), dark=(0,), heavy=("qemu-kvm",),
            habits="exit3 strict lowmem nx la57 pcid notime fragments untagged stride fbsize sums wdat",
            says=(r"900 pages are reserved", r"ExitBootServices fails", r"Screen\s+1024x768\s+ok",
                  r"five-level paging is on", r"wrong checksum \(1 of",
                  r"DMA switched off in \d+ devices", *WDAT)),
    variant("ghosts", base=Absent, habits="ghosts", machine_cpus=5, extra=("-smp", "3,maxcpus=5"), screens=SILENT, shown=(),
            heavy=("qemu-kvm",)),
    # The keyboard's controller reaches its own memory alone, through the IOMMU.
    type("VariantNoInput", (NoInput,), {"name": "hardware-no-input", "targets": QEMU,
                                        "machine_options": {"machine": "q35,i8042=off,kernel-irqchip=split",
                                                            "extra": ("-device", "intel-iommu,intremap=on,aw-bits=48")}}),
    type("VariantAmdViKeyboard", (NoInput,), {"name": "hardware-amd-vi-keyboard", "targets": TCG, "heavy": ALL,
                                              "machine_options": {"machine": "q35,i8042=off",
                                                                  "extra": ("-device", "amd-iommu,intremap=on")}}),
    # One by one.
    type("VariantStuckLine", (StuckLine,), {"name": "hardware-stuck-line", "targets": QEMU}),
    type("VariantThinksAgain", (ThinksAgain,), {"name": "hardware-thinks-again", "targets": QEMU, "heavy": ALL,
                                                "machine_devices": ("usb-ehci,id=old", "usb-kbd,bus=old.0"),
                                                "machine_options": {"machine": "q35,i8042=off"}}),
    type("VariantOldUsb", (NoInput,), {"name": "hardware-old-usb", "targets": QEMU, "heavy": ALL,
                                       "said": "USB keyboard, silent after the start",
                                       "machine_devices": ("usb-ehci,id=old", "usb-kbd,bus=old.0"),
                                       "machine_options": {"machine": "q35,i8042=off"}}),
    variant("irq1", base=Elsewhere, habits="irq1", screens=SILENT, shown=(), says=(r"keyboard's interrupt is elsewhere",)),
    variant("stray", targets=TCG, base=Stray, habits="receive", screens=SILENT, shown=(), machine="q35,kernel-irqchip=split",
            iommu=("-device", "intel-iommu,intremap=on")),
    # Its faults are not logged by QEMU's AMD-Vi.
    variant("stray-amd-vi", targets=TCG, base=Stray, habits="receive", screens=SILENT, shown=(), told=False,
            iommu=("-device", "amd-iommu,intremap=on")),
    variant("receiving", base=Receiving, habits="receive", screens=SILENT, shown=()),
    variant("lowmem", habits="lowmem"),
    variant("exit", habits="exit3"),
    variant("exit-strict", habits="exit1 strict"),
    variant("nx", habits="nx"),
    variant("cet", BOCHS, model="newer", habits="cet tsc", heavy=(),
            says=(r"firmware had set CPU 1's TSC 1000000 ticks ahead of CPU 0's \[BH4042\]",)),
    variant("la57", habits="la57"),
    variant("fragments", habits="fragments", says=(r"900 pages are reserved",)),
    variant("reset", base=Restarted, screens=SILENT, shown=()),
    variant("sums", habits="sums", says=(r"wrong checksum \(1 of",)),
    variant("stride", habits="stride"),
    variant("fbsize", habits="fbsize"),
    variant("two-screens", screens=[VGA, SECOND], shown=(0, 1), says=(r"Screen\s+1024x768 and 1 more\s+ok",)),
    variant("three-screens", screens=[VGA, SECOND, "ramfb"], shown=(0, 1, 2), says=(r"Screen\s+1024x768 and 2 more\s+ok",)),
    variant("two-others", screens=["bochs-display", "virtio-vga"], shown=(0, 1)),
    variant("second-screen", screens=[VGA, SECOND], habits="untagged", shown=(1,), dark=(0,),
            says=(r"first screen is not",)),
    variant("bltonly", screens=[VGA, SECOND], habits="bltonly", shown=(1,), dark=(0,)),
    variant("no-screen", screens=[], shown=(), says=(r"Screen\s+none after the start, the serial port only\s+ok",)),
    variant("tco", extra=("-global", "ICH9-LPC.noreboot=false"), habits="tco", lasts=20),
    variant("wdat", extra=("-global", "ICH9-LPC.noreboot=false"), habits="wdat", lasts=20, says=WDAT),
    variant("wdat-stuck", habits="wdat-stuck",
            says=(r"Watchdog \(WDAT\) +may run, and cannot be stopped +warn", r"warning: the watchdog of the ACPI table")),

    # CPUs of all ages.
    *bochs_models("intel", "corei5_arrandale_m520", "corei7_sandy_bridge_2600k", "corei7_ivy_bridge_3770k", "broadwell_ult",
                  "corei7_skylake_x", "corei3_cnl", "corei7_icelake_u", "tigerlake"),
    *bochs_models("amd", "phenom_8650_toliman", "zambezi", "ryzen"),
    *cpu_models(epyc="EPYC", epyc_rome="EPYC-Rome", epyc_milan="EPYC-Milan", opteron="Opteron_G5,+svm,+npt,-xsave",
                phenom="phenom,+svm,+npt", hygon="Dhyana,+svm,+npt", small_pages="max,-pdpe1gb", no_xsave="max,-xsave",
                no_global_pages="max,-pge,-pcid", narrow="max,phys-bits=36", wide="max,phys-bits=52",
                plain="max,-smep,-smap,-umip,-fsgsbase,-rdtscp,-pcid,-invpcid,-pku,-la57,-rdrand,-rdseed,-monitor"),
    refused("no-nested-pages", "qemu64,+svm", r"Nested paging \(NPT\)"),
    refused("no-nx", "max,-nx", r"No-execute \(NX\)"),
    refused("no-vtx", "Skylake-Client", r"VT-x \(VMX\)"),
    # So many of them, in several packages as well.
    processors(3),
    processors(8, extra=("-smp", "8,sockets=2,cores=2,threads=2")),
    processors(9, extra=("-smp", "9,sockets=3,cores=3,threads=1")),         # numbers of local APICs are left out
    processors(4, extra=("-smp", "4,maxcpus=32")),                          # room for more
    variant("cpus-bochs", ("bochs-intel", "bochs-amd"), machine_cpus=4),
    processors(16),
    processors(64),
    processors(128, seconds=200),
    # Memory of all sizes and shapes.
    memory("128", 128),
    memory("256", 256),
    memory("3g", 3072),
    memory("hole", 4096, machine="q35,max-ram-below-4g=1G"),
    memory("slots", "1024,slots=4,maxmem=64G"),
    memory("nodes", 1024, "-object", "memory-backend-ram,id=m0,size=512M", "-object", "memory-backend-ram,id=m1,size=512M",
           "-numa", "node,nodeid=0,cpus=0,memdev=m0", "-numa", "node,nodeid=1,cpus=1,memdev=m1",
           says=(r"alpha +0 +32M +0x[0-9a-f]{1,7}-", r"beta +1 +32M +0x[23][0-9a-f]{7}-")),
    memory("persistent", "1024,slots=2,maxmem=4G", "-object", "memory-backend-ram,id=pm,size=256M",
           "-device", "nvdimm,memdev=pm,id=nv", machine="q35,nvdimm=on"),
    # Where the stick is.
    stick("ehci", "usb-ehci", "usb-storage,drive=stick,bootindex=1"),
    stick("4k", "qemu-xhci", "usb-storage,drive=stick,bootindex=1,physical_block_size=4096"),
    stick("nvme", "nvme,drive=stick,serial=1,bootindex=1"),
    stick("sata", "ide-hd,drive=stick,bootindex=1"),
    stick("virtio", "virtio-blk-pci,drive=stick,bootindex=1"),
    # Lines: one whose interrupt is not the usual one, and one that is not the first.
    line("irq", 0x3f8, 5, r"I/O 0x3f8 \(COM1\), the firmware's speed", r"serial line: interrupt 4 does not come, looking at it every 2 ms"),
    line("com2", 0x2f8, 3, r"I/O 0x2f8 \(COM2\), the firmware's speed"),
    # The firmware itself, and who starts Bulkhead.
    variant("firmware-large", TCG, firmware="large", screens=SILENT, shown=()),
    variant("firmware-without-keys", TCG, firmware="without-keys", screens=SILENT, shown=()),
    variant("from-shell", TCG, base=FromShell, screens=SILENT, shown=()),
    # Boards.
    board("pc", "pc"),
    board("pc-no-hpet", "pc,hpet=off"),
    board("no-hpet", "q35,hpet=off"),
    board("no-pit", "q35,pit=off"),
    board("no-pit-no-hpet", "q35,hpet=off,pit=off"),
    board("no-smm", "q35,smm=off"),
    board("no-sata", "q35,sata=off"),
    board("no-i8042", "q35,i8042=off"),
    board("old-usb", "q35,i8042=off", ("-device", "usb-ehci,id=old", "-device", "usb-kbd,bus=old.0"),
          says=(r"Input +serial port +ok", r"Another USB keyboard +silent after the start +warn")),
    board("no-acpi", "q35,acpi=off"),
    board("bridges", "q35", ("-device", "pcie-root-port,id=p1,chassis=1", "-device", "pcie-root-port,id=p2,chassis=2",
                             "-device", "e1000e,bus=p1", "-device", "x3130-upstream,id=u,bus=p2",
                             "-device", "xio3130-downstream,id=d,bus=u,chassis=3", "-device", "nvme,bus=d,serial=2",
                             "-device", "pcie-pci-bridge,id=b", "-device", "e1000,bus=b"),
          says=(r"DMA switched off in \d+ devices",)),
    board("vtd", "q35,kernel-irqchip=split", ("-device", "intel-iommu,intremap=on"),
          says=(r"DMA +VT-d, 1 unit +ok", r"VT-d, 1 of 1 units on: all DMA is denied but that of 1 devices")),
    board("amd-iommu", "q35,kernel-irqchip=split", ("-device", "amd-iommu"),
          says=(r"DMA +AMD-Vi, 1 unit +ok", r"AMD-Vi, 1 of 1 units on: all DMA is denied but that of 1 devices")),
    # Screens.
    screen("virtio", "virtio-vga", "1280x800"),
    screen("bochs", SECOND, "800x600"),
    screen("ramfb", "ramfb", "[0-9]+x[0-9]+"),
    screen("qxl", "qxl-vga", "[0-9]+x[0-9]+"),
    screen("cirrus", "cirrus-vga", "none|[0-9]+x[0-9]+"),
    screen("vmware", "vmware-svga", "[0-9]+x[0-9]+"),
    screen("640", "VGA,edid=on,xres=640,yres=480", "640x480"),
    screen("large", "VGA,edid=on,xres=2560,yres=1440,vgamem_mb=64", "2560x1440", scale=2),
    screen("4k", "VGA,edid=on,xres=3840,yres=2160,refresh_rate=50000,vgamem_mb=64", "3840x2160", scale=2),
]
