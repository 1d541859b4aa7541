#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""nx_compat.py FILE: marks an EFI application as one that can do without executable data.

New firmware refuses one without the mark, or gives it memory that is both written and executed. objcopy has no option
for it. Source: Microsoft PE Format, "Optional Header Windows-Specific Fields", "DLL Characteristics".
"""
import struct
import sys

PE_OFFSET = 0x3c                # where the file says where its PE header is
FILE_HEADER_SIZE = 24           # with the signature
DLL_CHARACTERISTICS = 70        # in the optional header
NX_COMPAT = 0x100


def main():
    with open(sys.argv[1], "r+b") as file:
        header = file.read(4096)
        pe, = struct.unpack_from("<I", header, PE_OFFSET)
        if header[pe:pe + 4] != b"PE\0\0":
            sys.exit(f"{sys.argv[1]} is no PE file")
        place = pe + FILE_HEADER_SIZE + DLL_CHARACTERISTICS
        flags, = struct.unpack_from("<H", header, place)
        file.seek(place)
        file.write(struct.pack("<H", flags | NX_COMPAT))


main()
