# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests with several CPUs: Debian's kernel on two and on four, unplugged, plugged in again, under load, rebooted."""
import re

from frame import check, expect_that
from machine import TARGETS
from test_linux_pair import LinuxGuests

CONFIG = """\
[guest.alpha]
cpus = "0-1"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 cryptomgr.notests bh.name=alpha"

[guest.beta]
cpus = "2-5"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 cryptomgr.notests bh.name=beta"
start = "manual"
"""
ALPHA, BETA = 1, 2
LOAD_SECONDS = 8
# What a kernel says of a CPU that was held up, and of time that jumped. In Bochs time is instructions; QEMU shares this
# PC with others.
TROUBLE = r"stall|lockup|NOHZ tick-stop|unstable|hrtimer: interrupt took|lost|clocksource: timekeeping watchdog"
TROUBLE_IN_QEMU = r"hard LOCKUP"
# What a kernel says of CPUs whose TSCs differ, and of topology leaves that contradict one another.
BOOT_TROUBLE = r"TSC ADJUST|TSC warp|Firmware Bug|sched domain|topology: |smpboot: .*(not |fail)"


class SmpGuests(LinuxGuests):
    """alpha with two CPUs, beta with four."""
    machine_cpus = 6

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/demo.img": self.guest_file("demo.img"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def start_alpha(self):
        self.machine.expect(r"console 1/2: alpha", 240, "the focus to move to alpha")
        self.machine.expect(r"alpha# ", 400)
        expect_that(self.command(ALPHA, "nproc").split()[0] == "2", "nproc: 2", "")

    def start_beta(self):
        self.operator("start beta")
        self.view(BETA)
        self.machine.expect(r"beta# ", 600)
        expect_that(self.command(BETA, "nproc").split()[0] == "4", "nproc: 4", "")

    def on_each(self, guest, count):
        """Runs something on each CPU by name: it says where it ran."""
        for cpu in range(count):
            output = self.command(guest, f"taskset -c {cpu} cut -d' ' -f39 /proc/self/stat")
            expect_that(output.split()[-1:] == [str(cpu)], f"a process on CPU {cpu}", output)

    def begin_load(self, guest, cpus, seconds):
        self.run(guest, "l(){ timeout $1 sh -c 'while :; do :; done';:;}")
        self.command(guest, f"for i in {' '.join('x' * cpus)};do l {seconds} & done")

    def end_load(self, guest, timeout):
        self.run(guest, "wait", timeout)
        self.no_trouble(guest)

    def topology(self, guest, count):
        """Each CPU is a core of its own in one package; caches of level 1 and 2 are its own, of level 3 all share."""
        everyone = f"0-{count - 1}"
        self.run(guest, "cd /sys/devices/system/cpu")
        text = "".join(self.command(guest, f"grep -H . cpu[0-9]*/{files}") for files in
                       ["topology/*_id", "topology/*_list", "cache/i*/level", "cache/i*/shared_cpu_list"])
        self.command(guest, "cd")
        seen = dict(re.findall(r"cpu(\d+/\w+/[\w/]+):([-\d,]+)", text))
        expect_that(f"{count - 1}/topology/core_id" in seen, "/sys tells the topology", text)
        for cpu in range(count):
            want = {"topology/core_id": str(cpu), "topology/physical_package_id": "0",
                    "topology/thread_siblings_list": str(cpu), "topology/core_siblings_list": everyone}
            for index in range(8):
                if level := seen.get(f"{cpu}/cache/index{index}/level"):
                    want[f"cache/index{index}/shared_cpu_list"] = str(cpu) if level in "12" else everyone
            wrong = {k: seen.get(f"{cpu}/{k}") for k, v in want.items() if seen.get(f"{cpu}/{k}") != v}
            expect_that(not wrong, f"CPU {cpu}: {want}", wrong)
            expect_that(len(want) > 4 or not self.target.name.startswith("bochs"), "caches", seen)
        text = self.command(guest, "dmesg | grep -iE 'tsc|firmw|sched|topo|smpb'", 240)
        found = [line for line in text.split("\n") if re.search(BOOT_TROUBLE, line)]
        expect_that(not found, "no warning of TSC or topology in dmesg", "\n".join(found))

    def no_trouble(self, guest):
        text = self.command(guest, "dmesg | tail -n 60", 240)
        trouble = TROUBLE if self.target.name.startswith("bochs") else TROUBLE_IN_QEMU
        found = [line for line in text.split("\n") if re.search(trouble, line, re.I)]
        expect_that(not found, "no stall and no clock trouble in dmesg", "\n".join(found))


class Smp(SmpGuests):
    name = "smp"
    seconds = 220

    @check("two CPUs come up", required=True)
    def two(self):
        self.start_alpha()
        self.on_each(ALPHA, 2)

    @check("each CPU has its own APIC ID and timer interrupts")
    def identity(self):
        ids = re.findall(r"apicid\s*: (\d+)", self.run(ALPHA, "grep ^apicid /proc/cpuinfo"))
        expect_that(ids == ["0", "1"], "APIC IDs 0 and 1", ids)
        counts = self.command(ALPHA, "grep LOC: /proc/interrupts").split()
        expect_that(int(counts[1]) > 0 and int(counts[2]) > 0, "timer interrupts on both", counts)

    @check("topology: cores of one package, caches of their own and shared ones; TSCs as one")
    def two_cores(self):
        self.topology(ALPHA, 2)

    @check("a CPU can be unplugged and plugged in again")
    def hotplug(self):
        self.run(ALPHA, "echo 0 >/sys/devices/system/cpu/cpu1/online")
        expect_that(self.command(ALPHA, "nproc").split()[0] == "1", "nproc: 1", "")
        self.command(ALPHA, "echo 1 >/sys/devices/system/cpu/cpu1/online")
        expect_that(self.command(ALPHA, "nproc").split()[0] == "2", "nproc: 2", "")
        self.on_each(ALPHA, 2)

    @check("load on all CPUs: no stall, no lost timer, no clock warning")
    def load(self):
        self.begin_load(ALPHA, 2, LOAD_SECONDS)
        self.end_load(ALPHA, 400)

    @check("a guest with four CPUs, started beside it")
    def four(self):
        self.start_beta()
        self.on_each(BETA, 4)
        self.topology(BETA, 4)
        self.no_trouble(BETA)

    @check("a guest with several CPUs reboots, and is stopped by the operator")
    def again(self):
        self.new_log()
        self.run(ALPHA, "true")
        self.machine.send("reboot\r")
        self.expect_log("alpha", r"reset by the guest, starting again", r"started \(2 vCPUs")
        self.expect_again(ALPHA, 400, "reboot: Restarting system.*Linux version")
        self.on_each(ALPHA, 2)
        self.new_log()
        self.operator("kill alpha")
        self.expect_log("alpha", "stopped by the operator")
        expect_that(self.run(BETA, "nproc").split()[0] == "4", "beta with four CPUs, as before", "")


class Soak(SmpGuests):
    """What takes minutes: make soak."""
    name = "soak"
    heavy = tuple(target.name for target in TARGETS)

    @check("guests with two and with four CPUs come up", required=True)
    def come_up(self):
        self.start_alpha()
        self.start_beta()

    @check("over a minute both guests' clocks go with the hypervisor's, within 1 %")
    def drift(self):
        guests = (ALPHA, BETA)
        for guest in guests:
            self.define_clocks(guest)
            self.command(guest, "m(){ edge;up;sleep 60;edge;up;}")
            self.command(guest, "m >/tmp/m & true")
        rates = []
        for guest in guests:
            text = self.run(guest, "wait; cat /tmp/m", 1800)
            (_, first, begun), (_, last, ended) = self.clock_readings(text)
            expect_that(last - first >= 60, "a minute of the CMOS clock", text)
            rates.append((ended - begun) / (last - first))
        expect_that(all(0.99 <= rate <= 1.01 for rate in rates), "both at 0.99 to 1.01 of the CMOS clock's", rates)
        expect_that(0.99 <= rates[0] / rates[1] <= 1.01, "both alike", rates)
        print(f"# {self.target.name}: kernel seconds in one of the CMOS clock: "
              + ", ".join(f"{rate:.5f}" for rate in rates), flush=True)

    @check("a minute of load on two and on four CPUs: no stall, no lost timer, no clock warning")
    def long_load(self):
        self.begin_load(ALPHA, 2, 60)
        self.begin_load(BETA, 4, 60)
        self.end_load(ALPHA, 3600)
        self.end_load(BETA, 3600)
        for guest, cpus in ((ALPHA, 2), (BETA, 4)):
            before = self.timer_interrupts(guest)
            self.command(guest, "sleep 2")
            after = self.timer_interrupts(guest)
            expect_that(len(after) == cpus and all(a > b for a, b in zip(after, before)),
                        "every CPU's timer to go on", f"{before}, then {after}")

    def timer_interrupts(self, guest):
        return [int(n) for n in self.run(guest, "grep LOC: /proc/interrupts").split()[1:] if n.isdigit()]
