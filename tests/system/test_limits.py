# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest may use in a second: exits, bytes on its console, lines in the log; and what follows where it is more.

heart has CPU 0 and counts. held is held back, tamed is paused and reborn restarted when they are over their limits. wild has
none, and shows what a guest that storms takes from the work of another one: nothing.
"""
import re

from frame import check, expect_that
from guests import HEART_CONFIG, NO_CLOCK, GuestBoot, test_guest

EXITS, BYTES, LINES = 2000, 500, 1      # a second
SECONDS = 2                             # of each storm (guests/test/limits.c)
# A storm begins with a second's worth.
MOST = SECONDS + 1.15


CONFIG = HEART_CONFIG.replace('[hypervisor]\n', '[hypervisor]\nlog = "debug"\n') + \
    test_guest("held", 1, f'max_exits = "{EXITS}"\nmax_console = "{BYTES}"\nmax_log = "{LINES}"\n') + \
    test_guest("tamed", 2, f'max_exits = "{EXITS}"\non_limit = "pause"\n') + \
    test_guest("reborn", 3, f'max_exits = "{EXITS}"\non_limit = "restart"\n') + \
    test_guest("wild", 4)
HELD, TAMED, REBORN, WILD = 2, 3, 4, 5


class Limits(GuestBoot):
    name = "limits"
    seconds = 100
    machine_cpus = 6    # one of nobody, which serves the console
    subject = (HELD, "held")

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def note(self, test, what, view=HELD):
        lines, _, failed = self.group_lines(test, view)
        found = re.search(rf"^# {what} 0x([0-9a-f]+)$", lines, re.M)
        expect_that(found and failed == 0, f"{test} to tell its {what}", lines)
        return int(found.group(1), 16)

    def storm(self, test, what, limit):
        """In two seconds as many as the limit says: not more, and not much less."""
        count = self.note(test, what)
        expect_that(SECONDS * limit * 0.8 <= count <= MOST * limit, f"about {SECONDS * limit} {what} in {SECONDS} s", count)
        self.heart_goes_on()

    @check("the guests start", required=True)
    def start(self):
        self.machine.expect(r"console 1/5: heart", 240, "the focus to move to the first guest")
        for view in (HELD, TAMED, REBORN, WILD):
            self.subtest("alive", view)

    @check("a guest has as many exits in a second as its limit says, and is told of")
    def exits(self):
        self.storm("storm-exits", "exits", EXITS)
        self.expect_log("held", rf"over its limit of {EXITS} exits a second \(max_exits\): held back \[BH3062\]$")
        over = self.statistics("held").get("over-max-exits", 0)
        expect_that(over >= 10 * SECONDS * 0.8, "over-max-exits in most tenths of the two seconds", over)

    @check("it writes as many bytes to its console")
    def console(self):
        self.storm("storm-console", "bytes", BYTES)
        self.expect_log("held", rf"over its limit of {BYTES} bytes on its console a second \(max_console\): held back \[BH3062\]$")

    @check("it causes as many lines of the log, and the others are counted")
    def log_lines(self):
        before = self.statistics("held").get("log-lines-withheld", 0)
        self.new_log()
        violations = self.note("storm-log", "violations")
        self.expect_log("held", rf"over its limit of {LINES} lines in the log a second \(max_log\): held back \[BH3062\]$")
        counters = self.statistics("held")
        withheld = counters.get("log-lines-withheld", 0) - before
        expect_that(violations - 4 * LINES - 10 <= withheld < violations, f"almost all of {violations} withheld", withheld)
        expect_that(counters["msr-denied"] == violations, f"{violations} msr-denied", counters["msr-denied"])

    @check("another one is paused, and again when it has been resumed")
    def paused(self):
        self.begin("storm-exits", TAMED)
        self.expect_log("tamed", rf"over its limit of {EXITS} exits a second \(max_exits\): paused \[BH3062\]$",
                        'paused: its clocks stand still until "resume tamed"$')
        self.expect_state("tamed", "paused")
        self.operator("resume tamed")
        self.expect_log("tamed", "resumed: ", "paused: its clocks stand still")
        self.heart_goes_on()

    @check("another one starts anew")
    def restarted(self):
        self.begin("storm-exits", REBORN)
        self.expect_log("reborn", r"over its limit of \d+ exits a second \(max_exits\): restarted \[BH3062\]$",
                        "^restarted: over its limit, max_exits \[BH3008\]$", "first instruction after")
        self.subtest("alive", REBORN)
        self.heart_goes_on()

    @check("who storms without a limit takes no work from another guest")
    def neighbour(self):
        alone = self.note("work", "turns", REBORN)
        self.begin("storm-all", WILD)
        beside = self.note("work", "turns", REBORN)
        shown = f"{beside} turns in a second beside it, {alone} without: {100 * beside / alone:.2f} %"
        print(f"# {self.target.name}: {shown}")
        judged = self.target.name not in NO_CLOCK       # where the guests' time is this PC's, it is shared by all
        expect_that(not judged or beside >= 0.98 * alone, "at least 98 % of the work in the same time", shown)
        self.heart_goes_on()
