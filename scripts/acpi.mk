# SPDX-License-Identifier: GPL-2.0-or-later
# The guests' DSDT: ASL to AML, embedded by arch/x86_64/acpi_blob.S (and by the host tests).

IASL ?= iasl

$(BUILD)/dsdt.aml: hv/vm/dsdt.asl
	@mkdir -p $(@D)
	$(IASL) -vs -we -vi -p $(@:.aml=) $< >$(@:.aml=.log) 2>&1 || { cat $(@:.aml=.log); exit 1; }

$(BUILD)/obj/arch/x86_64/acpi_blob.o $(BUILD)/host/arch/x86_64/acpi_blob.o: $(BUILD)/dsdt.aml
