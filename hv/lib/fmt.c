// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bounded formatted printing without a C library. Must never write past the buffer, whatever the
 * arguments; the format itself is always a constant of ours. Called by the log, the faults and the
 * monitor.
 */
#include "hv/lib/fmt.h"

#include "hv/lib/str.h"

struct sink {
    char *buf;
    size_t size, length;
};

struct spec {
    bool left, zero, alternate;
    int width;
    int precision; /* -1 = not given */
    char size;     /* 0, 'h', 'H' (hh), 'l', 'z' (all 64-bit sizes but for l are one) */
    char conversion;
};

static void put(struct sink *s, char c) {
    if (s->length + 1 < s->size) {
        s->buf[s->length] = c;
    }
    s->length++;
}

static void put_repeat(struct sink *s, char c, int count) {
    for (int i = 0; i < count; i++) {
        put(s, c);
    }
}

/* One field: padding, prefix (sign or 0x), zeros, then the n bytes of body. */
static void put_field(struct sink *s, const struct spec *spec, const char *prefix, int zeros,
                      const char *body, int n) {
    int pad = spec->width - (int)strlen(prefix) - zeros - n;
    if (!spec->left) {
        put_repeat(s, ' ', pad);
    }
    while (*prefix != '\0') {
        put(s, *prefix++);
    }
    put_repeat(s, '0', zeros);
    for (int i = 0; i < n; i++) {
        put(s, body[i]);
    }
    if (spec->left) {
        put_repeat(s, ' ', pad);
    }
}

static void put_number(struct sink *s, const struct spec *spec, uint64_t value, unsigned base,
                       const char *prefix) {
    const char *digits = spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char body[20];
    int n = 0;
    while (value != 0) {
        body[(int)sizeof(body) - ++n] = digits[value % base];
        value /= base;
    }
    int zeros = spec->precision < 0 ? (n == 0) : spec->precision - n;
    if (spec->precision < 0 && spec->zero && !spec->left) {
        int fill = spec->width - (int)strlen(prefix) - n;
        zeros = fill > zeros ? fill : zeros;
    }
    put_field(s, spec, prefix, zeros > 0 ? zeros : 0, body + sizeof(body) - n, n);
}

static void put_string(struct sink *s, const struct spec *spec, const char *text) {
    if (text == NULL) {
        text = "(null)";
    }
    int n = 0;
    while ((spec->precision < 0 || n < spec->precision) && text[n] != '\0') {
        n++;
    }
    put_field(s, spec, "", 0, text, n);
}

static int read_number(const char **format) {
    int value = 0;
    while (**format >= '0' && **format <= '9') {
        value = value < 100000 ? value * 10 + (**format - '0') : value;
        (*format)++;
    }
    return value;
}

static void read_flags(const char **format, struct spec *spec) {
    for (;; (*format)++) {
        switch (**format) {
        case '-':
            spec->left = true;
            break;
        case '0':
            spec->zero = true;
            break;
        case '#':
            spec->alternate = true;
            break;
        default:
            return;
        }
    }
}

static void read_size(const char **format, struct spec *spec) {
    char c = **format;
    if (c != 'h' && c != 'l' && c != 'z') {
        return;
    }
    spec->size = c;
    (*format)++;
    if (c != 'z' && **format == c) {
        spec->size = c == 'h' ? 'H' : 'z';
        (*format)++;
    }
}

/* An array type cannot be passed on portably by address, so the va_list travels in a struct. */
struct args {
    va_list list;
};

static int64_t next_signed(struct args *args, char size) {
    switch (size) {
    case 'H':
        return (signed char)va_arg(args->list, int);
    case 'h':
        return (short)va_arg(args->list, int);
    case 'l':
        return va_arg(args->list, long);
    case 'z':
        return va_arg(args->list, long long);
    default:
        return va_arg(args->list, int);
    }
}

static uint64_t next_unsigned(struct args *args, char size) {
    switch (size) {
    case 'H':
        return (unsigned char)va_arg(args->list, unsigned);
    case 'h':
        return (unsigned short)va_arg(args->list, unsigned);
    case 'l':
        return va_arg(args->list, unsigned long);
    case 'z':
        return va_arg(args->list, unsigned long long);
    default:
        return va_arg(args->list, unsigned);
    }
}

/* False if the conversion is not one of ours; nothing was printed or taken then. */
static bool put_conversion(struct sink *s, struct spec *spec, struct args *args) {
    switch (spec->conversion) {
    case 'd':
    case 'i': {
        int64_t value = next_signed(args, spec->size);
        put_number(s, spec, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10,
                   value < 0 ? "-" : "");
        return true;
    }
    case 'u':
        put_number(s, spec, next_unsigned(args, spec->size), 10, "");
        return true;
    case 'x':
    case 'X': {
        uint64_t value = next_unsigned(args, spec->size);
        const char *prefix = spec->conversion == 'x' ? "0x" : "0X";
        put_number(s, spec, value, 16, spec->alternate && value != 0 ? prefix : "");
        return true;
    }
    case 'p':
        put_number(s, spec, (uintptr_t)va_arg(args->list, void *), 16, "0x");
        return true;
    case 'c': {
        char c = (char)va_arg(args->list, int);
        put_field(s, spec, "", 0, &c, 1);
        return true;
    }
    case 's':
        put_string(s, spec, va_arg(args->list, const char *));
        return true;
    default:
        return false;
    }
}

/* From just after the '%'; returns where the format goes on. */
static const char *put_directive(struct sink *s, const char *format, struct args *args) {
    struct spec spec = {.precision = -1};
    const char *start = format;
    read_flags(&format, &spec);
    if (*format == '*') {
        format++;
        spec.width = va_arg(args->list, int);
        spec.left = spec.left || spec.width < 0;
        spec.width = spec.width < 0 ? -spec.width : spec.width;
    } else {
        spec.width = read_number(&format);
    }
    if (*format == '.') {
        format++;
        if (*format == '*') {
            format++;
            spec.precision = va_arg(args->list, int);
        } else {
            spec.precision = read_number(&format);
        }
    }
    read_size(&format, &spec);
    spec.conversion = *format;
    if (*format == '%') {
        put(s, '%');
        return format + 1;
    }
    if (!put_conversion(s, &spec, args)) {
        put(s, '%');
        return start;
    }
    return format + 1;
}

size_t fmt_vprint(char *buf, size_t size, const char *format, va_list list) {
    struct sink s = {.buf = buf, .size = size};
    struct args args;
    va_copy(args.list, list);
    while (*format != '\0') {
        char c = *format++;
        if (c == '%') {
            format = put_directive(&s, format, &args);
        } else {
            put(&s, c);
        }
    }
    va_end(args.list);
    if (size != 0) {
        buf[s.length < size ? s.length : size - 1] = '\0';
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

const char *fmt_size(char *buf, uint64_t bytes) {
    static const struct {
        uint64_t unit;
        const char *suffix;
    } units[] = {{GIB, "G"}, {MIB, "M"}, {KIB, "K"}, {1, ""}};
    size_t i = 0;
    while (bytes == 0 ? units[i].unit != 1 : bytes % units[i].unit != 0) {
        i++;
    }
    fmt_print(buf, 24, "%llu%s", (unsigned long long)(bytes / units[i].unit), units[i].suffix);
    return buf;
}
