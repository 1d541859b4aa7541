#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is the console's terminal what everyday programs take it for?

Runs programs of Debian in a terminal of this PC's, types scripted keys, and gives what they print to the console's
terminal (build/unit/print_terminal) and to pyte, a terminal of other people's. Both must show the same: characters,
colours, cursor. Then the serial side: pyte must show the same with what passes to an admin's terminal as with all.
Needs packages that nothing else here needs: `scripts/setup.sh install terminal`. `make terminal-check` runs all;
--record writes the recordings of the short form, tests/unit/test_recorded.c.
"""
import argparse
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time

import pyte
import pyte.graphics

ROOT = pathlib.Path(__file__).resolve().parent.parent
# TERM, locale, columns and rows: as a guest may have them. In the C locale lines are drawn with the special graphics.
SETTINGS = [("linux", "C.UTF-8", 80, 24), ("linux", "C.UTF-8", 128, 47), ("linux", "C", 80, 24),
            ("vt220", "C.UTF-8", 80, 24), ("vt220", "C", 80, 24), ("xterm-256color", "C.UTF-8", 80, 24)]
# Short ones, of each kind of program, that show nothing of the PC they were made on.
RECORDED = [("apt-progress", "linux", "C.UTF-8"), ("bash", "linux", "C.UTF-8"), ("dialog-checklist", "linux", "C"),
            ("dialog-menu", "vt220", "C"), ("installer", "linux", "C.UTF-8"), ("less-numbers", "linux", "C.UTF-8"), ("nano", "vt220", "C.UTF-8"),
            ("systemd", "linux", "C.UTF-8"), ("top-alone", "linux", "C.UTF-8"), ("tput", "linux", "C.UTF-8"), ("vim", "xterm-256color", "C.UTF-8"),
            ("vim-syntax", "linux", "C.UTF-8"), ("whiptail-menu", "linux", "C.UTF-8")]
QUIET = 0.4         # seconds without output after which the next keys are typed
PATIENCE = 20       # for the first output, and for all of one step

GREY, BLACK, BRIGHT = 7, 0, 8
UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"

LONG_TEXT = "".join(f"{i:4d} The quick brown fox jumps over the lazy dog, and that {i} times.\n" for i in range(300))
# Debian's installer: its own program that asks (cdebconf, with its newt front end), a few of its questions.
INSTALLER = {
    "cdebconf.conf": """\
global {
  module_path { frontend "/usr/lib/cdebconf/frontend"; database "/usr/lib/cdebconf/db"; };
  default { frontend "screen"; template "templates"; config "questions"; };
};
frontend { instance "screen" { driver "newt"; }; };
template { instance "templates" { driver "rfc822db"; path "templates.dat"; }; };
config { instance "questions" { driver "rfc822db"; path "questions.dat"; }; };
""",
    "templates": """\
Template: di/title
Type: title
Description: Install the system

Template: di/language
Type: select
Choices: C, English, Deutsch, Français, Íslenska, Ελληνικά, Русский
Default: English
Description: Language:
 Choose the language to be used for the installation process. The selected
 language will also be the default language for the installed system.

Template: di/tasks
Type: multiselect
Choices: Debian desktop environment, web server, SSH server, standard system utilities
Default: SSH server, standard system utilities
Description: Choose software to install:
 At the moment, only the core of the system is installed.

Template: di/password
Type: password
Description: Root password:
 You need to set a password for 'root', the system administrative account.

Template: di/write
Type: boolean
Default: false
Description: Write the changes to disks?
 If you continue, the changes listed below will be written to the disks.

Template: di/progress
Type: text
Description: Installing the base system

Template: di/info
Type: text
Description: Unpacking libc6 (amd64)...

Template: debconf/priority
Type: select
Choices: critical, high, medium, low
Default: high
Description: Ignore questions with a priority less than:
""",
    "questions.sh": """\
#!/bin/sh
say() { echo "$*" >&3; read -r answer; }
exec 3>&1
say SETTITLE di/title
for name in language tasks password write; do
    say INPUT critical di/$name
    say GO
done
say PROGRESS START 0 100 di/progress
say PROGRESS SET 70
say PROGRESS INFO di/info
sleep 5
""",
    # Its settings are in one place: ours are put over them for it alone.
    "installer.sh": """\
mount --bind cdebconf.conf /etc/cdebconf.conf
chmod +x questions.sh
/usr/lib/cdebconf/debconf-loadtemplate di templates
unset DEBIAN_FRONTEND
exec /usr/lib/cdebconf/debconf -odi ./questions.sh
""",
}
# top sees two processes, and a PC that is not this one.
TOP = {
    "uptime": "93784.05 187000.00\n",
    "loadavg": "0.42 0.30 0.10 1/90 1234\n",
    "meminfo": "".join(f"{name}: {kib} kB\n" for name, kib in (
        ("MemTotal", 2048000), ("MemFree", 1024000), ("MemAvailable", 1536000), ("Buffers", 16000), ("Cached", 512000),
        ("SwapTotal", 0), ("SwapFree", 0), ("SReclaimable", 32000))),
    "stat": "cpu  8000 10 2000 170000 100 0 20 0 0 0\ncpu0 4000 5 1000 85000 50 0 10 0 0 0\n"
            "cpu1 4000 5 1000 85000 50 0 10 0 0 0\nbtime 1700000000\nprocesses 1234\nprocs_running 1\n",
    "top.sh": """\
mount -t proc proc /proc
for name in uptime loadavg meminfo stat; do mount --bind $name /proc/$name; done
sleep 1000 &
exec top -d 0.6
""",
}
C_TEXT = "/* A comment */\n#include <stdio.h>\n\nint main(void) {\n\tprintf(\"%d\\n\", 42);\n\treturn 0;\n}\n" * 20

# name -> (command, keys step by step). Files of the working folder: long.txt, main.c, INSTALLER, TOP.
PROGRAMS = {
    "dialog-menu": (["dialog", "--title", "Menu", "--menu", "Choose one of these", "15", "50", "6", "1", "first", "2",
                     "second", "3", "third"], [DOWN, DOWN, UP]),
    "dialog-gauge": (["sh", "-c", "for i in 10 50 90; do echo $i; sleep 0.2; done |"
                      "dialog --gauge 'Getting on' 8 60; sleep 1"], []),
    "dialog-checklist": (["dialog", "--backtitle", "Back", "--checklist", "Some of them", "18", "60", "8", "a", "alpha",
                          "on", "b", "beta", "off", "c", "gamma", "off"], [" ", DOWN, " ", "\t"]),
    "dialog-form": (["dialog", "--form", "Fill in", "14", "60", "4", "Name:", "1", "1", "", "1", "10", "20", "0",
                     "Host:", "2", "1", "web", "2", "10", "20", "0"], ["Anna", DOWN, "server"]),
    "whiptail-menu": (["whiptail", "--title", "newt", "--menu", "As the installer's", "18", "70", "8", "en", "English",
                       "de", "Deutsch", "fr", "Français"], [DOWN, DOWN, "\t"]),
    "whiptail-yesno": (["whiptail", "--yesno", "Continue?", "10", "40"], ["\t"]),
    "whiptail-password": (["whiptail", "--passwordbox", "Secret:", "10", "50"], ["abcdef", "\x7f"]),
    "whiptail-gauge": (["sh", "-c", "for i in 10 50 90; do echo $i; sleep 0.2; done |"
                        "whiptail --gauge 'Installing the base system' 8 60 0; sleep 1"], []),
    "installer": (["unshare", "--map-root-user", "--mount", "sh", "installer.sh"],
                  [DOWN * 2, UP, "\r", " " + DOWN, " \t", "\r", "secret", "\t\t\r", "\t", "\r"]),
    "less": (["less", "long.txt"], [" ", "G", "g", DOWN * 5, "/fox 77\r", "b"]),
    "less-numbers": (["less", "-N", "-S", "main.c"], ["j", "j", RIGHT, "k"]),
    "top": (["top", "-d", "0.6"], ["1", "m", "t", "z"]),
    "top-alone": (["unshare", "--map-root-user", "--mount", "--pid", "--kill-child",
                   "sh", "top.sh"], ["1", "m", "t", "z", "xb"]),
    "htop": (["htop", "-d", "5"], [DOWN, "\x1b[15~"]),
    "vim": (["vim.tiny", "-n", "-u", "NONE", "-N", "main.c"],
            ["Ohello world\x1b", "dd", "5j", "3dd", "p", "G", "gg", ":set number\r", "\x06", "\x02", "iabc\x1b",
             ":split\r", "yyp"]),
    "vim-syntax": (["vim", "-n", "-u", "NONE", "-N", "--cmd", "syntax on", "main.c"], ["\x06", "\x05", "/main\r", "J", "u"]),
    "nano": (["nano", "-I", "main.c"], ["hello\r", DOWN * 30, "\x17return\r", "\x0b", "\x15", "\x19", UP * 40]),
    "mc": (["mc", "-u", "-x", "-d"], ["\t", DOWN * 3, "\x1b[12~", "\x1b\x1b", "\x1b[20~"]),
    "bash": (["bash", "--norc", "-i"], ["ls --color=always /usr\r", "echo ab\x1b[Dx\x01y\x05z\r", "\x12ls", "\x0c",
                                        "printf 'a\\tb\\n%200s|\\n' x\r"]),
    "systemd": (["sh", "-c", r"printf '[\033[0;32m  OK  \033[0m] Started \033[0;1;39mSession\033[0m.\r\n';"
                 r"printf '         Starting \033[0;1;39mcron\033[0m...\r\n';"
                 r"printf '[\033[0;1;31mFAILED\033[0m] Failed to start \033[0;1;39mx.service\033[0m.\r\n';"
                 r"printf '\r\033[K[ \033[0;31m*\033[0;1;31m*\033[0m\033[0;31m*\033[0m  ] A start job is running\r';"
                 r"printf '\033[K[\033[0;1;33mDEPEND\033[0m] Dependency failed\r\n'; sleep 1"], []),
    "apt-progress": (["sh", "-c", r"stty size | { read r c; printf '\033[2J\033[1;%dr' $((r-1)); for i in 1 2 3 4 5; do"
                      r" for l in $(seq 12); do echo unpacking $i.$l; done;"
                      r" printf '\0337\033[%d;1f\033[42m\033[30mProgress: [%3d%%]\033[49m\033[39m [##..] \0338' $r "
                      r"$((i*20)); done; printf '\0337\033[0;%dr\0338' $r; echo end; }; sleep 1"], []),
    "tput": (["sh", "-c", "tput clear; tput cup 5 5; tput smso; echo standout; tput rmso; tput smul; echo under;"
              "tput rmul; tput bold; echo bold; tput sgr0; tput cup 8 0; tput il 2; echo inserted; tput cup 8 3;"
              "tput dch 4; tput cup 9 0; echo abcdef; tput cup 9 2; tput ich 3; tput cup 12 0; tput setaf 1;"
              "tput setab 4; echo red on blue; tput ed; tput cup 15 0; tput civis; sleep 1"], []),
}


# ---- running a program ----

def run(command, keys, columns, rows, term, locale, folder):
    """All that it prints, up to the last keys' effect; it is ended then."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(TERM=term, LANG=locale, LC_ALL=locale, HOME=str(folder), LESSHISTFILE="-", PS1="$ ")
        for name in ("LINES", "COLUMNS"):
            os.environ.pop(name, None)
        time.sleep(0.1)         # until the size is set
        os.execvp(command[0], command)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    seen = read_until_quiet(fd)
    for step in keys:
        os.write(fd, step.encode())
        seen += read_until_quiet(fd)
    os.kill(pid, 9)
    os.close(fd)
    os.waitpid(pid, 0)
    return seen


def read_until_quiet(fd):
    seen, begin = b"", time.monotonic()
    while time.monotonic() - begin < PATIENCE:
        ready, _, _ = select.select([fd], [], [], QUIET if seen else 2)
        if not ready:
            break
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
        if time.monotonic() - begin > 3:       # one that never stops, as top
            break
    return seen


# ---- the other terminal ----

PALETTE = [(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205),
           (229, 229, 229), (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255),
           (0, 255, 255), (255, 255, 255)]
NAMES = ["black", "red", "green", "brown", "blue", "magenta", "cyan", "white"]


# What opens or erases cells.
ERASING = ("index", "reverse_index", "insert_lines", "delete_lines", "insert_characters", "delete_characters",
           "erase_characters", "erase_in_line", "erase_in_display")


class Screen(pyte.Screen):
    """
    pyte, but for what it does otherwise than the Linux console and a VT220:

    - What is erased, scrolled in or inserted has the background's colour alone. pyte gives some of it all attributes,
      inverse among them, some none, and erases cells only that were written before.
    - There is an alternate screen.
    - After the last character of a line erasing takes that character, and no wrap is owed any more (Linux: csi_K() and
      others clear vc_need_wrap; xterm: ResetWrap()). In pyte the cursor stands outside the line then.
    - A bright colour, 90 to 97, is no bold one: the next dark colour is dark again.
    - CSI > m sets xterm's keys and no colour; pyte falls over it.
    - A character that insertion has pushed off a line does not come back.
    """
    def __init__(self, columns, rows):
        super().__init__(columns, rows)
        self.kept = None
        self.fill()

    def blank(self):
        return self.default_char._replace(bg=self.cursor.attrs.bg)

    def fill(self):
        """All cells exist, so that those which do not are new."""
        for y in range(self.lines):
            row = self.buffer[y]
            for x in range(self.columns):
                if x not in row:
                    row[x] = self.blank()
            row.pop(self.columns, None)

    def select_graphic_rendition(self, *attributes, private=False):
        attributes = list(attributes or [0]) if not private else []
        while attributes:
            extended = attributes[0] in (38, 48) and len(attributes) > 1
            group = (5 if attributes[1] == 2 else 3) if extended else 1
            if 90 <= attributes[0] <= 97:
                self.cursor.attrs = self.cursor.attrs._replace(fg="bright" + NAMES[attributes[0] - 90])
            else:
                super().select_graphic_rendition(*attributes[:group])
            del attributes[:group]

    def erase(self, function, *args, **kwargs):
        self.cursor.x = min(self.cursor.x, self.columns - 1)
        attributes, self.cursor.attrs = self.cursor.attrs, self.blank()
        function(*args, **kwargs)
        self.fill()
        self.cursor.attrs = attributes

    def set_mode(self, *modes, **kwargs):
        if kwargs.get("private") and 1049 in modes and self.kept is None:
            self.save_cursor()
            self.kept = {y: dict(self.buffer[y]) for y in range(self.lines)}
            self.erase_in_display(2)
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes, **kwargs):
        super().reset_mode(*modes, **kwargs)
        if kwargs.get("private") and 1049 in modes and self.kept is not None:
            for y in range(self.lines):
                self.buffer[y].update(self.kept[y])
            self.kept = None
            self.restore_cursor()


def erasing(name):
    original = getattr(pyte.Screen, name)

    def method(self, *args, **kwargs):
        self.erase(lambda *a, **k: original(self, *a, **k), *args, **kwargs)
    return method


for operation in ERASING:
    setattr(Screen, operation, erasing(operation))


def nearest(rgb):
    return min(range(16), key=lambda i: sum((a - b) ** 2 for a, b in zip(PALETTE[i], rgb)))


def colour(name, default):
    if name == "default":
        return default
    if name in NAMES:
        return NAMES.index(name)
    if name.startswith("bright"):
        return NAMES.index(name[6:]) + BRIGHT
    index = pyte.graphics.FG_BG_256.index(name) if name in pyte.graphics.FG_BG_256 else None
    if index is not None and index < 16:
        return index
    return nearest(tuple(bytes.fromhex(name)))


def cell(char):
    ink, paper = colour(char.fg, GREY), colour(char.bg, BLACK)
    if char.bold and ink < BRIGHT:
        ink += BRIGHT
    if char.reverse:
        ink, paper = paper, ink
    return (char.data or " ", ink, paper, char.underscore)


def by_pyte(data, columns, rows):
    """(cursor, rows of cells)"""
    screen = Screen(columns, rows)
    stream = pyte.Stream(screen)
    stream.use_utf8 = False     # or it would ignore character sets, which no console does
    stream.feed(data.decode(errors="replace"))
    cursor = (screen.cursor.y, min(screen.cursor.x, columns - 1), not screen.cursor.hidden)
    return cursor, [[cell(screen.buffer[y][x]) for x in range(columns)] for y in range(rows)]


# ---- ours ----

def by_bulkhead(build, data, columns, rows, what="screen"):
    return subprocess.run([build / "unit/print_terminal", what, str(columns), str(rows)], input=data,
                          stdout=subprocess.PIPE, check=True).stdout


def parse(text, columns):
    """What print_terminal says, as by_pyte() does."""
    lines = text.decode().split("\n")
    row, column, shown = lines[0].split()[1:]
    cells = []
    for line in lines[1:]:
        if line.startswith("|"):
            cells.append([(c, GREY, BLACK, False) for c in line[1:1 + columns]])
        elif line:
            first, last, ink, paper, under = re.fullmatch(r"  (\d+)-(\d+) (\d+)/(\d+)( underlined)?", line).groups()
            for x in range(int(first), int(last) + 1):
                cells[-1][x] = (cells[-1][x][0], int(ink), int(paper), bool(under))
    return (int(row), int(column), shown == "shown"), cells


# ---- comparing ----

def visible(c):
    """A blank's ink does not show."""
    character, ink, paper, under = c
    return (character, paper if character == " " and not under else ink, paper, under)


def differences(ours, theirs):
    """At most a few lines of what differs."""
    found = []
    if ours[0] != theirs[0]:
        found.append(f"cursor: {ours[0]}, pyte {theirs[0]}")
    for y, (a, b) in enumerate(zip(ours[1], theirs[1])):
        wrong = [x for x in range(len(a)) if visible(a[x]) != visible(b[x])]
        if wrong:
            x = wrong[0]
            found.append(f"row {y}, {len(wrong)} cells from {x}: {visible(a[x])}, pyte {visible(b[x])}\n"
                         f"       ours |{''.join(c[0] for c in a).rstrip()}\n"
                         f"       pyte |{''.join(c[0] for c in b).rstrip()}")
    return found


def check(build, name, term, locale, columns, rows):
    command, keys = PROGRAMS[name]
    if shutil.which(command[0]) is None:
        return None, [f"{command[0]} is not installed: scripts/setup.sh install terminal"]
    with tempfile.TemporaryDirectory() as folder:       # a fresh one: programs leave locks behind when they are ended
        (pathlib.Path(folder) / "long.txt").write_text(LONG_TEXT)
        (pathlib.Path(folder) / "main.c").write_text(C_TEXT)
        for file, text in [*INSTALLER.items(), *TOP.items()]:
            (pathlib.Path(folder) / file).write_text(text)
        data = run(command, keys, columns, rows, term, locale, folder)
    theirs = by_pyte(data, columns, rows)
    ours = parse(by_bulkhead(build, data, columns, rows), columns)
    found = ["screen: " + d for d in differences(ours, theirs)]
    passed = by_bulkhead(build, data, columns, rows, "line")
    found += ["line: " + d for d in differences(by_pyte(passed, columns, rows), theirs)]
    return data, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--record", action="store_true", help="writes tests/terminal/*.in and *.out, at 80 x 24")
    parser.add_argument("--keep", type=pathlib.Path, help="keeps what each program printed in this folder")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    number = failed = 0
    for name in options.names or PROGRAMS:
        for term, locale, columns, rows in SETTINGS:
            data, found = check(options.build, name, term, locale, columns, rows)
            number += 1
            failed += bool(found)
            print(f"{'not ok' if found else 'ok'} {number} - {name}, {term}, {locale}, {columns} x {rows},"
                  f" {len(data or b'')} bytes", flush=True)
            for line in found[:6]:
                print("#   " + line.replace("\n", "\n#   "))
            where = f"{name}-{term}-{locale}-{columns}"
            if options.keep and data:
                (options.keep / where).write_bytes(data)
            if options.record and (name, term, locale) in RECORDED and columns == 80 and data and not found:
                file = ROOT / "tests/terminal" / f"{name}-{term}"
                file.with_suffix(".in").write_bytes(data)
                file.with_suffix(".out").write_bytes(by_bulkhead(options.build, data, 80, 24))
    print(f"1..{number}")
    print(f"{number - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
