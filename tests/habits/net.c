/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A firmware that leaves its network card receiving: what the card hears it writes into memory, who
 * ever has that by then. Source: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual, "Receive Functionality", "Register Descriptions".
 */
#include "tests/habits/habits.h"

#define CARD                  0x100e8086u /* 82540EM: device and vendor */
#define CONFIG                0x80000000u
#define CONFIG_ID             0x00u
#define CONFIG_COMMAND        0x04u
#define CONFIG_BAR            0x10u
#define COMMAND_MEMORY_MASTER 6u

#define RECEIVE_CONTROL 0x0100u
#define RING_BASE       0x2800u
#define RING_BASE_HIGH  0x2804u
#define RING_SIZE       0x2808u
#define RING_HEAD       0x2810u
#define RING_TAIL       0x2818u
#define RECEIVE_ALL     0x801au /* on, any address, broadcasts */

#define DESCRIPTORS 64u
#define FRAME_WORD  6u /* behind two addresses and a type, that of 4 bytes' alignment */
#define WAIT_MS     60000u

struct descriptor {
    UINT64 buffer, status;
};

static UINT32 find_card(void) {
    for (UINT32 device = 0; device < 32; device++) {
        UINT32 card = CONFIG | device << 11;
        if (config_read(card | CONFIG_ID) == CARD) {
            return card;
        }
    }
    return 0;
}

static void say_number(UINT32 number) {
    char text[] = "0x00000000";
    for (unsigned i = 0; i < 8; i++) {
        text[9 - i] = "0123456789abcdef"[number >> 4 * i & 15];
    }
    say(text);
}

/* Reserved, so that nobody else writes there. */
static EFI_PHYSICAL_ADDRESS reserve_page(void) {
    EFI_PHYSICAL_ADDRESS page = 0x7fffffff;
    BS->AllocatePages(AllocateMaxAddress, EfiReservedMemoryType, 1, &page);
    ZeroMem((void *)(UINTN)page, EFI_PAGE_SIZE);
    return page;
}

static void start_card(UINT32 card, EFI_PHYSICAL_ADDRESS ring) {
    volatile UINT32 *registers = (volatile UINT32 *)(UINTN)(config_read(card | CONFIG_BAR) & ~15u);

    config_write(card | CONFIG_COMMAND, config_read(card | CONFIG_COMMAND) | COMMAND_MEMORY_MASTER);
    registers[RING_BASE / 4] = (UINT32)ring;
    registers[RING_BASE_HIGH / 4] = 0;
    registers[RING_SIZE / 4] = DESCRIPTORS * sizeof(struct descriptor);
    registers[RING_HEAD / 4] = 0;
    registers[RING_TAIL / 4] = DESCRIPTORS - 1;
    registers[RECEIVE_CONTROL / 4] = RECEIVE_ALL;
}

/* All frames go to one place. Waits for the first, so that it is known to work. */
void habit_receive(void) {
    UINT32 card = find_card();
    EFI_PHYSICAL_ADDRESS ring = reserve_page(), frame = reserve_page();
    struct descriptor *descriptors = (struct descriptor *)(UINTN)ring;
    const volatile UINT32 *heard = (const volatile UINT32 *)(UINTN)(frame + FRAME_WORD * 4);

    if (card == 0) {
        say("no network card\r\n");
        return;
    }
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        descriptors[i].buffer = frame;
    }
    start_card(card, ring);
    say("the network card listens\r\n");
    for (unsigned i = 0; i < WAIT_MS && *heard == 0; i++) {
        BS->Stall(1000);
    }
    say(*heard != 0 ? "a frame has come to " : "no frame has come to ");
    say_number((UINT32)(UINTN)heard);
    say("\r\n");
}
