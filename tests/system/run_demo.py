# SPDX-License-Identifier: GPL-2.0-or-later
"""make run: boots the demo stick in the fastest emulator at hand and joins this terminal to its serial line.

Ctrl-\\ leaves; every other key goes to the machine. Without a terminal on standard input what comes in there is
typed, and the output is shown until the emulator ends or Ctrl-C.
"""
import argparse
import os
import select
import signal
import sys
import termios
import tty

from machine import FASTEST, Qemu, fastest_of

QUIT = 0x1c


def show(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def pump(machine, terminal):
    """Hands keys to the machine until it ends or the quit key comes."""
    keyboard = sys.stdin.fileno()
    while machine.process.poll() is None and not machine.serial.closed:
        sources = [] if keyboard is None else [keyboard]
        if not select.select(sources, [], [], 0.2)[0]:
            continue
        data = os.read(keyboard, 256)
        if not data:
            keyboard = None
        if terminal and QUIT in data:
            machine.serial.send(data[:data.index(QUIT)].decode("latin-1"))
            return
        machine.serial.send(data.decode("latin-1"))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--target")
    parser.add_argument("--gdb", metavar="PORT", help="where gdb may join; in QEMU")
    args = parser.parse_args()
    target, why = fastest_of([args.target] if args.target else FASTEST)
    if target is None:
        sys.exit(f"cannot run here: {why}")
    if args.gdb and not isinstance(target, Qemu):
        sys.exit(f"{target.name} takes no gdb; docs/debugging.md has its own debugger")
    why = "as asked for" if args.target else "the fastest here" + (f" ({why})" if why else "")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
    terminal = sys.stdin.isatty()
    print(f"Starting {target.name}, {target.vendor} {target.where}: {why}.\n"
          f"The firmware needs about {target.seconds} s. "
          + (r"Ctrl-\ ends the emulator, " if terminal else "Ctrl-C ends the emulator, ")
          + "Ctrl-] then ? is Bulkhead's own help.", flush=True)
    before = termios.tcgetattr(sys.stdin) if terminal else None
    image = os.path.join(args.build, "bulkhead-usb.img")
    try:
        with target.start(image, os.path.join(args.build, "run"), on_bytes=show,
                          **({"gdb": args.gdb} if args.gdb else {})) as machine:
            if terminal:
                tty.setraw(sys.stdin)
            pump(machine, terminal)
    except KeyboardInterrupt:
        pass
    finally:
        if terminal:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
    print("\nThe emulator has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
