/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a host CPU can reach: the raw tables under its CR3, bit by bit, against the list of what it
 * is to have. Shares no code and no constant with the builder (hv/mem/pagetable.c). Called on each
 * CPU once it is on its own tables, before it runs a guest.
 */
#pragma once

#include "hv/lib/status.h"

/* What a piece of memory is. */
enum host_kind {
    HOST_CORE,
    HOST_DEVICES,
    HOST_PUBLIC,  /* what all may know of a VM's vCPUs */
    HOST_STACKS,  /* of one CPU */
    HOST_RECORDS, /* of one VM: its budget */
    HOST_RAM,     /* of one VM: on no CPU */
    HOST_HOLE,    /* a guard: nobody's */
    HOST_KINDS
};

/* Rights of a piece, and how the CPU caches it; those of a page. None is writable and executable.
 */
enum host_rights { HOST_RX, HOST_R, HOST_RW, HOST_RW_UC, HOST_RW_WC, HOST_RIGHTS };

#define HOST_ANYBODY UINT32_MAX

/* [base, base + size), at the same address for the CPU. Multiples of 4 KiB. */
struct host_piece {
    uint64_t base, size;
    enum host_kind kind;
    enum host_rights rights;
    uint32_t owner; /* STACKS: a CPU; RECORDS, RAM: a VM; else HOST_ANYBODY */
};

/* All pieces of the machine that some CPU maps; none overlaps another. */
struct host_map {
    const struct host_piece *pieces;
    uint32_t count;
    uint64_t kept; /* at this address one page of the VM's RAM may be as well; 0 = nowhere */
};

/* What a CPU was seen to map, or what is wrong with it. All zero before an audit in parts. */
struct host_view {
    uint64_t bytes[HOST_KINDS];
    uint64_t next;     /* the address that the next part begins with */
    bool through;      /* there is none */
    const char *wrong; /* NULL = nothing */
    uint64_t address, entry;
    const struct host_piece *of; /* whose the frame is, NULL = nobody's */
};

/*
 * STATUS_OK if the tables under root map exactly the pieces that are anybody's, this CPU's and this
 * VM's (HOST_ANYBODY = it runs none), each page at its own address and with its own rights, and
 * nothing else. Else STATUS_INVALID, and view says what is wrong. Reads no table that lies outside
 * of these pieces.
 */
MUST_USE enum status host_audit(const struct host_map *map, hpa_t root, uint32_t cpu, uint32_t vm,
                                struct host_view *view);

/* The same, from view->next on: so many steps, of 10 to 15 instructions, and a few more, and at
 * least one entry. STATUS_OK: so far. view->through: that was the last part. */
MUST_USE enum status host_audit_part(const struct host_map *map, hpa_t root, uint32_t cpu,
                                     uint32_t vm, struct host_view *view, uint32_t steps);
