/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The version, here and nowhere else: the log, a panic, the pre-flight, bhcheck, CPUID and the
 * prompt show it. CHANGELOG.md says what each brought. Which build of a version it is, the GNU
 * build id tells (arch/x86_64/image.c).
 */
#pragma once

#define VERSION_MAJOR 0
#define VERSION_MINOR 9
#define VERSION_PATCH 0

#define VERSION_DIGITS_(n) #n
#define VERSION_DIGITS(n)  VERSION_DIGITS_(n)

#define BULKHEAD_VERSION                                                                           \
    VERSION_DIGITS(VERSION_MAJOR)                                                                  \
    "." VERSION_DIGITS(VERSION_MINOR) "." VERSION_DIGITS(VERSION_PATCH)
