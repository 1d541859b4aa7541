# SPDX-License-Identifier: GPL-2.0-or-later
# What arch/x86_64 embeds: the font on the screen (the rule that makes it is in setup.mk).

$(BUILD)/obj/arch/x86_64/blob.o: $(BUILD)/font.psf
