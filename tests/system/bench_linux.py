# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench-linux: how often an unmodified Debian kernel exits, by reason: idle at its prompt, and busy, a timer tick.

Counted by the hypervisor ("stats"), over seconds of its own clock and ticks of the guest's. Prints a table; with
--write-docs it goes to docs/performance.md.
"""
import argparse
import os
import re
import sys
import time

import bench
from frame import expect_that
from machine import SCALE, target_named
from test_linux_pair import ALPHA, LinuxGuests

# As the demo has it, but alone.
CONFIG = """\
[wire.lan]

[guest.alpha]
cpus = "0"
memory = "192M"
kernel = "guests/vmlinuz"
initrd = "guests/demo.img"
cmdline = "console=ttyS0 bh.name=alpha bh.ip=10.0.0.1/24"
net = ["lan"]
disk = ["scratch:blank:16M"]
"""
TARGETS = ["bochs-intel", "bochs-amd"]
# Typing and asking cost 300 to 700 interrupts, from run to run: what they differ by may not show in the second digit.
IDLE_SECONDS, BUSY_SECONDS = 30, 240
TICKS_AIM = 2
MARK = "<!-- bench-linux: {} -->"


def seconds_of(clock):
    """("00", "01", "02") -> 62"""
    hours, minutes, seconds = map(int, clock)
    return hours * 3600 + minutes * 60 + seconds


class Ticks(LinuxGuests):
    machine_ips = 50_000_000        # what the printed numbers are of
    name = "bench-linux"

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/demo.img": self.guest_file("demo.img"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def exits(self):
        """reason -> number so far, and the seconds that alpha is up"""
        counts = {name[len("exits "):]: n for name, n in self.statistics("alpha").items() if name.startswith("exits ")}
        answer, _ = self.operator("list")
        return counts, seconds_of(re.search(r"alpha +running.* up (\d+):(\d+):(\d+)", answer).groups())

    def ticks(self):
        return int(self.run(ALPHA, "grep LOC: /proc/interrupts").split()[1])

    def idle(self):
        before, start = self.exits()
        after, now = self.exits()
        deadline = time.monotonic() + 300 * SCALE
        while now - start < IDLE_SECONDS and time.monotonic() < deadline:
            time.sleep(1)
            after, now = self.exits()
        expect_that(now - start >= IDLE_SECONDS, f"{IDLE_SECONDS} s to pass", now - start)
        return {name: (n - before.get(name, 0)) / (now - start) for name, n in after.items()}

    def busy(self):
        """Exits a tick, less those for the typing and the asking, which a short run has alike."""
        shares = []
        for seconds in (10, 10 + BUSY_SECONDS):
            ticks, (before, _) = self.ticks(), self.exits()
            self.run(ALPHA, f"timeout {seconds} sh -c 'while :; do :; done'; true", 600)
            (after, _), ticks = self.exits(), self.ticks() - ticks
            shares.append((ticks, {name: n - before.get(name, 0) for name, n in after.items()}))
        (few, rest), (ticks, counts) = shares
        return {name: max(n - rest.get(name, 0), 0) / (ticks - few) for name, n in counts.items()}


def measure(build, name):
    target = target_named(name)
    boot = Ticks(build, target, os.path.join(build, "test", name, "bench-linux"))
    boot.machine = target.start(boot.image(), boot.folder, cpus=1, ips=boot.machine_ips)
    with boot.machine as machine:
        machine.expect(r"alpha# ", 400, "alpha's prompt")
        return boot.idle(), boot.busy()


def table(measured):
    reasons = sorted({name for idle, busy in measured.values() for name, n in [*idle.items(), *busy.items()] if n >= 0.05})
    lines = [[name] + [f"{part.get(name, 0):.2f}" for pair in measured.values() for part in pair] for name in reasons]
    lines.append(["together"] + [f"{sum(part.values()):.2f}" for pair in measured.values() for part in pair])
    titles = ["exits of a Debian guest"] + [f"{target_named(name).vendor}, {what}" for name in measured
                                            for what in ("idle, a second", "busy, a tick")]
    return bench.markdown(titles, lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--write-docs", action="store_true")
    args = parser.parse_args()
    targets = args.target or TARGETS
    measured = {name: measure(os.path.abspath(args.build), name) for name in targets}
    text = table(measured)
    print(text)
    if args.write_docs and targets == TARGETS:
        bench.write_docs(text, MARK)
    over = [name for name, (_, busy) in measured.items() if sum(busy.values()) > TICKS_AIM + 0.02]
    for name in over:
        print(f"{name}: more than {TICKS_AIM} exits a timer tick")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
