# SPDX-License-Identifier: GPL-2.0-or-later
# Host builds: hv/ as a library under sanitizers, one program a tests/unit/test_*.c, and tools/bhcheck.

HOST_CC    ?= gcc
HOST_FLAGS := $(COMMON) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
              -fno-omit-frame-pointer -D_GNU_SOURCE
HOST_OBJ   := $(HV_SRC:%.c=$(BUILD)/host/%.o) $(BUILD)/host/tests/unit/fake_plat.o \
              $(BUILD)/host/arch/x86_64/acpi_blob.o
HOST_LIB   := $(BUILD)/host/libhv.a
UNIT_SRC   := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN   := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)

$(BUILD)/host/%.o: %.c
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/host/%.o: %.S
	@mkdir -p $(@D)
	$(HOST_CC) $(ASFLAGS) -MMD -MP -c $< -o $@

$(HOST_LIB): $(HOST_OBJ)
	rm -f $@ && ar rcsD $@ $^

$(BUILD)/unit/%: $(BUILD)/host/tests/unit/%.o $(HOST_LIB)
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_FLAGS) -o $@ $(filter %.o,$^) $(HOST_LIB) $(UNIT_LIBS)

# The pure half of VT-x is the same code as on hardware.
$(BUILD)/unit/test_vmx: $(BUILD)/host/arch/x86_64/vmx/decode.o $(BUILD)/host/arch/x86_64/vmx/caps.o

# The decoder is compared with an independent one.
$(BUILD)/unit/test_insn_zydis: UNIT_LIBS := -lZydis

.PRECIOUS: $(BUILD)/host/%.o

.PHONY: unit
unit: $(UNIT_BIN)
	@$(PYTHON) tests/unit/run.py $(UNIT_BIN)
