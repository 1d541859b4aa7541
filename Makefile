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
