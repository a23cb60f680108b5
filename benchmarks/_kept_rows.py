"""Rows of a table that take a while each: what was measured is kept until all are there, so that a run that was stopped
continues; and sections of docs/speed.md that benchmarks write."""

import json
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ostinato.files import write

HOME = Path(__file__).resolve().parent.parent
PAGE = HOME / "docs" / "speed.md"
Row = dict[str, Any]


class KeptRows:
    """Rows in a file, a JSON object a line, each with the key that says what was measured and how."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def row(self, key: Row, measure: Callable[[], Row]) -> Row:
        """The row of this key: as it was kept, or measured now."""
        key = json.loads(json.dumps(key))
        found = next((row for row in self.rows if row["key"] == key), None)
        if found is None:
            found = {"key": key, **measure()}
            self.rows.append(found)
            write(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))
        return found

    def end(self) -> None:
        self.path.unlink(missing_ok=True)


def spread(numbers: Sequence[float]) -> list[float]:
    """Median, least and most, of four digits."""
    return [float(f"{number:.4g}") for number in (statistics.median(numbers), min(numbers), max(numbers))]


def write_section(title: str, text: str) -> None:
    """Puts a section of this title into docs/speed.md, in the place of the one that is there, or at the end."""
    page, own = PAGE.read_text(encoding="utf-8"), f"## {title}\n\n{text.strip()}\n"
    old = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", page, flags=re.M | re.S)
    if old is None:
        page = f"{page.rstrip()}\n\n{own}"
    else:
        rest = page[old.end() :]
        page = page[: old.start()] + own + (f"\n{rest}" if rest else "")
    write(PAGE, page)
