# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo stick as an admin gets it: two unmodified Linux guests side by side, driven by typing."""
import hashlib
import os
import re
import subprocess
import tomllib

from frame import ROOT, Boot, check, expect_that

ALPHA, BETA = 1, 2
NAMES = {ALPHA: "alpha", BETA: "beta"}
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

COMPLAINTS = (r"error|fail|unable|not found|warn|\bbug\b|cannot|can't|missing|invalid|unexpected|conflict|"
              r"unknown|mismatch|timed out|timeout|lockup|stall|not supported|broken|firmware bug|oops|panic")
CLOCK_COMPLAINTS = (r"unstable|clocksource: .*(failed|skewed|watchdog)|calibration failed|hrtimer: interrupt took|"
                    r"Unable to calibrate|timer doesn't work|MP-BIOS bug")
# What a kernel says on its console goes between what a command prints, whenever it comes.
KERNEL_LINE = re.compile(r"\[ *\d+\.\d{6}\] [^\n]*\n")
# A line that the one before it needs, with or without its level.
CONTINUED = re.compile(r"\n(<\d+>)?\[ *\d+\.\d{6}\] clocksource: {9,}")
ALLOWED_LINE = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \|$", re.M)
# Guest seconds; by the CMOS clock they can be told to one in a hundred.
SLEEP_SECONDS = 10


def allowed_lines(target):
    """The table of docs/linux.md: what is no complaint about the machine, there with the reason."""
    with open(os.path.join(ROOT, "docs/linux.md"), encoding="utf-8") as file:
        rows = ALLOWED_LINE.findall(file.read())
    assert rows, "no table in docs/linux.md"
    return [line for line, where in rows if where.strip() == "all" or target in where.split(", ")]


def unexplained(log, target, words):
    """The lines of a kernel's log with one of words, case ignored, but those that docs/linux.md has. What a line about clocks
    goes on with is judged with it: which clock another one was measured by."""
    lines = CONTINUED.sub(" ", log.replace("\r", "")).split("\n")
    allowed = allowed_lines(target)
    return [line for line in lines if re.search(words, line, re.I) and not any(text in line for text in allowed)]


# What the tests' own configs tell a kernel as well: not to try its ciphers, which is half of a boot in Bochs.
QUICK = "cryptomgr.notests"


def md5_of(path):
    with open(path, "rb") as file:
        return hashlib.md5(file.read()).hexdigest()


SLOW = {target: "each start of Debian takes a minute there; qemu-tcg does it, and one more start is tested here"
        for target in ("bochs-intel", "bochs-amd")}


class LinuxGuests(Boot):
    """Typing to two of them, alpha and beta; or to those of names."""
    names = NAMES
    machine_ips = 20_000_000

    def __init__(self, build, target, folder):
        super().__init__(build, target, folder)
        self.last_commands = {}     # guest -> the tag of the last one typed there

    def command(self, guest, text, timeout=120):
        """Types a command to the shell in focus; returns what it printed. Fails if its status is not 0."""
        assert len(text) < 60, "longer than a line of the terminal: its echo would be broken up"
        self.tag += 1
        self.last_commands[guest] = self.tag
        self.machine.send(f"{text}; echo @{self.tag}.$?@\r")
        self.machine.expect(rf"@{self.tag}\.\$\?@[^\n]*\n", timeout, f"the echo of {text!r}")
        start = self.machine.serial.mark
        end = self.machine.expect(rf"@{self.tag}\.(\d+)@", timeout, f"{text!r} to end")
        output = self.machine.serial.text[start:end.start()]
        if "dmesg" not in text:
            output = KERNEL_LINE.sub("", output)
        self.machine.expect(rf"{self.names[guest]}# ", timeout, "the prompt")
        expect_that(end.group(1) == "0", f"{text!r} to succeed", output)
        return output

    def run(self, guest, text, timeout=120):
        """Types it to that guest."""
        self.look_at(guest)
        return self.command(guest, text, timeout)

    def expect_again(self, guest, timeout=300, begun="Linux version"):
        """
        Waits for the prompt of a guest that has begun anew. Its scrollback has the prompts of earlier runs, too, and who types at
        one of these types to a kernel that is still starting: what counts comes after the last command of the run before.
        """
        self.view(guest)
        name, last = self.names[guest], self.last_commands.get(guest)
        since = "" if last is None else rf"@{last}\.\d+@.*"
        self.machine.expect(rf"{since}{begun}.*{name}# ", timeout, f"{name} to come to its prompt again")

    # The guest's clock against the CMOS clock, which is the hypervisor's.
    def define_clocks(self, guest):
        """In the shell: edge waits until the CMOS clock's second turns; up prints both clocks."""
        self.run(guest, "r(){ read e </sys/class/rtc/rtc0/since_epoch;}")
        self.command(guest, "edge(){ r;o=$e;while [ $e = $o ];do r;done;}")
        self.command(guest, "up(){ read u _ </proc/uptime;r;echo =$e $u;}")

    @staticmethod
    def clock_readings(output):
        """What up printed: (text, seconds of the CMOS clock, seconds since the kernel's start)"""
        return [(f"{a} {b}", int(a), float(b)) for a, b in re.findall(r"=(\d+) (\d+\.\d+)", output)]


class LinuxPair(LinuxGuests):
    name = "linux-pair"
    seconds = 210
    counting = False

    @property
    def machine_ips(self):
        """The kernel takes its TSC for good if a read of the PM timer lasts less than a 32nd of a millisecond."""
        return 50_000_000 if self.target.name == "bochs-amd" else super().machine_ips

    def image(self):
        """The stick itself; for Bochs a copy with the quick kernels."""
        stick, quick = os.path.join(self.build, "bulkhead-usb.img"), os.path.join(self.folder, "stick.img")
        with open(os.path.join(ROOT, "config/bulkhead.toml"), encoding="utf-8") as file:
            text = file.read()
        if self.target.name.startswith("bochs"):
            os.makedirs(self.folder, exist_ok=True)
            text = text.replace('cmdline = "console=ttyS0', 'cmdline = "console=ttyS0 ' + QUICK)
            subprocess.run(["cp", "--sparse=always", stick, quick], check=True)
            subprocess.run(["mcopy", "-o", "-i", quick + "@@1M", "-", "::bulkhead/bulkhead.toml"], check=True,
                           input=text.encode(), env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
            stick = quick
        self.config = tomllib.loads(text)["guest"]
        return stick

    def counter(self):
        """How far beta has counted, a number a second from the first call on."""
        if not self.counting:
            self.run(BETA, "c(){ while :; do n=$((n+1));echo $n>/tmp/n;sleep 1;done;}")
            self.command(BETA, "c & sleep 2")
            self.counting = True
        return int(self.run(BETA, "cat /tmp/n").split()[0])

    @check("banner and boot log", required=True)
    def banner(self):
        self.machine.expect(r"Bulkhead", 240)
        self.machine.expect(r"\[ *\d+\.\d{6}\] cpu0: ", 240)

    @check("alpha reaches its prompt", required=True)
    def alpha_prompt(self):
        self.machine.expect(r"console 1/2: alpha", 120, "the focus to move to alpha")
        self.machine.expect(r"alpha# ", 300)

    @check("beta reaches its prompt", required=True)
    def beta_prompt(self):
        self.view(BETA)
        self.machine.expect(r"beta# ", 300)

    @check("at its login each shows that its root is the image that both share, and beta that alpha answers its ping")
    def greeting(self):
        text = KERNEL_LINE.sub("", self.machine.serial.text)
        for guest, answered in ((ALPHA, r"ping statistics"), (BETA, r"[1-3] packets received")):
            said = (rf"Bulkhead demo guest {NAMES[guest]}:.*?/dev/pmem0 on /image type erofs \([^)]*dax=always\)\s+"
                    rf"overlay on / type overlay \([^)]*lowerdir=/image,.*?{answered}.*?{NAMES[guest]}# ")
            expect_that(re.search(said, text, re.S), "its root and its ping", said)

    @check("the log shows the partition, and each started on its CPU with its memory")
    def started(self):
        text, _ = self.operator("dmesg")
        for guest, values in self.config.items():
            cpus, memory = values["cpus"], values["memory"]
            for line in (rf"{guest} +{cpus} +{memory} +0x[0-9a-f]+-0x[0-9a-f]+",
                         rf"{guest}: started \(1 vCPU on cpu {cpus}, {memory}\)"):
                expect_that(re.search(line, text), f"/{line}/", text)

    def guest_as_configured(self, guest):
        values = self.config[NAMES[guest]]
        memory = int(values["memory"][:-1]) * UNITS[values["memory"][-1]]
        output = self.run(guest, "nproc; free -m; cat /proc/cmdline")
        lines = output.replace("\r", "").strip().split("\n")
        expect_that(lines[0] == "1", "nproc: 1", output)
        # The loader tells a kernel the clock that it cannot read from an AMD CPU.
        clock = r" tsc_early_khz=\d+" if self.target.vendor == "AMD-V" else ""
        cmdline = re.escape(values["cmdline"]) + clock
        expect_that(re.fullmatch(cmdline, lines[-1].strip()), f"/proc/cmdline: {cmdline}", output)
        total = int(re.search(r"Mem: +(\d+)", output).group(1)) << 20
        expect_that(0.75 * memory <= total <= memory, f"75 % to 100 % of {values['memory']}", output)
        exact = self.command(guest, "dmesg | grep -o 'Memory: .*available'")
        ram = int(re.search(r"/(\d+)K available", exact).group(1)) << 10
        expect_that(memory - (1 << 20) <= ram <= memory, f"RAM of {values['memory']}", exact)

    @check("alpha has its CPU, memory and command line")
    def alpha_resources(self):
        self.guest_as_configured(ALPHA)

    @check("beta has its CPU, memory and command line")
    def beta_resources(self):
        self.guest_as_configured(BETA)

    @check("alpha's kernel has nothing to complain about")
    def complaints(self):
        log = self.run(ALPHA, "dmesg", 240)
        expect_that(log.count("\n") > 100, "a kernel log", log)
        found = unexplained(log, self.target.name, COMPLAINTS + "|" + CLOCK_COMPLAINTS)
        expect_that(not found, "no complaints in dmesg but those in docs/linux.md", "\n".join(found))

    @check("alpha's kernel keeps time by a good clock")
    def clocksource(self):
        # The kernel looks at the TSC for a second or two before it takes it for good. In QEMU it never ends that: a read
        # of the PM timer takes longer there than the kernel believes of an undisturbed one.
        self.run(ALPHA, "c=$(echo /sys/devices/system/clocksource/*/curr*)")
        source = self.command(ALPHA, "for i in 1 2 3;do grep -q early $c&&sleep 1;done;cat $c")
        wanted = ["tsc"] if self.target.name.startswith("bochs") else ["tsc", "tsc-early", "acpi_pm"]
        expect_that(source.split()[0] in wanted, f"clocksource {' or '.join(wanted)}", source)

    @check("alpha's kernel uses x2APIC without interrupt remapping, and nothing of KVM that is not there")
    def x2apic(self):
        output = self.run(ALPHA, "dmesg | grep -iE 'x2apic|kvm'")
        for line in ("Hypervisor detected: KVM", "x2apic enabled", "PV spinlocks disabled"):
            expect_that(line in output, line, output)
        wrong = re.search(r"kvm-?clock|async|steal|PV (IPIs|sched)|setup pv", output, re.I)
        expect_that(wrong is None, "no clock, page faults, stolen time or messages of KVM's", output)

    @check("sleep 10 takes ten seconds of the CMOS clock, within 1 %")
    def sleep(self):
        self.define_clocks(ALPHA)
        times = self.command(ALPHA, f"edge;up;sleep {SLEEP_SECONDS};up;edge;up", 300)
        (_, first, begun), (_, _, woken), (_, last, ended) = self.clock_readings(times)
        rate = (ended - begun) / (last - first)
        expect_that(0.99 <= rate <= 1.01, "a second of the kernel in one of the CMOS clock", times)
        slept = (woken - begun) / rate / SLEEP_SECONDS
        expect_that(0.999 <= slept <= 1.01, f"{SLEEP_SECONDS} s slept", times)

    @check("the CMOS clock wakes by its alarm")
    def alarm(self):
        self.run(ALPHA, "cd /sys/class/rtc/rtc0; grep rtc0 /proc/interrupts")
        self.command(ALPHA, "echo +2 >wakealarm; test -n \"$(cat wakealarm)\"")
        self.command(ALPHA, "sleep 4; test -z \"$(cat wakealarm)\"")
        counts = self.command(ALPHA, "grep rtc0 /proc/interrupts; cd").split()
        expect_that(int(counts[1]) >= 1, "an interrupt of the CMOS clock", counts)

    @check("alpha is not offered S3; suspended to idle, the CMOS clock's alarm wakes it")
    def suspend(self):
        states = self.run(ALPHA, "cat /sys/power/mem_sleep").split()
        expect_that(states[0] == "[s2idle]", "s2idle and nothing else", states)
        for state in ("mem", "freeze"):
            self.command(ALPHA, "echo +5 >/sys/class/rtc/rtc0/wakealarm")
            self.command(ALPHA, f"echo {state} >/sys/power/state")
        output = self.command(ALPHA, "dmesg | grep -c 'PM: suspend exit'")
        expect_that(output.split()[0] == "2", "two ends of a suspension", output)

    @check("alpha's kernel knows what PC it is on")
    def product(self):
        output = self.run(ALPHA, "cat /sys/class/dmi/id/product_name")
        expect_that("Bulkhead" in output.split(), "the product name Bulkhead", output)
        self.command(ALPHA, "dmesg | grep 'DMI: Bulkhead Bulkhead/Bulkhead, BIOS 1.0'")

    @check("alpha's virtio driver gets entropy, by MSI-X")
    def entropy(self):
        self.run(ALPHA, "grep virtio_rng /sys/class/misc/hw_random/rng_current")
        self.command(ALPHA, "dd if=/dev/hwrng of=/tmp/r bs=64 count=32 iflag=fullblock")
        distinct = self.command(ALPHA, "od -An -v -w4 -x /tmp/r | sort -u | wc -l")
        expect_that(int(distinct.split()[0]) > 500, "512 words, all but a few of them different", distinct)
        counts = self.command(ALPHA, "grep virtio0-input /proc/interrupts")
        expect_that("PCI-MSI" in counts and int(counts.split()[1]) >= 32, "32 interrupts by MSI-X", counts)

    @check("alpha and beta ping each other over their wire")
    def ping(self):
        for guest, other in ((ALPHA, "10.0.0.2"), (BETA, "10.0.0.1")):
            self.run(guest, "ip addr show dev eth0 | grep LOWER_UP")
            output = self.command(guest, f"ping -c 3 -W 20 {other}")
            expect_that("3 packets received" in output, "3 answers", output)

    @check("a MiB by TCP each way arrives as it was sent")
    def tcp(self):
        for sender, receiver, address in ((ALPHA, BETA, "10.0.0.2"), (BETA, ALPHA, "10.0.0.1")):
            # What nc reads of its own side has to stay open: at its end it would stop listening.
            self.run(receiver, "sleep 300|nc -l -p 9 >/tmp/in & sleep 1")
            self.run(sender, "dd if=/dev/urandom of=/tmp/out bs=64k count=16")
            self.command(sender, f"nc {address} 9 </tmp/out")
            sums = self.command(sender, "md5sum </tmp/out")
            arrived = self.run(receiver, "sleep 1; md5sum </tmp/in")
            expect_that(sums.split()[0] == arrived.split()[0], "the same bytes", f"{sums} {arrived}")
            drops = self.command(receiver, "cat /sys/class/net/eth0/statistics/*errors")
            expect_that(set(drops.split()) == {"0"}, "no errors", drops)

    @check("the image in memory is one and the same for both: programs run from it, nobody writes it")
    def image_in_memory(self):
        for guest in (ALPHA, BETA):
            self.run(guest, "grep -q '/image erofs.*dax=always' /proc/mounts")
            self.image_is_whole(guest)
        # The kernel believes that it can: its write is refused and counted, as one to a PC's ROM.
        self.run(ALPHA, "dd if=/dev/zero of=/dev/pmem0 bs=4k count=4; sync")
        for guest in (ALPHA, BETA):
            self.run(guest, "true")
            self.image_is_whole(guest)

    def image_is_whole(self, guest):
        """To a program that runs from it."""
        sums = self.command(guest, "/image/bin/busybox md5sum /image/*/busybox /image/n*")
        wanted = [md5_of(self.guest_file(os.path.join("image", name))) for name in ("bin/busybox", "numbers")]
        expect_that(re.findall(r"\b[0-9a-f]{32}\b", sums) == wanted, wanted, sums)

    @check("alpha's disk: ext2 on it, written and read again, its serial number, by MSI-X")
    def disk(self):
        self.run(ALPHA, "grep -q scratch /sys/block/vda/serial")
        self.command(ALPHA, "mke2fs /dev/vda >/dev/null; mkdir -p /d")
        self.command(ALPHA, "mount /dev/vda /d")
        self.command(ALPHA, "dd if=/dev/urandom of=/tmp/r bs=64k count=64")
        self.command(ALPHA, "cp /tmp/r /d/r; umount /d; md5sum </tmp/r >/tmp/s")
        self.command(ALPHA, "echo 3 >/proc/sys/vm/drop_caches; mount /dev/vda /d")
        self.command(ALPHA, "md5sum </d/r | cmp - /tmp/s; umount /d; rm /tmp/r")
        counts = self.command(ALPHA, "grep virtio1-req.0 /proc/interrupts")
        expect_that("PCI-MSI" in counts and int(counts.split()[1]) > 20, "interrupts by MSI-X", counts)

    @check("switching replays the scrollback")
    def replay(self):
        self.run(ALPHA, "echo mark-$((40+2))")
        self.view(BETA)
        self.view(ALPHA)
        self.machine.expect(r"mark-42", 60)
        self.machine.expect(r"alpha# ", 60)

    @check("reboot of alpha: it comes back, beta goes on", cannot_run=SLOW)
    def reboot(self):
        before = self.counter()
        self.new_log()
        self.run(ALPHA, "touch /tmp/was-here")
        self.machine.send("reboot\r")
        self.expect_log("alpha", r"reset by the guest, starting again", r"started")
        between = self.counter()
        self.expect_again(ALPHA, begun="reboot: Restarting system.*Linux version")
        self.run(ALPHA, "test ! -e /tmp/was-here")
        after = self.counter()
        expect_that(before < between < after, "beta's counter to go on",
                    f"{before}, {between}, {after}")
        self.run(BETA, "ping -c 3 -W 60 10.0.0.1")

    @check("power-off of alpha: logged, beta still answers")
    def power_off(self):
        before = self.counter()
        self.view(ALPHA)
        self.machine.send("poweroff\r")
        self.expect_log("alpha", r"powered off by the guest")
        answer, _ = self.operator("list")
        expect_that(re.search(r"alpha[^\n]*off", answer), "alpha off in the list", answer)
        expect_that(re.search(r"beta[^\n]*running", answer), "beta running in the list", answer)
        expect_that(self.counter() > before, "beta's counter to go on", before)

    @check("an operator starts alpha again")
    def start_again(self):
        self.operator("start alpha")
        self.expect_again(ALPHA, begun="reboot: Power down.*Linux version")

    @check("stop presses alpha's power button: it switches itself off; start in the same breath starts it", cannot_run=SLOW)
    def power_button(self):
        self.run(ALPHA, "pidof acpid")
        self.new_log()
        self.operator("stop alpha")
        self.operator("start alpha")
        self.expect_log("alpha", r"asked to switch off \(power button\), has 60 s for it$",
                        r"powered off by the guest", r"started by the operator", r"first instruction after")
        self.expect_again(ALPHA, begun="reboot: Power down.*Linux version")

    @check("alpha paused: beta goes on, alpha's clocks stand still; it has missed nothing and complains of nothing")
    def pause(self):
        def uptime(guest):
            return float(self.run(guest, "cut -d' ' -f1 /proc/uptime").split()[0])

        self.run(ALPHA, "dmesg -c >/dev/null")
        beta, alpha = uptime(BETA), uptime(ALPHA)
        self.new_log()
        self.operator("pause alpha")
        self.expect_log("alpha", r"paused: its clocks stand still")
        self.run(BETA, f"sleep {SLEEP_SECONDS}")
        answer, _ = self.operator("list")
        expect_that(re.search(r"alpha[^\n]*paused", answer), "alpha paused in the list", answer)
        self.operator("resume alpha")
        self.expect_log("alpha", r"resumed: its clocks are \d+\.\d{3} s behind")
        alpha, beta = uptime(ALPHA) - alpha, uptime(BETA) - beta
        expect_that(beta - alpha >= SLEEP_SECONDS, "alpha's clock to have stood still", f"alpha {alpha} s, beta {beta} s")
        log = self.run(ALPHA, "sleep 1; dmesg")
        found = unexplained(log, self.target.name, r"stall|lockup|" + CLOCK_COMPLAINTS)
        expect_that(not found, "no complaint", "\n".join(found))

    @check("an operator kills beta while it sleeps")
    def kill_sleeping(self):
        self.new_log()
        self.operator("kill beta")
        self.expect_log("beta", r"stopped by the operator")
        answer, _ = self.operator("list")
        expect_that(re.search(r"beta[^\n]*stopped", answer), "beta stopped in the list", answer)
