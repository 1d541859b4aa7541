// SPDX-License-Identifier: GPL-2.0-or-later
/* The flight recorders of a guest, in the words that tools/bhtrace reads. See follow.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bulkctl/follow.h"

#define VCPUS   256u /* more than a guest has */
#define WAIT_S  1
#define SAME_NS 20000ull /* two copies tell an exit by clocks that are less apart */
#define SECOND  1000000000ull
#define EXIT_AT "  exit "

/* What is told, and the last exit that was, of each vCPU. */
static struct {
    bool json;
    unsigned vcpu;
    unsigned long long last[VCPUS], newest[VCPUS];
} shown;

/* Nanoseconds on the log's clock; 0 = that line is none of an exit. */
static unsigned long long time_of(const char *text) {
    unsigned long long seconds, ns;

    if (strncmp(text, EXIT_AT, strlen(EXIT_AT)) != 0 ||
        sscanf(text + strlen(EXIT_AT), "%llu.%9llu", &seconds, &ns) != 2) {
        return 0;
    }
    return seconds * SECOND + ns;
}

/* A vCPU's headline, or an exit that was not told in the turn before. */
static void take_line(const char *line) {
    struct pair text;
    unsigned vcpu;

    (void)value_of(line, "text", &text);
    unsigned long long at = time_of(text.value);
    if (at == 0 && sscanf(text.value, "vcpu%u on ", &vcpu) == 1) {
        shown.vcpu = vcpu % VCPUS;
        shown.last[shown.vcpu] = shown.newest[shown.vcpu];
    }
    if (at != 0 && at <= shown.last[shown.vcpu] + SAME_NS) {
        return;
    }
    shown.newest[shown.vcpu] = at != 0 ? at : shown.newest[shown.vcpu];
    if (shown.json) {
        puts(line);
    } else {
        printf("%s", text.value);
    }
}

int show_trace(const char *path, const char *guest, bool follow, bool json) {
    char last[LINE_SIZE] = "", request[200];
    char why[REFUSAL_SIZE];
    int status = DONE;

    shown.json = json;
    snprintf(request, sizeof(request), "{\"verb\":\"trace\",\"guest\":\"%.63s\"}\n", guest);
    if (!json) {
        printf("bulkhead> trace %s\n", guest); /* as the prompt: so it is known whose they are */
    }
    do {
        status = ask(path, request, take_line, last);
        if (fflush(stdout) != 0) {
            return fail_output();
        }
    } while (status == DONE && follow && sleep(WAIT_S) == 0);
    if (status == REFUSED) {
        return fail(REFUSED, "%s: %s", guest, refusal(last, why));
    }
    if (json && status == DONE) {
        puts(last);
    }
    return status;
}
