"""Old words: each is read from a file, from `--set`, from Python and from a run folder, with a line that names the new
one."""

import json

import pytest

from ostinato.errors import ConfigError
from ostinato.recipe import read as recipe_read
from ostinato.recipe.migrate import DECODER, VERSION, in_one_line, migrate, tensor_names
from ostinato.recipe.paths import at_path
from ostinato.recipe.yaml_text import dump_yaml
from ostinato.registry import component, keyword_only
from ostinato.run import bundle as bundles

TEXT = {"inputs": {"x": "text"}, "outputs": {"y": "text"}}
LABEL = {"inputs": {"x": "text"}, "outputs": {"y": "category"}}
TAGS = {"inputs": {"x": "tokens"}, "outputs": {"y": "tags"}}
SERIES = {
    "data": {"train": "a.csv", "time": "date"},
    "inputs": {"load": "series", "warm": "series"},
    "outputs": {"y": {"of": "load", "horizon": 4}},
}
SOUND = {"inputs": {"x": {"type": "audio", "encoder": "subsampled"}}, "outputs": {"y": "category"}}
PEN = {"inputs": {"x": {"type": "strokes", "encoder": "subsampled"}}, "outputs": {"y": "category"}}
MASKED = {"inputs": {"x": {"type": "audio", "step_masks": 1, "encoder": "subsampled"}}, "outputs": {"y": "category"}}
MIXED = {"inputs": {"x": {"type": "tokens"}}, "outputs": {"y": {"type": "tokens"}}}

# recipe, old path, old value, new path, new value
WORDS = [
    (TEXT, "inputs.x.encoder.both_ways", False, "inputs.x.encoder.bidirectional", False),
    (LABEL, "outputs.y.several", True, "outputs.y.multilabel", True),
    (LABEL, "outputs.y.ordered", ["low", "high"], "outputs.y.ordinal", ["low", "high"]),
    (TEXT, "training.watch", "y.bleu", "training.monitor", "y.bleu"),
    (TEXT, "training.watch", "y.bleu_lowercase", "training.monitor", "y.bleu(lowercase)"),
    (TEXT, "training.monitor", "y.bleu_lowercase_tokenized", "training.monitor", "y.bleu(lowercase, moses)"),
    (LABEL, "training.monitor", "y.macro_f1", "training.monitor", "y.f1(macro)"),
    (LABEL, "training.monitor", "y.micro_f1", "training.monitor", "y.f1(micro)"),
    (TAGS, "training.monitor", "y.step_accuracy", "training.monitor", "y.accuracy(steps)"),
    (TAGS, "training.monitor", "y.step_macro_f1", "training.monitor", "y.f1(macro, steps)"),
    (TAGS, "training.monitor", "y.span_precision", "training.monitor", "y.span_f1(precision)"),
    (TAGS, "training.monitor", "y.span_recall", "training.monitor", "y.span_f1(recall)"),
    (MIXED, "training.monitor", "y.sequence_error_first", "training.monitor", "y.sequence_error(first)"),
    (SERIES, "inputs.warm.known", "ahead", "inputs.warm.known_future", True),
    (SERIES, "inputs.warm.known", "past", "inputs.warm.known_future", False),
    (SERIES, "outputs.y.align", "next", "outputs.y.align", "ahead"),
    (SERIES, "outputs.y.head.how", "step_by_step", "outputs.y.head.strategy", "recursive"),
    (SERIES, "outputs.y.head.how", "direct", "outputs.y.head.strategy", "direct"),
    (SOUND, "inputs.x.encoder.step_masks", 2, "inputs.x.step_masks", 2),
    (SOUND, "inputs.x.encoder.band_masks", 1, "inputs.x.band_masks", 1),
    (MASKED, "inputs.x.encoder.step_width", 7, "inputs.x.step_width", 7),
    *(
        (TEXT, f"outputs.y.head.{word}", value, f"outputs.y.head.decoder.{word}", value)
        for word, value in {
            "cell": "gru",
            "hidden_size": 7,
            "layers": 2,
            "attention": "dot",
            "context": "before",
            "input_feeding": True,
            "bridge": False,
            "scheduled_sampling": 0.25,
        }.items()
    ),
]
CASES = [pytest.param(*words, id=f"{words[1]}={words[2]}") for words in WORDS]


def with_value(plain, path, value):
    """A copy of a recipe with a value at a path."""
    plain = json.loads(json.dumps(plain))
    *parents, last = path.split(".")
    here = plain
    for key in parents:
        child = here.get(key, {})
        here[key] = here = {"type": child} if isinstance(child, str) else child
    here[last] = value
    return plain


def found(recipe, path, value, old, was):
    kept = at_path(recipe.plain(), path)
    kept = kept["type"] if isinstance(kept, dict) else kept
    assert kept == value and type(kept) is type(value)
    (note,) = recipe.notes
    assert note.startswith(old) and path in note
    assert (str(value).lower() in note.lower()) or value == was


@pytest.mark.parametrize(("plain", "old", "was", "new", "value"), CASES)
def test_a_file_with_an_old_word_is_read_and_the_new_one_named(tmp_path, plain, old, was, new, value):
    path = tmp_path / "recipe.yaml"
    for version in ({}, {"version": 1}):
        path.write_text(dump_yaml(version | with_value(plain, old, was)))
        found(recipe_read.load(path), new, value, old, was)


@pytest.mark.parametrize(("plain", "old", "was", "new", "value"), CASES)
def test_set_takes_an_old_word(tmp_path, plain, old, was, new, value):
    path = tmp_path / "recipe.yaml"
    for version in ({}, {"version": VERSION}):
        path.write_text(dump_yaml(version | plain))
        found(recipe_read.load(path, [f"{old}={json.dumps(was)}"]), new, value, old, was)


def test_set_replaces_a_new_word_by_its_old_one(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_yaml(with_value(TEXT, "training.monitor", "y.chrf")))
    assert recipe_read.load(path, ["training.watch=y.bleu"]).settings.training.monitor == "y.bleu"


@pytest.mark.parametrize(("plain", "old", "was", "new", "value"), CASES)
def test_python_takes_an_old_word(plain, old, was, new, value):
    given = with_value(plain, old, was)
    parts = {name: given.get(name) for name in ("data", "training")}
    found(recipe_read.from_arguments(given["inputs"], given["outputs"], **parts), new, value, old, was)


@pytest.mark.parametrize(("plain", "old", "was", "new", "value"), CASES)
def test_a_run_folder_with_an_old_word_is_read(tmp_path, plain, old, was, new, value):
    description = {
        "version": 1,
        "recipe": {"version": 1, **with_value(plain, old, was)},
        "modalities": {},
        "lengths": {},
        "data": {},
        "reasons": {old: "counted"},
        "versions": {},
    }
    (tmp_path / bundles.DESCRIPTION).write_text(json.dumps(description))
    bundle = bundles.load(tmp_path)
    assert at_path(bundle.recipe, new) == value and bundle.recipe["version"] == VERSION
    assert bundle.reasons == {new: "counted"}


@pytest.mark.parametrize(
    ("plain", "old", "was", "new", "value"), [case for case in CASES if case.values[1] != case.values[3]]
)
def test_in_a_recipe_of_today_an_old_word_is_unknown_and_the_new_one_named(plain, old, was, new, value):
    with pytest.raises(ConfigError, match=f"{old}: unknown setting; it is {new} now"):
        recipe_read.check({"version": VERSION, **with_value(plain, old, was)}, "recipe.yaml")


def test_a_recipe_of_today_is_left_as_it_is():
    plain = {"version": VERSION, **TEXT}
    assert migrate(plain) == (plain, [])


def test_a_next_output_of_symbols_stays_one():
    plain = {"inputs": {"x": "text"}, "outputs": {"y": {"of": "x", "align": "next"}}}
    assert migrate(plain) == (plain, [])


def test_the_decoder_has_every_setting_that_moved_there():
    assert set(DECODER) <= {parameter.name for parameter in keyword_only(component("decoders", "recurrent"))}


def test_tensors_of_a_decoder_are_found_under_their_old_names():
    settings = recipe_read.check({"inputs": {"x": "text"}, "outputs": {"y": "text", "z": "category"}}, "test")
    today = tensor_names(settings)
    for old, new in {
        "heads.y.cells.0.weight_h": "heads.y.decoder.cells.0.weight_h",
        "exp_avg of heads.y.embedding.weight": "exp_avg of heads.y.decoder.embedding.weight",
        "heads.y.decoder.cells.0.weight_h": "heads.y.decoder.cells.0.weight_h",
        "heads.y.output.weight": "heads.y.output.weight",
        "heads.z.embedding.weight": "heads.z.embedding.weight",
        "encoders.x.cells.0.weight_h": "encoders.x.cells.0.weight_h",
    }.items():
        assert today(old) == new


@pytest.mark.parametrize("version", [1, 2])
def test_masks_of_an_encoder_are_those_of_its_column_also_in_a_run_of_version_2(tmp_path, version):
    """What never counted is left out in silence, and so is what its column has no place for."""
    encoder = {"type": "subsampled", "layers": 1, "step_masks": 1, "step_width": 9, "band_masks": 0, "band_width": None}
    recipe = {**SOUND, "inputs": {"x": {"type": "audio", "encoder": encoder}}, "version": version}
    rest = {"modalities": {}, "lengths": {}, "data": {}, "reasons": {}, "versions": {}}
    (tmp_path / bundles.DESCRIPTION).write_text(json.dumps({"version": version, "recipe": recipe, **rest}))
    bundle = bundles.load(tmp_path)
    column = {"type": "audio", "encoder": {"type": "subsampled", "layers": 1}, "step_masks": 1, "step_width": 9}
    assert bundle.recipe == {**recipe, "inputs": {"x": column}, "version": VERSION}
    assert in_one_line(bundle.renamed) == "encoder.step_masks is step_masks, encoder.step_width is step_width"
    recipe = {**PEN, "inputs": {"x": {"type": "strokes", "encoder": encoder}}}
    moved, notes = migrate(recipe)
    assert moved["inputs"]["x"] == {"type": "strokes", "encoder": {"type": "subsampled", "layers": 1}}
    assert notes[0] == "inputs.x.encoder.step_masks is left out now" and len(notes) == 2


def test_words_of_version_1_stay_in_a_recipe_of_version_2():
    plain = {**LABEL, "version": 2, "training": {"watch": "y.bleu"}}
    assert migrate(plain) == ({**plain, "version": VERSION}, [])
