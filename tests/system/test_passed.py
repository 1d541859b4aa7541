# SPDX-License-Identifier: GPL-2.0-or-later
"""Real PCI devices in guests, behind QEMU's IOMMUs, each driven by the driver that Debian's kernel has for it."""
import hashlib
import os
import re

from frame import check, expect_that
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
cmdline = "console=ttyS0 bh.name=alpha"
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
RESTARTS = ["restart alpha", "kill alpha"]      # whatever its disk is at
EDU, EDU_PLACE = "03:00.0", ("pcie-root-port,id=p3,chassis=3,addr=0x12", "bus=p3")
# Of QEMU's edu device: registers of its DMA, and the command that writes to memory.
EDU_FROM, EDU_TO, EDU_COUNT, EDU_COMMAND, EDU_WRITE, EDU_BUFFER = 0x80, 0x88, 0x90, 0x98, 3, 0x40000
SERIALS = {ALPHA: "first", BETA: "second"}
# Beyond the guest's RAM; the registers of the IOMMU; an I/O APIC.
STRAYS = (0x10000000, 0x3f000000, 0x80000000, 0xfed90000, 0xfec00000)


class PassedGuests(LinuxGuests):
    """Each of two guests has an NVMe disk, behind VT-d."""
    targets = ("qemu-tcg",)
    keeps_time = False
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
                      "-device", f"nvme,drive=d{guest},serial={SERIALS[guest]},{place}"]
        self.machine_options = {"machine": "q35", "extra": extra}

    def disk_file(self, guest):
        return os.path.join(os.path.abspath(self.folder), f"nvme{guest}.img")

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

    @check("both guests reach their prompt, and the log says which device each has", required=True)
    def prompts(self):
        self.reach_prompts()
        _, text = self.operator("list")
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
            expect_that(re.search(r"nvme0q0: *[1-9]|^ *\d+: +[1-9]\d* .*PCI-MSI.*nvme0q", counts, re.M), "interrupts by MSI-X", counts)

    @check("what each writes is on its disk, and is read again")
    def written(self):
        for guest in (ALPHA, BETA):
            self.run(guest, "dd if=/dev/urandom of=/tmp/r bs=1M count=4")
            self.command(guest, "dd if=/tmp/r of=/dev/nvme0n1 bs=64k;sync")
            self.command(guest, "echo 3 >/proc/sys/vm/drop_caches")
            one = self.command(guest, "sha256sum </tmp/r").split()[0]
            two = self.command(guest, "head -c 4194304 /dev/nvme0n1 | sha256sum").split()[0]
            with open(self.disk_file(guest), "rb") as file:
                three = hashlib.sha256(file.read(4 << 20)).hexdigest()
            expect_that(one == two == three, "one checksum three times", f"{one}\n{two}\n{three}")

    @check("restarted, alpha finds its disk again; beta's goes on meanwhile")
    def restarts(self):
        begun = self.run(ALPHA, "head -c 4194304 /dev/nvme0n1 | sha256sum").split()[0]
        for number, command in enumerate(RESTARTS):
            self.run(BETA, "(dd if=/dev/nvme0n1 of=/dev/null;touch /tmp/d)&:")
            self.run(ALPHA, f"echo before{number}; dd if=/dev/nvme0n1 of=/dev/null&:")
            self.new_log()
            self.operator(command)
            if command == "kill alpha":
                self.operator("start alpha", switch=False)
            self.expect_log("alpha", "has PCI " + re.escape(self.addresses[ALPHA]), "first instruction after")
            self.view(ALPHA)
            self.machine.expect(rf"before{number}.*Linux version.*alpha# ", 300, "alpha's prompt once more")
            again = self.run(ALPHA, "head -c 4194304 /dev/nvme0n1 | sha256sum").split()[0]
            expect_that(again == begun, begun, again)
            self.run(BETA, "until [ -e /tmp/d ];do sleep 1;done;rm /tmp/d", 240)


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
        _, text = self.operator("list")
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
        before = self.statistics("alpha")
        seen = self.run(ALPHA, "devmem $b 32; for i in 1 2 3 4 5;do devmem $b;done")
        expect_that("0x010000ED" in seen, "edu's identification", seen)
        after = self.statistics("alpha")
        changed = after.get("nested-fault", 0) - before.get("nested-fault", 0)
        expect_that(changed == 0, "no exit for memory", changed)

    @check("a write at what is no RAM of alpha's moves nothing, and the log names device, guest and address")
    def stray(self):
        for address in STRAYS:
            self.new_log()
            self.write_by_dma(address)
            self.expect_log("", rf"IOMMU: PCI {re.escape(EDU)}, alpha, was not let write to {address:#x}: ")

    @check("alpha and beta run on")
    def run_on(self):
        for guest in (ALPHA, BETA):
            self.run(guest, "dd if=/dev/nvme0n1 of=/dev/null bs=64k count=64")


class PassedAmdVi(Passed):
    """The same behind AMD-Vi, where QEMU knows devices of the root bus alone."""
    name = "passed-amd-vi"
    iommu = ("-device", "amd-iommu,intremap=on")
    places = {ALPHA: (None, "addr=0x10"), BETA: (None, "addr=0x11")}
    addresses = {ALPHA: "00:10.0", BETA: "00:11.0"}
