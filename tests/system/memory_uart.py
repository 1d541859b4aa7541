# SPDX-License-Identifier: GPL-2.0-or-later
"""A UART behind memory-mapped registers, which QEMU has none of for a PC: its registers lie in a file that is a DIMM.

Most registers of a UART keep what is written to them, as memory does. At its data register QEMU's debugger stub stops the
machine: what was written there is sent, and what was read makes room for the next byte that is typed.
"""
import mmap
import queue
import select
import socket
import threading

from machine import Expected

STRIDE = 4                      # bytes from one register to the next, each of them a double word
DATA, IIR, LCR, LSR = 0, 2, 3, 5
DLAB = 0x80                     # in LCR: the data register is the divisor's
THRE, TEMT, READY = 0x20, 0x40, 0x01
INTERRUPT = b"\x03"


class MemoryUart(threading.Thread):
    """path: the file; address: where the machine has it; hear: is called with what the machine sends."""

    def __init__(self, path, address, port, hear):
        super().__init__(daemon=True)
        self.address, self.hear = address, hear
        with open(path, "r+b") as file:
            self.registers = mmap.mmap(file.fileno(), 4096)
        self.typed, self.waiting = queue.Queue(), []
        self.stub = socket.create_connection(("127.0.0.1", port))
        self.received = b""
        self.set(LSR, THRE | TEMT)

    def get(self, register):
        return self.registers[register * STRIDE]

    def set(self, register, value):
        self.registers[register * STRIDE:register * STRIDE + STRIDE] = value.to_bytes(STRIDE, "little")

    # The debugger's protocol.
    def ask(self, text):
        self.stub.sendall(b"$%s#%02x" % (text, sum(text) & 0xff))

    def answer(self, timeout=None):
        """The next packet, b"" if none comes in time."""
        while True:
            begin, end = self.received.find(b"$"), self.received.find(b"#")
            if 0 <= begin < end <= len(self.received) - 3:
                packet, self.received = self.received[begin + 1:end], self.received[end + 3:]
                self.stub.sendall(b"+")
                return packet
            if not select.select([self.stub], [], [], timeout)[0]:
                return b""
            data = self.stub.recv(4096)
            if not data:
                raise EOFError
            self.received += data

    def run(self):
        try:
            for request in (b"Z2,%x,%x" % (self.address, STRIDE), b"Z3,%x,%x" % (self.address, STRIDE)):
                self.ask(request)
                reply = self.answer()
                if reply[:1] == b"T":       # that the machine stands still since the stub was joined
                    reply = self.answer()
                if reply != b"OK":
                    raise Expected("the debugger's stub to watch memory", f"{request} {reply}")
            while True:
                self.offer()
                self.ask(b"c")
                self.stopped(self.wait())
        except (EOFError, OSError):     # the machine is no more
            pass

    def wait(self):
        """Why the machine stands still; something typed makes it do so."""
        while True:
            reply = self.answer(0.02)
            if reply:
                return reply
            if not self.typed.empty() and not self.waiting:
                self.stub.sendall(INTERRUPT)
                return self.answer()

    # The UART.
    def stopped(self, reply):
        if self.get(LCR) & DLAB:
            return
        if b"rwatch:" in reply:
            self.waiting = self.waiting[1:]
        elif b"watch:" in reply:
            self.hear(bytes([self.get(DATA)]))

    def offer(self):
        """What stands in the registers: the machine has written over the byte that waits."""
        while not self.typed.empty():
            self.waiting += self.typed.get()
        if not self.get(LCR) & DLAB:
            self.set(DATA, self.waiting[0] if self.waiting else 0)
            self.set(LSR, THRE | TEMT | (READY if self.waiting else 0))

    def send(self, data):
        self.typed.put(data)
