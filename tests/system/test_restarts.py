# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that are started again and again: none takes more of the machine than at its first start, and a heart beats beside them.

`make test` restarts one ten times, and four others twice each in any order; `make soak` a thousand and a hundred times.
"""
import os
import random

from frame import check, expect_that
from guests import HEART_CONFIG, GuestBoot, test_guest
from machine import TARGETS

RESTARTS = int(os.environ.get("BULKHEAD_RESTARTS", "10"))
GUESTS = ["one", "two", "three", "four"]

CONFIG = HEART_CONFIG + "".join(test_guest(name, cpus, f"""\
net = ["lan"]
disk = ["data:images/file:volatile:2M", "scratch:blank:2M"]
vsock = ["{GUESTS[i - 1]}"]
""") for i, (name, cpus) in enumerate(zip(GUESTS, ["1-2", "3", "4", "5"]))) + """\
[wire.lan]
"""


class Restarts(GuestBoot):
    name = "restarts"
    heavy = ("bochs-amd",)      # minutes there, of what no vendor's half has a part in
    restarts = RESTARTS
    seconds = 120
    machine_cpus = 7    # one of nobody, which serves the console
    subject = (2, "one")

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "images/file": bytes(range(256)) * 4096,
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def nothing_is_lost(self):
        self.expect_holdings(self.before)
        self.heart_goes_on()

    @check("the guests start", required=True)
    def start(self):
        self.machine.expect(r"console 1/5: heart", 240, "the focus to move to the first guest")
        for view in range(2, 6):
            self.subtest("alive", view)
        self.before = self.holdings(GUESTS)
        rows, records = self.before["one"]
        expect_that(records > 1 << 19 and any("channel with two (wire)" in row for row in rows), "records, and frames in its map",
                    (records, rows))

    @check("one guest, many times in a row")
    def one(self):
        for _ in range(self.restarts):
            self.order("reset", "one")
        self.subtest("alive")
        self.nothing_is_lost()

    @check("four guests at any time, by reset, and by kill and start")
    def four(self):
        order = GUESTS * max(self.restarts // 10, 2)
        random.Random(len(order)).shuffle(order)
        for i, name in enumerate(order):
            if i % 3 == 0:
                self.operator(f"kill {name}")
                self.order("start", name)
            else:
                self.order("reset", name)
        for view in range(2, 6):
            self.subtest("alive", view)
        self.nothing_is_lost()


class RestartsSoak(Restarts):
    """What takes hours: make soak."""
    name = "restarts-soak"
    heavy = tuple(target.name for target in TARGETS)
    restarts = 1000
