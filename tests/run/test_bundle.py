"""The bundle: whole, or refused with what to do."""

import json
import math
import random
import re
import shlex
import shutil

import pytest
import torch

import ostinato
from ostinato import api
from ostinato.errors import BundleError
from ostinato.evaluation.validate import validate
from ostinato.recipe.read import from_arguments
from ostinato.run import bundle as bundles
from ostinato.run import train as run_train
from ostinato.training.task import Listeners
from tests.advice import follow


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bundle")
    small = {"type": "text", "tokenizer": "char"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(folder / "cache"))
        model = ostinato.Model(
            inputs={"x": {**small, "encoder": {"hidden_size": 4}}},
            outputs={"y": {**small, "head": {"decoder": {"hidden_size": 4}}}},
            training={"epochs": 1, "batch_rows": 8},
        )
        texts = ["".join(random.Random(seed).choices("abc", k=3)) for seed in range(16)]
        model.fit([{"x": text, "y": text} for text in texts], folder=folder / "run", device="cpu")
    yield folder / "run"
    torch.set_num_threads(threads)


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def test_missing_weights_are_told(copy):
    (copy / bundles.WEIGHTS).unlink()
    shutil.rmtree(copy / bundles.CHECKPOINTS)
    with pytest.raises(BundleError, match="weights.safetensors: the weights are missing.*--resume"):
        ostinato.load(copy)


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-5], lambda data: data[:40], lambda data: b"", lambda data: b"x" * 200]
)
def test_corrupt_weights_are_told(copy, damage, checked):
    path = copy / bundles.WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    if not checked:
        (copy / f"{bundles.WEIGHTS}.sha256").unlink()
    with pytest.raises(BundleError, match="weights.safetensors: .*(sha256 differs|damaged).*train again"):
        ostinato.load(copy)


def test_a_digest_that_is_no_text_is_another_digest(copy):
    (copy / f"{bundles.WEIGHTS}.sha256").write_bytes(b"\xff\xfe")
    with pytest.raises(BundleError, match="sha256 differs"):
        ostinato.load(copy)


def test_one_changed_bit_is_noticed(copy):
    data = bytearray((copy / bundles.WEIGHTS).read_bytes())
    data[-3] ^= 1
    (copy / bundles.WEIGHTS).write_bytes(data)
    with pytest.raises(BundleError, match="sha256 differs"):
        ostinato.load(copy)


def test_weights_of_another_model_are_refused(copy):
    weights = bundles.load_weights(copy)
    bundles.save_weights(copy, {name: tensor[..., :1] for name, tensor in weights.items()})
    with pytest.raises(BundleError, match="not the weights of this model"):
        ostinato.load(copy)


def changed(copy, **changes):
    path = copy / bundles.DESCRIPTION
    plain = json.loads(path.read_text()) | changes
    plain.pop("checksum", None)
    path.write_text(json.dumps(plain))


def test_a_newer_version_is_refused_and_an_unknown_older_one_too(copy):
    changed(copy, version=bundles.VERSION + 1)
    with pytest.raises(BundleError, match="bundle version 4, this Ostinato reads up to 3; update Ostinato"):
        ostinato.load(copy)
    changed(copy, version=0)
    with pytest.raises(BundleError, match="version 0 can no longer be read; train again"):
        ostinato.load(copy)


def test_an_older_version_is_migrated_step_by_step(copy, monkeypatch):
    plain = json.loads((copy / bundles.DESCRIPTION).read_text())
    plain["chosen_because"] = plain.pop("reasons")
    del plain["checksum"]
    (copy / bundles.DESCRIPTION).write_text(json.dumps(plain | {"version": 0}))
    monkeypatch.setitem(
        bundles.MIGRATIONS,
        0,
        lambda old: {**{k: v for k, v in old.items() if k != "chosen_because"}, "reasons": old["chosen_because"]},
    )
    assert bundles.load(copy).reasons == plain["chosen_because"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"version": "one"}',
        '{"version": 3}',
        '{"version": 3, "odd": 2}',
        "\udcff",
        "[" * 100_000,
    ],
    ids=range(10),
)
def test_a_damaged_description_is_told(copy, content):
    (copy / bundles.DESCRIPTION).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match="damaged"):
        bundles.load(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain["recipe"]["inputs"]["x"]["encoder"].update(hidden_size=1_000_000),
        lambda plain: plain["recipe"]["inputs"]["x"]["encoder"].update(layers=100_000),
        lambda plain: plain["modalities"].update({"inputs.x": []}),
        lambda plain: plain["lengths"].update(y=None),
        lambda plain: plain["lengths"].update(y=1e400),
        lambda plain: plain["reasons"].clear(),
    ],
)
def test_a_value_that_was_changed_since_is_noticed_before_anything_is_built_of_it(copy, change):
    path = copy / bundles.DESCRIPTION
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(BundleError, match="bundle.json: damaged .*checksum differs.*train again"):
        ostinato.load(copy)


MEASURED = '{"valid": {"examples": 2, "outputs": {"y": {"bleu": {"value": "x", "low": 1, "high": 2, "method": ""}}}}}'


@pytest.mark.parametrize(
    "content",
    ["{", "\udcff", "[]", "[" * 100_000, '{"valid": 5}', '{"valid": {"examples": 5}}', MEASURED],
    ids=range(7),
)
def test_damaged_metrics_are_told(copy, content):
    (copy / bundles.METRICS).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match="damaged"):
        bundles.load(copy)


@pytest.mark.parametrize("key", ["modalities", "recipe", "lengths"])
def test_a_description_without_its_parts_is_told(copy, key):
    changed(copy, **{key: {}})
    with pytest.raises(BundleError, match="damaged"):
        ostinato.load(copy)


def test_the_card_says_what_it_is_how_good_and_with_what(copy):
    text = (copy / bundles.CARD).read_text()
    for part in ("`x` (text)", "`y` (text)", "parameters", "train: 12 rows", "set aside", "torch", "Not measured yet"):
        assert part in text


def test_metrics_that_are_not_finite_are_null_in_the_file_and_themselves_when_it_is_read(copy):
    report = {
        "examples": 8,
        "outputs": {"y": {"perplexity": {"value": math.inf, "low": 2.0, "high": math.nan, "method": "bootstrap"}}},
    }
    bundles.save_metrics(copy, {"test": report})
    text = (copy / bundles.METRICS).read_text()
    one = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))["test"]["outputs"]["y"][
        "perplexity"
    ]
    assert (one["value"], one["low"], one["high"]) == (None, 2.0, None)
    kept = bundles.load(copy).metrics["test"]["outputs"]["y"]["perplexity"]
    assert (
        math.isnan(kept["value"]) and math.isnan(kept["high"]) and (kept["low"], kept["method"]) == (2.0, "bootstrap")
    )


def test_versions_are_known_without_an_installation_of_the_package(monkeypatch):
    def version(name):
        if name == "ostinato":
            raise bundles.importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(bundles.importlib.metadata, "version", version)
    assert bundles.versions()["ostinato"] == "not installed" and bundles.versions()["torch"] == "1"


def broken(*paths):
    def damage(run):
        for path in paths:
            (run / path).write_text("{")

    return damage


def version(number):
    return lambda run: changed(run, version=number)


@pytest.mark.parametrize(
    ("damage", "advice", "written"),
    [
        (broken(bundles.DESCRIPTION), "bundle.json: damaged (", [bundles.DESCRIPTION]),
        (
            broken(bundles.METRICS),
            "; restore both bundle.json and metrics.json, or train again",
            [bundles.DESCRIPTION, bundles.METRICS],
        ),
        (broken(bundles.WEIGHTS), "(sha256 differs); copy the run again or train again", [bundles.WEIGHTS]),
        (
            lambda run: [broken(bundles.WEIGHTS)(run), (run / f"{bundles.WEIGHTS}.sha256").unlink()],
            "safetensors: damaged (Error while deserializing: header too small); copy the run again or train",
            [bundles.WEIGHTS],
        ),
        (lambda run: changed(run, lengths={}), "nothing is known of y; restore bundle.json or", [bundles.DESCRIPTION]),
        (version(0), "bundle version 0 can no longer be read; train again", []),
        (
            lambda run: changed(run, version=1, recipe=5),
            "damaged (AttributeError(\"'int' object has no attribute 'get'\")); restore the file or train again",
            [bundles.DESCRIPTION],
        ),
        (
            lambda run: changed(run, recipe={"inputs": 5}),
            "outputs: is needed and missing; restore bundle.json, or install what brings them",
            [bundles.DESCRIPTION],
        ),
    ],
)
def test_the_advice_on_a_damaged_run(copy, whole, damage, advice, written):
    """What is to be restored or copied again is; what is trained again is another run, as `whole` is."""
    damage(copy)
    follow(lambda: ostinato.load(copy), advice)
    for path in written:
        shutil.copy(whole / path, copy / path)
    assert ostinato.load(copy if written else whole).predict(["ab"])


def test_the_advice_on_a_newer_run(copy, monkeypatch):
    """An updated Ostinato reads it."""
    newer = bundles.VERSION + 1
    changed(copy, version=newer)
    follow(lambda: ostinato.load(copy), f"this Ostinato reads up to {newer - 1}; update Ostinato")
    monkeypatch.setattr(bundles, "VERSION", newer)
    assert ostinato.load(copy).predict(["ab"])


def test_the_advice_on_damaged_metrics(copy):
    (copy / bundles.METRICS).write_text('{"valid": {"examples": 5}}')
    with pytest.raises(BundleError, match=r"; delete it, and `ostinato (.*)` measures again") as refusal:
        ostinato.load(copy)
    (copy / bundles.METRICS).unlink()
    command = shlex.split(re.search("`ostinato (.*)`", str(refusal.value))[1])
    assert command == ["evaluate", str(copy)]
    api.evaluate(copy, data=[{"x": "ab", "y": "ab"}], device="cpu")
    assert ostinato.load(copy)


def test_the_advice_on_missing_weights(tmp_path):
    small = {"type": "text", "tokenizer": "char"}
    recipe = from_arguments({"x": small}, {"y": "category"}, training={"epochs": 1, "max_updates": 1})
    options = {"data": {"train": [{"x": "ab", "y": "p"}, {"x": "b", "y": "q"}] * 4}, "device": "cpu"}
    listeners = {"overwrite": False, "roots": (), "validate": validate, "listeners": Listeners()}
    run_train.begin(recipe, tmp_path / "run", resume=False, **options, **listeners)
    follow(
        lambda: ostinato.load(tmp_path / "run"),
        "; if training was stopped before its first one, continue it with `ostinato train ... --resume`",
        lambda: api.fit(recipe, tmp_path / "run", resume=True, **options),
        lambda: ostinato.load(tmp_path / "run").predict(["ab"]),
    )


def test_the_advice_on_weights_of_another_model(copy):
    weights = bundles.load_weights(copy)
    bundles.save_weights(copy, {name: tensor[..., :1] for name, tensor in weights.items()})
    follow(
        lambda: ostinato.load(copy),
        "stack.cells.0.bias_h; copy the run again or train again",
    )
    bundles.save_weights(copy, weights)
    assert ostinato.load(copy).predict(["ab"])
