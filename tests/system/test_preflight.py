# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine without VT-x and AMD-V: the pre-flight says what is lacking and what to do, and touches nothing."""
import re

from frame import Boot, check, expect_that
from test_refusals import GUEST, squeeze


class Preflight(Boot):
    name = "preflight"
    keeps_time = False
    machine_virtualization = False
    starts_hypervisor = False

    def image(self):
        return self.make_stick({"guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": GUEST.replace('"32M"', '"32X"').encode()})

    @check("neither VT-x nor AMD-V: refused with a reason", required=True)
    def refused(self):
        text = self.refusal()
        self.text = text
        vendor = self.target.vendor
        expect_that(re.search(vendor + r" [^\n]*LACKING", text), f"{vendor} LACKING in the table", text)
        expect_that("Nothing was changed" in text, '"Nothing was changed"', text)

    @check("the configuration's faults are listed all the same")
    def faults(self):
        expect_that("bulkhead.toml:3:10:" in squeeze(self.text), "bulkhead.toml:3:10:",
                    self.text)

    @check("a key leads back to the firmware")
    def back(self):
        self.press(r"Shell>|UEFI Interactive Shell|BdsDxe", "the firmware to go on")
