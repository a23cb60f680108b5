"""Runs the chapters of docs/course and compares what their code prints with the page.

python tools/course.py            all chapters; exit 1 where a page prints something else than it has
python tools/course.py 3 5        these
python tools/course.py --write    writes what is printed into the pages
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

COURSE = Path(__file__).resolve().parent.parent / "docs" / "course"
BLOCK = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
"""Code, and what it prints."""


def chapters(numbers: list[int]) -> list[Path]:
    """The pages of these chapters that have code; of all where no numbers are given."""
    pages = [page for page in sorted(COURSE.glob("[0-9]*.md")) if BLOCK.search(page.read_text(encoding="utf-8"))]
    return [page for page in pages if not numbers or int(page.name.partition("-")[0]) in numbers]


def run(page: Path) -> str:
    """The page with what its code prints; its blocks share their names."""
    names: dict[str, object] = {"__name__": page.stem}

    def printed(block: re.Match[str]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(block[1], str(page), "exec"), names)
        return f"```python\n{block[1]}```\n\n```text\n{output.getvalue()}```"

    return BLOCK.sub(printed, page.read_text(encoding="utf-8"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", nargs="*", type=int)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    different = 0
    for page in chapters(options.chapter):
        text = run(page)
        if text == page.read_text(encoding="utf-8"):
            print(f"{page.name}: as printed")
        elif options.write:
            page.write_text(text, encoding="utf-8")
            print(f"{page.name}: written")
        else:
            different += 1
            print(f"{page.name}: prints something else; run python tools/course.py --write")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
