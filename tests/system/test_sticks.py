# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/mkstick: what it makes, what it refuses, and an update that is cut off at any moment.

A power cut is simulated by sectors: each write of an update and each flush is recorded. After n writes, for each n, and with
some of the writes since the last flush left out, for a stick may do these in any order, what the next start would choose is
taken out with mtools, judged by bhcheck, and has to be a whole set: the old one, or the new one after the last write.
"""
import glob
import hashlib
import importlib.machinery
import importlib.util
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from frame import ROOT, Boot, check, expect_that

MKSTICK = os.path.join(ROOT, "tools/mkstick")

CONFIG = """\
[guest.{name}]
cpus = "0"
memory = "16M"
kernel = "guests/kernel"
type = "flat"
{more}
"""


def load_mkstick():
    loader = importlib.machinery.SourceFileLoader("mkstick", MKSTICK)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mkstick", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def write(place, data):
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(data)
    return place


class Recorder:
    """In the place of stick_fat.Disk: the image in memory, and what was written to it in which order; None is a flush."""

    def __init__(self, data):
        self.data, self.done = bytearray(data), []

    def read(self, sector, count):
        return bytes(self.data[sector * 512:(sector + count) * 512])

    def write(self, sector, data):
        self.data[sector * 512:sector * 512 + len(data)] = data
        self.done.append((sector, data))

    def flush(self):
        self.done.append(None)

    forget = flush

    def close(self):
        pass


def after(data, writes):
    """The image after these."""
    image = bytearray(data)
    for sector, written in writes:
        image[sector * 512:sector * 512 + len(written)] = written
    return image


def cuts(done, seed=14, at_random=12):
    """(name, writes that were done): after each write; and some of an epoch's left out."""
    writes, since = [], 0
    chance = random.Random(seed)
    yield "before all", []
    for item in done:
        if item is None:
            epoch = writes[since:]
            for number in range(min(at_random, 2 ** min(len(epoch), 10)) if len(epoch) > 1 else 0):
                some = [w for w in epoch if chance.random() < 0.5]
                chance.shuffle(some)
                yield f"epoch up to write {len(writes)}, choice {number}", writes[:since] + some
            since = len(writes)
            continue
        writes.append(item)
        yield f"write {len(writes)}", list(writes)
        sector, data = item
        if len(data) > 512:         # in the middle of it
            yield f"half of write {len(writes)}", writes[:-1] + [(sector, data[:len(data) // 2 // 512 * 512])]


class Sticks(Boot):
    name = "sticks"
    needs_machine = False
    seconds = 60

    def setup(self):
        self.folder_of = tempfile.TemporaryDirectory()
        self.top = self.folder_of.name
        self.mkstick = load_mkstick()
        self.last_image = b""
        self.bhcheck = os.path.join(self.build, "bhcheck")
        self.applications = [b"MZ" + bytes(2000), b"MZ" + b"n" * 3000]
        self.efi = write(os.path.join(self.top, "efi"), self.applications[0])
        self.old = self.make_set("old", "alpha", b"\xf4" * 900, {})
        self.new = self.make_set("new", "beta", b"\xfa" * 1700, {"images/a file": b"x" * 2560})
        self.image = os.path.join(self.top, "stick.img")

    def make_set(self, name, guest, kernel, more):
        top = os.path.join(self.top, name)
        write(os.path.join(top, "guests/kernel"), kernel)
        disks = [f'"d{n}:{path}:ro"' for n, path in enumerate(sorted(p for p in more if more[p]))]
        for path, data in more.items():
            write(os.path.join(top, path), data)
        return write(os.path.join(top, "bulkhead.toml"),
                     CONFIG.format(name=guest, more=f"disk = [{', '.join(disks)}]" if disks else "").encode())

    def run(self, *words, good=True):
        done = subprocess.run([sys.executable, "-B", MKSTICK, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = done.stdout.decode("utf-8", "replace")
        expect_that((done.returncode == 0) == good and "Traceback" not in said, f"mkstick {' '.join(words)} to be {'done' if good else 'refused'}",
                    said)
        return said

    def make(self):
        return self.run("-o", self.image, "--id", "test", "--bhcheck", self.bhcheck, "--application", self.efi, self.old)

    def taken_out(self, image):
        """The stick's files as mtools finds them, in a folder."""
        place, whole = os.path.join(self.top, "cut"), os.path.join(self.top, "cut.img")
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
        with open(whole, "r+b" if os.path.exists(whole) else "w+b") as file:       # what differs from the one before
            for at in range(0, len(image), 1 << 16):
                piece = image[at:at + (1 << 16)]
                if self.last_image[at:at + (1 << 16)] != piece:
                    file.seek(at)
                    file.write(piece)
        self.last_image = bytes(image)
        done = subprocess.run(["mcopy", "-n", "-s", "-i", f"{whole}@@1M", "::/", place], env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        expect_that(done.returncode == 0, "mtools to read all of it", done.stdout.decode(errors="replace"))
        return place

    def chosen(self, image):
        """(set that the next start is of, its files' digests): judged by bhcheck."""
        place = self.taken_out(image)
        done = subprocess.run([self.bhcheck, "--cpus", "2", "--memory", "1G", place], stdout=subprocess.PIPE, check=False, text=True)
        expect_that(done.returncode == 0, "the set that comes next to be good", done.stdout)
        found = re.search(r"^the next start is of (?:set )?(\S+)", done.stdout, re.M)
        which = found[1] if found else "the"
        return which, self.digests(os.path.join(place, "bulkhead", which) if which != "the" else place)

    @staticmethod
    def digests(top):
        out = {}
        for where, _, names in os.walk(top):
            for name in names:
                with open(os.path.join(where, name), "rb") as file:
                    out[os.path.relpath(os.path.join(where, name), top)] = hashlib.sha256(file.read()).hexdigest()
        return out

    def files(self, config):
        wanted = ["bulkhead.toml", "guests/kernel"] + (["images/a file"] if config == self.new else [])
        return [(path, os.path.join(os.path.dirname(config), path)) for path in wanted]

    def no_chain_crosses(self, image):
        """Of what can be reached no two files have a cluster in common."""
        volume = self.mkstick.stick_fat.Volume(Recorder(image))
        clusters = [c for entry in volume.entries(volume.root) for c in volume.tree(entry)]
        expect_that(len(clusters) == len(set(clusters)), "no cluster in two files", len(clusters) - len(set(clusters)))

    def record(self, base, files, application=None):
        disk = Recorder(base)
        self.mkstick.update(self.mkstick.Image(None, disk), files, application)
        return disk

    def judge_cuts(self, base, done, old, new):
        """old, new: (set, digests) that may be chosen; the new one only once all was written. The application is whole."""
        seen, last = 0, sum(1 for item in done if item)
        for name, writes in cuts(done):
            image = after(base, writes)
            which = self.chosen(image)
            wanted = new if len(writes) == last else old
            expect_that(which == wanted, f"{wanted[0]}, whole, after {name} of {last}", which)
            self.no_chain_crosses(image)
            with open(os.path.join(self.top, "cut/EFI/BOOT/BOOTX64.EFI"), "rb") as file:
                expect_that(file.read() in self.applications, f"an application that is whole after {name}", "")
            seen += 1
        return seen

    @check("an image has set a, which is good; it can be shown, and taken out by mtools", required=True)
    def makes(self):
        self.setup()
        expect_that("set a is good" in self.make(), "so said", "")
        expect_that(self.run("--show", self.image) == "good: set a\n", "set a", self.run("--show", self.image))
        with open(self.image, "rb") as file:
            self.base = file.read()
        which, digests = self.chosen(self.base)
        expect_that(which == "a" and set(digests) == {"bulkhead.toml", "guests/kernel"}, "set a and its files", (which, digests))

    @check("an update puts a new set beside it, next time in the place of the other one")
    def updates(self):
        words = ["--bhcheck", self.bhcheck]
        said = self.run("--update", self.image, *words, self.new)
        expect_that("set b is new, the next start tries it; set a is the good one" in said, "so said", said)
        expect_that("new: set b, not tried yet" in self.run("--show", self.image), "set b", "")
        with open(self.image, "rb") as file:
            which, digests = self.chosen(file.read())
        self.new_digests = digests
        wanted = {path: hashlib.sha256(open(source, "rb").read()).hexdigest() for path, source in self.files(self.new)}
        expect_that((which, digests) == ("b", wanted), "set b, whole", (which, digests))
        self.run("--update", self.image, *words, self.old)
        with open(self.image, "rb") as file:
            data = file.read()
        expect_that(self.chosen(data)[0] == "b", "set b again, for it was not good", self.chosen(data)[0])
        self.no_chain_crosses(data)
        self.run("--good", self.image)
        expect_that(self.run("--show", self.image) == "good: set b\n", "set b to be good", "")
        self.run("--update", self.image, *words, self.new)
        expect_that("new: set a" in self.run("--show", self.image), "set a to be the new one", "")

    @check("an update that is cut off after any of its writes leaves one set that starts")
    def cut(self):
        disk = self.record(self.base, self.files(self.new), self.applications[1])
        old, new = self.chosen(self.base), self.chosen(disk.data)
        expect_that((old[0], new[0]) == ("a", "b"), "set a before and b after", (old[0], new[0]))
        count = self.judge_cuts(self.base, disk.done, old, new)
        print(f"# sticks: {count} cuts of {sum(1 for d in disk.done if d)} writes", flush=True)

    @check("the same of an update over a set that was new and not tried")
    def cut_again(self):
        before = bytes(self.record(self.base, self.files(self.new)).data)
        disk = self.record(before, self.files(self.old))
        first = next(i for i, item in enumerate(disk.done) if item)
        begun = after(before, [disk.done[first]])
        # The first write says that there is no new set: until then it is that one.
        expect_that(self.chosen(before)[0] == "b" and self.chosen(begun)[0] == "a", "set b, then a", self.chosen(begun)[0])
        self.judge_cuts(bytes(begun), disk.done[first + 1:], self.chosen(begun), self.chosen(disk.data))

    @check("a plain stick becomes one with two sets, and its files are the good one, at each cut")
    def plain(self):
        image = os.path.join(self.top, "plain.img")
        top = os.path.dirname(self.old)
        subprocess.run([sys.executable, "-B", os.path.join(ROOT, "tools/mkusb"), "--id", "test", "-o", image,
                        f"EFI/BOOT/BOOTX64.EFI={self.efi}", f"bulkhead/bulkhead.toml={self.old}",
                        f"guests/kernel={os.path.join(top, 'guests/kernel')}"], check=True)
        with open(image, "rb") as file:
            base = file.read()
        disk = self.record(base, self.files(self.new))
        last = sum(1 for item in disk.done if item)
        for name, writes in cuts(disk.done, at_random=6):
            done = after(base, writes)
            which = self.chosen(done)[0]
            expect_that(which == ("a" if len(writes) == last else "the"), f"the right one after {name} of {last}", which)
            self.no_chain_crosses(done)

    @check("a mounted stick is updated, and a cut between any two of its files leaves one set that starts")
    def mounted(self):
        base = self.taken_out(self.base)
        keep = os.path.join(self.top, "keep")
        shutil.rmtree(keep, ignore_errors=True)
        shutil.copytree(base, keep)
        done = 0
        for cut in range(100):
            shutil.rmtree(base)
            shutil.copytree(keep, base)
            left = cut

            class Cut(Exception):
                pass

            class Folder(self.mkstick.Folder):
                def sync(self, path):
                    nonlocal left
                    if left == 0:
                        raise Cut
                    left -= 1

            try:
                self.mkstick.update(Folder(base), self.files(self.new), self.applications[1])
                done = cut
            except Cut:
                pass
            check_it = subprocess.run([self.bhcheck, "--cpus", "2", "--memory", "1G", base], stdout=subprocess.PIPE, check=False, text=True)
            expect_that(check_it.returncode == 0, f"a good stick after {cut} files", check_it.stdout)
            if done:
                break
        expect_that(done > 5 and "set b" in self.run("--show", base), "an update in the end", done)

    def said_by_bhcheck(self, place):
        done = subprocess.run([self.bhcheck, "--cpus", "2", "--memory", "1G", place], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, text=True, env={**os.environ, "TMPDIR": self.top})
        return done.returncode, done.stdout

    @check("bhcheck reads a stick that is not mounted, by GPT, MBR or as one volume, and says so of what is none")
    def not_mounted(self):
        write(os.path.join(self.top, "old/microcode/06-55-04"), b"no microcode")
        self.make()
        with open(self.image, "rb") as file:
            by_gpt = file.read()
        wanted = self.said_by_bhcheck(self.taken_out(by_gpt))
        expect_that(wanted[0] == 0 and "alpha" in wanted[1] and "[BH7113]" in wanted[1], "alpha and microcode in the stick's folder", wanted)
        volume = by_gpt[1 << 20:]
        entry = struct.pack("<B3xB3xII", 0x80, 0x0c, 64, len(volume) // 512)
        by_mbr = bytes(446) + entry + bytes(48) + b"\x55\xaa" + bytes(63 * 512) + volume
        for name, image, file in (("GPT", by_gpt, "other.img"), ("MBR", by_mbr, "other.img"), ("one volume", volume, "other.img"),
                                  ("a name that mtools cuts", by_gpt, "at@@1M/a@@b.img")):
            said = self.said_by_bhcheck(write(os.path.join(self.top, file), image))
            expect_that(said == wanted, f"the same of {name}", f"{said} instead of {wanted}")
        boot = bytes(510) + b"\x55\xaa"
        table = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 128, 128)
        for name, image, words in (("no partition", boot, "no FAT32 volume is in it [BH7117]"),
                                   ("zeros", b"", "no FAT32 volume is in it [BH7117]"),
                                   ("a packed image", b"\x1f\x8b\x08" + b"\xa5" * 1000, "no FAT32 volume is in it [BH7117]"),
                                   ("an empty GPT", boot + table, "no FAT32 volume is in it [BH7117]"),
                                   ("a GPT without places", boot + table[:80] + struct.pack("<II", 128, 16) + bytes(424) + b"x" * 512,
                                    "no FAT32 volume is in it [BH7117]"),
                                   ("half a stick", by_gpt[:1 << 20] + bytes(512), "is the stick whole? [BH7120]")):
            said = self.said_by_bhcheck(write(os.path.join(self.top, "other.img"), image + bytes(1 << 20)))
            expect_that(said[0] == 2 and words in said[1], f"words about {name}", said)
        self.left_nothing()

    def left_nothing(self):
        left = [name for name in os.listdir(self.top) if name.startswith("bhcheck-")]
        expect_that(not left, "nothing left behind", left)

    @check("bhcheck of a config judges the microcode beside it, which mkstick takes, in the words of a stick's")
    def microcode_beside(self):
        """Also where the config is a link, and its files lie elsewhere."""
        intel = struct.pack("<12I", 1, 1, 0, 0x55, 0, 1, 1, 0, 0, 0, 0, 0) + bytes(2000)
        words = struct.unpack("<512I", intel)
        intel = intel[:16] + struct.pack("<I", -sum(words) & 0xffffffff) + intel[20:]
        whole, broken, folder = (os.path.join(self.top, "old/microcode", name) for name in ("06-55-04", "06-55-05", "a folder"))
        write(whole, intel)
        write(broken, intel[:-4])
        os.makedirs(folder)
        link = os.path.join(self.top, "elsewhere/bulkhead.toml")
        os.makedirs(os.path.dirname(link))
        os.symlink(self.old, link)
        in_bulkhead = write(os.path.join(self.top, "like-a-stick/bulkhead/bulkhead.toml"), open(self.old, "rb").read())
        shutil.copytree(os.path.dirname(whole), os.path.join(os.path.dirname(in_bulkhead), "Microcode"))
        shutil.copytree(os.path.join(self.top, "old/guests"), os.path.join(self.top, "like-a-stick/guests"))
        try:
            for config in (self.old, link, in_bulkhead):
                made = self.run("-o", self.image, "--bhcheck", self.bhcheck, "--application", self.efi, config)
                with open(self.image, "rb") as file:
                    stick = self.said_by_bhcheck(self.taken_out(file.read()))
                wanted = re.findall(r"^bulkhead/a/(microcode/.*)$", stick[1], re.M)
                expect_that([line.split(":")[0] for line in wanted] == ["microcode/06-55-04", "microcode/06-55-05"] and
                            wanted[0].endswith("Intel, 1 update") and wanted[1].endswith("[BH7113]"), "one good, one damaged", stick)
                expect_that(made.startswith(f"bhcheck: {wanted[1]}\n") and wanted[0] not in made, f"mkstick to tell {wanted[1]}", made)
                alone = self.said_by_bhcheck(config)
                seen = re.findall(r"^microcode/.*$", alone[1], re.M)
                expect_that(alone[0] == 0 and seen == wanted, f"of {config} {wanted}", alone)
        finally:
            shutil.rmtree(os.path.dirname(whole))

    @check("bhcheck finds what lies beside a config in the root folder, or in a folder \"bulkhead\" there")
    def in_the_root(self):
        top = os.path.join(self.top, "root")
        libraries = subprocess.run(["ldd", self.bhcheck], stdout=subprocess.PIPE, check=False, text=True).stdout
        for path in [*re.findall(r"(/\S+)", libraries), os.path.abspath(self.bhcheck)]:
            os.makedirs(top + os.path.dirname(path), exist_ok=True)
            shutil.copy(path, top + path)
        shutil.copytree(os.path.join(self.top, "old/guests"), os.path.join(top, "guests"))
        for config in ("/bulkhead.toml", "/bulkhead/bulkhead.toml"):
            write(top + config, open(self.old, "rb").read())
            write(os.path.join(top + os.path.dirname(config), "microcode/broken"), b"no microcode")
            inside = ["chroot", top] if os.geteuid() == 0 else ["unshare", "--map-root-user", f"--root={top}"]
            done = subprocess.run([*inside, os.path.abspath(self.bhcheck), "--cpus", "2", "--memory", "1G", config],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
            expect_that(done.returncode == 0 and done.stdout.startswith("microcode/broken: left out: "), f"{config} to be good", done.stdout)

    @check("bhcheck says so of a stick that one may not read, and does not call it damaged")
    def not_readable(self):
        os.chmod(self.top, 0o755)
        program = shutil.copy(self.bhcheck, self.top)
        folder = os.path.join(self.top, "closed")
        write(os.path.join(folder, "bulkhead/bulkhead.toml"), b"")
        for place in (self.image, folder):
            os.chmod(place, 0)
            other = {"user": 65534} if os.geteuid() == 0 else {}
            done = subprocess.run([program, place], stdout=subprocess.PIPE, check=False, text=True, **other)
            os.chmod(place, 0o755)
            expect_that(done.returncode == 1 and done.stdout.startswith(f"{place}: Permission denied; name a stick")
                        and done.stdout.endswith(" [BH7107]\n"), "Permission denied", done.stdout)

    @check("bhcheck that is ended by a signal leaves nothing of a stick behind")
    def ended(self):
        mcopy = write(os.path.join(self.top, "bin/mcopy"), b"#!/bin/sh\nfor place; do :; done\necho x > \"$place/x\"\nexec sleep 60\n")
        os.chmod(mcopy, 0o755)
        places = {**os.environ, "TMPDIR": self.top, "PATH": os.path.dirname(mcopy) + ":" + os.environ["PATH"]}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Who runs the tests in the background may have had such signals ignored, and so would it.
            program = subprocess.Popen(["env", "--default-signal", self.bhcheck, self.image], env=places)
            end = time.monotonic() + 20
            while not glob.glob(os.path.join(self.top, "bhcheck-*/x")) and time.monotonic() < end:
                time.sleep(0.01)
            program.send_signal(number)
            expect_that(program.wait(20) == -number, f"the end by signal {number}", program.returncode)
            self.left_nothing()

    def odd_set(self, name, long, lead):
        """An image whose set b has one entry, which leads where lead(volume) says: first cluster and size."""
        image = os.path.join(self.top, name)
        shutil.copy(self.image, image)
        volume = self.mkstick.stick_fat.Volume(self.mkstick.stick_fat.Disk(image))
        own = volume.put_folder({"odd": {} if long else (3, lambda: iter([b"abc"]))}, volume.find("bulkhead").cluster)
        volume.lead_to("bulkhead/b", own, 0, self.mkstick.stick_fat.FOLDER)
        entry, (cluster, size) = volume.find("bulkhead/b/odd"), lead(volume, own)
        raw = bytearray(entry.raw)
        struct.pack_into("<H4xHI", raw, 20, cluster >> 16, cluster & 0xffff, size)
        volume.set_entry(entry.sector, entry.offset, bytes(raw))
        volume.disk.close()
        return image

    @check("an update of a stick whose files share clusters is refused: the good set's would be freed")
    def shared(self):
        self.make()

        def kernel(volume, _):
            entry = volume.find("bulkhead/a/guests/kernel")
            return entry.cluster, entry.size

        for image in (self.odd_set("shared.img", False, kernel), self.odd_set("circle.img", True, lambda _, own: (own, 0))):
            before = open(image, "rb").read()
            said = self.run("--update", image, "--bhcheck", self.bhcheck, self.new, good=False)
            expect_that(re.search(r"two of its files share.*fsck\.fat.*the good set is what it was \[BH7213\]", said), "so said", said)
            expect_that(open(image, "rb").read() == before, "an image as it was", image)

    @check("a file in the place of the new set makes room for its folder")
    def file_for_set(self):
        self.make()
        volume = self.mkstick.stick_fat.Volume(self.mkstick.stick_fat.Disk(self.image))
        volume.replace_file("bulkhead/b", b"abc")
        volume.disk.close()
        said = self.run("--update", self.image, "--bhcheck", self.bhcheck, self.new)
        expect_that("set b is new" in said, "so said", said)
        with open(self.image, "rb") as file:
            expect_that(self.chosen(file.read())[0] == "b", "set b", "")

    @check("an image with numbers that cannot be is refused in words")
    def odd_numbers(self):
        self.make()
        table, volume = 512 + 72, 1 << 20
        for place, form, *numbers in ((table, "<QII", 2, 0xffffffff, 128), (table, "<QII", 2, 0xffffffff, 0xffffffff),
                                      (table, "<QII", 1 << 62, 128, 128), (table, "<QII", 2, 128, 16), (table, "<QII", 2, 128, 0),
                                      (1024 + 32, "<Q", 1 << 60), (volume + 36, "<I", 0xffffffff), (volume + 36, "<I", 0),
                                      (volume + 32, "<I", 1), (volume + 44, "<I", 0xffffffff)):
            with open(self.image, "rb") as file:
                image = bytearray(file.read())
            struct.pack_into(form, image, place, *numbers)
            said = self.run("--show", write(os.path.join(self.top, "odd.img"), image), good=False)
            expect_that("mkstick: " in said and "[BH72" in said, f"words about {numbers} at {place}", said)

    @check("what cannot be done is refused in words, and nothing was written")
    def refused(self):
        words = ["--bhcheck", self.bhcheck]
        broken = write(os.path.join(self.top, "broken/bulkhead.toml"), b"[guest.x]\ncpus = \"0\"\n")
        full = write(os.path.join(self.top, "full/guests/kernel"), bytes(200 << 20))
        write(os.path.join(self.top, "full/bulkhead.toml"), CONFIG.format(name="full", more='').replace("16M", "512M").encode())
        nothing = write(os.path.join(self.top, "nothing.img"), bytes(1 << 20))
        short = write(os.path.join(self.top, "short.img"), self.base[:700])
        elf = write(os.path.join(self.top, "bulkhead.elf"), b"\x7fELF" + bytes(2000))
        mounted = self.taken_out(self.base)
        write(os.path.join(mounted, "bulkhead/hardware.toml"), b"")     # as a power cut leaves it
        empty = os.path.join(self.top, "empty")
        os.makedirs(empty)
        for arguments, says in (
                (["--update", self.image, *words, broken], r"does not pass bhcheck, and nothing was written \[BH7207\]:\n.*memory"),
                (["-o", self.image, *words, broken], r"does not pass"),
                (["--update", mounted, *words, self.new], r"new/bulkhead.toml does not pass bhcheck.*\nbulkhead/hardware.toml: this is no whole"),
                (["--update", mounted, *words, "--machine", empty, self.new], r"does not pass bhcheck.*/empty: .*\[BH7104\]"),
                (["--update", self.image, *words, os.path.join(self.top, "none.toml")], r"none.toml is no file"),
                (["--update", self.image, *words, os.path.join(self.top, "full/bulkhead.toml")],
                 r"has 1\d\d MiB too little for these files .*nothing was written"),
                (["--update", nothing, *words, self.new], r"no FAT32 volume.*\[BH7203\]"), (["--show", short], r"ends in the middle.*\[BH7203\]"),
                (["--show", os.path.join(self.top, "nowhere")], r"is not there.*\[BH7202\]"), (["--show", empty], r"no stick of Bulkhead.*\[BH7209\]"),
                (["--update", self.image, "--bhcheck", "/nowhere/x", self.new], r"bhcheck|nowhere"),
                (["--update", self.image, *words, "--application", elf, self.new], r"elf is no EFI application.*\[BH7216\]"),
                (["-o", self.image, *words, "--application", elf, self.old], r"elf is no EFI application.*\[BH7216\]"),
                (["--update", self.image, *words, "--size", "4G", self.new], r"--size is not for this.*\[BH7201\]"),
                (["-o", self.image, *words, "--any-machine", self.old], r"--any-machine is not for this.*\[BH7201\]"),
                (["--update", self.image, *words, "--any-machine", "--machine", elf, self.new], r"not both.*\[BH7201\]"),
                (["--show", self.image, "--application", self.efi], r"--application is not for this.*\[BH7201\]"),
                (["--update", self.image, *words, "--application", empty, self.new], r"is not there.*\[BH7208\]"),
                (["-o", "/nowhere/x.img", *words, "--application", self.efi, self.old], r"cannot be written.*\[BH7321\]")):
            before = open(self.image, "rb").read()
            said = self.run(*arguments, good=False)
            expect_that(re.search(says, said, re.S), f"/{says}/", said)
            expect_that(open(self.image, "rb").read() == before, "an image as it was", said)
        self.folder_of.cleanup()
