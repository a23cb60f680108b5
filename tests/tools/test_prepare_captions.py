"""Photographs and captions, the pretrained net replaced by numbers."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    import _captions
    import prepare

    return prepare, _captions


def test_captions_are_plain_and_a_picture_of_several_is_one_file(tools, tmp_path, monkeypatch):
    prepare, captions = tools
    folder = tmp_path / "flickr8k-captions"
    folder.mkdir()
    with zipfile.ZipFile(folder / "pictures_128.zip", "w"):
        pass
    lines = [f"{name}.jpg#{k}\tA Dog's ball , no {k} .\n" for name in "abcd" for k in range(3)]
    (folder / "captions.token.txt.gz").write_bytes(gzip.compress("".join(lines).encode()))
    for listed, names in (("train.txt", "ab"), ("dev.txt", "c"), ("test.txt", "d")):
        (folder / listed).write_text("".join(f"{name}.jpg\n" for name in names))
    draw = np.random.default_rng(0)
    monkeypatch.setattr(captions, "seen", lambda archive, names: draw.normal(size=(len(names), 16, 120)))
    assert [*prepare.prepare("flickr8k", tmp_path, tmp_path).values()] == [6, 1, 1]
    train, test = (tmp_path / f"prepared-flickr8k/{split}" for split in ("train", "test"))
    assert sorted(path.name for path in train.iterdir()) == ["0000.npy", "0003.npy", "manifest.csv"]
    assert train.joinpath("manifest.csv").read_text().splitlines()[:2] == [
        "places:file,caption,others",
        "0000.npy,a dog s ball no 0,",
    ]
    assert (
        test.joinpath("manifest.csv").read_text().endswith("a dog s ball no 0,a dog s ball no 1 | a dog s ball no 2\n")
    )
    assert np.load(test / "0000.npy").dtype == np.int8 and np.load(test / "0000.npy").shape == (16, 96)


def test_principal_axes_are_those_of_the_largest_variance_with_deviation_one(tools):
    _, captions = tools
    values = np.random.default_rng(0).normal(size=(500, 3)) * [1, 9, 4] + 5
    mean, axes = captions.principal(values, 2)
    seen = (values - mean) @ axes
    assert np.allclose(np.cov(seen.T, bias=True), np.eye(2), atol=1e-4) and abs(axes[1, 0]) > 5 * abs(axes[2, 0])
    assert set(np.unique(captions.coded(values, mean, axes))) <= set(range(-20, 21))
