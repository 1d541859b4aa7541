/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio console's terminal as its driver finds it, and as a driver that keeps no rule finds
 * it.
 */
#include "tests/unit/fake_env.h"
#include "tests/unit/fake_ports.h"

static struct machine *const m = &machines[0];

static void begin(uint64_t features) {
    ports_begin();
    m->abi.port_count = 0;
    ports_power_on(m);
    driver_start(m, features);
}

static void begin_with_terminal(void) {
    begin(CONSOLE_F_MULTIPORT);
    ports_fill(m, CONSOLE_CONTROL_RECEIVE, 256, RING);
    ports_fill(m, CONSOLE_RECEIVE, 256, 4);
    ports_say(m, 0, READY, 1);
    CHECK_TOLD(m, 0, ADD, 1);
    ports_say(m, 0, PORT_READY, 1);
    CHECK_TOLD(m, 0, CONSOLE_PORT, 1);
    CHECK_TOLD(m, 0, OPEN, 1);
    ports_say(m, 0, OPEN, 1);
    CHECK(ports_are_silent(m));
}

static void check_shown(const char *text) {
    CHECK_U64(m->shown_count, strlen(text));
    CHECK(memcmp(m->shown, text, strlen(text)) == 0);
}

static unsigned used(unsigned queue) {
    return driver_used(m, queue);
}

TEST(registers) {
    begin(0);
    CHECK_U64(pci_config_read(&m->host, 19 << 11), 0x10431af4);
    CHECK_U64(pci_config_read(&m->host, (19 << 11) + PCI_CLASS), 0x07800001);
    CHECK_U64(pci_config_read(&m->host, (19 << 11) + VIRTIO_MSIX_CAPABILITY) >> 16 & 0x7ff,
              PCI_VECTORS - 1); /* all that a function has */
    CHECK_U64(driver_reg(m, 0x12, 2), CONSOLE_QUEUES);
    CHECK_U64(driver_reg(m, VIRTIO_CONFIG, 4), 0); /* no size */
    CHECK_U64(driver_reg(m, VIRTIO_CONFIG + 4, 4), 1);
    driver_set(m, 0x08, 4, 0);
    driver_set(m, 0x00, 4, 0);
    CHECK_U64(driver_reg(m, 0x04, 4) & 7, 6);
}

TEST(control) {
    begin_with_terminal();
    CHECK_U64(used(CONSOLE_CONTROL_TRANSMIT), 3);
    for (unsigned i = 0; i < 2; i++) { /* a driver may ask again */
        ports_say(m, 0, READY, 1);
        CHECK_TOLD(m, 0, ADD, 1);
    }
    CHECK(ports_are_silent(m));
}

/* Messages wait for buffers, and only for so long as they are true. */
TEST(control_without_buffers) {
    begin(CONSOLE_F_MULTIPORT);
    ports_say(m, 0, READY, 1);
    ports_say(m, 0, PORT_READY, 1);
    ports_say(m, 0, PORT_READY, 1);
    CHECK(ports_are_silent(m));
    ports_fill(m, CONSOLE_CONTROL_RECEIVE, 256, 2);
    CHECK_TOLD(m, 0, ADD, 1);
    CHECK_TOLD(m, 0, CONSOLE_PORT, 1);
    CHECK(ports_are_silent(m));
    driver_doorbell(m, CONSOLE_CONTROL_RECEIVE);
    CHECK_TOLD(m, 0, OPEN, 1);
    CHECK(ports_are_silent(m));
}

TEST(control_in_pieces) {
    uint8_t told[256];
    begin(CONSOLE_F_MULTIPORT);
    for (unsigned i = 0; i < 8; i++) { /* of one byte each, and one that is empty on the way */
        driver_describe(m, CONSOLE_CONTROL_RECEIVE, i, BUFFER(CONSOLE_CONTROL_RECEIVE, i), 1,
                        WRITE | (i < 7 ? NEXT : 0), i + 1);
        driver_describe(m, CONSOLE_CONTROL_TRANSMIT, i, BUFFER(CONSOLE_CONTROL_TRANSMIT, i), 1,
                        i < 7 ? NEXT : 0, i + 1);
        m->ram[BUFFER(CONSOLE_CONTROL_TRANSMIT, i)] = i == 6;
    }
    driver_offer(m, CONSOLE_CONTROL_RECEIVE, 0);
    driver_offer(m, CONSOLE_CONTROL_TRANSMIT, 0);
    driver_doorbell(m, CONSOLE_CONTROL_TRANSMIT);
    CHECK_U64(ports_read(m, CONSOLE_CONTROL_RECEIVE, told), 8);
    CHECK_U64(m->ram[BUFFER(CONSOLE_CONTROL_RECEIVE, 4)], ADD);
    CHECK_U64(m->ram[BUFFER(CONSOLE_CONTROL_RECEIVE, 6)], 1);
}

/* What no driver says is ignored, and every buffer comes back. */
TEST(bad_control) {
    begin_with_terminal();
    ports_say(m, 1, PORT_READY, 1);
    ports_say(m, UINT32_MAX, OPEN, 1);
    ports_say(m, CONSOLE_PORTS, OPEN, 1);
    ports_say(m, 0, ADD, 1);
    ports_say(m, 0, 0xffff, 1);
    ports_say(m, 0, READY, 0); /* it could not set up its ports */
    ports_say(m, 0, PORT_READY, 0);
    ports_write(m, CONSOLE_CONTROL_TRANSMIT, "\0\0\0\0\0\0\1", 7);
    CHECK_U64(used(CONSOLE_CONTROL_TRANSMIT), 3 + 8);
    CHECK(ports_are_silent(m));
    CHECK(m->console.ports[0].open);
    driver_describe(m, CONSOLE_CONTROL_TRANSMIT, 0, BUFFER(CONSOLE_CONTROL_TRANSMIT, 0), 64, WRITE,
                    0);
    driver_offer(m, CONSOLE_CONTROL_TRANSMIT, 0);
    driver_doorbell(m, CONSOLE_CONTROL_TRANSMIT);
    CHECK_U64(used(CONSOLE_CONTROL_TRANSMIT), 3 + 9);
    ports_say(m, 0, OPEN, 0);
    CHECK(!m->console.ports[0].open);
    CHECK_U64(driver_reg(m, 0x14, 1), 15);
}

/* Nor is one completed by what the message before it had. */
TEST(cut_control) {
    static const uint8_t first[8] = {0, 0, 0, 0, PORT_READY, 0, 1, 0};
    begin_with_terminal();
    memcpy(m->ram + BUFFER(CONSOLE_CONTROL_TRANSMIT, 20), first, sizeof(first));
    memset(m->ram + BUFFER(CONSOLE_CONTROL_TRANSMIT, 21), 0, sizeof(first));
    for (unsigned i = 0; i < 2; i++) {
        driver_describe(m, CONSOLE_CONTROL_TRANSMIT, 20 + i,
                        BUFFER(CONSOLE_CONTROL_TRANSMIT, 20 + i), i == 0 ? 8 : 6, 0, 0);
        driver_offer(m, CONSOLE_CONTROL_TRANSMIT, 20 + i);
    }
    driver_doorbell(m, CONSOLE_CONTROL_TRANSMIT);
    CHECK_TOLD(m, 0, CONSOLE_PORT, 1);
    CHECK_TOLD(m, 0, OPEN, 1);
    CHECK(ports_are_silent(m));
}

/* A buffer that is too small for a message, or cannot be written, gets what there is room for. */
TEST(small_control_buffers) {
    uint8_t told[256];
    begin(CONSOLE_F_MULTIPORT);
    ports_fill(m, CONSOLE_CONTROL_RECEIVE, 5, 1);
    driver_describe(m, CONSOLE_CONTROL_RECEIVE, 1, BUFFER(CONSOLE_CONTROL_RECEIVE, 1), 64, 0, 0);
    driver_offer(m, CONSOLE_CONTROL_RECEIVE, 1);
    memset(m->ram + BUFFER(CONSOLE_CONTROL_RECEIVE, 0), 0x55, 64);
    ports_say(m, 0, READY, 1);
    ports_say(m, 0, PORT_READY, 1);
    CHECK_U64(ports_read(m, CONSOLE_CONTROL_RECEIVE, told), 5);
    CHECK_U64(told[4], ADD);
    CHECK_U64(m->ram[BUFFER(CONSOLE_CONTROL_RECEIVE, 0) + 5], 0x55);
    CHECK_U64(ports_read(m, CONSOLE_CONTROL_RECEIVE, told), 0);
}

TEST(no_ports_without_the_feature) {
    begin(0);
    ports_fill(m, CONSOLE_CONTROL_RECEIVE, 256, RING);
    ports_say(m, 0, READY, 1);
    CHECK(ports_are_silent(m));
    ports_write(m, CONSOLE_TRANSMIT, "hello", 5);
    check_shown("hello");
    CHECK(!virtio_console_receive(&m->console, 'a')); /* no buffer */
    ports_fill(m, CONSOLE_RECEIVE, 256, 1);
    CHECK(virtio_console_receive(&m->console, 'a'));
}

/* A buffer costs one doorbell, and is shown whole, whatever its pieces. */
TEST(output) {
    begin_with_terminal();
    uint32_t id, length;
    unsigned before = m->messages;
    ports_write(m, CONSOLE_TRANSMIT, "one ", 4);
    memcpy(m->ram + BUFFER(CONSOLE_TRANSMIT, 8), "two three", 9);
    driver_describe(m, CONSOLE_TRANSMIT, 8, BUFFER(CONSOLE_TRANSMIT, 8), 4, NEXT, 9);
    driver_describe(m, CONSOLE_TRANSMIT, 9, BUFFER(CONSOLE_TRANSMIT, 8) + 4, 5, NEXT, 10);
    driver_describe(m, CONSOLE_TRANSMIT, 10, BUFFER(CONSOLE_TRANSMIT, 8), 9, WRITE, 0);
    driver_offer(m, CONSOLE_TRANSMIT, 8);
    driver_doorbell(m, CONSOLE_TRANSMIT);
    check_shown("one two three");
    CHECK(driver_take(m, CONSOLE_TRANSMIT, &id, &length) && id == 0 && length == 0);
    CHECK(driver_take(m, CONSOLE_TRANSMIT, &id, &length) && id == 8 && length == 0);
    CHECK_U64(m->messages - before, 2); /* one for each turn */
    CHECK(!m->due);
}

/* A console without room keeps the buffer, and goes on where it was: in the middle of a piece, at
 * its end, at any place. */
TEST(output_waits_for_room) {
    static const char text[] = "abcdefghijklmnopqrst";
    for (unsigned room = 0; room <= strlen(text); room++) {
        begin_with_terminal();
        m->room = room;
        memcpy(m->ram + BUFFER(CONSOLE_TRANSMIT, 8), text, strlen(text));
        driver_describe(m, CONSOLE_TRANSMIT, 8, BUFFER(CONSOLE_TRANSMIT, 8), 7, NEXT, 9);
        driver_describe(m, CONSOLE_TRANSMIT, 9, BUFFER(CONSOLE_TRANSMIT, 8) + 7, 3, 0, 0);
        driver_describe(m, CONSOLE_TRANSMIT, 10, BUFFER(CONSOLE_TRANSMIT, 8) + 10, 10, 0, 0);
        driver_offer(m, CONSOLE_TRANSMIT, 8);
        driver_offer(m, CONSOLE_TRANSMIT, 10);
        driver_doorbell(m, CONSOLE_TRANSMIT);
        CHECK_U64(m->shown_count, room);
        CHECK_U64(used(CONSOLE_TRANSMIT), room / 10);
        driver_doorbell(m, CONSOLE_TRANSMIT);
        CHECK_U64(m->shown_count, room);
        m->room = 1;
        virtio_console_poll(&m->console);
        m->room = 50;
        virtio_console_poll(&m->console);
        check_shown(text);
        CHECK_U64(used(CONSOLE_TRANSMIT), 2);
        CHECK(!m->due);
    }
}

/* No turn is long, and between two of them the guest runs. */
TEST(output_in_turns) {
    begin_with_terminal();
    for (unsigned i = 0; i < RING; i++) { /* each of them 16 KiB, from the same place */
        driver_describe(m, CONSOLE_TRANSMIT, i, 0x100000, 0x4000, 0, 0);
        driver_offer(m, CONSOLE_TRANSMIT, i);
    }
    uint64_t begin_time = machine_time;
    driver_doorbell(m, CONSOLE_TRANSMIT);
    CHECK_U64(m->shown_count, 4096);
    CHECK_U64(used(CONSOLE_TRANSMIT), 0);
    CHECK(m->due);
    uint64_t spent = machine_time - begin_time;
    driver_doorbell(m, CONSOLE_TRANSMIT); /* no matter how often it rings */
    virtio_console_poll(&m->console);
    CHECK_U64(m->shown_count, 4096);
    uint64_t due = virtio_ops.service(&m->console.v.dev, machine_time);
    CHECK(due >= machine_time + spent);
    for (unsigned turns = 1; due != 0; turns++) {
        CHECK(turns < 1000);
        CHECK_U64(virtio_ops.service(&m->console.v.dev, due - 1), due);
        machine_time = due;
        unsigned before = m->shown_count;
        due = virtio_ops.service(&m->console.v.dev, due);
        CHECK(m->shown_count - before <= 4096);
    }
    CHECK_U64(m->shown_count, RING * 0x4000u);
    CHECK_U64(used(CONSOLE_TRANSMIT), RING);
}

/* Buffers with nothing to show are no way to keep it busy. */
/* A buffer costs 16 bytes of a turn beside its own. */
TEST(output_in_small_buffers) {
    begin(0);
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(m, CONSOLE_TRANSMIT, i, BUFFER(CONSOLE_TRANSMIT, i), 60, 0, 0);
        driver_offer(m, CONSOLE_TRANSMIT, i);
    }
    driver_doorbell(m, CONSOLE_TRANSMIT);
    CHECK_U64(used(CONSOLE_TRANSMIT), 54);
    CHECK_U64(m->shown_count, 54 * 60);
    CHECK(m->console.due != 0);
}

TEST(output_of_nothing) {
    begin_with_terminal();
    for (unsigned i = 0; i < RING; i++) {
        driver_describe(m, CONSOLE_TRANSMIT, i, BUFFER(CONSOLE_TRANSMIT, i), 16, WRITE, 0);
        driver_offer(m, CONSOLE_TRANSMIT, i);
    }
    driver_doorbell(m, CONSOLE_TRANSMIT);
    CHECK_U64(used(CONSOLE_TRANSMIT), RING);
    CHECK_U64(m->shown_count, 0);
    CHECK_U64(m->console.ports[0].moved, 0);
}

/* A reset in the middle of a buffer: the next driver's begins at its beginning. */
TEST(reset_in_the_middle) {
    begin_with_terminal();
    m->room = 3;
    ports_write(m, CONSOLE_TRANSMIT, "abcdef", 6);
    CHECK_U64(m->shown_count, 3);
    m->room = 50;
    driver_start(m, CONSOLE_F_MULTIPORT);
    virtio_console_poll(&m->console);
    ports_write(m, CONSOLE_TRANSMIT, "ghijkl", 6);
    check_shown("abcghijkl");
    CHECK(!virtio_console_receive(&m->console, 'x'));
    for (unsigned i = 0; i < RING; i++) { /* nor is a turn of the last driver's waited for */
        driver_describe(m, CONSOLE_TRANSMIT, i, 0x100000, 0x4000, 0, 0);
        driver_offer(m, CONSOLE_TRANSMIT, i);
    }
    m->room = UINT32_MAX;
    driver_doorbell(m, CONSOLE_TRANSMIT);
    CHECK(m->console.due != 0);
    driver_start(m, 0);
    CHECK_U64(virtio_ops.service(&m->console.v.dev, UINT64_MAX / 2), 0);
    m->shown_count = 0;
    ports_write(m, CONSOLE_TRANSMIT, "new", 3);
    check_shown("new");
}

/* A buffer that was changed while it waited: what was shown of it counts. */
TEST(changed_while_it_waits) {
    begin_with_terminal();
    m->room = 5;
    ports_write(m, CONSOLE_TRANSMIT, "abcdefgh", 8);
    unsigned n = (m->given[CONSOLE_TRANSMIT] - 1u) % RING;
    m->room = 50;
    driver_describe(m, CONSOLE_TRANSMIT, n, BUFFER(CONSOLE_TRANSMIT, n), 2, 0, 0);
    virtio_console_poll(&m->console);
    check_shown("abcde");
    CHECK_U64(used(CONSOLE_TRANSMIT), 1);
    ports_write(m, CONSOLE_TRANSMIT, "xyz", 3);
    check_shown("abcdexyz");
}

TEST(typing) {
    uint8_t byte[256];
    begin_with_terminal();
    CHECK(virtio_console_receive(&m->console, 'a'));
    CHECK(virtio_console_receive(&m->console, 'b'));
    CHECK_U64(ports_read(m, CONSOLE_RECEIVE, byte), 1);
    CHECK_U64(byte[0], 'a');
    CHECK_U64(ports_read(m, CONSOLE_RECEIVE, byte), 1);
    CHECK_U64(byte[0], 'b');
    for (unsigned i = 0; i < 4; i++) {
        CHECK(virtio_console_receive(&m->console, 'c'));
    }
    CHECK(!virtio_console_receive(&m->console, 'd')); /* all four buffers are full */
    ports_say(m, 0, OPEN, 0);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_U64(ports_read(m, CONSOLE_RECEIVE, byte), 1);
    }
    CHECK(!virtio_console_receive(&m->console, 'd')); /* nobody reads */
    ports_say(m, 0, OPEN, 1);
    CHECK(virtio_console_receive(&m->console, 'd'));
    m->console.v.pci.command = 0; /* no master of the bus */
    CHECK(!virtio_console_receive(&m->console, 'e'));
}

/* Into what the driver does not give for it nothing is written. */
TEST(typing_into_a_buffer_to_read) {
    begin(0);
    m->ram[BUFFER(CONSOLE_RECEIVE, 0)] = 0;
    driver_describe(m, CONSOLE_RECEIVE, 0, BUFFER(CONSOLE_RECEIVE, 0), 8, 0, 0);
    driver_offer(m, CONSOLE_RECEIVE, 0);
    CHECK(virtio_console_receive(&m->console, 'a'));
    CHECK_U64(m->ram[BUFFER(CONSOLE_RECEIVE, 0)], 0);
    CHECK_U64(used(CONSOLE_RECEIVE), 1);
    CHECK_U64(ram_get32(m, USED(CONSOLE_RECEIVE) + 8), 0);
}

TEST(emergency_write) {
    ports_begin();
    m->abi.port_count = 0;
    ports_power_on(m);
    driver_set(m, VIRTIO_CONFIG + 8, 4, 0x12340041); /* no driver yet */
    driver_set(m, VIRTIO_CONFIG + 8, 1, 'B');
    driver_set(m, VIRTIO_CONFIG + 4, 4, 'C');
    driver_set(m, VIRTIO_CONFIG + 12, 4, 'D');
    check_shown("AB");
    CHECK_U64(driver_reg(m, VIRTIO_CONFIG + 8, 4), 0);
    CHECK_U64(driver_reg(m, VIRTIO_CONFIG + 4, 4), 1);
    m->room = 0;
    driver_set(m, VIRTIO_CONFIG + 8, 4, 'E');
    check_shown("AB");
}

/* Rings that break the rules: the device answers no more until it is reset. */
TEST(broken_rings) {
    begin_with_terminal();
    driver_describe(m, CONSOLE_TRANSMIT, 0, MACHINE_RAM - 4, 8, 0, 0);
    driver_offer(m, CONSOLE_TRANSMIT, 0);
    driver_doorbell(m, CONSOLE_TRANSMIT);
    CHECK((driver_reg(m, 0x14, 1) & VIRTIO_NEEDS_RESET) != 0);
    CHECK(!virtio_console_receive(&m->console, 'a'));
    ports_say(m, 0, READY, 1);
    CHECK(ports_are_silent(m));
    virtio_console_poll(&m->console);
    CHECK_U64(m->shown_count, 0);
    begin_with_terminal();
    ram_put16(m, AVAIL(CONSOLE_CONTROL_TRANSMIT) + 2, 0x4000);
    driver_doorbell(m, CONSOLE_CONTROL_TRANSMIT);
    CHECK((driver_reg(m, 0x14, 1) & VIRTIO_NEEDS_RESET) != 0);
}

/* In the machine: the config says where typed bytes go; room is for both. */
TEST(in_the_platform) {
    memset(&fake_devices, 0, sizeof(fake_devices));
    fake_pc_start();
    CHECK(platform_receive(&fake_pc, 'a'));
    CHECK_U64(fake_pc.uart.rx.count, 1);
    fake_devices.types_to_hvc0 = true;
    CHECK(!platform_receive(&fake_pc, 'b'));
    CHECK_U64(fake_pc.uart.rx.count, 1);
    fake_devices.types_to_hvc0 = false;
    platform_drain(&fake_pc);
}

/* Whoever rings may mean the sockets, too: their device looks after its driver, who is gone. */
TEST(sockets_in_the_platform_are_polled) {
    static struct channel_half *halves[2];
    half_begin(&halves[0]);
    half_begin(&halves[1]);
    memset(&fake_devices, 0, sizeof(fake_devices));
    fake_devices.channel_count = fake_devices.vsock.peer_count = 1;
    fake_devices.channels[0].ours = (uintptr_t)halves[0];
    fake_devices.channels[0].theirs = (uintptr_t)halves[1];
    fake_pc_start();
    fake_pc.vsock.runs = true;
    platform_poll_channels(&fake_pc);
    CHECK(!fake_pc.vsock.runs);
    memset(&fake_devices, 0, sizeof(fake_devices));
}

TEST_MAIN(T(sockets_in_the_platform_are_polled), T(registers), T(control),
          T(control_without_buffers), T(control_in_pieces), T(bad_control), T(cut_control),
          T(small_control_buffers), T(no_ports_without_the_feature), T(output),
          T(output_waits_for_room), T(output_in_turns), T(output_of_nothing),
          T(reset_in_the_middle), T(changed_while_it_waits), T(typing),
          T(typing_into_a_buffer_to_read), T(emergency_write), T(broken_rings), T(in_the_platform),
          T(output_in_small_buffers))
