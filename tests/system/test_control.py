# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that the config lets control others: bulkctl in an unmodified Debian guest, and what a port of JSON is told there.

boss may control web, and sees nothing of other. It has a socket device, by which it asks, and may ask by the port as well.
"""
import json
import re
import subprocess

from frame import ROOT, check, expect_that
from guests import GuestBoot, test_guest
from test_linux_pair import QUICK, LinuxGuests

BOSS, WEB, OTHER = 1, 2, 3

CONFIG = f"""\
[hypervisor]
console = "com1"

[guest.boss]
cpus = "0"
memory = "128M"
kernel = "guests/vmlinuz"
initrd = "guests/control.img"
cmdline = "console=ttyS0 {QUICK} bh.name=boss"
control = ["web"]
vsock = ["web"]

""" + test_guest("web", 1, 'stop_timeout = "2s"\n') + test_guest("other", 2)


class Control(LinuxGuests, GuestBoot):
    name = "control"
    heavy = ("bochs-amd",)      # minutes there, of what no vendor's half has a part in
    seconds = 190
    names = {BOSS: "boss"}
    machine_cpus = 4    # one of nobody, which serves the console
    subject = (WEB, "web")

    def image(self):
        return self.make_stick({"guests/vmlinuz": self.guest_file("vmlinuz"),
                                "guests/control.img": self.guest_file("control.img"),
                                "guests/testguest": self.guest_file("testguest"),
                                "bulkhead/bulkhead.toml": CONFIG.encode()})

    def ctl(self, words, status=0):
        """What bulkctl prints in boss."""
        output = self.run(BOSS, f"bulkctl {words}; echo =$?=")
        shown = re.search(r"^(.*?)=(\d+)=", output.replace("\r", ""), re.S)
        expect_that(shown and int(shown.group(2)) == status, f"bulkctl {words} to end with {status}", output)
        return shown.group(1)

    def json(self, words):
        return [json.loads(line) for line in self.ctl("--json " + words).splitlines()]

    @check("the guests start, and boss comes to its prompt", required=True)
    def start(self):
        self.machine.expect(r"console 1/3: boss", 240, "the focus to move to the first guest")
        self.machine.expect(r"boss# ", 600, "the shell's prompt")

    @check("bulkctl lists the guest that boss may control, and no other", required=True)
    def listed(self):
        shown = self.ctl("list")
        rows = shown.splitlines()
        expect_that(len(rows) == 2 and re.match(r"web +running +1 +16M  0 days 00:\d\d:\d\d$", rows[1]),
                    "a headline and web, which runs", shown)
        guests, end = self.json("list"), {"ok": True}
        expect_that(len(guests) == 2 and guests[1] == end and guests[0]["guest"] == "web" and
                    guests[0]["memory_bytes"] == 16 << 20 and guests[0]["exits"] > 100, "the same as JSON", guests)

    def sent(self):
        """Bytes that boss has sent by its socket device."""
        return self.statistics("boss")["vsock sent-bytes"]

    @check("it is asked by vsock, and by the port of the console where one says so; nobody but root is listened to")
    def ways(self):
        before = self.sent()
        self.ctl("list")
        after = self.sent()
        expect_that(after == before + len('{"verb":"list"}\n'), "one request more by vsock", (before, after))
        self.run(BOSS, "P=/dev/$(ls /sys/class/virtio-ports | tail -1)")
        shown = self.ctl("--port $P list")
        expect_that("web " in shown and self.sent() == after, "the same answer by the port, and nothing by vsock", shown)
        self.run(BOSS, "echo nobody:x:99:99::/:/bin/sh >/etc/passwd")
        shown = self.run(BOSS, "su nobody -c 'bulkctl list; id -u; echo =$?='")
        expect_that("Permission denied" in shown and re.search(r"^99\r?$", shown, re.M) and "web" not in shown, "a refusal", shown)
        self.run(BOSS, "l(){ bulkctl list >/tmp/l$1 2>&1 & }")
        self.run(BOSS, "for i in $(seq 20);do l $i;done;wait")
        shown = self.run(BOSS, "cat /tmp/l*|grep -c '^web *running'")
        expect_that(re.search(r"^20\r?$", shown, re.M), "an answer for each of twenty at once", shown)

    @check("its counters, and all of them as Prometheus reads them")
    def counted(self):
        shown = self.ctl("stats web")
        expect_that(re.search(r"^exits +\d+$", shown, re.M) and re.search(r"^state +running$", shown, re.M),
                    "exits and state", shown)
        shown = self.ctl("metrics")
        good = all(re.fullmatch(r'bulkhead_[a-z_]+\{guest="web"(,state="running")?\} \d+', line) for line in shown.splitlines())
        expect_that(good and 'bulkhead_vcpus{guest="web"} 1' in shown, "a metric a line", shown)

    @check("it is paused, goes on, starts anew, is killed and started; each order is in the log", required=True)
    def ordered(self):
        self.new_log()
        for verb, *logs in (("pause", "paused: its clocks stand still"), ("resume", "resumed: its clocks are"),
                            ("reset", "reset by the operator", "first instruction after"),
                            ("restart", "did not switch off within 2 s", "first instruction after"),
                            ("kill", "stopped by the operator"), ("start", "first instruction after")):
            self.ctl(f"{verb} web")
            self.expect_log("web", f"{verb}: asked for by guest boss", *logs)
        self.expect_state("web", "running")
        self.subtest("alive", WEB)

    @check("its events are told with their causes, those that come later too")
    def events(self):
        shown = self.ctl("events web")
        for state, cause in (("paused", "pause"), ("running", "resume"), ("starting", "reset"), ("running", "started"),
                             ("stopping", "stop"), ("stopped", "stop-timeout"), ("stopped", "kill"), ("starting", "start")):
            expect_that(re.search(rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ web +{state} +{cause}\b", shown, re.M),
                        f"{state} by {cause}", shown)
        told = self.json("events")
        expect_that(told[-1] == {"ok": True} and [e["event"] for e in told[:-1]] == list(range(1, len(told))) and
                    {e["guest"] for e in told[:-1]} == {"web"}, "one after the other, of web alone", told)
        self.run(BOSS, "bulkctl events -f web >/tmp/e & sleep 2")
        self.run(BOSS, "bulkctl pause web; bulkctl resume web; sleep 3")
        shown = self.run(BOSS, "kill %1; tail -n 2 /tmp/e")
        expect_that(re.search(r"web +paused +pause.*\n.*web +running +resume", shown.replace("\r", "")), "both", shown)

    @check("its last exits are told as tools/bhtrace reads them, once and on and on; those of others are not")
    def traced(self):
        shown = self.ctl("trace web")
        traces = self.bhtrace(shown)
        expect_that(re.search(r"^web vcpu0: \d+ exits in ", traces, re.M), "web's exits", shown)
        told = self.json("trace web")
        expect_that(told[-1] == {"ok": True} and told[0]["text"].startswith("vcpu0 on cpu ") and
                    all(t["text"].startswith("  exit ") for t in told[1:-1]), "a headline and exits", told)
        self.run(BOSS, "bulkctl trace -f web >/tmp/t & sleep 4; kill %1")
        lines = self.run(BOSS, "cat /tmp/t").replace("\r", "")
        expect_that(lines.count("vcpu0 on cpu ") >= 2 and "vcpu0: " in self.bhtrace(lines), "several looks", lines)
        shown = self.ctl("trace other 2>&1", 1)
        expect_that("no such guest, or not one that you may control [BH6202]" in shown, "a refusal", shown)

    @staticmethod
    def bhtrace(text):
        done = subprocess.run(["tools/bhtrace", "-"], cwd=ROOT, input=text, stdout=subprocess.PIPE, text=True, check=False)
        return done.stdout

    @check("its console is shown and typed to by one program while another has its answers, and the terminal is as before",
           required=True)
    def console(self):
        expect_that("ready> " in self.ctl("logs web"), "the end of its console", "another")
        self.run(BOSS, "(sleep 3; bulkctl list >/tmp/l; sync) & true")
        self.machine.send("bulkctl console web\r")
        self.machine.expect(r"ready> ", 60, "web's prompt")
        self.tag += 1
        self.machine.send(f"alive {self.tag}\r")
        self.machine.expect(rf"# begin alive {self.tag}\r?\n.*?# done: alive \d+ passed, 0 failed", 120, "web's answer")
        self.machine.send("\x1d\x1dx")      # the first is the hypervisor's own
        self.machine.expect(r"Ctrl-\] then 0 leaves", 60, "the keys")
        self.machine.send("\x1d\x1d0")
        self.machine.expect(r"boss# ", 60, "boss's prompt")
        shown = self.run(BOSS, "wait; cat /tmp/l; stty -a")
        expect_that(re.search(r"web +running", shown) and re.search(r"[^-]icanon", shown) and re.search(r"[^-]isig", shown),
                    "a list meanwhile; a terminal with lines", shown)

    @check("a console whose guest ends tells so; a signal and the end of input end it")
    def console_ends(self):
        self.run(BOSS, "(sleep 2; bulkctl kill web) & true")
        shown = self.run(BOSS, "timeout 8 bulkctl console web; echo =$?; stty -a")
        expect_that("[bulkctl] web stopped" in shown and re.search("=(143|0)", shown) and re.search(r"[^-]icanon", shown),
                    "web stopped, and the terminal as before", shown)
        shown = self.run(BOSS, "echo x | bulkctl console web; echo =$?")
        expect_that("[bulkctl] web it does not run: start it [BH6204]" in shown and "=0" in shown, "nobody to type to", shown)
        self.new_log()
        self.ctl("start web")
        self.expect_log("web", "first instruction after")
        self.run(BOSS, "sleep 1; printf 'alive 77\\r' | bulkctl console web")
        shown = self.ctl("logs web")
        expect_that(re.search("# done: alive [1-9]", shown), "the answer to what was typed", shown)

    @check("what is not its own, or is no request, is refused with a reason")
    def refused(self):
        shown = self.ctl("pause other 2>&1", 1)
        expect_that("no such guest, or not one that you may control [BH6202]" in shown, "a refusal", shown)
        self.expect_state("other", "running")
        for words in ("logs other", "events other", "console other </dev/null"):
            shown = self.ctl(words + " 2>&1", 1)
            expect_that("no such guest, or not one that you may control [BH6202]" in shown, "a refusal", shown)
        shown = self.ctl("halt web 2>&1", 2)
        expect_that("usage: bulkctl" in shown and "halt: no such verb; the usage has them all [BH7601]" in shown, "the usage", shown)
        shown = self.ctl("pause 2>&1", 2)
        expect_that("needs the name of one guest [BH7604]" in shown, "what is missing", shown)

    @check("nonsense at the port is answered, and hurts nobody")
    def nonsense(self):
        self.run(BOSS, "P=/dev/$(ls /sys/class/virtio-ports | tail -1)")
        self.run(BOSS, "q(){ exec 3<>$P; echo \"$1\" >&3; head -1 <&3; exec 3>&-;}")
        for text, answer, number in (("'{}'", "not a key and a value", "BH6215"), ("x", "not an object of JSON", "BH6214"),
                                     ("'{\"verb\":\"list\",\"guest\":\"..\"}'", "no such guest", "BH6202"),
                                     ("$(yes|head -500|tr -d \"\\n\")", "longer than 200 bytes", "BH6201")):
            shown = self.run(BOSS, f"q {text}")
            refused = json.loads(shown.strip().splitlines()[-1])
            expect_that(refused["error"].startswith(answer) and refused["number"] == number, f"{answer} [{number}]", shown)
        self.run(BOSS, "exec 3<>$P; cat <&3 >/dev/null & sleep 1")
        self.run(BOSS, "head -c 100000 /dev/urandom >&3; echo >&3")
        self.run(BOSS, "kill $!; exec 3>&-")
        expect_that(self.json("list")[-1] == {"ok": True}, "an answer after it", "another")
        self.subtest("alive", WEB)
        self.subtest("alive", OTHER)
