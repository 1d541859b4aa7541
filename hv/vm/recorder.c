/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a record is told: see recorder.h. Its words are read by tools/bhtrace, too. */
#include "hv/vm/recorder.h"

#include "hv/lib/clock.h"
#include "hv/lib/fmt.h"
#include "hv/lib/log.h"
#include "hv/lib/str.h"
#include "hv/vm/plat.h"

#define SECOND_NS 1000000000u

/* What vmexit's number is, where it is one. */
static const char *const recorder_numbers[EXIT_KINDS] = {
    [EXIT_CPUID] = "leaf",          [EXIT_RDMSR] = "msr",       [EXIT_WRMSR] = "msr",
    [EXIT_APIC_WRITE] = "register", [EXIT_APIC_EOI] = "vector",
};

static const char *const recorder_outcomes[RECORDER_OUTCOMES] = {
    [RECORDER_NEXT] = "next",   [RECORDER_DONE] = "done",       [RECORDER_HALT] = "halt",
    [RECORDER_RETRY] = "retry", [RECORDER_AT_WORK] = "at-work",
};

static void recorder_format_io(char *out, size_t size, struct exit_io io) {
    bool in = (io.flags & IO_IN) != 0;
    const char *string = (io.flags & IO_STRING) != 0 ? "s" : "";

    (void)fmt_print(out, size, " %s%s %#x size %u", in ? "in" : "out", string, io.port, io.size);
}

static void recorder_format_cr(char *out, size_t size, struct exit_cr cr) {
    static const char *const accesses[] = {[CR_WRITE] = "write",
                                           [CR_READ] = "read",
                                           [CR_CLTS] = "clts",
                                           [CR_LMSW] = "lmsw",
                                           [CR_SMSW] = "smsw"};

    (void)fmt_print(out, size, " %s cr%u", accesses[cr.access], cr.cr);
}

static void recorder_format_fault(char *out, size_t size, const struct exit_nested_fault *fault) {
    const char *what = fault->write ? "write" : "read";

    if (fault->execute) {
        what = "fetch";
    }
    (void)fmt_print(out, size, " %s %#llx", what, (ull)fault->gpa.v);
}

static void recorder_format_detail(char *out, size_t size, const struct vmexit *x) {
    const char *word = recorder_numbers[x->kind];

    if (x->kind == EXIT_IO) {
        recorder_format_io(out, size, x->io);
    } else if (x->kind == EXIT_CR) {
        recorder_format_cr(out, size, x->cr);
    } else if (x->kind == EXIT_NESTED_FAULT) {
        recorder_format_fault(out, size, &x->fault);
    } else if (x->kind == EXIT_EXCEPTION) {
        (void)fmt_print(out, size, " vector %u", x->event.vector);
    } else if (word != NULL) {
        (void)fmt_print(out, size, " %s %#x", word, x->number);
    }
}

void recorder_init(struct recorder *r) {
    for (unsigned i = 0; i < RECORDER_EXITS; i++) {
        r->exits[i].next = &r->exits[(i + 1) % RECORDER_EXITS];
    }
    r->now = &r->exits[0];
}

void recorder_copy(struct recorder *out, const struct recorder *from) {
    memcpy(out->exits, from->exits, sizeof(out->exits));
    recorder_init(out);
    out->now = &out->exits[from->now - from->exits];
}

static uint64_t recorder_tsc(const struct exit_record *e) {
    return (uint64_t)e->tsc_high << 32 | e->tsc_low;
}

const struct exit_record *recorder_exit(const struct recorder *r, unsigned age) {
    unsigned newest = (unsigned)(r->now - r->exits);
    const struct exit_record *e = &r->exits[(newest + RECORDER_EXITS - age) % RECORDER_EXITS];

    return age < RECORDER_EXITS && recorder_tsc(e) != 0 ? e : NULL;
}

struct recorder_clock recorder_clock(void) {
    return (struct recorder_clock){.tsc = plat_tsc(), .us = log_now_us()};
}

const char *recorder_format(char out[RECORDER_LINE], const struct exit_record *e,
                            const struct recorder_clock *clock) {
    uint64_t ago = mul_div_u64(clock->tsc - recorder_tsc(e), SECOND_NS, plat_tsc_hz());
    uint64_t now = clock->us * 1000;
    uint64_t ns = now - min_u64(ago, now);
    char detail[32] = "";

    recorder_format_detail(detail, sizeof(detail), &e->exit);
    (void)fmt_print(out, RECORDER_LINE, "%5llu.%09llu rip %#llx %s%s %s", (ull)(ns / SECOND_NS),
                    (ull)(ns % SECOND_NS), (ull)e->rip, exit_kind_names[e->exit.kind], detail,
                    recorder_outcomes[e->outcome]);
    return out;
}

size_t recorder_line(char *out, size_t size, const struct recorder_look *look, unsigned number) {
    char text[RECORDER_LINE];

    if (number == 0) {
        return fmt_print(out, size, "vcpu%u on cpu %u: %s\n", look->vcpu, look->cpu,
                         look->recorder != NULL ? "its last exits" : "does not answer" MSG(6112));
    }
    if (look->recorder == NULL) {
        return 0;
    }
    const struct exit_record *e = recorder_exit(look->recorder, RECORDER_EXITS - number);
    if (e == NULL) {
        return 0;
    }
    return fmt_print(out, size, "  exit %s\n", recorder_format(text, e, &look->clock));
}
