"""`pip install` of a message, followed: the extra that it names is declared, and holds the library that was missing."""

import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ostinato.data.read import open_table
from ostinato.data.write import write_table
from ostinato.encoders._hugging_face import transformers
from ostinato.errors import OstinatoError
from ostinato.modalities import _pictures
from ostinato.modalities.audio import Audio
from ostinato.registry import make

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def sheet():
    return open_table("t.xlsx", base=Path(), data_root=None, where="data.train", columns=None)


@pytest.mark.parametrize(
    ("library", "call", "advice"),
    [
        (
            "symusic",
            lambda: make("modalities", "music", options={"notation": "remi"}).fit(["X:1\nK:C\nC|"]),
            "MIDI is read and written by symusic and MidiTok: pip install 'ostinato[music]'",
        ),
        (
            "PIL",
            lambda: _pictures.png(np.eye(2)),
            "pictures need the package pillow, which is not here: pip install 'ostinato[images]'",
        ),
        (
            "soundfile",
            lambda: Audio().fit([b"OggS"]),
            "other wav files soundfile is needed: pip install 'ostinato[audio]'",
        ),
        (
            "transformers",
            transformers,
            "need the package transformers, which is not here: pip install 'ostinato[pretrained]'",
        ),
        (
            "xlsxwriter",
            lambda: write_table(Path("a.xlsx"), [{"x": 1}]),
            "workbooks are written by the extra `excel`: pip install 'ostinato[excel]'; or give .csv",
        ),
        (
            "fastexcel",
            sheet,
            "spreadsheets are read by the extra `excel`: pip install 'ostinato[excel]'; or save it as",
        ),
    ],
)
def test_an_extra_that_advice_names_is_declared_with_its_library(library, call, advice, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(OstinatoError) as refusal:
        call()
    assert advice in str(refusal.value)
    (extra,) = re.findall(r"pip install 'ostinato\[(\w+)\]'", str(refusal.value))
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"][extra]
    names = {re.match(r"[\w-]+", requirement)[0] for requirement in declared}
    assert {"PIL": "pillow"}.get(library, library) in names
