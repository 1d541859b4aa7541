# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels of every kind side by side in one machine: own small guests that say what they found, and other people's."""
from frame import Boot, check, expect_that

CMDLINE = "kinds one two"
BIOS_CALLS = 7 + 256            # guests/kinds/multiboot.c
MODULE = b"a file for the guests\n"
OWN = ["multiboot", "linux32", "elf", "flat"]
NAMES = OWN + ["memtest32", "grub", "memtest64", "rt"]
SLOW = dict.fromkeys(["bochs-intel", "bochs-amd"], "takes long there, and its entry is tested by others")
GUEST = """\
[guest.{name}]
cpus = "{cpu}"
memory = "{memory}"
kernel = "{kernel}"
{more}
start = "manual"

"""


def guest(name, cpu, memory, kernel, **more):
    lines = "\n".join(f'{key} = "{value}"' for key, value in more.items())
    return GUEST.format(name=name, cpu=cpu, memory=memory, kernel=kernel, more=lines)


class Kinds(Boot):
    name = "kinds"
    heavy = ("bochs-amd",)      # minutes there, of what no vendor's half has a part in
    keeps_time = False
    machine_ips = 50_000_000
    seconds = 100

    def __init__(self, *args):
        super().__init__(*args)
        self.names = [name for name in NAMES if self.target.name not in SLOW or name not in ("memtest64", "rt")]
        self.machine_cpus = len(self.names)

    def image(self):
        config = "".join(guest(name, cpu, "16M", f"guests/kind-{name}", initrd="guests/module.txt", cmdline=CMDLINE,
                               **({"type": "flat"} if name == "flat" else {}))
                         for cpu, name in enumerate(OWN))
        others = [guest("memtest32", 4, "16M", "guests/memtest32", cmdline="console=ttyS0,115200"),
                  guest("grub", 5, "32M", "guests/grub"),
                  guest("memtest64", 6, "16M", "guests/memtest64", cmdline="console=ttyS0,115200"),
                  guest("rt", 7, "256M", "guests/vmlinuz-rt", initrd="guests/demo.img",
                        cmdline="console=ttyS0 cryptomgr.notests bh.name=rt")]
        config += "".join(others[:len(self.names) - len(OWN)])
        files = [f"kind-{name}" for name in OWN] + ["memtest64", "memtest32", "grub", "vmlinuz-rt", "demo.img"]
        return self.make_stick({"bulkhead/bulkhead.toml": config.encode(), "guests/module.txt": MODULE,
                                **{"guests/" + file: self.guest_file(file) for file in files}})

    def begin(self, name):
        self.operator("start " + name)
        self.view(self.names.index(name) + 1)

    def own(self, name, *logged):
        """All its lines are ok, and it switched itself off; and what else is to be in the log."""
        self.new_log()
        self.begin(name)
        done = self.machine.expect(r"done: (\d+) passed, (\d+) failed", 120, f"the end of {name}'s lines")
        seen = self.machine.serial.text[:done.end()]
        seen = seen[seen.rfind("ok 1 - "):]
        expect_that(int(done.group(1)) > 20 and done.group(2) == "0", f"{name}: more than 20 lines, all ok",
                    "\n".join(line for line in seen.split("\n") if not line.startswith("ok ")))
        self.expect_log(name, "powered off by the guest", *logged)

    @check("the machine is divided", required=True)
    def start(self):
        self.machine.expect(r"audit passed", 240)

    @check("a Multiboot kernel: registers, memory, command line, module, map")
    def multiboot(self):
        self.own("multiboot", r"calls a BIOS, which guests do not have: INT 15h, AX e820h")

    @check("its calls to a BIOS are counted")
    def bios(self):
        seen = self.statistics("multiboot").get("bios-calls")
        expect_that(seen == BIOS_CALLS, f"{BIOS_CALLS} calls", seen)

    @check("a bzImage of 32 bits: registers and boot_params")
    def linux32(self):
        self.own("linux32")

    @check("an ELF program of 64 bits: registers and hand-over")
    def elf(self):
        self.own("elf")

    @check("a flat binary: the same, at 1 MiB")
    def flat(self):
        self.own("flat")

    def memtest(self, name):
        self.begin(name)
        self.machine.expect(r"Memtest86\+ v\d+\.\d+", 120)
        self.operator("kill " + name)

    @check("memtest86+ by the 32-bit entry")
    def memtest32(self):
        self.memtest("memtest32")

    @check("GRUB reaches its prompt and finds memory")
    def grub(self):
        self.begin("grub")
        self.machine.expect(r"grub> ", 120)
        self.machine.send("lsmmap\r")
        self.machine.expect(r"base_addr = 0x100000, length = 0x[0-9a-f]+, available RAM", 60)

    @check("memtest86+ by the 64-bit entry", cannot_run=SLOW)
    def memtest64(self):
        self.memtest("memtest64")

    @check("Debian's kernel for real time reaches the prompt", cannot_run=SLOW)
    def rt(self):
        self.begin("rt")
        self.machine.expect(r"PREEMPT_RT.*rt# ", 400)
