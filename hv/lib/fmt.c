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
    bool left, zero, alternate, wide;
    int width;
    int precision; /* of a string, -1 = not given */
};

/* An array type cannot be passed on portably by address, so the va_list travels in a struct. */
struct args {
    va_list list;
};

static void put(struct sink *s, char c, int count) {
    for (; count > 0; count--) {
        if (s->length + 1 < s->size) {
            s->buf[s->length] = c;
        }
        s->length++;
    }
}

/* One field: padding, prefix (sign or 0x), zeros, then the n bytes of body. */
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

static void put_number(struct sink *s, const struct spec *spec, const char *prefix, unsigned base,
                       uint64_t value) {
    char body[20];
    int n = 0;
    do {
        body[(int)sizeof(body) - ++n] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_field(s, spec, prefix, body + sizeof(body) - n, n);
}

static void put_string(struct sink *s, const struct spec *spec, const char *text) {
    text = text != NULL ? text : "(null)";
    int n = 0;
    while ((spec->precision < 0 || n < spec->precision) && text[n] != '\0') {
        n++;
    }
    put_field(s, spec, "", text, n);
}

static int read_number(const char **format, struct args *args) {
    int value = 0;
    if (**format == '*') {
        (*format)++;
        return va_arg(args->list, int);
    }
    for (; **format >= '0' && **format <= '9'; (*format)++) {
        value = value * 10 + (**format - '0');
    }
    return value;
}

/* What stands between '%' and the conversion; returns where the conversion is. */
static const char *read_spec(const char *format, struct spec *spec, struct args *args) {
    for (; *format == '-' || *format == '0' || *format == '#'; format++) {
        spec->left = spec->left || *format == '-';
        spec->zero = spec->zero || *format == '0';
        spec->alternate = spec->alternate || *format == '#';
    }
    spec->width = read_number(&format, args);
    if (*format == '.') {
        format++;
        spec->precision = read_number(&format, args);
    }
    for (; *format == 'l' || *format == 'z'; format++) {
        spec->wide = true; /* all three are 64 bits */
    }
    return format;
}

/* From just after the '%'; returns where the format goes on. */
static const char *put_directive(struct sink *s, const char *format, struct args *args) {
    struct spec spec = {.precision = -1};
    const char *conversion = read_spec(format, &spec, args);
    switch (*conversion) {
    case 'd': {
        int64_t value = spec.wide ? va_arg(args->list, long long) : va_arg(args->list, int);
        put_number(s, &spec, value < 0 ? "-" : "", 10,
                   value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
        break;
    }
    case 'u':
    case 'x': {
        uint64_t value =
            spec.wide ? va_arg(args->list, unsigned long long) : va_arg(args->list, unsigned);
        bool prefixed = spec.alternate && value != 0;
        put_number(s, &spec, prefixed ? "0x" : "", *conversion == 'x' ? 16 : 10, value);
        break;
    }
    case 'c':
        put_field(s, &spec, "", &(char){(char)va_arg(args->list, int)}, 1);
        break;
    case 's':
        put_string(s, &spec, va_arg(args->list, const char *));
        break;
    case '%':
        put(s, '%', 1);
        break;
    default:
        put(s, '%', 1);
        return format;
    }
    return conversion + 1;
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
            put(&s, c, 1);
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
