/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firmware's screens, while it can still draw on them itself. What it says of a framebuffer is
 * not always so: a pixel that it draws shows how long a line really is. Called by machine.c.
 * Source: UEFI Specification, "Graphics Output Protocol", "Console I/O Protocol".
 */
#include "boot/boot.h"
#include "hv/lib/phys.h"
#include "hv/plan/screens.h"

#define SCREENS_MOST 16u /* that are looked at */
#define LINES_SEARCH 4u  /* no line is longer than so many of what it shows */

/* The tag of a handle that is part of the console; it has no interface. */
static EFI_GUID console_out_guid = {
    0xd3b36f2c, 0xd551, 0x11d4, {0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};

/* Two colours that look the same whichever byte is red. */
static const EFI_GRAPHICS_OUTPUT_BLT_PIXEL colours[] = {{0x5a, 0xa5, 0x5a, 0},
                                                        {0xa5, 0x5a, 0xa5, 0}};
static const uint32_t colour_words[] = {0x5aa55a, 0xa55aa5};

/* The first pixel of the second line. */
static bool graphics_draw(EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, EFI_GRAPHICS_OUTPUT_BLT_PIXEL *pixel,
                          EFI_GRAPHICS_OUTPUT_BLT_OPERATION what) {
    UINTN from_y = what == EfiBltVideoToBltBuffer ? 1 : 0;
    return gop->Blt(gop, pixel, what, 0, from_y, 0, 1 - from_y, 1, 1, 0) == EFI_SUCCESS;
}

/* Where a pixel of one colour, and then of another, is seen in memory, there the line begins. */
static void graphics_correct(EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, struct boot_framebuffer *fb) {
    const volatile uint32_t *pixels = phys_pointer(fb->base);
    uint32_t end = LINES_SEARCH * fb->width;
    uint32_t seen[ARRAY_SIZE(colours)];
    EFI_GRAPHICS_OUTPUT_BLT_PIXEL before;

    if (fb->base.v == 0 || !graphics_draw(gop, &before, EfiBltVideoToBltBuffer)) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(colours); i++) {
        EFI_GRAPHICS_OUTPUT_BLT_PIXEL colour = colours[i];
        bool drawn = graphics_draw(gop, &colour, EfiBltVideoFill);
        seen[i] = drawn ? pixels_search(pixels, fb->width, end, colour_words[i]) : end;
    }
    (void)graphics_draw(gop, &before, EfiBltBufferToVideo);
    if (seen[0] == seen[1] && seen[0] < end) {
        fb->stride = seen[0];
    }
}

/* A base of 0 if its pixels are not words with a byte for each colour. */
static struct boot_framebuffer graphics_framebuffer(const EFI_GRAPHICS_OUTPUT_PROTOCOL *gop) {
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = gop->Mode->Info;
    const EFI_PIXEL_BITMASK *mask = &mode->PixelInformation;
    bool masks = mode->PixelFormat == PixelBitMask;
    bool red_first = mode->PixelFormat == PixelRedGreenBlueReserved8BitPerColor;
    bool blue_first = mode->PixelFormat == PixelBlueGreenRedReserved8BitPerColor;
    bool bytes = masks && (mask->RedMask | mask->GreenMask | mask->BlueMask) == 0xffffff;

    if (!red_first && !blue_first && !bytes) {
        return (struct boot_framebuffer){0};
    }
    return (struct boot_framebuffer){
        .base = HPA(gop->Mode->FrameBufferBase),
        .size = gop->Mode->FrameBufferSize,
        .width = mode->HorizontalResolution,
        .height = mode->VerticalResolution,
        .stride = mode->PixelsPerScanLine,
        .red_first = red_first || (bytes && mask->RedMask == 0xff),
    };
}

static bool graphics_look(EFI_HANDLE handle, struct screen_found *screen) {
    EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = NULL;
    void *none;
    if (BS->HandleProtocol(handle, &GraphicsOutputProtocol, (void **)&gop) != EFI_SUCCESS ||
        gop->Mode == NULL || gop->Mode->Info == NULL) {
        return false;
    }
    screen->fb = graphics_framebuffer(gop);
    screen->console = BS->HandleProtocol(handle, &console_out_guid, &none) == EFI_SUCCESS;
    graphics_correct(gop, &screen->fb);
    return true;
}

void graphics_find(struct boot_info *info) {
    struct screen_found found[SCREENS_MOST];
    unsigned count = 0;
    EFI_HANDLE *handles = NULL;
    UINTN handle_count = 0;

    if (BS->LocateHandleBuffer(ByProtocol, &GraphicsOutputProtocol, NULL, &handle_count,
                               &handles) != EFI_SUCCESS) {
        return;
    }
    for (UINTN i = 0; i < handle_count && count < SCREENS_MOST; i++) {
        count += graphics_look(handles[i], &found[count]);
    }
    FreePool(handles);
    screens_choose(found, count, info);
}
