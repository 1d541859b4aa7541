/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only code of the core that reads and writes a guest's RAM, through windows of this CPU. See
 * memory.h.
 */
#include "hv/vm/memory.h"

#include "hv/lib/str.h"
#include "hv/vm/vm.h"

/* Finds the next piece that a window can show. */
static enum status memory_piece(const struct vm *vm, gpa_t gpa, uint64_t size, hpa_t *at,
                                uint64_t *part) {
    return gmem_find(&vm->mem, gpa, min_u64(size, PLAT_WINDOW_SIZE), at, part);
}

enum status vm_memory_write(const struct vm *vm, gpa_t gpa, const void *from, uint64_t size) {
    hpa_t at;

    for (uint64_t done = 0, part; done < size; done += part) {
        enum status s = memory_piece(vm, GPA(gpa.v + done), size - done, &at, &part);
        if (s != STATUS_OK) {
            return s;
        }
        void *window = plat_window_open(WINDOW_WRITE, at, part);
        memcpy(window, (const uint8_t *)from + done, part);
        plat_window_close(WINDOW_WRITE, at, part);
    }
    return STATUS_OK;
}

enum status vm_memory_read(const struct vm *vm, gpa_t gpa, void *to, uint64_t size) {
    hpa_t at;

    for (uint64_t done = 0, part; done < size; done += part) {
        enum status s = memory_piece(vm, GPA(gpa.v + done), size - done, &at, &part);
        if (s != STATUS_OK) {
            return s;
        }
        const void *window = plat_window_open(WINDOW_READ, at, part);
        memcpy((uint8_t *)to + done, window, part);
        plat_window_close(WINDOW_READ, at, part);
    }
    return STATUS_OK;
}

void vm_memory_scrub(hpa_t at, uint64_t size) {
    void *window = plat_window_open(WINDOW_WRITE, at, size);
    plat_scrub(window, size);
    plat_window_close(WINDOW_WRITE, at, size);
}

uint32_t *vm_memory_keep(const struct vm *vm, gpa_t gpa) {
    hpa_t at;
    uint64_t part;

    if (gpa.v % sizeof(uint32_t) != 0 ||
        gmem_find(&vm->mem, gpa, sizeof(uint32_t), &at, &part) != STATUS_OK) {
        return NULL;
    }
    vm_memory_let_go();
    return plat_window_open(WINDOW_KEPT, at, sizeof(uint32_t));
}

void vm_memory_let_go(void) {
    plat_window_close(WINDOW_KEPT, HPA(0), PAGE_SIZE);
}
