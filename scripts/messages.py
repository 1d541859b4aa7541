#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers of messages: each message that an admin may have to act on has one of its own, and docs/messages.md a row
for each, with the message as the source has it.

Called by check.py; alone it prints all numbers, with place and text.
"""
import ast
import pathlib
import re

from answers import ANSWERS

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = "docs/messages.md"
HOME = "hv/lib/message.h"
FOLDERS = ("hv", "arch", "boot", "config", "tools")
LITERAL = r'"(?:\\.|[^"\\])*"'
GAP = r"(?:\s|\\\n)*"
STATEMENT = rf'(?:{LITERAL}|[^;"])+'  # up to its semicolon: a text may hold one
MACRO = r"\b[A-Z][A-Z0-9_]+\b(?!\s*\()"
PIECES = rf"(?:(?:{LITERAL}|{MACRO}|\bPRI\w+){GAP})+"
MESSAGE = re.compile(rf"({PIECES})MSG\((\d+)\)(?:{GAP}({PIECES}))?")

FORMAT = r"%[-#0-9.*]*(?:ll|l|z)?[a-z]"

# Whose arguments are messages: the function, which argument is the text, which one says that it is none to act on, what
# that then is, and where; "" = everywhere.
CALLS = {
    "log_warn": (0, None, (), ""), "log_error": (0, None, (), ""), "plat_panic": (0, None, (), ""),
    "vm_log": (2, 1, ("LOG_INFO", "LOG_DEBUG"), ""),
    "vm_leave": (2, None, (), ""), "vcpu_crash": (2, None, (), ""), "vcpu_crash_compartment": (2, None, (), ""),
    "exit_crash": (2, None, (), ""),
    "console_print": (1, 0, ("CONSOLE_PLAIN", "CONSOLE_GOOD", "choice == usual ? CONSOLE_GOOD : CONSOLE_PLAIN"), "boot/"),
    "complain": (0, None, (), "boot/"),
    "preflight_add": (3, 2, ("PREFLIGHT_OK",), ""),
    "fault_add": (3, None, (), ""), "COMPLAIN": (2, None, (), ""),
    "refuse": (1, None, (), ("config/schema.c", "config/readers.c")),
    "REFUSE": (-1, None, (), "config/"),
    "control_refuse": (1, None, (), ""),
    "fail": (1, None, (), "tools/"),
}
# What the operator is answered, and what the tools print. It has a number, but for what answers.py lists, and for what begins
# as DETAIL says; of what the tools print also but for tables, which have no words, and for these files, which print no else.
ANSWERING = {"console_print": (0, None, (), "hv/monitor/"), "view_notice": (0, None, (), "hv/monitor/"),
             "printf": (0, None, (), "tools/"), "fprintf": (1, None, (), "tools/")}
PRINTING = ("tools/manual.c", "tools/partition.c", "tools/picture.c")
# In tools of Python: what is raised or printed so is a message. What Broken says becomes a part of one.
RAISED, PRINTED = ("Refused",), ("print", "exit")
# Whose functions return what is wrong, or NULL: all texts that they return, or assign to `wrong`, have a number.
RETURNING = ("hv/compartment/virtio/control_parse.c",)
# REFUSE() is another macro in each: the argument that is the text; elsewhere config/builder.h's.
REFUSES = {"config/parse.c": 2, "config/kernel.c": 1}
REFUSES_ELSE = 3
# Texts without a number of their own: file, the text, and where the number is.
CARRIED = {
    ("hv/exit/life.c", "%s"): "in the reason",
    ("hv/exit/report.c", "stopped: %s"): "in the reason",
    ("hv/vm/mce.c", "stopped: %s"): "in the reason",
    ("hv/vm/told.c", "stopped: %s"): "in the reason",
    ("boot/main.c", "%s"): "in the fault, or in what complain() got",
    ("boot/main.c", "%s: %s"): "in the hint",
    ("boot/main.c", "... and %s more."): "in the faults before it",
    ("boot/main.c", "... and %u more."): "in the faults before it",
    ("boot/main.c", "Press any key to return to the firmware."): "in what keeps it from starting",
    ("boot/main.c", "Bulkhead cannot start: %u problem%s. Nothing was changed%s."): "in the problems before it",
    ("tools/bulkctl/bulkctl.c", "%s: %s"): "in refusal()'s text",
    ("tools/bulkctl/console.c", "%s: %s"): "in refusal()'s text",
    ("tools/bulkctl/events.c", "%s: %s"): "in refusal()'s text",
    ("tools/bulkctl/trace.c", "%s: %s"): "in refusal()'s text",
    ("config/builder.h", "guest \"%s\": %s"): "in REFUSE()'s text",
    ("config/kernel.c", "guest \"%s\": %s"): "in REFUSE()'s text",
    ("config/schema.c", "%s = \"%.*s\" %s"): "in the rule that refuse() got",
}
# What follows a message in lines of its own begins so.
DETAIL = "  "
# Handed on by a function that is in CALLS itself: file and argument.
PASSED = {
    ("hv/exit/report.c", "reason"), ("hv/vm/request.c", "reason"), ("arch/x86_64/fail.c", "format"),
    ("config/toml.c", "__VA_ARGS__"), ("hv/monitor/views.c", "TERMINAL_RESET"),
}


def sources():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".c", ".h") and path != ROOT / HOME:
                text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
                yield str(path.relative_to(ROOT)), re.sub(r"^\s*//[^\n]*", "", text, flags=re.M)


def python_sources():
    for path in sorted((ROOT / "tools").iterdir()):
        if path.is_file() and path.suffix in (".py", "") and "python" in path.read_text().split("\n", 1)[0]:
            yield str(path.relative_to(ROOT)), path.read_text()


def text_of(pieces):
    """What stands in literals; what a macro brings along is "%s"."""
    found = re.findall(rf"{LITERAL}|\w+", pieces or "")
    joined = "".join(p[1:-1] if p[0] == '"' else "%s" for p in found)
    return joined.replace('\\"', '"').replace("\\\\", "\\").replace("\\n", " ").replace("\\r", " ").strip()


def numbers_in(name, text):
    """(number, line, text) of each message of a file."""
    plain = re.sub(r"#define\s+\w+(\([^)]*\))?", lambda m: ";" + " " * (len(m[0]) - 1), text)
    for found in MESSAGE.finditer(plain):
        before, after = text_of(found[1]), text_of(found[3])
        joined = before + ("" if re.match(r"[:;,.]|$", after) else " ") + after
        yield found[2], f"{name}:{plain[:found.start()].count(chr(10)) + 1}", joined


def arguments(text, at):
    """Of the call whose parenthesis is at `at`: its arguments, as they stand."""
    out, depth, begin = [], 0, at + 1
    for piece in re.finditer(rf"{LITERAL}|'(?:\\.|[^'])'|[(){{}}\[\],]", text[at:]):
        char = piece[0]
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(char, 0)
        if (char == "," and depth == 1) or depth == 0:
            out.append(text[begin:at + piece.start()].strip())
            begin = at + piece.end()
        if depth == 0:
            return out
    return out


def unnumbered(text):
    """Literals in an expression that have no number behind them."""
    numbered = MESSAGE.sub("", text)
    return [text_of(m[0]) for m in re.finditer(rf"(?:{LITERAL}{GAP})+", numbered) if text_of(m[0])]


def values_of(text, variable):
    """The right sides of what a file assigns to a variable, and what it prints into it."""
    for found in re.finditer(rf"\b{variable}\b(?:\[[^\]]*\])*\s*=\s*({STATEMENT});", text):
        yield found[1]
    for found in re.finditer(r"\bfmt_print(\()", text):
        args = arguments(text, found.start(1))
        if args[0] == variable:
            yield args[2]


def judge(name, text, macros, argument):
    """Why an argument is no message with a number; "" if it is one."""
    literal = re.match(LITERAL, argument)
    variable = re.match(r"(?:\w+(?:->|\.))*(\w+)(?:\[[^\]]*\]|\(.*\))*$", argument)
    if "MSG(" in argument or argument in macros or any(m in macros for m in re.findall(MACRO, argument)):
        return ""
    if literal:
        shown = text_of(argument)
        known = (name, shown) in CARRIED or argument[1:].startswith(DETAIL)
        return "" if known else f'"{shown}" has no number'
    if not variable or (name, variable[1]) in PASSED:
        return "" if variable else f"{argument}: what is that?"
    values = list(values_of(text, variable[1]))
    bare = [u for value in values for u in unnumbered(value)]
    if bare:
        return f'{argument} may be "{bare[0]}", which has no number'
    return "" if values else f"{argument} comes from elsewhere: add it to PASSED, or number it"


def check_calls(name, text, macros, calls=CALLS, is_known=lambda name, shown: False):
    """What is wrong with the texts that a file hands to these functions; is_known: texts that need no number."""
    for found in re.finditer(rf"\b({'|'.join(calls)})(\()", text):
        place, state, quiet, where = calls[found[1]]
        if found[1] == "REFUSE":
            place = REFUSES.get(name, REFUSES_ELSE)
        args = arguments(text, found.start(2))
        line = text.count("\n", 0, found.start()) + 1
        before = text[text.rfind("\n", 0, found.start()) + 1:found.start()]
        defined = re.match(r"\s*#define|\w|[A-Z]+ ", before) and not before.strip().startswith(("return", "?", ":"))
        if defined or not name.startswith(where) or (state is not None and args[state] in quiet):
            continue
        why = judge(name, text, macros, args[place]) if place < len(args) else "it has no text"
        if why and (place >= len(args) or not is_known(name, text_of(args[place]))):
            yield f"{name}:{line}: {found[1]}(): {why}"


def check_returns(name, text):
    for found in re.finditer(rf"\b(?:return|wrong =)\s({STATEMENT});", text):
        for shown in unnumbered(found[1]):
            yield f'{name}:{text.count(chr(10), 0, found.start()) + 1}: "{shown}" has no number'


def is_answer(name, shown):
    """Needs no number."""
    words = re.search(r"[A-Za-z]{2}", re.sub(FORMAT, "", shown))
    table = name.startswith("tools/") and not words and ": %s" not in shown
    return table or shown in ANSWERS.get(name, ())


def check_answers(there):
    """All known answers are there; there: of each place its text."""
    for name, shown in sorted((name, shown) for name, texts in ANSWERS.items() for shown in texts):
        if (name, shown) not in there:
            yield f'{name}: nothing answers "{shown}": take it out of answers.py'


def texts_of_python(tree):
    """(line, text) of each message of a tool; what it fills in is "%s"."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        called = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        text = call.args[-1 if called == "exit" else 0]
        if called not in RAISED + PRINTED or isinstance(text, ast.Constant) and isinstance(text.value, int):
            continue
        parts = text.values if isinstance(text, ast.JoinedStr) else [text]
        yield call.lineno, "".join(part.value if isinstance(part, ast.Constant) else "%s" for part in parts)


def check_python(name, text, texts, there):
    """Adds its messages to texts, all to there; says what is wrong."""
    for line, shown in texts_of_python(ast.parse(text)):
        found = re.fullmatch(r"(.*) \[BH(\d+)\](:\n%s|\n)?", shown, re.S)
        there.add((name, shown))
        if found and found[2] in texts:
            yield f"{name}:{line}: BH{found[2]} is that of {texts[found[2]][0]} already"
        elif found:
            texts[found[2]] = (f"{name}:{line}", found[1])
        elif not is_answer(name, shown):
            yield f'{name}:{line}: "{shown}" has no number'


def pattern_of(text):
    """What a row of the page may say for a text of the source."""
    parts = re.split(FORMAT, text.replace("%%", "\0"))
    return ".+".join(re.escape(part) for part in parts).replace(re.escape("\0"), "%")


def rows():
    """number: text of each row of the page."""
    for line in (ROOT / PAGE).read_text().splitlines():
        found = re.match(r"\| BH(\d+) \| `(.*?)` \| (.+) \| (.+) \|$", line)
        if found:
            yield found[1], found[2]
        elif line.startswith("| BH"):
            yield line, None


def gather(files):
    """number: (place, text) of all messages, and what is wrong with them."""
    macros = {m for _, text in files for m in re.findall(r"#define\s+(\w+)(?:\s|\\\n)[^\n]*(?:\\\n[^\n]*)*?MSG\(", text)
              if m != "MSG"}
    faults, texts, there = [], {}, set()
    for name, text in files:
        places = text.count("MSG(")
        for number, place, message in numbers_in(name, text):
            places -= 1
            if number in texts:
                faults.append(f"{place}: BH{number} is that of {texts[number][0]} already")
            texts[number] = (place, message)
        if places:
            faults.append(f"{name}: {places} times MSG() without a text before it")
        faults += check_calls(name, text, macros)
        faults += check_calls(name, text, macros, ANSWERING, is_answer) if name not in PRINTING else []
        faults += check_returns(name, text) if name in RETURNING else []
        there |= {(name, text_of(arguments(text, found.start(2))[ANSWERING[found[1]][0]])) for found in
                  re.finditer(rf"\b({'|'.join(ANSWERING)})(\()", text)}
    for name, text in python_sources():
        faults += check_python(name, text, texts, there)
    return texts, faults + list(check_answers(there))


def check_page(texts):
    """Each message has its row, with its text, and each row its message."""
    faults, seen = [], set()
    for number, shown in rows():
        if shown is None:
            faults.append(f"{PAGE}: this is no row: {number}")
        elif number in seen:
            faults.append(f"{PAGE}: BH{number} is there twice")
        elif number not in texts:
            faults.append(f"{PAGE}: there is no message BH{number}")
        elif not re.fullmatch(pattern_of(texts[number][1]), shown):
            faults.append(f"{PAGE}: BH{number} is `{texts[number][1]}` in {texts[number][0]}")
        seen.add(number)
    return faults + [f"{PAGE}: no row for BH{n}, {texts[n][0]}: {texts[n][1]}" for n in sorted(set(texts) - seen)]


def check_messages():
    """Each message that an admin may have to act on has a number of its own, which docs/messages.md explains."""
    texts, faults = gather(list(sources()))
    return faults + check_page(texts)


if __name__ == "__main__":
    for number, (place, message) in sorted(gather(list(sources()))[0].items()):
        print(number, place, message, sep="\t")
