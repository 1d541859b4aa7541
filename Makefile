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
FREESTANDING := $(COMMON) -m64 -march=x86-64 -ffreestanding -fPIE -fvisibility=hidden \
          -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
          -fcf-protection=none -fomit-frame-pointer -fno-strict-aliasing
ASFLAGS := -I. -I$(BUILD) -g -ffile-prefix-map=$(CURDIR)=. -Wa,--noexecstack

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

HV_SRC   := $(sort $(wildcard hv/*/*.c))
ARCH_SRC := $(sort $(wildcard arch/x86_64/*.c arch/x86_64/*/*.c))
ARCH_ASM := $(sort $(wildcard arch/x86_64/*.S arch/x86_64/*/*.S))
ELF_OBJ  := $(HV_SRC:%.c=$(BUILD)/obj/%.o) $(ARCH_SRC:%.c=$(BUILD)/obj/%.o) \
            $(ARCH_ASM:%.S=$(BUILD)/obj/%.o)

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

# A static position-independent ELF; boot/ applies its relative relocations.
$(ELF): $(ELF_OBJ) linker.ld
	$(CC) -nostdlib -static-pie -Wl,-T,linker.ld -Wl,--gc-sections -Wl,-z,noexecstack \
	    -Wl,-z,separate-code -Wl,--build-id=none -Wl,-z,norelro -Wl,--no-dynamic-linker \
	    -Wl,--fatal-warnings -o $@ $(ELF_OBJ)

include $(sort $(wildcard scripts/*.mk))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# Both compilers, the rules of the tree, the printed manual.
.PHONY: check
check: all docs-check toml-check
	@$(MAKE) -s CC=clang BUILD=$(BUILD)/clang all
	@$(PYTHON) scripts/check.py --build $(BUILD)

.PHONY: test
test:
	@$(PYTHON) scripts/test.py

.PHONY: clean
clean:
	rm -rf $(BUILD)

.PHONY: help
help:
	@echo 'make run          install what is missing, build, boot the demo in an emulator (Ctrl-\ ends it)'
	@echo 'make test         the same, then all tests; ends with "N passed, N failed"'
	@echo 'make all          the EFI application, build/BOOTX64.EFI'
	@echo 'make usb          build/bulkhead-usb.img, to be written to a stick with dd'
	@echo 'make unit         unit tests on this machine, under sanitizers'
	@echo 'make check        both compilers, include rule, format, line budget, W^X, printed manual'
	@echo 'make bochs-test   system tests in Bochs; TESTS="walls refusals" narrows them down'
	@echo 'make bench        instructions per exit, counted in Bochs; WRITE_DOCS=1 updates the docs'
	@echo 'make bhcheck      build/bhcheck, which checks a stick on your PC'
	@echo 'make docs         prints docs/config.md from the schema'
	@echo 'make clean        throws build/ away'
