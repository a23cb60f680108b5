"""The parts of a page: tables, pictures and lists as HTML in which every text is escaped, and the page around them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from ostinato.evaluation.report_text import html_table

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --faint: #595959; --line: #c9c9c9; --band: #f3f3f3 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #141414; --faint: #b0b0b0; --line: #4a4a4a; --band: #222 }
  img { filter: invert(.92) hue-rotate(180deg) } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 64rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin-bottom: .3rem }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; list-style: none }
a { color: inherit }
figure { margin: 1rem 0; overflow-x: auto } img { max-width: 100%; height: auto }
.table { overflow-x: auto } .table + .table { margin-top: 1rem }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  min-width: 3rem; max-width: 26rem }
th { background: var(--band) } .note { color: var(--faint) } pre { overflow-x: auto; white-space: pre-wrap }
@media screen and (max-width: 40rem) {
  img { max-width: 44rem } table { width: max-content } th, td { max-width: 15rem } }
@media print { body { max-width: none; font-size: 10pt } nav { display: none }
  figure, tr { break-inside: avoid } h2, h3, .note { break-after: avoid } .table { overflow: visible }
  table { font-size: .8rem } th, td { max-width: 16rem; padding: .2rem .4rem } }
"""
"""Of screens large and small, light and dark, and of paper."""


@dataclass(frozen=True)
class Section:
    """A heading and what is below it.

    Args:
        title: of the heading, as text.
        parts: HTML; empty ones are left out.
    """

    title: str
    parts: Sequence[str]


def page(title: str, sections: Iterable[Section]) -> str:
    """A whole HTML page, which loads nothing: a list of its sections, then those that have parts.

    Args:
        title: as text.
        sections: in order.
    """
    shown = [(f"s{number}", section) for number, section in enumerate(sections) if any(section.parts)]
    links = "".join(f'<li><a href="#{key}">{escape(section.title)}</a></li>' for key, section in shown)
    bodies = "".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{escape(section.title)}</h2>'
        f"{''.join(section.parts)}</section>"
        for key, section in shown
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><header><h1>{escape(title)}</h1></header>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav><main>{bodies}</main></body></html>\n'
    )


def heading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str, *, note: bool = False) -> str:
    return f"<p{' class=note' * note}>{escape(text)}</p>"


def items(texts: Iterable[str]) -> str:
    """A list; nothing where there are no texts."""
    listed = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{listed}</ul>" if listed else ""


def preformatted(lines: Iterable[str]) -> str:
    """Lines whose columns are aligned by spaces."""
    return f'<pre tabindex="0">{escape(chr(10).join(lines))}</pre>'


def table(name: str, rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself where it is wide, without columns that are empty; nothing where it has no row
    beside its head.

    Args:
        name: what it shows, for those who cannot see it.
        rows: the first one has the names of the columns.
    """
    if len(rows) < 2:
        return ""
    filled = [at for at in range(len(rows[0])) if any(row[at] for row in rows[1:])]
    rows = [[row[at] for at in filled] for row in rows]
    return f'<div class="table" role="region" tabindex="0" aria-label="{escape(name)}">{html_table(rows)}</div>'


def figure(drawing: Callable[[Path], object]) -> str:
    """A picture as SVG inside the page, its own titles in place of it for those who cannot see it; nothing where
    nothing was drawn.

    Args:
        drawing: writes the picture to a path.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.svg"
        drawing(path)
        svg = path.read_bytes() if path.is_file() else b""
    if not svg:
        return ""
    # An escaped text of XML is one of HTML.
    named = re.search(rb"<title>(.*?)</title>", svg, re.DOTALL)
    alternative = named[1].decode().replace('"', "&quot;") if named else ""
    data = base64.b64encode(svg).decode()
    return f'<figure tabindex="0"><img alt="{alternative}" src="data:image/svg+xml;base64,{data}"></figure>'
