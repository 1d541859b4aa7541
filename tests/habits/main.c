/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An EFI application that gives the firmware bad habits which real ones have, and then starts
 * \EFI\BOOT\BULKHEAD.EFI. \habits.txt has their names, separated by blanks: the table at the end
 * says what each does. What it has to say it says on COM1, where the tests read it. For
 * tests/system/test_hardware.py.
 */
#include "tests/habits/habits.h"

static char names[512]; /* of habits.txt */

static struct {
    EFI_EXIT_BOOT_SERVICES exit;
    EFI_ALLOCATE_POOL pool;
    EFI_FREE_POOL free_pool;
    EFI_ALLOCATE_PAGES pages;
    EFI_STALL stall;
} real;

static unsigned exits; /* calls of ExitBootServices so far */
static bool exiting;   /* the firmware itself is at it: its drivers may call what they like */
static unsigned exits_refused;    /* so many of them fail */
static bool strict, no_execution; /* see the table */

/* ---- the end of boot services ---- */

static bool forbidden(const char *call) {
    if (!strict || exits == 0 || exiting) {
        return false;
    }
    say("forbidden after the first ExitBootServices: ");
    say(call);
    say("\r\n");
    return true;
}

static EFI_STATUS EFIAPI pool_hook(EFI_MEMORY_TYPE type, UINTN size, VOID **result) {
    return forbidden("AllocatePool") ? EFI_UNSUPPORTED : real.pool(type, size, result);
}

static EFI_STATUS EFIAPI free_pool_hook(VOID *memory) {
    return forbidden("FreePool") ? EFI_UNSUPPORTED : real.free_pool(memory);
}

static EFI_STATUS EFIAPI stall_hook(UINTN microseconds) {
    return forbidden("Stall") ? EFI_UNSUPPORTED : real.stall(microseconds);
}

static EFI_STATUS EFIAPI pages_hook(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                    EFI_PHYSICAL_ADDRESS *result) {
    if (forbidden("AllocatePages")) {
        return EFI_UNSUPPORTED;
    }
    EFI_STATUS status = real.pages(how, type, pages, result);
    bool loader = type == EfiLoaderCode || type == EfiLoaderData;

    if (status == EFI_SUCCESS && no_execution && loader) {
        deny_execution(*result, pages * EFI_PAGE_SIZE);
    }
    return status;
}

static EFI_STATUS EFIAPI exit_hook(EFI_HANDLE image, UINTN key) {
    exits++;
    if (exits <= exits_refused) { /* an event handler has allocated something */
        EFI_PHYSICAL_ADDRESS page = UINT32_MAX;
        real.pages(AllocateMaxAddress, EfiBootServicesData, 1, &page);
        say("ExitBootServices fails\r\n");
        return EFI_INVALID_PARAMETER;
    }
    exiting = true;
    EFI_STATUS status = real.exit(image, key);
    exiting = false;
    if (status != EFI_SUCCESS) {
        say("ExitBootServices fails of itself\r\n");
        return status;
    }
    cpu_habits();
    return EFI_SUCCESS;
}

/* ---- memory ---- */

static bool take_page(EFI_PHYSICAL_ADDRESS page, EFI_MEMORY_TYPE type) {
    return real.pages(AllocateAddress, type, 1, &page) == EFI_SUCCESS;
}

static void habit_lowmem(void) {
    for (EFI_PHYSICAL_ADDRESS page = 0; page < 0x100000; page += EFI_PAGE_SIZE) {
        (void)take_page(page, EfiBootServicesData);
    }
}

/* Every third page of a stretch, so that as many holes stay. */
static void habit_fragments(void) {
    unsigned left = 900;
    EFI_PHYSICAL_ADDRESS page = 0x10000000;
    while (left > 0 && page < 0x30000000) {
        left -= take_page(page, EfiReservedMemoryType);
        page += 3 * EFI_PAGE_SIZE;
    }
    say(left == 0 ? "900 pages are reserved\r\n" : "not all pages could be reserved\r\n");
}

/* ---- screens ---- */

static EFI_GRAPHICS_OUTPUT_PROTOCOL *first_screen(void) {
    EFI_GRAPHICS_OUTPUT_PROTOCOL *screen = NULL;
    LibLocateProtocol(&GraphicsOutputProtocol, (void **)&screen);
    return screen;
}

static void each_screen(void (*change)(EFI_GRAPHICS_OUTPUT_PROTOCOL *screen)) {
    EFI_HANDLE *handles = NULL;
    UINTN count = 0;
    BS->LocateHandleBuffer(ByProtocol, &GraphicsOutputProtocol, NULL, &count, &handles);
    for (UINTN i = 0; i < count; i++) {
        EFI_GRAPHICS_OUTPUT_PROTOCOL *screen = NULL;
        if (BS->HandleProtocol(handles[i], &GraphicsOutputProtocol, (void **)&screen) ==
            EFI_SUCCESS) {
            change(screen);
        }
    }
}

static void lie_about_stride(EFI_GRAPHICS_OUTPUT_PROTOCOL *screen) {
    screen->Mode->Info->PixelsPerScanLine += 40;
}

static void lie_about_size(EFI_GRAPHICS_OUTPUT_PROTOCOL *screen) {
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = screen->Mode->Info;
    UINTN pixels = (UINTN)mode->HorizontalResolution * mode->VerticalResolution;
    screen->Mode->FrameBufferSize = pixels * sizeof(UINT32) - EFI_PAGE_SIZE;
}

static void habit_stride(void) {
    each_screen(lie_about_stride);
}

static void habit_fbsize(void) {
    each_screen(lie_about_size);
}

static void habit_bltonly(void) {
    EFI_GRAPHICS_OUTPUT_PROTOCOL *screen = first_screen();
    if (screen != NULL) {
        screen->Mode->Info->PixelFormat = PixelBltOnly;
        screen->Mode->FrameBufferBase = 0;
        screen->Mode->FrameBufferSize = 0;
    }
}

/* The first one found has no monitor: the firmware does not show its text there. */
static void habit_untagged(void) {
    static EFI_GUID tag = {
        0xd3b36f2c, 0xd551, 0x11d4, {0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
    EFI_HANDLE *handles = NULL;
    UINTN count = 0;
    BS->LocateHandleBuffer(ByProtocol, &GraphicsOutputProtocol, NULL, &count, &handles);
    for (UINTN i = 0; i < count; i++) {
        EFI_GRAPHICS_OUTPUT_PROTOCOL *screen = NULL;
        BS->HandleProtocol(handles[i], &GraphicsOutputProtocol, (void **)&screen);
        if (screen == first_screen() &&
            BS->UninstallProtocolInterface(handles[i], &tag, NULL) == EFI_SUCCESS) {
            say("the first screen is not the console's\r\n");
        }
    }
}

/* ---- the rest ---- */

static EFI_STATUS EFIAPI no_time(EFI_TIME *time, EFI_TIME_CAPABILITIES *capabilities) {
    (void)time;
    (void)capabilities;
    return EFI_DEVICE_ERROR;
}

static void habit_notime(void) {
    ST->RuntimeServices->GetTime = no_time;
}

/* ---- ACPI ---- */

#define ACPI_SIZE   4
#define ACPI_SUM    9
#define ACPI_AUTHOR 10
#define ACPI_HEADER 36

#define RSDP_SIZE     36
#define RSDP_XSDT     24
#define RSDP_LONG_SUM 32

#define UNUSED_PIN 7 /* of the I/O APIC */

#define WDAT_FLAGS   60
#define WDAT_COUNT   64
#define WDAT_ENTRIES 68
#define WDAT_ENTRY   24

static UINT8 *find_table(const char *name) {
    EFI_GUID acpi_guid = ACPI_20_TABLE_GUID;
    UINT8 *rsdp = NULL;
    if (LibGetSystemConfigurationTable(&acpi_guid, (void **)&rsdp) != EFI_SUCCESS) {
        return NULL;
    }
    const UINT8 *xsdt = *(UINT8 **)(rsdp + RSDP_XSDT);
    UINT32 size = *(const UINT32 *)(xsdt + ACPI_SIZE);

    for (UINT32 at = ACPI_HEADER; at + 8 <= size; at += 8) {
        UINT8 *table = *(UINT8 *const *)(xsdt + at);
        if (strncmpa(table, (const CHAR8 *)name, 4) == 0) {
            return table;
        }
    }
    return NULL;
}

static void set_sum(UINT8 *table, UINT32 size, UINT32 at) {
    UINT8 sum = 0;
    table[at] = 0;
    for (UINT32 i = 0; i < size; i++) {
        sum = (UINT8)(sum + table[i]);
    }
    table[at] = (UINT8)-sum;
}

/* A letter of who has made the table of interrupt controllers. */
static void habit_sums(void) {
    UINT8 *table = find_table("APIC");
    if (table != NULL) {
        table[ACPI_AUTHOR]++;
    }
}

/* Sockets without a CPU are entries of the table, marked as such: the mark is taken away. */
static void habit_ghosts(void) {
    UINT8 *table = find_table("APIC");
    if (table == NULL) {
        return;
    }
    UINT32 size = *(const UINT32 *)(table + ACPI_SIZE);
    for (UINT32 at = ACPI_HEADER + 8; at + 8 <= size; at += table[at + 1]) {
        UINT8 *entry = table + at;
        if (entry[0] == 0 && (entry[4] & 1) == 0) { /* a local APIC, not enabled */
            entry[4] |= 1;
            table[ACPI_SUM]--;
            say("a CPU that is not there\r\n");
        }
    }
}

/* ISA interrupt 1 is said to arrive where nothing does: what was said of 5 is said of it. */
static void habit_irq1(void) {
    UINT8 *table = find_table("APIC");
    if (table == NULL) {
        return;
    }
    UINT32 size = *(const UINT32 *)(table + ACPI_SIZE);
    for (UINT32 at = ACPI_HEADER + 8; at + 10 <= size; at += table[at + 1]) {
        UINT8 *entry = table + at;
        if (entry[0] == 2 && entry[3] == 5) { /* an override of that interrupt */
            entry[3] = 1;
            *(UINT32 *)(entry + 4) = UNUSED_PIN;
            entry[8] = 0; /* the bus's own polarity and trigger */
            say("the keyboard's interrupt is elsewhere\r\n");
        }
    }
    set_sum(table, size, ACPI_SUM);
}

/* A table of that name beside the others, in a copy of their list. */
static void add_table(UINT8 *table, UINT32 size) {
    EFI_GUID acpi_guid = ACPI_20_TABLE_GUID;
    UINT8 *rsdp = NULL;
    EFI_PHYSICAL_ADDRESS page = UINT32_MAX;
    if (LibGetSystemConfigurationTable(&acpi_guid, (void **)&rsdp) != EFI_SUCCESS ||
        BS->AllocatePages(AllocateMaxAddress, EfiACPIReclaimMemory, 1, &page) != EFI_SUCCESS) {
        return;
    }
    UINT8 *list = (UINT8 *)(UINTN)page;
    const UINT8 *old = *(UINT8 **)(rsdp + RSDP_XSDT);
    UINT32 end = *(const UINT32 *)(old + ACPI_SIZE);

    CopyMem(list, old, end);
    CopyMem(list + EFI_PAGE_SIZE / 2, table, size);
    *(UINT64 *)(list + end) = page + EFI_PAGE_SIZE / 2;
    *(UINT32 *)(list + ACPI_SIZE) = end + 8;
    set_sum(list, end + 8, ACPI_SUM);
    *(UINT64 *)(rsdp + RSDP_XSDT) = page;
    set_sum(rsdp, RSDP_SIZE, RSDP_LONG_SUM);
}

/* For the chipset's watchdog, which runs then: its control register's bit 11 halts it. */
static void add_wdat(const UINT8 *actions, UINT32 count) {
    static UINT8 table[WDAT_ENTRIES + 2 * WDAT_ENTRY] = "WDAT";

    for (UINT32 i = 0; i < count; i++) {
        UINT8 *entry = table + WDAT_ENTRIES + i * WDAT_ENTRY;
        BOOLEAN stop = actions[i] == 11;
        entry[0] = actions[i];
        entry[1] = stop ? 0x82 : 0; /* write and keep the other bits, or read */
        entry[4] = 1;               /* a port */
        entry[5] = 16;
        entry[6] = 11;
        entry[7] = 2;
        *(UINT64 *)(entry + 8) = tco_control();
        *(UINT32 *)(entry + 16) = stop; /* it runs where this is 0 */
        *(UINT32 *)(entry + 20) = 1;
    }
    *(UINT32 *)(table + ACPI_SIZE) = WDAT_ENTRIES + count * WDAT_ENTRY;
    table[WDAT_FLAGS] = 1;
    *(UINT32 *)(table + WDAT_COUNT) = count;
    set_sum(table, WDAT_ENTRIES + count * WDAT_ENTRY, ACPI_SUM);
    add_table(table, WDAT_ENTRIES + count * WDAT_ENTRY);
}

static void habit_wdat(void) {
    habit_tco();
    add_wdat((const UINT8[]){8, 11}, 2);
}

static void habit_stuck(void) {
    add_wdat((const UINT8[]){8}, 1);
}

static void habit_exit1(void) {
    exits_refused = 1;
}

static void habit_exit3(void) {
    exits_refused = 3;
}

static void habit_strict(void) {
    strict = true;
}

static void habit_nx(void) {
    no_execution = true;
}

static const struct {
    const char *name;
    void (*adopt)(void);
} habits[] = {
    {"bltonly", habit_bltonly},     /* the first screen has no framebuffer */
    {"cet", habit_cet},             /* indirect branches need a mark at their target */
    {"exit1", habit_exit1},         /* the first ExitBootServices fails */
    {"exit3", habit_exit3},         /* the first three do */
    {"fbsize", habit_fbsize},       /* framebuffers are larger than is said */
    {"fragments", habit_fragments}, /* a memory map of some 900 holes */
    {"ghosts", habit_ghosts},       /* CPUs that are not there */
    {"irq1", habit_irq1},           /* the MADT has a PS/2 keyboard's interrupt wrong */
    {"la57", habit_la57},           /* five-level paging */
    {"lowmem", habit_lowmem},       /* no page is free below 1 MiB, all are of boot services */
    {"notime", habit_notime},       /* no clock */
    {"nx", habit_nx},               /* a loader's memory is not executable */
    {"pcid", habit_pcid},           /* process-context identifiers are on */
    {"receive", habit_receive},     /* a network card writes what it hears into memory */
    {"strict", habit_strict},       /* after the first ExitBootServices only GetMemoryMap works */
    {"stride", habit_stride},       /* lines of the framebuffer are shorter than is said */
    {"sums", habit_sums},           /* the MADT's checksum is wrong */
    {"tco", habit_tco},             /* the chipset's watchdog runs */
    {"tsc", habit_tsc},             /* the CPUs' clocks differ */
    {"untagged", habit_untagged},   /* the first screen of several is not the console's */
    {"wdat", habit_wdat},           /* the chipset's watchdog runs, and a table describes it */
    {"wdat-stuck", habit_stuck},    /* the same, but the table does not say how to stop it */
};

static bool is_named(const char *name) {
    for (const char *at = names; *at != 0; at++) {
        UINTN n = strlena((const CHAR8 *)name);
        bool begins = at == names || at[-1] == ' ';
        if (begins && strncmpa((const CHAR8 *)at, (const CHAR8 *)name, n) == 0 && at[n] <= ' ') {
            return true;
        }
    }
    return false;
}

static void read_names(EFI_HANDLE device) {
    EFI_FILE_HANDLE root = LibOpenRoot(device);
    EFI_FILE_HANDLE file = NULL;
    UINTN size = sizeof(names) - 1;
    if (root->Open(root, &file, L"habits.txt", EFI_FILE_MODE_READ, 0) == EFI_SUCCESS) {
        file->Read(file, &size, names);
        file->Close(file);
    }
}

static void adopt_all(void) {
    for (unsigned i = 0; i < sizeof(habits) / sizeof(habits[0]); i++) {
        if (is_named(habits[i].name)) {
            say("habit: ");
            say(habits[i].name);
            say("\r\n");
            habits[i].adopt();
        }
    }
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table) {
    EFI_LOADED_IMAGE *loaded = NULL;
    EFI_HANDLE child = NULL;

    InitializeLib(image, table);
    real.exit = BS->ExitBootServices;
    real.pool = BS->AllocatePool;
    real.free_pool = BS->FreePool;
    real.pages = BS->AllocatePages;
    real.stall = BS->Stall;
    BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&loaded);
    read_names(loaded->DeviceHandle);
    cpu_prepare();
    adopt_all();

    EFI_DEVICE_PATH *path = FileDevicePath(loaded->DeviceHandle, L"\\EFI\\BOOT\\BULKHEAD.EFI");
    EFI_STATUS status = BS->LoadImage(FALSE, image, path, NULL, 0, &child);
    if (status != EFI_SUCCESS) {
        say("BULKHEAD.EFI cannot be loaded\r\n");
        return status;
    }
    BS->ExitBootServices = exit_hook;
    BS->AllocatePool = pool_hook;
    BS->FreePool = free_pool_hook;
    BS->AllocatePages = pages_hook;
    BS->Stall = stall_hook;
    return BS->StartImage(child, NULL, NULL);
}
