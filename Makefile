# SPDX-License-Identifier: GPL-2.0-or-later
# One Makefile for the hypervisor, the EFI application, the demo stick, the tests. `make help`.

CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
OBJCOPY  ?= objcopy
BUILD    ?= build
PYTHON   ?= python3

WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wundef -Wvla -Wswitch-enum
COMMON := -std=c11 -O2 -g $(WARN) -I. -ffile-prefix-map=$(CURDIR)=. -fno-common \
          -ffunction-sections -fdata-sections
# -fbuiltin: a copy of a size that the compiler knows is a few moves, and no call.
FREESTANDING := $(COMMON) -m64 -march=x86-64 -ffreestanding -fbuiltin -fPIE -fvisibility=hidden \
          -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
          -fcf-protection=none -fomit-frame-pointer -fno-strict-aliasing
ASFLAGS := -I. -I$(BUILD) -g -ffile-prefix-map=$(CURDIR)=. -Wa,--noexecstack

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

HV_SRC   := $(sort $(wildcard hv/*/*.c))
ARCH_SRC := $(sort $(wildcard arch/x86_64/*.c arch/x86_64/*/*.c))
ARCH_ASM := $(sort $(wildcard arch/x86_64/*.S arch/x86_64/*/*.S))
ELF_SRC  := $(HV_SRC) $(ARCH_SRC)
ELF_OBJ  := $(ELF_SRC:%.c=$(BUILD)/obj/%.o) $(ARCH_ASM:%.S=$(BUILD)/obj/%.o)

ELF := $(BUILD)/bulkhead.elf
EFI := $(BUILD)/BOOTX64.EFI

.PHONY: all
all: $(EFI)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FREESTANDING) -MMD -MP -c $< -o $@

$(BUILD)/obj/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(ASFLAGS) -MMD -MP -c $< -o $@

# `make coverage` builds the tree once more with COVERAGE=1: gcc's counters in all that is linked into the
# hypervisor and the EFI application, and tests/coverage/, which prints them on the serial line.
ifdef COVERAGE
COUNTED_ROOMS := hv arch boot config
COUNTERS      := -fprofile-arcs -ftest-coverage -fprofile-info-section -fprofile-update=atomic -w
$(COUNTED_ROOMS:%=$(BUILD)/obj/%/%.o): private FREESTANDING += $(COUNTERS)
LIBGCOV       := $(shell $(CC) -print-libgcc-file-name | sed s/libgcc.a/libgcov.a/)
COVERAGE_OBJ  := $(BUILD)/obj/tests/coverage/dump.o
ELF_COVERAGE  := $(BUILD)/obj/tests/coverage/hypervisor.o $(COVERAGE_OBJ) $(LIBGCOV) \
                 -Wl,--wrap=plat_machine_reset,--wrap=plat_serial_write,--wrap=serial_write_polled
EFI_COVERAGE  := $(BUILD)/obj/tests/coverage/boot.o $(COVERAGE_OBJ) $(LIBGCOV) \
                 --wrap=memory_exit_firmware --wrap=memory_free_all
$(BUILD)/obj/tests/coverage/boot.o: private FREESTANDING += $(EFI_FLAGS)
COUNTED := $(ELF) $(BUILD)/boot.so $(BUILD)/backdoor/bulkhead.elf $(BUILD)/backdoor/boot.so
$(COUNTED): $(patsubst %,$(BUILD)/obj/tests/coverage/%.o,hypervisor boot dump)
endif

# A static position-independent ELF; boot/ applies its relative relocations.
ELF_LINK = $(CC) -nostdlib -static-pie -Wl,-T,linker.ld -Wl,--gc-sections -Wl,-z,noexecstack \
           -Wl,-z,separate-code -Wl,--build-id=sha1 -Wl,-z,norelro -Wl,--no-dynamic-linker -Wl,--fatal-warnings
$(ELF): $(ELF_OBJ) linker.ld
	$(ELF_LINK) -o $@ $(ELF_OBJ) $(ELF_COVERAGE)

# What each guest starts with (guests/firmware), and its DSDT, compiled from ASL: the guests' compartments carry both.

IASL ?= iasl
FIRMWARE     := $(BUILD)/guests/firmware
FIRMWARE_OBJ := $(patsubst %,$(BUILD)/obj/guests/firmware/%.o,start bios)
LOADER_BLOBS := $(BUILD)/dsdt.aml $(FIRMWARE).bin

$(BUILD)/dsdt.aml: hv/compartment/load/dsdt.asl
	@mkdir -p $(@D)
	$(IASL) -vs -we -vi -p $(@:.aml=) $< >$(@:.aml=.log) 2>&1 || { cat $(@:.aml=.log); exit 1; }

$(BUILD)/compartment/hv/compartment/load/blobs.o $(BUILD)/host/hv/compartment/load/blobs.o: $(LOADER_BLOBS)

$(FIRMWARE).elf: $(FIRMWARE_OBJ) guests/firmware/firmware.lds
	@mkdir -p $(@D)
	$(CC) -nostdlib -static -Wl,-T,guests/firmware/firmware.lds -Wl,--build-id=none \
	    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,--fatal-warnings -o $@ $(FIRMWARE_OBJ)

$(FIRMWARE).bin: $(FIRMWARE).elf
	$(OBJCOPY) -O binary $< $@

# The guests' compartments: a program of its own, which knows nothing of the core but hv/abi/compartment.h.

COMPARTMENT_SRC := $(sort $(wildcard hv/compartment/*/*.c hv/lib/*.c))
COMPARTMENT_ASM := $(sort $(wildcard hv/compartment/*/*.S)) arch/x86_64/string.S
COMPARTMENT_OBJ := $(COMPARTMENT_SRC:%.c=$(BUILD)/compartment/%.o) $(COMPARTMENT_ASM:%.S=$(BUILD)/compartment/%.o)

COMPARTMENT_LINK = $(CC) -nostdlib -static -Wl,-T,hv/compartment/compartment.lds -Wl,--build-id=none -Wl,--gc-sections \
                   -Wl,-z,noexecstack -Wl,--fatal-warnings

$(BUILD)/compartment/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FREESTANDING) -MMD -MP -c $< -o $@

$(BUILD)/compartment/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(ASFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/compartment.elf: $(COMPARTMENT_OBJ) hv/compartment/compartment.lds
	$(COMPARTMENT_LINK) -o $@ $(COMPARTMENT_OBJ)

$(BUILD)/compartment.bin: $(BUILD)/compartment.elf
	$(OBJCOPY) -O binary $< $@

$(BUILD)/obj/arch/x86_64/blob.o: $(BUILD)/font.psf $(BUILD)/compartment.bin

# The EFI application (gnu-efi) with the hypervisor inside, and the USB stick.

EFI_LIB   ?= /usr/lib
EFI_FLAGS := -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI \
             -fshort-wchar
BOOT_SRC  := $(sort $(wildcard boot/*.c))
BOOT_OBJ  := $(BOOT_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/boot/blob.o $(BUILD)/obj/arch/x86_64/string.o \
             $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard hv/lib/*.c hv/plan/*.c config/*.c)))

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

EFI_LINK = $(LD) -shared -Bsymbolic -nostdlib --gc-sections -z nocombreloc -z noexecstack --no-undefined \
           --build-id=none --fatal-warnings -T boot/efi.lds
EFI_LIBS := $(EFI_LIB)/libefi.a $(EFI_LIB)/libgnuefi.a
# SOURCE_DATE_EPOCH: the PE header's time stamp is part of the bytes that two builds share.
EFI_CONVERT = SOURCE_DATE_EPOCH=0 $(OBJCOPY) --strip-all -j .text -j .reloc -j .data -j .dynamic -j .rela -j .sbat -j .dynsym \
              --target efi-app-x86_64 --subsystem=10

$(BUILD)/boot.so: $(BOOT_OBJ) boot/efi.lds
	$(EFI_LINK) -o $@ $(EFI_LIB)/crt0-efi-x86_64.o $(BOOT_OBJ) $(EFI_LIBS) $(EFI_COVERAGE)

$(EFI): $(BUILD)/boot.so scripts/nx_compat.py
	$(EFI_CONVERT) $< $@
	$(PYTHON) scripts/nx_compat.py $@

# What the demo stick carries, as PATH-ON-THE-STICK=FILE.
USB_FILES := EFI/BOOT/BOOTX64.EFI=$(EFI) bulkhead/bulkhead.toml=config/bulkhead.toml \
             guests/vmlinuz=$(BUILD)/guests/vmlinuz guests/demo.img=$(BUILD)/guests/demo.img \
             images/demo.erofs=$(BUILD)/guests/demo.erofs

# SIZE=4G leaves room for guests of one's own; another size than last time is no newer file.
.PHONY: usb-size
$(BUILD)/bulkhead-usb.img: tools/mkusb $(foreach f,$(USB_FILES),$(lastword $(subst =, ,$(f)))) $(if $(SIZE),usb-size)
	tools/mkusb $(if $(SIZE),--size $(SIZE)) -o $@ $(USB_FILES)

.PHONY: usb
usb: $(BUILD)/bulkhead-usb.img
	@echo "$<: write it to a stick with: dd if=$< of=/dev/sdX bs=4M conv=fsync"

# The same for Secure Boot: the application gets the list of those files, and is signed. STICK: a folder with one's own
# files, or the mounted stick, whose application is replaced (docs/secure-boot.md).
SIGNED      := $(BUILD)/signed/BOOTX64.EFI
OTHER_FILES := $(filter-out EFI/%,$(USB_FILES))
SEAL        := tools/seal --key "$(KEY)" --cert "$(CERT)" --application $(EFI)

.PHONY: sign
sign: $(EFI) $(if $(STICK),,$(foreach f,$(OTHER_FILES),$(lastword $(subst =, ,$(f)))))
	@test -n "$(KEY)" -a -n "$(CERT)" || \
	    { echo 'say which key signs: make sign KEY=my.key CERT=my.pem (docs/secure-boot.md)' >&2; exit 1; }
ifdef STICK
	@$(SEAL) "$(STICK)"
else
	@$(SEAL) -o $(SIGNED) $(OTHER_FILES)
	@tools/mkusb $(if $(SIZE),--size $(SIZE)) -o $(BUILD)/bulkhead-signed.img EFI/BOOT/BOOTX64.EFI=$(SIGNED) $(OTHER_FILES)
	@echo '$(BUILD)/bulkhead-signed.img: write it to a stick with: dd if=$(BUILD)/bulkhead-signed.img of=/dev/sdX bs=4M conv=fsync'
endif

# The parts of boot/ that need no firmware are tested on the host.
$(BUILD)/unit/test_boot: $(addprefix $(BUILD)/host/boot/,device_path.o acpi.o elf.o iommu.o pixels.o ranges.o sleep.o tables.o wdat.o)
$(BUILD)/unit/test_wdat: $(addprefix $(BUILD)/host/boot/,ranges.o wdat.o)

# The same with another program in the compartments, which has a back door: for one test, and never on the demo stick.

BACKDOOR := $(BUILD)/backdoor
$(BACKDOOR)/compartment.elf: $(BUILD)/compartment/tests/backdoor/main.o hv/compartment/compartment.lds \
        $(filter-out %/entry/main.o,$(COMPARTMENT_OBJ))
	@mkdir -p $(@D)
	$(COMPARTMENT_LINK) -o $@ $(filter %.o,$^)
$(BACKDOOR)/compartment.bin: $(BACKDOOR)/compartment.elf
	$(OBJCOPY) -O binary $< $@
$(BACKDOOR)/core_blob.o: arch/x86_64/blob.S $(BACKDOOR)/compartment.bin $(BUILD)/font.psf
	$(CC) -I$(BACKDOOR) $(ASFLAGS) -c $< -o $@
$(BACKDOOR)/bulkhead.elf: $(BACKDOOR)/core_blob.o $(filter-out %/x86_64/blob.o,$(ELF_OBJ)) linker.ld
	$(ELF_LINK) -o $@ $(BACKDOOR)/core_blob.o $(filter-out %/x86_64/blob.o,$(ELF_OBJ)) $(ELF_COVERAGE)
$(BACKDOOR)/boot_blob.o: boot/blob.S $(BACKDOOR)/bulkhead.elf
	$(CC) -I$(BACKDOOR) $(ASFLAGS) -c $< -o $@
$(BACKDOOR)/boot.so: $(BACKDOOR)/boot_blob.o $(filter-out %/boot/blob.o,$(BOOT_OBJ)) boot/efi.lds
	$(EFI_LINK) -o $@ $(EFI_LIB)/crt0-efi-x86_64.o $(BACKDOOR)/boot_blob.o $(filter-out %/boot/blob.o,$(BOOT_OBJ)) \
	    $(EFI_LIBS) $(EFI_COVERAGE)
$(BACKDOOR)/BOOTX64.EFI: $(BACKDOOR)/boot.so
	$(EFI_CONVERT) $< $@
	$(PYTHON) scripts/nx_compat.py $@

# A firmware with bad habits, for make hardware-test.

HABITS := $(BUILD)/habits.efi
HABITS_OBJ := $(patsubst %,$(BUILD)/obj/tests/habits/%.o,main cpu net la57)
$(HABITS_OBJ): private FREESTANDING += $(EFI_FLAGS)
$(BUILD)/habits.so: $(HABITS_OBJ) boot/efi.lds
	$(EFI_LINK) -o $@ $(EFI_LIB)/crt0-efi-x86_64.o $(filter %.o,$^) $(EFI_LIBS)
$(HABITS): $(BUILD)/habits.so
	$(EFI_CONVERT) $< $@
	$(PYTHON) scripts/nx_compat.py $@

# The demo guest's initramfs: a static busybox, one script and modules of its kernel.

BUSYBOX ?= /bin/busybox

# What of the kernel the demo needs as modules: the power button, virtio, the watchdog.
MODULES      := button.ko evdev.ko virtio.ko virtio_ring.ko virtio_pci_modern_dev.ko virtio_pci_legacy_dev.ko \
                virtio_pci.ko virtio-rng.ko failover.ko net_failover.ko virtio_net.ko virtio_blk.ko \
                libcrc32c.ko libnvdimm.ko nd_btt.ko nd_pmem.ko nd_e820.ko erofs.ko overlay.ko watchdog.ko wdat_wdt.ko
CONSOLE_MODULES := virtio_console.ko vsock.ko vmw_vsock_virtio_transport_common.ko vmw_vsock_virtio_transport.ko
DRIVER_MODULES := crct10dif_common.ko crc-t10dif.ko crc64.ko crc64-rocksoft.ko t10-pi.ko nvme-core.ko nvme.ko scsi_common.ko \
                scsi_mod.ko sd_mod.ko libata.ko libahci.ko ahci.ko e1000e.ko usb-common.ko usbcore.ko xhci-hcd.ko xhci-pci.ko \
                usb-storage.ko mmc_core.ko mmc_block.ko cqhci.ko sdhci.ko sdhci-pci.ko
DEMO_MODULES := $(MODULES:%=$(BUILD)/guests/modules/%)
FULL_MODULES := $(addprefix $(BUILD)/guests/modules-full/,$(MODULES) $(CONSOLE_MODULES) crc32c_generic.ko)

# The other one is for Debian's kernel for PCs, which a test starts.
$(BUILD)/guests/demo.img: $(DEMO_MODULES)
$(BUILD)/guests/full.img: $(FULL_MODULES)
$(BUILD)/guests/drivers.img: $(FULL_MODULES) $(DRIVER_MODULES:%=$(BUILD)/guests/modules-full/%)
$(BUILD)/guests/%.img: guests/linux/mkinitramfs guests/linux/init $(BUSYBOX)
	@mkdir -p $(@D)
	guests/linux/mkinitramfs --busybox $(BUSYBOX) --init guests/linux/init \
	    $(addprefix --module ,$(filter %.ko,$^)) -o $@

# The root of all demo guests, in their memory, one copy for all: programs, not compressed, and a file to compare. The same
# bytes each time.
$(BUILD)/guests/demo.erofs: $(BUSYBOX)
	@rm -rf $(BUILD)/guests/image && mkdir -p $(BUILD)/guests/image/bin
	@cp $(BUSYBOX) $(BUILD)/guests/image/bin/busybox
	@seq 200000 >$(BUILD)/guests/image/numbers
	@rm -f $@ && mkfs.erofs --quiet -T0 -U 00000000-0000-0000-0000-000000000001 --all-root $@ $(BUILD)/guests/image >/dev/null
	@truncate -s %2M $@

# Programs for guests are linked statically, so that they run in any. The demo with bulkctl is for a test.
GUEST_CC     = $(HOST_CC) -std=c11 -D_GNU_SOURCE -O2 $(WARN) -static
BULKCTL      := $(wildcard tools/bulkctl/*.c)
$(BUILD)/bulkctl: $(BULKCTL) $(wildcard tools/bulkctl/*.h) hv/lib/message.h
	@mkdir -p $(@D)
	$(GUEST_CC) -I. $(BULKCTL) -o $@
.PHONY: bulkctl
bulkctl: $(BUILD)/bulkctl
CONTROL_MODULES := $(DEMO_MODULES) $(CONSOLE_MODULES:%=$(BUILD)/guests/modules/%)
$(BUILD)/guests/control.img: $(CONTROL_MODULES) guests/linux/mkinitramfs guests/linux/init $(BUSYBOX) $(BUILD)/bulkctl
	guests/linux/mkinitramfs --busybox $(BUSYBOX) --init guests/linux/init $(addprefix --module ,$(filter %.ko,$^)) \
	    --file bin/bulkctl=$(BUILD)/bulkctl -o $@

# With what loads a crash kernel, and a crash kernel.
$(BUILD)/guests/crash.img: $(DEMO_MODULES) $(BUILD)/guests/crash/kexec guests/linux/load-crash $(BUILD)/guests/vmlinuz \
        $(BUILD)/guests/demo.img guests/linux/mkinitramfs guests/linux/init $(BUSYBOX)
	guests/linux/mkinitramfs --busybox $(BUSYBOX) --init guests/linux/init $(addprefix --module ,$(filter %.ko,$^)) \
	    --file lib64/ld-linux-x86-64.so.2=$(BUILD)/guests/crash/ld-linux-x86-64.so.2 \
	    $(foreach f,$(wildcard $(BUILD)/guests/crash/lib*),--file lib/$(notdir $f)=$f) \
	    --file sbin/kexec=$(BUILD)/guests/crash/kexec --file sbin/load-crash=guests/linux/load-crash \
	    --file boot/vmlinuz=$(BUILD)/guests/vmlinuz --file boot/demo.img=$(BUILD)/guests/demo.img -o $@

$(BUILD)/guests/crash/kexec:
	@mkdir -p $(BUILD)
	@scripts/setup.sh crash $(BUILD)

$(BUILD)/guests/xen: $(BUILD)/guests/vmlinuz-full $(BUILD)/guests/full.img
	@scripts/setup.sh xen $(BUILD)

# Debian's installer; and the demo with the drivers that it fetches, as a web server has them.
$(BUILD)/guests/installer.img:
	@mkdir -p $(BUILD)
	@scripts/setup.sh installer $(BUILD)
$(BUILD)/guests/mirror.img: $(DEMO_MODULES) guests/linux/mkinitramfs guests/linux/init $(BUSYBOX) $(BUILD)/guests/installer.img
	guests/linux/mkinitramfs --busybox $(BUSYBOX) --init guests/linux/init $(addprefix --module ,$(filter %.ko,$^)) \
	    --file www/drivers.udeb=$(BUILD)/guests/installer-drivers.udeb -o $@

# A small Debian as a file system for guests' disks, the same on every build of the same packages, and what starts it:
# an initramfs for the demo guest's kernel and one for Debian's kernel for PCs.

ROOT_MODULES := $(MODULES) $(CONSOLE_MODULES) device_dax.ko nbd.ko llc.ko stp.ko bridge.ko
FULL_ROOT_MODULES := $(ROOT_MODULES) crc32c_generic.ko crc16.ko mbcache.ko jbd2.ko ext4.ko
$(BUILD)/guests/root.img: $(ROOT_MODULES:%=$(BUILD)/guests/modules/%)
$(BUILD)/guests/root-full.img: $(FULL_ROOT_MODULES:%=$(BUILD)/guests/modules-full/%)
$(BUILD)/guests/root.img $(BUILD)/guests/root-full.img: guests/linux/mkinitramfs guests/linux/root-initrd $(BUSYBOX)
	guests/linux/mkinitramfs --busybox $(BUSYBOX) --init guests/linux/root-initrd \
	    $(addprefix --module ,$(filter %.ko,$^)) -o $@

# The same with the client of network block devices: for a guest whose root another guest serves.
$(BUILD)/guests/root-nbd.img: $(ROOT_MODULES:%=$(BUILD)/guests/modules/%) $(BUILD)/guests/nbd/nbd-client \
        guests/linux/mkinitramfs guests/linux/root-initrd $(BUSYBOX)
	guests/linux/mkinitramfs --busybox $(BUSYBOX) --init guests/linux/root-initrd $(addprefix --module ,$(filter %.ko,$^)) \
	    --file lib64/ld-linux-x86-64.so.2=$(BUILD)/guests/nbd/ld-linux-x86-64.so.2 \
	    $(foreach f,$(wildcard $(BUILD)/guests/nbd/lib*),--file lib/$(notdir $f)=$f) \
	    --file sbin/nbd-client=$(BUILD)/guests/nbd/nbd-client -o $@

ROOT_SCRIPTS := guests/linux/root-init=usr/sbin/init guests/linux/root-sshd=usr/sbin/root-sshd \
                $(BUILD)/bulkctl=usr/bin/bulkctl
ROOT_PACKAGES := $(BUILD)/guests/packages
$(BUILD)/guests/root.erofs: guests/linux/mkroot guests/linux/root-init guests/linux/root-sshd \
        $(ROOT_MODULES:%=$(BUILD)/guests/modules/%) $(BUILD)/guests/vmlinuz $(ROOT_PACKAGES)/list $(BUILD)/bulkctl
	guests/linux/mkroot --packages $(ROOT_PACKAGES) --kernel $(BUILD)/guests/vmlinuz --cc $(CC) \
	    $(addprefix --module ,$(filter %.ko,$^)) $(addprefix --script ,$(ROOT_SCRIPTS)) -o $@

.PHONY: guest-root
guest-root: $(addprefix $(BUILD)/guests/,vmlinuz root.img root.erofs)

# What the build needs and does not bring along: tools, by groups of scripts/setup.sh; the guests' kernel, a font.
# make remakes the files it includes before anything else: so a missing tool is told, or installed, before the
# first compiler call. `make setup`, `make run` and `make test` install Debian's packages; all other goals ask only.

GOALS       := $(or $(MAKECMDGOALS),all)
STICK_GOALS := usb sign run test system-test bochs-test qemu-test screenshot soak storm test-full-kernel heavy-guests bench bench-linux bench-io coverage hardware-test
CHECK_GOALS := unit check test coverage coverage-short mutate mutate-short system-test
TOOLS       := build $(if $(filter $(STICK_GOALS),$(GOALS)),stick) $(if $(filter $(CHECK_GOALS),$(GOALS)),check) \
               $(if $(filter-out usb sign,$(filter $(STICK_GOALS),$(GOALS))),emulators) $(if $(filter $(ROOT_GOALS),$(GOALS)),root) $(if $(filter $(SIGN_GOALS),$(GOALS)),sign)
ROOT_GOALS  := guest-root test-guests $(filter-out usb sign,$(STICK_GOALS))
SIGN_GOALS  := sign test system-test qemu-test coverage
NO_SPACE    :=
HAVE_TOOLS  := $(BUILD)/have/$(subst $(NO_SPACE) $(NO_SPACE),-,$(strip $(TOOLS))).mk

ifneq ($(filter-out help clean setup,$(GOALS)),)
$(HAVE_TOOLS): scripts/setup.sh
	@mkdir -p $(@D)
	@scripts/setup.sh $(if $(filter run test,$(GOALS)),install,need) $(TOOLS)
	@echo '# every tool was there' >$@

include $(HAVE_TOOLS)
endif

.PHONY: setup
setup:
	@scripts/setup.sh install
	@echo 'Every tool is there. The demo kernel and the screen font are fetched when they are needed.'

# No prerequisites: once fetched it stays until make clean.
$(BUILD)/guests/vmlinuz $(ROOT_MODULES:%=$(BUILD)/guests/modules/%) &:
	@mkdir -p $(BUILD)
	@scripts/setup.sh kernel $(BUILD)

# Other people's kernels, for the tests: Debian's for PCs and for real time, memtest86+, GRUB.
KINDS := $(addprefix $(BUILD)/guests/,memtest64 memtest32 grub vmlinuz-rt)
$(KINDS) &:
	@mkdir -p $(BUILD)
	@scripts/setup.sh kinds $(BUILD)

$(BUILD)/guests/vmlinuz-full $(patsubst %,$(BUILD)/guests/modules-full/%,$(FULL_ROOT_MODULES) $(DRIVER_MODULES)) &:
	@mkdir -p $(BUILD)
	@scripts/setup.sh full $(BUILD)

$(ROOT_PACKAGES)/list: scripts/setup.sh
	@mkdir -p $(BUILD)
	@scripts/setup.sh root $(BUILD)
	@touch $@

$(BUILD)/guests/nbd/nbd-client:
	@mkdir -p $(BUILD)
	@scripts/setup.sh nbd $(BUILD)

$(BUILD)/ipxe.efi:
	@mkdir -p $(BUILD)
	@scripts/setup.sh ipxe $(BUILD)

$(BUILD)/font.psf:
	@mkdir -p $(BUILD)
	@scripts/setup.sh font $(BUILD)

# Test guests, and what runs in emulators: run, the system tests, bench. The sticks of the single tests are
# made by tests/system/frame.py with tools/mkusb.

TEST_GUEST  := $(BUILD)/guests/testguest
BENCH_GUEST := $(BUILD)/guests/benchguest
DIFFER_GUEST := $(BUILD)/guests/differguest
HOSTILE_GUEST := $(BUILD)/guests/hostileguest
GUEST_LINK  := -nostdlib -static-pie -Wl,-T,guests/test/guest.lds -Wl,--no-dynamic-linker \
               -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
               -Wl,-z,max-page-size=4096 -Wl,--fatal-warnings
GUEST_BASE  := $(addprefix $(BUILD)/obj/guests/test/,start.o machine.o apic.o)

# Each group of tests is a file.
$(TEST_GUEST).elf: $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard guests/test/*.c))) \
        $(addprefix $(BUILD)/obj/guests/test/,start.o ap.o legacy.o)
$(HOSTILE_GUEST).elf: $(GUEST_BASE) $(addprefix $(BUILD)/obj/guests/test/,shell.o sockets.o vcpu.o ap.o) \
        $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard guests/hostile/*.c))) \
        $(addprefix $(BUILD)/obj/guests/hostile/,user_entry.o legacy_entry.o)
$(BENCH_GUEST).elf: $(GUEST_BASE) $(BUILD)/obj/guests/bench/bench.o $(addprefix $(BUILD)/obj/guests/test/,vcpu.o ap.o)
$(DIFFER_GUEST).elf: $(GUEST_BASE) $(addprefix $(BUILD)/obj/guests/differ/,main.o probe.o entry.o acts.o)

$(BUILD)/guests/%.elf: guests/test/guest.lds
	@mkdir -p $(@D)
	$(CC) $(GUEST_LINK) -o $@ $(filter %.o,$^)

# A bzImage: setup sectors before the flat image.
$(BUILD)/guests/%guest: $(BUILD)/guests/%guest.elf guests/test/setup.S
	$(OBJCOPY) -O binary $< $@.flat
	$(CC) -c -DKERNEL='"$@.flat"' guests/test/setup.S -o $@.setup.o
	$(OBJCOPY) -O binary -j .setup $@.setup.o $@

# One guest for each kind of kernel file: guests/kinds/NAME.c with what they share, for 32 or 64 bits.
KINDS32     := multiboot linux32
KINDS64     := program
KIND_GUESTS := $(addprefix $(BUILD)/guests/kind-,multiboot linux32 elf flat)
KIND_FLAGS  := -std=c11 -O2 $(WARN) -I. -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only -mno-red-zone \
               -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none

$(BUILD)/guests/kinds32/%.o: guests/kinds/%.c
	@mkdir -p $(@D)
	$(CC) -m32 $(KIND_FLAGS) -MMD -MP -c $< -o $@
$(BUILD)/guests/kinds64/%.o: guests/kinds/%.c
	@mkdir -p $(@D)
	$(CC) -m64 -mcmodel=small $(KIND_FLAGS) -MMD -MP -c $< -o $@
$(BUILD)/guests/kinds32/entry.o: guests/kinds/entry.S
	@mkdir -p $(@D)
	$(CC) -m32 -c $< -o $@
$(BUILD)/guests/kinds64/entry.o: guests/kinds/entry.S
	@mkdir -p $(@D)
	$(CC) -m64 -c $< -o $@

KIND_LINK := $(LD) -static -nostdlib -T guests/kinds/kinds.lds --build-id=none -z noexecstack -z max-page-size=4096
$(foreach k,$(KINDS32),$(eval $(BUILD)/guests/kinds32/$k.elf: $(addprefix $(BUILD)/guests/kinds32/,entry.o kinds.o $k.o)))
$(foreach k,$(KINDS64),$(eval $(BUILD)/guests/kinds64/$k.elf: $(addprefix $(BUILD)/guests/kinds64/,entry.o kinds.o $k.o)))
$(BUILD)/guests/kinds32/%.elf: guests/kinds/kinds.lds
	$(KIND_LINK) -m elf_i386 -o $@ $(filter %.o,$^)
$(BUILD)/guests/kinds64/%.elf: guests/kinds/kinds.lds
	$(KIND_LINK) -m elf_x86_64 -o $@ $(filter %.o,$^)

$(BUILD)/guests/kind-multiboot: $(BUILD)/guests/kinds32/multiboot.elf
	cp $< $@
$(BUILD)/guests/kind-elf: $(BUILD)/guests/kinds64/program.elf
	cp $< $@
$(BUILD)/guests/kind-flat: $(BUILD)/guests/kinds64/program.elf
	$(OBJCOPY) -O binary $< $@
$(BUILD)/guests/kind-linux32: $(BUILD)/guests/kinds32/linux32.elf guests/test/setup.S
	$(OBJCOPY) -O binary $< $@.flat
	$(CC) -c -DKERNEL='"$@.flat"' -DXLOADFLAGS=0 -DRELOCATABLE=0 guests/test/setup.S -o $@.setup.o
	$(OBJCOPY) -O binary -j .setup $@.setup.o $@

.PHONY: test-guests run system-test bochs-test qemu-test screenshot bench bench-linux bench-io
test-guests: $(BACKDOOR)/BOOTX64.EFI $(HABITS) $(BUILD)/ipxe.efi $(TEST_GUEST) $(HOSTILE_GUEST) $(BENCH_GUEST) $(DIFFER_GUEST) $(KIND_GUESTS) $(KINDS) $(addprefix $(BUILD)/guests/,vmlinuz-full full.img drivers.img root.erofs root.img root-nbd.img control.img) $(BUILD)/bulkctl

run: usb
	@$(PYTHON) -B tests/system/run_demo.py --build $(BUILD) $(addprefix --target ,$(TARGET)) $(addprefix --gdb ,$(GDB))

# TARGET="bochs-intel qemu-tcg" TESTS="walls refusals" narrow them down. A/B: the first that can run here.
SYSTEM_TEST = @$(PYTHON) -B tests/system/run.py --build $(BUILD) $(addprefix --target ,$(or $(TARGET),$(1)))
QEMU       := qemu-kvm/qemu-tcg

system-test bochs-test qemu-test screenshot: all usb test-guests bhcheck
system-test:
	$(call SYSTEM_TEST) $(TESTS)
bochs-test:
	$(call SYSTEM_TEST,host bochs-intel bochs-amd) $(TESTS)
qemu-test:
	$(call SYSTEM_TEST,host $(QEMU)) $(TESTS)

# The console's terminal beside another one, with everyday programs of Debian; `make test` has recordings of some.
.PHONY: terminal-check
terminal-check: $(BUILD)/unit/print_terminal
	@scripts/setup.sh install terminal
	@/usr/bin/python3 -B scripts/terminal_check.py --build $(BUILD)

# Machines and firmware of all kinds, each booted to two answering guests; `make test` has the worst of them in one.
.PHONY: hardware-test
hardware-test: all usb test-guests
	$(call SYSTEM_TEST,bochs-intel bochs-amd qemu-tcg) hardware

# What takes many minutes: clocks and load over a minute of guest time; two guests on a wire for ten of them.
SOAK_SECONDS ?= 600
.PHONY: soak
soak: export BULKHEAD_SOAK_SECONDS := $(SOAK_SECONDS)
soak: all usb test-guests
	$(call SYSTEM_TEST) soak wires-soak restarts-soak passed-restarts-soak passed-kinds-soak

# A million times STI; HLT while host interrupts storm; WAKE_UPS=20000 for fewer.
WAKE_UPS ?= 1000000
.PHONY: storm
storm: export BULKHEAD_WAKE_UPS := $(WAKE_UPS)
storm: all usb test-guests
	$(call SYSTEM_TEST) storm

# Debian's kernel for PCs; `make test` starts it in QEMU alone.
.PHONY: test-full-kernel
test-full-kernel: all usb test-guests
	$(call SYSTEM_TEST) full-kernel

# Other people's systems that bring much along: a crash kernel with its tools (kdump), Xen with a dom0, Debian's installer.
.PHONY: heavy-guests
heavy-guests: all usb test-guests
	$(MAKE) $(addprefix $(BUILD)/guests/,crash.img xen installer.img mirror.img)
	$(call SYSTEM_TEST) kdump dom0 installer

# Which lines the tests run, room by room, against the floors in tests/coverage/floors.txt; what share of faults made by
# a script, one line at a time, the unit tests see (floors: tests/mutate/floors.txt). `make test` runs the short forms.
MUTATE_COUNT ?= 1000
.PHONY: coverage coverage-short mutate mutate-short
coverage:
	@$(PYTHON) -B scripts/coverage.py --build $(BUILD)/coverage $(addprefix --target ,$(TARGET)) $(if $(WRITE_DOCS),--write-docs) $(TESTS)
coverage-short:
	@$(PYTHON) -B scripts/coverage.py --build $(BUILD)/coverage --unit-only
mutate:
	@$(PYTHON) -B scripts/mutate.py --build $(BUILD) --count $(if $(FILES),0,$(MUTATE_COUNT)) $(if $(WRITE_DOCS),--write-docs) $(FILES)
mutate-short:
	@$(PYTHON) -B scripts/mutate.py --build $(BUILD) --count 100

# The README's picture, from the test that reads it.
screenshot:
	$(call SYSTEM_TEST,$(QEMU)) screen
	cp "$$(ls -t $(BUILD)/test/qemu-*/screen/screen.png | head -n 1)" docs/screen.png

bench: all test-guests
	@$(PYTHON) -B tests/system/bench.py --build $(BUILD) $(if $(WRITE_DOCS),--write-docs)

# What network and disk cost two Debian guests, counted by a plugin of QEMU's: see tests/system/bench_io.py.
$(BUILD)/count.so: tests/count/count.c
	$(HOST_CC) -std=c11 -D_GNU_SOURCE -O2 $(WARN) -shared -fPIC $< -o $@
$(BUILD)/guests/iobench: guests/linux/iobench.c
	@mkdir -p $(@D)
	$(GUEST_CC) $< -o $@
$(BUILD)/guests/bench-io.img: $(DEMO_MODULES) guests/linux/mkinitramfs guests/linux/init $(BUSYBOX) $(BUILD)/guests/iobench
	guests/linux/mkinitramfs --busybox $(BUSYBOX) --init guests/linux/init $(addprefix --module ,$(filter %.ko,$^)) \
	    --file bin/iobench=$(BUILD)/guests/iobench -o $@

bench-io: all $(BUILD)/count.so $(addprefix $(BUILD)/guests/,vmlinuz bench-io.img demo.erofs)
	@$(PYTHON) -B tests/system/bench_io.py --build $(BUILD) $(if $(WRITE_DOCS),--write-docs)
	@$(PYTHON) -B tests/system/bench_pci.py --build $(BUILD) $(if $(WRITE_DOCS),--write-docs)

bench-linux: all usb
	@$(PYTHON) -B tests/system/bench_linux.py --build $(BUILD) $(addprefix --target ,$(TARGET)) $(if $(WRITE_DOCS),--write-docs)

# Programs for the admin's PC, and the config manual that one of them prints.

BHCHECK     := $(BUILD)/bhcheck
TOOL_SRC    := tools/bhcheck.c tools/manual.c tools/messages.c tools/microcode.c tools/partition.c tools/picture.c tools/segments.c tools/sets_show.c tools/stick_file.c tools/stick_image.c $(sort $(wildcard hv/lib/*.c hv/plan/*.c config/*.c))
TOOL_OBJ    := $(TOOL_SRC:%.c=$(BUILD)/tool/%.o)
TOOL_FLAGS  := $(COMMON) -D_GNU_SOURCE

$(BUILD)/tool/%.o: %.c
	@mkdir -p $(@D)
	$(HOST_CC) $(TOOL_FLAGS) -MMD -MP -c $< -o $@

# docs/messages.md is in the program: bhcheck --explain BH3043 wants no docs at hand.
$(BUILD)/tool/tools/page.o: tools/page.S docs/messages.md
	@mkdir -p $(@D)
	$(HOST_CC) $(ASFLAGS) -c $< -o $@

$(BHCHECK): $(TOOL_OBJ) $(BUILD)/tool/tools/page.o
	$(HOST_CC) $(TOOL_FLAGS) -o $@ $^

.PHONY: bhcheck docs docs-check
bhcheck: $(BHCHECK)

# docs/config.md, docs/hostile.md, docs/compartment.md and docs/guest-view.md are printed, never written by hand.
GUEST_VIEW  := $(BUILD)/unit/print_guest_view

docs: $(BHCHECK) $(GUEST_VIEW)
	$(BHCHECK) --manual > docs/config.md
	$(GUEST_VIEW) > docs/guest-view.md
	$(PYTHON) scripts/hostile_doc.py > docs/hostile.md
	$(PYTHON) scripts/compartment_doc.py > docs/compartment.md

docs-check: $(BHCHECK) $(GUEST_VIEW)
	@$(BHCHECK) --manual | diff -u docs/config.md - || \
	    { echo "docs/config.md differs from the schema: run 'make docs'"; exit 1; }
	@$(PYTHON) scripts/hostile_doc.py | diff -u docs/hostile.md - || \
	    { echo "docs/hostile.md differs from guests/hostile/acts.def: run 'make docs'"; exit 1; }
	@$(PYTHON) scripts/compartment_doc.py | diff -u docs/compartment.md - || \
	    { echo "docs/compartment.md differs from tests/backdoor/acts.def: run 'make docs'"; exit 1; }
	@$(GUEST_VIEW) | diff -u docs/guest-view.md - || \
	    { echo "docs/guest-view.md differs from the policy tables: run 'make docs'"; exit 1; }

.PHONY: toml-check
toml-check: $(BHCHECK)
	@$(PYTHON) tests/unit/compare_toml.py $(BHCHECK)

# Host builds: hv/ and config/ as a library under sanitizers, one program a tests/unit/test_*.c, and tools/bhcheck.

HOST_CC    ?= gcc
HOST_FLAGS := $(COMMON) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
              -fno-omit-frame-pointer -D_GNU_SOURCE $(HOST_COUNTERS)
HOST_OBJ   := $(patsubst %.c,$(BUILD)/host/%.o,$(sort $(HV_SRC) $(wildcard hv/compartment/*/*.c)) $(sort $(wildcard config/*.c)) tests/unit/fake_plat.c) $(BUILD)/host/hv/compartment/load/blobs.o
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

# The pure halves of VT-x and AMD-V are the same code as on hardware.
$(BUILD)/unit/test_vmx: $(addprefix $(BUILD)/host/arch/x86_64/vmx/,decode.o caps.o entry.o)
$(BUILD)/unit/test_svm $(BUILD)/unit/test_svm_events: $(BUILD)/host/arch/x86_64/svm/decode.o
$(BUILD)/unit/test_svm_events: $(BUILD)/host/arch/x86_64/svm/events.o
$(BUILD)/unit/test_audit_policy $(BUILD)/unit/test_audit_vm: $(patsubst %,$(BUILD)/host/arch/x86_64/%.o,both vmx/decode svm/decode)
$(BUILD)/unit/test_errata: $(BUILD)/host/arch/x86_64/errata.o
$(BUILD)/unit/test_nmi: $(BUILD)/host/arch/x86_64/nmi.o
$(BUILD)/unit/test_screen: $(BUILD)/host/arch/x86_64/screen.o
$(BUILD)/unit/test_live_state: $(BUILD)/host/arch/x86_64/live_state.o
$(BUILD)/unit/test_nx: $(addprefix $(BUILD)/host/arch/x86_64/,nx.o trampoline.o)
$(BUILD)/unit/test_nx: UNIT_LIBS := -lZydis
$(BUILD)/unit/test_power: $(BUILD)/host/arch/x86_64/power.o
$(BUILD)/unit/test_trace: $(BUILD)/host/arch/x86_64/trace.o
$(BUILD)/unit/test_xhci $(BUILD)/unit/test_xhci_random: $(patsubst %.c,$(BUILD)/host/%.o,$(sort $(wildcard arch/x86_64/xhci/*.c)))
$(BUILD)/unit/test_iommu $(BUILD)/unit/test_iommu_audit: $(patsubst %.c,$(BUILD)/host/%.o,$(sort $(wildcard arch/x86_64/iommu/*.c)))
$(BUILD)/unit/test_iommu_tables: $(BUILD)/host/boot/iommu.o
$(BUILD)/unit/test_serial: $(BUILD)/host/arch/x86_64/serial.o
$(BUILD)/unit/test_serial_choice: $(BUILD)/host/arch/x86_64/uart.o

# The decoder is compared with an independent one.
$(BUILD)/unit/test_insn_zydis: UNIT_LIBS := -lZydis

# What USB devices and their controller may say, and what the driver of a virtio device or a real one may do, by libFuzzer; the
# unit tests take it from a few seeds. FUZZ=virtio_blk_random: one alone.
FUZZ         ?= xhci_random virtio_random virtio_blk_random served_random net_random vsock_random console_random control_random passed_random
FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := $(COMMON) -O1 -DFUZZ -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -D_GNU_SOURCE -w

FUZZ_LIB     := tests/unit/fake_plat.c $(sort $(wildcard hv/lib/*.c))
FUZZ_xhci_random := $(sort $(wildcard arch/x86_64/xhci/*.c))
FUZZ_virtio_random := $(sort $(wildcard hv/compartment/dev/*.c hv/compartment/pci/*.c hv/compartment/virtio/*.c))
FUZZ_virtio_blk_random := $(FUZZ_virtio_random)
FUZZ_served_random := $(FUZZ_virtio_random)
FUZZ_net_random := $(FUZZ_virtio_random)
FUZZ_vsock_random := $(FUZZ_virtio_random)
FUZZ_console_random := $(FUZZ_virtio_random)
FUZZ_control_random := $(FUZZ_virtio_random)
FUZZ_passed_random := $(FUZZ_virtio_random)
FUZZ_LENGTH_virtio_random := 8192
FUZZ_LENGTH_virtio_blk_random := 8192
FUZZ_LENGTH_served_random := 8192
FUZZ_LENGTH_net_random := 8192
FUZZ_LENGTH_vsock_random := 8192
FUZZ_LENGTH_console_random := 8192
FUZZ_LENGTH_passed_random := 8192

define fuzz_run
@mkdir -p $(BUILD)/fuzz/$1
clang $(FUZZ_FLAGS) -o $(BUILD)/fuzz/fuzz_$1 tests/unit/test_$1.c $(FUZZ_LIB) $(FUZZ_$1)
$(BUILD)/fuzz/fuzz_$1 -max_len=$(or $(FUZZ_LENGTH_$1),65536) -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/$1

endef

.PHONY: fuzz
fuzz:
	$(foreach target,$(FUZZ),$(call fuzz_run,$(target)))

.PRECIOUS: $(BUILD)/host/%.o

.PHONY: unit
unit: $(UNIT_BIN)
	@$(PYTHON) tests/unit/run.py $(UNIT_BIN)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# Both compilers, the rules of the tree, the printed manual.
.PHONY: check
check: all docs-check toml-check
	@$(MAKE) -s CC=clang BUILD=$(BUILD)/clang all
	@$(PYTHON) -B scripts/check.py --build $(BUILD)

.PHONY: test
test:
	@$(PYTHON) scripts/test.py

.PHONY: clean
clean:
	rm -rf $(BUILD)

.PHONY: help
help:
	@echo 'make setup        install the tools that are missing (Debian; asks for root); run and test do it, too'
	@echo 'make run          install what is missing, build, boot the demo in the fastest emulator at hand'
	@echo '                  (Ctrl-\ ends it); TARGET=bochs-intel, bochs-amd, qemu-tcg or qemu-kvm: in that one;'
	@echo '                  GDB=1234: in QEMU, with gdb at that port (docs/debugging.md)'
	@echo 'make test         the same, then all tests; ends with "N passed, N failed"'
	@echo 'make all          the EFI application, build/BOOTX64.EFI'
	@echo 'make usb          build/bulkhead-usb.img, to be written to a stick with dd; SIZE=4G: with room for more'
	@echo 'make sign         build/bulkhead-signed.img, for Secure Boot: KEY=my.key CERT=my.pem; STICK=FOLDER: signs what'
	@echo '                  is in that folder, or on the stick that is mounted there (docs/secure-boot.md)'
	@echo 'make unit         unit tests on this machine, under sanitizers'
	@echo 'make fuzz         hostile USB devices, hostile drivers, by libFuzzer; FUZZ_SECONDS=600: for longer'
	@echo 'make check        both compilers, the rules of the tree (scripts/check.py), printed docs'
	@echo 'make system-test  system tests in every emulator that is there; TARGET and TESTS narrow'
	@echo 'make bochs-test   system tests in Bochs, VT-x and AMD-V; TARGET=bochs-amd TESTS="walls" narrows'
	@echo 'make qemu-test    the same in QEMU: nested KVM where this PC can, else AMD-V as QEMU emulates it'
	@echo 'make hardware-test  machines and firmware of all kinds, each booted to two answering guests'
	@echo 'make storm        a million wake-ups from HLT under a storm of host interrupts, in every target'
	@echo "make test-full-kernel  Debian's kernel for PCs in every target; TARGET=bochs-amd narrows"
	@echo "make heavy-guests a crash kernel (kdump), Xen with a dom0, Debian's installer, in every target;"
	@echo '                  TARGET=qemu-tcg narrows'
	@echo 'make soak         minutes of clocks and load on 2 and 4 CPUs, ten minutes of TCP and UDP between two guests, in'
	@echo '                  every target; TARGET=bochs-intel narrows, SOAK_SECONDS=60 is less of TCP and UDP'
	@echo 'make terminal-check  the console beside another terminal: dialog, whiptail, less, top, vim, nano, mc'
	@echo 'make coverage     lines that unit and system tests run, room by room; TARGET and TESTS narrow; WRITE_DOCS=1'
	@echo '                  updates the README; the pages are in build/coverage/html'
	@echo 'make mutate       breaks one line at a time and expects a red unit test; MUTATE_COUNT=0 tries all;'
	@echo '                  FILES=hv/... all of these files; WRITE_DOCS=1 updates the README'
	@echo 'make screenshot   docs/screen.png, the console on the screen'
	@echo 'make bench        instructions per exit, VT-x and AMD-V; WRITE_DOCS=1 updates the docs'
	@echo 'make bench-io     instructions of network and disk between Debian guests; WRITE_DOCS=1 as above'
	@echo 'make bench-linux  exits of a Debian guest by reason, idle and a timer tick; WRITE_DOCS=1 as above'
	@echo 'make test-guests  the guests that the tests run'
	@echo 'make guest-root   a small Debian for guests with a disk: build/guests/root.erofs, root.img, vmlinuz'
	@echo 'make bhcheck      build/bhcheck, which checks a stick on your PC'
	@echo 'make bulkctl      a static program for Linux guests that may control others (docs/control.md)'
	@echo 'make docs         prints docs/config.md, guest-view.md, hostile.md and compartment.md from their tables'
	@echo 'make docs-check, toml-check, coverage-short, mutate-short: parts of check and test'
	@echo 'make clean        throws build/ away'
