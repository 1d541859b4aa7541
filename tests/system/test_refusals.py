# SPDX-License-Identifier: GPL-2.0-or-later
"""Broken configurations: each is refused with file:line:column, value, rule and fix, and nothing is touched.

bhcheck finds the same faults in the same words, line by line, in a directory with the stick's files.

One boot for all. The first is what the firmware starts by itself; after the key that the refusal asks for, the
firmware goes on to its built-in shell, and from there each further configuration is put in place and Bulkhead
started again. At the end a good one starts, on the same machine.
"""
import os
import re
import shutil
import subprocess

from frame import Boot, check, expect_that
from machine import Expected

GUEST = """\
[guest.alpha]
cpus = "0"
memory = "32M"
kernel = "guests/testguest"
cmdline = "test=interactive"
"""

# name, configuration with @ at the place of each fault, words that the message must have.
CASES = [
    ("CPU that does not exist", GUEST.replace('"0"', '@"7"'), ["CPU 7", "CPUs"]),
    ("CPU given twice", GUEST + '[guest.beta]\ncpus = @"0"\nmemory = "32M"\nkernel = "guests/testguest"\n',
     ["CPU 0", "alpha", "beta"]),
    ("more memory than there is", GUEST.replace('"32M"', '@"8G"'), ["8G", "free"]),
    ("memory too small for kernel", GUEST.replace('"32M"', '@"16M"').replace("testguest", "greedy"),
     ["16M", "too little", "100M"]),
    ("missing kernel", GUEST.replace('"guests/testguest"', '@"guests/nothing"'),
     ["guests/nothing", "no such file"]),
    ("truncated kernel", GUEST.replace('"guests/testguest"', '@"guests/cut"'),
     ["guests/cut", "truncated|cut|incomplete|shorter"]),
    ("kernel that is no bzImage", GUEST.replace('"guests/testguest"', '@"guests/text"'),
     ["guests/text", "bzImage"]),
    ("missing initrd", GUEST + 'initrd = @"guests/lost"\n',
     ["guests/lost", "no such file"]),
    ("no guest at all", '[hypervisor]\nconsole = "com1"\n', ["no guest"]),
    ("duplicate name", GUEST + "@" + GUEST, ["alpha", "already|twice|duplicate"]),
    ("odd characters in a name", GUEST.replace("[guest.alpha]", '[guest.@"Al pha"]'), ["Al pha", "a-z"]),
    ("syntax error", GUEST.replace('"32M"', '@"32M'), ["quote|string|end"]),
    ("unknown key", GUEST.replace("memory", "@memroy"), ["memroy", "memory"]),
    ("wrong type", GUEST.replace('"0"', "@0"), ["cpus", "string|text|quote"]),
    ("wrong unit", GUEST.replace('"32M"', '@"32X"'), ["32X", "M"]),
    ("several faults at once",
     GUEST.replace('"0"', "@true").replace('"32M"', '@"32X"') + '@crash = "stop"\n',
     ["cpus", "32X", "crash"]),
    ("a folder, a file below a file, a letter in the wrong case", """\
[guest.alpha]
cpus = @"5"
memory = "32M"
kernel = @"guests"
initrd = @"guests/testguest/x"
[guest.beta]
cpus = "1"
memory = "32M"
kernel = @"guests/Kernel-F\u00dcR-Web"
initrd = @"guests/testguest."
@nonsense = 1
""", ["folder", "no such file", "beyond A to Z", "dot", "unknown key"]),
    ("many faults around files that cannot be read", """\
# ten faults
[hypervisor]
@consle = "com1"
log = @info

[guest.@Alpha]
cpus    = "0"
memory  = "256M"
kernel  = "guests/testguest"

[guest.beta]
cpus    = @@"1-9"
memory  = @"193M"
kernel  = @"guests/vmlinux"
initrd  = @"guests/d\u00e9mo.img"
cmdline = @"console=ttyS0

[guest.gamma]
cpus = @"1"
memory = @"12G"
kernel = @"guests/text"
initrd = @"guests"
on_crash = @"reboot"

@[guest.delta]
memory = @"64M
kernel = "guests/testguest"
@kernel = "guests/testguest"
""", ["consle", "folder", "reboot", "bzImage"]),
    ("wires, disks and sockets", """\
[wire.lan]
@[wire.spare]

[guest.alpha]
cpus = "0"
memory = "32M"
kernel = "guests/testguest"
net = ["lan", @"lan"]
disk = [@"a:images/odd:ro", @"b:images/none:volatile:2M", @"c:images/empty:ro",
        "d:images/good:volatile:2M", @"e:images/good:rw"]
vsock = ["beta"]
cid = "9"

[guest.beta]
cpus = "1"
memory = "32M"
kernel = "guests/testguest"
disk = ["d:images/good:volatile:2M"]
cid = @"9"
""", ["768 bytes are no multiple of 512", "truncate -s %512", "images/none.*no such file on the stick; copy it there, or correct the path",
      "images/empty.*the file is empty; copy it again", "write volatile:SIZE in place of rw",
      "it is on wire .lan. already, on line 8; one adapter for each wire is enough",
      "wire .spare. has no guest on it; write net = ", "its CID 9 is that of guest .alpha., on line 12; write another cid"]),
    ("UTF-16", GUEST.encode("utf-16"), ["UTF-16"]),
    ("Latin-1", ("# f\u00fcr\n" + GUEST.replace("interactive", "f\u00fcr")).encode("latin-1"), ["0xfc is not UTF-8"]),
    ("YAML", "guest:\n  alpha:\n    cpus: 0\n", ["YAML"]),
]
# The good one at the end names its kernel in other letters' case, and with one beyond ASCII.
GOOD_CONFIG = GUEST.replace("guests/testguest", "GUESTS/Kernel-f\u00fcr-Web")
FAULT = r"bulkhead\.toml:(\d+:\d+:.*?)(?=bulkhead\.toml:\d|Bulkheadcannotstart|$)"


def split_marks(text):
    """The configuration without its marks, and the (line, column) of each."""
    if isinstance(text, bytes):
        return text, []
    places, lines = [], text.split("\n")
    for number, line in enumerate(lines):
        while "@" in line:
            places.append((number + 1, line.index("@") + 1))
            line = line.replace("@", "", 1)
        lines[number] = line
    return "\n".join(lines).encode(), places


def squeeze(text):
    """Without white space: the firmware's console breaks lines where they happen to end."""
    return re.sub(r"\s|-- more: press a key --", "", text)


def faults_of(text):
    """
    Each fault as "line:column:text", in the order of the text. What the machine's memory is like is left out, and
    letters that the firmware's console may not have.
    """
    text = re.sub(r"[^ -~]|\?", "", squeeze(text))
    return [re.sub(r"freeare.*", "", fault) for fault in re.findall(FAULT, text)]


class Refusals(Boot):
    name = "refusals"
    keeps_time = False
    cannot_run = {"bochs-amd": "left to bochs-intel, of the same firmware: it is over before a vendor is chosen"}
    seconds = 150

    def image(self):
        with open(self.guest_file("testguest"), "rb") as file:
            kernel = file.read()
        greedy = kernel[:0x260] + (64 << 20).to_bytes(4, "little") + kernel[0x264:]
        files = {
            "guests/testguest": kernel,
            "guests/greedy": greedy,
            "guests/cut": kernel[:len(kernel) // 2],
            "guests/text": b"This is a text, not a kernel.\n" * 200,
            "guests/kernel-f\u00fcr-web": kernel,
            "images/odd": bytes(768),
            "images/empty": b"",
            "images/good": bytes(8 * 512),
            "bulkhead/bulkhead.toml": split_marks(CASES[0][1])[0],
            "case.nsh": b"@echo -off\r\ncp -q \\cases\\%1.tom \\bulkhead\\bulkhead.toml\r\n"
                        b"\\EFI\\BOOT\\BOOTX64.EFI\r\necho returned %lasterror%\r\n",
            "cases/good.tom": GOOD_CONFIG.encode(),
        }
        for number, (_, text, _) in enumerate(CASES):
            files[f"cases/{number}.tom"] = split_marks(text)[0]
        self.make_tree(files)
        return self.make_stick(files)

    def make_tree(self, files):
        """The stick's files in a directory, as an admin has them before he copies them."""
        self.tree = os.path.join(self.folder, "tree")
        shutil.rmtree(self.tree, ignore_errors=True)
        with open(os.path.join(self.build, "BOOTX64.EFI"), "rb") as file:
            files = {**files, "EFI/BOOT/BOOTX64.EFI": file.read()}
        for path, data in files.items():
            path = os.path.join(self.tree, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)

    def bhcheck(self, config):
        """What bhcheck says of that configuration, for a machine as this one."""
        with open(os.path.join(self.tree, "bulkhead/bulkhead.toml"), "wb") as file:
            file.write(config)
        done = subprocess.run([os.path.join(self.build, "bhcheck"), "--cpus", str(self.machine_cpus), "--memory",
                               f"{self.machine_memory}M", self.tree], stdout=subprocess.PIPE, check=False)
        return done.returncode, done.stdout.decode()

    def judge(self, number, text):
        self.judge_words(number, text)
        status, said = self.bhcheck(split_marks(CASES[number][1])[0])
        expect_that(status == 1, "bhcheck to refuse this configuration as well", said)
        at_boot, before = faults_of(text), faults_of(said)
        expect_that(at_boot == before, "at boot: " + "\n".join(before or [said]), "\n".join(at_boot))

    def judge_words(self, number, text):
        _, config, words = CASES[number]
        seen = squeeze(text)
        for line, column in split_marks(config)[1]:
            place = f"bulkhead.toml:{line}:{column}:"
            expect_that(place in seen, place, text)
        for word in words:
            expect_that(re.search(word.replace(" ", ""), seen), f"the words /{word}/", text)
        expect_that("Nothingwaschanged" in seen, '"Nothing was changed"', text)

    @check("the firmware's start is refused", required=True)
    def first(self):
        self.first_text = self.refusal()
        self.judge(0, self.first_text)

    @check("back in the firmware after a key", required=True)
    def back(self):
        self.press(r"(Shell|FS0:\\)> ", "the firmware's shell")
        self.type("fs0:")
        self.machine.expect(r"FS0:\\> ", 60, "the firmware's shell on the stick's volume")

    def type(self, command):
        """To the firmware's shell, which forgets keys that come too soon after its prompt: until the echo is right."""
        for _ in range(5):
            self.machine.send(command)
            try:
                self.machine.expect(re.escape(command), 10, f"the echo of {command!r}")
                break
            except Expected as failure:
                late = failure
                self.machine.send("\b" * len(command))
        else:
            raise late
        self.machine.send("\r")

    def run_case(self, number):
        self.type(f"case {number}")
        text = self.refusal()
        result = self.press(r"returned (0x[0-9A-Fa-f]+)\s", "an EFI error returned")
        self.machine.expect(r"FS0:\\> ", 60)
        self.judge(number, text)
        expect_that(int(result.group(1), 16) != 0, "an EFI error returned", result.group())

    @check("afterwards a good configuration starts")
    def good(self):
        status, said = self.bhcheck(GOOD_CONFIG.encode())
        expect_that(status == 0, "bhcheck to be content as well", said)
        self.type("case good")
        self.machine.expect(r"console 1/1: alpha", 120, "the focus to move to alpha")
        self.machine.expect(r"ready> ", 120)


def add_case(number):
    def method(self):
        self.run_case(number)
    setattr(Refusals, f"case_{number}", check(CASES[number][0])(method))


# In the order of the table, before the good one.
GOOD = Refusals.good
del Refusals.good
for index in range(len(CASES)):
    add_case(index)
Refusals.good = GOOD
