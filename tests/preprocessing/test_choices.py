"""Settings that modalities choose from a look at the raw values: words with their characters, spans with a CRF, labels
that training lacks."""

import random

import pytest

from ostinato import api
from ostinato.encoders.recurrent import Recurrent
from ostinato.errors import DataError
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe.metrics import main_metric, settings_of
from ostinato.recipe.read import from_arguments

DRAW = random.Random(5)
STEMS = [f"{one}{other}" for one in "bdfgklmnprst" for other in "aeiou"]
TAGS = {"ung": "NOUN", "ig": "ADJ", "en": "VERB"}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))


def sentence(stems, longest=6):
    words = [
        (DRAW.choice(stems) + DRAW.choice(stems), DRAW.choice(list(TAGS))) for _ in range(DRAW.randint(2, longest))
    ]
    return {"words": [stem + ending for stem, ending in words], "tags": [TAGS[ending] for _, ending in words]}


TRAIN, VALID = [sentence(STEMS[:30]) for _ in range(60)], [sentence(STEMS[30:]) for _ in range(20)]
SPANS = [
    {"words": ["a", "b", "c"], "tags": ["B-PER", "I-PER", "O"]},
    {"words": ["c", "b"], "tags": ["O", "B-LOC"]},
    {"words": ["b", "c"], "tags": ["B-PER", "B-PER"]},
    {"words": ["b", "c"], "tags": ["B-LOC", "I-LOC"]},
]
SMALL = {"encoder": {"hidden_size": 4, "embedding_size": 4}}


def chosen(train, valid, words=(), tags=(), outputs=(), **training):
    """The settings and the reasons that `prepare` arrives at."""
    recipe = from_arguments(
        {"words": {"type": "tokens", **SMALL, **dict(words)}},
        {"tags": {"type": "tags", **dict(tags)}, **dict(outputs)},
        training={"epochs": 1, "batch_rows": 8, **training},
    )
    return prepare(recipe, data={"train": train, "valid": valid}).recipe


def test_many_unknown_words_are_read_with_their_characters_and_met_in_training():
    recipe = chosen(TRAIN, VALID)
    words = recipe.settings.inputs["words"]
    assert words.characters and words.encoder.rare_word_dropout == 0.25 and words.encoder.hidden_size == 4
    encoder = words.encoder
    assert (encoder.character_size, encoder.character_width, encoder.embedding_init) == (100, 5, "uniform")
    assert "100.0 % of the validation symbols do not occur in training" in recipe.reasons["inputs.words.characters"]
    assert "as unknown now and then" in recipe.reasons["inputs.words.encoder.rare_word_dropout"]


def test_known_words_are_left_alone_and_few_unknown_ones_have_no_characters():
    known = chosen(TRAIN, TRAIN)
    assert not known.settings.inputs["words"].characters
    assert not [path for path in known.reasons if "characters" in path or "rare_word" in path]
    few = [*TRAIN, {"words": ["new"], "tags": ["NOUN"]}]
    words = chosen(TRAIN, few).settings.inputs["words"]
    assert not words.characters and words.encoder.rare_word_dropout == 0.25


def test_symbols_of_a_character_or_two_are_no_words():
    rows = [{"words": list(stem), "tags": ["NOUN"] * len(stem)} for stem in STEMS]
    assert not chosen(rows[:12], rows[30:]).settings.inputs["words"].characters


@pytest.mark.parametrize(
    ("words", "characters", "rate"),
    [
        ({"characters": False}, False, 0.25),
        ({"encoder": {"embedding": "one_hot", "hidden_size": 4}}, True, 0.25),
        ({"encoder": {"hidden_size": 4, "rare_word_dropout": 0.0}}, True, 0.0),
        ({"characters": True, "encoder": {"hidden_size": 4, "rare_word_dropout": 2.0}}, True, 2.0),
    ],
)
def test_what_the_user_gave_is_kept(words, characters, rate):
    found = chosen(TRAIN, VALID, words).settings.inputs["words"]
    assert (found.characters, found.encoder.rare_word_dropout) == (characters, rate)


def test_an_encoder_without_that_setting_and_one_that_reads_no_characters_are_left_alone(monkeypatch):
    found = chosen(TRAIN, VALID, {"encoder": {"type": "windowed", "hidden_size": 4}})
    assert found.settings.inputs["words"].characters
    assert "inputs.words.encoder.rare_word_dropout" not in found.reasons
    monkeypatch.setattr(Recurrent, "reads_characters", False)
    assert not chosen(TRAIN, VALID).settings.inputs["words"].characters


def test_what_is_shared_or_continued_is_left_alone():
    shared = {"more": {"type": "tokens", "encoder": {"same_as": "words"}}, "words": {"type": "tokens", **SMALL}}
    rows = [
        [{**row, "more": row["words"], "kind": "xy"[number % 2]} for number, row in enumerate(split)]
        for split in (TRAIN, VALID)
    ]
    for inputs, outputs in (
        (shared, {"kind": "category"}),
        ({"words": {"type": "tokens", "encoder": {"bidirectional": False, "hidden_size": 4}}}, {"on": {"of": "words"}}),
    ):
        recipe = from_arguments(inputs, outputs, training={"epochs": 1, "batch_rows": 8})
        made = prepare(recipe, data=dict(zip(("train", "valid"), rows))).recipe
        assert not made.settings.inputs["words"].characters and "inputs.words.characters" not in made.reasons


def test_tags_of_spans_have_a_scheme_and_a_crf():
    recipe = chosen(SPANS, SPANS)
    tags = recipe.settings.outputs["tags"]
    assert (tags.scheme, tags.lenient, tags.head.type) == ("bioes", True, "crf")
    assert "mark spans in iob2, such as PER" in recipe.reasons["outputs.tags.head.type"]
    assert recipe.reasons["outputs.tags.head.dropout"], "sizes are chosen of the head that was chosen"


def test_many_labels_have_the_scheme_with_fewer_tags():
    rows = [{"words": ["a", "b"], "tags": [f"B-{kind}", "O"]} for kind in range(31)] * 2
    recipe = chosen(rows, rows)
    assert recipe.settings.outputs["tags"].scheme == "iob2"
    assert "31 labels in bioes would make a CRF slow" in recipe.reasons["outputs.tags.scheme"]


def test_sequences_that_the_scheme_does_not_allow_are_read_as_conlleval_reads_them():
    broken = [*SPANS, {"words": ["a", "b"], "tags": ["O", "I-PER"]}]
    assert chosen(broken, broken).settings.outputs["tags"].lenient
    with pytest.raises(DataError, match="which iob2 does not allow"):
        chosen(broken, broken, tags={"scheme": "bioes", "data_scheme": "iob2"})


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (["B", "I", "O"], "bioes"),
        (["H", "E", "C"], "none"),
        (["B", "E", "S"], "none"),
        (["NOUN", "O", "B-X"], "none"),
        (["O", "O", "S"], "none"),
    ],
)
def test_labels_that_mark_no_spans_stay_plain(labels, scheme):
    rows = [{"words": ["a", "b", "c"], "tags": labels}] * 4
    tags = chosen(rows, rows).settings.outputs["tags"]
    assert tags.scheme == scheme and tags.head.type == ("tagger" if scheme == "none" else "crf")


def test_a_scheme_or_a_head_that_the_user_gave_is_kept():
    plain = chosen(SPANS, SPANS, tags={"scheme": "none"}).settings.outputs["tags"]
    assert (plain.scheme, plain.lenient, plain.head.type) == ("none", False, "tagger")
    given = chosen(SPANS, SPANS, tags={"scheme": "iob2"}).settings.outputs["tags"]
    assert (given.scheme, given.lenient, given.head.type) == ("iob2", False, "crf")
    for head, kind in (
        ("tagger", "tagger"),
        ({"type": "tagger"}, "tagger"),
        ({"focal": 1.0}, "tagger"),
        ({"dropout": 0.125}, "crf"),
    ):
        kept = chosen(SPANS, SPANS, tags={"head": head}).settings.outputs["tags"]
        assert (kept.scheme, kept.head.type) == ("bioes", kind)
    assert kept.head.dropout == 0.125


def test_labels_that_training_lacks_are_missing_ones():
    new = [*VALID, {"words": ["x"], "tags": ["INTJ"]}]
    recipe = chosen(TRAIN, new)
    assert recipe.settings.outputs["tags"].unknown == "missing"
    assert "such as INTJ" in recipe.reasons["outputs.tags.unknown"]
    once = chosen([*TRAIN, new[-1]], VALID)
    assert "1 of 4 labels occur once in training" in once.reasons["outputs.tags.unknown"]
    assert chosen(TRAIN, VALID).reasons["outputs.tags.unknown"].startswith("other rows may have new ones")
    with pytest.raises(DataError, match="INTJ"):
        chosen(TRAIN, new, tags={"unknown": "error"})


def test_a_run_of_spans_goes_on_with_the_head_that_was_chosen(tmp_path):
    for epochs in (1, 2):
        training = {"batch_rows": 8, "epochs": epochs}
        recipe = from_arguments({"words": {"type": "tokens", **SMALL}}, {"tags": "tags"}, training=training)
        data = {"train": SPANS * 3, "valid": SPANS}
        run = api.fit(recipe, tmp_path / "run", data=data, resume=epochs > 1, device="cpu")
    assert run.recipe.settings.outputs["tags"].head.type == "crf"


def test_a_run_goes_on_with_what_was_chosen_when_it_began(tmp_path):
    data = {"train": TRAIN, "valid": VALID}
    for epochs in (1, 2):
        given = from_arguments(
            {"words": {"type": "tokens", **SMALL}}, {"tags": "tags"}, training={"batch_rows": 8, "epochs": epochs}
        )
        run = api.fit(given, tmp_path / "run", data=data, resume=epochs > 1, device="cpu")
    assert run.recipe.settings.inputs["words"].characters
    assert api.fit(run.recipe, tmp_path / "again", data=data, device="cpu").recipe.settings == run.recipe.settings


def spelling(texts, forms, **lemma):
    recipe = from_arguments(
        {"lemma": {"type": "text", **lemma}}, {"form": {"type": "text"}}, training={"epochs": 1, "batch_rows": 8}
    )
    rows = [{"lemma": text, "form": form} for text, form in zip(texts, forms)]
    return prepare(recipe, data={"train": rows, "valid": rows[:5]}).recipe


def test_single_words_are_read_and_written_letter_by_letter_and_judged_whole():
    recipe = spelling(STEMS, [f"{stem}en" for stem in STEMS])
    column, output = recipe.settings.inputs["lemma"], recipe.settings.outputs["form"]
    assert (column.tokenizer.type, output.tokenizer.type) == ("char", "char")
    assert main_metric(output) == "exact_match" and recipe.at("outputs.form.metrics")[0] == "exact_match"
    assert recipe.reasons["inputs.lemma.tokenizer.type"] == "1.0 words each: its letters are read"


def test_sentences_long_words_and_what_is_given_are_left_alone():
    recipe = spelling([f"{stem} {stem}" for stem in STEMS], [stem * 30 for stem in STEMS])
    column, output = recipe.settings.inputs["lemma"], recipe.settings.outputs["form"]
    assert (column.tokenizer.type, output.tokenizer.type, main_metric(output)) == ("bpe", "bpe", "bleu")
    recipe = spelling(STEMS, STEMS, tokenizer="byte")
    assert recipe.settings.inputs["lemma"].tokenizer.type == "byte"


def answers(*texts, training=None, **output):
    """The recipe of an output of text whose answers these are, in turn, which shares its input's words."""
    recipe = from_arguments(
        {"question": {"type": "text", "tokenizer": "word"}},
        {"answer": {"type": "text", "tokenizer": {"same_as": "question"}, **output}},
        training={"epochs": 1, "batch_rows": 8, **(training or {})},
    )
    rows = [{"question": f"who is in {stem} ?", "answer": texts[at % len(texts)]} for at, stem in enumerate(STEMS)]
    return prepare(recipe, data={"train": rows, "valid": rows[:5]}).recipe


def test_answers_of_fewer_words_than_bleu_counts_are_compared_whole():
    recipe = answers("Anna in Rome", "Bob in Oslo now")
    keys = list(settings_of(recipe.settings.outputs["answer"]))
    assert main_metric(recipe.settings.outputs["answer"]) == "bleu"  # half of them
    recipe = answers("Anna in Rome", "Bob in Oslo now", "in Kiel")
    output = recipe.settings.outputs["answer"]
    assert main_metric(output) == "exact_match" and set(settings_of(output)) == set(keys)
    why = "67 % of the answers have fewer than the 4 words that BLEU counts together"
    assert recipe.reasons["outputs.answer.metrics"] == why
    output = answers("Anna in Rome", "Bob", "in Kiel").settings.outputs["answer"]
    assert main_metric(output) == "exact_match" and {"bleu", "chrf"} & set(settings_of(output)) == {"chrf"}
    output = answers("Anna in Rome", metrics=["chrf"]).settings.outputs["answer"]
    assert list(settings_of(output)) == ["chrf"]


def test_the_metric_that_training_monitors_stays_among_those_that_are_chosen():
    for texts in (["Anna in Rome"], ["Anna"]):
        output = answers(*texts, training={"monitor": "answer.bleu"}).settings.outputs["answer"]
        assert main_metric(output) == "exact_match" and "bleu" in settings_of(output)


def test_metrics_that_the_head_gives_too_little_for_are_not_chosen():
    recipe = from_arguments(
        {"lemma": {"type": "text", "tokenizer": "char"}},
        {"form": {"type": "text", "tokenizer": "char", "head": "ctc"}},
        training={"epochs": 1, "batch_rows": 8},
    )
    rows = [{"lemma": stem * 2, "form": stem} for stem in STEMS]
    recipe = prepare(recipe, data={"train": rows, "valid": rows[:5]}).recipe
    assert list(settings_of(recipe.settings.outputs["form"]))[:2] == ["exact_match", "character_error_rate"]
