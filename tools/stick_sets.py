# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of a stick's two sets, as config/sets.c reads and writes it."""
import hashlib
import re

SIZE = 512                      # a sector
PLAIN, NONE = "-", "0"          # a stick's files from its root on; no set
WORDS = {"fresh": "not tried yet", "tried": "on trial", "fails": "did not come up",
         "lost-": "tried, then the power was cut"}
HEAD = "Bulkhead's state 1: number {:08x}, good {}, new {} {} {:016x}, sum "
LINE = re.compile(r"Bulkhead's state 1: number ([0-9a-f]{8}), good ([-ab]), new ([-ab0]) (\S{5}) ([0-9a-f]{16}), sum [0-9a-f]{16}\n")


class State:
    def __init__(self, number, good, new=NONE, trial="fresh", try_id=0):
        self.number, self.good, self.new, self.trial, self.try_id = number, good, new, trial, try_id

    def text(self):
        head = HEAD.format(self.number, self.good, self.new, self.trial, self.try_id).encode()
        line = head + hashlib.sha256(head).hexdigest()[:16].encode() + b"\n"
        return line.ljust(SIZE - 1) + b"\n"

    def path(self):
        return f"bulkhead/state-{self.number % 2}.txt"


def read_one(data):
    """None if it is no state, or was cut off."""
    found = LINE.match(data[:SIZE].decode("ascii", "replace"))
    if not found:
        return None
    state = State(int(found[1], 16), found[2], found[3], found[4], int(found[5], 16))
    good = state.text() == data[:SIZE] and state.trial in WORDS and state.good != state.new
    return state if good else None


def read(texts):
    """The newest that is whole of the files' bytes, None for one that is not there; or None."""
    states = [state for state in map(read_one, filter(None, texts)) if state]
    return max(states, key=lambda state: state.number, default=None)
