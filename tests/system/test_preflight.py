# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine without VT-x: the pre-flight says what is lacking and what to do, and touches nothing."""
import re

from frame import Boot, check, expect_that
from test_refusals import GUEST, squeeze


class Preflight(Boot):
    name = "preflight"

    @classmethod
    def runs_on(cls, target):
        return not target.has_vtx

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": GUEST.replace('"32M"', '"32X"').encode()})

    @check("no VT-x is refused with a reason", required=True)
    def refused(self):
        text = ""
        while "return to the firmware" not in text:
            match = self.machine.expect(r".*?(-- more: press a key|Press any key to return to the "
                                        r"firmware)", 120, "a refusal that asks for a key")
            text += match.group()
            if "more" in match.group(1):
                self.machine.send(" ")
        Preflight.text = text
        expect_that(re.search(r"(VT-x|AMD-V)[^\n]*LACKING", text),
                    "a line of the table that says LACKING", text)
        expect_that("Nothing was changed" in text, '"Nothing was changed"', text)

    @check("the configuration's faults are listed all the same")
    def faults(self):
        expect_that("bulkhead.toml:3:10:" in squeeze(Preflight.text), "bulkhead.toml:3:10:",
                    Preflight.text)

    @check("a key leads back to the firmware")
    def back(self):
        self.machine.send(" ")
        self.machine.expect(r"Shell>|UEFI Interactive Shell|BdsDxe", 60)
