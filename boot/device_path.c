/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which partition the firmware started us from, by its device path: a list of nodes that the
 * firmware made. Source: UEFI Specification "Device Path Protocol", "Hard Drive Media Device Path".
 */
#include "boot/no_firmware.h"
#include "hv/lib/str.h"

enum { NODE_TYPE = 0, NODE_SUBTYPE = 1, NODE_LENGTH = 2, NODE_HEADER = 4, NODES_MOST = 64 };
enum { TYPE_MEDIA = 4, TYPE_END = 0x7f, SUBTYPE_HARD_DRIVE = 1 };
enum { SIGNATURE = 24, SIGNATURE_TYPE = 41, SIGNATURE_GUID = 2, HARD_DRIVE_LENGTH = 42 };

bool device_path_partition(const uint8_t *path, uint8_t uuid[UUID_SIZE]) {
    /* In a GUID the first three fields are little-endian. */
    static const uint8_t order[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    const uint8_t *node = path;
    for (unsigned left = NODES_MOST; left > 0 && node[NODE_TYPE] != TYPE_END; left--) {
        unsigned length = node[NODE_LENGTH] | (unsigned)node[NODE_LENGTH + 1] << 8;
        if (node[NODE_TYPE] == TYPE_MEDIA && node[NODE_SUBTYPE] == SUBTYPE_HARD_DRIVE &&
            length >= HARD_DRIVE_LENGTH) {
            bool guid = node[SIGNATURE_TYPE] == SIGNATURE_GUID;
            for (unsigned i = 0; i < UUID_SIZE; i++) {
                uuid[i] = node[SIGNATURE + (guid ? order[i] : i)];
            }
            return true;
        }
        if (length < NODE_HEADER) {
            return false;
        }
        node += length;
    }
    return false;
}
