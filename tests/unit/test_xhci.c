/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB keyboards: the controller is taken over in order, keyboards and hubs are found, plugged and
 * unplugged, what goes wrong is tried again, and every wait has an end.
 */
#include "arch/x86_64/xhci/internal.h"
#include "hv/lib/log.h"
#include "tests/unit/fake_xhci.h"

static const uint8_t none[8], key_a[8] = {0, 0, 4}, shift_a[8] = {2, 0, 4},
                              keys_ab[8] = {0, 0, 4, 5};

static bool typed(struct fake_usb *d, const uint8_t *report, const char *expected) {
    fake_keys[0] = '\0';
    bool sent = fake_report(d, report, 8);
    fake_run(8);
    if (!sent || strcmp(fake_keys, expected) != 0) {
        printf("# sent %d, keys \"%s\", expected \"%s\"\n", sent, fake_keys, expected);
        return false;
    }
    return true;
}

TEST(handed_over_by_the_firmware) {
    fake_start(0);
    fake_run(8);
    CHECK((fake_hc.legacy & LEGACY_OS) != 0);
    fake_run(16);
    CHECK(!fake_hc.dma); /* until the firmware has let go and the reset is over */
    fake_run(200);
    CHECK((fake_hc.legacy & LEGACY_BIOS) == 0);
    CHECK_U64(fake_hc.legacy_control, LEGACY_CONTROL_KEEP);
    CHECK(fake_hc.dma && (fake_hc.command & COMMAND_RUN) != 0);
}

TEST(a_firmware_that_stays_is_overruled) {
    fake_start(0);
    fake_hc.bios_stays = true;
    fake_run(900);
    CHECK(!fake_hc.dma);
    fake_run(400);
    CHECK((fake_hc.legacy & (LEGACY_BIOS | LEGACY_OS)) == LEGACY_OS);
    CHECK((fake_hc.command & COMMAND_RUN) != 0);
}

static void keyboard_types(uint32_t features, uint8_t speed, unsigned port) {
    struct fake_usb d = fake_keyboard(speed);
    fake_start(features);
    fake_plug(port, &d);
    fake_run(1500);
    CHECK(xhci_has_keyboard(&hc));
    CHECK(d.configured == 1 && d.protocol == 1 && d.idle == 1 && d.resets == 1);
    CHECK(typed(&d, key_a, "+04 "));
    CHECK(typed(&d, keys_ab, "+05 "));
    CHECK(typed(&d, none, "-04 -05 "));
    CHECK(typed(&d, shift_a, "+e1 +04 "));
    CHECK(typed(&d, none, "-e1 -04 "));
    for (unsigned i = 0; i < 3000; i++) { /* all rings go round */
        CHECK(typed(&d, i % 2 == 0 ? key_a : none, i % 2 == 0 ? "+04 " : "-04 "));
    }
}

TEST(at_each_speed) {
    keyboard_types(0, SPEED_LOW, 1);
    keyboard_types(0, SPEED_FULL, 4);
    keyboard_types(FAKE_CSZ, SPEED_HIGH, 2);
}

TEST(packets_of_another_size) {
    struct fake_usb d = fake_keyboard(SPEED_FULL);
    d.device[7] = 64;
    fake_start(0);
    fake_plug(1, &d);
    fake_run(1500);
    CHECK(typed(&d, key_a, "+04 "));
}

TEST(a_keyboard_may_refuse_what_is_not_needed) {
    struct fake_usb d = fake_keyboard(SPEED_LOW);
    d.stall_idle = true;
    fake_start(0);
    fake_plug(1, &d);
    fake_run(1500);
    CHECK(typed(&d, key_a, "+04 "));
    CHECK_U64(d.resets, 1);
}

TEST(a_key_repeats_while_it_is_down) {
    struct fake_usb d = fake_keyboard(SPEED_LOW);
    fake_start(0);
    fake_plug(1, &d);
    fake_run(1500);
    CHECK(typed(&d, key_a, "+04 "));
    fake_keys[0] = '\0';
    fake_run(376);
    CHECK_STR(fake_keys, "");
    fake_run(32);
    CHECK_STR(fake_keys, "+04 ");
    fake_run(400);
    CHECK(strlen(fake_keys) > 8 * 4 && strlen(fake_keys) < 14 * 4);
    CHECK(typed(&d, none, "-04 "));
    fake_run(1000);
    CHECK_STR(fake_keys, "-04 ");
}

TEST(plugged_again_and_again) {
    struct fake_usb d = fake_keyboard(SPEED_FULL);
    fake_start(0);
    for (unsigned i = 0; i < 40; i++) { /* more often than there are slots */
        fake_plug(1 + i % 4, &d);
        fake_run(1500);
        CHECK(typed(&d, shift_a, "+e1 +04 "));
        fake_keys[0] = '\0';
        fake_plug(1 + i % 4, NULL);
        fake_run(200);
        CHECK_STR(fake_keys, "-e1 -04 "); /* nothing stays down */
        CHECK(!xhci_has_keyboard(&hc));
    }
    for (unsigned s = 1; s < XHCI_SLOTS; s++) {
        CHECK(!fake_hc.slots[s].enabled);
    }
}

/* Another one, or the same again, between two looks. */
TEST(swapped_in_a_moment) {
    struct fake_usb d = fake_keyboard(SPEED_FULL), other = fake_keyboard(SPEED_LOW);
    fake_start(0);
    fake_plug(1, &d);
    fake_run(1500);
    CHECK(typed(&d, key_a, "+04 "));
    fake_plug(1, NULL);
    fake_plug(1, &other);
    fake_run(1500);
    CHECK(typed(&other, key_a, "+04 "));
    CHECK_U64(d.resets, 1);
}

TEST(unplugged_at_any_moment) {
    for (unsigned ms = 0; ms < 1000; ms += 8) {
        struct fake_usb d = fake_keyboard(SPEED_FULL);
        fake_start(0);
        fake_run(200);
        fake_plug(1, &d);
        fake_run(ms);
        d.mute = true;
        fake_plug(1, NULL);
        fake_run(ms % 48);
        struct fake_usb next = fake_keyboard(SPEED_LOW);
        fake_plug(1, &next);
        fake_run(6000);
        CHECK(typed(&next, key_a, "+04 "));
        unsigned enabled = 0;
        for (unsigned s = 1; s < XHCI_SLOTS; s++) {
            enabled += fake_hc.slots[s].enabled;
        }
        CHECK_U64(enabled, 1);
    }
}

TEST(behind_hubs) {
    struct fake_usb d = fake_keyboard(SPEED_LOW), e = fake_keyboard(SPEED_HIGH);
    struct fake_usb hub = fake_hub(SPEED_HIGH, 4), inner = fake_hub(SPEED_FULL, 7);
    inner.device[7] = 8;
    hub.behind[3] = &inner;
    hub.behind[1] = &e;
    inner.behind[7] = &d;
    fake_start(0);
    fake_plug(2, &hub);
    fake_run(6000);
    CHECK(typed(&d, key_a, "+04 "));
    CHECK(typed(&e, key_a, "+04 "));
    CHECK(typed(&e, none, "-04 "));
    CHECK_U64(hc.devices[0].found.kind, USB_HUB);
    const struct usb_device *k = NULL;
    for (unsigned i = 0; i < XHCI_MAX_DEVICES; i++) {
        k = hc.devices[i].in_use && hc.devices[i].depth == 2 ? &hc.devices[i] : k;
    }
    CHECK(k != NULL && k->route == 0x73 && k->tt_slot == hub.slot && k->tt_port == 3);

    fake_keys[0] = '\0';
    fake_hub_plug(&hub, 3, NULL); /* the inner hub with all that is behind it */
    fake_run(1000);
    CHECK_STR(fake_keys, "-04 ");
    CHECK(typed(&e, key_a, "+04 "));
    inner.changes[7] = 0;
    inner.powered[7] = false;
    fake_hub_plug(&hub, 2, &inner);
    fake_run(3000);
    CHECK(typed(&d, key_a, "+04 "));
    fake_hub_plug(&inner, 7, NULL);
    fake_hub_plug(&inner, 7, &d); /* quicker than it is looked at */
    fake_run(3000);
    CHECK(typed(&d, key_a, "+04 "));
}

/* One leaves a hub while its answers are late, and another comes at the controller's own port. */
TEST(from_a_hub_to_a_port) {
    for (unsigned ms = 0; ms < 400; ms += 8) {
        struct fake_usb d = fake_keyboard(SPEED_FULL), e = fake_keyboard(SPEED_HIGH);
        struct fake_usb hub = fake_hub(SPEED_FULL, 4);
        hub.behind[1] = &d;
        fake_start(0);
        fake_plug(2, &hub);
        fake_run(6000);
        CHECK(typed(&d, key_a, "+04 "));
        d.mute = true;
        fake_hub_plug(&hub, 1, NULL);
        fake_run(ms);
        fake_plug(4, &e);
        fake_run(3000);
        CHECK(typed(&e, key_a, "+04 "));
    }
}

/* Six in a row: the last is one too many, and what is behind it too. */
TEST(hubs_too_deep) {
    struct fake_usb hubs[6], d = fake_keyboard(SPEED_LOW);
    for (unsigned i = 0; i < 6; i++) {
        hubs[i] = fake_hub(SPEED_HIGH, 1);
        hubs[i].behind[1] = i < 5 ? &hubs[i + 1] : &d;
    }
    fake_start(0);
    fake_plug(1, &hubs[0]);
    fake_run(20000);
    CHECK(hubs[5].requests != 0 && hubs[5].configured == 0);
    CHECK_U64(d.requests, 0);
}

TEST(more_devices_than_places) {
    struct fake_usb hub = fake_hub(SPEED_HIGH, 15), inner = fake_hub(SPEED_HIGH, 15);
    struct fake_usb keyboards[28];
    unsigned working = 0;
    hub.behind[1] = &inner;
    for (unsigned i = 0; i < 28; i++) {
        keyboards[i] = fake_keyboard(SPEED_LOW);
        if (i < 14) {
            hub.behind[i + 2] = &keyboards[i];
        } else {
            inner.behind[i - 13] = &keyboards[i];
        }
    }
    fake_start(0);
    fake_plug(1, &hub);
    fake_run(60000);
    for (unsigned i = 0; i < 28; i++) {
        working += fake_report(&keyboards[i], key_a, 8);
    }
    CHECK_U64(working, XHCI_MAX_DEVICES - 2);
}

/* It is given up, its port is off and its slot free. */
TEST(other_devices_are_left_alone) {
    struct fake_usb stick = fake_keyboard(SPEED_HIGH);
    stick.config[9 + 5] = 8; /* mass storage */
    stick.config[34 + 5] = 8;
    fake_start(0);
    fake_plug(1, &stick);
    fake_run(3000);
    CHECK(stick.configured == 0 && stick.resets == 1);
    CHECK((fake_hc.portsc[1] & PORTSC_ENABLED) == 0);
    CHECK(!fake_hc.slots[1].enabled);
}

TEST(failures_are_tried_again_later_each_time) {
    struct fake_usb d = fake_keyboard(SPEED_FULL);
    fake_start(0);
    d.stall_all = 1000;
    fake_plug(1, &d);
    fake_run(60000);
    CHECK(d.resets >= 6 && d.resets <= 14);
    d.stall_all = 0;
    fake_run(15000);
    CHECK(typed(&d, key_a, "+04 "));
}

TEST(a_mute_device_holds_up_nobody) {
    struct fake_usb d = fake_keyboard(SPEED_FULL), mute = fake_keyboard(SPEED_FULL);
    mute.mute = true;
    fake_start(0);
    fake_plug(1, &mute);
    fake_plug(2, &d);
    fake_run(6000);
    CHECK(typed(&d, key_a, "+04 "));
    fake_run(60000);
    CHECK(typed(&d, none, "-04 "));
    CHECK(mute.requests == 0);
}

TEST(a_keyboard_with_bad_reports_begins_anew) {
    struct fake_usb d = fake_keyboard(SPEED_FULL);
    fake_start(0);
    fake_plug(1, &d);
    fake_run(1500);
    CHECK(typed(&d, key_a, "+04 "));
    fake_event(0x1234, CODE_SUCCESS << 24,
               TRB_TYPE(TRB_TRANSFER_EVENT) | TRB_SLOT(d.slot) | TRB_ENDPOINT(3));
    fake_keys[0] = '\0';
    fake_run(8);
    CHECK_STR(fake_keys, "-04 ");
    fake_run(2000);
    CHECK(typed(&d, key_a, "+04 "));
    CHECK_U64(d.resets, 2);

    fake_keys[0] = '\0'; /* less than nothing came */
    const struct usb_device *k = hc.devices[0].ready ? &hc.devices[0] : &hc.devices[1];
    fake_event(xhci_bus(&hc, &k->memory->reports[k->next_report]), CODE_SUCCESS << 24 | 9,
               TRB_TYPE(TRB_TRANSFER_EVENT) | TRB_SLOT(d.slot) | TRB_ENDPOINT(3));
    fake_run(2000);
    CHECK_STR(fake_keys, "-04 ");
    CHECK_U64(d.resets, 3);
}

/* Reports of another length; and ghosts: too many keys to tell which. */
TEST(odd_reports) {
    struct fake_usb d = fake_keyboard(SPEED_FULL);
    static const uint8_t ghosts[8] = {2, 0, 1, 1, 1, 1, 1, 1};
    fake_start(0);
    fake_plug(1, &d);
    fake_run(1500);
    CHECK(typed(&d, key_a, "+04 "));
    CHECK(typed(&d, ghosts, "+e1 "));
    CHECK(typed(&d, key_a, "-e1 "));
    fake_keys[0] = '\0';
    CHECK(fake_report(&d, keys_ab, 0));
    fake_run(8);
    CHECK_STR(fake_keys, "-04 ");
    CHECK(typed(&d, key_a, "+04 "));
}

TEST(a_controller_that_stops_begins_anew) {
    struct fake_usb d = fake_keyboard(SPEED_FULL);
    fake_start(0);
    fake_plug(1, &d);
    fake_run(1500);
    CHECK(typed(&d, key_a, "+04 "));
    fake_hc.status = STATUS_HOST_ERROR;
    fake_keys[0] = '\0';
    fake_run(100);
    CHECK_STR(fake_keys, "-04 ");
    CHECK(!xhci_has_keyboard(&hc));
    fake_hc.status = 0;
    fake_run(6000);
    CHECK(typed(&d, key_a, "+04 "));
}

TEST(a_controller_that_does_not_answer_is_left_alone) {
    struct fake_usb d = fake_keyboard(SPEED_FULL);
    fake_start(0);
    fake_hc.silent = true; /* no event ever */
    fake_plug(1, &d);
    fake_run(100000);
    CHECK_U64(hc.state, XHCI_OFF);

    fake_start(0);
    fake_hc.stays_reset = true;
    fake_run(100000);
    CHECK_U64(hc.state, XHCI_OFF);
    CHECK(!fake_hc.dma);

    fake_start(0);
    fake_plug(1, &d);
    fake_run(1500);
    fake_hc.dead = true; /* unplugged, with a dock */
    fake_run(100);
    CHECK_U64(hc.state, XHCI_OFF);
}

static bool probes(uint32_t size) {
    uint64_t memory;
    return xhci_probe(&hc, &fake_ops, &fake_hc, 0, size, &memory) == STATUS_OK;
}

TEST(registers_must_fit) {
    fake_start(0);
    CHECK(probes(FAKE_DB + 33 * 4));
    CHECK(!probes(FAKE_DB + 33 * 4 - 4));
    CHECK(!probes(FAKE_RT));
    CHECK(!probes(FAKE_OP));
    CHECK(!probes(4));
    fake_hc.length = FAKE_OP + 2;
    CHECK(!probes(FAKE_SIZE));
    fake_hc.length = FAKE_SIZE;
    CHECK(!probes(FAKE_SIZE));
    fake_hc.dead = true;
    CHECK(!probes(FAKE_SIZE));
}

static enum usb_kind kind_of(const char *bytes, size_t size, struct usb_found *found) {
    uint8_t *copy = malloc(size + 1); /* its end is its end */
    memcpy(copy, bytes, size);
    descriptor_find(copy, size, found);
    free(copy);
    return found->kind;
}

TEST(descriptors) {
    struct fake_usb d = fake_keyboard(SPEED_FULL);
    struct usb_found found;
    for (size_t size = 0; size <= d.config_size; size++) { /* cut anywhere */
        CHECK_U64(kind_of((char *)d.config, size, &found), size < 34 ? USB_OTHER : USB_KEYBOARD);
    }
    CHECK(found.endpoint == 1 && found.packet == 8 && found.interval == 10 &&
          found.configuration == 1 && found.interface == 0);
    static const struct {
        unsigned at;
        uint8_t value;
        enum usb_kind kind;
    } rows[] = {
        {9, 8, USB_OTHER},
        {9, 0, USB_OTHER},
        {9, 255, USB_OTHER},
        {27, 1, USB_OTHER},
        {9 + 3, 1, USB_OTHER},
        {9 + 5, 9, USB_HUB},
        {9 + 6, 0, USB_OTHER},
        {9 + 7, 2, USB_OTHER},
        {27 + 2, 1, USB_OTHER},
        {27 + 2, 0x80, USB_OTHER},
        {27 + 3, 2, USB_OTHER},
        {27 + 4, 7, USB_OTHER},
        {27 + 4, 65, USB_OTHER},
        {27 + 5, 1, USB_OTHER},
        {27 + 4, 64, USB_KEYBOARD},
        {27 + 5, 0x18, USB_KEYBOARD},
        {27 + 2, 0x8f, USB_KEYBOARD},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fake_usb e = d;
        e.config[rows[i].at] = rows[i].value;
        if (kind_of((char *)e.config, e.config_size, &found) != rows[i].kind) {
            printf("# row %zu\n", i);
            CHECK_U64(found.kind, rows[i].kind);
        }
    }
}

static const struct log_hooks quiet = {0};

int main(int argc, char **argv) {
    static const struct test tests[] = {
        T(handed_over_by_the_firmware),
        T(a_firmware_that_stays_is_overruled),
        T(at_each_speed),
        T(packets_of_another_size),
        T(a_keyboard_may_refuse_what_is_not_needed),
        T(a_key_repeats_while_it_is_down),
        T(plugged_again_and_again),
        T(swapped_in_a_moment),
        T(unplugged_at_any_moment),
        T(behind_hubs),
        T(from_a_hub_to_a_port),
        T(hubs_too_deep),
        T(more_devices_than_places),
        T(other_devices_are_left_alone),
        T(failures_are_tried_again_later_each_time),
        T(a_mute_device_holds_up_nobody),
        T(a_keyboard_with_bad_reports_begins_anew),
        T(odd_reports),
        T(a_controller_that_stops_begins_anew),
        T(a_controller_that_does_not_answer_is_left_alone),
        T(registers_must_fit),
        T(descriptors),
    };
    (void)quiet;
    return test_main(tests, ARRAY_SIZE(tests), argc, argv);
}
