/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of finished nested tables: every entry that a CPU could read, bit by bit, against the
 * plan. It shares no code and no constant with the builder (hv/mem/pagetable.c): the formats stand
 * here a second time, from the manuals. Called for each root of a VM before the first guest runs,
 * and in parts whenever an operator asks.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/plan/plan.h"

/* What a CPU reads: Intel's tables, or AMD's. hv/exit/audit_policy.c reads their bitmaps. */
enum audit_format { AUDIT_INTEL, AUDIT_AMD, AUDIT_FORMATS };

/* DEVICE: it is no memory, so not write-back as all else, but not cached. */
enum audit_access { AUDIT_READ = 1, AUDIT_WRITE = 2, AUDIT_EXECUTE = 4, AUDIT_DEVICE = 8 };

/* Guest-physical memory that a root has to map. Multiples of 4 KiB. */
struct audit_piece {
    gpa_t gpa;
    hpa_t hpa;
    uint64_t size;
    unsigned access; /* enum audit_access bits; AUDIT_READ is one of them */
};

/* RAM; a compartment's program, data, devices and tables, two pieces of each vCPU, its windows. */
#define AUDIT_MAX_PIECES (PLAN_MAX_REGIONS + 5 + 2 * PLAN_MAX_VCPUS + PLAN_MAX_WINDOWS)

/* Host memory. */
struct audit_frames {
    hpa_t base;
    uint64_t size;
};

/* Guest-physical memory where tables may be in which nothing has to be mapped, and no larger pages
 * than that. Bytes; size 0: none. */
struct audit_empty {
    uint64_t base, size, largest;
};
#define AUDIT_EMPTIES 2u

/* What the roots of one VM are held against. */
struct audit {
    const struct plan *plan;  /* of the whole machine: whose a wrong frame is; NULL = unknown */
    const struct plan_vm *vm; /* one of the plan's */
    enum audit_format format;
    uint64_t largest_page;      /* bytes: what this CPU takes */
    bool small_code;            /* what is executable lies in 4 KiB pages: iTLB multihit */
    struct audit_frames shared; /* what every VM may read and none may write */
    struct audit_frames other;  /* of its budget, what another root of the VM maps */
    struct audit_empty empty[AUDIT_EMPTIES];
    /* What may be mapped there, read-write and not cached; NULL = nothing. */
    bool (*is_device)(const void *of, uint64_t hpa, uint64_t size);
    const void *of;
    struct audit_piece pieces[AUDIT_MAX_PIECES]; /* ascending gpa */
    uint32_t piece_count, next;                  /* next: how far the walk has come */
    struct audit_place *place;                   /* the same, for the next part */
    uint32_t steps;                              /* what is left of this part */
    bool stopped;                                /* nothing was, in the middle of a table */
};

/* How far an audit in parts has come: pieces that were judged, then guest-physical memory. All zero
 * before the first. */
struct audit_place {
    uint32_t piece;
    uint64_t gpa; /* an entry's end */
    bool through;
};

/* How far that of a whole VM has come. All zero before the first part. */
struct audit_progress {
    unsigned root; /* of those that hv/monitor/audit_vm.c knows */
    struct audit_place place;
    uint32_t vcpu; /* after the roots, and its permission map */
    unsigned map;
    bool through;
};

/* About a comparison each: 10 to 15 instructions. */
#define AUDIT_ALL_STEPS UINT32_MAX

/* The RAM that the VM is planned to have, with these rights. The caller fills the fields above
 * pieces first. */
void audit_add_ram(struct audit *a, unsigned access);

/* What the plan gives the VM's compartment beside it, with the rights of each kind. */
void audit_add_windows(struct audit *a);
/* Of that, what the guest itself has. */
void audit_add_pmems(struct audit *a);

/* One piece more, of the VM's budget or of what is shared. Nothing happens if its size is 0. */
void audit_add_piece(struct audit *a, struct audit_piece piece);

/*
 * STATUS_OK if the tables under root map exactly the pieces, each with its frames and rights, and
 * nothing else; if no two pieces overlap; if each table is a frame of the VM's budget that neither
 * a piece nor another root maps; and if no entry has a bit that is not meant to be there. Otherwise
 * STATUS_INVALID, and the first difference is in the log. Reads no table outside the VM's budget.
 */
MUST_USE enum status audit_tables(struct audit *a, hpa_t root);

/*
 * The same, from a place on: so many steps and a few more, and at least one entry. The tables above
 * that place are read once more, the caller builds a anew for each part, and what changes meanwhile
 * is held against what it is then. STATUS_OK: so far. place->through: that was the last part.
 */
MUST_USE enum status audit_tables_part(struct audit *a, hpa_t root, struct audit_place *place,
                                       uint32_t steps);

/* A record of the VM: false, and said in the log, if it is not of its budget, or a piece maps it.
 */
MUST_USE bool audit_keeps(const struct audit *a, const void *record, uint64_t size);
