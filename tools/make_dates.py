"""Makes the built-in data set `dates`: days as people write them in many languages, beside ISO 8601.

    python tools/make_dates.py            writes ostinato/builtin/dates.{train,valid,test}.tsv.gz
    python tools/make_dates.py --check    makes them again and compares the bytes; exits 1 if they differ
    python tools/make_dates.py --show     prints one day of every language and form

Names and word order come from Unicode CLDR by way of Babel (Unicode License v3). A form is kept if nobody can read
another day out of it: the year has four digits, and the month stands as a word or is named by one (2012年7月4日). Each
day has one row only, so no day of valid or test is ever seen in training. Another Babel brings another CLDR and other
rows: these are of 2.18.0.
"""

import argparse
import datetime
import gzip
import io
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import babel
from babel import Locale
from babel.dates import format_date, get_date_format

FOLDER = Path(__file__).resolve().parent.parent / "ostinato" / "builtin"
MADE_WITH = "2.18.0"
SEED = 20240229
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
ROWS = {"test": 2000, "valid": 1000, "train": 36000}
LANGUAGES = (
    "am ar bg bn ca cs cy da de el en es et eu fa fi fr ga gu he hi hr hu hy id is it ja ka km ko lt lv ml mn nb nl pa "
    "pl pt ro ru sk sl sr sv sw ta te th tr uk ur vi zh"
).split()
FORMS = ("full", "long", "medium", "short")

# No keyboard types these: no-break and narrow no-break space become a space, direction marks go.
TYPED = {0x00A0: " ", 0x202F: " ", 0x200E: None, 0x200F: None, 0x061C: None}


def forms(language: str) -> list[str]:
    """The forms of a language that name one day only, each pattern once."""
    kept: dict[str, str] = {}
    for form in FORMS:
        pattern = get_date_format(form, locale=language).pattern
        letters = re.sub(r"'[^']*'", "", pattern)
        month_is_named = "MMM" in letters or "LLL" in letters or re.search(r"年\s*M+\s*月", pattern)
        if month_is_named and not re.search(r"(?<!y)yy(?!y)", letters):
            kept.setdefault(pattern, form)
    return list(kept.values())


def written(day: datetime.date, language: str, form: str) -> str:
    return format_date(day, form, locale=language).translate(TYPED)


def rows() -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    """Each split's name and its rows (written, iso, language, form), in the order of the files."""
    draw = random.Random(SEED)
    days = [FIRST + datetime.timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    draw.shuffle(days)
    kept_forms = {language: forms(language) for language in LANGUAGES}
    iso_of: dict[str, str] = {}
    left = iter(days)
    for split, count in ROWS.items():
        made = []
        while len(made) < count:
            day, language = next(left), LANGUAGES[len(made) % len(LANGUAGES)]
            form = draw.choice(kept_forms[language])
            text = written(day, language, form)
            if iso_of.setdefault(text, day.isoformat()) == day.isoformat():
                made.append((text, day.isoformat(), language, form))
        draw.shuffle(made)
        yield split, made


def table(made: list[tuple[str, str, str, str]]) -> bytes:
    lines = ["written\tiso\tlanguage\tform", *("\t".join(row) for row in made)]
    return ("\n".join(lines) + "\n").encode()


def compressed(content: bytes) -> bytes:
    """The content gzipped, without name and time, so that the same content gives the same bytes."""
    target = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=target, mtime=0) as file:
        file.write(content)
    return target.getvalue()


def check() -> int:
    """How many files differ from what this script makes now; each is named."""
    wrong = 0
    for split, made in rows():
        path = FOLDER / f"dates.{split}.tsv.gz"
        stands = path.read_bytes() if path.exists() else b""
        content = table(made)
        if stands == compressed(content):
            print(f"{path.name}: same bytes")
        elif stands and gzip.decompress(stands) == content:
            print(f"{path.name}: same rows, packed by another zlib")
        else:
            wrong += 1
            print(f"{path.name}: differs; run tools/make_dates.py and look at what changed", file=sys.stderr)
    return wrong


def show() -> None:
    for language in LANGUAGES:
        print(f"{language}  {Locale.parse(language).english_name}")
        for form in forms(language):
            print(f"    {form:7} {written(datetime.date(2012, 7, 4), language, form)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the files that stand")
    parser.add_argument("--show", action="store_true", help="print a day in every language and form")
    arguments = parser.parse_args()
    if babel.__version__ != MADE_WITH:
        print(
            f"Babel {babel.__version__} is installed, the files were made with {MADE_WITH}: expect other rows",
            file=sys.stderr,
        )
    if arguments.show:
        show()
    elif arguments.check:
        raise SystemExit(1 if check() else 0)
    else:
        for split, made in rows():
            path = FOLDER / f"dates.{split}.tsv.gz"
            path.write_bytes(compressed(table(made)))
            print(f"{path.name}: {len(made)} rows, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
