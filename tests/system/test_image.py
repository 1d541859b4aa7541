# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be told from the files alone: no emulator."""
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from frame import ROOT, Boot, check, expect_that

PT_LOAD, PF_X, PF_W = 1, 1, 2
SCN_EXECUTE, SCN_WRITE, DLL_NX_COMPAT = 1 << 29, 1 << 31, 0x100
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4


# What mkusb is given, and words of its answer. In its folder: files one, two and huge, a folder dir, a pipe.
MKUSB_REFUSED = [
    (["a=none"], ["none: No such file", "a on the stick"]),
    (["a=dir"], ["dir is a folder", "each file in it"]),
    (["a=huge"], ["below 4 GiB"]),
    (["one"], ['"one"', "PATH-ON-THE-STICK=FILE"]),
    (["a:b=one"], ["':'", "another name"]),
    (["a\\b=one"], ["another name"]),
    (["../a=one"], ["no path", "such as guests/vmlinuz"]),
    (["/a=one"], ["no path"]),
    (["a./b=one"], ["dot", "write it without"]),
    (["x" * 256 + "=one"], ["more than 255 characters", "shorten"]),
    (["a=one", "A=two"], ['"A" and "a"', "leave one out"]),
    (["a=one", "A/b=two"], ["is a file and the folder", "another name"]),
    (["--size", "8M", "a=one"], ["36M", "give at least"]),
    (["--size", "4", "a=one"], ['"4" is not a size', "4G"]),
    (["--size", "2050G", "a=one"], ["2049G is too large", "at most 2048G"]),
    (["--size", "99999999999999999G", "a=one"], ["is too large"]),
    (["-o", "none/out.img", "a=one"], ["none/out.img cannot be written", "-o"]),
    (["-o", "dir", "a=one"], ["dir cannot be written", "-o"]),
    (["-o", "pipe", "a=one"], ["pipe is no ordinary file", "-o", "dd"]),
    (["-o", "two", "a=one", "b=./two"], ["two is to be b on the stick", "another name with -o"]),
    (["a=/dev/zero"], ["/dev/zero is no ordinary file", "copy"]),
    (["a=pipe"], ["pipe is no ordinary file", "copy"]),
    ([b"a\xff=one"], ["'a\\udcff' is not UTF-8", "another name"]),
    (["guests/Con.img=one"], ["the name of a device", "another name"]),
]


class Image(Boot):
    name = "image"
    needs_machine = False

    def elf(self):
        with open(os.path.join(self.build, "bulkhead.elf"), "rb") as file:
            return file.read()

    def efi(self):
        with open(os.path.join(self.build, "BOOTX64.EFI"), "rb") as file:
            return file.read()

    def loads(self):
        """(address, size in memory, flags, bytes in the file) of each loaded segment."""
        elf = self.elf()
        table, = struct.unpack_from("<Q", elf, 32)
        size, count = struct.unpack_from("<HH", elf, 54)
        found = []
        for i in range(count):
            kind, flags, offset, address, _, filed, memory, _ = struct.unpack_from(
                "<IIQQQQQQ", elf, table + i * size)
            if kind == PT_LOAD:
                found.append((address, memory, flags, elf[offset:offset + filed]))
        return found

    @check("no segment is writable and executable")
    def segments(self):
        loads = [load[:3] for load in self.loads()]
        shown = ", ".join(f"{a:#x}+{n:#x} flags {f}" for a, n, f in loads)
        expect_that(any(f & PF_X for _, _, f in loads), "an executable segment", shown)
        expect_that(any(f & PF_W for _, _, f in loads), "a writable segment", shown)
        expect_that(not any(f & PF_X and f & PF_W for _, _, f in loads),
                    "none both writable and executable", shown)
        pages = sorted((a >> 12, (a + n - 1) >> 12) for a, n, _ in loads if n)
        expect_that(all(first[1] < second[0] for first, second in zip(pages, pages[1:])),
                    "no page shared by two segments", shown)

    @check("the EFI application keeps the rules of new firmware")
    def efi_rules(self):
        self.keeps_rules(self.efi())

    @staticmethod
    def keeps_rules(efi):
        """Pages of 4 KiB, sections in order without a hole, none written and executed, and the mark NX_COMPAT."""
        pe, = struct.unpack_from("<I", efi, 0x3c)
        count, = struct.unpack_from("<H", efi, pe + 6)
        optional_size, = struct.unpack_from("<H", efi, pe + 20)
        optional = pe + 24
        entry, = struct.unpack_from("<I", efi, optional + 16)
        alignment, = struct.unpack_from("<I", efi, optional + 32)
        whole, headers = struct.unpack_from("<II", efi, optional + 56)
        dll, = struct.unpack_from("<H", efi, optional + 70)
        table = [struct.unpack_from("<8sIIIIIIHHI", efi, optional + optional_size + 40 * i) for i in range(count)]
        sections = [(s[0].rstrip(b"\0").decode(), s[2], s[1], s[9]) for s in table]
        shown = "\n".join(f"{n} {a:#x}+{size:#x} {flags:#x}" for n, a, size, flags in sections)
        expect_that(dll & DLL_NX_COMPAT, "the mark NX_COMPAT", hex(dll))
        expect_that(alignment == 0x1000, "sections in pages of 4 KiB", hex(alignment))
        expect_that(not any(f & SCN_EXECUTE and f & SCN_WRITE for *_, f in sections), "none of both kinds", shown)
        expect_that([n for n, a, size, f in sections if f & SCN_EXECUTE and a <= entry < a + size] == [".text"],
                    "the entry in .text", f"{entry:#x} in\n{shown}")
        end = headers
        for name, address, size, _ in sections:
            expect_that(address == -(-end // 0x1000) * 0x1000, f"{name} right after what is before it", shown)
            end = address + size
        expect_that(whole == -(-end // 0x1000) * 0x1000, "an image up to the last of them", f"{whole:#x}\n{shown}")

    def seal(self, folder, *arguments):
        """Runs tools/seal there: (status, what it said)."""
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tools/seal"), *arguments], cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode()

    @check("a sealed one keeps them too, lists the files as sha256sum does, and can be sealed again")
    def sealed(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in ("bulkhead/bulkhead.toml", "guests/one", "bulkhead/last-log.txt", "bulkhead/crash/1.txt",
                         "EFI/BOOT/other.efi"):
                os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
                with open(os.path.join(folder, path), "w", encoding="ascii") as file:
                    file.write(path)
            place = os.path.join(folder, "EFI/BOOT/BOOTX64.EFI")
            seen = []
            for application in (["--application", os.path.join(self.build, "BOOTX64.EFI")], []):
                status, said = self.seal(folder, *application, ".")
                expect_that(status == 0 and "not signed" in said, "a sealed application", said)
                with open(place, "rb") as file:
                    seen.append(file.read())
                self.keeps_rules(seen[-1])
            expect_that(seen[0] == seen[1], "the same bytes when it is sealed again", "others")
            listed = subprocess.run(["sha256sum", "bulkhead/bulkhead.toml", "guests/one"], cwd=folder, check=True,
                                    stdout=subprocess.PIPE).stdout
            expect_that(seen[0].count(listed) == 1, "the list as sha256sum makes it", listed)
            for name in (b"last-log.txt  ", b"crash/1.txt", b"other.efi"):
                expect_that(name not in listed and name not in seen[0], f"no {name}, which boot does not read", listed)

    @check("seal refuses in one line, with a fix, and writes nothing")
    def seal_refuses(self):
        application = ["--application", os.path.join(self.build, "BOOTX64.EFI"), "-o", "out"]
        cases = [
            ([*application, "guests/one=one"], ["no bulkhead/bulkhead.toml"]),
            ([*application, "bulkhead/bulkhead.toml=none"], ["none: No such file"]),
            ([*application, "bulkhead/bulkhead.toml=one", "Bulkhead/bulkhead.toml=one"], ["one name on the stick", "leave one out"]),
            ([*application, "--key", "k", "bulkhead/bulkhead.toml=one"], ["both --key and --cert"]),
            ([*application, "--key", "one", "--cert", "one", "bulkhead/bulkhead.toml=one"], ["sbsign failed"]),
            ([*application, "one"], ['"one" is no folder', "PATH-ON-THE-STICK=FILE"]),
            (["bulkhead/bulkhead.toml=one"], ["--application FILE -o FILE"]),
            (["--application", "one", "-o", "out", "bulkhead/bulkhead.toml=one"], ["no EFI application"]),
            (["--application", "empty.efi", "-o", "out", "bulkhead/bulkhead.toml=one"], ["empty.efi is no EFI application"]),
            (["--application", "odd.efi", "-o", "out", "bulkhead/bulkhead.toml=one"], ["odd.efi is no EFI application"]),
            (["--application", os.path.join(self.build, "habits.efi"), "-o", "out", "bulkhead/bulkhead.toml=one"],
             ["can be sealed", "build/BOOTX64.EFI"]),
        ]
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "one"), "w", encoding="ascii") as file:
                file.write("one")
            with open(os.path.join(folder, "empty.efi"), "wb") as file:      # without sections
                file.write(b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(300))
            odd = bytearray(self.efi())
            struct.pack_into("<I", odd, struct.unpack_from("<I", odd, 0x3c)[0] + 24 + 36, 0)     # aligned to nothing
            with open(os.path.join(folder, "odd.efi"), "wb") as file:
                file.write(odd)
            for arguments, words in cases:
                status, said = self.seal(folder, *arguments)
                shown = f"{arguments}: {said}"
                expect_that(status == 1 and re.fullmatch(r"seal: .* \[BH74\d\d\]\n", said), "one line, with its number", shown)
                for word in words:
                    expect_that(word in said, f'"{word}"', shown)
                expect_that(sorted(os.listdir(folder)) == ["empty.efi", "odd.efi", "one"], "no file left behind", os.listdir(folder))

    @check("no section is writable and executable")
    def sections(self):
        elf = self.elf()
        offset, = struct.unpack_from("<Q", elf, 40)
        size, count = struct.unpack_from("<HH", elf, 58)
        flags = [struct.unpack_from("<Q", elf, offset + i * size + 8)[0] for i in range(count)]
        loaded = [f for f in flags if f & SHF_ALLOC]
        expect_that(loaded and not any(f & SHF_WRITE and f & SHF_EXECINSTR for f in loaded),
                    "no section both writable and executable", flags)

    @check("the EFI file carries this hypervisor")
    def embedded(self):
        efi = self.efi()
        lost = [f"{address:#x}" for address, _, _, data in self.loads() if data not in efi]
        expect_that(not lost, "each segment of bulkhead.elf inside BOOTX64.EFI", "not there: " + ", ".join(lost))

    @check("two builds in two places give the same bytes")
    def reproducible(self):
        with tempfile.TemporaryDirectory() as scratch:
            first = self.build_copy(ROOT, os.path.join(scratch, "one"))
            second = self.build_copy(os.path.join(scratch, "one", "tree"),
                                     os.path.join(scratch, "two", "further", "down"))
        differing = sum(a != b for a, b in zip(first, second)) + abs(len(first) - len(second))
        expect_that(differing == 0, "the same bytes", f"{differing} differing bytes")

    def mkusb(self, folder, *arguments, **environment):
        """Runs mkusb in that folder: (status, what it said)."""
        outside = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tools/mkusb"), *arguments], cwd=folder,
                              env={**outside, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        return done.returncode, done.stdout.decode()

    @check("mkusb refuses in one line, with a fix, and leaves nothing behind")
    def mkusb_refuses(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("one", "two"):
                with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                    file.write(name)
            with open(os.path.join(folder, "huge"), "wb") as file:
                file.truncate(4 << 30)
            os.mkdir(os.path.join(folder, "dir"))
            os.mkfifo(os.path.join(folder, "pipe"))
            before = sorted(os.listdir(folder))
            for arguments, words in MKUSB_REFUSED:
                status, said = self.mkusb(folder, *(["-o", "out.img"] if "-o" not in arguments else []), *arguments)
                shown = f"{arguments}: {said}"
                expect_that(status == 1 and re.fullmatch(r"mkusb: .* \[BH73\d\d\]\n", said), "one line, with its number", shown)
                for word in words:
                    expect_that(word in said, f'"{word}"', shown)
                expect_that(sorted(os.listdir(folder)) == before, "no file left behind", os.listdir(folder))
            status, said = self.mkusb(folder, "-o", "out.img", "a=one", PATH=folder)
            expect_that(status == 1 and "install the package mtools [BH7302]\n" in said, '"install the package mtools"', said)
            expect_that(sorted(os.listdir(folder)) == before, "no file left behind", os.listdir(folder))

    @check("mkusb makes sticks of the size that is asked for")
    def mkusb_sizes(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "one"), "w", encoding="ascii") as file:
                file.write("one")
            for size, least, most in (("64M", 63 << 20, 64 << 20), ("3G", (3 << 30) - (1 << 20), 3 << 30)):
                status, said = self.mkusb(folder, "--size", size, "-o", "out.img", "Guests/Web/f\u00fcr=one", "guests/2=one")
                expect_that(status == 0, "a stick", said)
                image = os.path.join(folder, "out.img")
                expect_that(least <= os.path.getsize(image) <= most, size, os.path.getsize(image))
                read = subprocess.run(["mtype", "-i", image + "@@1M", "::/guests/web/f\u00fcr"], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C.UTF-8"})
                expect_that(read.stdout == b"one", "the file as it was", read.stdout)

    def stick_bytes(self, folder, *options, **environment):
        """What mkusb makes of the file one: (partition's GUID, the whole image)."""
        status, said = self.mkusb(folder, *options, "-o", "out.img", "a=one", **environment)
        expect_that(status == 0, "a stick", said)
        with open(os.path.join(folder, "out.img"), "rb") as file:
            image = file.read()
        return image[2 * 512 + 16:2 * 512 + 32], image

    @check("each stick has an identity of its own, unless it is to be made again")
    def mkusb_identity(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "one"), "w", encoding="ascii") as file:
                file.write("one")
            first, second = self.stick_bytes(folder)[0], self.stick_bytes(folder)[0]
            expect_that(first != second and any(first), "two GUIDs", f"{first.hex()} {second.hex()}")
            for options, environment in ((["--id", "web"], {}), ([], {"SOURCE_DATE_EPOCH": "1"})):
                one, same = (self.stick_bytes(folder, *options, **environment) for _ in range(2))
                expect_that(one == same, f"the same bytes with {options} {environment}", "others")
            other = self.stick_bytes(folder, "--id", "mail")[0]
            expect_that(other != self.stick_bytes(folder, "--id", "web")[0], "another GUID for another text", other.hex())
            before = self.stick_bytes(folder, SOURCE_DATE_EPOCH="1")[0]
            with open(os.path.join(folder, "one"), "w", encoding="ascii") as file:
                file.write("two")
            expect_that(before != self.stick_bytes(folder, SOURCE_DATE_EPOCH="1")[0],
                        "another GUID for other files", before.hex())

    @staticmethod
    def make_on_a_bare_pc(folder, goal, *extra):
        """Runs make where few programs are: (status, what it said, whether apt-get or sudo was called)."""
        programs = os.path.join(folder, "bin")
        shutil.rmtree(programs, ignore_errors=True)
        os.mkdir(programs)
        for name in ("sh", "make", "mkdir", "awk", "sed", "grep", "sort", "cat", "sleep", "find", "touch", "dirname"):
            os.symlink(shutil.which(name), os.path.join(programs, name))
        called = os.path.join(folder, "called")
        fakes = {"id": "echo 1000", **{name: f'echo "$0 $*" >>{called}; exit 1' for name in extra}}
        for name, does in fakes.items():
            with open(os.path.join(programs, name), "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\n{does}\n")
            os.chmod(os.path.join(programs, name), 0o755)
        done = subprocess.run([shutil.which("make"), "-C", ROOT, f"BUILD={folder}/build", goal],
                              env={"PATH": programs, "LC_ALL": "C"}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout, os.path.exists(called)

    @check("make asks for the tools that are missing, and installs only where it is told to")
    def missing_tools(self):
        with tempfile.TemporaryDirectory() as folder:
            status, said, called = self.make_on_a_bare_pc(folder, "all", "apt-get", "sudo")
            expect_that(status and not called, "make all to end without calling apt-get or sudo", said)
            for word in ("acpica-tools", "iasl", '"make setup" installs them'):
                expect_that(word in said, word, said)
            expect_that("bochs" not in said, "no word of tools that this goal does not need", said)
            status, said, called = self.make_on_a_bare_pc(folder, "run")
            expect_that(status and "qemu-system-x86_64" in said and "there is no apt-get here" in said,
                        "make run to name the tools where no apt-get is", said)
            status, said, called = self.make_on_a_bare_pc(folder, "setup", "apt-get")
            expect_that(status and called and "there is no sudo. Please run as root" in said,
                        "make setup to say what root has to run", said)

    def symbolize(self, text):
        """(status, what scripts/symbolize.py makes of the text)."""
        done = subprocess.run([sys.executable, os.path.join(ROOT, "scripts/symbolize.py"), "--elf",
                               os.path.join(self.build, "bulkhead.elf")], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    @check("a pasted panic becomes functions and lines, one of another build does not")
    def symbols(self):
        elf = os.path.join(self.build, "bulkhead.elf")
        names = subprocess.run(["nm", elf], stdout=subprocess.PIPE, check=True, text=True).stdout
        note = subprocess.run(["readelf", "-n", elf], stdout=subprocess.PIPE, check=True, text=True).stdout
        build = re.search(r"Build ID: ([0-9a-f]{16})", note)[1]
        at = int(re.search(r"([0-9a-f]+) \S hv_start$", names, re.M)[1], 16)
        text = f"Bulkhead 1.2.3, build {build}, text at 0x1000\nat 0x2000 (text+{at:#x})\ncalled from text+0x17\n"
        status, said = self.symbolize(text)
        expect_that(status == 0 and re.search(r"text\+%#x  hv_start at \S*hv/monitor/start\.c:\d+" % at, said),
                    "hv_start with its file and line", said)
        expect_that("text+0x17  arch_entry+0x16" in said, "the entry, and no function that was thrown away", said)
        status, said = self.symbolize(text.replace(build, "0123456789abcdef"))
        expect_that(status == 1 and "is of build" in said and "take the file" in said, "the other build refused", said)

    def bhtrace(self, text, *options):
        """(status, what tools/bhtrace makes of the text)."""
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tools/bhtrace"), *options, "-"], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    @check("bhtrace reads what trace and a crash report show, and writes what Perfetto's viewer opens")
    def flight_recorder(self):
        asked = ("\r\x1b[Kbulkhead> trace web\r\nvcpu0 on cpu 1: its last exits\r\n"
                 "  exit     1.000001000 rip 0xffffffff81000000 wrmsr msr 0x830 next\r\n"
                 "  exit     1.000003500 rip 0x1000 hlt halt\r\nvcpu1 on cpu 2: its last exits\r\n"
                 "  exit     2.000000000 rip 0x1002 port in 0x3f8 size 1 next\r\n\rbulkhead> \x1b[K")
        report = ("[    3.000009] cpu3 mail: error: stopped: triple fault\n"
                  "[    3.000009] cpu3 mail:   vcpu 2  exit triple-fault  length 0\n"
                  "[    3.000012] cpu3 mail:   exit     2.999999000 rip 0x7c00 cpuid leaf 0xd next\n"
                  "[    3.000014] cpu3 mail:   exit     3.000000000 rip 0x7c02 triple-fault at-work\n")
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.json")
            status, said = self.bhtrace(asked + report + report, "--json", out)
            for line in ("web vcpu0: 2 exits in 0.003 ms, 400000 a second", "web vcpu1: 1 exits in 0.000 ms", "mail vcpu2: 2 exits",
                         "1.000003500       2.500  0x0000000000001000  hlt -> halt", "port in 0x3f8 size 1 -> next"):
                expect_that(status == 0 and line in said, line, said)
            with open(out, encoding="ascii") as file:
                events = json.load(file)["traceEvents"]
        names = [e["args"]["name"] for e in events if e["ph"] == "M"]
        expect_that(names == ["mail", "web", "vcpu2", "vcpu0", "vcpu1"], "guests and vCPUs named", names)
        bars = [(e["name"], e["ts"], e["dur"], e["args"]["outcome"]) for e in events if e["ph"] == "X"]
        expect_that(bars[2] == ("wrmsr 0x830", 1000001.0, 2.5, "next") and len(bars) == 5, "a bar from each exit to the next", bars)
        expect_that([name for name, *_ in bars][3:] == ["hlt", "port in 0x3f8"], "bars named by kind and port", bars)
        for old, new in (("1.000001000", "9" * 400 + ".000001000"), ("1.000001000", "9" * 5000 + ".000001000"), ("vcpu0", "vcpu" + "9" * 5000)):
            status, said = self.bhtrace(asked.replace(old, new), "--json", os.devnull)
            expect_that(status == 0 and "web vcpu1: 1 exits" in said and "Traceback" not in said, "the lines that are whole", said[-500:])
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([sys.executable, os.path.join(ROOT, "tools/bhtrace"), "-"], input=asked, text=True, stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        expect_that((done.returncode, done.stderr) == (2, "bhtrace: standard output: No space left on device [BH7503]\n"),
                    "what cannot be written, and why", done)
        for text in ("", "vcpu0 on cpu 1: its last exits\n", "  exit 1.2 rip\n\0\xff\x1b[", asked.replace("rip", "riq")):
            status, said = self.bhtrace(text)
            expect_that(status == 1 and re.fullmatch(r"bhtrace: -: nothing of the flight recorder's.* \[BH7502\]\n", said),
                        f"one line that says there is nothing in {text!r}", said)

    @check("bhtrace names what it cannot write, overwrites no capture, and lets a reader go")
    def flight_recorder_written(self):
        text = "bulkhead> trace web\nvcpu0 on cpu 1: its last exits\n" + "".join(
            f"  exit     1.{n:09} rip 0x1000 hlt halt\n" for n in range(0, 10**8, 25000))
        with tempfile.TemporaryDirectory() as folder:
            capture = os.path.join(folder, "capture")
            with open(capture, "w", encoding="ascii") as file:
                file.write(text)
            for options, words in (("--json capture capture", "capture is the text itself; give another name after --json [BH7504]"),
                                   ("--json /dev/full capture", "/dev/full: No space left on device [BH7503]"),
                                   ("capture >/dev/full", "standard output: No space left on device [BH7503]")):
                done = subprocess.run(f"{ROOT}/tools/bhtrace {options}", shell=True, cwd=folder, text=True, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE)
                expect_that(done.returncode == 2 and done.stderr == f"bhtrace: {words}\n", words, done.stderr)
                with open(capture, encoding="ascii") as file:
                    expect_that(file.read() == text, f"the capture as it was after {options}", "another text")
            done = subprocess.run(f"{ROOT}/tools/bhtrace --json out capture | head -1", shell=True, cwd=folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            expect_that(re.fullmatch("web vcpu0: 4000 exits .*\n", done.stdout), "one line, and no error", done.stdout)
            with open(os.path.join(folder, "out"), encoding="ascii") as file:
                expect_that(len(json.load(file)["traceEvents"]) == 4002, "a whole picture", "less")

    @check("a compartment with a back door is on no stick of make usb")
    def no_back_door(self):
        names = lambda path: subprocess.run(["nm", os.path.join(self.build, path)], stdout=subprocess.PIPE, check=True,
                                            text=True).stdout
        expect_that("act_write_null" in names("backdoor/compartment.elf"), "an act in the one with a back door", "none")
        found = re.findall(r"\bact_\w+", names("compartment.elf"))
        expect_that(not found, "no act in the compartment of every stick", found)
        stick = os.path.join(self.build, "bulkhead-usb.img")
        done = subprocess.run(["mtype", "-i", f"{stick}@@1M", "::EFI/BOOT/BOOTX64.EFI"], stdout=subprocess.PIPE, check=True,
                              env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
        expect_that(done.stdout == self.efi(), "the stick to carry build/BOOTX64.EFI", f"{len(done.stdout)} bytes")

    @check("bhcheck names a stick without the EFI application, and one whose file is none")
    def application(self):
        with tempfile.TemporaryDirectory() as folder:
            for path, source in (("bulkhead/bulkhead.toml", None), ("guests/testguest", "guests/testguest"),
                                 ("EFI/BOOT/BOOTX64.EFI", "BOOTX64.EFI")):
                place = os.path.join(folder, path)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                if source is not None:
                    shutil.copy(os.path.join(self.build, source), place)
                    continue
                with open(place, "w", encoding="ascii") as file:
                    file.write('[guest.alpha]\ncpus = "0"\nmemory = "16M"\nkernel = "guests/testguest"\n')
            application = os.path.join(folder, "EFI/BOOT/BOOTX64.EFI")
            command = [os.path.join(self.build, "bhcheck"), "--cpus", "2", "--memory", "1G", folder]
            run = lambda: subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
            expect_that(run().returncode == 0, "a whole stick to be good", run().stdout)
            with open(application, "w", encoding="ascii") as file:
                file.write("no application")
            for words in ("this is no EFI application", "no such file on the stick"):
                done = run()
                expect_that(done.returncode == 1 and "BOOTX64.EFI" in done.stdout and words in done.stdout
                            and "copy build/BOOTX64.EFI there" in done.stdout, words, done.stdout)
                if os.path.exists(application):
                    os.unlink(application)

    DEVICES = """[wire.lan]
[guest.alpha]
cpus = "0"
memory = "16M"
kernel = "guests/testguest"
disk = ["root:images/a&b:ro", "tmp:blank:16M"]
pmem = ["images/base"]
net = ["lan"]
vsock = ["beta", "gamma"]
[guest.beta]
cpus = "1"
memory = "16M"
kernel = "guests/testguest"
disk = ["root:images/a&b:volatile:16M"]
net = ["lan:mac=02:00:00:00:00:01:bridge:down"]
cid = "42"
port = ["sync"]
[guest.gamma]
cpus = "2"
memory = "16M"
kernel = "guests/testguest"
vsock = ["alpha"]
port = ["sync"]
"""
    PICTURE = (r"alpha +root +1536 +read-only images/a&b, shared with beta\n", r"alpha +tmp +16M +blank\n",
               r"alpha +\(in memory\) +4M +read-only images/base\n",
               r"beta +root +1536 +volatile up to 16M images/a&b, shared with alpha\n",
               r"==\[ lan \]== MTU 1500\n +\|-- alpha +[0-9a-f:]{17}\n +\|-- beta +02:00:00:00:00:01, bridge, link down\n",
               r"--\( vsock \)--.*\n   alpha \(3\) ---> beta \(42\)\n   alpha \(3\) <--> gamma \(5\)\n",
               r"--\( port sync \)-- beta <--> gamma\n")

    @staticmethod
    def guests_on(drawing, kind):
        """The names of the guests whose boxes have a dot on the line of this kind."""
        tag = "{http://www.w3.org/2000/svg}"
        line, = [path.get("d") for path in drawing.iter(tag + "path") if path.get("class") == kind]
        y = re.fullmatch(r"M\d+ (\d+)H\d+", line)[1]
        dots = [int(dot.get("cx")) for dot in drawing.iter(tag + "circle") if dot.get("cy") == y]
        boxes = [(int(box.get("x")), int(box.get("width"))) for box in drawing.iter(tag + "rect") if box.get("class") == "guest"]
        return [name for name, (x, width) in zip(("alpha", "beta", "gamma"), boxes) for dot in dots if x < dot < x + width]

    @check("bhcheck shows disks, wires, sockets and ports, and draws them the same each time")
    def picture(self):
        with tempfile.TemporaryDirectory() as folder:
            for path, data in (("bulkhead/bulkhead.toml", self.DEVICES.encode()), ("guests/testguest", None),
                               ("EFI/BOOT/BOOTX64.EFI", self.efi()), ("images/a&b", bytes(1536)),
                               ("images/base", bytes((2 << 20) + 512))):
                place = os.path.join(folder, path)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                if data is None:
                    shutil.copy(os.path.join(self.build, path), place)
                    continue
                with open(place, "wb") as file:
                    file.write(data)
            drawn = []
            for name in ("first.svg", "second.svg"):
                picture = os.path.join(folder, name)
                command = [os.path.join(self.build, "bhcheck"), "--cpus", "3", "--memory", "1G", "--svg", picture, folder]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
                expect_that(done.returncode == 0, "a stick with disks and wires to be good", done.stdout)
                for pattern in self.PICTURE:
                    expect_that(re.search(pattern, done.stdout), f"the line /{pattern}/", done.stdout)
                with open(picture, "rb") as file:
                    drawn.append(file.read())
            expect_that(drawn[0] == drawn[1], "two pictures of one stick to be the same", "two")
            drawing = xml.etree.ElementTree.fromstring(drawn[0])
            texts = [element.text for element in drawing.iter() if element.text]
            for word in ("alpha", "beta", "lan", "02:00:00:00:00:01", "bridge, link down", "CID 3", "to 42, 5", "CID 42", "CID 5",
                         "to 3", "sync", "images/a&b", "tmp: blank, 16M"):
                expect_that(word in texts, f"the picture to show {word}", texts)
            for kind, guests in (("wire", ["alpha", "beta"]), ("vsock", ["alpha", "beta", "gamma"]), ("port", ["beta", "gamma"])):
                expect_that(self.guests_on(drawing, kind) == guests, f"{guests} on the line {kind}", drawn[0].decode())
            command[-2] = os.path.join(folder, "nowhere", "x.svg")
            done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
            expect_that(done.returncode == 1 and "No such file" in done.stdout, "a picture that cannot be written to be told",
                        done.stdout)

    MAPPED = """[guest.alpha]
cpus = "0-1"
memory = "512M"
kernel = "guests/testguest"
[guest.beta]
cpus = "3"
memory = "1G"
kernel = "guests/testguest"
"""

    @check("bhcheck takes a config alone, and maps whose each CPU and piece of memory is")
    def map(self):
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(os.path.join(folder, "guests"))
            shutil.copy(os.path.join(self.build, "guests/testguest"), os.path.join(folder, "guests"))
            config, drawn = os.path.join(folder, "mine.toml"), os.path.join(folder, "map.svg")
            with open(config, "w", encoding="ascii") as file:
                file.write(self.MAPPED)
            command = [os.path.join(self.build, "bhcheck"), "--cpus", "5", "--memory", "4G", "--map", "--svg", drawn, config]
            run = lambda: subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
            done = run()
            expect_that(done.returncode == 0, "a config alone to be good", done.stdout)
            for line in (r"^alpha +##\.\.\.$", r"^beta +\.\.\.#\.$", r"^nobody +\.\.#\.#$"):
                expect_that(re.search(line, done.stdout, re.M), f"/{line}/", done.stdout)
            pieces = [(int(a, 16), int(b, 16), whose) for a, b, whose in
                      re.findall(r"^(0x[0-9a-f]+) +(0x[0-9a-f]+) +\S+ +(.+)$", done.stdout, re.M)]
            whole = all(end + 1 == following[0] for (_, end, _), following in zip(pieces, pieces[1:]))
            expect_that(whole and pieces[0][0] == 0, "memory without a gap, in its order", done.stdout)
            for whose, size in (("alpha", 512 << 20), ("beta", 1 << 30)):
                has = sum(end + 1 - start for start, end, owner in pieces if owner == whose)
                expect_that(has == size, f"{size} bytes of {whose}", done.stdout)
            texts = [e.text for e in xml.etree.ElementTree.parse(drawn).iter() if e.text]
            expect_that("CPUs" in texts and any(t.endswith("1G  beta") for t in texts), "both in the picture", texts)
            with open(config, "a", encoding="ascii") as file:
                file.write('cpu = "4"\n')
            done = run()
            expect_that(done.returncode == 1 and done.stdout.startswith("mine.toml:9:1: "), "its fault, by name, line and column", done.stdout)

    @check("bhcheck places files that are larger than the memory below 4 GiB in memory that there is")
    def large_files(self):
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "mine.toml")
            shutil.copy(os.path.join(self.build, "guests/testguest"), os.path.join(folder, "kernel"))
            for name in ("one", "two"):
                with open(os.path.join(folder, name), "wb") as file:
                    file.truncate(1700 << 20)
            with open(config, "w", encoding="ascii") as file:
                file.write('[guest.a]\ncpus = "0"\nmemory = "256M"\nkernel = "kernel"\ndisk = ["a:one:ro", "b:two:ro"]\n')
            words = [os.path.join(self.build, "bhcheck"), "--cpus", "1", "--memory", "4G", "--map", config]
            with open(os.path.join(folder, "said"), "w+", encoding="utf-8") as said:
                _, status, used = os.wait4(os.posix_spawn(words[0], words, os.environ, file_actions=[
                    (os.POSIX_SPAWN_DUP2, said.fileno(), 1)]), 0)
                said.seek(0)
                text = said.read()
            expect_that(status == 0, "a config that is good", text)
            # What counts as bhcheck's before its start is this program's own.
            expect_that(used.ru_maxrss < 1 << 20, "less than 1 GiB of memory for 3,400 MiB that are zero", f"{used.ru_maxrss} KiB")
            pieces = [(int(a, 16), int(b, 16) + 1, whose) for a, b, whose in
                      re.findall(r"^(0x[0-9a-f]+) +(0x[0-9a-f]+) +\S+ +(.+)$", text, re.M)]
            expect_that(len(pieces) > 3 and all(one[1] == two[0] for one, two in zip(pieces, pieces[1:])),
                        "pieces of memory that do not overlap", text)
            there = sum(end - begin for begin, end, whose in pieces if not whose.startswith("firmware"))
            expect_that(there == (4 << 30) - (1 << 20), "4 GiB of them, but for the first MiB", there)

    @check("docs/hardware.md explains each reason that keeps a device from a guest")
    def reasons(self):
        with open(os.path.join(ROOT, "config/pci_text.c"), encoding="utf-8") as file:
            rows = re.findall(r'^    \[BOOT_PCI_\w+\] = \{(.*?)\},$', file.read(), re.M | re.S)
        with open(os.path.join(ROOT, "docs/hardware.md"), encoding="utf-8") as file:
            docs = "\n".join(line for line in file if line.startswith("| "))
        texts = [(re.search(r'\.after = "(.*?)"', row) or re.search(r'\.before = "(.*?)"', row))[1] for row in rows]
        words = [text.removeprefix("no: ").removeprefix("it has ").strip() for text in texts]
        expect_that(len(words) >= 22 and "is less than a page" in words, "all reasons", words)
        missing = [word for word in words if word not in docs]
        expect_that(not missing, "each in the table", missing)

    @check("bash completes options and keys of bhcheck")
    def completion(self):
        script = "source tools/completion/bulkhead.bash; _bulkhead {0} {1} {2}; echo ${{COMPREPLY[@]}}"
        bhcheck = os.path.abspath(os.path.join(self.build, "bhcheck"))
        with open(os.path.join(ROOT, "docs/config.md"), encoding="utf-8") as file:
            keys = set(re.findall(r"^### `(on_\w+)`", file.read(), re.M))
        expect_that("on_crash" in keys, "keys in docs/config.md", keys)
        for word, before, expected in (("on_", "--explain", keys), ("--m", bhcheck, {"--machine", "--memory", "--map", "--manual"}),
                                       ("tools/seg", "--map", {"tools/segments.c", "tools/segments.h"})):
            done = subprocess.run(["bash", "-c", script.format(bhcheck, word, before)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                                  check=False)
            expect_that(set(done.stdout.split()) == expected, f"{word}: {sorted(expected)}", done.stdout)

    @check("bhcheck tells what a message with a number means and what to do")
    def explained(self):
        cases = (("BH3043", 0, ("`watchdog: not fed for N s`", "\nmeans: ", "\ndo: ")), ("3043", 0, ("BH3043\n",)),
                 ("[BH3043]", 0, ("BH3043\n",)), ("bh3043", 0, ("BH3043\n",)), ("[BH3043", 1, ("no key",)), ("BH3043]", 1, ("no key",)),
                 ("BH6104", 0, ('"... ... yes" does it',)), ("BH7203", 0, ("mkstick -o",)),
                 ("BH9999", 1, ("no message has the number", "[BH7114]\n")), ("memroy", 1, ('did you mean "memory"? [BH7115]\n',)))
        for number, status, words in cases:
            done = subprocess.run([os.path.join(self.build, "bhcheck"), "--explain", number], stdout=subprocess.PIPE, check=False,
                                  text=True)
            expect_that(done.returncode == status and all(w in done.stdout for w in words), f"{number}: {words}", done.stdout)

    @check("a tool that is used wrongly says so by number, and one that is asked for help does not")
    def wrong_usage(self):
        tools = {"tools/mkstick": "BH7201", "tools/mkusb": "BH7301", "tools/seal": "BH7401", "tools/bhtrace": "BH7501",
                 os.path.join(self.build, "bhcheck"): "BH7101", os.path.join(self.build, "bulkctl"): "BH7601"}
        for tool, number in tools.items():
            wrong, right = (subprocess.run([os.path.join(ROOT, tool), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                           check=False, text=True) for words in ([], ["--help"]))
            expect_that(wrong.returncode == 2 and wrong.stdout.startswith("usage: ") and wrong.stdout.endswith(f" [{number}]\n"),
                        f"{tool}'s usage and {number}", wrong.stdout)
            expect_that(right.returncode == 0 and right.stdout.startswith("usage: ") and "[BH" not in right.stdout, f"{tool}'s help",
                        right.stdout)

    @check("bhcheck names the word that it does not understand, and takes as many CPUs as a config can name")
    def wrong_word(self):
        run = lambda words: subprocess.run([os.path.join(self.build, "bhcheck"), *words], stdout=subprocess.PIPE, check=False,
                                           stderr=subprocess.STDOUT, text=True)
        for words, wrong in ((["--memory", "8GB", "x"], "8GB"), (["--cpus", "1025", "x"], "1025"), (["--set", "c", "x"], "c"),
                             (["x", "--map"], "--map"), (["--machine"], "--machine"), (["--foo", "x"], "--foo"), ([], "no PLACE")):
            done = run(words)
            expect_that(done.returncode == 2 and done.stdout.endswith(f"\nbhcheck: wrong usage: {wrong} [BH7101]\n"), f"{wrong} named",
                        done.stdout)
        expect_that("N: 1 to 1024," in run(["--help"]).stdout, "1024 CPUs", run(["--help"]).stdout)
        done = run(["--cpus", "1024", "/nowhere"])
        expect_that(done.returncode == 1 and "[BH7107]" in done.stdout, "1024 CPUs taken", done.stdout)

    @staticmethod
    def build_copy(source, place):
        tree, output = os.path.join(place, "tree"), os.path.join(place, "output")
        shutil.copytree(source, tree, ignore=shutil.ignore_patterns(".git", "build"))
        done = subprocess.run(["make", "-j", str(os.cpu_count()), "-C", tree, f"BUILD={output}",
                               f"{output}/BOOTX64.EFI"], env={**os.environ, "MAKEFLAGS": ""},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        expect_that(done.returncode == 0, "a build", done.stdout.decode()[-2000:])
        with open(os.path.join(output, "BOOTX64.EFI"), "rb") as file:
            return file.read()
