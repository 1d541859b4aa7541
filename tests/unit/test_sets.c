/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sets of a stick: which state counts, which set a start is of, and what is left of one when it
 * is to be safe. */
#include "config/sets.h"

#include <stdlib.h>

#include "config/stick.h"
#include "hv/lib/str.h"
#include "hv/plan/kept_log.h"
#include "test.h"

static char texts[2][SETS_STATE_SIZE];
static struct sets_stick stick;
static struct sets_state state;

static void put(uint32_t number, char good, char fresh, enum sets_trial trial) {
    struct sets_state s = {number, good, fresh, trial, trial == SETS_UNTRIED ? 0 : 77};
    sets_write(&s, texts[number % 2]);
    stick.texts[number % 2] = texts[number % 2];
}

static void empty(void) {
    stick = (struct sets_stick){.plain = true};
}

/* tools/stick_sets.py has to write the same bytes: tests/system/test_image.py compares. */
TEST(the_text_is_as_it_always_was) {
    static const char line[] = "Bulkhead's state 1: number 0000001f, good a, new b tried "
                               "000000000000004d, sum ";
    empty();
    put(31, 'a', 'b', SETS_TRIED);
    CHECK(memcmp(texts[1], line, sizeof(line) - 1) == 0);
    CHECK(texts[1][SETS_STATE_SIZE - 1] == '\n' && texts[1][SETS_STATE_SIZE - 2] == ' ');
    CHECK(memchr(texts[1], '\0', SETS_STATE_SIZE) == NULL);
    CHECK(sets_read(&stick, &state));
    CHECK(state.number == 31 && state.good == 'a' && state.fresh == 'b' && state.id == 77);
    CHECK_U64(state.trial, SETS_TRIED);
    CHECK_STR(sets_path(&state), SETS_STATE_1);
}

TEST(the_newest_that_is_whole_counts) {
    empty();
    put(8, 'a', SETS_NONE, SETS_UNTRIED);
    put(9, 'a', 'b', SETS_UNTRIED);
    CHECK(sets_read(&stick, &state));
    CHECK_U64(state.number, 9);
    put(10, 'b', SETS_NONE, SETS_UNTRIED);
    CHECK(sets_read(&stick, &state));
    CHECK(state.number == 10 && state.good == 'b' && state.fresh == SETS_NONE);
}

/* Each cut of a write, each wrong byte: the other file is what it was. */
TEST(a_write_that_was_cut_off_does_not_count) {
    char good[SETS_STATE_SIZE];
    empty();
    put(8, 'a', SETS_NONE, SETS_UNTRIED);
    put(9, 'a', 'b', SETS_UNTRIED);
    memcpy(good, texts[1], sizeof(good));
    for (size_t n = 0; n < SETS_STATE_SIZE; n++) {
        memset(texts[1] + n, 0, SETS_STATE_SIZE - n);
        CHECK(sets_read(&stick, &state));
        CHECK_U64(state.number, 8);
        memcpy(texts[1], good, sizeof(good));
        texts[1][n] ^= 1;
        CHECK(sets_read(&stick, &state));
        CHECK_U64(state.number, 8);
        memcpy(texts[1], good, sizeof(good));
    }
    CHECK(sets_read(&stick, &state));
    CHECK_U64(state.number, 9);
}

/* The sum is right, and yet it says nothing that can be. */
TEST(a_state_that_cannot_be_does_not_count) {
    static const char sets[] = {'a', 'b', '-', '0', 'c', 'A'};
    for (size_t i = 0; i < sizeof(sets); i++) {
        for (size_t j = 0; j < sizeof(sets); j++) {
            bool fresh = sets[j] == '0' || sets[j] == 'a' || sets[j] == 'b' || sets[j] == '-';
            bool can = i < 3 && fresh && sets[i] != sets[j];
            empty();
            put(4, sets[i], sets[j] == '0' ? SETS_NONE : sets[j], SETS_UNTRIED);
            CHECK_U64(sets_read(&stick, &state), can);
        }
    }
}

TEST(without_a_state_it_is_what_lies_there) {
    static const struct row {
        bool plain, a, b;
        char set;
    } rows[] = {{true, true, true, '-'},   {true, false, false, '-'}, {false, true, true, 'a'},
                {false, false, true, 'b'}, {false, true, false, 'a'}, {false, false, false, '-'}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];
        memset(texts[0], 'x', SETS_STATE_SIZE);
        stick = (struct sets_stick){{texts[0], NULL}, r->plain, r->a, r->b};
        CHECK(!sets_read(&stick, &state));
        CHECK_U64(sets_choose(&state), r->set);
        CHECK(!sets_settle(&state, false, false));
    }
}

TEST(a_new_set_is_tried_once) {
    static const struct row {
        enum sets_trial trial;
        char chosen;
    } rows[] = {{SETS_UNTRIED, 'b'}, {SETS_TRIED, 'a'}, {SETS_FAILED, 'a'}, {SETS_LOST, 'a'}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        state = (struct sets_state){1, 'a', 'b', rows[i].trial, 77};
        CHECK_U64(sets_choose(&state), rows[i].chosen);
    }
}

/* What a start finds of the last one's try. */
TEST(what_becomes_of_a_try) {
    static const struct row {
        enum sets_trial before;
        bool known, healthy, changes;
        char good;
        enum sets_trial after;
    } rows[] = {
        {SETS_TRIED, true, true, true, 'b', SETS_UNTRIED},
        {SETS_TRIED, true, false, true, 'a', SETS_FAILED},
        {SETS_TRIED, false, false, true, 'a', SETS_LOST},
        {SETS_UNTRIED, true, true, false, 'a', SETS_UNTRIED},
        {SETS_FAILED, true, true, false, 'a', SETS_FAILED},
        {SETS_LOST, true, true, false, 'a', SETS_LOST},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];
        state = (struct sets_state){1, 'a', 'b', r->before, 77};
        CHECK_U64(sets_settle(&state, r->known, r->healthy), r->changes);
        CHECK_U64(state.number, r->changes ? 2 : 1);
        CHECK_U64(state.good, r->good);
        CHECK_U64(state.trial, r->after);
        CHECK_U64(state.fresh, r->good == 'b' ? SETS_NONE : 'b');
    }
    state = (struct sets_state){.number = 1, .good = 'a'};
    CHECK(!sets_settle(&state, true, true));
}

TEST(memory_tells_of_one_try_alone) {
    static struct kept_log log;
    bool healthy = true;
    CHECK(!kept_log_knows(&log, 77, &healthy) && !healthy);
    kept_log_begin(&log, 77);
    CHECK(kept_log_knows(&log, 77, &healthy) && !healthy);
    log.healthy = 77;
    CHECK(kept_log_knows(&log, 77, &healthy) && healthy);
    CHECK(!kept_log_knows(&log, 78, &healthy) && !healthy);
    log.mark[3] ^= 1;
    CHECK(!kept_log_knows(&log, 77, &healthy) && !healthy);
}

TEST(paths) {
    char out[SETS_PATH_SIZE];
    CHECK_STR(sets_file(SETS_PLAIN, "guests/x", out), "guests/x");
    CHECK_STR(sets_file(0, "guests/x", out), "guests/x");
    CHECK_STR(sets_file('b', "guests/x", out), "bulkhead/b/guests/x");
    CHECK_STR(sets_own(0, "bulkhead.toml", out), "bulkhead/bulkhead.toml");
    CHECK_STR(sets_own('a', "bulkhead.toml", out), "bulkhead/a/bulkhead.toml");
    CHECK_STR(sets_name('a', out), "set a");
    CHECK_STR(sets_name(SETS_PLAIN, out), "the plain set");
    char longest[CONFIG_PATH_SIZE];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    CHECK_U64(strlen(sets_file('a', longest, out)), strlen("bulkhead/a/") + strlen(longest));
}

static struct config config;

TEST(a_safe_start_has_one_guest_alone) {
    memset(&config, 0, sizeof(config));
    config.guest_count = 3;
    config.wire_count = 1;
    struct config_guest *web = &config.guests[1];
    memcpy(web->name, "web", 4);
    *web = (struct config_guest){.name = "web", .kernel = "guests/web", .start_auto = true};
    web->disk_count = 3;
    web->disks[0] = (struct config_disk){.name = "one", .kind = DISK_READ_ONLY};
    web->disks[1] = (struct config_disk){.name = "two", .kind = DISK_SERVED};
    web->disks[2] = (struct config_disk){.name = "three", .kind = DISK_BLANK};
    web->net_count = web->vsock_count = web->port_count = web->control_count = web->pci_count = 1;
    web->pmem_count = 1;
    web->watchdog = 30;
    web->limits[LIMIT_EXITS] = 5;
    web->on_crash = ON_CRASH_RESTART;
    config.guests[2].start_auto = true;
    stick_make_safe(&config);
    const struct config_guest *left = &config.guests[0];
    CHECK_U64(config.guest_count, 1);
    CHECK_U64(config.wire_count, 0);
    CHECK_STR(left->name, "web");
    CHECK_STR(left->kernel, "guests/web");
    CHECK_U64(left->disk_count, 2);
    CHECK_STR(left->disks[1].name, "three");
    CHECK_U64(left->pmem_count, 1);
    CHECK_U64(left->net_count + left->vsock_count + left->port_count + left->control_count +
                  left->pci_count + left->watchdog + left->limits[LIMIT_EXITS],
              0);
    CHECK(left->start_auto && left->on_crash == ON_CRASH_HALT);
}

TEST(a_safe_start_of_guests_that_wait) {
    memset(&config, 0, sizeof(config));
    stick_make_safe(&config);
    CHECK_U64(config.guest_count, 0);
    config.guest_count = 2;
    memcpy(config.guests[0].name, "one", 4);
    stick_make_safe(&config);
    CHECK_STR(config.guests[0].name, "one");
    CHECK(config.guests[0].start_auto);
}

TEST_MAIN(T(the_text_is_as_it_always_was), T(the_newest_that_is_whole_counts),
          T(a_write_that_was_cut_off_does_not_count), T(a_state_that_cannot_be_does_not_count),
          T(without_a_state_it_is_what_lies_there), T(a_new_set_is_tried_once),
          T(what_becomes_of_a_try), T(memory_tells_of_one_try_alone), T(paths),
          T(a_safe_start_has_one_guest_alone), T(a_safe_start_of_guests_that_wait))
