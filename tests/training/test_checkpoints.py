"""What stands in a checkpoint, and what is said of one that cannot be used."""

import json
import shutil

import pytest
import safetensors.torch
import torch

from ostinato import files
from ostinato.distributions.contract import LEVELS
from ostinato.errors import BundleError, ConfigError, DataError
from ostinato.heads.contract import Sizes, Span
from ostinato.modalities.contract import Values
from ostinato.registry import make, names
from ostinato.training import checkpoints as kept
from ostinato.training.checkpoints import (
    VERSION,
    Checkpoints,
    model_tensors,
    optimizer_tensors,
    refuse_changes,
    restore_model,
    restore_optimizer,
)
from tests.training.toy_run import Toy, task, toy, training


def test_only_safetensors_and_json_are_written_and_a_tied_weight_once(tmp_path):
    training(epochs=3, average_decay=0.9).run(task(), tmp_path)
    written = [path for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()]
    assert {path.suffix for path in written} == {".json", ".safetensors"}
    newest = Checkpoints(tmp_path / "checkpoints").newest()
    model = safetensors.torch.load_file(newest / "model.safetensors")
    assert set(model) == {"embedding.weight", "hidden.weight", "hidden.bias", "out.bias", "num_batches"}
    assert {path.stem for path in newest.iterdir()} == {"state", "model", "optimizer", "average"}


def test_two_checkpoints_and_the_weights_they_name_are_kept(tmp_path):
    worse = lambda model: {"loss": float(model.num_batches), "next.right": 0}  # noqa: E731
    training(epochs=6, average_last=2).run(task(validate=worse), tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best-0001.safetensors", "checkpoint-0005-0000000", "checkpoint-0006-0000000",
                     "epoch-0004.safetensors", "epoch-0005.safetensors", "epoch-0006.safetensors"]  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"average_decay": 0.9}, {"average_last": 2}, {"keep_best": True}], ids=str)
def test_a_reader_gets_the_weights_that_would_be_kept_and_an_older_checkpoint_where_the_newest_is_damaged(
    tmp_path, options
):
    worse = lambda model: {"loss": float(model.num_batches), "next.right": 0}  # noqa: E731
    model, options = Toy(), {"keep_best": False, **options}
    training(epochs=3, **options).run(task(model=model, validate=worse), tmp_path)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    saved = checkpoints.so_far(options["keep_best"])
    kept = model_tensors(model)
    assert saved.state["place"]["epoch"] == 3 and saved.tensors["model"].keys() == kept.keys()
    assert all(torch.equal(saved.tensors["model"][name], tensor) for name, tensor in kept.items())
    (checkpoints.newest() / "model.safetensors").write_bytes(b"half")
    there = sorted(path.name for path in checkpoints.folder.iterdir())
    assert checkpoints.so_far(options["keep_best"]).state["place"]["epoch"] == 2
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == there
    assert Checkpoints(tmp_path / "none").so_far(True) is None


@pytest.mark.parametrize("name", names("optimizers"))
def test_a_restored_optimizer_goes_on_to_the_same_bits(name):
    def one(options):
        model = Toy()
        named = dict(model.named_parameters())
        return model, named, make("optimizers", name, options=options).make(named.values())

    def step(model, optimizer):
        torch.manual_seed(0)
        for weight in model.parameters():
            weight.grad = torch.randn_like(weight)
        optimizer.step()

    options = {"momentum": 0.5} if name in ("sgd", "rmsprop") else {}
    (first, named, optimizer), (second, other, restored) = one(options), one(options)
    step(first, optimizer)
    restore_model(second, model_tensors(first), "here")
    saved = safetensors.torch.load(safetensors.torch.save(optimizer_tensors(optimizer, named)))
    restore_optimizer(restored, other, {key: tensor.clone() for key, tensor in saved.items()})
    step(first, optimizer)
    step(second, restored)
    assert all(torch.equal(tensor, model_tensors(second)[key]) for key, tensor in model_tensors(first).items())


def test_restored_tensors_lie_where_vector_instructions_want_them(tmp_path):
    """safetensors' own views begin anywhere, and sums depend on the alignment of what they read."""
    checkpoints = Checkpoints(tmp_path)
    odd = {"a": torch.ones(1, dtype=torch.uint8), "b": torch.ones(7), "c": torch.ones(3)}
    checkpoints.save(0, 1, {"best_epoch": None, "averaged_epochs": []}, {"model": odd})
    found = checkpoints.latest(pytest.fail).tensors["model"]
    assert all(tensor.data_ptr() % 64 == 0 and torch.equal(tensor, odd[name]) for name, tensor in found.items())


def saved(folder, epochs):
    checkpoints = Checkpoints(folder)
    for epoch in epochs:
        checkpoints.save(
            epoch, 0, {"best_epoch": None, "averaged_epochs": []}, {"model": {"w": torch.full((9,), float(epoch))}}
        )
    return checkpoints


def test_positions_are_ordered_by_number(tmp_path):
    checkpoints = saved(tmp_path, [9, 10])
    checkpoints.save(10, 9_999_999, {"best_epoch": None, "averaged_epochs": []}, {})
    checkpoints.save(10, 10_000_000, {"best_epoch": None, "averaged_epochs": []}, {})
    assert checkpoints.newest().name == "checkpoint-0010-10000000"


@pytest.mark.parametrize(
    "damage",
    ["no state", "broken state", "deep state", "odd state", "other place", "no checksum", "short", "one bit", "gone"],
)
def test_damage_is_found_and_the_checkpoint_before_is_taken(tmp_path, damage):
    checkpoints, notes = saved(tmp_path, [1, 2]), []
    state, weights = (checkpoints.newest() / name for name in ("state.json", "model.safetensors"))
    data = weights.read_bytes()
    {
        "no state": state.unlink,
        "broken state": lambda: state.write_text('{"version": 1'),
        "deep state": lambda: state.write_text("[" * 100_000),
        "odd state": lambda: state.write_text('{"version": "x", "sha256": {}}'),
        "other place": lambda: rewritten(state, averaged_epochs=5),
        "no checksum": lambda: rewritten(state, checksum=None),
        "short": lambda: weights.write_bytes(data[:-1]),
        "one bit": lambda: weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1])),
        "gone": weights.unlink,
    }[damage]()
    assert checkpoints.latest(notes.append).tensors["model"]["w"][0] == 1
    assert "checkpoint-0002" in notes[0] and "continuing from checkpoint-0001" in notes[0]
    checkpoints.save(2, 0, {"best_epoch": None, "averaged_epochs": []}, {"model": {"w": torch.zeros(1)}})
    assert checkpoints.latest(pytest.fail).tensors["model"]["w"][0] == 0


def rewritten(path, **changes):
    plain = {key: value for key, value in {**json.loads(path.read_text()), **changes}.items() if value is not None}
    path.write_text(json.dumps(plain))


def test_the_advice_where_no_checkpoint_is_whole(tmp_path):
    """--overwrite deletes them, and another training begins."""
    checkpoints = saved(tmp_path, [1])
    (checkpoints.newest() / "model.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match="no checkpoint is whole: .*; start anew with --overwrite"):
        checkpoints.latest(pytest.fail)
    shutil.rmtree(tmp_path)
    assert Checkpoints(tmp_path).latest(pytest.fail) is None and saved(tmp_path, [1]).latest(pytest.fail)


def test_the_advice_on_a_newer_version(tmp_path, monkeypatch):
    """An updated Ostinato reads it."""
    newest = saved(tmp_path, [1]).newest()
    plain = {key: value for key, value in json.loads((newest / "state.json").read_text()).items() if key != "checksum"}
    (newest / "state.json").write_text(json.dumps(files.with_checksum(plain | {"version": 99})))
    with pytest.raises(
        BundleError, match=f"of checkpoint version 99, known are those up to {VERSION}; update Ostinato"
    ):
        Checkpoints(tmp_path).latest(pytest.fail)
    monkeypatch.setattr(kept, "VERSION", 99)
    assert Checkpoints(tmp_path).latest(pytest.fail)


def test_the_advice_on_what_resuming_cannot_change():
    before, free = {"epochs": 3, "batch_rows": 8}, ("epochs",)
    with pytest.raises(ConfigError) as refusal:
        refuse_changes(before, {"epochs": 4, "batch_rows": 9}, free, "run")
    assert str(refusal.value).endswith(
        "batch_rows was 8, is 9. Set them back, or start anew with --overwrite; what may change on --resume: epochs"
    )
    refuse_changes(before, {"epochs": 4, "batch_rows": 8}, free, "run")


def test_the_advice_on_a_folder_that_holds_a_run(tmp_path):
    assert training(epochs=1).run(task(), tmp_path)
    with pytest.raises(
        DataError, match="holds a run already; continue it with --resume, or start anew with --overwrite"
    ):
        training(epochs=1).run(task(), tmp_path)
    assert training(epochs=2).run(task(), tmp_path, resume=True)
    shutil.rmtree(tmp_path)
    assert training(epochs=1).run(task(), tmp_path)


def test_what_an_interrupted_write_left_is_swept_away(tmp_path):
    checkpoints = saved(tmp_path, [1])
    left = tmp_path / ".checkpoint-0002-0000000.77.partial"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    assert checkpoints.latest(pytest.fail).tensors["model"]["w"][0] == 1 and not left.exists()


def test_weights_of_another_shape_are_refused_by_name():
    saved = model_tensors(toy()) | {"hidden.bias": torch.zeros(3)}
    with pytest.raises(BundleError, match=r"here: .*hidden\.bias"):
        restore_model(toy(), saved, "here")


def test_weights_that_lack_stay_where_a_part_may_be_restored():
    first, second = toy(), toy()
    part = {"hidden.bias": torch.ones_like(first.hidden.bias)}
    before = {name: tensor.clone() for name, tensor in model_tensors(second).items()}
    restore_model(second, part, "here", whole=False)
    assert all(torch.equal(tensor, part.get(name, before[name])) for name, tensor in model_tensors(second).items())
    with pytest.raises(BundleError, match=r"here: .*hidden\.weight"):
        restore_model(second, part, "here")


def test_a_head_reads_what_an_earlier_version_saved():
    sizes, span = [Sizes(None, 4)], Span(6, 3, (False,))
    model = torch.nn.ModuleDict({"ahead": make("heads", "forecast", (Values(1), sizes, span))})
    earlier = {name: tensor.clone() for name, tensor in model_tensors(model).items() if name != "ahead.from_median"}
    restore_model(model, earlier, "here")
    bias = model["ahead"].straight.bias.view(-1, len(LEVELS))
    expected = earlier["ahead.straight.bias"].view(-1, len(LEVELS))
    median = len(LEVELS) // 2
    torch.testing.assert_close(bias[:, median], expected[:, median])
    torch.testing.assert_close(bias[:, 0] + bias[:, median], expected[:, 0])


def test_changes_are_named_together_and_what_is_free_is_not():
    before = {"training": {"epochs": 3, "optimizer": {"type": "sgd"}}, "data": "a", "search": {"width": 3}}
    refuse_changes(before, {**before, "search": {"type": "greedy"}}, ("search",), "run")
    with pytest.raises(ConfigError) as caught:
        now = {"training": {"epochs": 4, "optimizer": {"type": "adam"}}, "data": "b"}
        refuse_changes(before, now, ("training.epochs",), "run")
    for part in (
        "data was 'a', is 'b'",
        "training.optimizer.type was 'sgd', is 'adam'",
        "search.width was 3, is 'not there'",
    ):
        assert part in str(caught.value)
    assert "training.epochs was" not in str(caught.value)
