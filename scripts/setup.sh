#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Looks for the tools that building, running and testing Bulkhead need, and gets them on Debian.
#
#   scripts/setup.sh need GROUP...     says which tools of these groups are missing, and installs nothing
#   scripts/setup.sh install GROUP...  installs the packages of those that are missing; silent when none is
#   scripts/setup.sh                   the same for all groups
#   scripts/setup.sh kernel DIR  the demo guests' kernel as DIR/guests/vmlinuz, the modules they
#                                need of it in DIR/guests/modules
#   scripts/setup.sh font DIR    the screen font as DIR/font.psf
#   scripts/setup.sh root DIR    the Debian packages that guests' root file system is made of, in
#                                DIR/guests/packages
#   scripts/setup.sh ipxe DIR    the network boot loader, for its test: DIR/ipxe.efi
#   scripts/setup.sh full DIR    Debian's kernel for PCs, for a test: DIR/guests/vmlinuz-full, and
#                                modules in DIR/guests/modules-full
#   scripts/setup.sh kinds DIR   other kernels, for the tests: DIR/guests/vmlinuz-rt,
#                                memtest64, memtest32, grub (a Multiboot image)
#   scripts/setup.sh crash DIR   what loads a crash kernel in a guest: DIR/guests/crash/, kexec and
#                                its libraries
#   scripts/setup.sh nbd DIR     the same of the client of network block devices: DIR/guests/nbd/
#   scripts/setup.sh installer DIR  Debian's installer, for a test: DIR/guests/vmlinuz-installer, installer.img,
#                                and drivers that it would fetch: installer-drivers.udeb
#   scripts/setup.sh xen DIR     Xen with a dom0, as a guest: DIR/guests/xen, a GRUB that has all of it;
#                                wants DIR/guests/vmlinuz-full and full.img
#
# Groups: build, stick, check, emulators, sign, root, and only when it is named terminal, for make terminal-check. What kernel, font, ipxe and kinds fetch is taken out of its package
# without installing this: the machine that builds gets no second kernel and no other console.
set -eu

# group, what shows that it is there (a command, a file, static:PROGRAM), Debian's package, what it is for
tools='
build     make                                  make             builds
build     gcc                                   gcc              C compiler
build     ld                                    binutils         links the hypervisor, makes the EFI file
build     iasl                                  acpica-tools     checks the ACPI tables that guests get
build     python3                               python3          runs the tests, makes images
build     /usr/include/stdio.h                  libc6-dev        C library, for bhcheck and the unit tests
build     /usr/include/efi/efi.h                gnu-efi          headers and start-up code of EFI applications
stick     mformat                               mtools           writes the FAT file system of the USB stick
stick     mkfs.erofs                            erofs-utils      makes the image that the demo guests share
stick     static:/bin/busybox                   busybox-static   user land of the demo guest
check     clang                                 clang            second C compiler
check     clang-format                          clang-format     checks the layout of the C files
check     dmidecode                             dmidecode        reads the SMBIOS tables that guests get
check     lcov                                  lcov             adds up and shows what lines the tests run
check     /usr/include/Zydis/Zydis.h            libzydis-dev     instruction decoder that ours is compared with
emulators bochs                                 bochs            PC emulator with VT-x and AMD-V
emulators /usr/share/bochs/BIOS-bochs-latest    bochsbios        BIOS files of that emulator
emulators /usr/share/bochs/VGABIOS-lgpl-latest  vgabios          screen firmware of that emulator
emulators qemu-system-x86_64                    qemu-system-x86  PC emulator with AMD-V, or with what KVM gives
emulators gdb                                   gdb              debugger, joins QEMU
emulators /usr/share/OVMF/OVMF_CODE.fd          ovmf             UEFI firmware for the emulators
root      mkfs.erofs                            erofs-utils      writes the root file system of guests
root      depmod                                kmod             lists the modules in it
root      mkfs.ext4                             e2fsprogs        writes a disk for guests, in a test
sign      sbsign                                sbsigntool       signs the EFI application for Secure Boot
sign      openssl                               openssl          makes keys for that
terminal  /usr/lib/python3/dist-packages/pyte   python3-pyte     terminal that ours is compared with
terminal  /usr/lib/cdebconf/frontend/newt.so    cdebconf         front end of the installer of Debian
terminal  dialog                                dialog           the others: what is run in both terminals
terminal  htop                                  htop             ...
terminal  less                                  less             ...
terminal  mc                                    mc               ...
terminal  nano                                  nano             ...
terminal  top                                   procps           ...
terminal  vim.tiny                              vim-tiny         ...
terminal  vim                                   vim              ...
terminal  whiptail                              whiptail         ...
'
groups='build stick check emulators root sign'
kernel_package=linux-image-cloud-amd64
full_package=linux-image-amd64
modules="button.ko evdev.ko virtio.ko virtio_ring.ko virtio_pci_modern_dev.ko virtio_pci_legacy_dev.ko
    virtio_pci.ko virtio-rng.ko failover.ko net_failover.ko virtio_net.ko virtio_blk.ko
    virtio_console.ko vsock.ko vmw_vsock_virtio_transport_common.ko vmw_vsock_virtio_transport.ko
    libcrc32c.ko erofs.ko overlay.ko libnvdimm.ko nd_btt.ko nd_pmem.ko nd_e820.ko device_dax.ko nbd.ko llc.ko stp.ko bridge.ko
    watchdog.ko wdat_wdt.ko
    crc32c_generic.ko crc16.ko mbcache.ko jbd2.ko ext4.ko" # cloud kernels have the last row built in
last_module=wdat_wdt.ko
# For the devices of a PC that a guest may be given; of Debian's kernel for PCs.
driver_modules="crct10dif_common.ko crc-t10dif.ko crc64.ko crc64-rocksoft.ko t10-pi.ko nvme-core.ko nvme.ko
    scsi_common.ko scsi_mod.ko sd_mod.ko libata.ko libahci.ko ahci.ko e1000e.ko usb-common.ko usbcore.ko xhci-hcd.ko
    xhci-pci.ko usb-storage.ko mmc_core.ko mmc_block.ko cqhci.ko sdhci.ko sdhci-pci.ko"
last_driver=sdhci-pci.ko
# What the guests' root is made of, with all that it depends on but for what only scripts of
# packages use, and what fio and nbdkit have for other kinds of storage (see guests/linux/mkroot).
root_packages="bash busybox-static coreutils dash diffutils e2fsprogs findutils fio grep gzip iperf3 iproute2
    iputils-ping kmod mawk mount nbdkit netbase openssh-client openssh-server pciutils procps python3-minimal
    rng-tools5 sed socat tar util-linux"
root_without="adduser debconf dpkg gcc-12-base init-system-helpers libboost-iostreams1.74.0
    libboost-thread1.74.0 libbrotli1 libcryptsetup12 libcurl3-gnutls libdb5.3 libfile-find-rule-perl libfmt9
    libgdbm-compat4 libgdbm6 libgfapi0 libgfrpc0 libgfxdr0 libglib2.0-0 libglusterfs0 libicu72 libldap-2.5-0
    libnbd0 libnghttp2-14 libnumber-compare-perl libperl5.36 libpsl5 libpython3-stdlib libpython3.11-stdlib
    librados2 librbd1 librtmp1 libsasl2-2 libsasl2-modules-db libsemanage-common libsemanage2 libsepol2
    libsqlite3-0 libssh-4 libssh2-1 libtext-glob-perl libtorrent-rasterbar2.0 libxml2 lsb-base media-types passwd perl perl-base
    perl-modules-5.36 python3 python3.11 runit-helper sensible-utils ucf usrmerge"
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

have_apt() {
    command -v apt-get >/dev/null 2>&1
}

# Is that command, file or static program there?
is_there() {
    case "$1" in
    static:*) [ -x "${1#static:}" ] && ! grep -q /ld-linux "${1#static:}" ;;
    /*) [ -e "$1" ] ;;
    *) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# One line for each tool of these groups that is missing: package, what shows it, what it is for.
missing_tools() {
    echo "$tools" | while read -r group shows package purpose; do
        case " $* " in
        *" $group "*) is_there "$shows" || printf '%-16s %-38s %s\n' "$package" "${shows#static:}" "$purpose" ;;
        esac
    done
}

need_tools() {
    missing=$(missing_tools "$@")
    [ -n "$missing" ] || return 0
    say "missing (Debian's package, what was looked for, what it is for):"
    echo "$missing" | sed 's/^/    /' >&2
    if have_apt; then
        fail "\"make setup\" installs them; so do \"make run\" and \"make test\""
    fi
    fail "there is no apt-get here: please install what your system calls them"
}

install_tools() {
    missing=$(missing_tools "$@")
    [ -n "$missing" ] || return 0
    have_apt || need_tools "$@"
    names=$(echo "$missing" | awk '{ print $1 }' | sort -u)
    say "these Debian packages are missing and will be installed:"
    echo "$missing" | sed 's/^/    /' >&2
    # shellcheck disable=SC2086
    apt-get -qq -s --no-install-recommends install $names >/dev/null 2>&1 || update_lists
    # shellcheck disable=SC2086
    install $names || { # the lists may be older than the archive
        update_lists
        # shellcheck disable=SC2086
        install $names
    }
    missing=$(missing_tools "$@")
    [ -z "$missing" ] || need_tools "$@"
}

# Unpacks package $1 into the empty folder $2.
unpack() {
    have_apt || fail "there is no apt-get here to fetch Debian's package $1 with: $wanted"
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

# The kernel that package $1 stands for, as $2/guests/$3, and our modules of it in $2/guests/$4.
fetch_kernel() {
    have_apt || fail "there is no apt-get here to fetch Debian's package $1 with: $wanted"
    package=$(kernel_dependency "$1")
    if [ -z "$package" ]; then
        update_lists
        package=$(kernel_dependency "$1")
    fi
    [ -n "$package" ] || fail "the package $1 is not in the package lists"
    unpack "$package" "$2/kernel-$3"
    mkdir -p "$2/guests"
    if [ -n "$4" ]; then
        mkdir -p "$2/guests/$4"
        for module in $modules; do
            find "$2/kernel-$3/lib/modules" -name "$module" -exec mv {} "$2/guests/$4" \;
        done
    fi
    mv "$2/kernel-$3"/boot/vmlinuz-* "$2/guests/$3"
    rm -rf "$2/kernel-$3"
}

# What apt would install on a machine that has nothing yet, less what no guest needs.
root_names() {
    apt-get -qq -s --no-install-recommends -o Dir::State::status="$1" install $root_packages 2>/dev/null |
        awk -v without="$(echo $root_without)" '
            BEGIN { n = split(without, name, " "); for (i = 1; i <= n; i++) left_out[name[i]] = 1 }
            /^Inst / && !($2 in left_out) { print $2 }'
}

fetch_root() {
    have_apt || fail "there is no apt-get here to fetch Debian's packages with: $wanted"
    rm -rf "$1/guests/packages"
    mkdir -p "$1/guests/packages"
    say "fetching the packages of the guests' root (into $1/guests/packages, not installed)"
    (
        cd "$1/guests/packages"
        : >nothing
        names=$(root_names "$PWD/nothing")
        # shellcheck disable=SC2086
        [ -n "$names" ] && apt-get -qq -o APT::Sandbox::User="$(id -un)" download $names >&2 || {
            update_lists
            names=$(root_names "$PWD/nothing")
            # shellcheck disable=SC2086
            apt-get -qq -o APT::Sandbox::User="$(id -un)" download $names >&2
        }
        rm -f nothing
        ls >list.part
        echo "$root_packages" >wanted
        mv list.part list
    )
}

# GRUB for machines without a BIOS follows Multiboot; its terminal is the serial line.
unpack_grub() {
    unpack grub-coreboot-bin "$1/grub/modules"
    unpack grub-common "$1/grub/tools"
    unpack libdevmapper1.02.1 "$1/grub/library"
    cat >"$1/grub/grub.cfg" <<'END'
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
END
}

# $1/guests/$2 with grub.cfg, and more words for grub-mkimage.
make_grub() {
    folder=$1
    name=$2
    shift 2
    LD_LIBRARY_PATH="$folder/grub/library/lib/x86_64-linux-gnu" "$folder/grub/tools/usr/bin/grub-mkimage" \
        -O i386-coreboot -d "$folder/grub/modules/usr/lib/grub/i386-coreboot" \
        -c "$folder/grub/grub.cfg" -o "$folder/guests/$name" serial terminal normal echo "$@"
    rm -rf "$folder/grub"
}

fetch_grub() {
    unpack_grub "$1"
    make_grub "$1" grub -p / lsmmap halt
}

# kexec asks Xen's libraries whether it runs in a dom0.
crash_packages='kexec-tools libc6 libxenmisc4.17 libxencall1 libxendevicemodel1 libxenevtchn1 libxenforeignmemory1
    libxengnttab1 libxentoolcore1 libxentoollog1 liblzma5 zlib1g libzstd1'

# The client of the kernel's network block devices reads TLS as well.
nbd_packages='nbd-client libc6 libffi8 libgmp10 libgnutls30 libhogweed6 libidn2-0 libnettle8 libnl-3-200
    libnl-genl-3-200 libp11-kit0 libtasn1-6 libunistring2'

# A program with its libraries, as $1/guests/$2: $3 is its path in one of the packages that follow.
fetch_program() {
    folder=$1/$2
    out=$1/guests/$2
    program=$3
    shift 3
    for package in "$@"; do
        unpack "$package" "$folder/$package"
    done
    mkdir -p "$folder/lib" "$out"
    find "$folder" -path '*/lib/x86_64-linux-gnu/lib*.so*' -exec cp -P {} "$folder/lib/" \;
    loader=$(find "$folder/libc6" -name ld-linux-x86-64.so.2 -type f)
    cp "$loader" "$folder/lib/"
    for library in $(LD_LIBRARY_PATH="$folder/lib" "$loader" --list "$folder/$program" |
        awk '$2 == "=>" { print $1 }'); do
        cp -L "$folder/lib/${library##*/}" "$out/"
    done
    mv "$folder/$program" "$out/" # the last: with it all are there
    rm -rf "$folder"
}

# As docs/guests.md says it. smap=0: QEMU before 9.1 takes the stack of an IRET at CPL 3, which dom0 does, for the
# kernel's.
fetch_xen() {
    unpack_grub "$1"
    unpack xen-hypervisor-4.17-amd64 "$1/grub/xen"
    gzip -dc "$1"/grub/xen/boot/xen-4.17-amd64.gz >"$1/grub/xen/xen"
    cp "$1/guests/vmlinuz-full" "$1/grub/xen/vmlinuz"
    cp "$1/guests/full.img" "$1/grub/xen/initrd.img"
    cat >>"$1/grub/grub.cfg" <<'END'
multiboot (memdisk)/xen placeholder console=com1 com1=115200,8n1 dom0_mem=256M smap=0
module (memdisk)/vmlinuz placeholder console=hvc0 bh.name=dom0
module (memdisk)/initrd.img
boot
END
    tar cf "$1/grub/files.tar" -C "$1/grub/xen" xen vmlinuz initrd.img
    make_grub "$1" xen -p '(memdisk)/' -m "$1/grub/files.tar" memdisk tar multiboot gzio boot
}

# apt with the part of the archive that is for the installer alone, and lists of its own, below $1.
installer_apt() {
    lists=$1
    shift
    apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Dir::Etc::sourcelist="$lists/sources" \
        -o Dir::Etc::sourceparts=/nowhere -o Dir::State="$lists" -o Dir::State::status="$lists/status" \
        -o Dir::Cache="$lists" "$@" >&2
}

# The archive's address, as this machine's apt has it for its own packages.
archive_address() {
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' 2>/dev/null | head -n 1
}

# Its netboot image has no driver for virtio's disks: it fetches that as a package of its kernel.
fetch_installer() {
    rm -rf "$1/installer-lists"
    mkdir -p "$1/guests" "$1/installer-lists/lists/partial" "$1/installer-lists/archives/partial"
    unpack debian-installer-12-netboot-amd64 "$1/installer"
    image=$1/installer/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
    release=$(grep -a -o -m 1 '6\.1\.0-[0-9]*-amd64 (debian-kernel' "$image/linux" | head -n 1)
    : >"$1/installer-lists/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(archive_address) bookworm main/debian-installer" \
        >"$1/installer-lists/sources"
    lists=$(cd "$1/installer-lists" && pwd)
    installer_apt "$lists" update
    (cd "$1/installer" && installer_apt "$lists" download "scsi-modules-${release%% *}-di")
    mv "$1"/installer/*.udeb "$1/guests/installer-drivers.udeb"
    mv "$image/linux" "$1/guests/vmlinuz-installer"
    mv "$image/initrd.gz" "$1/guests/installer.img" # the last: with it all are there
    rm -rf "$1/installer" "$1/installer-lists"
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

# A console that has the font has its file.
fetch_font() {
    file=/$font_file
    if [ ! -r "$file" ]; then
        unpack "$font_package" "$1/font"
        file=$1/font/$font_file
    fi
    gzip -dc "$file" >"$1/font.psf.part"
    mv "$1/font.psf.part" "$1/font.psf"
    rm -rf "$1/font"
}

# What to do by hand where a package cannot be fetched.
wanted="please get the file that \"$*\" stands for (see the head of scripts/setup.sh) from elsewhere"

case "${1-install} $#" in
"need "*)
    shift
    need_tools "$@"
    ;;
"install "[01])
    # shellcheck disable=SC2086
    install_tools $groups
    ;;
"install "*)
    shift
    install_tools "$@"
    ;;
"kernel 2")
    wanted="please put a Linux bzImage at $2/guests/vmlinuz, its modules ($modules) into $2/guests/modules"
    [ -s "$2/guests/vmlinuz" ] && [ -s "$2/guests/modules/$last_module" ] ||
        fetch_kernel "$kernel_package" "$2" vmlinuz modules
    ;;
"full 2")
    modules="$modules $driver_modules"
    wanted="please put Debian's kernel for PCs at $2/guests/vmlinuz-full, its modules ($modules) into $2/guests/modules-full"
    [ -s "$2/guests/vmlinuz-full" ] && [ -s "$2/guests/modules-full/$last_driver" ] &&
        [ -s "$2/guests/modules-full/$last_module" ] ||
        fetch_kernel "$full_package" "$2" vmlinuz-full modules-full
    ;;
"root 2") # other packages than once were wanted: all of them anew
    have=$(cat "$2/guests/packages/wanted" 2>/dev/null || true)
    [ "$have" != "$root_packages" ] || [ ! -s "$2/guests/packages/list" ] || exit 0
    fetch_root "$2"
    ;;
"ipxe 2") [ -s "$2/ipxe.efi" ] || fetch_ipxe "$2" ;;
"crash 2")
    # shellcheck disable=SC2086
    [ -s "$2/guests/crash/kexec" ] || fetch_program "$2" crash kexec-tools/sbin/kexec $crash_packages
    ;;
"nbd 2")
    # shellcheck disable=SC2086
    [ -s "$2/guests/nbd/nbd-client" ] || fetch_program "$2" nbd nbd-client/sbin/nbd-client $nbd_packages
    ;;
"installer 2") [ -s "$2/guests/installer.img" ] || fetch_installer "$2" ;;
"xen 2") [ -s "$2/guests/xen" ] || fetch_xen "$2" ;;
"kinds 2") [ -s "$2/guests/vmlinuz-rt" ] || fetch_kinds "$2" ;;
"font 2")
    wanted="please put a font of 8 x 16 dots, PSF version 1, unpacked, at $2/font.psf"
    [ -s "$2/font.psf" ] || fetch_font "$2"
    ;;
*) fail "usage: scripts/setup.sh [need GROUP... | install GROUP... | kernel DIR | full DIR | kinds DIR | root DIR | nbd DIR | installer DIR | ipxe DIR | font DIR]" ;;
esac
