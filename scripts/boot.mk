# SPDX-License-Identifier: GPL-2.0-or-later
# The EFI application (gnu-efi) with the hypervisor inside, and the USB stick.

EFI_LIB   ?= /usr/lib
EFI_FLAGS := -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI \
             -fshort-wchar
BOOT_SRC  := $(sort $(wildcard boot/*.c))
BOOT_OBJ  := $(BOOT_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/boot/blob.o $(BUILD)/obj/arch/x86_64/string.o \
             $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard hv/lib/*.c hv/plan/*.c)))

$(BUILD)/obj/boot/%.o: boot/%.c
	@mkdir -p $(@D)
	$(CC) $(FREESTANDING) $(EFI_FLAGS) -MMD -MP -c $< -o $@

# The stick carries no debug information; $(ELF) keeps it for whoever looks for an address.
$(BUILD)/stripped/bulkhead.elf: $(ELF)
	@mkdir -p $(@D)
	$(OBJCOPY) --strip-all $< $@

$(BUILD)/obj/boot/blob.o: boot/blob.S $(BUILD)/stripped/bulkhead.elf
	@mkdir -p $(@D)
	$(CC) -I$(BUILD)/stripped $(ASFLAGS) -c $< -o $@

$(BUILD)/boot.so: $(BOOT_OBJ) boot/efi.lds
	$(LD) -shared -Bsymbolic -nostdlib --gc-sections -z nocombreloc -z noexecstack --no-undefined --build-id=none \
	    --fatal-warnings -T boot/efi.lds -o $@ $(EFI_LIB)/crt0-efi-x86_64.o $(BOOT_OBJ) \
	    $(EFI_LIB)/libefi.a $(EFI_LIB)/libgnuefi.a

# SOURCE_DATE_EPOCH: the PE header's time stamp is part of the bytes that two builds share.
$(EFI): $(BUILD)/boot.so
	SOURCE_DATE_EPOCH=0 $(OBJCOPY) --strip-all -j .text -j .reloc -j .data -j .dynamic -j .rela -j .dynsym \
	    --target efi-app-x86_64 --subsystem=10 $< $@

# What the demo stick carries, as PATH-ON-THE-STICK=FILE.
USB_FILES := EFI/BOOT/BOOTX64.EFI=$(EFI) bulkhead/bulkhead.toml=config/bulkhead.toml \
             guests/vmlinuz=$(BUILD)/guests/vmlinuz guests/demo.img=$(BUILD)/guests/demo.img

$(BUILD)/bulkhead-usb.img: tools/mkusb $(foreach f,$(USB_FILES),$(lastword $(subst =, ,$(f))))
	tools/mkusb -o $@ $(USB_FILES)

.PHONY: usb
usb: $(BUILD)/bulkhead-usb.img
	@echo "$<: write it to a stick with: dd if=$< of=/dev/sdX bs=4M conv=fsync"

# The parts of boot/ that need no firmware are tested on the host.
$(BUILD)/unit/test_boot: $(addprefix $(BUILD)/host/boot/,acpi.o elf.o ranges.o)
