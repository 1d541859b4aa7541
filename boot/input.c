/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks for what can be typed on once the firmware is gone, beside a serial line: a PS/2 or USB
 * keyboard. Firmware knows more of these than Bulkhead does, so an admin who types on one behind an
 * old controller must hear that it falls silent. Changes nothing. Called by main.c. Source: UEFI
 * Specification, "ACPI Device Path", "Messaging Device Path".
 */
#include "boot/boot.h"

#define KBD_STATUS       0x64u
#define PORT_EMPTY       0xffu   /* what a read gives where no device is */
#define PNP_KEYBOARD     0x0300u /* to 031Fh, by kind */
#define PNP_KEYBOARD_END 0x0320u
#define PCI_CLASS        8u /* register, and what it holds in its upper three bytes */
#define PCI_CLASS_XHCI   0x0c0330u

static bool is_ps2(const EFI_DEVICE_PATH *node) {
    const ACPI_HID_DEVICE_PATH *acpi = (const ACPI_HID_DEVICE_PATH *)node;
    return DevicePathType(node) == ACPI_DEVICE_PATH && DevicePathSubType(node) == ACPI_DP &&
           (acpi->HID & PNP_EISA_ID_MASK) == PNP_EISA_ID_CONST &&
           EISA_ID_TO_NUM(acpi->HID) >= PNP_KEYBOARD &&
           EISA_ID_TO_NUM(acpi->HID) < PNP_KEYBOARD_END;
}

static bool is_usb(const EFI_DEVICE_PATH *node) {
    return DevicePathType(node) == MESSAGING_DEVICE_PATH &&
           (DevicePathSubType(node) == MSG_USB_DP || DevicePathSubType(node) == MSG_USB_CLASS_DP);
}

/* By the class of its controller, the last PCI device on the way: is it one that usb.c drives? */
static uint32_t usb_input(struct boot_info *info, EFI_DEVICE_PATH *path) {
    EFI_PCI_IO_PROTOCOL *pci = devices_protocol(path);
    UINT32 class = 0;

    bool found =
        pci != NULL && pci->Pci.Read(pci, EfiPciIoWidthUint32, PCI_CLASS, 1, &class) == EFI_SUCCESS;
    if (!found || class >> 8 != PCI_CLASS_XHCI) {
        return BOOT_INPUT_USB_OTHER;
    }
    struct boot_pci *listed = devices_find(info, pci);
    if (listed != NULL) {
        listed->keyboard = true;
    }
    return BOOT_INPUT_USB;
}

static bool is_serial(const EFI_DEVICE_PATH *node) {
    return DevicePathType(node) == MESSAGING_DEVICE_PATH && DevicePathSubType(node) == MSG_UART_DP;
}

/* What the firmware itself lets people type on. */
static void look_at_consoles(struct boot_info *info, bool *ps2, uint32_t *usb, bool *serial) {
    EFI_HANDLE *handles = NULL;
    UINTN count = 0;

    if (BS->LocateHandleBuffer(ByProtocol, &TextInProtocol, NULL, &count, &handles) !=
        EFI_SUCCESS) {
        return;
    }
    for (UINTN i = 0; i < count; i++) {
        EFI_DEVICE_PATH *path = NULL;
        bool behind_usb = false;
        if (BS->HandleProtocol(handles[i], &DevicePathProtocol, (void **)&path) != EFI_SUCCESS) {
            continue; /* the firmware's sum of all of them */
        }
        for (EFI_DEVICE_PATH *node = path; !IsDevicePathEnd(node);
             node = NextDevicePathNode(node)) {
            *ps2 = *ps2 || is_ps2(node);
            behind_usb = behind_usb || is_usb(node);
            *serial = *serial || is_serial(node);
        }
        *usb |= behind_usb ? usb_input(info, path) : 0;
    }
    FreePool(handles);
}

uint32_t input_find(struct boot_info *info, bool *firmware_has_line) {
    bool ps2 = false, controller = port_in(KBD_STATUS) != PORT_EMPTY;
    uint32_t found = 0, usb = 0;

    *firmware_has_line = false;
    look_at_consoles(info, &ps2, &usb, firmware_has_line);
    /* A firmware in a hurry has not looked for keyboards: then the controller stands for one. */
    if (controller && (ps2 || usb == 0)) {
        found |= BOOT_INPUT_PS2;
    }
    return found | usb;
}
