# SPDX-License-Identifier: GPL-2.0-or-later
"""Systems that bring much along, from Debian's packages: `make heavy-guests`. A crash kernel, Xen with a dom0."""
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
