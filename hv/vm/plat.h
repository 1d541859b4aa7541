/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hypervisor proper needs of the machine. arch/x86_64 implements it on hardware,
 * tests/unit/fake_plat.c in a process. CPUs are numbered as in the config (0 = the CPU the firmware
 * started on). Everything runs with interrupts off; they are taken only inside
 * plat_take_interrupts() and plat_wait().
 */
#pragma once

#include "hv/lib/message.h"
#include "hv/lib/types.h"

/* Time. */
uint64_t plat_tsc(void);
uint64_t plat_tsc_hz(void);
uint64_t plat_wall_seconds(void); /* Unix seconds (UTC) now, from the firmware's clock at start */
/* hv_timer_expired() will run on this CPU once the host TSC has reached deadline; 0 = cancel. */
void plat_timer_set(uint64_t tsc_deadline);

/* CPUs. */
unsigned plat_cpu(void);
unsigned plat_cpu_count(void);
bool plat_cpu_online(unsigned cpu); /* it came when it was started; any number will do */
void plat_kick(unsigned cpu);       /* makes that CPU leave its guest or plat_wait() soon */
/* Posted interrupts: that CPU's guest takes what is in its descriptor, or hv_posted() is called
 * there. The word in a descriptor by which devices tell it the same, LAPIC_NOTIFIED clear. */
void plat_post(unsigned cpu);
uint64_t plat_post_word(unsigned cpu);
void plat_take_interrupts(void); /* lets pending host interrupts in, then shuts them out again */
void plat_wait(void);            /* halts until a host interrupt came; takes it */
/* EAX EBX ECX EDX; zero if the CPU has no such leaf (Intel answers those with another one). */
void plat_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
uint32_t plat_pkru(void);        /* the guest's rights by protection key; 0 on a CPU without */
uint64_t plat_xgetbv(void);      /* XCR0; on a CPU that has it */
bool plat_xsetbv(uint64_t xcr0); /* false if the CPU refuses the value; guest-controlled */
/* Puts the guest-owned live state (x87/SSE/AVX, XCR0, PKRU, DR0-3, CR2, SYSCALL MSRs) to its reset
 * values. */
void plat_reset_live_state(void);
/* All of that, out to a page that has held nothing else, and in again: maybe on another CPU. */
void plat_live_save(void *page);
void plat_live_load(const void *page);
/* One of the guest's XMM registers, 0-15, which are live in the CPU. */
void plat_vector_read(unsigned reg, uint64_t out[2]);
void plat_vector_write(unsigned reg, const uint64_t in[2]);
/* IA32_SPEC_CTRL as the guest on this CPU wants it, with what the hypervisor keeps set in it. False
 * if the CPU refuses it. */
bool plat_spec_ctrl_set(uint64_t value);
/*
 * Where the CPU leaks by speculation what its caches and buffers hold: empties them. After anything
 * that may be another guest's was touched on this CPU outside of a host interrupt.
 */
void plat_clear_traces(void);

/* Zeroes size bytes, a multiple of 64 and so aligned, in memory itself: no cache keeps them. */
void plat_scrub(void *at, size_t size);

/*
 * Memory. Each CPU maps the core, and the records of the VM that it runs (plan_vm's budget), and no
 * guest's RAM. Everything else is mapped for a moment, by these. All at their own address but the
 * windows.
 */
struct plan_vm;
struct pool;
struct vm_public;
/* On the first CPU, until plat_seal(): a piece of memory of nobody's can be used, or no longer. */
void plat_open(hpa_t base, uint64_t size);
void plat_close(hpa_t base, uint64_t size);
/* The same: who owns what, and where its tables may lie: pool, which hands out its records. */
void plat_add_vm(const struct plan_vm *plan, const struct vm_public *public, struct pool *pool);
/* All VMs were added: each CPU gets its tables, in which what is SEALED is read-only, and goes to
 * them once hv_start() has returned. The core allocates no more. boot_info and the guests' files
 * are not mapped from then on. */
void plat_seal(void);
/*
 * Up to PLAT_WINDOW_SIZE bytes of any memory, for this CPU alone, until it is closed with the same
 * words; each window shows one piece at a time. Only to be read; to be written; and to stay open
 * while guests run, one page, which may be closed though it is not open.
 */
enum plat_window { WINDOW_READ, WINDOW_WRITE, WINDOW_KEPT, WINDOWS };
#define PLAT_WINDOW_SIZE MIB
void *plat_window_open(enum plat_window which, hpa_t at, uint64_t size);
void plat_window_close(enum plat_window which, hpa_t at, uint64_t size);
/* The audit of this CPU's tables once more, with all windows closed; a difference is a panic. */
void plat_audit(void);
/* The same in parts, as host_audit_part() has it, while a window may be kept open. True after the
 * last one. */
struct host_view;
bool plat_audit_part(struct host_view *view, uint32_t steps);

/* What each VM's hardware runs on: see hv/abi/compartment.h. At a page's begin. */
extern const uint8_t plat_compartment_image[];

/* Consoles. */
/* Hands up to n bytes to the UART without waiting; returns how many it took. */
size_t plat_serial_write(const uint8_t *bytes, size_t n);
bool plat_serial_present(void); /* without one all is taken */
/* Text cells of the framebuffer console; 0 x 0 when there is no screen. */
extern unsigned plat_screen_columns, plat_screen_rows;
/* Some of the sixteen colours of a terminal; 8 more is the bright one. */
enum { SCREEN_BLACK = 0, SCREEN_GREY = 7, SCREEN_BRIGHT = 8, SCREEN_COLOURS = 16 };
#define SCREEN_PAIR(ink, paper) ((uint8_t)((ink) | (paper) << 4))
#define SCREEN_INK(pair)        ((pair)&0xfu)
#define SCREEN_PAPER(pair)      ((pair) >> 4)
struct screen_cell {
    uint16_t character; /* Unicode; guest-controlled, as are the colours */
    uint8_t pair;       /* two colours, below SCREEN_COLOURS */
    bool underline;
};
/* Takes no lock and about a microsecond, on a slow screen some. */
void plat_screen_draw(unsigned column, unsigned row, struct screen_cell cell);
/* hv_console_work() will run on this CPU once the host TSC has reached deadline; 0 = cancel. */
void plat_console_timer_set(uint64_t tsc_deadline);
/* hv_console_work() will run soon on that CPU; on one that is not online never. */
void plat_console_call(unsigned cpu);

/*
 * Real devices, by bus << 8 | device << 3 | function in the first segment. A register of 32 bits of
 * the configuration space, at a multiple of 4 below 256. Any CPU.
 */
uint32_t plat_pci_read(uint32_t function, uint32_t reg);
void plat_pci_write(uint32_t function, uint32_t reg, uint32_t value);
/*
 * Before plat_seal(): the devices of a VM are to reach its RAM, at the guest's addresses, and are
 * to be able to interrupt; tables in pool. So far they reach nothing. name: of the VM, for ever.
 * *domain is for plat_dma_allow(). STATUS_UNSUPPORTED: the IOMMU is not on, or remaps no
 * interrupts.
 */
MUST_USE enum status plat_dma_make(const struct plan_vm *plan, const char *name, struct pool *pool,
                                   uint32_t *domain);
/* Any CPU of the VM: that domain, or nothing any more. In force on return; STATUS_TIMEOUT: the
 * IOMMU did not say so. */
MUST_USE enum status plat_dma_allow(uint32_t function, uint32_t domain, bool allow);
/*
 * The function may interrupt a CPU: hv_device_interrupt(number) is called there, number below
 * PLAT_IRQS. *irq, all zero the first time, is the same one's for ever. What the device has to send
 * is in *irq then. STATUS_FULL: there are too many in the machine.
 */
#define PLAT_IRQS 64u
struct lapic_descriptor;
/* Where an interrupt goes. With a descriptor, a struct of that CPU's vCPU, and where the IOMMU can
 * (plat_irq_posts()), it is posted there as the guest's vector, and nothing is called. */
struct plat_aim {
    uint32_t cpu;
    uint8_t vector;
    struct lapic_descriptor *descriptor; /* NULL: it is to be seen by the core */
};
struct plat_irq {
    uint32_t function;
    struct plat_aim aim;
    uint64_t address;
    uint32_t data;
    bool made;    /* index is its own */
    bool settled; /* the IOMMU has said that it goes to aim; else it may go where it went before */
    uint16_t index;
};
bool plat_irq_posts(void);
MUST_USE enum status plat_irq_allow(struct plat_irq *irq, uint32_t function, unsigned number,
                                    const struct plat_aim *aim);

/* Machine checks, see hv/vm/mce.h: all that this CPU's registers tell, and clears that. */
struct mce;
void plat_mce_read(struct mce *out);
void plat_mce_clear(const struct mce *m);

/* Tells the next start, unless the power is cut before, that this trial has come up. False if there
 * is no place for that. */
bool plat_keep_healthy(uint64_t trial);

/* Which build this is, and where in memory: "Bulkhead 0.9.0, build 0123456789abcdef, text at
 * 0x1000000". buf needs PLAT_BUILD_SIZE bytes. Returns buf. */
#define PLAT_BUILD_SIZE 80
const char *plat_build_text(char *buf);

/* The last words: see arch/x86_64/panic.c. */
NORETURN void plat_panic(const char *format, ...) PRINTF_LIKE(1, 2);
/* Restarts or switches off the machine for an operator; returns only if it could not. */
void plat_machine_reset(void);
void plat_machine_off(void);
bool plat_can_switch_off(void); /* the firmware's tables say how */

/*
 * Calls from the machine into the hypervisor; on the CPU concerned, interrupts off. hv_start() runs
 * on the boot CPU, all other CPUs waiting: plan, VMs, audit, seal; it returns when the machine is
 * divided. hv_cpu_main() follows on every CPU: it runs what the plan gave it, for ever.
 */
struct boot_info;
void hv_start(const struct boot_info *info);
NORETURN void hv_cpu_main(unsigned cpu);
void hv_timer_expired(void);
void hv_device_interrupt(unsigned number); /* as plat_irq_allow() says */
void hv_posted(void);                      /* as plat_post() says */
void hv_console_input(uint8_t byte);       /* from the UART, or what a key sends */
/* A key of a keyboard, as USB's "Keyboard/Keypad Page" numbers it; again while it repeats. On the
 * one CPU that serves the consoles. */
void hv_console_key(uint8_t key, bool pressed);
void hv_console_writable(void); /* the UART has room again, or time to look at it */
void hv_console_overrun(void);  /* the UART has lost what was typed */
void hv_console_work(void);     /* as plat_console_timer_set() and plat_console_call() say */
