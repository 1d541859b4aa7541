# SPDX-License-Identifier: GPL-2.0-or-later
"""A driver guest: router has the machine's NVMe disk and its network card. Web has its root and its data on the disk, which it
sees as virtio disks of its own, and reaches the card by a wire.
"""
import hashlib
import os
import re
import struct

from frame import check, expect_that
from test_passed import PassedBoot
from test_wires import NOT_SANE, overlaps

ROUTER, WEB = 1, 2
CONFIG = """\
[hypervisor]
console = "com1"

[wire.lan]

[guest.router]
cpus = "0"
memory = "256M"
kernel = "guests/vmlinuz"
initrd = "guests/root.img"
cmdline = "console=ttyS0 quiet bh.name=router bh.root=/dev/nvme0n1p1"
net = ["lan:bridge"]
pci = ["1b36:0010", "1af4:1041"]

[guest.web]
cpus = "1"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/root.img"
cmdline = "console=ttyS0 quiet bh.name=web bh.ip=10.0.2.20/24 bh.root=/dev/vda bh.data=/dev/vdb"
net = ["lan"]
disk = ["root:nbd:router/root:ro", "data:nbd:router/web"]
"""
SECTOR = 512
PARTITIONS_AT = 0x1be       # in a disk's first sector
LINUX = 0x83
DATA = 64 << 20
# QEMU's own network on the card's other side.
SERVER = "10.0.2.2"
# Of router's devices: slot, ID, driver; and where registers of real devices may be.
LISTED = {0x14: ("1b36:0010", "nvme"), 0x15: ("1af4:1041", "virtio-pci")}
WINDOW, WINDOW_SIZE = 0xd0000000, 0x10000000
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20}


def write_partitions(file, sizes):
    """An MBR: partitions of these sizes in bytes, each from a MiB on. Returns where each begins."""
    begins, at = [], 1 << 20
    for number, size in enumerate(sizes):
        file.seek(PARTITIONS_AT + 16 * number)
        file.write(struct.pack("<BBBBBBBBII", 0, 0, 2, 0, LINUX, 0, 0, 0, at // SECTOR, -(-size // SECTOR)))
        begins.append(at)
        at += -(-size // (1 << 20)) << 20
    file.seek(PARTITIONS_AT + 64)
    file.write(b"\x55\xaa")
    file.truncate(at)
    return begins


class DriverGuest(PassedBoot):
    name = "driver-guest"
    seconds = 300
    names = {ROUTER: "router", WEB: "web"}

    def __init__(self, build, target, folder):
        super().__init__(build, target, folder)
        self.disk = os.path.join(os.path.abspath(folder), "nvme.img")
        self.served = os.path.join(os.path.abspath(folder), "served")
        os.makedirs(self.served, exist_ok=True)
        with open(os.path.join(self.served, "file"), "wb") as file:
            file.write(os.urandom(1 << 20))
        self.machine_options = {"machine": "q35", "extra": [
            "-device", "intel-iommu,intremap=on,aw-bits=48",
            "-device", "pcie-root-port,id=p1,chassis=1,addr=0x10", "-device", "pcie-root-port,id=p2,chassis=2,addr=0x11",
            "-drive", f"if=none,id=d,format=raw,file={self.disk}", "-device", "nvme,drive=d,serial=1,bus=p1",
            "-netdev", f"user,id=n,net=10.0.2.0/24,tftp={self.served}",
            "-device", "virtio-net-pci,netdev=n,romfile=,disable-legacy=on,iommu_platform=on,bus=p2"]}

    def image(self):
        """The disk has Debian's root, which both guests have theirs from, and room for what web writes."""
        with open(self.guest_file("root.erofs"), "rb") as source, open(self.disk, "wb") as file:
            root = source.read()
            at, _ = write_partitions(file, [len(root), DATA])
            file.seek(at)
            file.write(root)
        return self.make_stick({"bulkhead/bulkhead.toml": CONFIG.encode(),
                                **{"guests/" + file: self.guest_file(file)
                                   for file in ("vmlinuz", "root.img")}})

    def serve(self):
        """What the admin of router does after each start of it: docs/served-disks.md."""
        self.run(ROUTER, "ip link add br0 type bridge")
        self.command(ROUTER, "for i in eth0 eth1;do ip link set $i master br0 up;done")
        self.command(ROUTER, "ip addr add 10.0.2.1/24 dev br0;ip link set br0 up")
        self.command(ROUTER, "mkdir /srv; ln -s /dev/nvme0n1p1 /srv/root")
        self.command(ROUTER, "ln -s /dev/nvme0n1p2 /srv/web")
        self.command(ROUTER, "nbdkit --vsock --port 10809 file dir=/srv")

    def expect_prompt(self, guest):
        """The first in this run of the machine."""
        self.view(guest)
        name = self.names[guest]
        self.machine.expect(rf"Debian root of {name}.*{name}# ", 600, f"{name}'s prompt")

    def check_files(self):
        self.run(WEB, "cd /root/a; sha256sum -c --quiet /root/sums; cd", 240)

    @check("router has its root on the NVMe disk, and web on what router serves of it", required=True)
    def prompts(self):
        self.machine.expect(r"console 1/2: router", 300, "the focus to move to router")     # web waits for its disks
        self.expect_prompt(ROUTER)
        self.serve()
        self.expect_prompt(WEB)
        self.run(ROUTER, "ls /dev/nvme0n1p2; ! ls /dev/vda")
        self.run(WEB, "! ls /dev/nvme0n1")
        self.command(WEB, "findmnt -no FSTYPE / | grep overlay")
        size = int(self.command(WEB, "cat /sys/block/vda/size").split()[0])
        expect_that(size >= os.path.getsize(self.guest_file("root.erofs")) // SECTOR, "the image's size", size)

    @check("lspci finds nothing odd in what router was given: registers in their window, MSI-X on, and no ROM")
    def listed(self):
        output = re.sub(r"[ \t]*\r", "", self.run(ROUTER, "lspci -vvnn 2>&1", 240))
        ranges = []
        for slot, (number, driver) in LISTED.items():
            text = re.search(rf"^00:{slot:02x}\.0 .*?(?=^00:|\Z)", output, re.M | re.S)
            expect_that(text, f"a device in slot {slot}", output)
            # Latencies, and the way to a virtio device's registers by configuration space, which lspci does not know.
            known = re.sub(r"<\d+[nu]s|VirtIO: <unknown>", "", text[0])
            odd = re.search(NOT_SANE + "|Expansion ROM", known, re.I)
            expect_that(odd is None, "nothing that lspci finds odd", f"{odd and odd[0]!r} in:\n{text[0]}")
            for line in (rf"\[{number}\]", r"Control: I/O- Mem\+ BusMaster\+ .*DisINTx\+$", r"MSI-X: Enable\+ .*Masked-$",
                         rf"Kernel driver in use: {driver}$"):
                expect_that(re.search(line, text[0], re.M), f"/{line}/", text[0])
            ranges += [(int(at, 16), int(size) * SIZES[unit]) for at, size, unit in
                       re.findall(r"Region \d: Memory at (\w+) \(.*?\) \[size=(\d+)([KM]?)\]$", text[0], re.M)]
        inside = all(WINDOW <= at and at + size <= WINDOW + WINDOW_SIZE for at, size in ranges)
        expect_that(len(ranges) >= 3 and inside and not overlaps(ranges), "registers in the window, none upon another", ranges)

    @check("web's packets go out by router's card: a file from the other side comes as it was sent")
    def outside(self):
        with open(os.path.join(self.served, "file"), "rb") as file:
            wanted = hashlib.sha256(file.read()).hexdigest()
        self.run(WEB, f"ping -c 3 -W 10 {SERVER}")
        self.command(WEB, f"busybox tftp -g -r file -l /tmp/f -b 1400 {SERVER}", 240)
        seen = self.command(WEB, "sha256sum </tmp/f").split()[0]
        expect_that(seen == wanted, wanted, seen)

    @check("files that web writes come back with their checksums, and lie on the NVMe disk", required=True)
    def files(self):
        self.run(WEB, "mkdir /root/a; cd /root/a")
        self.command(WEB, "for i in {1..100}; do echo $i$RANDOM >$i; done", 240)
        self.command(WEB, "head -c 1M /dev/urandom | tee big | sha256sum >/tmp/big")
        self.command(WEB, "sha256sum * >/root/sums; sync", 240)
        self.command(WEB, "echo 3 >/proc/sys/vm/drop_caches; cd")
        self.check_files()
        start = self.command(WEB, "head -c 64 /root/a/big | od -An -v -tx1")
        with open(self.disk, "rb") as file:
            found = file.read().find(bytes.fromhex("".join(re.findall(r"\b[0-9a-f]{2}\b", start))))
        expect_that(found > os.path.getsize(self.guest_file("root.erofs")), "the file's beginning on the second partition", found)

    @check("router is killed amid web's writes, and started again: web, which has its root there, goes on with nothing lost")
    def crash(self):
        before = self.statistics("web")
        self.run(WEB, "cd /root; w(){ head -c 300000 /dev/urandom >r$1; sync r$1;}")
        self.command(WEB, "(for i in `seq 40`; do w $i; done) & sleep 2")
        self.operator("kill router")
        self.new_log()
        self.operator("start router")
        self.expect_log("router", "first instruction after")
        self.expect_again(ROUTER, 600, "Debian root of router")
        self.serve()
        self.run(WEB, "wait; sha256sum r* >rsums; sync", 300)
        self.command(WEB, "echo 3 >/proc/sys/vm/drop_caches")
        self.command(WEB, "sha256sum -c --quiet rsums; ls r40; cd", 240)
        self.check_files()
        self.command(WEB, "! dmesg | grep -iE 'error|corrupt|readonly'")
        after = self.statistics("web")
        for disk in ("disk 0", "disk 1"):
            grown = after[f"{disk} connections"] - before[f"{disk} connections"]
            expect_that(grown == 1 and f"{disk} failures" not in after, "one connection more, and no failure", after)

    @check("web is killed and started again: its file system is whole, and what it wrote is there by its checksums")
    def web_again(self):
        self.operator("kill web")
        self.operator("start web")
        self.expect_again(WEB, 600, "Debian root of web")
        self.check_files()
        self.command(WEB, "cd /root; sha256sum -c --quiet rsums; cd", 240)
        self.command(WEB, "! dmesg | grep -iE 'error|corrupt|readonly'")

    @check("the machine restarts, and what was written is there")
    def restart(self):
        self.run(WEB, "sync; tail -c 8 /root/sums")
        self.operator("stop web")
        self.expect_log("web", "powered off by the guest")
        self.view(0)
        self.machine.send("reboot yes\r")
        self.machine.expect(r"\[ *0\.\d{6}\] cpu0: .*console 1/2: router", 300, "Bulkhead to start again")
        self.viewed = None
        self.expect_prompt(ROUTER)
        self.serve()
        self.expect_prompt(WEB)
        self.check_files()
