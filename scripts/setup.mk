# SPDX-License-Identifier: GPL-2.0-or-later
# What the build needs and does not bring along: Debian packages, the guests' kernel, a font.
# make remakes the files it includes before anything else: so the packages are there before the
# first compiler call, whatever the goal is.

ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),all)),)
$(BUILD)/setup.mk: scripts/setup.sh
	@mkdir -p $(@D)
	@scripts/setup.sh packages
	@echo '# every package was there' >$@

include $(BUILD)/setup.mk
endif

# No prerequisites: once fetched it stays until make clean.
$(BUILD)/guests/vmlinuz:
	@mkdir -p $(BUILD)
	@scripts/setup.sh kernel $(BUILD)

$(BUILD)/font.psf:
	@mkdir -p $(BUILD)
	@scripts/setup.sh font $(BUILD)
