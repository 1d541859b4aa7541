# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests with several CPUs: Debian's kernel on two and on four, unplugged, plugged in again, under load, rebooted."""
import re

from frame import check, expect_that
from test_linux_pair import LinuxGuests

CONFIG = """\
[guest.alpha]
cpus = "0-1"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 bh.name=alpha"

[guest.beta]
cpus = "2-5"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 bh.name=beta"
start = "manual"
"""
ALPHA, BETA = 1, 2
LOAD_SECONDS = 8
# What a kernel says of a CPU that was held up, and of time that jumped. In Bochs time is instructions; QEMU shares this
# PC with others, and its AMD-V forgets the shadow of STI when an exit falls into it: a sleeping CPU may then oversleep.
TROUBLE = r"stall|lockup|NOHZ tick-stop|unstable|hrtimer: interrupt took|lost|clocksource: timekeeping watchdog"
TROUBLE_IN_QEMU = r"hard LOCKUP"


class Smp(LinuxGuests):
    name = "smp"
    machine_cpus = 6
    seconds = 240

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/demo.img": self.guest_file("demo.img"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def on_each(self, guest, count):
        """Runs something on each CPU by name: it says where it ran."""
        for cpu in range(count):
            output = self.command(guest, f"taskset -c {cpu} cut -d' ' -f39 /proc/self/stat")
            expect_that(output.split()[-1:] == [str(cpu)], f"a process on CPU {cpu}", output)

    def no_trouble(self, guest):
        text = self.command(guest, "dmesg | tail -n 60", 240)
        trouble = TROUBLE if self.target.name.startswith("bochs") else TROUBLE_IN_QEMU
        found = [line for line in text.split("\n") if re.search(trouble, line, re.I)]
        expect_that(not found, "no stall and no clock trouble in dmesg", "\n".join(found))

    @check("two CPUs come up", required=True)
    def two(self):
        self.machine.expect(r"alpha: started \(2 vCPUs on cpu 0-1, 192M\)", 240)
        self.machine.expect(r"console 1/2: alpha", 120, "the focus to move to alpha")
        self.machine.expect(r"alpha# ", 400)
        expect_that(self.command(ALPHA, "nproc").split()[0] == "2", "nproc: 2", "")
        self.on_each(ALPHA, 2)

    @check("each CPU has its own APIC ID and timer interrupts")
    def identity(self):
        ids = re.findall(r"apicid\s*: (\d+)", self.run(ALPHA, "grep ^apicid /proc/cpuinfo"))
        expect_that(ids == ["0", "1"], "APIC IDs 0 and 1", ids)
        counts = self.command(ALPHA, "grep LOC: /proc/interrupts").split()
        expect_that(int(counts[1]) > 0 and int(counts[2]) > 0, "timer interrupts on both", counts)

    @check("a CPU can be unplugged and plugged in again")
    def hotplug(self):
        self.run(ALPHA, "echo 0 >/sys/devices/system/cpu/cpu1/online")
        expect_that(self.command(ALPHA, "nproc").split()[0] == "1", "nproc: 1", "")
        self.command(ALPHA, "echo 1 >/sys/devices/system/cpu/cpu1/online")
        expect_that(self.command(ALPHA, "nproc").split()[0] == "2", "nproc: 2", "")
        self.on_each(ALPHA, 2)

    @check("load on all CPUs: no stall, no lost timer, no clock warning")
    def load(self):
        self.run(ALPHA, "l(){ timeout $1 sh -c 'while :; do :; done';:;}")
        self.command(ALPHA, f"l {LOAD_SECONDS} & l {LOAD_SECONDS}; wait", 400)
        self.no_trouble(ALPHA)

    @check("a guest with four CPUs, started beside it")
    def four(self):
        self.operator("start beta")
        self.view(BETA)
        self.machine.expect(r"beta# ", 600)
        expect_that(self.command(BETA, "nproc").split()[0] == "4", "nproc: 4", "")
        self.on_each(BETA, 4)
        self.no_trouble(BETA)

    @check("a guest with several CPUs reboots, and is stopped by the operator")
    def again(self):
        self.new_log()
        self.run(ALPHA, "true")
        self.machine.send("reboot\r")
        self.expect_log("alpha", r"reset by the guest, starting again", r"started \(2 vCPUs")
        self.view(ALPHA)
        self.machine.expect(r"reboot: Restarting system.*Linux version.*alpha# ", 400)
        self.on_each(ALPHA, 2)
        self.new_log()
        self.operator("stop alpha")
        self.expect_log("alpha", "stopped by the operator")
        expect_that(self.run(BETA, "nproc").split()[0] == "4", "beta with four CPUs, as before", "")
