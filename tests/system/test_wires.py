# SPDX-License-Identifier: GPL-2.0-or-later
"""Three Debian guests on two wires, the middle one a router; their root is one image, over which each lays what it writes:
in memory, on a blank disk, or on a volatile one. A fourth is like the first, and takes it over. The console of one is the virtio console.
"""
import hashlib
import os
import re
import subprocess

from frame import check, expect_that
from test_linux_pair import LinuxGuests

WEST, MIDDLE, EAST, TWIN = 1, 2, 3, 4
GUEST = """\
[guest.{name}]
cpus = "{cpu}"
memory = "{memory}"
kernel = "guests/vmlinuz"
initrd = "guests/root.img"
cmdline = "console={console} cryptomgr.notests bh.name={name} {words}"
net = [{nets}]
{root}
vsock = [{vsock}]
port = [{port}]
control = [{control}]
start = "{start}"

"""
ON_DISK = 'disk = ["root:images/root.erofs:ro", "data:{}"]'
IN_MEMORY = 'pmem = ["images/root.erofs"]\ndisk = ["data:blank:24M"]'
BLANK, VOLATILE = "blank:32M", "images/data.ext4:volatile:40M"
# A file system that is on the stick already, with one file in it.
DATA_SIZE = 40 << 20
DATA_FILE, DATA_TEXT = "from-the-stick", "was there before\n"

# Their CIDs are 3 to 6, in this order: middle's is 4.
GUESTS = [
    ("west", "ttyS0", "160M", "bh.ip=10.0.1.1/24", '"lan"', ON_DISK.format(BLANK), '"middle"'),
    ("middle", "ttyS0", "160M", "bh.ip=10.0.1.254/24 bh.addr=eth1:10.0.2.254/24 bh.root=/dev/pmem0 bh.data=/dev/vda",
     '"lan", "dmz"', IN_MEMORY, ""),
    ("east", "hvc0", "160M", "bh.ip=10.0.2.1/24 bh.data=/dev/vdb", '"dmz"', ON_DISK.format(VOLATILE), '"middle"'),
    ("twin", "ttyS0", "160M", "", '"lan"', ON_DISK.format(BLANK), '"middle"'),
]
STREAMS = 100

# Of west and of east. Slot: class, device's number, vectors of its MSI-X.
DEVICES = {0x00: ("0600", "8086:1237", 0), 0x01: ("00ff", "1af4:1044", 2), 0x02: ("0100", "1af4:1042", 2),
           0x03: ("0100", "1af4:1042", 2), 0x0a: ("0200", "1af4:1041", 4), 0x12: ("0780", "1af4:1053", 4),
           0x13: ("0780", "1af4:1043", 16)}
# What lspci writes of what it cannot make sense of, or may not read.
NOT_SANE = r"<(?!TAbort|MAbort|PERR)|\[(?:disabled|virtual)\]|access denied|!!!|unknown|unassigned|ignored|pcilib|lspci:"
# The parts of BAR 1 that a driver is told of: name in lspci's line, and the least bytes.
PARTS = [("CommonCfg", 56), ("ISR", 1), ("DeviceCfg", 0)]
PAGE = 4096


def overlaps(parts):
    """parts: (first, size)"""
    parts = sorted(parts)
    return any(a + size > b for (a, size), (b, _) in zip(parts, parts[1:]))


def judge_virtio(text, vectors):
    """What lspci says of one virtio device: all in its BARs, nothing upon another, MSI-X in use. Returns its BARs."""
    for line in (r"Control: I/O\+ Mem\+ BusMaster\+ .*DisINTx\+$", r"Status: Cap\+ .*<TAbort- <MAbort- >SERR- <PERR- INTx-$",
                 r"Subsystem: .*\[1af4:10..\]$", r"Interrupt: pin A routed to IRQ \d+$", r"Kernel driver in use: virtio-pci$",
                 r"Capabilities: \[\w+\] Vendor Specific Information: VirtIO: Notify$",
                 rf"Capabilities: \[\w+\] MSI-X: Enable\+ Count={vectors} Masked-$"):
        expect_that(re.search(line, text, re.M), f"/{line}/", text)
    regions = re.findall(r"Region (\d): (I/O ports|Memory) at (\w+) (?:\(32-bit, non-prefetchable\) )?\[size=(\w+)\]$",
                         text, re.M)
    expect_that([r[:2] + r[3:] for r in regions] == [("0", "I/O ports", "32"), ("1", "Memory", "4K")]
                and text.count("Region") == 2, "32 ports and a page", text)
    expect_that(text.count("Capabilities:") == 5, "five capabilities", text)

    inside = []
    for name, least in PARTS:
        part = re.search(rf"VirtIO: {name}\n\s+BAR=1 offset=(\w+) size=(\w+)$", text, re.M)
        expect_that(part and int(part[2], 16) >= least, f"{name} in BAR 1, at least {least} bytes", text)
        inside.append((int(part[1], 16), int(part[2], 16)))
    for name, size in (("Vector table", 16 * vectors), ("PBA", 8 * -(-vectors // 64))):
        part = re.search(rf"{name}: BAR=1 offset=(\w+)$", text, re.M)
        expect_that(part and int(part[1], 16) % 8 == 0, f"{name} in BAR 1, of whole words", text)
        inside.append((int(part[1], 16), size))
    expect_that(not overlaps(inside + [(PAGE, 0)]), "parts of BAR 1, none upon another, none beyond its end", text)
    doorbell = re.search(r"VirtIO: Notify\n\s+BAR=0 offset=(\w+) size=(\w+) multiplier=(\w+)$", text, re.M)
    expect_that(doorbell and int(doorbell[1], 16) + int(doorbell[2], 16) <= 32, "a doorbell among the ports", text)
    return [(int(at, 16), {"32": 32, "4K": PAGE}[size]) for _, _, at, size in regions]


def judge_devices(output):
    """lspci -vvnn: these devices and no others."""
    output = re.sub(r"[ \t]*\r", "", output)
    odd = re.search(NOT_SANE, output, re.I)
    expect_that(odd is None, "nothing that lspci finds odd", f"{odd and odd[0]!r} in:\n{output}")
    texts = dict(re.findall(r"^00:(\w\w)\.0 (.*?)(?=^00:|\Z)", output, re.M | re.S))
    expect_that({int(slot, 16) for slot in texts} == set(DEVICES) and output.count("\n00:") <= len(DEVICES),
                f"devices in the slots {sorted(DEVICES)}", output)
    ranges = []
    for slot, text in texts.items():
        kind, number, vectors = DEVICES[int(slot, 16)]
        expect_that(re.match(rf".*\[{kind}\]: .*\[{number}\]", text), f"{number} of class {kind}", text)
        if vectors != 0:
            ranges += judge_virtio(text, vectors)
        else:
            expect_that(not re.search("Region|Capabilities|Interrupt", text) and "Status: Cap- " in text,
                        "a bridge without registers", text)
    expect_that(not overlaps(ranges), "BARs of which none lies upon another", ranges)


class Wires(LinuxGuests):
    name = "wires"
    seconds = 1200
    keeps_time = False
    cannot_run = dict.fromkeys(["bochs-intel", "bochs-amd"],
                               "its firmware reads the 84 MB of the root image for minutes; linux-pair has wire, disk and "
                               "image there")
    machine_cpus = 5            # the first has no guest: what QEMU gets wrong of it (Qemu.blame) costs none
    names = {WEST: "west", MIDDLE: "middle", EAST: "east", TWIN: "west"}

    def make_data(self):
        """In the layout that guests/linux/root-initrd has on a disk: what lies over the image is in upper."""
        folder, image = (os.path.join(self.folder, name) for name in ("data", "data.ext4"))
        os.makedirs(os.path.join(folder, "upper"), exist_ok=True)
        with open(os.path.join(folder, "upper", DATA_FILE), "w", encoding="utf-8") as file:
            file.write(DATA_TEXT)
        with open(image, "wb") as file:
            file.truncate(DATA_SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-d", folder, image], check=True,
                       env={**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"})
        return image

    def image(self):
        config = '[hypervisor]\nconsole = "com1"\n\n[wire.lan]\n\n[wire.dmz]\nmtu = "9000"\n\n' + "".join(
            GUEST.format(name=name, console=console, cpu=cpu, memory=memory, words=words, nets=nets, root=root, vsock=vsock,
                         port='"sync"' if name in ("middle", "east") else "",
                         control='"twin"' if name == "east" else "",
                         start="manual" if name == "twin" else "auto")
            for cpu, (name, console, memory, words, nets, root, vsock) in enumerate(GUESTS, start=1))
        return self.make_stick({"bulkhead/bulkhead.toml": config.encode(),
                                "images/root.erofs": self.guest_file("root.erofs"),
                                "images/data.ext4": self.make_data(),
                                **{"guests/" + file: self.guest_file(file) for file in ("vmlinuz", "root.img")}})

    @check("all three reach their prompt, their root the one image", required=True)
    def prompts(self):
        for guest in (WEST, MIDDLE, EAST):
            if guest != WEST:
                self.view(guest)
            self.machine.expect(self.names[guest] + "# ", 300)
            self.run(guest, "findmnt -no SOURCE,FSTYPE / | grep overlay")
        self.run(MIDDLE, "test -b /dev/pmem0; blkid /dev/vda | grep ext4")

    @check("east's console is hvc0: its bytes are typed and shown there, in large pieces")
    def terminal(self):
        self.run(EAST, "tty | grep /dev/hvc0; grep hvc0 /proc/consoles")
        output = self.command(EAST, "seq 3000")
        expect_that(output.split() == [str(n) for n in range(1, 3001)], "3000 lines, each there", output[-200:])
        counts = self.command(EAST, "grep virtio /proc/interrupts")
        expect_that("virtio" in counts, "interrupts of the console", counts)

    @check("lspci shows sane devices: a host bridge and each kind of virtio device, their registers, their MSI-X")
    def devices(self):
        for guest in (EAST, WEST):
            judge_devices(self.run(guest, "lspci -vvnn 2>&1", 240))

    @check("east's root lies over a volatile disk: three thousand files unpacked, each with its checksum")
    def unpack(self):
        self.run(EAST, f"cat /{DATA_FILE}; grep -x data /sys/block/vdb/serial")
        self.command(EAST, "mkdir -p /root/a /root/b; cd /root/a")
        self.command(EAST, "for i in {1..3000}; do echo $i$RANDOM >$i; done", 240)
        self.command(EAST, "sha256sum * >/tmp/sums; tar cf /root/t.tar *", 240)
        self.command(EAST, "cd /root/b; rm -r /root/a; sync", 240)
        before = self.statistics("east")
        self.run(EAST, "tar xf /root/t.tar; sync", 240)
        self.command(EAST, "echo 3 >/proc/sys/vm/drop_caches")
        self.command(EAST, "sha256sum -c --quiet /tmp/sums; ls | wc -l | grep -x 3000", 240)
        after = self.statistics("east")
        grown = after["disk 1 written-bytes"] - before["disk 1 written-bytes"]
        expect_that(grown >= 3000 * 4096, "12 MB written to its disk", f"{grown} bytes")
        expect_that(after["disk 1 pages-used"] > 3000, "pages of its own for it", after)

    # Early: QEMU takes minutes to scrub memory that has held much code.
    @check("east starts again: its volatile disk is as the stick has it")
    def volatile(self):
        self.run(EAST, f"cd; rm /{DATA_FILE}; sync; test -e b")
        self.operator("reset east")
        self.expect_again(EAST, begun="Debian root of east")
        output = self.run(EAST, f"cat /{DATA_FILE}; ! test -e b")
        expect_that(DATA_TEXT.strip() in output, DATA_TEXT, output)
        counters = self.statistics("east")
        expect_that(counters["disk 1 pages-used"] < 3000, "no page of what was unpacked", counters)

    @check("west and east reach each other through middle, and not without it")
    def routing(self):
        self.run(WEST, "ip route add default via 10.0.1.254")
        self.run(EAST, "ip route add default via 10.0.2.254")
        lost = self.command(EAST, "ping -c 2 -W 3 10.0.1.1 | grep received")
        expect_that("0 received" in lost, "no answer before middle routes", lost)
        self.run(MIDDLE, "echo 1 >/proc/sys/net/ipv4/ip_forward")
        output = self.run(EAST, "ping -c 3 -W 20 10.0.1.1 | grep received")
        expect_that("3 received" in output, "three answers", output)
        mtu = re.findall(r"^(\d+)\s*$", self.run(MIDDLE, "cat /sys/class/net/eth*/mtu"), re.M)
        expect_that(mtu == ["1500", "9000"], "the MTU of each wire", mtu)

    @check("iperf3 between west and east, through middle: TCP and UDP")
    def iperf(self):
        self.run(WEST, "iperf3 -s -D")
        output = self.run(EAST, "iperf3 -c 10.0.1.1 -n 4M | tail -n 4", 300)
        expect_that("receiver" in output, "a receiver's line", output)
        output = self.command(EAST, "iperf3 -c 10.0.1.1 -u -b 1M -t 3 | tail -n 4", 300)
        expect_that(re.search(r"\(0%\)\s+receiver", output), "no datagram lost", output)

    @check("vsock: east connects to middle, with a hundred streams at once, and nobody to whom it may not")
    def vsock(self):
        self.run(MIDDLE, "L=VSOCK-LISTEN:7,fork,backlog=128")
        self.command(MIDDLE, "socat -t99 $L EXEC:sha256sum & sleep 1")
        self.run(EAST, "s(){ seq $1 9999;}")
        self.command(EAST, "c(){ s $1|socat -t99 - VSOCK-CONNECT:4:7 >/tmp/o$1;}")
        self.command(EAST, "t(){ until c $1;do :;done;}")  # a guest that is busy: Linux tries for 2 s only
        before = self.statistics("east")
        self.run(EAST, "t 1")
        self.command(EAST, f"for i in `seq {STREAMS}`;do t $i& done;wait", 600)
        output = self.command(EAST, f"cat $(seq -f /tmp/o%g {STREAMS})", 300)
        streams = ["".join(f"{n}\n" for n in range(first, 10000)) for first in range(1, STREAMS + 1)]
        expect_that(re.findall(r"\b[0-9a-f]{64}\b", output) == [hashlib.sha256(s.encode()).hexdigest() for s in streams],
                    f"{STREAMS} sums of what was sent", output)
        for guest, cid in ((MIDDLE, 5), (EAST, 3), (EAST, 99)):
            output = self.run(guest, f"! socat -u VSOCK-CONNECT:{cid}:7 - 2>&1")
            expect_that("reset" in output, "a connection that is refused", output)
        after = self.statistics("east")
        sent, refused = (after[name] - before.get(name, 0) for name in ("vsock sent-bytes", "vsock sent-refused"))
        least = sum(map(len, streams))
        expect_that(sent >= least and refused >= 2, f"{least} bytes sent, and 2 packets refused", f"{sent}, {refused}")

    @check("west's own disk: ext4, fio --verify, fsck")
    def disk(self):
        self.run(WEST, "grep -x data /sys/block/vdb/serial")
        self.command(WEST, "mkfs.ext4 -q /dev/vdb; mkdir -p /d; mount /dev/vdb /d")
        self.command(WEST, "f='--name=v --rw=randrw --bs=4k --size=4M'")
        self.command(WEST, "fio $f --directory=/d --verify=crc32c >/tmp/f", 300)
        output = self.command(WEST, "grep 'err= 0' /tmp/f; umount /d")
        expect_that("err= 0" in output, "no error", output)
        self.command(WEST, "e2fsck -fn /dev/vdb", 240)

    @check("the operator pulls east's cable out and plugs it in: it knows, and frames are counted")
    def cable(self):
        self.operator("link east dmz down")
        self.run(EAST, "cat /sys/class/net/eth0/operstate | grep down")
        lost = self.command(EAST, "ping -c 2 -W 2 10.0.1.1 | grep received; true")
        expect_that("2 received" not in lost, "no answer without a cable", lost)
        self.operator("link east dmz up")
        self.run(EAST, "cat /sys/class/net/eth0/operstate | grep up")
        before = self.statistics("east")
        output = self.run(EAST, "ping -c 5 -W 20 10.0.1.1 | grep received")
        expect_that("5 received" in output, "five answers", output)
        after = self.statistics("east")
        for name in ("net dmz sent-frames", "net dmz received-frames"):
            grown = after[name] - before[name]
            expect_that(5 <= grown <= 20, f"{name} to grow by 5 to 20", f"{before[name]} to {after[name]}")
        expect_that(after["disk 0 reads"] > 0, "disk 0 reads", after)

    @check("the entropy device's bytes pass rngtest")
    def entropy(self):
        self.run(WEST, "grep virtio /sys/class/misc/hw_random/rng_current")
        self.command(WEST, "head -c 100160 /dev/hwrng >/tmp/r", 240)
        output = self.command(WEST, "rngtest -c 39 </tmp/r 2>&1 | grep FIPS; true")
        failures = re.search(r"FIPS 140-2 failures: (\d+)", output)
        expect_that(failures and int(failures[1]) <= 1, "39 blocks, at most one that fails by chance", output)

    @check("an ssh session from west to east")
    def ssh(self):
        self.run(WEST, "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519", 240)
        self.command(WEST, "cat /root/.ssh/*.pub >/tmp/key; wc -c </tmp/key")
        key = re.search(r"ssh-ed25519 (\S+)", self.command(WEST, "cat /tmp/key"))
        expect_that(key, "a public key", "none")
        self.view(EAST)
        self.command(EAST, "printf 'ssh-ed25519 ' >.ssh/authorized_keys")
        for at in range(0, len(key[1]), 24):
            self.command(EAST, f"printf {key[1][at:at + 24]} >>.ssh/authorized_keys")
        self.command(EAST, "chmod 600 .ssh/*; root-sshd", 240)
        self.run(WEST, "o='-o StrictHostKeyChecking=no'")
        self.command(WEST, 's(){ ssh $o 10.0.2.1 "$@";}')
        output = self.command(WEST, "s 'cat /etc/hostname; uname -s'", 300)
        expect_that(re.search(r"east\s+Linux", output), "east's answer", output)

    def leave_console(self):
        self.machine.send("\x1d\x1d0")  # the first is the hypervisor's own
        self.machine.expect(r"Connection to 10\.0\.2\.1 closed.*west# ", 120, "west's prompt")

    @check("by ssh over the wire east operates twin: it is listed, started, restarted, its console followed and typed to")
    def operated(self):
        output = self.run(WEST, "s bulkctl list", 240)
        expect_that(re.search(r"twin +stopped", output) and "middle" not in output, "twin, and no other", output)
        self.command(WEST, "s bulkctl start twin", 240)
        self.machine.send("ssh -tt $o 10.0.2.1 bulkctl console twin\r")
        self.machine.expect(r"Debian root of twin.*twin# ", 400, "twin to boot, on west's terminal")
        self.machine.send("cat /etc/hostname; nproc\r")
        self.machine.expect(r"nproc\r?\n.*?twin\r?\n.*?1\r?\n.*?twin# ", 120, "twin's answer")
        self.leave_console()
        self.command(WEST, "(sleep 5; s bulkctl restart twin) & true")
        self.machine.send("ssh -tt $o 10.0.2.1 bulkctl console twin\r")
        self.machine.expect(r"twin# .*Linux version.*Debian root of twin.*twin# ", 400, "twin to end and to boot")
        self.leave_console()
        output = self.command(WEST, "s bulkctl events", 240)
        expect_that(re.search(r"twin +stopping +stop.*twin +running +started", output, re.S), "its events", output)
        output = self.command(WEST, "s bulkctl kill twin; sleep 1; s bulkctl list", 240)
        expect_that(re.search(r"twin +stopped", output), "twin stopped", output)

    @check("a file through the port that joins middle and east, both ways: its end is where the writer closed")
    def port(self):
        for guest in (MIDDLE, EAST):
            self.run(guest, "n=$(grep -lx sync /sys/class/virtio-ports/*/name)")
            self.command(guest, "p=/dev/$(basename ${n%/name})")
        for reader, writer in ((EAST, MIDDLE), (MIDDLE, EAST)):
            self.run(writer, "exec 7>$p")
            self.run(reader, "sha256sum <$p >/tmp/port & sleep 1")
            self.run(writer, "seq 200000 >&7; exec 7>&-")
            self.run(reader, "wait $!; seq 200000 | sha256sum | cmp - /tmp/port")

    @check("middle killed amid traffic: west and east go on, and reach each other once it is back")
    def killed(self):
        self.run(MIDDLE, "socat -u OPEN:/dev/zero VSOCK-LISTEN:9 & sleep 1")
        self.run(EAST, "v(){ socat -u VSOCK-CONNECT:4:9 -|sha1sum;}")
        self.command(EAST, "v >/tmp/v & V=$! ; sleep 3")
        self.command(EAST, "ping -i 0.2 10.0.1.1 >/tmp/p & P=$! ; sleep 2")
        self.run(MIDDLE, "exec 7>$p")
        self.run(EAST, "cat <$p & R=$! ; sleep 1; kill -0 $R")
        self.operator("kill middle")
        self.run(WEST, "nproc")
        self.run(EAST, "wait $V; grep -c . /tmp/v")  # its stream has ended
        self.run(EAST, "wait $R")  # and so has what was read from its port
        self.operator("start middle")
        self.expect_again(MIDDLE, begun="Debian root of middle")
        self.run(MIDDLE, "echo 1 >/proc/sys/net/ipv4/ip_forward")
        output = self.run(EAST, "kill $P; ping -c 3 -W 20 10.0.1.1 | grep received")
        expect_that("3 received" in output, "three answers", output)

    def md5_sum(self, guest):
        """Of the file that both have; a line of the kernel's may stand beside it."""
        output = self.command(guest, "md5sum </d/r")
        found = re.search(r"\b[0-9a-f]{32}\b", output)
        expect_that(found, "a sum", output)
        return found[0]

    @check("west moved to its twin amid ping and TCP: its disk and its adapter go along, and the others notice nothing")
    def moved(self):
        self.run(WEST, "mount /dev/vdb /d")
        self.command(WEST, "dd if=/dev/urandom of=/d/r bs=64k count=64; sync")
        before = self.md5_sum(WEST)
        self.run(MIDDLE, "ping -i 0.5 10.0.1.1 >/tmp/p & sleep 2")
        self.command(MIDDLE, "iperf3 -c 10.0.1.1 -b 4M -t 40 >/tmp/i & sleep 1")
        for command, guest, line in (("pause west", "west", "paused: its clocks stand still"),
                                     ("move west twin", "twin", "goes on in the place of another guest"),
                                     ("resume twin", "twin", "resumed: its clocks are")):
            self.operator(command)
            self.expect_log(guest, line)
        self.run(MIDDLE, "jobs %2 | grep Running")
        self.run(TWIN, "echo 3 >/proc/sys/vm/drop_caches")
        after = self.md5_sum(TWIN)
        expect_that(before == after, "the same bytes on the disk", f"{before} {after}")
        self.command(TWIN, "echo more >/d/s; umount /d; e2fsck -fn /dev/vdb", 240)
        output = self.run(MIDDLE, "wait %2; grep receiver /tmp/i", 300)
        expect_that("receiver" in output, "all of the TCP stream to arrive", output)
        output = self.command(MIDDLE, "kill %1; ping -c 3 -W 20 10.0.1.1 | grep received")
        expect_that("3 received" in output, "three answers", output)
        seen = self.command(MIDDLE, "tail -n 2 /tmp/p; ip neigh show 10.0.1.1")
        expect_that("lladdr" in seen, "a neighbour", seen)
