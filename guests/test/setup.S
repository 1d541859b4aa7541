/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first two sectors of a test guest's file: a Linux/x86 setup header (boot protocol 2.15), so
 * that Bulkhead's bzImage loader takes the guest like any kernel, followed by the guest itself.
 * KERNEL names the flat binary. There is no real-mode code: only the 64-bit entry point is there,
 * or with XLOADFLAGS = 0 only the 32-bit one; RELOCATABLE = 0 has it loaded where it is linked.
 * Source: Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
 */
#ifndef XLOADFLAGS
#define XLOADFLAGS  0x03 /* KERNEL_64, CAN_BE_LOADED_ABOVE_4G */
#define RELOCATABLE 1
#endif
#define SETUP_SECTORS 1
#define INIT_SIZE 0x200000 /* as guest.lds asserts */
#define LOAD_ADDRESS 0x100000

        .section .setup, "a"
        .globl  _start
_start:
        .org    0x1f1
        .byte   SETUP_SECTORS
        .word   0                               /* root_flags */
        .long   (kernel_end - kernel + 15) / 16 /* syssize */
        .word   0, 0, 0                         /* ram_size, vid_mode, root_dev */
        .word   0xaa55
        .byte   0xeb, header_end - . - 1        /* jump; its length tells where the header ends */
        .ascii  "HdrS"
        .word   0x020f
        .long   0                               /* realmode_swtch */
        .word   0, 0                            /* start_sys_seg, kernel_version */
        .byte   0                               /* type_of_loader */
        .byte   0x01                            /* loadflags: LOADED_HIGH */
        .word   0                               /* setup_move_size */
        .long   LOAD_ADDRESS                    /* code32_start */
        .long   0, 0                            /* ramdisk_image, ramdisk_size */
        .long   0                               /* bootsect_kludge */
        .word   0                               /* heap_end_ptr */
        .byte   0, 0                            /* ext_loader_ver, ext_loader_type */
        .long   0                               /* cmd_line_ptr */
        .long   0x7fffffff                      /* initrd_addr_max */
        .long   0x200000                        /* kernel_alignment */
        .byte   RELOCATABLE                     /* relocatable_kernel */
        .byte   12                              /* min_alignment */
        .word   XLOADFLAGS
        .long   255                             /* cmdline_size */
        .long   0                               /* hardware_subarch */
        .quad   0                               /* hardware_subarch_data */
        .long   0, 0                            /* payload_offset, payload_length */
        .quad   0                               /* setup_data */
        .quad   LOAD_ADDRESS                    /* pref_address */
        .long   INIT_SIZE
        .long   0                               /* handover_offset */
        .long   0                               /* kernel_info_offset */
header_end:
        .org    (SETUP_SECTORS + 1) * 512
kernel:
        .incbin KERNEL
        .balign 16
kernel_end:
