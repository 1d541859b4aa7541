# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that one guest serves to others with NBD: by a wire, to a kernel's own client, which has its root there."""
import os

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
