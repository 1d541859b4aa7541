// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bounded formatted printing without a C library. Must never write past the buffer, whatever the
 * arguments; the format itself is always a constant of ours. Called by the log, the faults and the
 * monitor.
 */
#include "hv/lib/fmt.h"

#include "hv/lib/calendar.h"
#include "hv/lib/str.h"

struct sink {
    char *buf;
    size_t size, length;
};

struct spec {
    bool left, zero, alternate, wide;
    int width;
    int precision; /* of a string: at most this many bytes of it */
};

static void put(struct sink *s, char c, int count) {
    for (; count > 0; count--) {
        if (s->length + 1 < s->size) {
            s->buf[s->length] = c;
        }
        s->length++;
    }
}

/* One field: padding, prefix (0x), zeros, then the n bytes of body. */
static void put_field(struct sink *s, const struct spec *spec, const char *prefix, const char *body,
                      int n) {
    int pad = spec->width - (int)strlen(prefix) - n;
    put(s, ' ', spec->left || spec->zero ? 0 : pad);
    for (; *prefix != '\0'; prefix++) {
        put(s, *prefix, 1);
    }
    put(s, '0', spec->zero && !spec->left ? pad : 0);
    for (int i = 0; i < n; i++) {
        put(s, body[i], 1);
    }
    put(s, ' ', spec->left ? pad : 0);
}

static void put_number(struct sink *s, const struct spec *spec, unsigned base, uint64_t value) {
    const char *prefix = spec->alternate && value != 0 ? "0x" : "";
    char body[20];
    int n = 0;
    do {
        body[(int)sizeof(body) - ++n] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_field(s, spec, prefix, body + sizeof(body) - n, n);
}

/* What stands between '%' and the conversion; returns where the conversion is. */
static const char *read_spec(const char *format, struct spec *spec, va_list *args) {
    for (; *format == '-' || *format == '0' || *format == '#'; format++) {
        spec->left = spec->left || *format == '-';
        spec->zero = spec->zero || *format == '0';
        spec->alternate = spec->alternate || *format == '#';
    }
    for (; *format >= '0' && *format <= '9'; format++) {
        spec->width = spec->width * 10 + (*format - '0');
    }
    if (format[0] == '.' && format[1] == '*') {
        spec->precision = va_arg(*args, int);
        format += 2;
    }
    for (; *format == 'l' || *format == 'z'; format++) {
        spec->wide = true; /* all three are 64 bits */
    }
    return format;
}

/* From just after the '%'; returns where the format goes on. */
static const char *put_directive(struct sink *s, const char *format, va_list *args) {
    struct spec spec = {.precision = INT32_MAX};
    const char *conversion = read_spec(format, &spec, args);
    if (*conversion == 'u' || *conversion == 'x') {
        uint64_t value = spec.wide ? va_arg(*args, unsigned long long) : va_arg(*args, unsigned);
        put_number(s, &spec, *conversion == 'x' ? 16 : 10, value);
    } else if (*conversion == 'c') {
        put_field(s, &spec, "", &(char){(char)va_arg(*args, int)}, 1);
    } else if (*conversion == 's') {
        const char *text = va_arg(*args, const char *);
        int n = 0;
        text = text != NULL ? text : "(null)";
        while (n < spec.precision && text[n] != '\0') {
            n++;
        }
        put_field(s, &spec, "", text, n);
    } else { /* %% too */
        put(s, '%', 1);
        return *format == '%' ? format + 1 : format;
    }
    return conversion + 1;
}

size_t fmt_vprint(char *buf, size_t size, const char *format, va_list list) {
    struct sink s = {.buf = buf, .size = size};
    va_list args; /* a parameter's address would not be that of a va_list */
    va_copy(args, list);
    while (*format != '\0') {
        char c = *format++;
        if (c == '%') {
            format = put_directive(&s, format, &args);
        } else {
            put(&s, c, 1);
        }
    }
    va_end(args);
    if (size != 0) {
        buf[min_u64(s.length, size - 1)] = '\0';
    }
    return s.length;
}

size_t fmt_print(char *buf, size_t size, const char *format, ...) {
    va_list list;
    va_start(list, format);
    size_t length = fmt_vprint(buf, size, format, list);
    va_end(list);
    return length;
}

const char *fmt_pci(char *buf, uint32_t function) {
    (void)fmt_print(buf, FMT_PCI_SIZE, "%02x:%02x.%u", function >> 8, function >> 3 & 0x1f,
                    function & 7);
    return buf;
}

const char *fmt_size(char *buf, uint64_t bytes) {
    static const char *const units[] = {"", "K", "M", "G"};
    size_t i = 0;
    for (; i < ARRAY_SIZE(units) - 1 && bytes != 0 && bytes % KIB == 0; i++) {
        bytes /= KIB;
    }
    fmt_print(buf, 24, "%llu%s", (ull)bytes, units[i]);
    return buf;
}

const char *fmt_date(char *buf, uint64_t seconds) {
    struct calendar c = calendar_of((int64_t)seconds);

    (void)fmt_print(buf, FMT_DATE_SIZE, "%04u-%02u-%02u %02u:%02u:%02u", c.year, c.month, c.day,
                    c.hour, c.minute, c.second);
    return buf;
}
