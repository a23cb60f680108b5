"""The kinds of file that rows are read from, by their endings, and what reads each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ostinato.data.columns import Conll, Fasta, TimeSeries
from ostinato.data.contract import Dialect, FileSource, Source
from ostinato.data.files import Delimited, JsonLines, Parquet
from ostinato.data.sheets import Sheet


def _fasta(path: Path, shown: str, where: str, dialect: Dialect) -> Fasta:
    return Fasta({"": (path, shown)}, where, dialect)


FASTA = (".fasta", ".fa", ".faa", ".fna", ".ffn", ".fas")
CONLLU = ".conllu"
MANIFESTS: dict[str, Callable[[Path, str, str, Dialect], FileSource]] = {
    ".csv": partial(Delimited, separator=",", quoted=True),
    ".tsv": partial(Delimited, separator="\t", quoted=False),
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".parquet": Parquet,
}
TABLES: dict[str, Callable[[Path, str, str, Dialect], Source]] = {
    **MANIFESTS,
    **dict.fromkeys((".xlsx", ".xls", ".xlsb", ".ods"), Sheet),
    **dict.fromkeys((".conll", ".iob", ".bio"), Conll),
    CONLLU: partial(Conll, universal=True),
    **dict.fromkeys(FASTA, _fasta),
    ".ts": TimeSeries,
}
"""Endings of files that name their columns, also before `.gz`, and what reads them."""
FOREIGN = {
    "write one JSON object a line, {column: value}, and name the file .jsonl": (".json",),
    "save it as .csv or .tsv": (".sav", ".dta", ".sas7bdat", ".rds", ".rdata"),
    "write it as .parquet": (
        ".arrow",
        ".feather",
        ".ipc",
        ".orc",
        ".avro",
        ".h5",
        ".hdf5",
        ".sqlite",
        ".db",
        ".pkl",
        ".pickle",
    ),
    "name it in a folder's manifest, or give the array from Python": (".npy", ".npz", ".mat"),
    "unpack it, or pack it with gzip": (".zip", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"),
    "save it as plain text": (".pdf", ".doc", ".docx", ".odt", ".rtf"),
}
"""Endings that would be taken for text with one example a line, and what to do instead."""


def ending_of(path: Path) -> str:
    """The ending that tells a file's kind, without `.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix
