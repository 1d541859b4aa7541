# SPDX-License-Identifier: GPL-2.0-or-later
"""Real PCI devices in guests, behind QEMU's IOMMUs, each driven by the driver that Debian's kernel has for it."""
import hashlib
import os
import re
import time

from frame import check, expect_that
from machine import SCALE
from test_devices import ECAM
from test_linux_pair import LinuxGuests

ALPHA, BETA = 1, 2
CONFIG = """\
[hypervisor]
console = "com1"

[guest.alpha]
cpus = "0"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 bh.name=alpha iomem=relaxed"
pci = ["@ALPHA@"]

[guest.beta]
cpus = "1"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 bh.name=beta"
pci = ["@BETA@"]
"""
DISK = 32 << 20
RESTARTS = ["restart alpha", "kill alpha", "reset alpha"]
EDU, EDU_PLACE = "03:00.0", ("pcie-root-port,id=p3,chassis=3,addr=0x12", "bus=p3")
# Of QEMU's edu device: registers of its DMA, and the command that writes to memory.
EDU_FROM, EDU_TO, EDU_COUNT, EDU_COMMAND, EDU_WRITE, EDU_BUFFER = 0x80, 0x88, 0x90, 0x98, 3, 0x40000
SERIALS = {ALPHA: "first", BETA: "second"}
# The persistent memory region of alpha's NVMe disk, which QEMU has a file for: a BAR for which no guest has room below 4 GiB.
# What switches it on: NVM Express Base Specification, "Persistent Memory Region Control Register".
LARGE_BAR, LARGE, LARGE_SWITCH = 4, 512 << 20, 0xe04
WIDE, PREFETCHABLE = 0x100000, 0x2000       # of Linux's flags of a resource
# An interrupt message that names an entry of the table by its number (VT-d "Interrupt Requests in Remappable Format").
MESSAGE = 0xfee00010
FREE_NUMBERS = (1000, 2047)
# Where a BAR may be put: RAM, the local APIC's page, the NVMe disk's BAR, no memory, an address of no use.
OTHER_PLACES = ("0x100000", "0xfee00000", "$n", "0xc0000000", "0xfffff000")
# Beyond the guest's RAM; the registers of the IOMMU; an I/O APIC.
STRAYS = (0x10000000, 0x3f000000, 0x80000000, 0xfed90000, 0xfec00000)


class PassedBoot(LinuxGuests):
    """Guests that have devices of the machine."""
    targets = ("qemu-tcg",)
    keeps_time = False

    def check_disk(self, guest, device, mebibytes, path):
        """So much is written to a disk; then it is read by the guest, and found in the file that QEMU has for it."""
        self.run(guest, f"dd if=/dev/urandom of=/tmp/r bs=1M count={mebibytes}")
        self.command(guest, f"dd if=/tmp/r of={device} bs=64k; sync")
        self.command(guest, "echo 3 >/proc/sys/vm/drop_caches")
        one = self.command(guest, "sha256sum </tmp/r").split()[0]
        two = self.command(guest, f"head -c {mebibytes << 20} {device} | sha256sum").split()[0]
        with open(path, "rb") as file:
            three = hashlib.sha256(file.read(mebibytes << 20)).hexdigest()
        expect_that(one == two == three, f"one checksum three times, of {path}", f"{one}\n{two}\n{three}")


class PassedGuests(PassedBoot):
    """Each of two guests has an NVMe disk, behind VT-d."""
    names = {ALPHA: "alpha", BETA: "beta"}
    iommu = ("-device", "intel-iommu,intremap=on,aw-bits=48")
    places = {ALPHA: ("pcie-root-port,id=p1,chassis=1,addr=0x10", "bus=p1"),
              BETA: ("pcie-root-port,id=p2,chassis=2,addr=0x11", "bus=p2")}
    addresses = {ALPHA: "01:00.0", BETA: "02:00.0"}
    devices = ()

    def __init__(self, build, target, folder):
        super().__init__(build, target, folder)
        extra = [*self.iommu, *self.devices]
        os.makedirs(folder, exist_ok=True)
        for guest, (port, place) in self.places.items():
            with open(self.disk_file(guest), "wb") as file:
                file.truncate(DISK)
            extra += ["-device", port] if port else []
            extra += ["-drive", f"if=none,id=d{guest},format=raw,file={self.disk_file(guest)}",
                      "-device", f"nvme,drive=d{guest},serial={SERIALS[guest]},{place}" + self.more_of(guest, extra)]
        self.machine_options = {"machine": "q35", "extra": extra}

    def disk_file(self, guest):
        return os.path.join(os.path.abspath(self.folder), f"nvme{guest}.img")

    def more_of(self, guest, extra):
        """Of its disk; what it needs goes to extra."""
        return ""

    def image(self):
        config = CONFIG.replace("@ALPHA@", self.addresses[ALPHA]).replace("@BETA@", self.addresses[BETA])
        return self.make_stick({"bulkhead/bulkhead.toml": config.encode(), "guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/demo.img": self.guest_file("demo.img")})

    def reach_prompts(self):
        self.machine.expect(r"console 1/2: alpha", 240, "the focus to move to alpha")
        for guest in (ALPHA, BETA):
            self.view(guest)
            self.machine.expect(f"{self.names[guest]}# ", 300)


class Passed(PassedGuests):
    name = "passed"
    restarts = 3

    def more_of(self, guest, extra):
        if guest != ALPHA:
            return ""
        self.large_file = os.path.join(os.path.abspath(self.folder), "large.img")
        with open(self.large_file, "wb") as file:
            file.truncate(LARGE)
        extra += ["-object", f"memory-backend-file,id=large,size={LARGE},share=on,mem-path={self.large_file}"]
        return ",pmrdev=large"

    @check("both guests reach their prompt, and the log says which device each has", required=True)
    def prompts(self):
        self.reach_prompts()
        text, _ = self.operator("dmesg")
        for guest, address in self.addresses.items():
            line = rf"{self.names[guest]}: has PCI {re.escape(address)} \(1b36:0010, function-level reset\)"
            expect_that(re.search(line, text), line, text)

    @check("each sees its own disk and no other, by MSI-X")
    def disks(self):
        for guest, serial in SERIALS.items():
            self.run(guest, "ls /dev/nvme0n1; ! ls /dev/nvme1")
            seen = self.command(guest, "cat /sys/class/nvme/nvme0/serial").split()[0]
            expect_that(seen == serial, serial, seen)
            counts = self.command(guest, "grep nvme0q /proc/interrupts")
            expect_that(re.search(r"^ *\d+: +[1-9]\d* .*PCI-MSI.*nvme0q", counts, re.M), "interrupts by MSI-X", counts)

    @check("what each writes is on its disk, and is read again")
    def written(self):
        for guest in (ALPHA, BETA):
            self.check_disk(guest, "/dev/nvme0n1", 4, self.disk_file(guest))

    def find_large(self):
        """Switches it on; its address in the guest is $s there."""
        self.run(ALPHA, "cd /sys/class/nvme/nvme0/device")
        self.command(ALPHA, f"r(){{ sed -n $1p resource;}}; r {LARGE_BAR + 1} >/tmp/r; cat /tmp/r")
        row = self.command(ALPHA, "read s e f </tmp/r; echo $s $e $f").split()
        start, last, flags = (int(word, 16) for word in row[:3])
        expect_that(start >= 4 << 30 and last - start + 1 == LARGE, f"{LARGE:#x} bytes above 4 GiB", row)
        expect_that(flags & (WIDE | PREFETCHABLE) == WIDE | PREFETCHABLE, "64 bits, prefetchable", row)
        self.command(ALPHA, f"grep -i '^{start:x}-[0-9a-f]* : PCI Bus' /proc/iomem")     # a window, says ACPI
        self.command(ALPHA, f"r 1 >/tmp/r; read n e f </tmp/r; devmem $((n+{LARGE_SWITCH:#x})) 32 1")
        return start

    def large_rows(self):
        """Where the guest's tables have all of it, or parts: guest-physical from, to, and the machine's from."""
        text, _ = self.operator("map alpha")
        rows = [[int(word, 16) for word in row] for row in
                re.findall(r"guest +(0x\w+)-(0x\w+) is (0x\w+)-\w+ rw-  registers of a device", text)]
        return [(first, last, place) for first, last, place in rows if last - first > 1 << 20]

    def expect_large(self, start):
        """Bytes that are written to the file are read by the guest, and those that it writes are in the file; all over it."""
        rows = self.large_rows()
        expect_that([row[:2] for row in rows] == [(start, start + LARGE - 1)], f"all of it at {start:#x}", rows)
        size, parts = 32, [0, 0x1ffff0, 0x12345000, LARGE - 64]
        for part in parts:
            wanted = os.urandom(size)
            with open(self.large_file, "r+b") as file:
                file.seek(part)
                file.write(wanted)
            self.run(ALPHA, f"a={start + part:#x}")
            self.command(ALPHA, f"for i in $(seq 0 8 {size - 1});do devmem $((a+i)) 64;done >/tmp/w")
            seen = self.command(ALPHA, "sha256sum </tmp/w").split()[0]
            text = "".join(f"0x{int.from_bytes(wanted[at:at + 8], 'little'):016X}\n" for at in range(0, size, 8))
            expect_that(seen == hashlib.sha256(text.encode()).hexdigest(), f"the checksum of {text} at {part:#x}", seen)
            written = int.from_bytes(os.urandom(7), "little")
            self.command(ALPHA, f"devmem $((a+{size})) 64 {written:#x}")
            with open(self.large_file, "rb") as file:
                file.seek(part + size)
                seen = int.from_bytes(file.read(8), "little")
            expect_that(seen == written, f"{written:#x} at {part + size:#x} of the file", hex(seen))

    @check("a BAR of 512 MiB is above 4 GiB: what is in it alpha reads, what it writes is in it, and without an exit")
    def large(self):
        start = self.find_large()
        before = self.statistics("alpha")["exits memory"]
        self.expect_large(start)
        after = self.statistics("alpha")["exits memory"]
        expect_that(after == before, f"{before} exits for memory, as before", after)

    def put_large(self, address):
        self.run(ALPHA, "h(){ printf %02x $(($1>>$2&255));}")
        self.command(ALPHA, "l(){ for i in 0 8 16 24;do printf %s '\\x'$(h $1 $i);done;}")
        self.command(ALPHA, "p(){ dd of=config bs=4 seek=$1 conv=notrunc;}")
        self.command(ALPHA, f"printf $(l {address & 0xffffffff:#x}) | p {4 + LARGE_BAR}")
        self.command(ALPHA, f"printf $(l {address >> 32:#x}) | p {5 + LARGE_BAR}")

    @check("alpha moves it within its window, and out of that: it is where it was put, or nowhere, and harms nothing else")
    def large_moved(self):
        start = self.find_large()
        self.put_large(start + LARGE)
        self.expect_large(start + LARGE)
        for nowhere in (0x1000000, start + 2 * LARGE, start - LARGE, 1 << 46):
            self.put_large(nowhere)
            rows = self.large_rows()
            expect_that(not rows, "its memory nowhere", rows)
            self.run(ALPHA, "dd if=/dev/nvme0n1 of=/dev/null bs=64k count=16")
        self.put_large(start)
        self.expect_large(start)

    def disk_sum(self):
        return self.run(ALPHA, "head -c 4194304 /dev/nvme0n1 | sha256sum").split()[0]

    def restart_alpha(self, command):
        """Whatever its disk is at."""
        self.run(ALPHA, "dd if=/dev/nvme0n1 of=/dev/null&:")
        self.new_log()
        self.operator(command)
        if command == "kill alpha":
            self.operator("start alpha")
        self.expect_log("alpha", "has PCI " + re.escape(self.addresses[ALPHA]), "first instruction after")
        self.expect_again(ALPHA)

    @check("restarted, alpha finds what it wrote on its disk, writes again, and has what it had; beta's goes on meanwhile")
    def restart_often(self):
        held = self.holdings(self.names.values())
        expect_that(any("registers of a device" in row for row in held["alpha"][0]), "the device's registers in its map", held["alpha"][0])
        for number in range(self.restarts):
            written = self.disk_sum()
            self.run(BETA, "(dd if=/dev/nvme0n1 of=/dev/null;touch /tmp/d)&:")
            self.restart_alpha(RESTARTS[number % len(RESTARTS)])
            again = self.disk_sum()
            expect_that(again == written, written, again)
            self.check_disk(ALPHA, "/dev/nvme0n1", 1, self.disk_file(ALPHA))
            self.run(BETA, "until [ -e /tmp/d ];do sleep 1;done;rm /tmp/d", 240)
        self.expect_holdings(held)
        self.expect_large(self.find_large())

    def find_again(self, paths):
        """Takes these devices off alpha's bus and finds them again; they are where Linux puts them then, and are reached."""
        written = self.disk_sum()
        self.run(ALPHA, f"cd /; d=$(echo {paths})")
        self.command(ALPHA, "for i in $d;do echo 1 >$i/remove;done")
        self.command(ALPHA, "! ls /dev/nvme0n1")
        self.command(ALPHA, "echo 1 >/sys/bus/pci/rescan")
        self.command(ALPHA, "n(){ [ -b /dev/nvme0n1 ];}")
        self.command(ALPHA, "for i in $(seq 40);do n&&break;sleep 1;done")
        self.command(ALPHA, "cat /proc/iomem")
        again = self.disk_sum()
        expect_that(again == written, written, again)
        self.check_disk(ALPHA, "/dev/nvme0n1", 1, self.disk_file(ALPHA))
        self.expect_large(self.find_large())

    @check("taken off its bus and found again by alpha, the disk has what was on it, and works")
    def found_again(self):
        self.find_again("/sys/class/nvme/nvme0/device")

    @check("so do all devices of alpha's, real ones and others, found again at once")
    def all_found_again(self):
        self.find_again("/sys/bus/pci/devices/*")
        self.run(ALPHA, "grep virtio_rng /sys/class/misc/hw_random/rng_current")
        self.command(ALPHA, "dd if=/dev/hwrng of=/tmp/r bs=64 count=32 iflag=fullblock")


class PassedRestartsSoak(Passed):
    """What takes long: make soak."""
    name = "passed-restarts-soak"
    heavy = ("qemu-tcg",)
    restarts = 20


class PassedHostile(PassedGuests):
    """Alpha has a device whose DMA it can aim anywhere."""
    name = "passed-hostile"
    devices = ("-device", EDU_PLACE[0], "-device", f"edu,dma_mask=0xffffffffffffffff,{EDU_PLACE[1]}")

    def image(self):
        self.addresses = {**self.addresses, ALPHA: f'{PassedGuests.addresses[ALPHA]}", "{EDU}'}
        return super().image()

    @check("both guests reach their prompt, and alpha has a second device", required=True)
    def prompts(self):
        self.reach_prompts()
        text, _ = self.operator("dmesg")
        line = rf"alpha: has PCI {re.escape(EDU)} \(1234:11e8, reset with its bus\)"
        expect_that(re.search(line, text), line, text)

    def write_by_dma(self, address):
        self.run(ALPHA, "w(){ devmem $(($b+$1)) 64 $2;}")
        self.command(ALPHA, f"w {EDU_FROM} {EDU_BUFFER}; w {EDU_TO} {address:#x}")
        self.command(ALPHA, f"w {EDU_COUNT} 4; w {EDU_COMMAND} {EDU_WRITE}; sleep 1")

    @check("its registers are the device's own: no exit for any of them")
    def registers(self):
        self.run(ALPHA, "cd /sys/bus/pci/devices; d=$(grep -l 0x11e8 */device)")
        self.command(ALPHA, "d=${d%/*}; echo 1 >$d/enable; b=$(head -n1 $d/resource)")
        self.command(ALPHA, "b=${b%% *}; printf '\\6' >/tmp/six")
        self.command(ALPHA, "dd if=/tmp/six of=$d/config bs=1 seek=4 conv=notrunc")
        before = self.statistics("alpha")["exits memory"]       # of its start: other devices' registers
        seen = self.run(ALPHA, "devmem $b 32; for i in 1 2 3 4 5;do devmem $b;done")
        expect_that("0x010000ED" in seen, "edu's identification", seen)
        after = self.statistics("alpha")["exits memory"]
        expect_that(after == before, f"{before} exits for memory, as before", after)

    @check("a write at what is no RAM of alpha's is refused, and the log names device, guest and address")
    def stray(self):
        for address in STRAYS:
            self.new_log()
            self.write_by_dma(address)
            self.expect_log("", rf"IOMMU: PCI {re.escape(EDU)}, alpha, was not let write to {address:#x}: ")

    @check("a forged message with the number of an interrupt that is not there is none, and nobody is harmed by others")
    def forged(self):
        """
        QEMU holds the entry's source against messages of the device's own and not against what it writes by DMA (on a PC
        both are the same): there a number of beta's costs beta an interrupt too much. So those are sent, and not counted.
        """
        counts = "grep -E ' nvme' /proc/interrupts"
        before = [self.run(guest, counts) for guest in (ALPHA, BETA)]
        for number in FREE_NUMBERS:
            self.write_by_dma(MESSAGE | number << 5)
        after = [self.run(guest, counts) for guest in (ALPHA, BETA)]
        expect_that(before == after, "no interrupt more", f"{before}, then {after}")
        for number in range(4):
            self.write_by_dma(MESSAGE | number << 5)

    def set_bar(self, address):
        self.run(ALPHA, f"printf $(l $(({address}))) >/tmp/bar")
        self.command(ALPHA, "dd if=/tmp/bar of=$d/config bs=4 seek=4 conv=notrunc")

    @check("a BAR over RAM, the local APIC, another BAR or nothing covers none of them, and is back where it was")
    def moved(self):
        self.run(ALPHA, "n=$(head -n1 /sys/class/nvme/nvme0/device/resource)")
        self.command(ALPHA, "n=${n%% *}; h(){ printf %02x $(($1>>$2&255));}")
        self.command(ALPHA, "l(){ for i in 0 8 16 24;do printf %s '\\x'$(h $1 $i);done;}")
        for address in OTHER_PLACES:
            self.set_bar(address)
            self.run(ALPHA, "dd if=/dev/nvme0n1 of=/dev/null bs=64k count=16")
        self.set_bar("$b")
        seen = self.command(ALPHA, "devmem $b 32")
        expect_that("0x010000ED" in seen, "edu's identification", seen)

    @check("alpha and beta run on")
    def run_on(self):
        for guest in (ALPHA, BETA):
            self.run(guest, "dd if=/dev/nvme0n1 of=/dev/null bs=64k count=64")

    @check("garbage all over its configuration space is alpha's own affair; restarted, it finds the device as it was")
    def garbage(self):
        self.run(ALPHA, "g(){ dd if=/dev/urandom of=$d/config bs=4 count=64;}")
        self.command(ALPHA, "for i in $(seq 50); do g 2>/dev/null; done", 240)
        self.run(BETA, "dd if=/dev/nvme0n1 of=/dev/null bs=64k count=64")
        self.new_log()
        self.operator("restart alpha")
        self.expect_log("alpha", "has PCI " + re.escape(EDU), "first instruction after")
        self.expect_again(ALPHA)
        self.registers()


# Of few words: a USB disk tells of itself some seconds after the prompt, amid what is typed.
KINDS_CONFIG = """\
[hypervisor]
console = "com1"

[guest.alpha]
cpus = "0-1"
memory = "384M"
kernel = "guests/vmlinuz-full"
initrd = "guests/drivers.img"
cmdline = "console=ttyS0 bh.name=alpha loglevel=4"
pci = ["8086:10d3", "1af4:1041", "1af4:1042", "04:00.0", "05:00.0", "08:00.0", "09:00.0"]
"""
# Megabytes of each disk, by which it is known in the guest; what it is on, and how that is reset.
KINDS = {8: ("03:00.0", "virtio-blk-pci,drive=d8,disable-legacy=on,iommu_platform=on,bus=p3"),
         9: ("04:00.0", "usb-storage,drive=d9,bus=usb.0"),
         10: ("05:00.0", "ide-hd,drive=d10,bus=sata.0"),
         11: ("08:00.0", "nvme,drive=d11,serial=1,bus=d1"),
         16: ("09:00.0", "sd-card,drive=d16")}      # of a power of two, in a reader with a BAR of 256 bytes and no messages
RESETS = {"01:00.0": "by its power state", "02:00.0": "function-level", "03:00.0": "function-level",
          "04:00.0": "with its bus", "05:00.0": "with its bus", "08:00.0": "function-level", "09:00.0": "with its bus"}
PM_RESET = "01:00.0"
# The first has an option ROM. romfile: in its folder.
NETS = {"e1000e": ("10.0.2", "e1000e,netdev=n1,romfile=rom.bin,bus=p1"),
        "virtio-net": ("10.0.3", "virtio-net-pci,netdev=n2,romfile=,disable-legacy=on,iommu_platform=on,bus=p2")}

POWER_CAPABILITY, D3 = 1, 3


class PassedKinds(PassedBoot):
    """One guest with devices of many kinds, behind root ports and a switch."""
    name = "passed-kinds"
    names = {ALPHA: "alpha"}
    restarts = 1

    def __init__(self, build, target, folder):
        super().__init__(build, target, folder)
        self.served = os.path.join(os.path.abspath(folder), "served")
        os.makedirs(self.served, exist_ok=True)
        with open(os.path.join(self.served, "file"), "wb") as file:
            file.write(os.urandom(1 << 20))
        with open(os.path.join(folder, "rom.bin"), "wb") as file:
            file.write(b"\x55\xaa\x04".ljust(2048, b"\0"))
        words = ["intel-iommu,intremap=on,aw-bits=48"]
        words += [f"pcie-root-port,id=p{n},chassis={n},addr={0xf + n:#x}" for n in range(1, 8)]
        words += ["x3130-upstream,id=u,bus=p6", "xio3130-downstream,id=d1,bus=u,chassis=7,slot=1",
                  "qemu-xhci,id=usb,bus=p4", "ahci,id=sata,bus=p5", "sdhci-pci,bus=p7"]
        extra = []
        for size, (_, device) in KINDS.items():
            with open(self.disk_file(size), "wb") as file:
                file.truncate(size << 20)
            extra += ["-drive", f"if=none,id=d{size},format=raw,file={self.disk_file(size)}"]
            words.append(device)
        for number, (net, device) in enumerate(NETS.values(), start=1):
            extra += ["-netdev", f"user,id=n{number},net={net}.0/24,tftp={self.served}"]
            words.append(device)
        self.machine_options = {"machine": "q35", "extra": extra + [word for device in words for word in ("-device", device)]}

    def disk_file(self, size):
        return os.path.join(os.path.abspath(self.folder), f"disk{size}.img")

    def image(self):
        return self.make_stick({"bulkhead/bulkhead.toml": KINDS_CONFIG.encode(),
                                "guests/vmlinuz-full": self.guest_file("vmlinuz-full"),
                                "guests/drivers.img": self.guest_file("drivers.img")})

    @check("alpha reaches its prompt; each device was reset in the way that it has", required=True)
    def prompt(self):
        self.machine.expect(r"console 1/1: alpha", 240, "the focus to move to alpha")
        self.machine.expect("alpha# ", 300)
        text, _ = self.operator("dmesg")
        for address, way in RESETS.items():
            line = rf"alpha: has PCI {re.escape(address)} \([0-9a-f:]+, .*{way}"
            expect_that(re.search(line, text), line, text)

    def write_disks(self):
        for size in KINDS:
            self.run(ALPHA, "cd /sys/block")
            self.command(ALPHA, f"until d=$(grep -lx {size << 11} */size);do sleep 1;done")
            self.command(ALPHA, "d=/dev/${d%/size}; cd; echo $d")
            self.check_disk(ALPHA, "$d", 2, self.disk_file(size))

    @check("what is written to virtio, USB, SATA, NVMe and an SD card is on the disks, and is read again")
    def disks(self):
        self.write_disks()

    @check("a file comes through e1000e and virtio-net as it was sent")
    def networks(self):
        with open(os.path.join(self.served, "file"), "rb") as file:
            wanted = hashlib.sha256(file.read()).hexdigest()
        for driver, (net, _) in NETS.items():
            self.run(ALPHA, "cd /sys/class/net")
            words = self.command(ALPHA, f"ls -l eth*/device/driver | grep {driver.replace('-', '_')}")
            name = re.search(r"(eth\d+)/device", words)[1]
            self.command(ALPHA, f"cd; ip addr add {net}.15/24 dev {name}")
            self.command(ALPHA, f"ip link set {name} up; sleep 3")
            self.command(ALPHA, f"ping -c 3 -W 10 {net}.2")
            self.command(ALPHA, f"tftp -g -r file -l /tmp/f -b 1400 {net}.2", 240)
            seen = self.command(ALPHA, "sha256sum </tmp/f").split()[0]
            expect_that(seen == wanted, wanted, seen)
            self.command(ALPHA, f"ip link set {name} down")

    @check("interrupts come by MSI-X and MSI, to both of its CPUs")
    def interrupts(self):
        text = self.run(ALPHA, "grep -E 'PCI-MSI' /proc/interrupts")
        for kind in ("nvme0q", "xhci_hcd", "ahci", "-req."):
            expect_that(kind in text, f"an interrupt of {kind}", text)
        lines = [re.findall(r"^ *\d+: +(\d+) +(\d+) ", line)[0] for line in text.split("\n") if re.match(r" *\d+: +\d+ +\d+ ", line)]
        for cpu in (0, 1):
            expect_that(any(int(line[cpu]) for line in lines), f"interrupts on CPU {cpu}", text)

    @check("what has neither gets its interrupts by a line of the PCI bus")
    def by_line(self):
        text = self.run(ALPHA, "grep mmc0 /proc/interrupts")
        counts = re.search(r"^ *\d+: +(\d+) +(\d+) +IO-APIC +\d+-fasteoi +mmc0", text, re.M)
        expect_that(counts and int(counts[1]) + int(counts[2]) > 0, "interrupts by a line", text)
        self.run(ALPHA, "! dmesg | grep -iE 'mmc0.*(timeout|error)|nobody cared'")

    @check("an option ROM is not there for it")
    def option_rom(self):
        text = self.machine.monitor.human("info pci")
        card = re.search(r"Bus +1, device +0,.*?(?=  Bus|\Z)", text, re.S)
        expect_that(card and "BAR6" in card[0], "a card with an option ROM", text)
        self.run(ALPHA, "ls -d /sys/bus/pci/devices/*/device")
        self.command(ALPHA, "! ls /sys/bus/pci/devices/*/rom")

    def power_state(self, address):
        """Of the real device, as the monitor reads it: of D0 to D3hot the number."""
        bus, device, function = (int(part, 16) for part in re.split("[:.]", address))
        space = ECAM + (bus << 20) + (device << 15) + (function << 12)

        def word(at):
            return self.physical_word(space + at)
        at = word(0x34) & 0xfc
        while at and word(at) & 0xff != POWER_CAPABILITY:
            at = word(at) >> 8 & 0xfc
        expect_that(at, f"{address} to have power states", at)
        return word(at + 4) & 3

    @check("it sleeps and wakes up by its clock: its card was in D3hot, and all of them work as before")
    def sleep(self):
        self.run(ALPHA, "echo +20 >/sys/class/rtc/rtc0/wakealarm")
        self.machine.send("echo freeze >/sys/power/state; echo aw''ake\r")
        until = time.monotonic() + 120 * SCALE
        while self.power_state(PM_RESET) != D3:
            expect_that(time.monotonic() < until, f"{PM_RESET} to be in D3hot", self.power_state(PM_RESET))
            time.sleep(1)
        self.machine.expect("awake.*alpha# ", 240, "alpha to wake up")
        expect_that(self.power_state(PM_RESET) == 0, f"{PM_RESET} to be in D0", self.power_state(PM_RESET))
        self.write_disks()
        for net, _ in NETS.values():
            self.command(ALPHA, f"n=$(ip -o a | grep {net}.15 | awk '{{print $2}}')")
            self.command(ALPHA, "ip link set $n up; sleep 3")
            self.command(ALPHA, f"ping -c 3 -W 10 {net}.2; ip link set $n down")

    @check("killed with all drivers at work and started again, it finds all of them, each after its reset")
    def restart(self):
        for _ in range(self.restarts):
            self.restart_once()

    def restart_once(self):
        self.new_log()
        self.operator("kill alpha")
        self.operator("start alpha")
        self.expect_log("alpha", *(f"has PCI {address} " for address in RESETS), "first instruction after")
        self.expect_again(ALPHA, begun="demo guest alpha")
        self.write_disks()


class PassedKindsSoak(PassedKinds):
    """What takes long: make soak."""
    name = "passed-kinds-soak"
    heavy = ("qemu-tcg",)
    restarts = 20


class PassedAmdVi(Passed):
    """The same behind AMD-Vi, where QEMU knows devices of the root bus alone."""
    name = "passed-amd-vi"
    iommu = ("-device", "amd-iommu,intremap=on")
    places = {ALPHA: (None, "addr=0x10"), BETA: (None, "addr=0x11")}
    addresses = {ALPHA: "00:10.0", BETA: "00:11.0"}
