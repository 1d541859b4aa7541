# SPDX-License-Identifier: GPL-2.0-or-later
# Test guests, and what runs in emulators: run, bochs-test, bench. The sticks of the single tests are
# made by tests/system/stick.py with tools/mkusb.

TEST_GUEST  := $(BUILD)/guests/testguest
BENCH_GUEST := $(BUILD)/guests/benchguest
GUEST_LINK  := -nostdlib -static-pie -Wl,-T,guests/test/guest.lds -Wl,--no-dynamic-linker \
               -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
               -Wl,-z,max-page-size=4096 -Wl,--fatal-warnings
GUEST_BASE  := $(addprefix $(BUILD)/obj/guests/test/,start.o machine.o apic.o)

$(TEST_GUEST).elf: $(GUEST_BASE) $(addprefix $(BUILD)/obj/guests/test/,main.o cpu.o walls.o)
$(BENCH_GUEST).elf: $(GUEST_BASE) $(BUILD)/obj/guests/bench/bench.o

$(BUILD)/guests/%.elf: guests/test/guest.lds
	@mkdir -p $(@D)
	$(CC) $(GUEST_LINK) -o $@ $(filter %.o,$^)

# A bzImage: setup sectors before the flat image.
$(BUILD)/guests/%guest: $(BUILD)/guests/%guest.elf guests/test/setup.S
	$(OBJCOPY) -O binary $< $@.flat
	$(CC) -c -DKERNEL='"$@.flat"' guests/test/setup.S -o $@.setup.o
	$(OBJCOPY) -O binary -j .setup $@.setup.o $@

.PHONY: test-guests run bochs-test bench
test-guests: $(TEST_GUEST) $(BENCH_GUEST)

run: usb
	@$(PYTHON) -B tests/system/run_demo.py --build $(BUILD)

# TARGET=bochs-intel TESTS="walls refusals" narrow it down.
bochs-test: all usb test-guests
	@$(PYTHON) -B tests/system/run.py --build $(BUILD) $(if $(TARGET),--target $(TARGET)) $(TESTS)

bench: all test-guests
	@$(PYTHON) -B tests/system/bench.py --build $(BUILD) $(if $(WRITE_DOCS),--write-docs)
