/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual CPU. General registers are stored here by the vendor's entry code at every exit;
 * everything else stays in the vendor's structure until a handler asks. Owned by the host CPU it
 * runs on; other CPUs see v->public, and the VM's others may call lapic_accept().
 */
#pragma once

#include "hv/abi/bus.h"
#include "hv/lib/x86.h"
#include "hv/vm/compartment.h"
#include "hv/vm/hvm.h"
#include "hv/vm/lapic.h"
#include "hv/vm/public.h"
#include "hv/vm/recorder.h"

struct vcpu;
struct vm;

enum vcpu_request {
    REQUEST_EVENT = BIT32(0), /* the local APIC may have something to deliver */
    REQUEST_TIMER = BIT32(1), /* the host timer of this CPU fired */
    REQUEST_NMI = BIT32(2),   /* an NMI for the guest */
    REQUEST_LEAVE = BIT32(3), /* leave the run loop: see vm->leave */
    REQUEST_INIT = BIT32(4),  /* an INIT message; not to vCPU 0, which it makes a reset of the VM */
    REQUEST_SIPI = BIT32(5),  /* a startup message: sipi_vector */
    REQUEST_CLOCKS = BIT32(6), /* to vCPU 0: PIT, CMOS clock, stop or audit wants a look */
    /* Another NMI before the first was looked at. A CPU has room for no third. */
    REQUEST_NMI_AGAIN = BIT32(7),
    REQUEST_ORDER = BIT32(8),     /* to vCPU 0: the operator asks for something */
    REQUEST_SNAPSHOT = BIT32(9),  /* somebody wants to see the registers: snapshot */
    REQUEST_TYPED = BIT32(10),    /* to vCPU 0: something was typed */
    REQUEST_ROOM = BIT32(11),     /* to vCPU 0: the console has room again for its output */
    REQUEST_CHANNELS = BIT32(13), /* to vCPU 0: another VM has rung */
    REQUEST_FLUSH = BIT32(14),    /* the guest's nested tables have changed */
    REQUEST_PAUSE = BIT32(12),    /* leave the run loop, and come back once vm->paused has ended */
};
#define VCPU_TRIPLE_FAULT "triple fault" MSG(3030) /* a reason to end a run */

#define REQUESTS_NMI     (REQUEST_NMI | REQUEST_NMI_AGAIN)
#define REQUESTS_CONSOLE (REQUEST_TYPED | REQUEST_ROOM)
#define REQUESTS_OUT     (REQUEST_LEAVE | REQUEST_PAUSE)

/* Guest-visible CPUID: see hv/exit/cpuid.c. */
#define CPUID_MAX_ENTRIES 64
#define CPUID_GROUP       0x40000000u /* so far apart are the groups of leaves */
#define CPUID_MAX_LEAF    0x22        /* in a group */
#define CPUID_KVM_SLOTS   4u
#define CPUID_SLOT_GROUPS 5u
#define CPUID_SUBLEAVES   0x80 /* in a slot: the leaf has several entries, told apart by subleaf */
#define CPUID_NO_ENTRY    0xff

struct ALIGNED(32) cpuid_entry {
    uint32_t leaf, subleaf, out[4]; /* EAX EBX ECX EDX */
};

struct cpuid_table {
    uint8_t count;
    uint8_t slots[CPUID_SLOT_GROUPS][CPUID_MAX_LEAF]; /* basic, hypervisor, extended, none; KVM's */
    struct cpuid_entry entries[CPUID_MAX_ENTRIES];
};

/* What a guest stored in an emulated MSR that only remembers; see hv/exit/msr.c. */
#define MSR_SLOTS 48

/* STATUS_DENIED means #GP(0). msr and value are guest-controlled. */
typedef enum status (*msr_reader)(struct vcpu *v, uint32_t msr, uint64_t *value);
typedef enum status (*msr_writer)(struct vcpu *v, uint32_t msr, uint64_t value);

/* What was last found: count MSRs from first on are read and written so. None of them is NULL. */
struct msr_memo {
    uint32_t first, count;
    msr_reader read;
    msr_writer write;
};

/* What vCPU 0 has set another one's CPU to; that one takes it back when it is through. */
enum vcpu_duty { DUTY_NONE, DUTY_RUN, DUTY_SCRUB, DUTY_TAKE };

/* All that the CPU has of a vCPU while it is out of the run loop: the vendor's two contexts, and
 * the state that is live in registers. Filled at each pause. */
struct vcpu_saved {
    ALIGNED(PAGE_SIZE) uint8_t guest[PAGE_SIZE];
    uint8_t compartment[PAGE_SIZE];
    uint8_t live[PAGE_SIZE]; /* plat_live_save() */
    ALIGNED(PAGE_SIZE) uint8_t more[256];
};

/* What is special about a vCPU's upcalls; 0 between two of them. */
enum upcall_flag {
    UPCALL_RUNS = BIT32(0),   /* the compartment is at work, or was left there: none can begin */
    UPCALL_FAILED = BIT32(1), /* in this run of the VM: nothing more is asked of it */
    UPCALL_ENDS = BIT32(2),   /* some of ended are to be told when it is through */
    UPCALL_UNWATCHED =
        BIT32(3), /* no timer of the CPU would interrupt one that does not come back */
};

struct vcpu {
    uint64_t regs[16];   /* by enum x86_gpr; the RSP slot is unused. Offset 0: known to assembly */
    uint64_t host_stack; /* RSP that the entry code last told the CPU. Offset 80h: as above */
    void *vendor;        /* struct vmx_vcpu or struct svm_vcpu */
    struct vcpu_saved *saved;
    uint8_t *msr_map_x2apic;     /* in x2APIC mode; without HVM_APIC the same as msr_map */
    uint8_t *msr_map, *port_map; /* permission bitmaps, a bit that is set exits: hvm->msr_bit() */
    bool window_interrupt, window_nmi; /* what hvm->window() was last told */
    bool nmi_used; /* an NMI was injected: the CPU's NMI-blocking state is alive from then on */
    uint32_t exits_left; /* until it has to ask for more: see limit.h */
    struct event event;  /* what hvm->inject() was last given, until the next exit; or EVENT_NONE */

    struct vm *vm;
    uint32_t index, cpu; /* in the VM, also the APIC ID; the host's */
    uint8_t nmi_pending; /* how many wait: two only until the first goes in */
    bool halted;         /* in HLT: whoever enters the run loop goes on there */
    bool waiting;        /* after INIT, for a startup message */
    uint8_t sipi_vector; /* of the last one */
    uint32_t duty;       /* enum vcpu_duty, atomic; not of vCPU 0 */
    bool paused;         /* atomic: it is out of the run loop until vm->paused has ended */
    uint32_t held;       /* requests that came meanwhile */

    uint64_t tsc_offset;
    /* Host TSC, 0 = never: the CPU's timer is set to the earlier. clocks_due: PIT and CMOS clock
     * (only of vCPU 0), or vcpu_look_again(). */
    uint64_t apic_due, clocks_due;
    uint64_t bell_due; /* of vCPU 0: a bell is not looked at before; by clocks_due, if one waits */
    uint64_t bell_least; /* how long the shortest look took; 0 = there was none */
    bool bell_waits;
    uint64_t paused_ticks; /* of vm->paused_ticks, so many are in tsc_offset and the two */

    struct vcpu_context compartment; /* the second context */
    struct exchange *exchange;
    const uint32_t *intr;     /* of vCPU 0: the level of the 8259s' INTR; of others: always 0 */
    uint64_t compartment_rip; /* where it ended last, but for calls of the core */
    const struct vmexit *upcall_exit; /* what the last upcall was for, or NULL */
    enum upcall upcall;               /* and which it was */
    uint32_t upcall_flags;            /* enum upcall_flag */
    uint64_t ended[4];                /* a bit for each vector */
    /* Upcalls begun; the one that a host interrupt found running, and since when on the host TSC.
     */
    uint64_t upcalls, slow_upcall, slow_since;
    uint32_t slow_looks;

    struct lapic lapic;
    struct cpuid_table cpuid;
    struct msr_memo msr_memo[2]; /* of the last read, and of the last write */
    uint64_t msr_slots[MSR_SLOTS];

    uint64_t refused_after; /* exits before the CPU last refused to enter, and 1; 0 = never */

    struct recorder recorder;

    ALIGNED(PAGE_SIZE) struct vcpu_public public; /* to the end of its page, for all CPUs */
};

/* Sends an event in with the next entry, in place of what may be on its way. */
void vcpu_inject(struct vcpu *v, struct event e);

/* Sends an exception in, by the double-fault rules if one is on its way already. */
void vcpu_inject_exception(struct vcpu *v, enum x86_vector vector, uint32_t error);

/*
 * Has vcpu_service() look at what waits again after so many host TSC ticks at the latest: for a
 * vendor that cannot ask for an exit at the end of what keeps an event out. On v's own CPU.
 */
void vcpu_look_again(struct vcpu *v, uint64_t ticks);
/* apic_due or clocks_due has changed. The same. */
void vcpu_timer_set(const struct vcpu *v);

/*
 * Looks at the requests and the local APIC, and queues what can be delivered. False when the run
 * loop must be left.
 */
bool vcpu_service(struct vcpu *v);

/* Stays out of the guest until then, on the host's TSC; false when the run loop must be left. */
bool vcpu_sit_out(struct vcpu *v, uint64_t until);

/* Waits in HLT for the next event; false when the run loop must be left. */
bool vcpu_halt(struct vcpu *v);

/* On v's own CPU: its time has stood still for so many ticks of the host's TSC. */
void vcpu_skip_time(struct vcpu *v, uint64_t ticks);

/*
 * Registers, local APIC and events as after power-up, or as after INIT, which leaves the TSC
 * (v->tsc_offset) and IA32_APIC_BASE alone. On v's own CPU.
 */
void vcpu_reset(struct vcpu *v, bool init);

unsigned vcpu_cpl(struct vcpu *v);
/* Is it in 64-bit mode: EFER.LMA and CS.L? */
bool vcpu_in_64_bit_mode(struct vcpu *v);

/*
 * The guest reached for what is not there: counted in *counter, and with on_violation = "stop" the
 * VM is stopped. what and where go into the log, rate-limited.
 */
void vcpu_violation(struct vcpu *v, uint64_t *counter, const char *what, uint64_t where);

/* The same for an access to a port or a guest-physical address where nothing is. Out of line. */
void vcpu_refuse_access(struct vcpu *v, enum bus_space space, bool write, uint64_t at);

/*
 * Ends the VM's run by a crash of the guest, at the RIP it is at, or of its compartment, and keeps
 * the record. work, a constant of the core's, names the kind of exit, or what the compartment was
 * asked for. The report is the caller's. On v's own CPU.
 */
void vcpu_crash(struct vcpu *v, const char *work, const char *reason);
void vcpu_crash_compartment(struct vcpu *v, const char *work, const char *reason);

static inline bool vcpu_compartment_failed(const struct vcpu *v) {
    return (v->upcall_flags & UPCALL_FAILED) != 0;
}

extern struct vcpu *vcpu_of_cpu[]; /* by host CPU, NULL if it runs none; fixed after plat_seal() */

extern const struct lapic_ops vcpu_lapic_ops;
