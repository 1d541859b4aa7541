/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of arch/x86_64 say to each other: the steps of start.c and the few calls between
 * drivers. Nothing here is for hv/, which sees only hv/vm/plat.h; vmx/ and svm/ may use the part
 * that says so.
 */
#pragma once

#include <stdarg.h>

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/percpu.h"
#include "hv/lib/log.h"
#include "hv/mem/pagetable.h"
#include "hv/plan/config.h"
#include "hv/vm/plat.h"
#include "hv/vm/recorder.h"

struct vcpu;

/* Where trap_entry.S stored the interrupted registers; Intel SDM "64-Bit Mode Stack Frame". */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "built by trap_entry.S");

/* Vectors of the host. The APIC wants the spurious one to end in 0xf. */
enum host_vector {
    VECTOR_PIC = 0x20,    /* 16 vectors where the masked 8259s could still send a spurious one */
    VECTOR_DEVICE = 0x60, /* PLAT_IRQS for what guests are given, below all of the core's */
    VECTOR_POSTED = 0xa0, /* plat_post(), and what devices post */
    VECTOR_SERIAL = 0xd0,
    VECTOR_KEYBOARD = 0xd1,
    VECTOR_CONSOLE = 0xd2, /* from another CPU: hv_console_work() */
    VECTOR_TIMER = 0xe0,
    VECTOR_KICK = 0xf0,
    VECTOR_SPURIOUS = 0xff,
};

/* Bounds of the image, from linker.ld. */
extern const uint8_t image_text[], image_rodata[], image_sealed[], image_data[], image_end[];
extern const uint8_t boot_stack_guard[], boot_stack_top[];

/* An instruction that may fault, and where to go on then; both relative to the word itself. */
struct fixup {
    int32_t from, to;
};
extern const struct fixup image_fixups[], image_fixups_end[];

/* For vmx/ and svm/. */

/* When an exit came, as plat_tsc(); in two halves, which costs two instructions less. */
static inline void tsc_stamp(struct exit_record *record) {
    __asm__ volatile("rdtsc" : "=a"(record->tsc_low), "=d"(record->tsc_high));
}

/* Before plat_seal(): the task register will be a guest's, so no exception may look for a stack in
 * the TSS. */
void idt_use_no_tss(void);
/* An NMI, taken by the host or reported by a guest's exit: a CPU that panics stops all others; any
 * other is the machine's, see nmi.h. */
void panic_nmi(void);
#define IDT_ENTRIES 256u
extern uint64_t idt_gates[IDT_ENTRIES][2];
/* Into the log: the setting to change; STATUS_DENIED. */
MUST_USE enum status both_locked_off(const char *name, const char *setting);
/* Allocates v->vendor and both permission maps, as the policy tables have them. */
MUST_USE enum status both_vcpu_init(struct vcpu *v, size_t state_size, size_t msr_map_size,
                                    size_t port_map_size);

/* start.c */
void arch_start(const struct boot_info *info, uint64_t entry_tsc);

/* percpu.c: struct cpu, stacks, descriptor tables, and the memory of the hypervisor itself (zeroed,
 * below 4 GiB). */
extern struct pool arch_heap;
void percpu_init(const struct boot_info *info); /* struct cpu and stacks of all CPUs */
void percpu_name(struct cpu *cpu); /* on the CPU itself: what cpu_current() goes by, no more */
void percpu_load(struct cpu *cpu); /* on the CPU itself: GDT, segments, TSS */
/* What is in use, [*from, *to), of the stack of this CPU whose stack pointer is or was rsp; also if
 * it ran over into the guard page below. False: none is. */
bool percpu_used_stack(uint64_t rsp, uint64_t *from, uint64_t *to);

/* nx.c */
void nx_allow(void); /* before EFER.NXE is set; the other CPUs do it in the trampoline */

/* paging.c */
hpa_t paging_build(const struct boot_info *info); /* root of the tables of the start */
void paging_enable(void);                         /* each CPU: PAT, EFER, CR4, CR3, CR0 */
/* It is there to be written until this is called, and to be run from then on. */
void paging_close_trampoline(const struct boot_info *info);
void paging_enter(void); /* each CPU, once the machine is divided: its own tables, audited */

/* idt.c */
void idt_init(void);
void idt_load(void); /* each CPU: IDTR */

/* apic.c: the local APIC. */
void apic_init(void);                /* before any other */
extern hpa_t apic_page;              /* of the registers; 0 = x2APIC, which has none */
void apic_init_cpu(struct cpu *cpu); /* each CPU */
void apic_init_timer(void);          /* each CPU, after clock_init() */
/* To a CPU that the xAPIC cannot name, nothing. */
void apic_send(uint32_t apic_id, uint32_t command);
void apic_end_interrupt(void);
/* Of this CPU's deadlines, those that have passed: they are taken back. */
enum apic_due { DUE_POLL = BIT32(0), DUE_CONSOLE = BIT32(1), DUE_GUEST = BIT32(2) };
unsigned apic_timer_due(void);
/* DUE_POLL is to come on this CPU every us microseconds, or more often if another one asked; each
 * time once the look is done that it is for, which took so many ticks. */
void apic_poll(uint32_t us);
void apic_poll_again(uint64_t spent);
/* Commands; ASSERT alone sends the vector that is added to it. */
#define ICR_NMI     0x400u
#define ICR_INIT    0x500u
#define ICR_STARTUP 0x600u /* | page number */
#define ICR_ASSERT  0x4000u

/* ioapic.c: with the 8259s. */
#define IOAPIC_ID_MAX 0xffu /* all CPUs: it knows 8 bits of an APIC ID */
void ioapic_init(const struct boot_info *info);
bool ioapic_route_isa(unsigned irq, uint8_t vector); /* to this CPU; false = there is no way */

/* consoles.c */
void consoles_choose_cpu(void); /* once the machine is divided */
void consoles_serve(void);      /* each CPU, after that: the one that was chosen does */
void consoles_poll(void);       /* there, every few milliseconds */

/* pci.c */
/* Before memory that devices may write to is given away. */
void pci_stop_masters(const struct boot_info *info);
#define PCI_CLASS_XHCI 0x0c0330u
struct pci_found {
    uint32_t function; /* its number in configuration space */
    hpa_t bar;         /* of its registers, in whole pages */
    uint32_t size;     /* bytes */
};
/* USB controllers (xHCI) whose registers can be mapped; up to max. After apic_init(). */
unsigned pci_find_usb(const struct boot_info *info, struct pci_found *out, unsigned max);
void pci_allow_dma(uint32_t function);

/* Each function that answers. */
void pci_each(void (*visit)(uint32_t function));

/* iommu.c */
void iommu_find(const struct boot_info *info);
bool iommu_registers(unsigned i, hpa_t *base, uint64_t *size); /* false = there is no such one */
/* No device reaches memory but what is its own, from here on. Before usb_start(). */
void iommu_start_all(const struct boot_info *info);
/* What the pin of an I/O APIC has to hold, but polarity and mask, for a vector on a CPU. PLAIN: as
 * ever; NONE: there is no way. */
enum iommu_pin { IOMMU_PIN_PLAIN, IOMMU_PIN_REMAPPED, IOMMU_PIN_NONE };
enum iommu_pin iommu_route_pin(uint8_t ioapic, uint8_t vector, uint32_t apic_id, bool level,
                               uint64_t *entry);
void iommu_tell(void); /* of what was held back, every few milliseconds */

/* usb.c: keyboards behind controllers that are the hypervisor's own. */
void usb_find(const struct boot_info *info);
bool usb_registers(unsigned i, hpa_t *base, uint64_t *size); /* false = there is no such one */
void usb_init(void);                                         /* once these are mapped */
/* What the controller reads and writes; size 0 = it is not driven. False = there is no such one. */
bool usb_memory(unsigned i, uint32_t *function, hpa_t *base, uint64_t *size);
void usb_start(void); /* on the CPU that will poll it */
void usb_poll(void);

/* off.c: keeps how the machine is switched off */
void off_init(const struct boot_info *info);

/* kept_log.c */
void kept_log_init(const struct boot_info *info); /* before it, nothing is kept */
void kept_log_write(const char *text, size_t length);
bool kept_log_awaits_health(void); /* a set is on trial, and has not come up so far */

/* watchdog.c */
void watchdog_stop(const struct boot_info *info);

/* clock.c */
void clock_init(const struct boot_info *info, uint64_t entry_tsc);
void clock_init_cpu(void);   /* each other CPU, before it uses its TSC */
uint64_t clock_now_us(void); /* since entry_tsc; 0 before clock_init() */
void clock_delay_us(uint64_t us);

/* avoid.c */
void avoid_init(const struct config *config); /* before anything asks */
uint32_t avoid_set(void);                     /* a bit for each enum config_avoid */
bool avoid_wants(enum config_avoid feature);
void avoid_report(bool x2apic); /* into the log; is it on? */

/* errata.c */
void errata_init(const struct boot_info *info); /* the first CPU, and into the log */
void errata_init_cpu(void);                     /* each other one, after its microcode */

/* mce.c */
void mce_init_cpu(void); /* each CPU: has machine checks reported */
bool mce_pass(void);     /* one in the hypervisor; true = it may go on */

/* power.c */
const char *power_init_cpu(void); /* each CPU: lets it run fast; says what came of it */

/* microcode.c */
void microcode_init(const struct boot_info *info);
void microcode_load(struct cpu *cpu); /* each CPU but the first, before it asks what it has */
void microcode_report(void);          /* into the log, once all CPUs run */

/* smp.c */
/* On the tables with that root, after paging_enable(). */
void smp_write_trampoline(const struct boot_info *info, hpa_t root);
void smp_start_cpus(const struct boot_info *info);

/* ap.c */
extern struct cpu *ap_starting; /* by smp.c, for trampoline.S */
void ap_main(struct cpu *cpu);
void ap_release_all(void); /* what waits since its start may go on */

/* mitigate.c */
/* Behind the choice of hvm: what guests get joins its features. */
void mitigate_init(const struct boot_info *info);
bool mitigate_wants(enum mitigation m);
void mitigate_start_guest(void); /* each CPU, before a guest's first instruction */
void mitigate_clear(void);       /* after anything that may be another guest's was touched */

/* serial.c, keyboard.c, screen.c */
struct boot_serial;
void serial_init(const struct boot_serial *line);
void serial_init_interrupts(void);
void serial_interrupt(void);
void serial_poll(void);
void serial_write_polled(const char *text); /* waits, takes no lock; lines end "\r\n" */
/* Waits until what the console layer holds is out, while no interrupt moves it on: at start, and as
 * the last act of a panic, where it may hang on a lock. */
void serial_drain_console(void);
void keyboard_init(void);
void keyboard_interrupt(void);
void screen_init(const struct boot_framebuffer *fbs, unsigned count);
/* Once it is mapped write-combining: the console layer takes an empty screen for granted. */
void screen_clear(void);

/* fail.c: text is what is wrong, rsp the stack pointer where that was found. */
typedef void fail_report(const char *text, uint64_t rsp);
void fail_init(fail_report *report);

/* panic.c */
void panic_init(void);                                    /* the first step of all */
NORETURN void panic_trap(const struct trap_frame *frame); /* an exception, vector 0 to 31 */
