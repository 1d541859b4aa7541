# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulated machine and its serial line, one class a target.

Owns starting and ending the emulator and the two directions of COM1. Knows nothing of what runs
inside; frame.py, the tests, run_demo.py and bench.py build on it. Deadlines are a safety net in wall-clock
seconds (BULKHEAD_TIMEOUT_SCALE stretches them); no test may draw a conclusion from time.
"""
import ctypes
import os
import re
import signal
import socket
import subprocess
import threading
import time

SCALE = float(os.environ.get("BULKHEAD_TIMEOUT_SCALE", "1"))
HEADS, SECTORS, SECTOR_SIZE = 16, 63, 512
MIB = 1 << 20

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


def end_with_parent():
    """In the child: its own process group, killed when the process that started it dies in whatever way."""
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Serial:
    """The far end of the serial line: everything received, as text without terminal control."""

    def __init__(self, log_path, on_bytes=None):
        self.text, self.mark, self.closed = "", 0, False
        self._rest = ""
        self._log = open(log_path, "wb")
        self._changed = threading.Condition()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1)
        self._socket = None
        self.port = self._listener.getsockname()[1]
        self.on_bytes = on_bytes

    def accept(self, process):
        """Waits for the emulator to connect; it does so before it runs anything."""
        self._listener.settimeout(0.5)
        deadline = time.monotonic() + 30 * SCALE
        while self._socket is None:
            try:
                self._socket, _ = self._listener.accept()
            except socket.timeout:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Expected("the emulator to open its serial line", "") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
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
        with self._changed:
            self.closed = True
            self._changed.notify_all()

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
        self._listener.close()
        if self._socket:
            self._socket.close()
        self._log.close()


class Machine:
    """One run: folder gets serial.txt, the emulator's own output and its copy of the disk."""

    def __init__(self, command, serial, folder, disk):
        self.serial, self.folder, self._disk = serial, folder, disk
        self._output = open(os.path.join(folder, "emulator.txt"), "wb")
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL,
                                        stdout=self._output, stderr=subprocess.STDOUT,
                                        preexec_fn=end_with_parent)
        try:
            serial.accept(self.process)
        except BaseException:
            self.stop()
            raise
        self.expect, self.send = serial.expect, serial.send

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.serial.close()
        self._output.close()
        remove(self._disk)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


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


class Bochs:
    has_vtx = True

    def __init__(self, name, model):
        self.name, self.model = name, model

    def why_not(self):
        return None if os.path.exists("/usr/bin/bochs") else "bochs is not installed"

    def start(self, image, folder, cpus=2, memory=1024, ips=50_000_000, debugger="c\n",
              magic=False, on_bytes=None):
        """ips: instructions in one second of the machine's time, so its speed against timers and serial line."""
        folder = os.path.abspath(folder)
        os.makedirs(folder, exist_ok=True)
        disk, cylinders = copy_disk(image, folder)
        serial = Serial(os.path.join(folder, "serial.txt"), on_bytes)
        config = BOCHS_CONFIG.format(memory=memory, disk=disk, cylinders=cylinders, cpus=cpus,
                                     model=self.model, ips=ips, log=os.path.join(folder, "bochs.log"),
                                     port=serial.port, magic=int(magic))
        for name, text in (("bochs.bxrc", config), ("debugger.txt", debugger)):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(text)
        command = ["bochs", "-q", "-f", "bochs.bxrc", "-rc", "debugger.txt"]
        return Machine(command, serial, folder, disk)


class Qemu:
    def __init__(self, name, accel, cpu, has_vtx):
        self.name, self.accel, self.cpu, self.has_vtx = name, accel, cpu, has_vtx

    def why_not(self):
        if self.accel == "kvm":
            with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
                if not re.search(r"^flags.* vmx\b", file.read(), re.M):
                    return "this machine's CPU flags lack vmx"
            if not os.access("/dev/kvm", os.W_OK):
                return "/dev/kvm cannot be opened"
        return None

    def start(self, image, folder, cpus=2, memory=1024, ips=None, on_bytes=None):
        del ips                         # it runs as fast as it can
        folder = os.path.abspath(folder)
        os.makedirs(folder, exist_ok=True)
        disk, _ = copy_disk(image, folder)
        variables = os.path.join(folder, "variables.fd")
        subprocess.run(["cp", "/usr/share/OVMF/OVMF_VARS.fd", variables], check=True)
        serial = Serial(os.path.join(folder, "serial.txt"), on_bytes)
        pflash = "if=pflash,format=raw,unit="
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", self.accel, "-cpu", self.cpu,
                   "-smp", str(cpus), "-m", str(memory), "-display", "none", "-net", "none",
                   "-drive", pflash + "0,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd",
                   "-drive", pflash + "1,file=" + variables,
                   "-drive", "if=none,id=stick,format=raw,file=" + disk,
                   "-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=0",
                   "-serial", f"tcp:127.0.0.1:{serial.port}"]
        return Machine(command, serial, folder, disk)


class Missing:
    """A target that is planned."""
    has_vtx = False

    def __init__(self, name, why):
        self.name, self.why = name, why

    def why_not(self):
        return self.why


TARGETS = [
    Bochs("bochs-intel", "corei7_haswell_4770"),
    Missing("bochs-amd", "AMD-V backend not there yet"),
    Qemu("qemu-tcg", "tcg", "max", False),
    Qemu("qemu-kvm", "kvm", "host", True),
]


def target_named(name):
    for target in TARGETS:
        if target.name == name:
            return target
    raise SystemExit(f"no target {name}; there are: " + ", ".join(t.name for t in TARGETS))
