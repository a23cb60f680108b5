"""The command `probe`: a run or a recipe, before and after training; nothing in the run's folder changes."""

import hashlib


def digests(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_probed_and_no_byte_of_it_changes(here, trained, cli):
    before = digests(trained)
    said = cli("probe", "gradients", trained, "--picture", "maps/reach.png", "--rows", "4")
    assert said.code == 0 and said.out.startswith("Gradients ") and "inputs.de.encoder, layer 1" in said.out
    assert (here / "maps/reach.png").read_bytes().startswith(b"\x89PNG") and "maps/reach.png" in said.err
    assert digests(trained) == before
    start = cli("probe", "gradients", trained, "--at", "start", "--json").json
    recipe = cli("probe", "gradients", "tiny.yaml", "--json", "--split", "test").json
    assert start == recipe, "one seed, one start"
    assert start != cli("probe", "gradients", trained, "--json").json
    assert {reach["of"] for reach in start["reaches"]} == {"loss", "state"}
    other = cli("probe", "gradients", "tiny.yaml", "--set", "inputs.de.encoder.cell=rnn", "--json").json
    assert other["reaches"][0]["norms"] != recipe["reaches"][0]["norms"]


def test_gradients_have_a_course_over_training(here, cli, refused):
    course = cli("probe", "gradients", "tiny.yaml", "--epochs", "2,0", "--picture", "course.png", "--json").json
    assert list(course) == ["0", "2"] and course["0"]["reaches"] != course["2"]["reaches"]
    assert (here / "course_epoch_0.png").is_file() and (here / "course_epoch_2.png").is_file()
    assert cli("probe", "gradients", "tiny.yaml", "--json").json == course["0"], "epoch 0 is the start"
    changes = ("--set", "training.keep_best=false", "--set", "training.epochs=2", "--set", "training.schedule=constant")
    cli("train", "tiny.yaml", *changes, "--out", "two")
    after = cli("probe", "gradients", "two", "--split", "valid", "--json").json
    same = cli("probe", "gradients", "tiny.yaml", "--set", "training.schedule=constant", "--epochs", "2", "--json").json
    assert same == {"2": after}, "the weights are those of the epoch"
    refused("probe", "gradients", "tiny.yaml", "--epochs", "0,99", says=["--epochs 0, 99: from 0 to"])
    refused("probe", "gradients", "tiny.yaml", "--epochs", "a", says=["whole numbers with commas"])
    refused("probe", "gradients", "two", "--epochs", "1", says=["--epochs trains a recipe"])
    refused(
        "probe",
        "attention",
        "two",
        says=["no probe 'attention'", "did you mean 'attention_maps'?", "probe PROBE SOURCE"],
    )
    refused("probe", "two", says=["no probe 'two'", "gradients", "probe PROBE SOURCE"])


def test_what_cannot_be_probed_is_refused(here, trained, refused):
    refused("probe", "gradients", "tiny.yaml", "--at", "end", says=["is not trained; give the folder of its run"])
    refused("probe", "gradients", trained, "--set", "a=1", says=["the settings of a trained run cannot change"])
    (here / "long.tsv").write_text("de\ten\nein zwei\tone two\n")
    refused(
        "probe",
        "gradients",
        trained,
        "--data",
        "long.tsv",
        "--steps",
        "1",
        says=["have more than 1 steps; raise --steps"],
    )
    refused("probe", "gradients", trained, "--share", "2", says=["share: 2.0: Input should be less than or equal to 1"])
    refused("probe", "gradient", trained, says=["no probe 'gradient'", "did you mean 'gradients'?"])
    refused("probe", "gradients", "nowhere", says=["nowhere"])
    (here / "bag.yaml").write_text(
        "data: {train: train.tsv}\ninputs: {de: {type: text, encoder: ngrams}}\noutputs: {en: category}\n"
    )
    refused("probe", "gradients", "bag.yaml", says=["no part of this model has vectors of steps"])
