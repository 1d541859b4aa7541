/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest cannot find out by probing: where PCI devices may be, COM1, the clock, how to switch off.
 * The numbers are those of the devices that the hypervisor puts there (vm_create_devices()).
 */
DefinitionBlock ("", "DSDT", 2, "BULKHD", "BULKHEAD", 0x00000001)
{
    /* SLP_TYP of PM1a, PM1b: PM_S5_TYPE. */
    Name (\_S5, Package () { 0x05, 0x05, 0x00, 0x00 })

    /* How interrupts go: 0 by the 8259s, else by the I/O APIC. */
    Name (PICM, Zero)
    Method (\_PIC, 1)
    {
        PICM = Arg0
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, Zero)
            Name (_BBN, Zero)
            /* Windows for the devices: PCI_PORTS, PCI_MEMORY. */
            Name (LOWW, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000, 0x0000, 0x0000, 0x0000, 0x0001)
                IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x1000, 0x1FFF, 0x0000, 0x1000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0x00000000, 0xD0000000, 0xE00FFFFF, 0x00000000, 0x10100000)
            })

            /* The same, and one above 4 GiB for large BARs: acpi_put_window() writes where. */
            Name (ALLW, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000, 0x0000, 0x0000, 0x0000, 0x0001)
                IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x1000, 0x1FFF, 0x0000, 0x1000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0x00000000, 0xD0000000, 0xE00FFFFF, 0x00000000, 0x10100000)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0x0000000000000000, 0x0000000100000000, 0x000000013FFFFFFF,
                    0x0000000000000000, 0x0000000040000000, , , HIGH)
            })
            Method (_CRS, 0, Serialized)
            {
                CreateQWordField (ALLW, \_SB.PCI0.HIGH._LEN, HLEN)
                If (HLEN)
                {
                    Return (ALLW)
                }
                Return (LOWW)
            }

            /* INTA of each slot: pci_line(), and with the 8259s pci_isa_irq(). */
            Name (PINS, Package ()
            {
                Package () { 0x0001FFFF, 0, 0, 17 }, Package () { 0x0002FFFF, 0, 0, 18 },
                Package () { 0x0003FFFF, 0, 0, 19 }, Package () { 0x0004FFFF, 0, 0, 16 },
                Package () { 0x0005FFFF, 0, 0, 17 }, Package () { 0x0006FFFF, 0, 0, 18 },
                Package () { 0x0007FFFF, 0, 0, 19 }, Package () { 0x0008FFFF, 0, 0, 16 },
                Package () { 0x0009FFFF, 0, 0, 17 }, Package () { 0x000AFFFF, 0, 0, 18 },
                Package () { 0x000BFFFF, 0, 0, 19 }, Package () { 0x000CFFFF, 0, 0, 16 },
                Package () { 0x000DFFFF, 0, 0, 17 }, Package () { 0x000EFFFF, 0, 0, 18 },
                Package () { 0x000FFFFF, 0, 0, 19 }, Package () { 0x0010FFFF, 0, 0, 16 },
                Package () { 0x0011FFFF, 0, 0, 17 }, Package () { 0x0012FFFF, 0, 0, 18 },
                Package () { 0x0013FFFF, 0, 0, 19 }, Package () { 0x0014FFFF, 0, 0, 16 },
                Package () { 0x0015FFFF, 0, 0, 17 }, Package () { 0x0016FFFF, 0, 0, 18 },
                Package () { 0x0017FFFF, 0, 0, 19 }, Package () { 0x0018FFFF, 0, 0, 16 },
                Package () { 0x0019FFFF, 0, 0, 17 }, Package () { 0x001AFFFF, 0, 0, 18 },
                Package () { 0x001BFFFF, 0, 0, 19 }, Package () { 0x001CFFFF, 0, 0, 16 },
                Package () { 0x001DFFFF, 0, 0, 17 }, Package () { 0x001EFFFF, 0, 0, 18 },
                Package () { 0x001FFFFF, 0, 0, 19 }
            })
            Name (IRQS, Package ()
            {
                Package () { 0x0001FFFF, 0, 0, 11 }, Package () { 0x0002FFFF, 0, 0, 10 },
                Package () { 0x0003FFFF, 0, 0, 11 }, Package () { 0x0004FFFF, 0, 0, 10 },
                Package () { 0x0005FFFF, 0, 0, 11 }, Package () { 0x0006FFFF, 0, 0, 10 },
                Package () { 0x0007FFFF, 0, 0, 11 }, Package () { 0x0008FFFF, 0, 0, 10 },
                Package () { 0x0009FFFF, 0, 0, 11 }, Package () { 0x000AFFFF, 0, 0, 10 },
                Package () { 0x000BFFFF, 0, 0, 11 }, Package () { 0x000CFFFF, 0, 0, 10 },
                Package () { 0x000DFFFF, 0, 0, 11 }, Package () { 0x000EFFFF, 0, 0, 10 },
                Package () { 0x000FFFFF, 0, 0, 11 }, Package () { 0x0010FFFF, 0, 0, 10 },
                Package () { 0x0011FFFF, 0, 0, 11 }, Package () { 0x0012FFFF, 0, 0, 10 },
                Package () { 0x0013FFFF, 0, 0, 11 }, Package () { 0x0014FFFF, 0, 0, 10 },
                Package () { 0x0015FFFF, 0, 0, 11 }, Package () { 0x0016FFFF, 0, 0, 10 },
                Package () { 0x0017FFFF, 0, 0, 11 }, Package () { 0x0018FFFF, 0, 0, 10 },
                Package () { 0x0019FFFF, 0, 0, 11 }, Package () { 0x001AFFFF, 0, 0, 10 },
                Package () { 0x001BFFFF, 0, 0, 11 }, Package () { 0x001CFFFF, 0, 0, 10 },
                Package () { 0x001DFFFF, 0, 0, 11 }, Package () { 0x001EFFFF, 0, 0, 10 },
                Package () { 0x001FFFFF, 0, 0, 11 }
            })
            Method (_PRT)
            {
                If (PICM)
                {
                    Return (PINS)
                }
                Return (IRQS)
            }
        }

        /* PCI_PAGES, as MCFG has it. */
        Device (MB)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xE0100000, 0x00100000)
            })
        }

        Device (PIC)
        {
            Name (_HID, EisaId ("PNP0000"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0020, 0x0020, 0x01, 0x02)
                IO (Decode16, 0x00A0, 0x00A0, 0x01, 0x02)
                IO (Decode16, 0x04D0, 0x04D0, 0x01, 0x02)
                IRQNoFlags () { 2 }
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, One)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
                IRQNoFlags () { 4 }
            })
        }

        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
                IRQNoFlags () { 8 }
            })
        }
    }
}
