/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the policy tables let a guest see is what docs/guest-view.md says, entry by entry: the page
 * is the second opinion, and a change of a table is a change of the page.
 */
#include "tests/unit/guest_view.h"
#include "tests/unit/read_file.h"

TEST(the_tables_are_the_page) {
    char *printed = NULL;
    size_t printed_size;
    size_t page_size;
    FILE *out = open_memstream(&printed, &printed_size);
    guest_view_print(out);
    fclose(out);
    char *wanted = read_file("docs/guest-view.md", &page_size);
    char *a = printed;
    char *b = wanted;
    while (*a != '\0' && *b != '\0') {
        size_t a_length = strcspn(a, "\n");
        size_t b_length = strcspn(b, "\n");
        if (a_length != b_length || memcmp(a, b, a_length) != 0) {
            test_failures++;
            printf("# expected \"%.*s\", saw \"%.*s\"; `make docs` prints the page anew\n",
                   (int)b_length, b, (int)a_length, a);
            break;
        }
        a += a_length + (a[a_length] == '\n');
        b += b_length + (b[b_length] == '\n');
    }
    CHECK_U64(printed_size, page_size);
    free(printed);
    free(wanted);
    (void)fake_machine_start;
    (void)fake_exit;
}

TEST_MAIN(T(the_tables_are_the_page))
