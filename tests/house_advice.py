"""Which strings of the package advise, and which of them a test follows. Read from the source, as `tests/house.py`.

A string advises if it holds an order after a stop of a sentence (`; leave it out`, `, or set ...`), a command, an
option, or a setting's value; docstrings and help texts are none. A test follows it if one of its units holds both the
first words of its advice and words that no other advising string has, so that a new message with the advice of an old
one needs a unit of its own. Units are the rows of tables (elements of lists, lines of a text with the indented
lines below them) in files `test_advice*.py`, and whole test functions in these files or with `advice` in their names.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tests.house import ROOT, name_of, tree_of

TESTS = Path(__file__).parent
ORDERS = (
    "add ask average bring build call change check choose close convert copy cut delete draw drop evaluate fill free"
    " give go join keep leave let look lower make mark measure mend move name pack pick prepare put quote raise"
    " remove rename repeat restore run save see set shorten sort split start stop take train try turn unpack unset"
    " update use wait write"
).split()
_ORDER = rf"(?:{'|'.join(ORDERS)})(?=\s)"
_FIRST = r"^(?=give|leave|write|quote|mend|add|take|close|unpack|train)"
ORDER = re.compile(rf"(?:(?<=[;:,.(]\s)|\b(?:or|and|then|else)\s|{_FIRST}){_ORDER}")
NAMED = re.compile(
    r"`ostinato\s|[Dd]id you mean|(?<=\s)--[a-z]|\bpip install|\biconv\b|\S+: (?:true|false|none|balanced)\b"
)
"""A command, an option or a value: what a string advises that gives no order."""
HOLE = "\0"
"""Where a value is put in."""
HELP = frozenset({"help", "metavar", "description", "epilog", "short_help"})
LONGEST = 1000
"""Letters of a message; what is longer is a page."""
SAID = 3
"""Words of the advice that a unit has at least."""
LENGTHS = range(2, 7)
"""Of so many words are the runs that no other string has."""


EXCUSED = {
    "did you mean '{}'?": "the nearest file, followed in tests/data/test_advice.py; too short for words of its own",
    "mend it": "the end of a message about a number, followed in tests/raw/test_advice.py; too short",
    "{} is on {} and the module on {}; move one with .to(...)": "beside `input is on ...`, which has the same words;"
    " both are followed in tests/nn/test_advice.py",
    "bidirectional: true": "a part of a message that is followed",
    "neither in --in nor in --out": "a reason, which advises nothing",
    "inputs.*.encoder={type: recurrent, cell: lstm, bidirectional: true}": "tests/recipe/test_other_tools.py",
    "inputs.*.encoder={type: recurrent, cell: gru, bidirectional: true}": "tests/recipe/test_other_tools.py",
    "{}: written for recipe version {}, this Ostinato knows up to {}; update Ostinato": "there is no later one yet",
    "{} has no head of its own for align '{}'; name one that serves it": "no modality of the package lacks one",
    "train loss {}": "a label of a curve",
}
"""What the rule takes for advice that no unit follows, with `{}` for each value: why."""


class Advising(NamedTuple):
    """A string that advises: where, its text with `HOLE` for each value, and the first words of its advice."""

    place: str
    text: str
    advice: str


def _literal(node: ast.AST) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in parts)


def _strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every string but docstrings and help texts."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield node.lineno, " ".join(_literal(node).split())
        elif not _is_doc(node):
            waiting += ast.iter_child_nodes(node)


def _is_doc(node: ast.AST) -> bool:
    doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return doc or (isinstance(node, ast.keyword) and node.arg in HELP)


def advising(tree: ast.AST, place: str) -> Iterator[Advising]:
    for line, text in _strings(tree):
        match = ORDER.search(text) or NAMED.search(text)
        if match is not None and " " in text and len(text) < LONGEST:
            piece = re.sub(r"^(?:or|and|then|else) ", "", text[match.start() :].split(HOLE)[0])
            yield Advising(f"{place}:{line}", text, " ".join(piece.split()[:SAID]).strip(" ;:,.()`'\""))


def _words(node: ast.AST) -> str:
    """The text of every string below a node, backslashes of regular expressions dropped."""
    inner = {id(part) for joined in ast.walk(node) if isinstance(joined, ast.JoinedStr) for part in joined.values}
    texts = [
        _literal(part)
        for part in ast.walk(node)
        if isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        if id(part) not in inner
    ]
    return "\n".join(" ".join(text.replace("\\", "").split()) for text in texts)


def _rows(node: ast.AST) -> Iterator[str]:
    """The rows of the tables below a node."""
    for table in ast.walk(node):
        if isinstance(table, (ast.List, ast.Tuple)):
            yield from map(_words, table.elts)
        elif isinstance(table, ast.Dict):
            yield from map(_words, table.values)
        elif isinstance(table, ast.Constant) and isinstance(table.value, str) and "\n" in table.value:
            yield from (
                " ".join(row.replace("\\", "").split()) for row in re.sub(r"\n +", " ", table.value).split("\n")
            )


@cache
def units() -> tuple[str, ...]:
    """What the tests say of advice, unit by unit."""
    found: list[str] = []
    for path in sorted(TESTS.rglob("test_*.py")):
        text, own = path.read_text(encoding="utf-8"), path.name.startswith("test_advice")
        for node in ast.parse(text).body if own or "advice" in text else ():
            if isinstance(node, ast.FunctionDef):
                if own or "advice" in node.name:
                    found += [row for decorator in node.decorator_list for row in _rows(decorator)]
                    found.append("\n".join(map(_words, node.body)))
            elif own and isinstance(node, (ast.Assign, ast.AnnAssign)):
                found += _rows(node)
    return tuple(found)


@cache
def every() -> tuple[Advising, ...]:
    """Every advising string of the package."""
    return tuple(string for path in sorted(ROOT.rglob("*.py")) for string in advising(tree_of(path), name_of(path)))


def runs(text: str) -> set[str]:
    """The runs of words of a text, between its holes."""
    return {
        " ".join(words[at : at + size])
        for words in (piece.split() for piece in text.split(HOLE))
        for size in LENGTHS
        for at in range(len(words) - size + 1)
    }


def left(strings: tuple[Advising, ...], among: tuple[str, ...]) -> list[Advising]:
    """The advising strings that no unit follows. Strings with one text are one."""
    own = {string.text: runs(string.text) for string in strings}
    holders = Counter(chain.from_iterable(own.values()))
    return [
        string
        for string in strings
        if not any(
            holders[run] == 1 and run in unit for unit in among if string.advice in unit for run in own[string.text]
        )
    ]


def shown(string: Advising) -> str:
    return string.text.replace(HOLE, "{}")


def main() -> None:
    """Shows what no test follows: `python -m tests.house_advice [data/ modalities/ ...]`."""
    for string in left(every(), units()):
        if string.place.startswith(tuple(sys.argv[1:]) or ("",)):
            print(string.place, "|", shown(string), "| the advice:", string.advice)


if __name__ == "__main__":
    main()
