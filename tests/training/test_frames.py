"""How far it is from the `train` command to the native library: at most ten Python functions of this package."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import ostinato
from ostinato.kernels.native_library import library

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")

PACKAGE = str(Path(ostinato.__file__).parent)
RECIPE = """
data: {{train: {table}, valid: {table}}}
inputs:
  text: {{type: text, encoder: {{type: recurrent, cell: {cell}, bidirectional: {bidirectional}, hidden_size: 8}}}}
outputs: {{label: {{type: category}}}}
training: {{epochs: 1, batch_rows: 4, precision: float32}}
"""


def path(frame):
    """The functions of this package from the command down; click's and torch's own frames do not count."""
    names = []
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(PACKAGE):
            names.append(f"{file.relative_to(PACKAGE)}:{frame.f_code.co_name}")
        if file.name == "train_command.py":
            return names[::-1]
        frame = frame.f_back
    return []


@pytest.mark.parametrize("bidirectional", ["true", "false"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_training_step_reaches_the_native_library_in_ten_calls(monkeypatch, tmp_path, cell, bidirectional):
    from ostinato.cli.main import group

    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "".join(f"{word},{word[0]}\n" for word in ("abc", "bca", "cab", "acb") * 4))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(table=table, cell=cell, bidirectional=bidirectional))
    paths = []
    forward = library().forward

    def watched(*arguments):
        paths.append(path(sys._getframe(1)))
        return forward(*arguments)

    monkeypatch.setattr(library(), "forward", watched)
    done = CliRunner().invoke(group, ["train", str(recipe), "--out", str(tmp_path / "run")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    steps = [names for names in paths if any(name.startswith("training/loop.py:update") for name in names)]
    assert steps, paths
    assert all(len(names) <= 10 for names in steps), "\n".join(max(steps, key=len))
