// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of the config schema and reader: config/parse.c, schema.c, hv/plan/cpu_set.c. */
#include "tests/unit/test.h"

#include "config/parse.h"
#include "tests/unit/faults.h"

static struct config config;

static enum status parse(const char *text) {
    memset(&faults, 0, sizeof(faults));
    memset(&config, 0xa5, sizeof(config));
    return config_parse(text, strlen(text), &config, &faults);
}

#define FAULTS(text, ...)                                                                          \
    do {                                                                                           \
        static const struct want want[] = {__VA_ARGS__};                                           \
        check_faults(parse(text), want, ARRAY_SIZE(want));                                         \
    } while (0)

#define GUEST "[guest.web]\ncpus = \"1\"\nmemory = \"512M\"\nkernel = \"k\"\n" /* lines 1 to 4 */

static void check_good(const char *text) {
    CHECK(parse(text) == STATUS_OK);
    show_faults();
}

TEST(full_file) {
    check_good(
        "\xef\xbb\xbf# sample\r\n[hypervisor]\r\nconsole = \"0x2f8\"\r\nlog = 'debug'\r\n"
        "mitigations = \"off\"\r\nlog_clock = \"utc\"\r\n"
        "[guest.web]\r\ncpus = \"1\"\r\nmemory = \"1G\"\r\nkernel = '\\guests\\vmlinuz'\r\n"
        "initrd = \"/guests//web.img\"\r\ncmdline = \"quiet\"\r\nstart = \"manual\"\r\n"
        "on_crash = \"halt\"\r\nwatchdog = '2m'\r\non_violation = \"stop\"\r\n"
        "max_exits = '5000'\r\nmax_console = '1'\r\nmax_log = '100000000'\r\non_limit = 'pause'\r\n"
        "[guest.db-2]\r\ncpus = \"2\"\r\nmemory = \"18M\"\r\nkernel = \"k\"\r\n");
    CHECK_U64(config.console, 0x2f8);
    CHECK_U64(config.log_level, LOG_DEBUG);
    CHECK(!config.mitigate);
    CHECK(config.log_wall_clock);
    CHECK_U64(config.guest_count, 2);
    const struct config_guest *g = &config.guests[0];
    CHECK_STR(g->name, "web");
    CHECK_U64(g->memory, GIB);
    CHECK_STR(g->kernel, "guests/vmlinuz");
    CHECK_STR(g->initrd, "guests/web.img");
    CHECK_STR(g->cmdline, "quiet");
    CHECK(!g->start_auto);
    CHECK_U64(g->on_crash, ON_CRASH_HALT);
    CHECK_U64(g->watchdog, 120);
    CHECK_U64(g->on_violation, ON_VIOLATION_STOP);
    CHECK_U64(g->on_limit, ON_LIMIT_PAUSE);
    CHECK_U64(g->limits[LIMIT_EXITS], 5000);
    CHECK_U64(g->limits[LIMIT_CONSOLE], 1);
    CHECK_U64(g->limits[LIMIT_LOG], 100000000);
    CHECK_U64(g->table_pos.line, 7);
    CHECK_U64(g->cpus_pos.line, 8);
    CHECK_U64(g->cpus_pos.column, 8);
    CHECK_U64(g->memory_pos.line, 9);
    CHECK_U64(g->kernel_pos.line, 10);
    CHECK_U64(g->initrd_pos.line, 11);
    g = &config.guests[1];
    CHECK_STR(g->name, "db-2");
    CHECK_U64(g->memory, 18 * MIB);
    CHECK_STR(g->initrd, "");
    CHECK_U64(g->initrd_pos.line, 0);
}

TEST(presets) {
    check_good(GUEST);
    CHECK_U64(config.console, CONSOLE_AUTO);
    CHECK_U64(config.log_level, LOG_INFO);
    CHECK(config.mitigate);
    CHECK(!config.log_wall_clock);
    CHECK_STR(config.guests[0].cmdline, "console=ttyS0");
    CHECK(config.guests[0].start_auto);
    CHECK_U64(config.guests[0].on_crash, ON_CRASH_RESTART);
    CHECK_U64(config.guests[0].watchdog, 0);
    CHECK_U64(config.guests[0].on_violation, ON_VIOLATION_DENY);
    CHECK_U64(config.guests[0].on_limit, ON_LIMIT_THROTTLE);
    CHECK_U64(config.guests[0].limits[LIMIT_EXITS], 0);
    CHECK_U64(config.guests[0].limits[LIMIT_CONSOLE], 0);
    CHECK_U64(config.guests[0].limits[LIMIT_LOG], 0);
    check_good("[hypervisor]\n" GUEST);
    CHECK_U64(config.console, CONSOLE_AUTO);
    CHECK_U64(config.log_level, LOG_INFO);
}

TEST(consoles) {
    static const struct {
        const char *text;
        uint32_t port;
    } good[] = {{"com1", 0x3f8},     {"com2", 0x2f8},    {"com3", 0x3e8},
                {"com4", 0x2e8},     {"none", 0},        {"0x3f8", 0x3f8},
                {"0XE000", 0xe000},  {"0xfff8", 0xfff8}, {"auto", CONSOLE_AUTO},
                {"pci", CONSOLE_PCI}};
    char text[200];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        snprintf(text, sizeof(text), GUEST "[hypervisor]\nconsole = \"%s\"\n", good[i].text);
        check_good(text);
        CHECK_U64(config.console, good[i].port);
    }
    FAULTS(GUEST "[hypervisor]\nconsole = \"com5\"", {"6:11:", "\"pci\", \"none\""});
    FAULTS(GUEST "[hypervisor]\nconsole = \"0x3f9\"", {"6:11:", "multiple of 8"});
    FAULTS(GUEST "[hypervisor]\nconsole = \"0x10000\"", {"6:11:", "multiple of 8"});
    FAULTS(GUEST "[hypervisor]\nconsole = \"0x\"", {"6:11:", "multiple of 8"});
    FAULTS(GUEST "[hypervisor]\nconsole = \"0x3g8\"", {"6:11:", "multiple of 8"});
    /* What was refused is no choice of the admin's. */
    CHECK(parse(GUEST "[hypervisor]\nmitigations = \"of\"\nlog = debug") == STATUS_INVALID);
    CHECK(config.mitigate);
    CHECK_U64(config.log_level, LOG_INFO);
    FAULTS(GUEST "[hypervisor]\nconsole = 0x3f8", {"6:11:", "in quotes: console = \"com1\""});
}

TEST(avoided) {
    static const struct {
        const char *text;
        uint32_t set;
        const char *shown;
    } good[] = {
        {"vpid", BIT32(AVOID_VPID), "vpid"},
        {"deadline  1g apicv", BIT32(AVOID_DEADLINE) | BIT32(AVOID_1G) | BIT32(AVOID_APICV),
         "apicv 1g deadline"},
        {" x2apic ", BIT32(AVOID_X2APIC), "x2apic"},
        {"apicv posting vpid 1g bus-locks x2apic deadline iommu clean-bits next-rip decode-assists "
         "flush-by-asid",
         BIT32(CONFIG_AVOIDS) - 1,
         "apicv posting vpid 1g bus-locks x2apic deadline iommu clean-bits next-rip decode-assists "
         "flush-by-asid"},
    };
    char text[300], names[CONFIG_AVOID_SIZE];
    check_good(GUEST);
    CHECK_U64(config.avoid, 0);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        snprintf(text, sizeof(text), GUEST "[hypervisor]\navoid = \"%s\"\n", good[i].text);
        check_good(text);
        CHECK_U64(config.avoid, good[i].set);
        CHECK_STR(config_avoid_format(config.avoid, names, sizeof(names)), good[i].shown);
    }
    memset(names, '#', sizeof(names)); /* cut at its end */
    CHECK_STR(config_avoid_format(BIT32(CONFIG_AVOIDS) - 1, names, 9), "apicv po");
    CHECK_U64(names[9], '#');
    CHECK_STR(config_avoid_format(~(BIT32(CONFIG_AVOIDS) - 1), names, sizeof(names)), "");
    FAULTS(GUEST "[hypervisor]\navoid = \"vpid, 1g\"", {"6:9:", "\"vpid,\"; write words of apicv"});
    FAULTS(GUEST "[hypervisor]\navoid = \"vpi\"", {"6:9:", "names no feature at \"vpi\""});
}

static void check_cpus(const char *list, const char *shown) {
    char text[1400], buf[64];
    snprintf(text, sizeof(text), "[guest.a]\nmemory='16M'\nkernel='k'\ncpus = \"%s\"", list);
    check_good(text);
    CHECK_STR(cpu_set_format(&config.guests[0].cpus, buf, sizeof(buf)), shown);
}

TEST(cpu_lists) {
    check_cpus("0", "0");
    check_cpus("1023", "1023");
    check_cpus("1-2", "1-2");
    check_cpus("3,1,2", "1-3");
    check_cpus(" 5 , 1", "1,5");
    check_cpus("0-1023", "0-1023");
    check_cpus("63-64,127,128", "63-64,127-128");
    CHECK(!cpu_set_has(&config.guests[0].cpus, 5000));
    char buf[6];
    CHECK_STR(cpu_set_format(&config.guests[0].cpus, buf, sizeof(buf)), "63-64");
#define CPUS(list) "[guest.a]\nmemory='16M'\nkernel='k'\ncpus = \"" list "\""
    FAULTS(CPUS(""), {"4:8:", "not a list"});
    FAULTS(CPUS("1,"), {"4:8:", "not a list"});
    FAULTS(CPUS(",1"), {"4:8:", "not a list"});
    FAULTS(CPUS("1-"), {"4:8:", "not a list"});
    FAULTS(CPUS("1 2"), {"4:8:", "not a list"});
    FAULTS(CPUS("one"), {"4:8:", "at \"one\""});
    FAULTS(CPUS("1,1024"), {"4:8:", "at \"1024\""});
    FAULTS(CPUS("99999999999999999999"), {"4:8:", "not a list"});
    FAULTS(CPUS("4-2"), {"4:8:", "not a list of CPUs at \"4-2\""});
    FAULTS(CPUS("1-3,2"), {"4:8:", "CPU 2 twice"});
    FAULTS("[guest.a]\nmemory='16M'\nkernel='k'\ncpus = 1",
           {"4:8:", "cpus = 1 is not text in quotes; write a list"});
    FAULTS("[guest.a]\nmemory='16M'\nkernel='k'\ncpus = [1, 2]", {"4:9:", "arrays"});
    FAULTS("[guest.a]\nmemory='16M'\nkernel='k'\ncpus = ['1']",
           {"4:8:", "cpus is no list: arrays are not supported here; write cpus = \"1\""});
}

TEST(sizes) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"16M", 16 * MIB}, {"16384K", 16 * MIB}, {"512M", 512 * MIB}, {"65536G", BIT(46)}};
    char text[200];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        snprintf(text, sizeof(text), "[guest.a]\ncpus='1'\nkernel='k'\nmemory = '%s'",
                 good[i].text);
        check_good(text);
        CHECK_U64(config.guests[0].memory, good[i].bytes);
    }
#define MEMORY(value) "[guest.a]\ncpus='1'\nkernel='k'\nmemory = " value
    FAULTS(MEMORY("512"),
           {"4:10:", "memory = 512 is not text in quotes; write a number and K, M or G"});
    FAULTS(MEMORY("'512'"), {"4:10:", "such as \"512M\""});
    FAULTS(MEMORY("512M"), {"4:10:", "in quotes: memory = \"512M\""});
    FAULTS(MEMORY("'1g'"), {"4:10:", "such as \"512M\""});
    FAULTS(MEMORY("'2 GiB'"), {"4:10:", "such as \"512M\""});
    FAULTS(MEMORY("'512MB'"), {"4:10:", "such as \"512M\""});
    FAULTS(MEMORY("''"), {"4:10:", "is not a size"});
    FAULTS(MEMORY("'-1G'"), {"4:10:", "is not a size"});
    FAULTS(MEMORY("'1.5G'"), {"4:10:", "is not a size"});
    FAULTS(MEMORY("-5"), {"4:10:", "memory = -5 is not"});
    FAULTS(MEMORY("true"), {"4:10:", "memory = true is not"});
    FAULTS(MEMORY("'14M'"), {"4:10:", "write \"16M\""});
    FAULTS(MEMORY("'0G'"), {"4:10:", "write \"16M\""});
    FAULTS(MEMORY("'33M'"), {"4:10:", "write \"34M\""});
    FAULTS(MEMORY("'16385K'"), {"4:10:", "write \"18M\""});
    FAULTS(MEMORY("'65537G'"), {"4:10:", "from \"16M\" to \"65536G\""});
    FAULTS(MEMORY("'17179869184G'"), {"4:10:", "from \"16M\" to \"65536G\""});
    FAULTS(MEMORY("'18446744073709551617G'"), {"4:10:", "is not a size"});
}

static void check_path(const char *path, const char *stored) {
    char text[400];
    snprintf(text, sizeof(text), "[guest.a]\ncpus='1'\nmemory='16M'\nkernel = '%s'", path);
    check_good(text);
    CHECK_STR(config.guests[0].kernel, stored);
}

TEST(paths) {
    check_path("a/b.c", "a/b.c");
    check_path("/a", "a");
    check_path("a\\b\\c", "a/b/c");
    check_path("\\\\a//b", "a/b");
    check_path("..a/b..c", "..a/b..c");
    check_path("a b/\xc3\xbc c", "a b/\xc3\xbc c");
    char longest[CONFIG_PATH_SIZE];
    memset(longest, 'x', sizeof(longest));
    longest[CONFIG_PATH_SIZE - 1] = '\0';
    check_path(longest, longest);
#define KERNEL(path) "[guest.a]\ncpus='1'\nmemory='16M'\nkernel = " path
    FAULTS(KERNEL("''"), {"4:10:", "not the path"});
    FAULTS(KERNEL("'/'"), {"4:10:", "not the path"});
    FAULTS(KERNEL("'../k'"), {"4:10:", "without . and .."});
    FAULTS(KERNEL("'a/../k'"), {"4:10:", "without . and .."});
    FAULTS(KERNEL("'a\\..'"), {"4:10:", "without . and .."});
    FAULTS(KERNEL("'./k'"), {"4:10:", "without . and .."});
    FAULTS(KERNEL("'a/'"), {"4:10:", "not the path"});
    FAULTS(KERNEL("'a/k.'"), {"4:10:", "a dot as its last"});
    FAULTS(KERNEL("'a./k'"), {"4:10:", "a dot as its last"});
    FAULTS(KERNEL("'a/k '"), {"4:10:", "a blank at an end"});
    FAULTS(KERNEL("'a/ k'"), {"4:10:", "a blank at an end"});
    FAULTS(KERNEL("' /k'"), {"4:10:", "a blank at an end"});
    FAULTS(KERNEL("'C:\\k'"), {"4:10:", "holds ':'"});
    FAULTS(KERNEL("'a*'"), {"4:10:", "holds '*'"});
    FAULTS(KERNEL("\"a\tb\""), {"4:10:", "holds '\t'"});
    char text[400];
    snprintf(text, sizeof(text), KERNEL("'%sx'"), longest);
    static const struct want want = {"4:10:", "128 bytes long; write at most 127"};
    check_faults(parse(text), &want, 1);
}

TEST(cmdline) {
    static char text[3000];
    for (size_t n = 1022; n < 2600; n = n < 1025 ? n + 1 : n + 500) {
        size_t used = (size_t)snprintf(text, sizeof(text), GUEST "cmdline = \"");
        memset(text + used, 'x', n);
        snprintf(text + used + n, 3, "\"\n");
        CHECK(parse(text) == (n <= 1023 ? STATUS_OK : STATUS_INVALID));
        if (n <= 1023) {
            CHECK_U64(strlen(config.guests[0].cmdline), n);
        } else {
            CHECK(strstr(faults.faults[0].text, "at most 1023") != NULL);
        }
    }
    check_good(GUEST "cmdline = \"\"");
    CHECK_STR(config.guests[0].cmdline, "");
    FAULTS(GUEST "cmdline = \"a\\nb\"", {"5:13:", "the escape \\n is not supported"});
}

TEST(words) {
    FAULTS(GUEST "start = \"atuo\"", {"5:9:", "write \"auto\" or \"manual\""});
    FAULTS(GUEST "start = true", {"5:9:", "start = true is not text in quotes"});
    FAULTS(GUEST "on_crash = \"explode\"", {"5:12:", "\"restart\", \"stop\" or \"halt\""});
    FAULTS(GUEST "on_violation = \"Deny\"", {"5:16:", "write \"deny\" or \"stop\""});
    FAULTS(GUEST "max_exits = \"0\"\nmax_log = \"-1\"\nmax_console = \"20K\"\non_limit = \"stop\"",
           {"5:13:", "max_exits = \"0\" is no limit; write a number from \"1\" to \"100000000\""},
           {"6:11:", "is no limit"}, {"7:15:", "is no limit"},
           {"8:12:", "write \"throttle\", \"pause\" or \"restart\""});
    FAULTS(GUEST "max_exits = \"100000001\"", {"5:13:", "is no limit"});
    FAULTS(GUEST "[hypervisor]\nlog = \"warning\"", {"6:7:", "\"warn\""});
}

TEST(unknown_keys) {
    FAULTS(GUEST "memroy = 1", {"5:1:", "did you mean memory?"});
    FAULTS(GUEST "  on_crsh = 1", {"5:3:", "did you mean on_crash?"});
    FAULTS(GUEST "[hypervisor]\nlig = 1", {"6:1:", "did you mean log?"});
    FAULTS(GUEST "[hypervisor]\nfoo = 1", {"6:1:", "unknown key foo; remove it"});
    FAULTS(GUEST "banana = 1", {"5:1:", "unknown key banana; remove it"});
    FAULTS(GUEST "keyboard = 'us'", {"5:1:", "under the [hypervisor] header"});
    FAULTS(GUEST "[hypervisor]\ncpus = '1'", {"6:1:", "under a [guest.NAME] header"});
    FAULTS("log = 'info'\n" GUEST, {"1:1:", "under the [hypervisor] header"});
    FAULTS("banana = 1\n" GUEST, {"1:1:", "unknown key banana; remove it"});
}

TEST(tables) {
    FAULTS(GUEST "[hypervsior]\nlog = 'x'", {"5:1:", "there are [hypervisor],"}, {"6:7:", "log"});
    FAULTS("[guests.web]\ncpus='1'\nmemory='16M'\nkernel='k'",
           {"1:1:", "[guests...]; there are [hypervisor], [guest.NAME]"});
    FAULTS(GUEST "[banana]\nx = 1", {"5:1:", "unknown table [banana]"});
    FAULTS(GUEST "[guest]\nweb = 1", {"5:1:", "[guest.NAME]"});
    FAULTS(GUEST "[guest.a.b]\nweb = 1", {"5:1:", "[guest.NAME]"});
    FAULTS(GUEST "[hypervisor.x]\nweb = 1", {"5:1:", "there are [hypervisor],"});
    FAULTS(GUEST "[[guest]]\nweb = 1", {"5:1:", "arrays of tables"});
    FAULTS(GUEST "[hypervisor]\n[hypervisor]", {"6:1:", "already, on line 5"});
    FAULTS("", {" ", "no guest"});
    FAULTS("[hypervisor]\n", {" ", "no guest"});
}

TEST(names) {
    static const char *const bad[] = {"Web",
                                      "-web",
                                      "we_b",
                                      "\"we b\"",
                                      "\"\"",
                                      "\"w.b\"",
                                      "a123456789012345678901234567890b",
                                      "'\xc3\xa4'"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char text[200];
        snprintf(text, sizeof(text), "[guest.%s]\ncpus='1'\nmemory='16M'\nkernel='k'", bad[i]);
        static const struct want want = {"1:8:", "odd characters or length"};
        check_faults(parse(text), &want, 1);
    }
    check_good("[guest.0-1234567890123456789012345678-]\ncpus='1'\nmemory='16M'\nkernel='k'");
    FAULTS(GUEST "[guest.web]\ncpus='2'\nmemory='16M'\nkernel='k'",
           {"5:1:", "guest \"web\" is there already, on line 1"});
}

TEST(double_keys) {
    FAULTS(GUEST "cpus = '2'", {"5:1:", "cpus is there already, on line 2"});
    FAULTS(GUEST "memory = 2M\nmemory = '2M'", {"5:1:", "on line 3"}, {"6:1:", "on line 3"});
    FAULTS(GUEST "\"kernel\" = 'x'", {"5:1:", "on line 4"});
}

TEST(missing_keys) {
    FAULTS("[guest.web]", {"1:1:", "has no cpus"}, {"1:1:", "has no memory"},
           {"1:1:", "has no kernel"});
    FAULTS("[guest.web]\ncpus = 1-2\nmemory = [\nkernel = \"", {"2:8:", "quotes"},
           {"3:10:", "no closing ]"},
           {"4:10:", "closing"}); /* given, if badly: not missing as well */
}

TEST(all_at_once) {
    FAULTS("[hypervisor]\nlog = 7\nbanana = 1\n[guest.Web]\ncpus = \"x\"\nmemory = 512\n"
           "kernel = \"a\\b\"\n[guest.b]\nmemory = \"16M\"\ncpus =\n",
           {"2:7:", "log = 7 is not"}, {"3:1:", "unknown key"}, {"4:8:", "odd"},
           {"5:8:", "not a list"}, {"6:10:", "memory = 512 is not"}, {"7:12:", "escape \\b"},
           {"8:1:", "no kernel"}, {"10:7:", "no value"});
}

TEST(too_many_guests) {
    static char text[4000];
    size_t used = 0;
    for (int i = 0; i < CONFIG_MAX_GUESTS + 1; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "[guest.g%d]\ncpus='%d'\nmemory='16M'\nkernel='k'\n", i, i);
    }
    static const struct want want = {"65:1:", "more than 16 guests"};
    check_faults(parse(text), &want, 1);
    CHECK_U64(config.guest_count, CONFIG_MAX_GUESTS);
}

TEST(too_large_a_file) {
    static char text[CONFIG_FILE_MAX + 2];
    memset(text, '\n', sizeof(text) - 1);
    static const struct want want = {" ", "at most 65536"};
    check_faults(parse(text), &want, 1);
}

/* In memory of just its size, so that the sanitizer sees one byte too far. */
static void read_all(const char *text, size_t length) {
    char *copy = malloc(length != 0 ? length : 1);
    memcpy(copy, text, length);
    memset(&faults, 0, sizeof(faults));
    enum status status = config_parse(copy, length, &config, &faults);
    CHECK((status == STATUS_OK) == (faults.count == 0));
    free(copy);
}

TEST(mutations) {
    static const char good[] =
        "[hypervisor]\nlog=\"info\"\nconsole='0x3f8'\n[guest.web]\n"
        "cpus = \"1-2,4\"\nmemory=\"512M\"\nkernel='\\a/b'\n"
        "cmdline=\"x\\\\y\"\nstart='auto'\n"
        "[guest.b]\ncpus='5'\nmemory='1G'\nkernel='k'\n"
        "disk=['a:b:ro','c:d:volatile:16M', # e\n'f:blank:16M']\n"
        "net=['w:mac=02:00:00:00:00:01:down']\nvsock=['web']\ncid='7'\n[wire.w]\nmtu='1501'\n";
    static const char bytes[] = "\n\r\t \"'#[].=\\-09,KGxz/:\x7f\x80\xc3\xff";
    char text[sizeof(good)];
    read_all(good, sizeof(good) - 1);
    CHECK_U64(faults.count, 0);
    for (size_t n = 0; n < sizeof(good); n++) {
        read_all(good, n);
    }
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        for (size_t j = 0; j < sizeof(bytes); j++) {
            memcpy(text, good, sizeof(good));
            text[i] = bytes[j];
            read_all(text, sizeof(good) - 1);
        }
    }
}

/* ---- disks and networks ---- */

static const struct config_guest *const web = &config.guests[0];

TEST(disks) {
    check_good(GUEST
               "disk = ['root:images/root.erofs:ro', \"v:\\\\a//b:volatile:32M\", # one more\n"
               " '012345678901234:blank:2048G']\n");
    CHECK_U64(web->disk_count, 3);
    CHECK_STR(web->disks[0].name, "root");
    CHECK_STR(web->disks[0].path, "images/root.erofs");
    CHECK_U64(web->disks[0].kind, DISK_READ_ONLY);
    CHECK_U64(web->disks[0].size, 0);
    CHECK_U64(web->disks[0].pos.line, 5);
    CHECK_U64(web->disks[0].pos.column, 9);
    CHECK_STR(web->disks[1].path, "a/b");
    CHECK_U64(web->disks[1].kind, DISK_VOLATILE);
    CHECK_U64(web->disks[1].size, 32 * MIB);
    CHECK_STR(web->disks[2].name, "012345678901234");
    CHECK_STR(web->disks[2].path, "");
    CHECK_U64(web->disks[2].kind, DISK_BLANK);
    CHECK_U64(web->disks[2].size, 2048 * GIB);
    CHECK_U64(web->disks[2].pos.line, 6);
    CHECK_U64(web->disks[2].pos.column, 2);
    check_good(GUEST "disk = []\nnet = []\npmem = []\n");
    CHECK_U64(web->disk_count + web->net_count + web->pmem_count, 0);
}

TEST(served_disks) {
    check_good(GUEST
               "disk = ['data:nbd:router/web', 'd2:nbd:r-1/a/B_9.img-:ro',\n"
               " 'd3:nbd:r/012345678901234567890123456789012345678901234567890123456789012']\n");
    CHECK_U64(web->disk_count, 3);
    CHECK_STR(web->disks[0].name, "data");
    CHECK_U64(web->disks[0].kind, DISK_SERVED);
    CHECK_STR(web->disks[0].server, "router");
    CHECK_STR(web->disks[0].export, "web");
    CHECK_STR(web->disks[0].path, "");
    CHECK_U64(web->disks[0].read_only, false);
    CHECK_STR(web->disks[1].server, "r-1");
    CHECK_STR(web->disks[1].export, "a/B_9.img-");
    CHECK_U64(web->disks[1].read_only, true);
    CHECK_U64(strlen(web->disks[2].export), 63);
    CHECK_U64(web->disks[2].pos.line, 6);
}

TEST(terminals) {
    check_good(GUEST);
    CHECK_U64(web->terminal, TERMINAL_AUTO);
    check_good(GUEST "console = 'hvc0'\n");
    CHECK_U64(web->terminal, TERMINAL_HVC0);
    check_good(GUEST "console = 'com1'\n");
    CHECK_U64(web->terminal, TERMINAL_COM1);
    FAULTS(GUEST "console = 'com2'\n", {"5:11:", "write \"auto\", \"com1\" or \"hvc0\""});
}

TEST(ports) {
    check_good(GUEST "port = ['sync', '0-9', '0123456789012345678901234567890']\n");
    CHECK_U64(web->port_count, 3);
    CHECK_STR(web->ports[0].name, "sync");
    CHECK_STR(web->ports[2].name, "0123456789012345678901234567890");
    CHECK_U64(web->ports[1].pos.line, 5);
    CHECK_U64(web->ports[1].pos.column, 17);
    FAULTS(GUEST "port = ['']\n", {"5:9:", "is no port's name; write a name of 1 to 31"});
    FAULTS(GUEST "port = ['a:b']\n", {"5:9:", "is no port's name"});
    FAULTS(GUEST "port = ['A']\n", {"5:9:", "is no port's name"});
    FAULTS(GUEST "port = ['01234567890123456789012345678901']\n", {"5:9:", "port"});
    FAULTS(GUEST "port = ['1','2','3','4','5','6','7']\n",
           {"5:33:", "port has more than 6 values"});
}

TEST(disk_faults) {
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "does not begin with a disk's name and a colon"},
        {"root", "does not begin with a disk's name"},
        {":a:ro", "1 to 15 of a-z, 0-9 and - as the NAME"},
        {"Root:a:ro", "does not begin with"},
        {"-r:a:ro", "does not begin with"},
        {"r o:a:ro", "does not begin with"},
        {"0123456789012345:a:ro", "does not begin with"},
        {"r:", "is no disk; write \"NAME:PATH:ro\""},
        {"r:a", "is no disk"},
        {"r:a:", "is no disk"},
        {"r:a:rw", "no guest writes a file of the stick; write volatile:SIZE in place of rw"},
        {"r:a:rw:2M", "no guest writes a file of the stick"},
        {"r:a:rW", "is no disk"},
        {"r:a:ro:", "is no disk"},
        {"r:a:ro:2M", "is no disk"},
        {"r:a:volatile", "is no disk"},
        {"r:a:volatile:", "is no disk"},
        {"r:a:volatile:16M:", "is no disk"},
        {"r:a:volatile:16M:ro", "is no disk"},
        {"r:blank", "is no disk"},
        {"r:blank:", "is no disk"},
        {"r:blank:16M:ro", "is no disk"},
        {"r:blank:ro", "is not a size"},
        {"r:blank:17M", "is not a multiple of 2M"},
        {"r:blank:99999999999G", "is not a"},
        {"r:a:volatile:3", "is not a size"},
        {"r::ro", "is not the path of a file"},
        {"r:../a:ro", "is not the path of a file"},
        {"r:a*:ro", "holds '*'"},
        {"r:a.:volatile:16M", "a dot as its last character"},
        {"r:nbd:router", "names no guest and its export after nbd:; write"},
        {"r:nbd:/web", "names no guest and its export"},
        {"r:nbd:Router/web", "names no guest and its export"},
        {"r:nbd:01234567890123456789012345678901/web", "names no guest and its export"},
        {"r:nbd:router/", "has no export's name after \"router/\"; write 1 to 63 of a-z"},
        {"r:nbd:router/w b", "has no export's name"},
        {"r:nbd:router/0123456789012345678901234567890123456789012345678901234567890123",
         "has no export's name"},
        {"r:nbd:router/web:rw", "is no disk"},
        {"r:nbd:router/web:ro:", "is no disk"},
        {"r:nbd", "names no guest"},
    };
    char text[200];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        snprintf(text, sizeof(text), GUEST "disk = [ \"%s\"]\n", bad[i].text);
        const struct want want = {"5:10:", bad[i].words};
        check_faults(parse(text), &want, 1);
        CHECK_U64(web->disk_count, 0);
    }
    snprintf(text, sizeof(text), GUEST "disk = ['r:%0128d:ro']\n", 0);
    const struct want want = {"5:9:", "has a path of 128 bytes; write at most 127"};
    check_faults(parse(text), &want, 1);
}

TEST(pmems) {
    check_good(GUEST "pmem = ['images\\base.erofs', '/b']\n");
    CHECK_U64(web->pmem_count, 2);
    CHECK_STR(web->pmems[0].path, "images/base.erofs");
    CHECK_STR(web->pmems[1].path, "b");
    CHECK_U64(web->pmems[1].pos.column, 30);
    FAULTS(GUEST "pmem = ['a:b']\n", {"5:9:", "holds ':'"});
    FAULTS(GUEST "pmem = ['']\n", {"5:9:", "is not the path of a file"});
    FAULTS(GUEST "pmem = ['a','b','c','d','e']\n", {"5:25:", "pmem has more than 4 values"});
}

TEST(pcis) {
    check_good(GUEST
               "pci = ['0000:03:00.0', 'fe:1f.7', '8086:10d3', '0001:00:02.1', 'ABCD:EF01']\n");
    CHECK_U64(web->pci_count, 5);
    const struct config_pci *p = web->pcis;
    CHECK(!p[0].by_id && p[0].segment == 0 && p[0].function == 0x300);
    CHECK(!p[1].by_id && p[1].segment == 0 && p[1].function == 0xfeff);
    CHECK(p[2].by_id && p[2].vendor == 0x8086 && p[2].device == 0x10d3);
    CHECK(!p[3].by_id && p[3].segment == 1 && p[3].function == 0x11);
    CHECK(p[4].by_id && p[4].vendor == 0xabcd && p[4].device == 0xef01);
    CHECK_U64(p[1].pos.column, 24);
    FAULTS(GUEST "pci = ['00:1.0','00:2.0','00:3.0','00:04.0', '00:05.0', '00:06.0', '00:07.0', "
                 "'00:08.0', '00:09.0', '00:0a.0', '00:0b.0', '00:0c.0']\n",
           {"5:8:", "is no PCI device"}, {"5:17:", "is no PCI device"},
           {"5:26:", "is no PCI device"}, {"5:123:", "pci has more than 8 values"});
    FAULTS(GUEST "pci = '03:00.0'\n", {"5:7:", "pci is a list"});
}

/* Each of them is nearly one. */
TEST(pci_faults) {
    static const char *const texts[] = {
        "",           "03:00",       "03:00.8",       "03:20.0",     "003:00.0",  "3:00.0",
        "03:00.0 ",   "03:00.00",    "000:03:00.0",   "0000:3:00.0", "03.00.0",   "8086:10d",
        "8086:10d3a", "8086:10d3:1", "10000:03:00.0", "8086:",       "g086:10d3", "0000:03:00:0",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        char text[512];
        snprintf(text, sizeof(text), GUEST "pci = ['%s']\n", texts[i]);
        static const struct want want[] = {{"5:8:", "is no PCI device; write an address such as"}};
        check_faults(parse(text), want, 1);
    }
}

TEST(nets) {
    static const uint8_t mac[] = {0x02, 0xab, 0xCD, 0, 0, 0xff}, none[6];
    check_good(GUEST "net = ['lan', 'a-1:bridge', 'b:down:mac=02:ab:CD:00:00:ff:bridge']\n");
    CHECK_U64(web->net_count, 3);
    CHECK_STR(web->nets[0].wire, "lan");
    CHECK(memcmp(web->nets[0].mac, none, 6) == 0);
    CHECK(!web->nets[0].bridge && !web->nets[0].down);
    CHECK(web->nets[1].bridge && !web->nets[1].down);
    CHECK_U64(web->nets[1].pos.column, 15);
    CHECK_STR(web->nets[2].wire, "b");
    CHECK(web->nets[2].bridge && web->nets[2].down);
    CHECK(memcmp(web->nets[2].mac, mac, 6) == 0);
}

TEST(net_faults) {
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "does not begin with a wire's name"},
        {":down", "does not begin with a wire's name"},
        {"LAN", "does not begin with a wire's name"},
        {"01234567890123456789012345678901", "does not begin with a wire's name"},
        {"lan:", "the unknown option \"\""},
        {"lan:up:down", "the unknown option \"up\""},
        {"lan:mac", "the unknown option \"mac\""},
        {"lan:bridged", "the unknown option \"bridged\""},
        {"lan:mac=", "no address of one adapter"},
        {"lan:mac=02:00:00:00:00", "no address of one adapter"},
        {"lan:mac=2:00:00:00:00:01", "no address of one adapter"},
        {"lan:mac=002:00:00:00:00:01", "no address of one adapter"},
        {"lan:mac=02-00-00-00-00-01", "no address of one adapter"},
        {"lan:mac=02:00:00:00:00:0g", "no address of one adapter"},
        {"lan:mac=00:00:00:00:00:00", "no address of one adapter"},
        {"lan:mac=ff:ff:ff:ff:ff:ff", "no address of one adapter"},
        {"lan:mac=01:00:5e:00:00:01", "no address of one adapter"},
        {"lan:mac=02:00:00:00:00:01x", "goes on at \"x\""},
        {"lan:mac=02:00:00:00:00:01:02", "the unknown option \"02\""},
        {"lan:mac=02:00:00:00:00:01:mac=02:00:00:00:00:02", "has two addresses"},
    };
    static const uint8_t none[6];
    char text[200];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        snprintf(text, sizeof(text), GUEST "net = ['%s']\n", bad[i].text);
        const struct want want = {"5:8:", bad[i].words};
        check_faults(parse(text), &want, 1);
        bool on = strncmp(bad[i].text, "lan:", 4) == 0; /* that wire, all the same */
        CHECK_U64(web->net_count, on);
        CHECK_STR(web->nets[0].wire, on ? "lan" : "");
        CHECK(memcmp(web->nets[0].mac, none, sizeof(none)) == 0);
    }
}

TEST(vsocks) {
    check_good(GUEST "vsock = ['router', 'a-1']\ncid = '4294901759'\n");
    CHECK_U64(web->vsock_count, 2);
    CHECK_STR(web->vsocks[0].guest, "router");
    CHECK_STR(web->vsocks[1].guest, "a-1");
    CHECK_U64(web->vsocks[1].pos.column, 20);
    CHECK_U64(web->cid, CONFIG_LAST_CID);
    CHECK_U64(web->cid_pos.line, 6);
    check_good(GUEST "cid = '3'\n");
    CHECK_U64(web->cid, 3);
    check_good(GUEST "vsock = []\n");
    CHECK_U64(web->vsock_count + web->cid, 0);
}

TEST(vsock_faults) {
    static const char *const names[] = {"",    "Router", "-a",
                                        "a:b", "a b",    "01234567890123456789012345678901"};
    static const char *const cids[] = {
        "",           "0",  "1",  "2",    "4294967295",          "4294901760",
        "4294967296", "3x", "-3", "0x10", "18446744073709551619"};
    char text[200];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(text, sizeof(text), GUEST "vsock = ['%s']\n", names[i]);
        const struct want want = {"5:10:", "is no guest's name; write the name of another guest"};
        check_faults(parse(text), &want, 1);
        CHECK_U64(web->vsock_count, 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cids); i++) {
        snprintf(text, sizeof(text), GUEST "cid = '%s'\n", cids[i]);
        const struct want want = {"5:7:", "is no address that a guest can have for vsock; write a "
                                          "number from \"3\" to \"4294901759\""};
        check_faults(parse(text), &want, 1);
        CHECK_U64(web->cid, 0);
    }
    FAULTS(GUEST
           "vsock = ['0','1','2','3','4','5','6','7','8','9','10','11','12','13','14','15']\n",
           {"5:75:", "vsock has more than 15 values"});
    FAULTS(GUEST "vsocks = ['a']\n", {"5:1:", "unknown key vsocks; did you mean vsock?"});
}

/* Each fault of a list has its place; what is good in it is taken. */
TEST(lists) {
    FAULTS(GUEST "disk = ['a:blank:16M', 'b', 'c:blank:16M',\n 'd:x:rx']\n",
           {"5:24:", "disk = \"b\""}, {"6:2:", "disk = \"d:x:rx\" is no disk"});
    CHECK_U64(web->disk_count, 2);
    CHECK_STR(web->disks[1].name, "c");
    FAULTS(GUEST
           "disk = ['1:x:ro','2:x:ro','3:x:ro','4:x:ro','5:x:ro','6:x:ro','7:x:ro','8:x:ro',\n"
           "'9:x:ro','10:x:ro']\n",
           {"6:1:", "disk has more than 8 values; remove this one"});
    CHECK_U64(web->disk_count, 8);
    FAULTS(GUEST "net = ['1','2','3','4','5','6','7','8','9']\n", {"5:40:", "net has more than 8"});
    FAULTS(GUEST "net = 'lan'\n", {"5:7:", "net is a list; write \"WIRE\""});
    FAULTS(GUEST "net = lan\n", {"5:7:", "net is a list"});
    FAULTS(GUEST "initrd = ['a']\n", {"5:10:", "initrd is no list"});
    FAULTS("[guest.web]\ncpus = [\"1\"]\nmemory = \"512M\"\nkernel = \"k\"\n",
           {"2:8:", "cpus is no list: arrays are not supported here; write cpus = \"1\""});
    FAULTS(GUEST "net = ['lan']\nnet = ['dmz']\n", {"6:1:", "net is there already, on line 5"});
    FAULTS(GUEST "nett = ['lan']\n", {"5:1:", "unknown key nett; did you mean net?"});
}

TEST(wires) {
    check_good("[wire.lan]\nmtu = '9000'\n[wire.dmz]\n" GUEST "[wire.a]\nmtu='576'\n[wire.b]\n"
               "mtu='65535'\n");
    CHECK_U64(config.wire_count, 4);
    CHECK_STR(config.wires[0].name, "lan");
    CHECK_U64(config.wires[0].mtu, 9000);
    CHECK_U64(config.wires[1].mtu, 1500);
    CHECK_U64(config.wires[1].table_pos.line, 3);
    CHECK_U64(config.wires[2].mtu, 576);
    CHECK_U64(config.wires[3].mtu, 65535);
}

TEST(wire_faults) {
    static const char *const mtus[] = {"", "575", "65536", "1500 ", "9k", "-1", "0x600"};
    char text[1000];
    for (size_t i = 0; i < ARRAY_SIZE(mtus); i++) {
        snprintf(text, sizeof(text), "[wire.a]\nmtu = '%s'\n" GUEST, mtus[i]);
        const struct want want = {"2:7:", "is no length of packets; write a number from \"576\""};
        check_faults(parse(text), &want, 1);
        CHECK_U64(config.wires[0].mtu, 1500);
    }
    FAULTS(GUEST "[wire.a]\n[wire.b]\n[wire.a]\n",
           {"7:1:", "wire \"a\" is there already, on line 5; give one of them another name"});
    FAULTS(GUEST "[wire.LAN]\n", {"5:7:", "wire name \"LAN\" has odd characters or length"});
    FAULTS(GUEST "[wire.-a]\n", {"5:7:", "wire name \"-a\""});
    FAULTS(GUEST "[wire.01234567890123456789012345678901]\n", {"5:7:", "wire name"});
    FAULTS(
        GUEST "[wier.a]\nmtu = '1'\n",
        {"5:1:", "unknown table [wier...]; there are [hypervisor], [guest.NAME] and [wire.NAME]"},
        {"6:7:", "is no length of packets"});
    FAULTS(GUEST "[wire]\nmtu = '1500'\n", {"5:1:", "unknown table [wire]"});
    FAULTS(GUEST "[wire.a.b]\n", {"5:1:", "unknown table"});
    FAULTS(GUEST "mtu = '1500'\n",
           {"5:1:", "mtu does not belong here; put it under a [wire.NAME]"});
    FAULTS(GUEST "[wire.a]\nnet = ['a']\nlog = 'info'\nmut = '1500'\n",
           {"6:1:", "net does not belong here; put it under a [guest.NAME] header"},
           {"7:1:", "log does not belong here; put it under the [hypervisor] header"},
           {"8:1:", "unknown key mut; did you mean mtu?"});
    FAULTS("mtu = '1500'\n" GUEST, {"1:1:", "mtu does not belong here"});
    int at = snprintf(text, sizeof(text), "%s", GUEST);
    for (int i = 0; i < 17; i++) {
        at +=
            snprintf(text + at, sizeof(text) - (size_t)at, "[wire.w%d]\nmtu = '%d'\n", i, 600 + i);
    }
    const struct want want = {"37:1:", "more than 16 wires; remove this one"};
    check_faults(parse(text), &want, 1);
    CHECK_U64(config.wire_count, 16);
    CHECK_U64(config.wires[15].mtu, 615);
}

TEST_MAIN(T(full_file), T(presets), T(consoles), T(avoided), T(cpu_lists), T(sizes), T(paths),
          T(cmdline), T(words), T(unknown_keys), T(tables), T(names), T(double_keys),
          T(missing_keys), T(all_at_once), T(too_many_guests), T(too_large_a_file), T(mutations),
          T(disks), T(served_disks), T(terminals), T(ports), T(disk_faults), T(pmems), T(pcis),
          T(pci_faults), T(nets), T(net_faults), T(vsocks), T(vsock_faults), T(lists), T(wires),
          T(wire_faults))
