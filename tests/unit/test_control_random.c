/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for the operator's hand at random: bytes, and pieces of JSON that are nearly right.
 * Whatever comes, a line is answered by lines that are JSON's own, no order is given but one that
 * was asked for, and nothing is touched beyond the struct.
 */
#include "hv/compartment/virtio/control.h"

#include "hv/lib/str.h"
#include "tests/unit/fake_input.h"
#include "tests/unit/test.h"

#define STEPS 300000u

static struct control k;
static unsigned orders, typed, told;
static uint64_t answers;

static void ask(UNUSED const struct dev_env *env, struct exchange_control *c) {
    uint64_t word = random_word();

    memset(c->name, (int)(word & 0x7f), sizeof(c->name));
    memset(c->state, (int)(word >> 8 & 0x7f), sizeof(c->state));
    if ((word & 0x10000) != 0) {
        memcpy(c->name, "web", 4);
    }
    c->look.memory = word;
    c->look.exits = UINT64_MAX;
    orders += c->call == CONTROL_CALL_ORDER;
    typed += c->call == CONTROL_CALL_TYPE;
    CHECK(c->call != CONTROL_CALL_TYPE || (c->size != 0 && c->size <= CONTROL_TEXT));
    if (c->call != CONTROL_CALL_LOOK) { /* a core that lies, too: it ends all the same */
        told += 1;
        c->at = (word & 0x20000) != 0 ? word : c->at;
        c->end = random_word() >> (word >> 24 & 63);
        c->size = (uint32_t)(word >> 32) >> (word >> 30 & 31);
        c->size = told % 8 == 0 ? 0 : c->size; /* where it ends is the core's alone */
        memset(c->bytes, (int)(word >> 40), sizeof(c->bytes));
        c->event.cause = (uint32_t)(word >> 50) % (EVENT_CAUSES + 1);
    }
    c->done = c->guest < (word >> 20 & 7);
}

static const struct dev_env env = {.control = ask};

/* All of what is answered: each line begins and ends as an object does. */
static void take_answer(void) {
    unsigned rounds = 0;

    while (k.at_work || k.out_size != k.out_done) {
        CHECK(k.out_size <= CONTROL_ANSWER && k.out_done == 0 && ++rounds < 100);
        if (k.out_size != 0) {
            CHECK(k.out[0] == '{' && k.out[k.out_size - 2] == '}' && k.out[k.out_size - 1] == '\n');
            answers++;
        }
        k.out_size = k.out_done = 0;
        if (k.at_work) {
            control_answer_next(&k, &env);
        }
    }
}

static void say(const char *text, uint64_t size) {
    while (size != 0) {
        uint64_t taken = control_take_bytes(&k, (const uint8_t *)text, size);
        CHECK(taken != 0 && taken <= size && k.length <= CONTROL_LINE);
        text += taken;
        size -= taken;
        unsigned before = orders;
        take_answer();
        CHECK(orders - before <= 8); /* of one request, one for each guest of that name */
    }
}

static void step(void) {
    static const char *const pieces[] = {
        "{",
        "}",
        "\"verb\"",
        "\"guest\"",
        ":",
        ",",
        "\n",
        "\"list\"",
        "\"kill\"",
        "\"events\"",
        "\"console\"",
        "\"type\"",
        "\"after\"",
        "\"text\"",
        "\"\\u00",
        "17",
        "{\"verb\":\"events\",\"after\":1}\n",
        "{\"verb\":\"console\",\"guest\":\"web\"}\n",
        "{\"verb\":\"type\",\"guest\":\"web\",\"text\":\"",
        "{\"verb\":\"type\",\"guest\":\"web\",\"text\":\"a\\r\"}\n",
        "\"web\"",
        "\"",
        "\\",
        " ",
        "\t",
        "{\"verb\":\"list\"}\n",
        "{\"verb\":\"stop\",\"guest\":\"web\"}\n",
        "{\"verb\":\"",
        "\r\n"};
    uint64_t word = random_word();

    if ((word & 3) == 0) {
        char bytes[8];
        uint64_t more = random_word();
        memcpy(bytes, &more, sizeof(bytes));
        say(bytes, 1 + (word >> 8 & 7));
    } else {
        const char *piece = pieces[(word >> 8) % ARRAY_SIZE(pieces)];
        say(piece, strlen(piece));
    }
}

#ifdef FUZZ
static void run_input(UNUSED bool other) {
    k = (struct control){.length = 0};
    while (!input_is_over()) {
        step();
    }
}
#else
TEST(random_lines) {
    for (input_seed = 1; input_seed < 4; input_seed++) {
        k = (struct control){.length = 0};
        for (unsigned i = 0; i < STEPS / 3; i++) {
            step();
        }
    }
    printf("# %u answers, %u orders, %u typed, %u asked by and by\n", (unsigned)answers, orders,
           typed, told);
    CHECK(answers > STEPS / 20 && orders > STEPS / 2000); /* it did come that far */
    CHECK(typed > STEPS / 2000 && told > STEPS / 200);
}

TEST_MAIN(T(random_lines))
#endif
