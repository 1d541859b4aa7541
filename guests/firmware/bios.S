/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the real-mode interrupt table leads to: there is no BIOS, and whoever calls one shall hear so
 * and go on. Each of the 256 vectors has an entry of four bytes here; the loader writes the table.
 * A call is told to the hypervisor, which counts it, then answered as a BIOS answers for what it
 * does not have. Hardware interrupts that nobody handles are ended at the 8259s. Runs on the
 * caller's stack, of which it takes 40 bytes; keeps all registers but the answer.
 * Sources: IBM PC AT Technical Reference "System BIOS"; Intel 8259A data sheet "End of Interrupt".
 */
#include "hv/compartment/load/layout.h"

#define SEGMENT          0xf0000
#define CALL_SIZE        3
#define BIOS_PORT        0x610  /* BULKHEAD_BIOS_PORT */

#define MASTER           0x20
#define SLAVE            0xa0
#define READ_IN_SERVICE  0x0b
#define END_OF_INTERRUPT 0x20

#define FLAG_CARRY       0x01
#define FLAG_ZERO        0x40

/* Above what pushal leaves: the return address into the entries, then the interrupt's frame. */
#define SAVED_AX         28
#define RETURN           32
#define FLAGS            38

/* In the BIOS data area, at segment 0. */
#define EQUIPMENT        0x410
#define MEMORY_SIZE      0x413

#define NOT_SUPPORTED    0x86   /* INT 15h and others */
#define BAD_COMMAND      0x01   /* INT 13h */

        .section .entries, "ax" /* FIRMWARE_GPA */
        .code16
bios_entries:
        .rept   BIOS_VECTORS
        callw   bios_common
        .balign BIOS_ENTRY_SIZE, 0x90
        .endr

        .text
bios_common:
        pushal
        movw    %sp, %bp
        movzwl  RETURN(%bp), %ecx
        subw    $(bios_entries - SEGMENT + CALL_SIZE), %cx
        shrw    $2, %cx                 /* the vector */

        movl    %ecx, %edx
        shll    $16, %edx
        movw    %ax, %dx
        movl    %edx, %eax
        movw    $BIOS_PORT, %dx
        outl    %eax, %dx

        cmpb    $0x08, %cl
        jb      done                    /* exceptions */
        cmpb    $0x10, %cl
        jb      end_master
        cmpb    $0x70, %cl
        jb      service
        cmpb    $0x78, %cl
        jae     done

        movb    $READ_IN_SERVICE, %al
        outb    %al, $SLAVE
        inb     $SLAVE, %al
        testb   %al, %al
        jz      end_master
        movb    $END_OF_INTERRUPT, %al
        outb    %al, $SLAVE
/* Nothing is in service after an exception or INT with one of these vectors: then there is no end. */
end_master:
        movb    $READ_IN_SERVICE, %al
        outb    %al, $MASTER
        inb     $MASTER, %al
        testb   %al, %al
        jz      done
        movb    $END_OF_INTERRUPT, %al
        outb    %al, $MASTER
        jmp     done

/* Of the screen (10h) and those of no BIOS, nothing is changed: so answers a PC without them. */
service:
        cmpb    $0x11, %cl
        je      equipment
        cmpb    $0x12, %cl
        je      memory_size
        cmpb    $0x13, %cl
        je      disk
        cmpb    $0x16, %cl
        je      keyboard
        cmpb    $0x14, %cl
        jb      done
        cmpb    $0x1a, %cl
        ja      done
        movb    $NOT_SUPPORTED, SAVED_AX + 1(%bp)
        jmp     carry
disk:   movb    $BAD_COMMAND, SAVED_AX + 1(%bp)
carry:  orb     $FLAG_CARRY, FLAGS(%bp)
        jmp     done

keyboard:                               /* no key, no shift */
        movw    $0, SAVED_AX(%bp)
        orb     $FLAG_ZERO, FLAGS(%bp)
        jmp     done

equipment:
        movw    $EQUIPMENT, %si
        jmp     1f
memory_size:
        movw    $MEMORY_SIZE, %si
1:      movw    %ds, %dx
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    (%si), %ax
        movw    %dx, %ds
        movw    %ax, SAVED_AX(%bp)

done:   popal
        addw    $2, %sp                 /* the return address */
        iretw

        .section .note.GNU-stack, "", @progbits
