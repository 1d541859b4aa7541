# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that one guest serves to others with NBD: by a wire, to a kernel's own client, which has its root there; and as a
virtio disk of any guest's.
"""
import os
import re

from frame import check, expect_that
from test_linux_pair import LinuxGuests

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
cmdline = "console=ttyS0 bh.name=router bh.ip=10.0.0.1/24"
net = ["lan"]
disk = ["root:images/root.erofs:ro", "vol:blank:64M"]

[guest.web]
cpus = "1"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/root-nbd.img"
cmdline = "console=ttyS0 bh.name=web bh.ip=10.0.0.2/24 bh.nbd=10.0.0.1:root:web bh.data=/dev/nbd1"
net = ["lan"]
"""


class Served(LinuxGuests):
    name = "served"
    seconds = 200
    keeps_time = False
    cannot_run = dict.fromkeys(["bochs-intel", "bochs-amd"],
                               "its firmware reads the 86 MB of the root image for minutes; linux-pair has wire and disk there")
    names = {ROUTER: "router", WEB: "web"}

    def image(self):
        return self.make_stick({"bulkhead/bulkhead.toml": CONFIG.encode(),
                                "images/root.erofs": self.guest_file("root.erofs"),
                                **{"guests/" + file: self.guest_file(file)
                                   for file in ("vmlinuz", "root.img", "root-nbd.img")}})

    @check("router serves two volumes with nbdkit, and web, which waits for them, reaches its prompt", required=True)
    def prompts(self):
        self.view(ROUTER)
        self.machine.expect("router# ", 300)
        self.run(ROUTER, "mkdir /srv; ln -s /dev/vda /srv/root")
        self.command(ROUTER, "ln -s /dev/vdb /srv/web; nbdkit file dir=/srv")
        self.view(WEB)
        self.machine.expect("web# ", 300)

    @check("web's root is what router serves, and it has no disk of its own")
    def root(self):
        self.run(WEB, "! ls /dev/vda; findmnt -no FSTYPE / | grep overlay")
        size = int(self.command(WEB, "cat /sys/block/nbd0/size").split()[0])
        expect_that(size == os.path.getsize(self.guest_file("root.erofs")) // 512, "the image's size", size)

    @check("files that web writes with their checksums come back, and router finds them on its volume")
    def files(self):
        self.run(WEB, "mkdir /root/a; cd /root/a")
        self.command(WEB, "for i in {1..300}; do echo $i$RANDOM >$i; done", 240)
        self.command(WEB, "sha256sum * >/root/sums; sync", 240)
        self.command(WEB, "echo 3 >/proc/sys/vm/drop_caches")
        self.command(WEB, "sha256sum -c --quiet /root/sums; cd", 240)
        sums = self.command(WEB, "sha256sum </root/sums").split()[0]
        self.run(ROUTER, "mount -o ro,noload /dev/vdb /mnt")
        seen = self.command(ROUTER, "sha256sum </mnt/upper/root/sums").split()[0]
        expect_that(seen == sums, sums, seen)
        self.command(ROUTER, "umount /mnt")


STORE = 3
GUEST = """\
[guest.{name}]
cpus = "{cpu}"
memory = "{memory}"
kernel = "guests/vmlinuz"
initrd = "guests/root.img"
cmdline = "console=ttyS0 bh.name={name}"
disk = ["root:images/root.erofs:ro", {disks}]
start = "{start}"

"""
# router has its volume from store, so that its restart loses nothing but its own memory.
GUESTS = [
    ("router", "256M", '"vol:nbd:store/vol"', "auto"),
    ("web", "192M", '"data:nbd:router/web", "look:nbd:router/web:ro", "base:nbd:router/root:ro"', "manual"),
    ("store", "256M", '"vol:blank:96M"', "auto"),
]


class ServedDisk(LinuxGuests):
    name = "served-disk"
    seconds = 300
    keeps_time = False
    cannot_run = Served.cannot_run
    machine_cpus = 3
    names = {ROUTER: "router", WEB: "web", STORE: "store"}

    def image(self):
        config = '[hypervisor]\nconsole = "com1"\n\n' + "".join(
            GUEST.format(name=name, cpu=cpu, memory=memory, disks=disks, start=start)
            for cpu, (name, memory, disks, start) in enumerate(GUESTS))
        return self.make_stick({"bulkhead/bulkhead.toml": config.encode(),
                                "images/root.erofs": self.guest_file("root.erofs"),
                                **{"guests/" + file: self.guest_file(file) for file in ("vmlinuz", "root.img")}})

    def serve(self, guest, again=False):
        """What that guest has to do at each of its starts."""
        if guest != STORE:
            if again:
                self.expect_again(guest)
            else:
                self.view(guest)
                self.machine.expect(self.names[guest] + "# ", 300)
        self.run(guest, "mkdir /srv; ln -s /dev/vda /srv/root")
        self.command(guest, "ln -s /dev/vdb /srv/web; ln -s /dev/vdb /srv/vol")
        self.command(guest, "nbdkit --vsock --port 10809 file dir=/srv")

    @check("store and router serve their volumes by vsock: each guest's start waits for its disks", required=True)
    def starts(self):
        self.machine.expect(r"store: first instruction", 300)     # router waits, and so does the focus
        self.view(STORE)
        self.machine.expect("store# ", 300)
        self.operator("start web")
        answer, _ = self.operator("list")
        expect_that(re.search(r"router +starting.*web +starting", answer, re.S), "two guests that wait", answer)
        self.serve(STORE)
        self.serve(ROUTER)
        self.view(WEB)
        self.machine.expect("web# ", 300)

    @check("web has three virtio disks, with size and name, of which two cannot be written")
    def disks(self):
        self.run(WEB, "cd /sys/block; grep -x data vdb/serial")
        output = self.command(WEB, "cat vdb/size vdc/size vd?/ro; cd")
        root = os.path.getsize(self.guest_file("root.erofs"))
        expect_that(output.split() == [str((96 << 20) // 512)] * 2 + ["1", "0", "1", "1"], "sizes and what is read-only", output)
        self.command(WEB, f"grep -x {root // 512} /sys/block/vdd/size")
        self.command(WEB, "cmp /dev/vda /dev/vdd", 240)
        self.command(WEB, "! dd if=/dev/zero of=/dev/vdc count=1")

    @check("ext4 on it: files with their checksums, sync, fsck")
    def files(self):
        self.run(WEB, "mkfs.ext4 -q /dev/vdb; mkdir -p /d; mount /dev/vdb /d", 240)
        self.command(WEB, "cd /d; for i in {1..300}; do echo $i$RANDOM >$i; done", 240)
        self.command(WEB, "sha256sum * >/root/sums; sync", 240)
        self.command(WEB, "echo 3 >/proc/sys/vm/drop_caches")
        self.command(WEB, "sha256sum -c --quiet /root/sums", 240)
        self.command(WEB, "fstrim /d; cd; umount /d; e2fsck -fn /dev/vdb", 240)
        counters = self.statistics("web")
        expect_that(counters["disk 1 connections"] == 1, "one connection", counters)
        expect_that(counters["disk 1 others"] > 0, "discards", counters)

    def write_while(self, orders):
        """web writes; meanwhile router gets these orders, and has to serve again. What was written is there."""
        before = self.statistics("web")
        self.run(WEB, "mount /dev/vdb /d; cd /d")
        self.command(WEB, "w(){ head -c 300000 /dev/urandom >r$1; sync r$1;}")
        self.command(WEB, "(for i in `seq 40`; do w $i; done) & sleep 2")
        for order in orders:
            self.operator(order)
        self.serve(ROUTER, again=True)
        self.run(WEB, "wait; sha256sum * >/root/sums; sync", 300)
        self.command(WEB, "echo 3 >/proc/sys/vm/drop_caches")
        self.command(WEB, "sha256sum -c --quiet /root/sums; ls r40", 240)
        self.command(WEB, "cd; umount /d; e2fsck -fn /dev/vdb", 240)
        self.command(WEB, "! dmesg | grep -i 'error.*vdb'")
        counters = self.statistics("web")
        grown = counters["disk 1 connections"] - before["disk 1 connections"]
        expect_that(grown == 1 and "disk 1 failures" not in counters, "one connection more, and no failure", counters)

    @check("router is reset amid web's writes: web goes on with nothing lost")
    def reset(self):
        self.write_while(["reset router"])

    @check("router is killed amid web's writes, and started again: the same")
    def killed(self):
        self.write_while(["kill router", "start router"])
