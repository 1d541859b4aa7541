# SPDX-License-Identifier: GPL-2.0-or-later
"""The targets: emulated machines, each with its serial line.

Owns starting and ending the emulator, the two directions of COM1, QEMU's monitor, and what a target needs of
this PC. Knows nothing of what runs inside; frame.py, the tests, run_demo.py and bench.py build on it. Deadlines
are a safety net in wall-clock seconds (BULKHEAD_TIMEOUT_SCALE stretches them); no test may draw a conclusion from
time. Several machines may run at once, each in a thread of its own.
"""
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

SCALE = float(os.environ.get("BULKHEAD_TIMEOUT_SCALE", "1"))
# Code, variables, machine. One that can do Secure Boot keeps its variables by SMM.
WITH_SMM = ["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
            "-global", "ICH9-LPC.disable_s3=1"]
FIRMWARES = {
    "usual": ("OVMF_CODE.fd", "OVMF_VARS.fd", ["-machine", "q35"]),
    "large": ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", ["-machine", "q35"]),
    "secure": ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd", WITH_SMM),
    "without-keys": ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd", WITH_SMM),
}
FIRMWARE_FOLDER = "/usr/share/OVMF"
HEADS, SECTORS, SECTOR_SIZE = 16, 63, 512
QEMU_SCREEN = 1024, 768
NICE = 5
USB_STICK = "qemu-xhci", "usb-storage,drive=stick,bootindex=1"

# Control sequences of terminals: the firmware positions its cursor.
ANSI = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]")
ANSI_BEGUN = re.compile(r"\x1b(\[[0-9;?=]*)?$")

BOCHS_CONFIG = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
plugin_ctrl: biosdev=true, busmouse=false, e1000=false, es1370=false, extfpuirq=true, parallel=false, sb16=false, serial=true, speaker=false, unmapped=true
memory: host={memory}, guest={memory}
romimage: file="/usr/share/ovmf/OVMF.fd", address=0xffe00000, options=none
vgaromimage: file="/usr/share/bochs/VGABIOS-lgpl-latest"
boot: disk
ata0: enabled=true, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="{disk}", mode=flat, cylinders={cylinders}, heads=16, spt=63
pci: enabled=1, chipset=i440fx
vga: extension=vbe, update_freq=5
cpu: count={cpus}, ips={ips}, model={model}, reset_on_triple_fault=0, ignore_bad_msrs=1, mwait_is_nop=0
clock: sync=none, time0=946681200
log: {log}
debug: action=ignore
info: action=report
error: action=report
panic: action=fatal
com1: enabled=true, mode=socket-client, dev=localhost:{port}
magic_break: enabled={magic}
"""


class Expected(Exception):
    """What a test waited for did not come."""

    def __init__(self, expected, seen):
        super().__init__(f"expected {expected}")
        self.expected, self.seen = expected, seen


class Line:
    """A TCP connection that the emulator opens."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1)
        self._socket = None
        self.port = self._listener.getsockname()[1]

    def accept(self, process):
        """Waits for the emulator to connect; it does so before it runs anything."""
        self._listener.settimeout(0.5)
        deadline = time.monotonic() + 30 * SCALE
        while self._socket is None:
            try:
                self._socket, _ = self._listener.accept()
            except socket.timeout:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Expected("the emulator to connect (see emulator.txt)", "") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self._listener.close()
        if self._socket:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)     # who waits for something to come is told
            except OSError:                                 # closed at the other end
                pass
            self._socket.close()


class Serial(Line):
    """The far end of the serial line: everything received, as text without terminal control."""

    def __init__(self, log_path, on_bytes=None):
        super().__init__()
        self.text, self.mark, self.closed = "", 0, False
        self._rest, self._receiver = "", None
        self._log = open(log_path, "wb")
        self._changed = threading.Condition()
        self.on_bytes = on_bytes

    def accept(self, process):
        super().accept(process)
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._receiver.start()

    def _receive(self):
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            data += self._what_follows()
            self.hear(data)
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def hear(self, data):
        """What has come, over this line or in place of it."""
        self._log.write(data)
        self._log.flush()
        if self.on_bytes:
            self.on_bytes(data)
        text = self._rest + data.decode("latin-1")
        begun = ANSI_BEGUN.search(text)
        self._rest = text[begun.start():] if begun else ""
        with self._changed:
            self.text += ANSI.sub("", text[:begun.start()] if begun else text)
            self._changed.notify_all()

    def _what_follows(self):
        """
        What comes within a moment: an emulator sends single bytes, and to look at all that was said after each costs a
        quarter of a CPU.
        """
        time.sleep(0.01)
        try:
            return self._socket.recv(65536, socket.MSG_DONTWAIT)
        except OSError:         # nothing
            return b""

    def expect(self, pattern, timeout=60, what=None):
        """Waits until pattern matches after what was matched last; returns the match. Moves on behind it."""
        regex = re.compile(pattern, re.S)
        deadline = time.monotonic() + timeout * SCALE
        with self._changed:
            while True:
                match = regex.search(self.text, self.mark)
                if match:
                    self.mark = match.end()
                    return match
                left = deadline - time.monotonic()
                if self.closed or left <= 0:
                    end = "the serial line closed" if self.closed else f"{timeout * SCALE:.0f} s"
                    raise Expected(what or f"/{pattern}/ (until {end})", self.text[self.mark:])
                self._changed.wait(left)

    def send(self, text):
        """Types text in pieces smaller than a UART's FIFO, so that a slow reader loses nothing."""
        data = text.encode("latin-1")
        for i in range(0, len(data), 8):
            self.send_raw(data[i:i + 8])
            time.sleep(0.02)

    def send_raw(self, data):
        try:
            self._socket.sendall(data)
        except OSError:
            raise Expected("the serial line to be open", self.text[self.mark:]) from None

    def close(self):
        super().close()
        if self._receiver:
            self._receiver.join()
        self._log.close()


class Monitor(Line):
    """QEMU's machine protocol: one command at a time, events are not listened to."""

    def accept(self, process):
        super().accept(process)
        self._socket.settimeout(60 * SCALE)
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lines.readline()                  # the greeting
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        request = {"execute": name, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        for line in self._lines:
            answer = json.loads(line)
            if "error" in answer:
                raise Expected(f"the emulator to do {name}", line)
            if "return" in answer:
                return answer["return"]
        raise Expected(f"the emulator's answer to {name}", "")

    def human(self, line, **arguments):
        """A line as a person types it to QEMU's monitor; what it answers."""
        return self.command("human-monitor-command", **{"command-line": line, **arguments})


def address_behind(build, function, instruction):
    """Of the first such instruction of a function of the core: where the next one lies in its text."""
    code = subprocess.run(["objdump", "-d", f"--disassemble={function}", os.path.join(build, "bulkhead.elf")],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(re.search(rf"\t{instruction}\b[^\n]*\n *([0-9a-f]+):", code).group(1), 16)


def unmapped_at_once(log):
    """
    Has a guest on the first CPU ended like this? It goes on behind an exit, and to fetch the very next instruction, of a page that
    it has just run on, is a page fault, as is the handler: its tables' addresses are taken for the machine's.
    """
    for report in re.findall(r"cpu0 \S+ error: stopped: triple fault.*?policy: on_crash", log, re.S):
        rips = [int(rip, 16) for rip in re.findall(r":   exit +\d+\.\d{9} rip (0x[0-9a-f]+) ", report)]
        fetch = re.search(r"exit-event +0000001[04]80000b0e", report)
        if fetch and len(rips) > 1 and rips[-1] >> 12 == rips[-2] >> 12:
            return True
    return False


def sleeps_for_ever(monitor, halts):
    """Is QEMU's first CPU halted there, with interrupts on and one pending that nothing holds back, and a second later as well?"""
    for seconds in (1, 0):
        state, apic = (monitor.human(line, **{"cpu-index": 0})
                       for line in ("info registers", "info lapic"))
        rip, flags = (int(re.search(rf"{name}=([0-9a-f]+)", state).group(1), 16) for name in ("RIP", "RFL"))
        pending = re.search(r"^IRR\s+(.*)$", apic, re.M).group(1)
        most = max(map(int, re.findall(r"\b\d+\b", pending)), default=0)
        held = int(re.search(r"PPR (0x[0-9a-f]+)", apic).group(1), 16)
        if "HLT=1" not in state or rip not in halts or not flags & 0x200 or most >> 4 <= held >> 4:
            return False
        time.sleep(seconds)
    return True


class Machine:
    """
    One run: folder gets serial.txt, the emulator's own output and its copy of the disk. yields.wanted: those that this thread
    starts are nice to the others.
    """

    running = set()
    yields = threading.local()

    def __init__(self, command, serial, folder, disk, monitor=None):
        self.serial, self.folder, self.monitor, self._disk = serial, folder, monitor, disk
        yields = getattr(self.yields, "wanted", False)
        command = ["nice", "-n", str(NICE), *command] if yields else command
        self._output = open(os.path.join(folder, "emulator.txt"), "wb")
        # Its own session, out of the reach of Ctrl-C, and killed when the thread that started it ends.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], cwd=folder,
                                        stdin=subprocess.DEVNULL, stdout=self._output,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        if yields:
            yield_session(self.process.pid)
        self.running.add(self)
        self.begun = time.monotonic()
        try:
            serial.accept(self.process)
            if monitor:
                monitor.accept(self.process)
        except BaseException:
            self.stop()
            raise
        self.expect, self.send = serial.expect, serial.send

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.serial.close()
        if self.monitor:
            self.monitor.close()
        self._output.close()
        remove(self._disk)
        self.running.discard(self)

    def waited(self):
        """Seconds so far for which one of its threads, the worst off, was ready to run and had no CPU of this PC."""
        longest = 0
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/schedstat"):
            try:
                with open(path, encoding="ascii") as file:
                    longest = max(longest, int(file.read().split()[1]))
            except OSError:         # the thread has just ended
                pass
        return longest / 1e9

    @classmethod
    def stop_all(cls):
        for machine in list(cls.running):
            machine.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def yield_session(pid):
    """Linux may share out its time among sessions first, however nice their programs are: sched(7), "The autogroup feature"."""
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
            file.write(str(NICE))
    except OSError:             # it has no such feature, or has just had such a request of ours
        pass


def remove(disk):
    """The disk and the lock that Bochs leaves behind when it is killed."""
    for path in (disk, disk + ".lock"):
        if os.path.exists(path):
            os.unlink(path)


def copy_disk(image, folder):
    """The emulator writes to its disk, so it gets a copy, padded to whole cylinders."""
    disk = os.path.join(folder, "disk.img")
    remove(disk)
    subprocess.run(["cp", "--sparse=always", image, disk], check=True)
    cylinder = HEADS * SECTORS * SECTOR_SIZE
    cylinders = -(-os.path.getsize(disk) // cylinder)
    os.truncate(disk, cylinders * cylinder)
    return disk, cylinders


class Target:
    """
    vendor: what it tests, VT-x or AMD-V. needs_machine: False for the one that is no emulator. seconds: about how long
    its firmware takes, and its slowness against others. alone: its clock is this PC's, so that a guest which measures
    its own speed must not be held up by another boot. tells_power_off: its firmware has ACPI tables, and so says how
    to switch the machine off. why_not() says why it cannot run here, or None.
    """
    needs_machine, seconds, alone, tells_power_off = True, 0, False, True

    def __init__(self, name, vendor, where):
        self.name, self.vendor, self.where = name, vendor, where

    def why_not(self):
        return None

    def blame(self, machine, build):
        """What a machine shows that only the emulator can have done, in words; None = nothing."""
        return None


class Host(Target):
    """Tests of files alone, and of what other tests left behind: once, and not in a machine."""
    needs_machine = False


class Bochs(Target):
    """
    model has VT-x or AMD-V; without is an older one of the same maker that has not; older has less of it, newer more.
    Instead of these words a boot may name one of Bochs's models.
    """
    seconds = 15
    tells_power_off = False

    def __init__(self, name, vendor, model, without, older=None, newer=None):
        super().__init__(name, vendor, "in Bochs")
        self.models = {True: model, False: without, "older": older, "newer": newer}

    def why_not(self):
        return None if shutil.which("bochs") else "bochs is not installed"

    def start(self, *args, **options):
        """As start_once(). Two that begin in the same moment may want the same port for their screens: then again."""
        for left in (2, 1, 0):
            try:
                return self.start_once(*args, **options)
            except Expected:
                if left == 0:
                    raise

    def start_once(self, image, folder, cpus=2, memory=1024, ips=50_000_000, virtualization=True,
                   debugger="c\n", magic=False, icount=None, on_bytes=None):
        """
        ips: instructions in one second of the machine's time, so its speed against timers and serial line. icount: time
        is the number of instructions here in any case.
        """
        folder = os.path.abspath(folder)
        os.makedirs(folder, exist_ok=True)
        disk, cylinders = copy_disk(image, folder)
        serial = Serial(os.path.join(folder, "serial.txt"), on_bytes)
        config = BOCHS_CONFIG.format(memory=memory, disk=disk, cylinders=cylinders, cpus=cpus,
                                     model=self.models.get(virtualization, virtualization), ips=ips,
                                     log=os.path.join(folder, "bochs.log"), port=serial.port,
                                     magic=int(magic))
        for name, text in (("bochs.bxrc", config), ("debugger.txt", debugger)):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(text)
        command = ["bochs", "-q", "-f", "bochs.bxrc", "-rc", "debugger.txt"]
        return Machine(command, serial, folder, disk)


class Qemu(Target):
    seconds, alone = 4, True

    def __init__(self, name, vendor, where, accel, cpu):
        super().__init__(name, vendor, where)
        self.accel, self.cpu = accel, cpu

    def why_not(self):
        return None if shutil.which("qemu-system-x86_64") else "qemu-system-x86_64 is not installed"

    def blame(self, machine, build):
        """
        QEMU, its CPUs in threads of their own: an FXRSTOR, XRSTOR or FLDENV on any CPU clears IGNNE# of the first CPU, by
        rewriting that one's hflags2 without a lock (cpu_clear_ignne()). What the first CPU has changed there meanwhile is undone.
        Three such things can be told from a fault of ours:

        - that nested paging ends with a #VMEXIT: then the host's next instruction, right behind VMRUN, makes a nested fault, at
          its own CR3. No guest and no code of the core can make such a crash report.
        - that it begins with a VMRUN: see unmapped_at_once().
        - that STGI lets interrupts in: the host's next HLT, which stands behind STI, sleeps on with one pending.
        """
        if self.accel != "tcg":
            return None
        text = machine.serial.text
        bases = {int(base, 16) for base in re.findall(r"text at (0x[0-9a-f]+)", text)}
        rips = {base + address_behind(build, "svm_enter_context", "vmrun") for base in bases}
        if any(f"at {rip:#x} (compartment.elf)" in text or f"rip {rip:016x}" in text for rip in rips):
            return "QEMU left nested paging on after a #VMEXIT"
        if unmapped_at_once(text):
            return "QEMU left nested paging off at a VMRUN"
        halts = {base + address_behind(build, "plat_wait", "hlt") for base in bases}
        if not machine.serial.closed and sleeps_for_ever(machine.monitor, halts):
            return "QEMU's first CPU sleeps in HLT with an interrupt pending"
        return None

    def start(self, image, folder, cpus=2, memory=1024, ips=None, virtualization=True,
              icount=None, network=None, on_bytes=None, gdb=None, devices=(), line=None, screens=None, extra=(),
              firmware="usual", machine=None, cpu=None, stick=USB_STICK):
        """
        It runs as fast as it can, whatever ips says. icount: its time is the number of instructions, each of 2^icount
        nanoseconds. gdb: the port where a debugger may join. devices: more of them, as -device takes them. line: what it
        has instead of COM1, a device on the character device "line". screens: other devices instead of the usual one.
        extra: further words of the command. firmware: of FIRMWARES; with "secure" Secure Boot is on, with Debian's keys for
        tests. machine, cpu: as -machine and -cpu take them. stick: what the disk is, as -device takes it.
        """
        del ips
        folder = os.path.abspath(folder)
        os.makedirs(folder, exist_ok=True)
        disk, _ = copy_disk(image, folder)
        variables = os.path.join(folder, "variables.fd")
        code, first_variables, usual = FIRMWARES[firmware]
        subprocess.run(["cp", os.path.join(FIRMWARE_FOLDER, first_variables), variables], check=True)
        serial, monitor = Serial(os.path.join(folder, "serial.txt"), on_bytes), Monitor()
        pflash = "if=pflash,format=raw,unit="
        command = ["qemu-system-x86_64", *(["-machine", machine] if machine else usual), "-accel", self.accel,
                   "-cpu", (cpu or self.cpu) + ("" if virtualization else ",-vmx,-svm"),
                   "-smp", str(cpus), "-m", str(memory), "-display", "none",
                   "-vga", "none", *self.screen_devices(screens),
                   "-drive", pflash + "0,readonly=on,file=" + os.path.join(FIRMWARE_FOLDER, code),
                   "-drive", pflash + "1,file=" + variables,
                   "-drive", "if=none,id=stick,format=raw,file=" + disk,
                   *[word for device in stick for word in ("-device", device)],
                   "-chardev", f"socket,id=monitor,host=127.0.0.1,port={monitor.port}",
                   "-mon", "chardev=monitor,mode=control"]
        command += ["-serial", "none", "-chardev", f"socket,id=line,host=127.0.0.1,port={serial.port}"]
        command += line or ["-device", "isa-serial,chardev=line"]
        command += [] if icount is None else ["-icount", f"shift={icount},sleep=off"]
        command += self.network_card(**network) if network else ["-net", "none"]
        command += ["-gdb", f"tcp:127.0.0.1:{gdb}"] if gdb else []
        command += [word for device in devices for word in ("-device", device)]
        command += extra
        return Machine(command, serial, folder, disk, monitor)


    @staticmethod
    def screen_devices(screens):
        """Their ids are screen0, screen1 and so on."""
        if screens is None:
            screens = ["VGA,edid=on,xres={},yres={}".format(*QEMU_SCREEN)]
        return [word for number, screen in enumerate(screens) for word in ("-device", f"{screen},id=screen{number}")]

    @staticmethod
    def network_card(folder, file, first):
        """One whose network starts that file; the firmware asks it before the disk if first."""
        return ["-netdev", f"user,id=net,tftp={folder},bootfile={file}",
                "-device", "virtio-net-pci,netdev=net,romfile=" + (",bootindex=0" if first else ""),
                # The firmware would try for minutes.
                "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=no"]


class Kvm(Qemu):
    """QEMU on this PC's own VT-x or AMD-V, nested."""
    seconds = 2

    def __init__(self, name):
        self.flag, self.module, vendor = self.host()
        super().__init__(name, vendor, "of this PC, nested in KVM", "kvm", "host")

    @staticmethod
    def host(cpuinfo="/proc/cpuinfo"):
        """What this PC's CPU has: (flag, kernel module, name)."""
        with open(cpuinfo, encoding="ascii", errors="replace") as file:
            flags = re.search(r"^flags\s*:(.*)$", file.read(), re.M)
        for found in (("vmx", "kvm_intel", "VT-x"), ("svm", "kvm_amd", "AMD-V")):
            if flags and found[0] in flags.group(1).split():
                return found
        return None, None, None

    def why_not(self, device="/dev/kvm", modules="/sys/module"):
        if not self.flag:
            return "this PC's CPU flags show neither vmx nor svm"
        try:
            os.close(os.open(device, os.O_RDWR))
        except OSError as error:
            return f"{device} cannot be opened: {error.strerror}"
        parameter = f"{modules}/{self.module}/parameters/nested"
        try:
            with open(parameter, encoding="ascii") as file:
                nested = file.read().strip()
        except OSError as error:
            return f"{parameter}: {error.strerror}"
        if nested not in ("Y", "1"):
            return f"{parameter} is {nested}: nested virtualization is off"
        return super().why_not()


HOST = Host("host", None, "")
TARGETS = [
    HOST,
    Bochs("bochs-intel", "VT-x", "corei7_haswell_4770", "p4_prescott_celeron_336",
          "corei7_sandy_bridge_2600k", "tigerlake"),
    Bochs("bochs-amd", "AMD-V", "trinity_apu", "athlon64_clawhammer"),
    Qemu("qemu-tcg", "AMD-V", "emulated by QEMU", "tcg", "max"),
    Kvm("qemu-kvm"),
]
# What shows a person the most in the least time.
FASTEST = ["qemu-kvm", "qemu-tcg", "bochs-intel"]


def target_named(name):
    for target in TARGETS:
        if target.name == name:
            return target
    raise SystemExit(f"no target {name}; there are: " + ", ".join(t.name for t in TARGETS))


def fastest_of(names):
    """The first that can run here, and why not those before it; the reason for all if there is none."""
    reasons = []
    for target in map(target_named, names):
        why = target.why_not()
        if why is None:
            return target, "; ".join(reasons)
        reasons.append(f"{target.name}: {why}")
    return None, "; ".join(reasons)
