# SPDX-License-Identifier: GPL-2.0-or-later
"""Two Debian guests that talk to each other for ten minutes (`make soak`), and a heart that beats beside them.

TCP and UDP at once, both ways, by iperf3; and streams whose sums both ends compute. What is lost has to be counted.
"""
import os
import re

from frame import check, expect_that
from guests import HEART_CONFIG, GuestBoot
from machine import TARGETS
from test_linux_pair import COMPLAINTS, LinuxGuests, unexplained
from test_wires import Wires

HEART, WEST, EAST = 1, 2, 3
GUEST = """\
[guest.{name}]
cpus = "{cpu}"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/root.img"
cmdline = "console=ttyS0 bh.name={name} bh.ip={address}/24"
net = ["lan"]
pmem = ["images/root.erofs"]

"""
ADDRESSES = {WEST: "10.0.0.1", EAST: "10.0.0.2"}
SECONDS = int(os.environ.get("BULKHEAD_SOAK_SECONDS", "600"))
LOOKS = 20                      # at the heart and at the streams, meanwhile
WARM_UP = 5                     # seconds, after which a kernel has all that it wants for traffic
# What is free may be so much less afterwards.
LEAK_KIB = 2048
SUMMARY = re.compile(r"\[(TX|RX)-C\].* (\d+)/(\d+) \([^)]*\)\s+receiver")


class WiresSoak(LinuxGuests, GuestBoot):
    name = "wires-soak"
    heavy = tuple(target.name for target in TARGETS)
    cannot_run = Wires.cannot_run
    machine_cpus = 3
    names = {WEST: "west", EAST: "east"}

    def image(self):
        config = HEART_CONFIG + "[wire.lan]\n\n" + "".join(
            GUEST.format(name=name, cpu=guest - 1, address=ADDRESSES[guest]) for guest, name in self.names.items())
        return self.make_stick({"bulkhead/bulkhead.toml": config.encode(),
                                "images/root.erofs": self.guest_file("root.erofs"),
                                **{"guests/" + file: self.guest_file(file) for file in ("vmlinuz", "root.img", "testguest")}})

    def memory_free(self, guest):
        """KiB, without what is there to be dropped."""
        self.run(guest, "sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1")
        return int(self.command(guest, "grep MemFree /proc/meminfo").split()[1])

    def udp_overflows(self, guest):
        """Datagrams that came while the program's buffer was full."""
        rows = re.findall(r"^Udp: (.*)$", self.run(guest, "grep ^Udp: /proc/net/snmp").replace("\r", ""), re.M)
        return int(dict(zip(rows[0].split(), rows[1].split()))["RcvbufErrors"])

    def card(self, guest, name):
        """A counter of the guest's own kernel."""
        return int(self.run(guest, f"cat /sys/class/net/eth0/statistics/{name}").split()[0])

    def begin_iperf(self, seconds):
        self.run(WEST, f"i(){{ iperf3 -c 10.0.0.2 --bidir -t {seconds} $*;}}")
        self.command(WEST, "i >/tmp/tcp & T=$!")
        self.command(WEST, "i -p 5202 -u -b 2M >/tmp/udp & U=$!")

    def end_iperf(self):
        return self.run(WEST, "wait $T && wait $U; grep 'receiver' /tmp/tcp /tmp/udp", 3600)

    def streams_done(self, guest):
        self.run(guest, "test ! -e /tmp/bad || cat /tmp/bad")
        return int(self.command(guest, "cat /tmp/n").split()[0])

    @check("both guests reach their prompt, and the heart beats", required=True)
    def begin(self):
        self.machine.expect(r"console 1/\d: heart", 240, "the focus to move to the first guest")
        self.heart_goes_on()
        for guest in (WEST, EAST):
            self.view(guest)
            self.machine.expect(self.names[guest] + "# ", 300)
            self.command(guest, "iperf3 -s -D >/dev/null; iperf3 -s -D -p 5202")
            self.command(guest, "socat -t99 TCP-LISTEN:9,fork EXEC:sha256sum & sleep 1")
        self.begin_iperf(WARM_UP)
        self.end_iperf()

    @check("minutes of TCP and UDP, both ways: the heart beats on, and each stream's sum is right at both ends", required=True)
    def traffic(self):
        self.new_log()
        self.free = {guest: self.memory_free(guest) for guest in self.names}
        self.overflows = {guest: self.udp_overflows(guest) for guest in self.names}
        for guest, other in ((WEST, EAST), (EAST, WEST)):
            self.run(guest, "dmesg -C; s(){ seq $n 40000;}; rm -f /tmp/end")
            self.command(guest, f"c(){{ s|socat -t99 - TCP:{ADDRESSES[other]}:9;}}")
            self.command(guest, "k(){ [ \"$a\" = \"$(s|sha256sum)\" ];}")
            self.command(guest, "d(){ a=$(c);k||echo $n $a >>/tmp/bad;}")
            self.command(guest, "t(){ let n++;d;echo $n>/tmp/n;}")
            self.command(guest, "l(){ n=0;until [ -e /tmp/end ];do t;done;}")
            self.command(guest, "echo 0 >/tmp/n; l & L=$!")
        self.begin_iperf(SECONDS)
        done = dict.fromkeys(self.names, -1)
        for _ in range(LOOKS):
            self.run(EAST, f"sleep {SECONDS / LOOKS}", 600)
            self.heart_goes_on()
        self.summary = self.end_iperf()
        for guest in self.names:
            self.run(guest, "touch /tmp/end; wait $L", 600)
            done[guest] = self.streams_done(guest)
            expect_that(done[guest] >= LOOKS / 4, "streams that went through", done)
            self.command(guest, "test ! -e /tmp/bad")
        beat, late, missed = self.beats()
        print(f"# {self.target.name}: {SECONDS} s: {done[WEST]} and {done[EAST]} streams with their sums; {beat} beats, "
              f"{missed} missed, the worst {late} thousandths late\n# " + self.summary.replace("\r", "").replace("\n", "\n# "),
              flush=True)

    def beats(self):
        self.view(HEART)
        return tuple(self.ping())

    @check("what was sent has arrived, or a counter says why not")
    def counted(self):
        counters = {name: self.statistics(name) for name in self.names.values()}
        for guest, other in ((WEST, EAST), (EAST, WEST)):
            ours, theirs = counters[self.names[guest]], counters[self.names[other]]
            sent, received = ours["net lan sent-frames"], theirs["net lan received-frames"]
            dropped = self.drops(theirs, "received")
            expect_that(sent == received + dropped, "frames sent to be those received and those dropped",
                        f"{sent} sent, {received} received, {dropped} dropped: {ours} {theirs}")
        lost = {way: int(number) for way, number, _ in SUMMARY.findall(self.summary)}
        expect_that(set(lost) == {"TX", "RX"}, "a summary of each way", self.summary)
        for way, sender, receiver in (("TX", WEST, EAST), ("RX", EAST, WEST)):
            overflows = self.udp_overflows(receiver) - self.overflows[receiver]
            dropped = (self.drops(counters[self.names[sender]], "sent")
                       + self.drops(counters[self.names[receiver]], "received") + self.card(receiver, "rx_dropped"))
            expect_that(lost[way] <= overflows + dropped, "datagrams lost to be counted as dropped, by device or kernel",
                        f"{lost[way]} lost; {overflows} in a full buffer, {dropped} dropped")
            print(f"# {self.target.name}: {self.names[sender]} to {self.names[receiver]}: {lost[way]} datagrams lost, "
                  f"{overflows} in a full buffer, {dropped} frames dropped", flush=True)

    @staticmethod
    def drops(counters, way):
        prefix = f"net lan {way}-"
        return sum(value for name, value in counters.items()
                   if name.startswith(prefix) and name[len(prefix):] not in ("frames", "bytes"))

    @check("no kernel has complained, nor has the hypervisor")
    def complaints(self):
        for guest in self.names:
            found = unexplained(self.run(guest, "dmesg"), self.target.name, COMPLAINTS)
            expect_that(not found, "no complaint in dmesg", "\n".join(found))
        found = [line for _, _, _, line in self.new_log() if re.match(r"(error|warning):", line)]
        expect_that(not found, "no warning in the log", "\n".join(found))

    @check("no kernel has less memory free than before")
    def memory(self):
        for guest, before in self.free.items():
            self.run(guest, "pkill iperf3; pkill socat; rm -f /tmp/*; sleep 1")
            after = self.memory_free(guest)
            print(f"# {self.target.name}: {self.names[guest]}: {before} KiB free before, {after} after", flush=True)
            expect_that(after >= before - LEAK_KIB, f"{before} KiB free, or at most {LEAK_KIB} less", after)
