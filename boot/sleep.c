/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks in the FADT for the registers that switch a PC off, and in its DSDT for the values that go
 * there. Reads only; runs no AML: names and packages of constants look alike in every DSDT. Called
 * by acpi.c. Source: ACPI Specification, "Fixed ACPI Description Table (FADT)", "\_Sx (System
 * States)", "AML Grammar Definition".
 */
#include "boot/no_firmware.h"
#include "hv/lib/bytes.h"
#include "hv/lib/phys.h"
#include "hv/lib/str.h"

#define TABLE_SIZE     4u
#define TABLE_HEADER   36u
#define TABLE_SIZE_MAX (4 * MIB)

#define FADT_DSDT        40u
#define FADT_SMI_COMMAND 48u
#define FADT_ACPI_ENABLE 52u
#define FADT_CONTROL_A   64u
#define FADT_CONTROL_B   68u
#define FADT_X_DSDT      140u
#define FADT_X_CONTROL_A 172u /* two of them: GAS */
#define FADT_X_CONTROL_B 184u
#define FADT_X_END       196u
#define GAS_PORT         1u
#define GAS_ADDRESS      4u

#define AML_ZERO    0x00u
#define AML_ONE     0x01u
#define AML_NAME    0x08u
#define AML_BYTE    0x0au
#define AML_WORD    0x0bu
#define AML_DWORD   0x0cu
#define AML_PACKAGE 0x12u
#define AML_ROOT    0x5cu

#define SLEEP_TYPES 8u /* three bits */

/* A port of 16 bits; 0 = there is none, or it lies in memory. */
static uint16_t control_port(const uint8_t *fadt, uint32_t legacy, uint32_t extended) {
    uint64_t port = bytes_u32(fadt + legacy);

    if (bytes_u32(fadt + TABLE_SIZE) >= FADT_X_END) {
        const uint8_t *gas = fadt + extended;
        uint64_t wide = bytes_u64(gas + GAS_ADDRESS);
        port = gas[0] == GAS_PORT && wide != 0 ? wide : port;
    }
    return port < UINT16_MAX ? (uint16_t)port : 0;
}

static const uint8_t *find_dsdt(const uint8_t *fadt, uint32_t *size) {
    uint64_t at = bytes_u32(fadt + FADT_DSDT);

    if (bytes_u32(fadt + TABLE_SIZE) >= FADT_X_DSDT + 8 && bytes_u64(fadt + FADT_X_DSDT) != 0) {
        at = bytes_u64(fadt + FADT_X_DSDT);
    }
    const uint8_t *dsdt = phys_pointer(HPA(at));
    if (at == 0 || memcmp(dsdt, "DSDT", 4) != 0) {
        return NULL;
    }
    *size = bytes_u32(dsdt + TABLE_SIZE);
    return *size >= TABLE_HEADER && *size <= TABLE_SIZE_MAX ? dsdt : NULL;
}

/* A constant of an object's, below SLEEP_TYPES. Returns what comes after it, or NULL. */
static const uint8_t *read_type(const uint8_t *at, const uint8_t *end, uint8_t *type) {
    uint32_t value = AML_ZERO;
    uint32_t length = 0;

    if (at == end) {
        return NULL;
    }
    if (*at == AML_BYTE) {
        length = 1;
    } else if (*at == AML_WORD) {
        length = 2;
    } else if (*at == AML_DWORD) {
        length = 4;
    } else if (*at == AML_ONE) {
        value = 1;
    } else if (*at != AML_ZERO) {
        return NULL;
    }
    at++;
    if (end - at < (ptrdiff_t)length) {
        return NULL;
    }
    for (uint32_t i = 0; i < length; i++) {
        value |= (uint32_t)at[i] << 8 * i;
    }
    *type = (uint8_t)value;
    return value < SLEEP_TYPES ? at + length : NULL;
}

/* After the name: a package, its length in one byte to four, how many it has, then they. */
static bool read_package(const uint8_t *at, const uint8_t *end, struct boot_power_off *out) {
    if (end - at < 3 || at[0] != AML_PACKAGE) {
        return false;
    }
    uint32_t more = at[1] >> 6;
    if (end - at < (ptrdiff_t)(3 + more)) {
        return false;
    }
    uint8_t count = at[2 + more];
    out->type_b = 0;
    at = read_type(at + 3 + more, end, &out->type_a);
    if (at != NULL && count > 1) {
        at = read_type(at, end, &out->type_b);
    }
    return at != NULL && count != 0;
}

/* "_S5_", in front of it the operator that defines names. */
static bool find_types(const uint8_t *dsdt, uint32_t size, struct boot_power_off *out) {
    for (uint32_t i = TABLE_HEADER + 2; i + 4 <= size; i++) {
        const uint8_t *at = dsdt + i;
        bool defined = at[-1] == AML_NAME || (at[-1] == AML_ROOT && at[-2] == AML_NAME);
        if (defined && memcmp(at, "_S5_", 4) == 0 && read_package(at + 4, dsdt + size, out)) {
            return true;
        }
    }
    return false;
}

void sleep_read(const uint8_t *fadt, struct boot_info *info) {
    struct boot_power_off off = {
        .control_a = control_port(fadt, FADT_CONTROL_A, FADT_X_CONTROL_A),
        .control_b = control_port(fadt, FADT_CONTROL_B, FADT_X_CONTROL_B),
        .acpi_enable = fadt[FADT_ACPI_ENABLE],
    };
    uint32_t smi = bytes_u32(fadt + FADT_SMI_COMMAND);
    uint32_t size = 0;
    const uint8_t *dsdt = find_dsdt(fadt, &size);

    off.smi_command = smi <= UINT16_MAX ? (uint16_t)smi : 0;
    off.known = off.control_a != 0 && dsdt != NULL && find_types(dsdt, size, &off);
    if (off.known) {
        info->power_off = off;
    }
}
