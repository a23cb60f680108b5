"""A text file that outputs continue is one text: passages in streams, its end held out; rows of few tables; the mean of
checkpoints and runs."""

import pytest
import torch

from ostinato import api
from ostinato.errors import ConfigError
from ostinato.recipe.infer import recipe_of
from ostinato.recipe.read import from_arguments
from ostinato.run.rows import of_split
from ostinato.training.checkpoints import Checkpoints, model_tensors
from tests.cli.conftest import cli, refused  # noqa: F401 (fixtures)

LINES = [f"{'the cat sat on the mat':<{20 + number % 7}}{number}" for number in range(60)]
SMALL = ("training.epochs=3", "inputs.text.tokenizer=char", "inputs.text.encoder.hidden_size=8")


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    return "".join(f"{line}\n" for line in LINES)


def whole(run, split):
    return "".join(row["inputs.text"] for row in of_split(run, split, None, ()).raw())


def test_a_file_is_one_text_whose_parts_follow_one_another_and_its_checkpoints_make_one_model(
    text,
    tmp_path,
    cli,  # noqa: F811
    refused,  # noqa: F811
):
    said = []
    recipe = recipe_of("text.txt", sets=(*SMALL, "data.split={valid: 0.2, test: 0.1}", "training.keep_checkpoints=3"))
    run = api.fit(recipe, "run", device="cpu", say=said.append)
    parts = [whole(run, split) for split in ("train", "valid", "test")]
    assert "".join(parts) == text, "nothing is lost, not even line ends"
    assert [round(len(part) / len(text), 1) for part in parts] == [0.7, 0.2, 0.1]
    data, training = run.recipe.settings.data, run.recipe.settings.training
    assert (data.rows, training.tbptt) == ("file", 100) and 150 <= data.passage <= 1000
    assert any("text.txt is one text, in passages" in line and "data.rows=lines" in line for line in said)
    again = api.fit(recipe, "run", device="cpu", resume=True, say=said.append)
    assert "finished" in said[-1] and again.recipe.plain() == run.recipe.plain()

    averaged = cli("average", "run", "--last", "2", "--json")
    assert averaged.json["split"] == "test" and "checkpoint-0002" in averaged.err and "checkpoint-0003" in averaged.err
    _, *last = Checkpoints(run.folder / "checkpoints").models().values()
    for name, weight in model_tensors(api.loaded_runs("run-average", "cpu")[0].graph).items():
        torch.testing.assert_close(weight, (last[0][name] + last[1][name]) / 2)
    refused("average", "run", "--last", "4", says=["run: 3 checkpoints are there, 4 are needed", "keep_checkpoints"])
    refused("average", "run", says=["run-average: holds a run already"])
    assert api.average(["run", "run-average"], tmp_path / "both", device="cpu").bundle.data["averaged"][0] == "run"
    refused("average", "run", "both", "--last", "2", "--run", "no", says=["--last counts the checkpoints of one run"])


def test_what_a_recipe_names_holds_and_few_rows_validate_with_more_than_one(text):
    sets = (*SMALL, "data.rows=lines", "training.epochs=1")
    with pytest.raises(ConfigError, match=r"data\.split: belongs to a forecast, .*or to one text"):
        recipe_of("text.txt", sets=(*sets, "data.split={valid: 0.1}"))
    rows = [{"text": line} for line in LINES[:12]]
    whole_text = from_arguments({"text": "text"}, {"more": {"of": "text"}}, data={"split": {"valid": 0.1}})
    with pytest.raises(ConfigError, match=r"data\.split: divides series by time, and one text.*data\.valid"):
        api.fit(whole_text, "no", data={"train": rows}, device="cpu")
    with open("text.txt", "w") as file:
        file.write("\n".join(LINES[:12]))
    lines = api.fit(recipe_of("text.txt", sets=sets), "lines", device="cpu")
    assert next(iter(of_split(lines, "train", None, ()).raw()))["inputs.text"] in LINES
    assert lines.recipe.settings.training.tbptt is None and lines.recipe.settings.data.passage is None
    assert len(of_split(lines, "valid", None, ())) == 3 and "would be 1" in lines.recipe.reasons["data.valid_rows"]
    asked = api.fit(recipe_of("text.txt", sets=(*sets, "data.valid_rows=1")), "asked", device="cpu")
    assert len(of_split(asked, "valid", None, ())) == 1, "as runs of before have it"
