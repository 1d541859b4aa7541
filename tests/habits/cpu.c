/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bad habits of firmware that are about the CPU's modes and the chipset's watchdog. Sources: Intel
 * SDM, "Control-flow Enforcement Technology", "5-Level Paging"; Intel I/O Controller Hub 9,
 * "TCO I/O Registers"; UEFI Platform Initialization Specification, "CPU Architectural Protocol".
 */
#include "tests/habits/habits.h"

#define COM1             0x3f8
#define COM1_LINE_STATUS 0x3fd
#define TRANSMIT_EMPTY   0x20

#define CR4_PCIDE (1ull << 17)
#define CR4_CET   (1ull << 23)

#define MSR_S_CET    0x6a2
#define CET_ENDBR_EN 4

#define MSR_TSC_ADJUST 0x3b
#define TSC_APART      1000000

#define ENTRY_ADDRESS 0x000ffffffffff000ull
#define ENTRY_TABLE   0x23 /* present, writable, accessed */

#define MEMORY_XP 0x4000ull

/* The chipset of QEMU's q35: function 0 of device 31 has the base of its power-management ports. */
#define PCI_ADDRESS    0xcf8
#define PCI_DATA       0xcfc
#define LPC_PMBASE     0x8000f840u
#define PMBASE_PORTS   0xff80u
#define LPC_RCBA       0x8000f8f0u /* base of the chipset's configuration in memory */
#define RCBA_ADDRESS   0xffffc000u
#define RCBA_ENABLED   1u
#define GCS            0x3410u
#define GCS_NO_REBOOT  0x20u
#define TCO            0x60
#define TCO_RELOAD     0x00
#define TCO_TIMER      0x12
#define TCO_CONTROL    0x08
#define TCO_SIX_SECOND 10 /* units of 0.6 s */

static bool cet, la57, pcid;
static UINT64 *pml5; /* a page below 4 GiB */

struct cpu_protocol {
    void *others[7];
    EFI_STATUS(EFIAPI *set_attributes)
    (struct cpu_protocol *cpu, EFI_PHYSICAL_ADDRESS, UINT64, UINT64);
};
static struct cpu_protocol *cpu_protocol;

void port_out(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t port_in(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void port_out16(uint16_t port, uint16_t value) {
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

void say(const char *text) {
    for (; *text != 0; text++) {
        while ((port_in(COM1_LINE_STATUS) & TRANSMIT_EMPTY) == 0) {
        }
        port_out(COM1, (uint8_t)*text);
    }
}

void deny_execution(EFI_PHYSICAL_ADDRESS base, UINT64 size) {
    if (cpu_protocol == NULL ||
        cpu_protocol->set_attributes(cpu_protocol, base, size, MEMORY_XP) != EFI_SUCCESS) {
        say("the firmware cannot deny execution\r\n");
    }
}

void cpu_prepare(void) {
    static EFI_GUID guid = {
        0x26baccb1, 0x6f42, 0x11d4, {0xbc, 0xe7, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
    EFI_PHYSICAL_ADDRESS page = 0x7fffffff;

    LibLocateProtocol(&guid, (void **)&cpu_protocol);
    BS->AllocatePages(AllocateMaxAddress, EfiBootServicesData, 1, &page);
    pml5 = (UINT64 *)page;
    ZeroMem(pml5, EFI_PAGE_SIZE);
}

void habit_cet(void) {
    cet = true;
}

void habit_la57(void) {
    la57 = true;
}

void habit_pcid(void) {
    pcid = true;
}

/* Of UEFI PI's "MP Services Protocol" what is used here. */
struct mp_services {
    void *count, *info;
    EFI_STATUS(EFIAPI *start_all)
    (struct mp_services *mp, void(EFIAPI *run)(void *argument), BOOLEAN one_by_one,
     EFI_EVENT no_event, UINTN limit_us, void *argument, UINTN **failed);
};

static void EFIAPI set_tsc_apart(void *argument) {
    (void)argument;
    __asm__ volatile("wrmsr" : : "c"(MSR_TSC_ADJUST), "a"(TSC_APART), "d"(0));
}

void habit_tsc(void) {
    EFI_GUID guid = {0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};
    struct mp_services *mp;

    if (LibLocateProtocol(&guid, (void **)&mp) == EFI_SUCCESS &&
        mp->start_all(mp, set_tsc_apart, TRUE, NULL, 0, NULL, NULL) == EFI_SUCCESS) {
        say("the other CPUs' TSCs are ahead\r\n");
    }
}

static UINT64 cr4_read(void) {
    UINT64 value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static void cr4_set(UINT64 bits) {
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4_read() | bits) : "memory");
}

static void cet_on(void) {
    cr4_set(CR4_CET);
    __asm__ volatile("wrmsr" : : "c"(MSR_S_CET), "a"(CET_ENDBR_EN), "d"(0));
}

void cpu_habits(void) {
    if (pcid) {
        cr4_set(CR4_PCIDE);
        say("PCIDs are on\r\n");
    }
    if (la57) {
        UINT64 cr3;
        __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
        pml5[0] = (cr3 & ENTRY_ADDRESS) | ENTRY_TABLE;
        la57_on((UINT64)pml5);
        say("five-level paging is on\r\n");
    }
    if (cet) { /* the last: every indirect branch from here on counts */
        say("CET is on\r\n");
        cet_on();
    }
}

UINT32 config_read(UINT32 reg) {
    UINT32 value;
    __asm__ volatile("outl %0, %1" : : "a"(reg), "Nd"((uint16_t)PCI_ADDRESS));
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"((uint16_t)PCI_DATA));
    return value;
}

void config_write(UINT32 reg, UINT32 value) {
    __asm__ volatile("outl %0, %1" : : "a"(reg), "Nd"((uint16_t)PCI_ADDRESS));
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"((uint16_t)PCI_DATA));
}

UINT16 tco_control(void) {
    return (UINT16)((config_read(LPC_PMBASE) & PMBASE_PORTS) + TCO + TCO_CONTROL);
}

/* Armed, and allowed to, it resets the machine when it has run down twice. */
void habit_tco(void) {
    UINT32 rcba = config_read(LPC_RCBA);
    uint16_t tco = (uint16_t)((config_read(LPC_PMBASE) & PMBASE_PORTS) + TCO);

    config_write(LPC_RCBA, rcba | RCBA_ENABLED);
    volatile UINT32 *gcs = (volatile UINT32 *)(UINTN)((rcba & RCBA_ADDRESS) + GCS);
    *gcs &= ~GCS_NO_REBOOT;
    port_out16((uint16_t)(tco + TCO_TIMER), TCO_SIX_SECOND);
    port_out16((uint16_t)(tco + TCO_CONTROL), 0);
    port_out16((uint16_t)(tco + TCO_RELOAD), 0);
    say("the watchdog runs\r\n");
}
