#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Gets what building, running and testing Bulkhead needs on Debian.
#
#   scripts/setup.sh             installs missing packages; silent when none is
#   scripts/setup.sh kernel DIR  the demo guests' kernel as DIR/guests/vmlinuz, the modules they
#                                need of it in DIR/guests/modules
#   scripts/setup.sh font DIR    the screen font as DIR/font.psf
#   scripts/setup.sh ipxe DIR    the network boot loader, for its test: DIR/ipxe.efi
#   scripts/setup.sh kinds DIR   other kernels, for the tests: DIR/guests/vmlinuz-rt,
#                                memtest64, memtest32, grub (a Multiboot image)
#
# All these are taken out of their packages without installing these: the machine that builds
# gets no second kernel and no other console.
set -eu

# package, what it is for
packages='
acpica-tools     iasl, checks the ACPI tables that guests get
binutils         links the hypervisor, makes the EFI file
bochs            PC emulator with VT-x and AMD-V: runs the tests, counts instructions
bochsbios        BIOS files of that emulator
busybox-static   user land of the demo guest
clang            second C compiler, for make check
clang-format     checks the layout of the C files
dmidecode        reads the SMBIOS tables that guests get, in the unit tests
gcc              C compiler
gnu-efi          headers and start-up code of EFI applications
lcov             adds up and shows what lines the tests run
libc6-dev        C library, for the unit tests
libzydis-dev     instruction decoder that ours is compared with in the tests
make             builds
mtools           writes the FAT file system of the USB stick
ovmf             UEFI firmware for the emulators
python3          runs the tests, makes images
qemu-system-x86  PC emulator with AMD-V, or with what KVM gives: runs the demo and the tests
vgabios          screen firmware of the emulator
'
kernel_package=linux-image-cloud-amd64
rt_package=linux-image-rt-amd64
font_package=console-setup-linux
font_file=usr/share/consolefonts/Lat15-Terminus16.psf.gz

say() {
    echo "setup: $*" >&2
}

fail() {
    say "$*"
    exit 1
}

# Runs a command as root, or says which one the user has to run.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        fail "this needs root and there is no sudo. Please run as root:  $*"
    fi
}

update_lists() {
    say "reading the package lists (apt-get update)"
    as_root apt-get -qq update
}

install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 install "$@" >&2
}

install_missing() {
    names=$(echo "$packages" | awk 'NF { print $1 }')
    # shellcheck disable=SC2086 # one word for each package is wanted here
    present=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $names 2>/dev/null |
        awk '$2 == "installed" { printf "%s ", $1 }') || true
    missing=$(echo "$packages" | awk -v present="$present" '
        BEGIN { n = split(present, list, " "); for (i = 1; i <= n; i++) have[list[i]] = 1 }
        NF && !($1 in have)')
    [ -n "$missing" ] || return 0
    names=$(echo "$missing" | awk '{ print $1 }')
    command -v apt-get >/dev/null 2>&1 ||
        fail "this is not Debian: please install what is called there" $names
    say "these Debian packages are missing and will be installed:"
    echo "$missing" | sed 's/^/    /' >&2
    # shellcheck disable=SC2086
    apt-get -qq -s --no-install-recommends install $names >/dev/null 2>&1 || update_lists
    # shellcheck disable=SC2086
    install $names || { # the lists may be older than the archive
        update_lists
        install $names
    }
}

# Unpacks package $1 into the empty folder $2.
unpack() {
    rm -rf "$2"
    mkdir -p "$2"
    say "fetching $1 (unpacked under $2, not installed)"
    (cd "$2" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$1" >&2) || {
        update_lists
        (cd "$2" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$1" >&2)
    }
    dpkg -x "$2"/*.deb "$2"
    rm -f "$2"/*.deb
}

# The package that $1 stands for.
kernel_dependency() {
    apt-cache show "$1" 2>/dev/null | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1
}

# The kernel that package $1 stands for, as $2/guests/$3, and its modules $4.
fetch_kernel() {
    package=$(kernel_dependency "$1")
    if [ -z "$package" ]; then
        update_lists
        package=$(kernel_dependency "$1")
    fi
    [ -n "$package" ] || fail "the package $1 is not in the package lists"
    unpack "$package" "$2/kernel-$3"
    mkdir -p "$2/guests"
    [ -z "$4" ] || mkdir -p "$2/guests/modules"
    for module in $4; do
        find "$2/kernel-$3/lib/modules" -name "$module" -exec mv {} "$2/guests/modules" \;
    done
    mv "$2/kernel-$3"/boot/vmlinuz-* "$2/guests/$3"
    rm -rf "$2/kernel-$3"
}

# GRUB for machines without a BIOS follows Multiboot; its terminal is the serial line.
fetch_grub() {
    unpack grub-coreboot-bin "$1/grub/modules"
    unpack grub-common "$1/grub/tools"
    unpack libdevmapper1.02.1 "$1/grub/library"
    cat >"$1/grub/grub.cfg" <<'END'
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
END
    LD_LIBRARY_PATH="$1/grub/library/lib/x86_64-linux-gnu" "$1/grub/tools/usr/bin/grub-mkimage" \
        -O i386-coreboot -d "$1/grub/modules/usr/lib/grub/i386-coreboot" -p / \
        -c "$1/grub/grub.cfg" -o "$1/guests/grub" serial terminal normal echo lsmmap halt
    rm -rf "$1/grub"
}

fetch_ipxe() {
    unpack ipxe "$1/ipxe"
    mv "$1/ipxe/boot/ipxe.efi" "$1/ipxe.efi"
    rm -rf "$1/ipxe"
}

fetch_kinds() {
    mkdir -p "$1/guests"
    unpack memtest86+ "$1/memtest"
    mv "$1/memtest/boot/memtest86+x64.bin" "$1/guests/memtest64"
    mv "$1/memtest/boot/memtest86+ia32.bin" "$1/guests/memtest32"
    rm -rf "$1/memtest"
    fetch_grub "$1"
    fetch_kernel "$rt_package" "$1" vmlinuz-rt "" # the last: with it all are there
}

fetch_font() {
    unpack "$font_package" "$1/font"
    gzip -dc "$1/font/$font_file" >"$1/font.psf.part"
    mv "$1/font.psf.part" "$1/font.psf"
    rm -rf "$1/font"
}

case "${1-packages} $#" in
"packages "[01]) install_missing ;;
"kernel 2") [ -s "$2/guests/vmlinuz" ] && [ -s "$2/guests/modules/evdev.ko" ] ||
    fetch_kernel "$kernel_package" "$2" vmlinuz "button.ko evdev.ko" ;;
"ipxe 2") [ -s "$2/ipxe.efi" ] || fetch_ipxe "$2" ;;
"kinds 2") [ -s "$2/guests/vmlinuz-rt" ] || fetch_kinds "$2" ;;
"font 2") [ -s "$2/font.psf" ] || fetch_font "$2" ;;
*) fail "usage: scripts/setup.sh [packages | kernel DIR | kinds DIR | ipxe DIR | font DIR]" ;;
esac
