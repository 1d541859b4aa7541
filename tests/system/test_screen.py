# SPDX-License-Identifier: GPL-2.0-or-later
"""The log on the framebuffer, read back from a picture of the screen, letter by letter.

The picture is cut into the console's cells and each cell is looked up in the font that the hypervisor embeds. Saves
the picture as screen.png; `make screenshot` takes it from there.
"""
import os
import re
import socket
import struct
import subprocess
import sys
import time
import zlib

from frame import ROOT, Boot, check, expect_that
from machine import SCALE

NO_SCREEN = "its firmware sets up no framebuffer"
WIDTH, HEIGHT, HEADER = 8, 16, 4        # of a glyph; of a PSF 1 file
LIT, DARK = b"\xc8\xc8\xc8", b"\0\0\0"
GREYS = bytes({DARK[0]: 0, LIT[0]: 1}.get(grey, 2) for grey in range(256))
UNKNOWN = "\0"


def read_ppm(path):
    with open(path, "rb") as file:
        data = file.read()
    width, height, pixels = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s(.*)", data, re.S).groups()
    return int(width), int(height), pixels


def bitmap(pixels):
    """A byte a pixel: 0 dark, 1 lit, 2 anything else."""
    red = pixels[0::3]
    if red == pixels[1::3] == pixels[2::3]:
        return red.translate(GREYS)         # a large screen in seconds
    kinds = {DARK: 0, LIT: 1}
    return bytes(kinds.get(pixels[i:i + 3], 2) for i in range(0, len(pixels), 3))


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path, width, height, bits):
    """Two colours, one bit a pixel."""
    lines = bytearray()
    for y in range(height):
        row = "".join(map(str, bits[y * width:(y + 1) * width]))
        lines += b"\0" + int(row.ljust(-(-width // 8) * 8, "0"), 2).to_bytes(-(-width // 8), "big")
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n"
                   + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0))
                   + png_chunk(b"PLTE", DARK + LIT)
                   + png_chunk(b"IDAT", zlib.compress(bytes(lines), 9)) + png_chunk(b"IEND", b""))


def read_font(path):
    """Cell -> (character, inverse). Of what looks the same, the first of: text, inverse text, other signs."""
    with open(path, "rb") as file:
        font = file.read()
    text = range(0x20, 0x7f)
    others = sorted(set(range(256)) - set(text))
    cells = {}
    for codes, inverse in ((text, 0), (text, 1), (others, 0), (others, 1)):
        for code in codes:
            rows = font[HEADER + code * HEIGHT:HEADER + (code + 1) * HEIGHT]
            cell = bytes(row >> (WIDTH - 1 - x) & 1 ^ inverse for row in rows for x in range(WIDTH))
            cells.setdefault(cell, (chr(code), bool(inverse)))
    return cells


def read_cells(width, height, bits, font):
    """The screen as lines of (character, inverse), (UNKNOWN, False) for what is not in the font."""
    def cell(x, y):
        return b"".join(bits[at:at + WIDTH] for at in range(y * width + x, (y + HEIGHT) * width + x, width))

    return [[font.get(cell(x, y), (UNKNOWN, False)) for x in range(0, width - WIDTH + 1, WIDTH)]
            for y in range(0, height - HEIGHT + 1, HEIGHT)]


class ScreenReader(Boot):
    """A boot that looks at the machine's screen. scale: pixels of the screen that are one of a letter's, each way."""
    scale = 1

    def picture(self, **which):
        """which: QEMU's device, if there are several. The machine stands still meanwhile, but may do so within a cell that it draws: then again."""
        path = os.path.join(self.folder, "screen.ppm")
        font = read_font(os.path.join(self.build, "font.psf"))
        for _ in range(5):
            self.machine.monitor.command("stop")
            self.machine.monitor.command("screendump", filename=path, **which)
            self.machine.monitor.command("cont")
            width, height, pixels = read_ppm(path)
            bits = bitmap(pixels)
            if self.scale != 1:
                lines = [bits[y * width:(y + 1) * width:self.scale] for y in range(0, height, self.scale)]
                width, height, bits = len(lines[0]), len(lines), b"".join(lines)
            cells = read_cells(width, height, bits, font)
            if not any(c == UNKNOWN for row in cells for c, _ in row):
                break
        if 2 not in bits:
            write_png(os.path.join(self.folder, "screen.png"), width, height, bits)
        return cells

    def settled_picture(self, **which):
        """The screen once the log's view is drawn: a guest's CPU gives a small share of its time to that."""
        before, deadline = None, time.monotonic() + 60 * SCALE
        while True:
            cells = self.picture(**which)
            status = "".join(c for c, _ in cells[-1])
            if (" 0/2 log " in status and cells == before) or time.monotonic() > deadline:
                return cells
            before = cells
            time.sleep(1)


class Screen(ScreenReader):
    name = "screen"
    keeps_time = False
    cannot_run = {"bochs-intel": NO_SCREEN, "bochs-amd": NO_SCREEN}
    seconds = 60
    machine_ips = 50_000_000
    machine_devices = ("usb-hub,bus=usb-bus.0,port=2", "usb-kbd,id=keyboard,bus=usb-bus.0,port=2.1")

    def image(self):
        return os.path.join(self.build, "bulkhead-usb.img")

    @check("guests run and the log is shown", required=True)
    def start(self):
        self.machine.expect(r"console 1/2: alpha", 240, "the focus to move to alpha")
        self.machine.expect(r"alpha# ", 300, "alpha's prompt")
        self.view(2)
        self.machine.expect(r"beta# ", 300, "beta's prompt")
        self.said = self.operator("list")[1]

    @check("every cell of the screen is a letter of the font", required=True)
    def cells(self):
        self.shown = self.settled_picture()
        self.lines = ["".join(c for c, _ in row).rstrip() for row in self.shown]
        strange = [(x, y) for y, row in enumerate(self.shown) for x, (c, _) in enumerate(row)
                   if c == UNKNOWN]
        expect_that(not strange, "no cell unlike all letters",
                    f"{len(strange)} of them, the first (column, row): {strange[:10]}")

    @check("the log is readable, letter by letter")
    def log(self):
        text = "\n".join(self.lines)
        for line in (r"machine divided between 2 guests", r"alpha: started \(1 vCPU on cpu 0, 256M\)",
                     r"beta: started \(1 vCPU on cpu 1, 192M\)"):
            expect_that(re.search(line, text), f"/{line}/ on the screen", text)
        columns = len(self.shown[0])
        said = [line.rstrip() for line in self.said.replace("\r", "").split("\n")]
        said = [line for line in said if 20 < len(line) <= columns and line.startswith("[")]
        lost = [line for line in said if line not in self.lines]
        expect_that(len(said) >= 10 and not lost,
                    "each line of the log as the serial line had it", "\n".join(lost) or text)

    @check("the status line is there, in inverse video")
    def status(self):
        line = self.lines[-1]
        expect_that(re.search(r"0/2 log \| keys: Ctrl-\] then \? \| alpha running, beta running", line),
                    "view, keys and both guests' states", line)
        inverse = [(x, y) for y, row in enumerate(self.shown[:-1]) for x, (_, on) in enumerate(row) if on]
        prompt = max((y for y, line in enumerate(self.lines) if line.startswith("bulkhead>")), default=None)
        expect_that(all(on for _, on in self.shown[-1]) and inverse == [(len("bulkhead> "), prompt)],
                    "the last line inverse, and the cursor at the prompt", f"{inverse}\n" + "\n".join(self.lines))

    def types(self):
        """On the keyboard that QEMU has at this time: the last that was plugged in, PS/2 if no other is there."""
        self.operator("list")
        for key in ("l", "i", "s", "t", "ret"):
            self.machine.monitor.human(f"sendkey {key}")
        self.machine.expect(r"list[ \t]*\r?\n", 60, "the echo of what was typed")
        self.machine.expect(r"2 beta +running", 60, "the answer to it")

    @check("a USB keyboard behind a hub types at the prompt")
    def usb_keyboard(self):
        expect_that(re.search(r"Input +serial port, PS/2 keyboard, USB keyboard +ok", self.machine.serial.text),
                    "all of them in the pre-flight", self.machine.serial.text[:4000])
        seen = self.new_log()
        said = [text for _, _, _, text in seen if text.startswith("USB:")]
        expect_that(any(re.fullmatch(r"USB: hub at controller 0, port \d+", text) for text in said) and
                    any(re.fullmatch(r"USB: keyboard at controller 0, port \d+\.1", text) for text in said) and
                    not any("warning" in text for text in said), "a hub and a keyboard, and no trouble", "\n".join(said))
        self.types()

    @check("a PS/2 keyboard types at the prompt, once no other is there")
    def keyboard(self):
        self.machine.monitor.command("device_del", id="keyboard")
        self.expect_log("", r"USB: keyboard at controller 0, port \d+\.1, is gone")
        self.types()

    @check("a USB keyboard types where it is plugged in")
    def replugged(self):
        """On a port of the controller's own, twice."""
        for name in ("second", "third"):
            self.machine.monitor.command("device_add", driver="usb-kbd", id=name, bus="usb-bus.0", port="3")
            self.expect_log("", r"USB: keyboard at controller 0, port \d+$")
            self.types()
            self.machine.monitor.command("device_del", id=name)
            self.expect_log("", r"USB: keyboard at controller 0, port \d+, is gone$")

    @check("gdb finds the virtual CPUs and their VMCBs")
    def debugger(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        monitor = self.machine.monitor
        monitor.human(f"gdbserver tcp:127.0.0.1:{port}")
        base = re.search(r"text at (0x[0-9a-f]+)", self.machine.serial.text)[1]
        commands = [f"target remote 127.0.0.1:{port}", f"bulkhead-load {base}", "bulkhead-vcpus", "bulkhead-vmcb 1",
                    "print $vmcb->asid", "bulkhead-vcpu 0", "print $vcpu->vm->name", "detach"]
        done = subprocess.run(["gdb", "-nx", "-batch", "-x", os.path.join(ROOT, "scripts/gdb.py"),
                               "-ex", f"python ELF = '{os.path.join(self.build, 'bulkhead.elf')}'",
                               *(word for command in commands for word in ("-ex", command))], cwd=ROOT, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=60 * SCALE)
        monitor.human("gdbserver none")
        monitor.command("cont")
        for line in (r"cpu 0: alpha vcpu 0  running", r"cpu 1: beta vcpu 0  running", r"nested_cr3 = 0x[1-9a-f]",
                     r"\$\d+ = 1\n", r'\$\d+ = "alpha"'):
            expect_that(re.search(line, done.stdout), f"/{line}/ of gdb", done.stdout[-3000:])

    @check("a machine check in the hypervisor: the machine stops and tells the bank, build and calls")
    def machine_check(self):
        """Last: on a CPU without a guest, for this emulator would hand it to the guest."""
        self.operator("kill alpha")
        status, address = 0xb60000000000_0135, 0x12345000
        self.machine.monitor.human(f"mce 0 1 {status:#x} 0x4 {address:#x} 0")
        self.machine.expect(r"BULKHEAD PANIC on CPU 0: exception 18 #MC in the hypervisor", 30, "the panic")
        begin = self.machine.serial.mark
        self.machine.expect(r"Bulkhead \d+\.\d+\.\d+, build [0-9a-f]{16}, text at 0x[0-9a-f]+\r\n", 30, "the build")
        self.machine.expect(r"called from text\+0x", 30, "the calls")
        self.machine.expect(r"machine check: bank 1, uncorrected, cache, the CPU's state is damaged", 30,
                            "the bank in words")
        self.machine.expect(rf"status {status:016x} address {address:x} misc 0", 30, "its registers")
        self.machine.expect(r"The machine is stopped", 30, "the end of the panic")
        text = self.machine.serial.text[begin:self.machine.serial.mark]
        registers = re.search(r"cr0 ([0-9a-f]+) cr2 \w+ cr3 \w+ cr4 ([0-9a-f]+) efer ([0-9a-f]+)", text)
        for name, bit, register in ("WP", 16, 1), ("SMEP", 20, 2), ("SMAP", 21, 2), ("NXE", 11, 3):
            expect_that(int(registers[register], 16) >> bit & 1, f"{name} to be on, also after a guest has run here",
                        registers[0])
        said = subprocess.run([sys.executable, os.path.join(ROOT, "scripts/symbolize.py"), "--elf",
                               os.path.join(self.build, "bulkhead.elf")], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        for function in ("life_run", "hv_cpu_main"):        # a CPU without a guest waits there
            expect_that(re.search(rf"\b{function} at \S+:\d+", said), f"{function}() with its line", said)

    @check("after a reset the panic is in a file on the stick")
    def last_log(self):
        """Goes on where the one before it ended: the memory is what it was, as after a warm reset of a PC."""
        expect_that("The machine is stopped" in self.machine.serial.text, "a panic", "")
        self.panic_is_over()
        self.machine.monitor.command("system_reset")
        self.machine.expect(r"The log of the last start is now in bulkhead/last-log.txt", 120, "the next start to find it")
        self.machine.expect(r"divided between 2 guests", 120, "the next start to go on")
        expect_that("A panic in the last start is now in bulkhead/crash/1.txt." in self.machine.serial.text,
                    "the panic named", self.machine.serial.text[-2000:])
        text = self.file_on_stick("bulkhead/crash/1.txt")
        head = r"^Bulkhead's crash record 1, found by the start of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\nBULKHEAD PANIC on CPU 0: "
        expect_that(re.search(head, text) and "The machine is stopped" in text, f"/{head}/ up to its end", text)
        text = self.file_on_stick("bulkhead/last-log.txt")
        for words in (r"^\[ *0\.\d+\] cpu0: Bulkhead ", r"beta: started \(1 vCPU", r"\nBULKHEAD PANIC on CPU 0: ",
                      r"machine check: bank 1, uncorrected", r"The machine is stopped[^\n]*\n$"):
            expect_that(re.search(words, text), f"/{words}/", text)
