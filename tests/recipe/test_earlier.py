"""A table from which a run goes on: its columns are read as the run's are."""

from ostinato import alignments
from ostinato.recipe.earlier import Earlier
from ostinato.recipe.infer import guess
from ostinato.recipe.read import from_arguments

FEW = [("ein hund", "a dog"), ("die katze", "the cat"), ("wiese", "meadow")] * 8
"""Rows that look like categories."""


def earlier(inputs, outputs):
    settings = from_arguments(inputs, outputs).settings
    plain = settings.plain()
    return Earlier("runs/first", plain["inputs"], plain["outputs"], (), alignments.forecasts(settings))


def written(path, columns, rows):
    path.write_text("\n".join("\t".join(cells) for cells in [columns, *rows]) + "\n")
    return str(path)


TRANSLATOR = earlier({"de": {"type": "text", "encoder": "transformer"}}, {"en": {"type": "text"}})
AS_THERE = {
    "inputs": {"de": {"type": "text", "encoder": "transformer"}},
    "outputs": {"en": {"type": "text", "head": "autoregressive"}},
}


def test_a_table_with_the_columns_of_the_run_is_read_as_the_run_reads_it(tmp_path):
    table = written(tmp_path / "t.tsv", ("en", "n", "de"), [(en, "3", de) for de, en in FEW])
    guessed = guess(table, (), (), earlier=TRANSLATOR)
    assert guessed.plain() == AS_THERE
    assert guessed.recipe().settings.inputs["de"].encoder.type == "transformer"
    assert guessed.lines() == [
        "inputs and outputs are those of runs/first; use --in and --out for others",
        "input de: {type: text, encoder: transformer} (as in runs/first)",
        "output en: {type: text, head: autoregressive} (as in runs/first)",
        "left out: n (runs/first has no such column)",
    ]


def test_the_advice_to_name_other_columns_than_those_of_the_run(tmp_path):
    """inputs and outputs are those of RUN; use --in and --out for others"""
    table = written(tmp_path / "t.tsv", ("en", "n", "de"), [(en, "3", de) for de, en in FEW])
    others = guess(table, ("en",), ("de:text",), earlier=TRANSLATOR).plain()
    assert others == {"inputs": {"en": "category"}, "outputs": {"de": "text"}}


def test_named_columns_without_a_type_are_as_in_the_run_and_with_one_as_told(tmp_path):
    table = written(tmp_path / "t.tsv", ("en", "n", "de"), [(en, "3", de) for de, en in FEW])
    assert guess(table, ("de",), ("en",), earlier=TRANSLATOR).plain() == AS_THERE
    told = guess(table, ("de:tokens",), ("en:text",), earlier=TRANSLATOR).plain()
    assert told == {"inputs": {"de": "tokens"}, "outputs": {"en": "text"}}
    without = guess(table, ("de", "en"), ("n",), earlier=TRANSLATOR).plain()
    assert without["inputs"] == {"de": AS_THERE["inputs"]["de"], "en": "category"}


def test_a_column_of_another_name_keeps_the_name_that_the_run_gave_it(tmp_path):
    run = earlier({"text": {"type": "text", "column": "review"}}, {"stars": {"type": "category", "column": "label"}})
    table = written(tmp_path / "t.tsv", ("review", "label"), FEW)
    for inputs, outputs in (((), ()), (("review",), ("label",))):
        plain = guess(table, inputs, outputs, earlier=run).plain()
        assert plain["inputs"] == {"text": {"type": "text", "column": "review", "encoder": "recurrent"}}
        assert plain["outputs"]["stars"]["column"] == "label"


LANGUAGE_MODEL = earlier({"text": "text"}, {"rest": {"of": "text", "align": "next"}})


def test_texts_alone_go_on_as_in_the_run_and_texts_with_labels_are_classified(tmp_path):
    texts = written(tmp_path / "t.tsv", ("text",), [(de,) for de, _ in FEW])
    plain = guess(texts, (), (), earlier=LANGUAGE_MODEL).plain()
    assert plain["outputs"]["rest"]["of"] == "text" and "tokenizer" not in plain["inputs"]["text"]
    labelled = written(tmp_path / "l.tsv", ("text", "label"), [(de, en[:1]) for de, en in FEW])
    plain = guess(labelled, (), (), earlier=LANGUAGE_MODEL).plain()
    assert plain == {"inputs": {"text": {"type": "text", "encoder": "recurrent"}}, "outputs": {"label": "category"}}


def test_one_vocabulary_for_both_sides_stays_one(tmp_path):
    run = earlier({"de": "text"}, {"en": {"type": "text", "tokenizer": {"same_as": "de"}}})
    plain = guess(written(tmp_path / "t.tsv", ("de", "en"), FEW), (), (), earlier=run).plain()
    assert plain["outputs"]["en"]["tokenizer"] == {"same_as": "de"}


def test_what_only_counts_what_another_reads_is_wholly_as_it_was(tmp_path):
    inputs = {"text": "text", "grams": {"type": "text", "column": "text", "encoder": {"type": "ngrams", "size": 2}}}
    plain = from_arguments(inputs, {"label": "category"}).settings.plain()
    run = Earlier("runs/first", plain["inputs"], plain["outputs"], {"grams"})
    again = guess(written(tmp_path / "t.tsv", ("text", "label"), FEW), (), (), earlier=run).plain()
    assert again["inputs"]["grams"] == plain["inputs"]["grams"] and again["outputs"]["label"]["type"] == "category"


def test_named_columns_come_with_what_the_run_counts_of_them_and_refer_to_nothing_that_is_not_here(tmp_path):
    inputs = {"text": "text", "grams": {"type": "text", "column": "text", "encoder": {"type": "ngrams", "size": 2}}}
    reads = ["text", "grams"]
    plain = from_arguments(inputs, {"label": {"type": "category", "reads": reads}}).settings.plain()
    run = Earlier("runs/first", plain["inputs"], plain["outputs"], {"grams"})
    table = written(
        tmp_path / "t.tsv", ("text", "label", "other"), [(*row, "x y"[n % 2 * 2]) for n, row in enumerate(FEW)]
    )
    again = guess(table, ("text",), ("label",), earlier=run)
    assert again.plain()["inputs"]["grams"] == plain["inputs"]["grams"]
    assert again.recipe().settings.outputs["label"].reads == reads
    told = guess(table, ("text:text",), ("label",), earlier=run)
    assert told.plain() == {
        "inputs": {"text": "text"},
        "outputs": {"label": {"type": "category", "head": "classifier"}},
    }
    assert list(guess(table, ("text",), ("other",), earlier=run).recipe().settings.inputs) == ["text"]


def test_a_vocabulary_of_a_column_that_is_not_here_is_none(tmp_path):
    run = earlier({"de": "text"}, {"en": {"type": "text", "tokenizer": {"same_as": "de"}}})
    table = written(tmp_path / "t.tsv", ("fr", "en"), FEW)
    plain = guess(table, ("fr",), ("en",), earlier=run).plain()
    assert plain["outputs"]["en"] == {"type": "text", "head": "autoregressive"}


def test_a_forecast_is_guessed_from_the_table(tmp_path):
    run = earlier({"load": "series"}, {"forecast": {"of": "load", "horizon": 5, "align": "ahead"}})
    rows = [(f"2013-01-{day:02d}", str(day % 7)) for day in range(1, 29)]
    plain = guess(written(tmp_path / "t.tsv", ("date", "load"), rows), (), (), earlier=run).plain()
    assert plain["outputs"]["forecast"]["horizon"] != 5 and "when" in plain["inputs"]
