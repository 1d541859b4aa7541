# SPDX-License-Identifier: GPL-2.0-or-later
"""Systems that bring much along, from Debian's packages: `make heavy-guests`. A crash kernel, Xen with a dom0,
Debian's installer.
"""
import re

from frame import Boot, check, expect_that
from machine import TARGETS
from test_linux_pair import ALPHA, LinuxGuests

KDUMP_CONFIG = """\
[guest.alpha]
cpus = "1-2"
memory = "512M"
kernel = "guests/vmlinuz"
initrd = "guests/crash.img"
cmdline = "console=ttyS0 crashkernel=128M bh.name=alpha"
on_crash = "restart"
"""
DOM0_CONFIG = """\
[guest.xen]
cpus = "1"
memory = "768M"
kernel = "guests/xen"
"""
INSTALLER_CONFIG = """\
[guest.mirror]
cpus = "0"
memory = "160M"
kernel = "guests/vmlinuz"
initrd = "guests/mirror.img"
cmdline = "console=ttyS0 bh.name=mirror bh.ip=10.0.0.2/24"
net = ["lan"]

[guest.installer]
cpus = "1"
memory = "1200M"
kernel = "guests/vmlinuz-installer"
initrd = "guests/installer.img"
cmdline = "console=ttyS0 DEBIAN_FRONTEND=text TERM=dumb"
net = ["lan"]
disk = ["target:blank:64M"]

[wire.lan]
"""
MIRROR, INSTALLER = 1, 2


class Kdump(LinuxGuests):
    """docs/linux.md, "kdump"."""
    name = "kdump"
    heavy = tuple(target.name for target in TARGETS)
    machine_cpus = 3
    machine_memory = 2048

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/crash.img": self.guest_file("crash.img"),
                                "bulkhead/bulkhead.toml": KDUMP_CONFIG.encode()})

    def crash_on_cpu_1(self, words):
        """With a crash kernel of this command line."""
        self.run(ALPHA, f"load-crash console=ttyS0 bh.name=kdump {words}")
        loaded = self.command(ALPHA, "cat /sys/kernel/kexec_crash_loaded")
        expect_that(loaded.split()[0] == "1", "a crash kernel", loaded)
        self.new_log()
        self.view(ALPHA)
        self.machine.send("taskset -c 1 sh -c 'echo c >/proc/sysrq-trigger'\r")

    @check("two CPUs", required=True)
    def starts(self):
        self.machine.expect(r"alpha# ", 600)
        expect_that(self.command(ALPHA, "nproc").split()[0] == "2", "two CPUs", "another number")

    @check("a crash on CPU 1, the crash kernel with nr_cpus=1: it starts there, and has the old memory")
    def one_cpu(self):
        self.crash_on_cpu_1("nr_cpus=1")
        self.machine.expect(r"sysrq: Trigger a crash.*Linux version.*kdump# ", 600)
        self.machine.send("head -c4 /proc/vmcore|tail -c3; nproc\r")
        self.machine.expect(r"ELF1\r?\n", 60)
        self.machine.send("reboot\r")
        self.expect_log("alpha", "reset by the guest, starting again")
        self.view(ALPHA)
        self.machine.expect(r"alpha# ", 600)

    @check("without it, the INIT that it sends to the first CPU resets the VM, as it resets a PC")
    def all_cpus(self):
        self.crash_on_cpu_1("")
        self.expect_log("alpha", "reset by INIT to its first CPU, starting again")
        self.view(ALPHA)
        self.machine.expect(r"alpha# ", 600)


class Dom0(Boot):
    """docs/guests.md, "Xen with its dom0"."""
    name = "dom0"
    heavy = tuple(target.name for target in TARGETS)
    machine_memory = 2048
    machine_ips = 50_000_000

    def image(self):
        return self.make_stick({"guests/xen": self.guest_file("xen"), "bulkhead/bulkhead.toml": DOM0_CONFIG.encode()})

    @check("Xen starts, by Multiboot and without a BIOS", required=True)
    def xen(self):
        self.machine.expect(r"Xen version 4\.\d+", 600)

    @check("its dom0 reaches the prompt, and knows where it is")
    def dom0(self):
        self.machine.expect(r"dom0# ", 1200)
        self.machine.send("cat /sys/hypervisor/type\r")
        self.machine.expect(r"\nxen\r*\n", 60)


class Installer(LinuxGuests):
    """docs/devices.md, "Debian's installer". It has a shell behind its menu; the guest beside it serves what a mirror would."""
    name = "installer"
    heavy = tuple(target.name for target in TARGETS)
    machine_memory = 2048
    names = {MIRROR: "mirror", INSTALLER: ""}

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"), "guests/mirror.img": self.guest_file("mirror.img"),
                                "guests/vmlinuz-installer": self.guest_file("vmlinuz-installer"),
                                "guests/installer.img": self.guest_file("installer.img"),
                                "bulkhead/bulkhead.toml": INSTALLER_CONFIG.encode()})

    @check("the other guest serves the installer's packages", required=True)
    def mirror(self):
        self.machine.expect(r"mirror# ", 600)
        self.command(MIRROR, "httpd -h /www")

    @check("Debian's installer comes to its first question, and to its shell", required=True)
    def shell(self):
        self.view(INSTALLER)
        self.machine.expect(r"Prompt: '\?' for help", 1200)
        self.machine.send("<\r")
        choice = self.machine.expect(r"(\d+)[:.] Execute a shell.*Prompt: '\?' for help", 120, "the main menu")
        self.machine.send(choice.group(1) + "\r")
        self.machine.expect(r"Press enter to continue", 120)
        self.machine.send("\r")
        self.machine.expect(r"~ # ", 120)

    @check("it sees the network adapter, and reaches the other guest")
    def net(self):
        links = self.command(INSTALLER, "ip link")
        expect_that(re.search(r"\n\d+: enp0s10:", links), "a network adapter", links)
        self.command(INSTALLER, "ip addr add 10.0.0.1/24 dev enp0s10; ip link set enp0s10 up")
        output = self.command(INSTALLER, "ping -c 3 10.0.0.2")
        expect_that("3 packets received" in output, "3 answers", output)

    @check("with the drivers that it fetches from there it sees the disk")
    def disk(self):
        self.command(INSTALLER, "wget -q http://10.0.0.2/drivers.udeb")
        self.command(INSTALLER, "udpkg --unpack drivers.udeb && depmod -a")
        self.command(INSTALLER, "test -z \"$(list-devices disk)\"")
        self.command(INSTALLER, "update-dev")
        disks = self.command(INSTALLER, "list-devices disk; cat /proc/partitions")
        expect_that(re.search(r"/dev/vda\s.*\s65536 vda\s", disks, re.S), "a disk of 64 MiB", disks)
        self.command(INSTALLER, "grep target /sys/block/vda/serial")
        self.command(INSTALLER, "echo written >/dev/vda; sync; head -c 7 /dev/vda")
