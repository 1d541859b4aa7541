# SPDX-License-Identifier: GPL-2.0-or-later
# The demo guest's initramfs: a static busybox and one script.

BUSYBOX ?= /bin/busybox

$(BUILD)/guests/demo.img: guests/linux/mkinitramfs guests/linux/init $(BUSYBOX)
	@mkdir -p $(@D)
	guests/linux/mkinitramfs --busybox $(BUSYBOX) --init guests/linux/init -o $@
