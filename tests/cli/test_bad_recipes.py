"""Every mistake in a recipe is told with its place, what was given, what is allowed and what to do."""

import pytest


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "epochs: 2",
            "epocs: 2",
            ["line 13, training.epocs", "unknown setting", "did you mean 'epochs'", "batch_rows"],
        ),
        (
            "cell: gru, hidden_size: 8, embedding_size: 8, dropout: 0.2}\no",
            "cel: gru}\no",
            ["line 6, inputs.de.encoder.cel", "'cell'"],
        ),
        ("epochs: 2", "epochs: many", ["line 13, training.epochs", "integer", "got the text 'many'"]),
        ("epochs: 2", "epochs: 0", ["training.epochs", "greater than or equal to 1", "got 0"]),
        ("epochs: 2", "epochs: true", ["training.epochs", "got true"]),
        (
            "type: beam, width: 2",
            "type: beem",
            ["line 12, search.type", "'beem' is not known", "did you mean 'beam'", "greedy"],
        ),
        (
            "type: beam, width: 2",
            "type: greedy, width: 2",
            ["line 12, search.width", "unknown setting", "'width' belongs to type: beam"],
        ),
        ("width: 2", "width: 2, n_best: 3", ["line 12, search", "n_best 3 is above width 2", "set width: 3"]),
        ("batch_rows: 10", "batch_rows: 10, batch_steps: 9", ["line 13, training", "exclude each other", "leave one"]),
        (
            "attention: general",
            "attention: generall",
            ["outputs.en.head.decoder.attention", "'generall' is not known", "'general'"],
        ),
        ("search:", "version: 99\nsearch:", ["version 99", "up to 3", "update Ostinato"]),
        ("outputs:\n  en:", "outputs:\n  de:", ["outputs.de", "an input too", "column: de"]),
        ("outputs:\n  en:", "outputs:\n  values:", ["line 8, outputs.values", "cannot be a name", "column: values"]),
        (
            "outputs:\n  en:\n",
            "outputs:\n  en:\n    align: each\n",
            ["outputs.en.align", "'each' is not possible for text", "free"],
        ),
        (
            "outputs:\n  en:\n",
            "outputs:\n  en:\n    horizon: 4\n",
            ["outputs.en.horizon", "belongs to align 'ahead'", "leave it out"],
        ),
        (
            "outputs:\n  en:\n",
            "outputs:\n  en:\n    of: de\n",
            ["outputs.en.of", "belongs to align 'next'", "leave it out"],
        ),
        (
            "outputs:\n  en:\n",
            "outputs:\n  en:\n    reads: [fr]\n",
            ["line 9, outputs.en.reads", "no input 'fr'", "de"],
        ),
        ("outputs:\n  en:\n", "outputs:\n  en:\n    reads: []\n", ["outputs.en.reads", "must read an input", "de"]),
        (
            "tokenizer: word\n    encoder",
            "tokenizer: {same_as: dee}\n    encoder",
            ["inputs.de.tokenizer.same_as", "no input or output 'dee'"],
        ),
        (
            "data: {train: train.tsv",
            "data: {file: a.tsv, train: train.tsv",
            ["data.file", "`file` or `train`, not both"],
        ),
        (
            "type: text\n    tokenizer: word\n    encoder",
            "tokenizer: word\n    encoder",
            ["inputs.de", "`type`", "text, tokens"],
        ),
        ("training:", "training: {seed: 2}\ntraining:", ["line 14", "training", "duplicate"]),
        (
            "tokenizer: word\n    encoder",
            "tokenizer: &same word\n    lowercase: *same\n    encoder",
            ["line 6", "aliases (*same)", "write it out"],
        ),
        ("training: {", "training: {{", ["line 14"]),
        ("tokenizer: word\n    encoder", "tokenizer: !!python/name:os.system\n    encoder", ["line 5"]),
        (
            "max_steps: 40",
            "monitor: en.blue, max_steps: 40",
            ["training.monitor", "'en.blue' is not measured", "en.bleu"],
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_way_out(here, refused, old, new, says):
    text = (here / "tiny.yaml").read_text()
    assert old in text
    (here / "tiny.yaml").write_text(text.replace(old, new, 1))
    refused("train", "tiny.yaml", "--out", "run", says=["tiny.yaml", *says])
    assert not (here / "run").exists(), "nothing stands in the way of the next try"


def test_several_mistakes_are_told_together(here, refused):
    text = (here / "tiny.yaml").read_text()
    (here / "tiny.yaml").write_text(
        text.replace("epochs: 2", "epocs: 2")
        .replace("attention: general", "attention: generall")
        .replace("0.2}\nout", "7}\nout")
    )
    refused(
        "check",
        "tiny.yaml",
        says=["3 mistakes", "training.epocs", "head.decoder.attention", "encoder.dropout", "less than 1"],
    )


def test_a_recipe_that_is_not_there_is_told_with_the_nearest(here, refused):
    refused("train", "tinny.yaml", says=["there is no recipe tinny.yaml", "did you mean 'tiny.yaml'"])
    refused("train", "no/where.yaml", says=["there is no recipe no/where.yaml"])
    refused("train", "tiny.yaml/x", says=["there is no recipe"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"inputs: \xff\xfe", ["bad.yaml", "not UTF-8", "save it as UTF-8"]),
        (b"inputs:\0 {a: text}", ["bad.yaml", "not YAML"]),
        (b"", ["bad.yaml", "a recipe is a mapping", "nothing"]),
        (b"- a\n- b\n", ["bad.yaml", "a recipe is a mapping", "a list"]),
        (b"inputs: {}\noutputs: {}\n", ["line 1, inputs", "at least one", "line 2, outputs"]),
        (b"inputs: {a: text}\n", ["outputs", "is needed and missing"]),
        (b"inputs: {1: text}\noutputs: {b: text}\n", ["inputs", "string"]),
        (b"x:\n" + b"".join(b" k%d: 1\n" % k for k in range(20_000)), ["20,000 words", "folder with a manifest"]),
        (b"x: " + b"y" * (1 << 20), ["1,048,576 characters"]),
    ],
)
def test_what_is_no_recipe_is_refused(here, refused, content, says):
    (here / "bad.yaml").write_bytes(content)
    refused("check", "bad.yaml", says=says)


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ("training.epocs=3", ["--set training.epocs=3", "did you mean 'epochs'"]),
        ("training", ["--set training", "PATH=VALUE"]),
        ("=3", ["PATH=VALUE"]),
        ("training..epochs=3", ["PATH=VALUE"]),
        ("training.epochs=[", ["--set training.epochs=["]),
        (
            "inputs.dee.encoder.layers=2",
            ["tiny.yaml --set inputs.dee", "there is no input 'dee'; did you mean 'de'?", "allowed here: de"],
        ),
        ("outputs.enn.head.dropout=0", ["outputs.enn: there is no output 'enn'; did you mean 'en'?"]),
        ("outputs.de.horizon=48", ["outputs.de: there is no output 'de'", "allowed here: en"]),
        ("training.batch_rows=1000000000000000000", ["training.batch_rows", "less than or equal to 2147483647"]),
        ("training.seed=18446744073709551616", ["training.seed", "less than or equal to 2147483647"]),
        ("training.optimizer.learning_rate=.inf", ["training.optimizer.learning_rate", "finite"]),
        ("inputs.de.encoder.hidden_size=1000000", ["inputs.de.encoder", "more memory than this machine has"]),
        ("inputs.de.tokenizer={type: bpe, size: 1000000000000}", ["inputs.de.tokenizer.size", "to 10000000"]),
    ],
)
def test_a_set_that_fits_nowhere_is_told(here, refused, one, says):
    refused("check", "tiny.yaml", "--set", one, says=says)


def test_a_sweep_over_what_is_not_there_is_told(here, refused):
    refused(
        "sweep",
        "tiny.yaml",
        "--over",
        "outputs.enn.head.dropout=0,0.1",
        says=["outputs.enn: there is no output 'enn'; did you mean 'en'?"],
    )


def test_an_output_may_be_added_word_by_word(here, cli):
    sets = ["outputs.more.column=en", "outputs.more.type=text", "outputs.more.tokenizer=word"]
    assert cli("check", "tiny.yaml", *(word for one in sets for word in ("--set", one))).code == 0


@pytest.mark.parametrize("verb", [["check"], ["sweep", "--over", "training.epochs=1,2"]])
@pytest.mark.parametrize("name", ["load.csv", "a.jsonl", "dna.fasta", "a.txt"])
def test_data_in_place_of_a_recipe_are_told_by_their_name_and_not_printed(here, refused, verb, name):
    (here / name).write_text("a,b\n" * 5000)
    said = refused(
        verb[0],
        name,
        *verb[1:],
        says=[name, "a recipe is needed", f"`ostinato init {name} --recipe {name.split('.')[0]}.yaml`"],
    )
    assert len(said) < 400


def test_a_long_text_in_place_of_a_recipe_is_cut(here, refused):
    (here / "notes.yaml").write_text("and so on\n" * 5000)
    assert (
        len(
            refused(
                "check",
                "notes.yaml",
                says=["a recipe is a mapping", "this is the text 'and so on and so on", "\u2026'"],
            )
        )
        < 300
    )


def test_set_opens_bare_names_and_takes_the_slots_default(here, cli):
    (here / "short.yaml").write_text(
        "data: {train: train.tsv}\ninputs: {de: text}\noutputs: {en: text}\nsearch: greedy\n"
    )
    sets = [
        "inputs.de.tokenizer=word",
        "outputs.en.tokenizer=word",
        "outputs.en.head.decoder.hidden_size=4",
        "inputs.de.encoder.hidden_size=4",
    ]
    said = cli("check", "short.yaml", "--json", *(word for one in sets for word in ("--set", one)))
    assert said.code == 0
    assert sum(said.json["parameters"].values()) < 1000


def test_a_byte_order_mark_and_crlf_are_taken_in_a_recipe(here, cli):
    (here / "tiny.yaml").write_bytes(b"\xef\xbb\xbf" + (here / "tiny.yaml").read_bytes().replace(b"\n", b"\r\n"))
    assert cli("check", "tiny.yaml").code == 0
