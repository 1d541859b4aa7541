/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the fetch of guest code. Reads only; a byte that cannot be reached ends the fetch.
 */

#include "hv/exit/cpuid.h"
#include "hv/exit/exit.h"
#include "hv/mem/walk.h"

#define ATTR_DPL_SHIFT 5
#define ATTR_LONG      BIT32(13)
#define ATTR_BIG       BIT32(14)

/* The paging state of v. */
static void fetch_walk_state(struct vcpu *v, struct walk_state *s) {
    struct hvm_segment ss;
    hvm->get_segment(v, HVM_SS, &ss);
    const struct cpuid_entry *e = cpuid_find(&v->cpuid, 0x80000008, 0);
    *s = (struct walk_state){.cr0 = hvm->get(v, HVM_CR0),
                             .cr3 = hvm->get(v, HVM_CR3),
                             .cr4 = hvm->get(v, HVM_CR4),
                             .efer = hvm->get(v, HVM_EFER),
                             .rflags = hvm->get(v, HVM_RFLAGS),
                             .cpl = ss.attr >> ATTR_DPL_SHIFT & 3,
                             .phys_bits = (uint8_t)max_u64(e->out[0] & 0xff, 36)};
}

static unsigned fetch_mode_of(uint64_t efer, const struct hvm_segment *cs) {
    if ((efer & X86_EFER_LMA) != 0 && (cs->attr & ATTR_LONG) != 0) {
        return 64;
    }
    return (cs->attr & ATTR_BIG) != 0 ? 32 : 16;
}

unsigned fetch_mode(struct vcpu *v) {
    struct hvm_segment cs;
    hvm->get_segment(v, HVM_CS, &cs);
    return fetch_mode_of(hvm->get(v, HVM_EFER), &cs);
}

size_t fetch_code(struct vcpu *v, uint8_t *out, size_t n) {
    struct walk_state s;
    struct hvm_segment cs;
    fetch_walk_state(v, &s);
    hvm->get_segment(v, HVM_CS, &cs);
    unsigned mode = fetch_mode_of(s.efer, &cs);
    uint64_t linear = hvm->get(v, HVM_RIP) + (mode == 64 ? 0 : cs.base);
    size_t done = 0;
    while (done < n) {
        gpa_t gpa;
        uint32_t pf_error;
        uint64_t at = mode == 64 ? linear + done : (uint32_t)(linear + done);
        size_t part = min_u64(n - done, PAGE_SIZE - at % PAGE_SIZE);
        unsigned access = WALK_EXECUTE | (s.cpl == 3 ? (unsigned)WALK_USER : 0);
        if (walk_translate(&v->vm->mem, &s, GVA(at), access, &gpa, &pf_error) != STATUS_OK ||
            gmem_read(&v->vm->mem, gpa, out + done, part) != STATUS_OK) {
            break;
        }
        done += part;
    }
    return done;
}
