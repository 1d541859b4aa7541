# SPDX-License-Identifier: GPL-2.0-or-later
"""The frame of the system tests: a boot is expensive, so one Boot serves many checks.

A Boot makes a stick, starts a machine and then runs its checks in the order of the file; each check is a
test with a name, a result and a command that runs it again. Owns the console protocol (views, operator
prompt, log lines) so that the tests speak of guests and not of keys. Boots run side by side, each in a thread.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from machine import SCALE, Expected

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORTH_TELLING = 5       # seconds of a check
# Of a machine's time, waited for a CPU of this PC: more than its guests' clocks can hide.
STARVED = 0.05
LOG_LINE = re.compile(r"\[ *(\d+\.\d{6})\] cpu(\d+)(?: ([a-z0-9-]+))?: ([^\r\n]*)")
GRAVE_LINE = re.compile(r"[^\r\n]*\[ *\d+\.\d{6}\] cpu\d+[^\r\n]*: (?:warning|error): [^\r\n]*")


def check(name, required=False, cannot_run=None):
    """
    Marks a method as a test. If a required one fails, the rest of that boot is not tried. cannot_run: as of a Boot.
    """
    def mark(method):
        method.check_name, method.required = name, required
        method.cannot_run = cannot_run or {}
        return method
    return mark


def expect_that(condition, expected, seen):
    if not condition:
        raise Expected(expected, str(seen))


class Boot:
    """
    needs_machine: False for what runs once, on the target "host". last: only after all others are through. cannot_run:
    target's name -> reason. seconds: about how long it takes in Bochs; the longest begins first. heavy: the names
    of targets where it runs only when it is named. starts_hypervisor: False for what is refused before. keeps_time:
    False for what no other boot beside it disturbs, because no guest in it measures its own speed.
    """
    name = "unnamed"
    needs_machine, last = True, False
    cannot_run = {}
    heavy = ()
    seconds = 30
    machine_cpus = 2
    machine_memory = 1024
    machine_virtualization = True
    starts_hypervisor = True
    keeps_time = True
    machine_devices = ()        # in QEMU: more of them
    group = None                # a name for several boots together
    targets = None              # names of the only ones that can be such a machine
    machine_options = {}        # further arguments of the target's start()
    network = None              # in QEMU: {"folder": served by TFTP, "file": to be started, "first": before the disk}
    line = None                 # in QEMU: the arguments for another serial line than COM1
    # Few instructions a second where a test waits for the serial line, whose speed is in machine time; more
    # where Linux boots, which has work to do at every tick.
    machine_ips = 10_000_000
    # In QEMU: time is the number of instructions, each of 2^N nanoseconds, whatever else this PC does; and one thread for all
    # CPUs. What waits for time to pass is over the sooner the longer they are.
    machine_icount = None

    def __init__(self, build, target, folder):
        self.build, self.target, self.folder = build, target, folder
        self.machine = None
        self.log_seen, self.log_from = -1.0, (None, 0)  # in seconds; and where in what which line said
        self.viewed = None      # the view, once one was asked for
        self.tag = 0

    # What a test overrides.
    def image(self):
        raise NotImplementedError

    # Sticks.
    efi_file = "BOOTX64.EFI"        # in the build's folder: the application on the stick

    def make_stick(self, files):
        """files: path on the stick -> file, or bytes to be written to one."""
        os.makedirs(self.folder, exist_ok=True)
        arguments = ["EFI/BOOT/BOOTX64.EFI=" + os.path.join(self.build, self.efi_file)]
        for number, (path, source) in enumerate(files.items()):
            if isinstance(source, bytes):
                name = os.path.join(self.folder, f"file{number}")
                with open(name, "wb") as file:
                    file.write(source)
                source = name
            arguments.append(f"{path}={source}")
        image = os.path.join(self.folder, "stick.img")
        subprocess.run([sys.executable, os.path.join(ROOT, "tools/mkusb"), "--id", "test", "-o", image, *arguments],
                       check=True)
        return image

    def file_on_stick(self, path):
        """A text that was written there since the machine was started."""
        disk = os.path.join(self.folder, "disk.img")
        done = subprocess.run(["mtype", "-i", f"{disk}@@1M", f"::{path}"], env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = done.stdout.decode("utf-8", "replace")
        expect_that(done.returncode == 0, f"{path} on the stick", text)
        return text

    def guest_file(self, name):
        return os.path.join(self.build, "guests", name)

    def bhcheck_machine(self, hardware, config):
        """What bhcheck says of that config, whose guests have testguest, on the machine of a hardware.toml; its exit status."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            for path, content in (("bulkhead/bulkhead.toml", config.encode()), ("hardware.toml", hardware.encode()),
                                  ("EFI/BOOT/BOOTX64.EFI", b"MZ"), ("guests/testguest", None)):
                os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
                if content is None:
                    shutil.copy(self.guest_file("testguest"), os.path.join(folder, path))
                else:
                    with open(os.path.join(folder, path), "wb") as file:
                        file.write(content)
            done = subprocess.run([os.path.abspath(os.path.join(self.build, "bhcheck")), "--machine", "hardware.toml", "."],
                                  cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.stdout, done.returncode

    def physical_word(self, address):
        """In QEMU: 32 bits of the machine's memory, or of a register."""
        said = self.machine.monitor.human(f"xp /1xw {address:#x}")
        return int(re.search(r": (0x[0-9a-f]{8})\s*$", said)[1], 16)

    # The firmware's screen.
    def press(self, pattern, what):
        """A key, again while nothing comes of it: what comes right after a prompt is often dropped; one more does no harm."""
        for left in reversed(range(50)):
            self.machine.send(" ")
            try:
                return self.machine.expect(pattern, 2 if left > 0 else 20, what)
            except Expected:
                if left == 0:
                    raise

    def refusal(self):
        """Everything up to the request for a key, with page breaks answered."""
        pattern = r"-- more: press a key|Press\s+any\s+key\s+to\s+return\s+to\s+the\s+firmware"
        what = "a refusal that asks for a key"
        start = self.machine.serial.mark
        match = self.machine.expect(pattern, 120, what)
        while "more" in match.group():
            match = self.press(pattern, what)
        return self.machine.serial.text[start:match.end()]

    # The console.
    def view(self, number):
        """Switches to a console; what follows is its scrollback, then what it says now."""
        name = "log" if number == 0 else r"[a-z0-9-]+"
        self.viewed = number
        self.machine.send("\x1d" + str(number))
        self.machine.expect(rf"\[bulkhead\] console {number}/\d+: {name} - Ctrl-\]", 120,
                            f"the status line of console {number}")

    def look_at(self, number):
        """Switches there unless it is there: each switch prints what was already seen, at the speed of the line."""
        if self.viewed != number:
            self.view(number)

    def operator(self, command):
        """Types a command at the operator prompt; returns its answer, and all since the switch to it, if it came to one.

        What ends a guest that runs is asked for twice: the word for that is typed at once.
        """
        if re.fullmatch(r"(kill|reset) \S+", command):
            command += " yes"
        self.look_at(0)
        start = self.machine.serial.mark
        self.tag += 1
        # The prompt comes after the scrollback: a tag in it, taken back with Ctrl-U, tells that we are there.
        self.machine.send(f"x{self.tag}")
        self.machine.expect(rf"bulkhead> x{self.tag}", 120, "the operator prompt")
        self.machine.send(f"\x15{command}\r")
        self.machine.expect(rf"bulkhead> {re.escape(command)}[ \t]*\r?\n", 60,
                            f"the echo of {command!r} at the operator prompt")
        answer = self.machine.serial.mark
        self.machine.expect(r"(?=bulkhead> )", 60)      # what is typed next is sent without it
        text = self.machine.serial.text
        return text[answer:self.machine.serial.mark], text[start:self.machine.serial.mark]

    def new_log(self):
        """The log lines that came since the last call: (seconds, cpu, vm or None, text)."""
        serial, start = self.log_from
        self.operator("list")
        self.operator("list")           # a line may come between the answer and the prompt
        end = self.machine.serial.mark
        text = self.machine.serial.text[start if serial == self.machine.serial else 0:end]
        self.log_from = self.machine.serial, end
        lines = {(float(t), int(c), vm, line) for t, c, vm, line in LOG_LINE.findall(text)}     # each switch replays some
        fresh = sorted((line for line in lines if line[0] > self.log_seen), key=lambda line: line[0])
        if fresh:
            self.log_seen = max(line[0] for line in fresh)
        return fresh

    def expect_log(self, vm, *patterns):
        """Each pattern must be found in a fresh log line of that VM."""
        self.expect_logs(*((vm, pattern) for pattern in patterns))

    def expect_logs(self, *expected):
        """The same for (VM, pattern) of several VMs, whose lines come in any order."""
        lines, missing = [], list(expected)
        deadline = time.monotonic() + 120 * SCALE
        while missing and time.monotonic() < deadline:
            lines += self.new_log()
            missing = [(vm, p) for vm, p in missing
                       if not any(v == vm and re.search(p, line) for _, _, v, line in lines)]
        shown = "\n".join(f"{t:.6f} cpu{c} {v}: {line}" for t, c, v, line in lines)
        expect_that(not missing, f"log lines {missing}", shown or "(no new log lines)")

    def panic_is_over(self):
        """The panic's last line is there; in the build of `make coverage` its counters have come, too."""
        if os.environ.get("BULKHEAD_COVERAGE"):
            self.machine.expect(r">>coverage", 240, "the panic's counters")

    def collect_counters(self):
        """In the build of `make coverage` the operator's host-reset prints its counters first; a panic prints them last."""
        if not self.starts_hypervisor or self.machine is None or self.machine.serial.closed:
            return
        serial = self.machine.serial
        panic = serial.text.find("The machine is stopped")
        serial.mark = panic if panic >= 0 else len(serial.text)
        if panic < 0:
            self.machine.send("\x1d0\x15host-reset yes\r")
        try:
            self.machine.expect(r"<<gcda", 15)
            self.machine.expect(r">>coverage", 240)
        except Expected:
            print(f"# {self.target.name}: {self.name} gave no counters of the hypervisor at its end", flush=True)

    def statistics(self, vm):
        """stats NAME, summed over the vCPUs."""
        return self.counters_of(self.operator("stats " + vm)[0])

    def holdings(self, names):
        """What each of these guests has, by the tables in use, and how much of its records: name -> (rows, bytes)"""
        return {name: (re.findall(r"^  (\S[^\r\n]*)", self.operator(f"map {name}")[0], re.M),
                       self.statistics(name)["records-bytes"]) for name in names}

    def expect_holdings(self, before):
        """Each of them has what it had; and its tables, read once more, are as planned."""
        after = self.holdings(before)
        for name, (rows, records) in before.items():
            lost, more = set(rows) - set(after[name][0]), set(after[name][0]) - set(rows)
            expect_that(not lost and not more, f"the map of {name} to be what it was", f"lost {lost}, new {more}")
            expect_that(after[name][1] == records, f"{records} bytes of records", after[name][1])
            self.operator(f"audit {name}")
            self.expect_log(name, "audit: nested tables, compartment and bitmaps are as planned")

    @staticmethod
    def counters_of(answer):
        """name -> sum of the numbers: a line is [vcpuN ]NAME NUMBER."""
        sums = {}
        for name, value in re.findall(r"(?:vcpu\d+ )?([a-z][a-z0-9 -]*?) +(\d+)\s*\r?\n", answer):
            sums[name] = sums.get(name, 0) + int(value)
        return sums


class Report:
    """
    Counts and prints; a boot's results come in one piece. What failed, and what was run once more, is told again at the end,
    where one looks.
    """

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures, self.repeated, self.repeat_seconds = [], [], 0
        self._lock = threading.Lock()

    def show(self, heading, results):
        """results: (name, error or None, command that runs it again or None if it was not tried, seconds it took)"""
        with self._lock:
            print(f"# {heading}")
            for result in results:
                self._result(*result)
            sys.stdout.flush()

    def _result(self, name, error, again, seconds=0):
        self.passed += error is None
        self.failed += error is not None
        number = self.passed + self.failed
        took = f" # {seconds:.0f} s" if seconds >= WORTH_TELLING else ""
        print(f"{'not ok' if error else 'ok'} {number} - {name}{took}")
        if error:
            for line in self.explain(error, again):
                print("#   " + line)
            if again is not None:
                self.failures.append((number, name, error, again))

    @staticmethod
    def explain(error, again, lines=30):
        if again is None:
            return ["not tried, because a test before it failed"]
        seen = getattr(error, "seen", "").replace("\r", "").rstrip()[-2000:]
        shown = ["seen:"] + ["  " + line for line in seen.split("\n")[-lines:]] if seen else []
        grave = getattr(error, "grave", [])[:lines]
        grave = ["the log meanwhile:"] + ["  " + line for line in grave] if grave else []
        return [f"expected: {getattr(error, 'expected', repr(error))}", *grave, *shown, f"again: {again}"]

    def repeat(self, boot, why, results, seconds):
        """What failed in a boot that is run once more does not count, and is not lost."""
        lines = [f"{boot}: once more, for {why}. The first time failed:"]
        for name, error, again, _ in results:
            if error is not None and again is not None:
                lines += [name, *("  " + line for line in self.explain(error, again, lines=12))]
        self.repeated.append(lines)
        self.repeat_seconds += seconds
        self.note("\n#   ".join(lines))

    def note(self, text):
        with self._lock:
            print(f"# {text}", flush=True)

    def skip(self, what, why):
        with self._lock:
            self.skipped += 1
            print(f"skipped: {what}: {why}", flush=True)

    def silence(self):
        """Nothing is printed from here on."""
        self._lock.acquire()

    def last_line(self):
        for lines in self.repeated:
            print("# " + "\n#   ".join(lines))
        for number, name, error, again in self.failures:
            print(f"# failed: {number} - {name}")
            for line in self.explain(error, again, lines=12):
                print("#   " + line)
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)


def checks_of(boot_class):
    members = [m for base in reversed(boot_class.__mro__) for m in vars(base).values()]
    return [m for m in members if hasattr(m, "check_name")]


def chosen_checks(boot_class, target, wanted):
    """wanted: None for all checks, else names; required ones before the last wanted run along."""
    checks = [c for c in checks_of(boot_class) if target.name not in c.cannot_run]
    if wanted is None:
        return checks
    last = max((i for i, c in enumerate(checks) if c.check_name in wanted), default=-1)
    return [c for c in checks[:last + 1] if c.required or c.check_name in wanted]


def ask_for_log(boot):
    """What the log says of a failure may stand in no view that was looked at."""
    view = boot.viewed
    if view is not None and not boot.machine.serial.closed:
        try:
            boot.operator("dmesg")
            boot.look_at(view)
        except Expected:        # the prompt does not answer: that will be why
            pass


def look_into(boot, failure, said):
    """Adds to a failure what the log has told of warnings and errors since so much was said."""
    ask_for_log(boot)
    failure.grave = list(dict.fromkeys(GRAVE_LINE.findall(boot.machine.serial.text[said:])))


def starvation(boot, target):
    """For how long its emulator had no CPU while its guests' time went on, in words, if that can be why a check failed."""
    if not target.alone or boot.machine_icount is not None:
        return None
    waited, passed = boot.machine.waited(), time.monotonic() - boot.machine.begun
    if waited < STARVED * passed:
        return None
    return f"its emulator waited {waited:.1f} of {passed:.0f} s for a CPU of this PC, by whose clock its guests live"


def run_boot(boot_class, build, target, wanted):
    """
    Runs a boot's checks; returns their results as Report.show() takes them, and, if one failed, why it should be run once more, in
    words: the emulator is to blame, or this PC.
    """
    folder = os.path.join(os.path.abspath(build), "test", target.name, boot_class.name)
    boot = boot_class(os.path.abspath(build), target, folder)
    again = (f"{os.path.basename(sys.executable)} tests/system/run.py --build {build} "
             f"--target {target.name} {boot_class.name}/")
    results, broken, tried, blame = [], None, True, None
    try:
        try:
            if boot.needs_machine:
                boot.machine = target.start(boot.image(), folder, cpus=boot.machine_cpus,
                                            memory=boot.machine_memory, ips=boot.machine_ips,
                                            icount=boot.machine_icount,
                                            virtualization=boot.machine_virtualization,
                                            **({"network": boot.network} if boot.network else {}),
                                            **({"line": boot.line} if boot.line else {}),
                                            **({"devices": boot.machine_devices} if boot.machine_devices else {}),
                                            **boot.machine_options)
        except Exception as error:          # no machine: every check says so
            broken = error
        for method in chosen_checks(boot_class, target, wanted):
            error, begun = broken, time.monotonic()
            said = len(boot.machine.serial.text) if boot.machine else 0
            if error is None:
                try:
                    method(boot)
                except Exception as failure:
                    error = failure
                    if boot.machine:
                        look_into(boot, failure, said)
                        emulator = target.blame(boot.machine, build)
                        blame = blame or emulator or starvation(boot, target)
                        broken = failure if emulator else broken        # to wait for more is in vain
                    if method.required or (boot.machine and boot.machine.serial.closed):
                        broken = failure
            results.append((f"{target.name}: {boot_class.name}/{method.check_name}", error,
                            again + shlex.quote(method.check_name) if tried else None,
                            time.monotonic() - begun))
            tried = broken is None
    finally:
        if os.environ.get("BULKHEAD_COVERAGE"):
            boot.collect_counters()
        if boot.machine:
            boot.machine.stop()
    return results, blame
