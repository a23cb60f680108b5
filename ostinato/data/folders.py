"""A folder as a table: a manifest in it, or files of one kind, a row each, in subfolders that are their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ostinato import registry
from ostinato.data.contract import Source
from ostinato.data.kinds import FOREIGN, MANIFESTS, TABLES, ending_of
from ostinato.data.lines import encoding_of
from ostinato.data.manifest import MARK, Manifest, rows_of_file
from ostinato.data.manifest import TEXT as TEXT_ENDING
from ostinato.data.memory import Memory
from ostinato.errors import DataError

TEXT, LABEL = "text", "label"
"""The columns of a folder of files."""
FIRST_TEXTS = 100
"""Of a folder, whose encoding is looked at."""
MOST_STRAYS = 3
"""Named in a message."""
OF_SYSTEMS = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"})
"""What Windows and unpacked archives leave in folders; like names with a dot before them no file of the user's."""
_MANIFEST = (
    f"in a folder {' or '.join(f'manifest{kind}' for kind in MANIFESTS)} is a table of the rows, whose columns "
    "NAME:file hold paths of files; or name a file in the folder"
)


def files_in(name: str | Path, folder: Path, where: str, columns: Sequence[str] | None, encoding: str | None) -> Source:
    """The files of a folder without a manifest, a row each, in the order of names.

    Args:
        name: the folder as the user named it.
        folder: where it is.
        where: the path in the recipe that named it.
        columns: the columns that are asked for; None: all.
        encoding: of texts; None: of each what is detected.

    Errors:
        DataError: there is no file, several kinds are there, or some lie in subfolders and some do not.
    """
    text, label = _names(columns)
    rows, ending = _rows(Path(name), folder, where, text, label)
    listed = Memory(rows, where)
    listed.name = str(name)
    texts = Manifest(listed, folder, where, ending, encoding, each=text)
    texts.labels = tuple(column for column in texts.columns if column == label)
    if encoding is None and ending == TEXT_ENDING:
        texts.notes = _recoded(folder, [row[f"{text}{MARK}"] for row in rows[:FIRST_TEXTS]])
    return texts


def manifest_in(name: str | Path, folder: Path, where: str) -> Path | None:
    """The manifest of a folder, named as the folder was; None where it has none.

    Errors:
        DataError: it has several.
    """
    there = [path.name for path in folder.iterdir()]
    if not any(path.startswith("manifest.") for path in there):
        return None
    manifests = [
        f"manifest{kind}{packed}" for kind in MANIFESTS for packed in ("", ".gz") if f"manifest{kind}{packed}" in there
    ]
    if len(manifests) != 1:
        problem = f"with {' and '.join(manifests)}; keep one of them" if manifests else "without a manifest"
        raise DataError(f"{where}: {name} is a folder {problem}; {_MANIFEST}")
    return Path(name) / manifests[0]


def _names(columns: Sequence[str] | None) -> tuple[str, str]:
    """What the files of a folder and their labels are called: as asked, where one name is another than theirs."""
    others = [column for column in columns or () if column not in (TEXT, LABEL)]
    if len(others) != 1:
        return TEXT, LABEL
    return (TEXT, others[0]) if TEXT in (columns or ()) else (others[0], LABEL)


def _rows(name: Path, folder: Path, where: str, text: str, label: str) -> tuple[list[dict[str, str]], str]:
    """A row for each file, with its subfolder where it lies in one; and the ending that all of them have where they are
    texts."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if not any(map(_is_of_system, path.parts))]
    endings, depths = sorted({ending_of(path) for path in paths}), sorted({len(path.parts) for path in paths})
    kinds = {_kind(ending) for ending in endings}
    if len(kinds) != 1 or any(map(_is_foreign, endings)) or depths not in ([1], [2]):
        problem = f"with files of {', '.join(endings)}" if endings else "without a file"
        problem = f"whose files lie at {' and '.join(map(str, depths))} levels" if len(depths) > 1 else problem
        raise DataError(
            f"{where}: {name} is a folder {problem}; {_strays(paths)}files of one kind are read as they are, all of "
            f"them in the folder or each in a subfolder that is its label; otherwise {_MANIFEST}"
        )
    labels = [{label: path.parent.name} if len(path.parts) == 2 else {} for path in paths]
    is_text = len(endings) == 1 and (kinds == set(endings) or rows_of_file(paths[0].name) is not None)
    rows = [{f"{text}{MARK}": path.as_posix(), **labelled} for path, labelled in zip(paths, labels)]
    return rows, endings[0] if is_text else TEXT_ENDING


def _is_of_system(part: str) -> bool:
    return part.startswith(".") or part.lower() in OF_SYSTEMS


def _is_foreign(ending: str) -> bool:
    return ending in TABLES or any(ending in others for others in FOREIGN.values())


def _kind(ending: str) -> str:
    """What files of this ending are together with: the first modality that reads it, or no other ending."""
    members = ((name, registry.component("modalities", name)) for name in registry.names("modalities"))
    return next((name for name, member in members if ending in member.file_endings), ending)


def _strays(paths: Sequence[Path]) -> str:
    """What to move out of a folder so that the rest is of one kind and at one level, where most of it is."""
    places = [(len(path.parts), _kind(ending_of(path))) for path in paths]
    usual = Counter(places).most_common(1)
    strays = [path.as_posix() for path, place in zip(paths, places) if place != usual[0][0]]
    if not strays or 2 * len(strays) >= len(paths):
        return ""
    more = f" and {len(strays) - MOST_STRAYS:,} more" * (len(strays) > MOST_STRAYS)
    return f"move {', '.join(strays[:MOST_STRAYS])}{more} out of it: "


def _recoded(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """A note on the first of some texts that is not in UTF-8."""
    notes = (encoding_of(folder / name, f"{folder.name}/{name}").notes for name in names)
    return next(filter(None, notes), ())
