"""Sizes chosen from the data: sensible, taken by the components, and following what the user set."""

import pytest

from ostinato.modalities.contract import Symbols
from ostinato.model.graph import Graph
from ostinato.preprocessing import sizes as planning
from ostinato.preprocessing.rates import learning_rate
from ostinato.preprocessing.sizes import Amount
from ostinato.recipe.read import from_arguments
from tests.heads.making import nested

TWO = {"de": "text"}, {"en": "text"}


class Fitted:
    """A modality that has been fitted, as far as the graph asks."""

    spec = Symbols(12, 0, 1, 2)


def planned(inputs, outputs, rows, steps=None, **rest):
    recipe = from_arguments(inputs, outputs, **rest)
    places = [f"inputs.{name}" for name in inputs] + [f"outputs.{name}" for name in outputs]
    amount = Amount(rows, dict.fromkeys(places, 60 * rows), dict.fromkeys(places, steps or 15 * rows))
    recipe = recipe.with_chosen(planning.tokenizers(recipe, amount))
    return recipe.with_chosen(planning.sizes(recipe, amount))


def updates(recipe, rows, steps):
    training = recipe.settings.training
    return steps / training.batch_steps if training.batch_steps else rows / training.batch_rows


@pytest.mark.parametrize("rows", [1, 20, 200, 5_000, 29_000, 10**6, 10**7])
def test_every_amount_of_data_is_served(rows):
    recipe = planned(*TWO, rows)
    encoder, head, training = (
        recipe.settings.inputs["de"].encoder,
        recipe.settings.outputs["en"].head,
        recipe.settings.training,
    )
    assert 64 <= encoder.hidden_size <= 512 and head.decoder.hidden_size == 2 * encoder.hidden_size
    assert 0.1 <= encoder.dropout == head.dropout <= 0.3
    assert 300 <= recipe.settings.inputs["de"].tokenizer.size <= 32_000
    assert 200 <= training.batch_steps <= 4_000 and 2 <= training.epochs <= 200
    if rows >= 3_000:
        assert updates(recipe, rows, 30 * rows) >= 195
    assert training.epochs * updates(recipe, rows, 30 * rows) >= min(5_000, 20 * rows)


def test_sizes_grow_with_the_data():
    plans = [planned(*TWO, rows).settings for rows in (200, 5_000, 29_000, 10**7)]
    for read in (
        lambda one: one.inputs["de"].encoder.hidden_size,
        lambda one: one.training.batch_steps,
        lambda one: -one.training.epochs,
    ):
        values = [read(plan) for plan in plans]
        assert values == sorted(values) and values[0] < values[-1]


def test_twenty_nine_thousand_captions_get_the_sizes_of_the_design():
    settings = planned(*TWO, 29_000).settings
    assert (settings.inputs["de"].encoder.hidden_size, settings.outputs["en"].head.decoder.hidden_size) == (256, 512)
    assert settings.training.batch_steps == 4_000 and 7_000 <= settings.inputs["de"].tokenizer.size <= 8_500


def test_every_choice_has_its_reason():
    recipe = planned(*TWO, 200)
    for path in (
        "inputs.de.tokenizer.size",
        "inputs.de.encoder.hidden_size",
        "outputs.en.head.dropout",
        "training.epochs",
    ):
        assert recipe.reasons[path]
    assert all(str(reason) for reason in recipe.reasons.values())


def test_what_the_user_set_is_kept():
    given = {
        "inputs": {
            "de": {
                "type": "text",
                "tokenizer": {"type": "unigram", "size": 777},
                "encoder": {"hidden_size": 40, "dropout": 0.05},
            }
        },
        "outputs": {
            "en": {"type": "text", "head": {"decoder": {"hidden_size": 90}, "embedding_size": 31, "dropout": 0.0}}
        },
        "training": {"batch_rows": 7, "epochs": 3},
    }
    recipe = planned(**given, rows=29_000)
    encoder, head, training = (
        recipe.settings.inputs["de"].encoder,
        recipe.settings.outputs["en"].head,
        recipe.settings.training,
    )
    assert (recipe.settings.inputs["de"].tokenizer.size, encoder.hidden_size, encoder.dropout) == (777, 40, 0.05)
    assert (head.decoder.hidden_size, head.embedding_size, head.dropout) == (90, 31, 0.0)
    assert (training.batch_rows, training.batch_steps, training.epochs) == (7, None, 3)


@pytest.mark.parametrize(
    ("training", "epochs"),
    [
        ({"batch_rows": 29}, 5),
        ({"batch_rows": 290}, 50),
        ({"batch_rows": 29, "accumulate": 4}, 20),
        ({"batch_steps": 8_700}, 50),
    ],
)
def test_epochs_follow_the_batch(training, epochs):
    assert planned(*TWO, 29_000, training=training).settings.training.epochs == epochs


def test_widths_follow_the_encoder_or_the_head_that_the_user_set():
    set_below = planned(
        {"de": {"type": "text", "encoder": {"hidden_size": [20, 30], "layers": 2}}}, {"en": "text"}, 5_000
    ).settings
    assert (set_below.outputs["en"].head.decoder.hidden_size, set_below.outputs["en"].head.embedding_size) == (60, 30)
    set_above = planned(
        {"de": "text"}, {"en": {"type": "text", "head": {"decoder": {"hidden_size": 50}}}}, 5_000
    ).settings
    assert (set_above.inputs["de"].encoder.hidden_size, set_above.outputs["en"].head.decoder.hidden_size) == (25, 50)
    one_way = planned({"de": {"type": "text", "encoder": {"bidirectional": False}}}, {"en": "text"}, 5_000).settings
    assert one_way.outputs["en"].head.decoder.hidden_size == one_way.inputs["de"].encoder.hidden_size


def test_a_shared_vocabulary_is_sized_for_all_who_use_it_and_once():
    alone = planned(*TWO, 29_000)
    shared = planned({"de": "text"}, {"en": {"type": "text", "tokenizer": {"same_as": "de"}}}, 29_000)
    assert (alone.settings.inputs["de"].tokenizer.size, shared.settings.inputs["de"].tokenizer.size) == (7_700, 15_000)
    both = planned({"a": "text", "b": {"type": "text", "encoder": {"same_as": "a"}}}, {"c": "text"}, 29_000)
    assert "inputs.a.tokenizer.size" in both.reasons and "inputs.b.tokenizer.size" not in both.reasons
    assert both.settings.inputs["a"].tokenizer.size == 15_000


ENCODERS = [
    {**ways, **more}
    for ways in ({}, {"bidirectional": False}, {"bidirectional": False, "reversed_source": True})
    for more in (
        {}, {"residual": True}, {"residual": True, "layers": 3},
        {"layers": 2, "hidden_size": [6, 10], "residual": True},
        {"variational": True}, {"embedding": "one_hot"}, {"hidden_size": 9},
    )
]  # fmt: skip
HEADS = [
    nested("autoregressive", options)
    for options in (
        {"attention": "dot"}, {"attention": "none"}, {"attention": "location", "context": "before"}, {"tied": True},
        {"input_feeding": True, "layers": 2}, {"attention": "dot", "hidden_size": 18}, {"cell": "gru"},
    )
]  # fmt: skip


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_nothing_is_chosen_that_a_component_refuses(encoder):
    for head in HEADS:
        if "hidden_size" in head["decoder"] and "hidden_size" in encoder:
            continue  # both are the user's own, and his to mend
        inputs = {"de": {"type": "text", "encoder": encoder}}
        recipe = planned(inputs, {"en": {"type": "text", "head": head}}, 100).settings
        Graph(recipe.inputs, recipe.outputs, {"inputs.de": Fitted, "outputs.en": Fitted})


@pytest.mark.parametrize("name", ["word", "char", "byte"])
def test_tokenizers_that_take_what_the_text_has_are_left_alone(name):
    recipe = planned({"de": {"type": "text", "tokenizer": name}}, {"en": {"type": "text", "tokenizer": name}}, 200)
    assert not [path for path in recipe.reasons if "tokenizer" in path]


def test_planning_twice_changes_nothing():
    recipe = planned(*TWO, 5_000)
    places = ("inputs.de", "outputs.en")
    amount = Amount(9, dict.fromkeys(places, 9), dict.fromkeys(places, 9))
    assert planning.tokenizers(recipe, amount) == {} and planning.sizes(recipe, amount) == {}


def test_parts_of_an_adaptive_softmax_begin_where_the_targets_say():
    counts = [0, 5, 0, 40, 40, 6, 5, 4]
    asked = []
    for head, expected in (
        ({"softmax": "adaptive"}, [5, 7]),
        ({"softmax": "adaptive", "cutoffs": [2]}, [2]),
        ({}, []),
    ):
        recipe = from_arguments({"x": "text"}, {"y": {"of": "x", "align": "next", "head": head}})
        chosen = recipe.with_chosen(planning.cutoffs(recipe, lambda place: asked.append(place) or counts))
        assert list(chosen.settings.outputs["y"].head.cutoffs) == expected
    assert asked == ["outputs.y"], "counted where nobody asks"


def test_nothing_is_dropped_right_before_a_number():
    label, number = ({"y": one} for one in ("category", "number"))
    for outputs, expected in ((label, 0.3), (number, 0.0)):
        recipe = planned({"x": "text"}, outputs, 2_000)
        assert (
            recipe.settings.outputs["y"].head.dropout == expected and recipe.settings.inputs["x"].encoder.dropout == 0.3
        )
        assert ("what is dropped moves it" in recipe.reasons["outputs.y.head.dropout"]) == (expected == 0)
    asked = {"y": {"type": "number", "head": {"type": "regressor", "dropout": 0.2}}}
    assert planned({"x": "text"}, asked, 2_000).settings.outputs["y"].head.dropout == 0.2


FEW = {"story": "tokens", "question": "tokens"}
RULES = "18 different words, each 13,939 times: texts made by rules"


NARROW_NGRAMS = {"type": "text", "encoder": {"type": "ngrams", "size": 8}}
TEXT, ONE_WAY = {"t": "text"}, {"t": {"type": "text", "encoder": {"bidirectional": False}}}


@pytest.mark.parametrize(
    ("inputs", "outputs", "pool"),
    [
        (TEXT, {"y": "category"}, "attention"),
        ({"t": "text", "u": "text"}, {"y": "category"}, "attention"),
        ({**TEXT, "n": {"type": "text", "encoder": "ngrams"}}, {"y": "category"}, "attention"),
        (TEXT, {"y": {"type": "category", "head": {"pool": "max"}}}, "max"),
        ({**TEXT, "n": NARROW_NGRAMS}, {"y": "category"}, "attention"),
        ({**TEXT, "n": {"type": "text", "encoder": "ngrams"}}, {"y": "category", "z": "category"}, "attention"),
        ({**TEXT, "number": "number", "kind": "category"}, {"y": "category"}, "attention"),
        ({"t": "tokens"}, {"y": "category"}, "attention"),
        ({"t": "tokens"}, {"y": "category", "tags": "tags"}, "last"),
        ({"number": "number"}, {"y": "category"}, "last"),
        ({**TEXT, "s": "series"}, {"y": "category"}, "last"),
        ({"t": {"type": "text", "encoder": "convolutional"}}, {"y": "category"}, "last"),
        (ONE_WAY, {"y": "category"}, "last"),
        (TEXT, {"y": "number"}, "last"),
        ({"t": "text", "u": "text"}, {"y": {"type": "category", "join": "compare"}}, "last"),
    ],
)
def test_labels_weigh_the_words_of_both_directions(inputs, outputs, pool):
    assert planned(inputs, outputs, 1_000).settings.outputs["y"].head.pool == pool


def test_few_rows_are_read_by_last_states():
    assert planned(TEXT, {"y": "category"}, 999).settings.outputs["y"].head.pool == "last"
    given = {"y": {"type": "category", "head": {"pool": "attention"}}}
    assert planned(TEXT, given, 10).settings.outputs["y"].head.pool == "attention"


def of_rules(rules, inputs=FEW, **rest):
    recipe = from_arguments(inputs, {"answer": "category"}, **rest)
    amount = Amount(9_000, {}, {f"inputs.{name}": 200_000 for name in inputs}, labels={"answer": 6}, rules=rules)
    recipe = recipe.with_chosen(planning.sizes(recipe, amount))
    return recipe.with_chosen(learning_rate(recipe, rules))


def test_texts_made_by_rules_get_a_small_net_with_little_dropout_small_batches_and_a_low_rate():
    recipe = of_rules(RULES)
    for name in FEW:
        encoder = recipe.settings.inputs[name].encoder
        assert (encoder.hidden_size, encoder.dropout, encoder.cell.type) == (64, 0.1, "gru")
    training = recipe.settings.training
    assert recipe.settings.outputs["answer"].head.dropout == 0.1
    assert (training.batch_rows, training.batch_steps, training.optimizer.learning_rate) == (32, None, 0.001)
    for path in ("inputs.story.encoder.hidden_size", "inputs.story.encoder.dropout", "training.batch_rows"):
        assert recipe.reasons[path] == RULES
    assert training.epochs == 32 and "about 9,000 in all" in recipe.reasons["training.epochs"]
    plain = of_rules(None).settings
    assert plain.inputs["story"].encoder.dropout == 0.3 and plain.training.optimizer.learning_rate == 0.003


def test_what_the_user_set_holds_for_texts_made_by_rules_too():
    encoder = {"hidden_size": 128, "dropout": 0.3, "cell": {"type": "lstm", "forget_bias": 0.0}}
    inputs = FEW | {"story": {"type": "tokens", "encoder": encoder}}
    settings = of_rules(RULES, inputs, training={"batch_steps": 900, "optimizer": {"learning_rate": 0.01}}).settings
    assert [settings.inputs[name].encoder.hidden_size for name in FEW] == [128, 64]
    assert [settings.inputs[name].encoder.dropout for name in FEW] == [0.3, 0.1]
    assert [settings.inputs[name].encoder.cell.type for name in FEW] == ["lstm", "gru"]
    assert (settings.training.batch_rows, settings.training.batch_steps) == (None, 900)
    assert settings.training.optimizer.learning_rate == 0.01
    inputs["story"]["encoder"] = {"cell": "lstm"}
    assert of_rules(RULES, inputs).settings.inputs["story"].encoder.cell.type == "lstm"
    without = FEW | {"story": {"type": "tokens", "encoder": "transformer"}}
    assert of_rules(RULES, without).settings.inputs["story"].encoder.hidden_size == 64


def test_a_batch_that_was_taken_back_with_null_is_none():
    assert planned(*TWO, 1000, training={"batch_rows": None, "batch_steps": 8000}).settings.training.batch_steps == 8000
    assert planned(*TWO, 1000, training={"batch_steps": None, "batch_rows": 20}).settings.training.batch_steps is None
    plain, taken_back = (
        planned(*TWO, 1000, training=one).settings.training for one in ({}, {"batch_rows": None, "batch_steps": None})
    )
    assert taken_back == plain and plain.batch_steps
    goes_on = {"x": "text"}, {"y": {"of": "x", "align": "next"}}
    plain, taken_back = (planned(*goes_on, 1000, training={"tbptt": 9, **one}) for one in ({}, {"batch_rows": None}))
    assert taken_back.settings.training == plain.settings.training and plain.settings.training.batch_rows
