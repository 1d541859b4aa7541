// SPDX-License-Identifier: GPL-2.0-or-later
/* UUIDs and serial numbers from names, against those of other programs. */
#include "config/identity.h"
#include "tests/unit/machine.h"

static void check_uuid(const char *space, const char *name, const char *want) {
    uint8_t from[UUID_SIZE], expected[UUID_SIZE], made[UUID_SIZE];
    CHECK(identity_read_uuid(space, from) && identity_read_uuid(want, expected));
    identity_make_uuid(from, name, made);
    CHECK(memcmp(made, expected, UUID_SIZE) == 0);
}

/* The first is Python's own example, the others its uuid5() of a name of each length. */
TEST(version_5) {
    check_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "python.org",
               "886313e1-3b8a-5372-9b90-0c9aee199e5d");
    check_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "", "4ebd0208-8328-5d69-8c44-ec50939c0967");
    check_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
               "00897020-599d-50f3-ab54-5378c02e5100");
    check_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
               "2d7ca8dc-685f-5976-a484-45e117c234b7");
    check_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
               "380d7336-5c26-5398-9235-7a69fcb244a9");
}

TEST(text) {
    static const char *const bad[] = {"",
                                      "886313e1-3b8a-5372-9b90-0c9aee199e5",
                                      "886313e1-3b8a-5372-9b90-0c9aee199e5d0",
                                      "886313e13-b8a-5372-9b90-0c9aee199e5d",
                                      "886313g1-3b8a-5372-9b90-0c9aee199e5d",
                                      "886313e1 3b8a-5372-9b90-0c9aee199e5d",
                                      "{86313e1-3b8a-5372-9b90-0c9aee199e5d"};
    uint8_t uuid[UUID_SIZE] = {0x77};
    char serial[CONFIG_SERIAL_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK(!identity_read_uuid(bad[i], uuid));
        CHECK_U64(uuid[0], 0x77);
    }
    CHECK(identity_read_uuid("886313E1-3b8a-5372-9b90-0c9aee199e5d", uuid));
    CHECK_U64(uuid[0], 0x88);
    CHECK_U64(uuid[15], 0x5d);
    identity_make_serial(uuid, serial);
    CHECK_STR(serial, "BLKH-0C9AEE199E5D");
}

/* By the stick and the name, or as the config says. */
TEST(guests) {
    uint8_t own[UUID_SIZE], stick[UUID_SIZE], want[UUID_SIZE];
    CHECK(identity_read_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", stick));
    make_machine();
    memcpy(machine.stick_id, stick, UUID_SIZE);
    configure(GUEST("alpha", "1", "512M") GUEST("beta", "2", "512M"));
    CHECK(build() == STATUS_OK);
    identity_make_uuid(stick, "alpha", want);
    CHECK(memcmp(plan.vms[0].uuid, want, UUID_SIZE) == 0);
    CHECK(memcmp(plan.vms[0].uuid, plan.vms[1].uuid, UUID_SIZE) != 0);
    CHECK(strncmp(plan.vms[0].serial, "BLKH-", 5) == 0);
    CHECK(identity_read_uuid("886313e1-3b8a-5372-9b90-0c9aee199e5d", own));
    configure("[hypervisor]\nstick_id = \"886313e1-3b8a-5372-9b90-0c9aee199e5d\"\n" GUEST(
        "alpha", "1", "512M") "serial = \"42\"\nasset_tag = \"rack\"\n");
    CHECK(build() == STATUS_OK);
    identity_make_uuid(own, "alpha", want);
    CHECK(memcmp(plan.vms[0].uuid, want, UUID_SIZE) == 0);
    CHECK_STR(plan.vms[0].serial, "42");
    configure(GUEST("alpha", "1", "512M") "uuid = \"886313e1-3b8a-5372-9b90-0c9aee199e5d\"\n");
    CHECK(build() == STATUS_OK);
    CHECK(memcmp(plan.vms[0].uuid, own, UUID_SIZE) == 0);
    CHECK_STR(plan.vms[0].serial, "BLKH-0C9AEE199E5D");
}

TEST_MAIN(T(version_5), T(text), T(guests))
