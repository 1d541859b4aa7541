# SPDX-License-Identifier: GPL-2.0-or-later
"""bulkctl on this PC, at a port whose other end is the test: what it makes of answers that are late, broken or no answers."""
import json
import os
import pty
import re
import signal
import subprocess
import termios
import threading
import time
import tty

from frame import Boot, check, expect_that

OK = b'{"ok":true}\n'
ROW = b'{"guest":"web","state":"running","vcpus":1,"memory_bytes":16777216,"up_ms":61000}\n'
# What comes for a request, and a piece of what is told then. None: the other end goes away.
BROKEN = [
    (b"garbage\n", "no JSON"), (b"{}{}\n", "no JSON"), (b'{"ok"}\n', "no JSON"), (b'{"ok":\n', "no JSON"), (b"[]\n", "no JSON"),
    (b'{"guest":"web\n', "no JSON"), (b'{"guest":"\\u00\n', "no JSON"), (b'{"a":"' + b"x" * 1500 + b'"}\n', "no JSON"),
    (b"x" * 5000, "a line without an end"), (b"\0\0\0\n", "no JSON"), (b"\n", "no JSON"), (bytes(range(128, 256)) + b"\n", "no JSON"),
    (ROW + b"{\n", "no JSON"), (None, "reading the answer"), ([ROW, None], "[BH7609]"),
    (b'{"ok":false}\n', "bulkctl: "), (b'{"ok":false,"error":"not \\"you\\""}\n', 'not "you"'), (b'{"ok":maybe}\n', "bulkctl: "),
]


def port(answer):
    """
    A port whose other side is answer(request): it gives the bytes that come for one, a list of them, or None: gone. Returns its
    file and the requests so far.
    """
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    requests = []

    def serve():
        left = b""
        try:
            while data := os.read(ours, 4096):
                left += data
                while b"\n" in left:
                    line, left = left.split(b"\n", 1)
                    requests.append(json.loads(line))
                    given = answer(requests[-1])
                    for part in given if isinstance(given, list) else [given]:
                        if part is None:
                            os.close(ours)
                            return
                        os.write(ours, part)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    return theirs, requests


class Bulkctl(Boot):
    name = "bulkctl"
    needs_machine = False

    def bulkctl(self, answer, *words, stdin=subprocess.DEVNULL, until=None):
        """
        Runs it at a port. Returns its status, all that it printed, and the requests. until: a text after which it gets SIGTERM.
        """
        theirs, requests = port(answer)
        command = [os.path.join(self.build, "bulkctl"), "--port", os.ttyname(theirs), *words]
        with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
            if until is not None:
                shown = b""
                while until not in shown and (more := os.read(run.stdout.fileno(), 4096)):
                    shown += more
                run.send_signal(signal.SIGTERM)
                shown += run.stdout.read()
            else:
                shown, _ = run.communicate(timeout=60)
        os.close(theirs)
        return run.returncode, shown.decode("latin-1"), requests

    @check("what is no answer is told, and ends it; nothing of it is taken for one")
    def broken(self):
        for answer, expected in BROKEN:
            status, shown, _ = self.bulkctl(lambda _: answer, "list")
            refused = isinstance(answer, bytes) and b'"ok":' in answer and answer.endswith(b"}\n")
            expect_that(status == (1 if refused else 3) and expected in shown, f"{expected!r} of {answer!r}", f"{status}: {shown}")
        for words in (["stats", "web"], ["events"], ["events", "-f"], ["logs", "web"], ["logs", "-f", "web"], ["console", "web"]):
            status, shown, _ = self.bulkctl(lambda _: b"{]\n", *words)
            expect_that(status == 3 and "no JSON" in shown, f"{words} to end", f"{status}: {shown}")

    @check("wrong words are told, and nothing is written to what is no port")
    def words(self):
        for words in ([], ["halt"], ["list", "web"], ["stats"], ["logs"], ["console"], ["list", "-f"], ["stop", "-f", "web"],
                      ["--json", "console", "web"], ["events", "a", "b"], ["stop", "Web"], ["stop", 'a","verb":"kill'], ["--port"],
                      ["-x", "list"], ["stop", "x" * 64]):
            done = subprocess.run([os.path.join(self.build, "bulkctl"), *words], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            expect_that(done.returncode == 2 and re.search(rb"^bulkctl: .* \[BH760[1-8]\]\n\Z", done.stdout, re.M),
                        f"{words} to be wrong", done)
        os.makedirs(self.folder, exist_ok=True)
        file = os.path.join(self.folder, "file")
        with open(file, "wb") as out:
            out.write(b"as it was")
        for path in (file, self.folder, "/dev/null", "/dev/full", "/dev/zero", "/none"):
            done = subprocess.run([os.path.join(self.build, "bulkctl"), "--port", path, "list"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            expect_that(done.returncode == 3 and done.stdout.endswith((b" [BH7609]\n", b" [BH7610]\n", b" [BH7611]\n")),
                        f"{path} to be no port", done)
        with open(file, "rb") as back:
            expect_that(back.read() == b"as it was", "the file as it was", "another")

    @check("an answer for which there is no room is told, and is not taken for done")
    def no_room(self):
        row = b'{"guest":"web","state":"running","vcpus":2,"up_ms":7,"exits":9}\n'
        for rows in (1, 300):       # more than is kept back before it is written
            for words in ("list", "metrics", "stats web", "--json list"):
                theirs, _ = port(lambda _, rows=rows: row * rows + b'{"ok":true}\n')
                command = [os.path.join(self.build, "bulkctl"), "--port", os.ttyname(theirs), *words.split()]
                with open("/dev/full", "wb") as full:
                    done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
                os.close(theirs)
                expect_that(done.returncode == 3 and done.stderr == b"bulkctl: writing: No space left on device [BH7612]\n",
                            f"{words} of {rows} rows to fail", done)

    @check("events: in the order of their times, and those that are lost are counted")
    def events(self):
        def event(guest, number, us, state="running", kind="state", cause="start", why=""):
            return json.dumps({"guest": guest, "event": number, "us": us, "unix": 1796005000 + us, "kind": kind, "state": state,
                               "cause": cause, "why": why}).encode() + b"\n"

        turns = {"a": [event("a", 1, 5) + event("a", 2, 20), event("a", 9, 40, "crashed", cause="crash", why='x "y"')],
                 "b": [event("b", 7, 10), event("b", 8, 30, kind="limit", cause="max_exits", why="paused")]}

        def answer(request):
            if request["verb"] == "list":
                return b'{"guest":"a","state":"running"}\n{"guest":"b","state":"off"}\n' + OK
            told = turns[request["guest"]]
            return (told.pop(0) if told else b"") + OK

        status, shown, requests = self.bulkctl(answer, "events", "-f", until=b"crash: ")
        rows = [(line.split()[2], line.split()[3]) for line in shown.splitlines() if line.startswith("20")]
        expect_that(rows == [("a", "running"), ("b", "running"), ("a", "running"), ("b", "running"), ("a", "crashed")],
                    "five, by their times", shown)
        expect_that("bulkctl: a: 6 events lost [BH7613]\n" in shown and 'crash: x "y"' in shown and
                    "over its limit max_exits: paused" in shown and
                    "2026-11-30" in shown and status == -signal.SIGTERM, "what is lost, and why", shown)
        expect_that([r["after"] for r in requests[1:5]] == [0, 0, 2, 7], "what is known", requests)

    @check("logs: text without sequences, what is lost is counted")
    def logs(self):
        def answer(request):
            if "after" not in request:
                return b'{"guest":"web","at":100,"text":"\\u001b[1mbold\\u001b[0m\\u000d\\u000a\\u001b]0;title\\u0007\\u00e4"}\n' \
                       b'{"ok":true,"next":127,"state":"running"}\n'
            if request["after"] == 127:
                return b'{"guest":"web","at":137,"text":"end\\u000a"}\n{"ok":true,"next":141,"state":"off"}\n'
            return b'{"ok":true,"next":141,"state":"off"}\n'

        status, shown, _ = self.bulkctl(answer, "logs", "web")
        expect_that(status == 0 and shown == "bold\n\xe4", "text", repr(shown))
        status, shown, _ = self.bulkctl(answer, "logs", "-f", "web", until=b"end\n")
        expect_that("10 bytes of the console lost [BH7614]" in shown, "what is lost", shown)

    def on_terminal(self, answer, keys, end):
        """The console at a terminal: keys are typed; end(process): how it ends. Its status, what was shown, and the requests."""
        ours, theirs = pty.openpty()
        before = termios.tcgetattr(theirs)
        shown, result = [], {}

        def look():
            try:
                while data := os.read(ours, 4096):
                    shown.append(data)
            except OSError:
                pass

        looks = threading.Thread(target=look, daemon=True)
        looks.start()

        def wait_for(text):
            deadline = time.monotonic() + 20
            while text not in b"".join(shown) and time.monotonic() < deadline:
                time.sleep(0.05)
            expect_that(text in b"".join(shown), f"{text!r} on the terminal", b"".join(shown))

        port_theirs, requests = port(answer)
        command = [os.path.join(self.build, "bulkctl"), "--port", os.ttyname(port_theirs), "console", "web"]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as run:
            try:
                wait_for(b"login: ")
                raw = termios.tcgetattr(theirs)
                expect_that(not raw[3] & termios.ICANON and not raw[3] & termios.ISIG, "a raw terminal", raw)
                os.write(ours, keys)
                end(run, wait_for, requests)
                result["status"] = run.wait(60)
            finally:
                run.kill()
        after = termios.tcgetattr(theirs)
        os.close(port_theirs)
        os.close(theirs)
        looks.join(20)      # what it said last may not have been read yet
        os.close(ours)
        expect_that(after == before, "the terminal as before", after)
        return result["status"], b"".join(shown), requests

    @check("trace: the prompt's words, and of each look what the one before did not tell, of each CPU")
    def trace(self):
        def exit_at(ns, vcpu):
            return f"  exit {ns / 1e9:14.9f} rip {vcpu:#x} hlt\n"

        turns = [{0: [1_000_000_000, 2_000_000_000], 1: [1_500_000_000]},
                 {0: [1_000_000_010, 2_000_010_000, 2_000_050_000], 1: [1_500_000_000]},   # clocks differ by a little
                 {0: [2_000_050_001], 1: [1_400_000_000, 9_000_000_000]}]
        told = []

        def answer(request):
            expect_that(request == {"verb": "trace", "guest": "web"}, "a look", request)
            turn, lines = turns[min(len(told), 2)], []
            told.append(turn)
            for vcpu, times in turn.items():
                lines += [f"vcpu{vcpu} on cpu {vcpu + 3}: its last exits\n"] + [exit_at(t, vcpu) for t in times]
            return b"".join(json.dumps({"guest": "web", "at": n, "text": text}).encode() + b"\n" for n, text in enumerate(lines)) + OK

        heads = [f"vcpu{vcpu} on cpu {vcpu + 3}: its last exits\n" for vcpu in range(2)]
        first = [heads[0], *(exit_at(t, 0) for t in turns[0][0]), heads[1], exit_at(1_500_000_000, 1)]
        more = [heads[0], exit_at(2_000_050_000, 0), heads[1], heads[0], heads[1], exit_at(9_000_000_000, 1)]
        status, shown, _ = self.bulkctl(answer, "trace", "web")
        expect_that(status == 0 and shown == "bulkhead> trace web\n" + "".join(first), "one look", shown)
        told.clear()
        status, shown, _ = self.bulkctl(answer, "trace", "-f", "web", until=b"9.000000000")
        expect_that(shown.startswith("bulkhead> trace web\n" + "".join(first + more)), "three looks", shown)
        refused = b'{"ok":false,"error":"too much was asked of it already: again later","number":"BH6205"}\n'
        status, shown, _ = self.bulkctl(lambda _: refused, "trace", "-f", "web")
        expect_that(status == 1 and "again later [BH6205]" in shown, "a refusal", f"{status}: {shown}")

    @check("console: keys go out in pieces, and the terminal is given back whatever ends it")
    def console(self):
        def begin():
            state = {"gone": False, "off": False}

            def answer(request):
                if state["gone"]:
                    return None
                if request["verb"] == "type":
                    if state["off"]:
                        return b'{"ok":false,"error":"it does not run: start it","number":"BH6204"}\n'
                    return json.dumps({"ok": True, "typed": min(5, len(request["text"])), "state": "running"}).encode() + b"\n"
                last = json.dumps({"ok": True, "next": 7, "state": "crashed" if state["off"] else "running"}).encode() + b"\n"
                return last if request.get("after") == 7 else b'{"guest":"web","at":0,"text":"login: "}\n' + last
            return state, answer

        def typed(requests):
            """Five of each are taken."""
            return "".join(r["text"][:5] for r in requests if r["verb"] == "type")

        def leave(run, wait_for, requests):
            deadline = time.monotonic() + 20
            wanted = "root\r\x03\x1a\x00\x1d\xe4 and more than sixteen"
            while typed(requests) != wanted and time.monotonic() < deadline:
                time.sleep(0.05)
            expect_that(typed(requests) == wanted, "what was typed", requests)
            state["off"] = True
            wait_for(b"[bulkctl] web crashed")
        state, answer = begin()
        keys = b"root\r\x03\x1a\x00\x1d\x1d\xe4 and more than sixteen"
        status, shown, _ = self.on_terminal(answer, keys + b"\x1dx", lambda *a: (leave(*a), a[1](b"Ctrl-] then 0 leaves"), a[0].terminate()))
        expect_that(status == 128 + signal.SIGTERM, "a signal's status", status)
        state, answer = begin()
        status, shown, _ = self.on_terminal(answer, b"\x1d0", lambda *_: None)
        expect_that(status == 0 and b"\x1b[!p" in shown, "to leave by keys", f"{status} {shown}")
        state, answer = begin()

        def lose(*_):
            state["gone"] = True
        status, shown, _ = self.on_terminal(answer, b"", lose)
        expect_that(status == 3, "a port that is gone to be told", f"{status} {shown}")
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            state, answer = begin()
            status, shown, _ = self.on_terminal(answer, b"x", lambda run, *_: run.send_signal(number))
            expect_that(status == 128 + number, "a signal's status", status)
        state, answer = begin()
        state["off"] = True
        status, shown, _ = self.on_terminal(answer, b"x", lambda run, wait_for, _: (wait_for(b"it does not run"), run.terminate()))
        expect_that(b"[bulkctl] web it does not run: start it [BH6204]" in shown, "nobody to type to", shown)

    @check("console without a terminal: what comes by a pipe is typed, and its end is the end")
    def pipe(self):
        def answer(request):
            if request["verb"] == "type":
                return json.dumps({"ok": True, "typed": len(request["text"]), "state": "running"}).encode() + b"\n"
            return b'{"ok":true,"next":7,"state":"running"}\n'

        read, write = os.pipe()
        os.write(write, b"x" * 50)
        os.close(write)
        status, _, requests = self.bulkctl(answer, "console", "web", stdin=read)
        os.close(read)
        typed = [len(r["text"]) for r in requests if r["verb"] == "type"]
        expect_that(status == 0 and typed == [16, 16, 16, 2], "50 keys", f"{status} {typed}")
        expect_that(re.fullmatch(r"x+", requests[0].get("text", "x")), "keys", requests[0])
