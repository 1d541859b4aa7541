/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests/system/bench_io.py measures inside Debian's guests: a program for their initramfs.
 * Each kind of work is done some times unmeasured first, and then between two marks, which the
 * emulator's plugin sees (tests/count/count.c).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PORT     5201
#define DATAGRAM 64
#define PAGE     4096u
#define MIB      (1u << 20)
#define WARM_UP  16

/* The bytes that count.c looks for; number: one digit. */
#define MARK(number)                                                                               \
    __asm__ volatile(".byte 0x0f, 0x1f, 0x80, " #number ", 0x4f, 0x49, 0x42" ::: "memory")

static char *buffer; /* a MiB, aligned to pages */

static void need(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

static struct sockaddr_in address_of(const char *text) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (text != NULL) {
        need(inet_pton(AF_INET, text, &a.sin_addr) == 1, text);
    }
    return a;
}

static int socket_for(int type, const char *peer) {
    struct sockaddr_in a = address_of(peer);
    int s = socket(AF_INET, type, 0);
    int one = 1;

    need(s >= 0, "socket");
    need(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0, "setsockopt");
    if (peer != NULL) {
        need(connect(s, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
    } else {
        need(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
    }
    return s;
}

/* ---- UDP: one datagram there and back at a time ---- */

static void udp_server(void) {
    int s = socket_for(SOCK_DGRAM, NULL);

    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        ssize_t got = recvfrom(s, buffer, DATAGRAM, 0, (struct sockaddr *)&from, &size);
        need(got >= 0, "recvfrom");
        need(sendto(s, buffer, (size_t)got, 0, (struct sockaddr *)&from, size) == got, "sendto");
    }
}

static void udp_rounds(int s, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        need(send(s, buffer, DATAGRAM, 0) == DATAGRAM, "send");
        need(recv(s, buffer, DATAGRAM, 0) == DATAGRAM, "recv");
    }
}

static void udp(const char *peer, unsigned count) {
    int s = socket_for(SOCK_DGRAM, peer);

    udp_rounds(s, WARM_UP);
    MARK(1);
    udp_rounds(s, count);
    MARK(2);
}

/* ---- TCP: so many MiB, and a byte back when all have come ---- */

static void tcp_receive(int s, uint64_t size) {
    while (size != 0) {
        ssize_t got = read(s, buffer, size < MIB ? size : MIB);
        need(got > 0, "read");
        size -= (uint64_t)got;
    }
}

static void tcp_serve(int s) {
    uint32_t mibs = 0;

    while (read(s, &mibs, sizeof(mibs)) == sizeof(mibs)) {
        tcp_receive(s, (uint64_t)mibs * MIB);
        need(write(s, "", 1) == 1, "write");
    }
    close(s);
}

static void tcp_server(void) {
    int s = socket_for(SOCK_STREAM, NULL);

    need(listen(s, 1) == 0, "listen");
    for (;;) {
        int client = accept(s, NULL, NULL);
        need(client >= 0, "accept");
        tcp_serve(client);
    }
}

static void tcp_send(int s, uint32_t mibs) {
    char answer = 0;

    need(write(s, &mibs, sizeof(mibs)) == sizeof(mibs), "write");
    for (uint32_t i = 0; i < mibs; i++) {
        for (uint32_t done = 0; done < MIB;) {
            ssize_t sent = write(s, buffer + done, MIB - done);
            need(sent > 0, "write");
            done += (uint32_t)sent;
        }
    }
    need(read(s, &answer, 1) == 1, "read");
}

static void tcp(const char *peer, unsigned mibs) {
    int s = socket_for(SOCK_STREAM, peer);

    tcp_send(s, WARM_UP);
    MARK(1);
    tcp_send(s, mibs);
    MARK(2);
}

/* ---- what the network adapter does for the kernel, on or off ---- */

static void offloads(const char *interface, int on) {
    static const uint32_t kinds[] = {ETHTOOL_SGRO,    ETHTOOL_SGSO,    ETHTOOL_STSO,
                                     ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM, ETHTOOL_SSG};
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct ethtool_value value = {.cmd = kinds[i], .data = on != 0};
        struct ifreq request = {.ifr_data = (void *)&value};
        strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
        if (ioctl(s, SIOCETHTOOL, &request) != 0) {
            printf("%#x: %s\n", kinds[i], strerror(errno));
        }
    }
}

/* ---- a disk, past the page cache ---- */

static uint64_t random_next(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void disk_reads(int disk, uint64_t size, unsigned piece, unsigned count, int in_turn) {
    uint64_t pieces = size / piece;

    for (unsigned i = 0; i < count; i++) {
        uint64_t at = (in_turn ? i % pieces : random_next() % pieces) * piece;
        need(pread(disk, buffer, piece, (off_t)at) == (ssize_t)piece, "pread");
    }
}

static void disk(const char *path, unsigned piece, unsigned count, int in_turn) {
    int file = open(path, O_RDONLY | O_DIRECT);

    need(file >= 0, path);
    uint64_t size = (uint64_t)lseek(file, 0, SEEK_END);
    disk_reads(file, size, piece, WARM_UP, in_turn);
    MARK(1);
    disk_reads(file, size, piece, count, in_turn);
    MARK(2);
}

/* ---- the same by a program that computes until the read is done: its CPU never sleeps ---- */

/* What the kernel maps for io_setup(): Linux, fs/aio.c, struct aio_ring. It moves tail. */
struct ring {
    uint32_t id, count, head, tail, magic;
};

#define RING_MAGIC 0xa10a10a1u
#define RING_SIZE  2u

/* Linux's name of it is its address. */
static struct ring *ring_make(void) {
    aio_context_t context = 0;
    need(syscall(SYS_io_setup, RING_SIZE, &context) == 0, "io_setup");
    struct ring *ring = (struct ring *)context;
    errno = EPROTO;
    need(ring->magic == RING_MAGIC, "a ring of another kind than Linux 6.1 has");
    return ring;
}

static void disk_reads_busy(struct ring *ring, int disk, uint64_t size, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct iocb read = {.aio_lio_opcode = IOCB_CMD_PREAD,
                            .aio_fildes = (uint32_t)disk,
                            .aio_buf = (uintptr_t)buffer,
                            .aio_nbytes = PAGE,
                            .aio_offset = (int64_t)(random_next() % (size / PAGE) * PAGE)};
        struct iocb *list = &read;
        need(syscall(SYS_io_submit, ring, 1, &list) == 1, "io_submit");
        while (__atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) == ring->head) {
        }
        __atomic_store_n(&ring->head, ring->tail, __ATOMIC_RELEASE);
    }
}

static void disk_busy(const char *path, unsigned count) {
    int file = open(path, O_RDONLY | O_DIRECT);

    need(file >= 0, path);
    uint64_t size = (uint64_t)lseek(file, 0, SEEK_END);
    struct ring *ring = ring_make();
    disk_reads_busy(ring, file, size, WARM_UP);
    MARK(1);
    disk_reads_busy(ring, file, size, count);
    MARK(2);
}

/* All of it once, so that all lies on the disk. */
static void disk_fill(const char *path) {
    int file = open(path, O_WRONLY | O_DIRECT);

    need(file >= 0, path);
    while (write(file, buffer, MIB) == MIB) {
    }
}

/* ---- a file of a DAX file system, by mmap: each page is touched for the first time ---- */

static void dax(const char *path) {
    int file = open(path, O_RDONLY);

    need(file >= 0, path);
    size_t size = (size_t)lseek(file, 0, SEEK_END);
    const volatile char *at = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
    need(at != MAP_FAILED, "mmap");
    MARK(1);
    for (size_t i = 0; i < size; i += 64) {
        (void)at[i];
    }
    MARK(2);
}

/* ---- a register of a real device, whose memory that file is ---- */

static void registers(const char *path, unsigned count) {
    int file = open(path, O_RDWR | O_SYNC);

    need(file >= 0, path);
    const volatile uint32_t *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
    need(at != MAP_FAILED, "mmap");
    (void)at[0];
    MARK(1);
    for (unsigned i = 0; i < count; i++) {
        (void)at[0];
    }
    MARK(2);
}

/* ---- nothing, for so many seconds ---- */

static void spin(unsigned seconds, int marked) {
    time_t end = time(NULL) + (time_t)seconds;

    if (marked) {
        MARK(1);
    }
    while (time(NULL) < end) {
    }
    if (marked) {
        MARK(2);
    }
}

static int is(const char *word, const char *name, int count, int least) {
    return strcmp(word, name) == 0 && count >= least;
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    const char *where = count > 2 ? words[2] : "";
    unsigned number = count > 3 ? (unsigned)strtoul(words[3], NULL, 10) : 0;

    buffer =
        mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    need(buffer != MAP_FAILED, "mmap");
    memset(buffer, 1, MIB);
    if (is(what, "udp-server", count, 2)) {
        udp_server();
    } else if (is(what, "tcp-server", count, 2)) {
        tcp_server();
    } else if (is(what, "udp", count, 4)) {
        udp(where, number);
    } else if (is(what, "tcp", count, 4)) {
        tcp(where, number);
    } else if (is(what, "offloads", count, 4)) {
        offloads(where, (int)number);
    } else if (is(what, "disk-random", count, 4)) {
        disk(where, PAGE, number, 0);
    } else if (is(what, "disk-in-turn", count, 4)) {
        disk(where, MIB, number, 1);
    } else if (is(what, "disk-busy", count, 4)) {
        disk_busy(where, number);
    } else if (is(what, "disk-fill", count, 3)) {
        disk_fill(where);
    } else if (is(what, "registers", count, 4)) {
        registers(where, number);
    } else if (is(what, "dax", count, 3)) {
        dax(where);
    } else if (is(what, "spin", count, 3) || is(what, "load", count, 3)) {
        spin((unsigned)strtoul(where, NULL, 10), is(what, "spin", count, 3));
    } else {
        printf(
            "iobench udp-server|tcp-server|udp|tcp|offloads|disk-random|disk-in-turn|disk-busy|disk-fill|registers|dax|spin|load ...\n");
        return 1;
    }
    return 0;
}
