"""What a message on a model of another tool advises, followed: the folder with that change is imported."""

import json
import shutil

import pytest
import torch

from ostinato import api
from ostinato.registry import component
from ostinato.run import importing
from tests.advice import follow
from tests.importers.made_by_joeynmt import KEPT


@pytest.fixture
def taken(tmp_path):
    """A copy of a kept model, the import of it, and what makes the copy whole again."""

    def take(name):
        folder = tmp_path / name

        def restore():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(KEPT / name, folder)

        restore()
        return folder, lambda **options: api.import_model(folder, tmp_path / "run", overwrite=True, **options), restore

    return take


def changed(path, **changes):
    """Rewrites a file of JSON, a value for each dotted path with `__` between; None deletes."""
    plain = json.loads(path.read_text())
    for place, value in changes.items():
        *parents, last = place.split("__")
        inner = plain
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner.pop(last, None)
        if value is not None:
            inner[last] = value
    path.write_text(json.dumps(plain))


def rewritten(path, change):
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


class Secret:
    """What runs code where it is unpickled."""

    def __reduce__(self):
        return (print, ("unpickled",))


def removed(name):
    return lambda state: state["model_state"].pop(name)


def of_shape(name, *shape):
    return lambda state: state["model_state"].update({name: torch.zeros(shape)})


RECURRENT, TRANSFORMER = "joeynmt-recurrent", "joeynmt-transformer"
CONFIG, CHECKPOINT = "config.yaml", "best.ckpt"
CONFIGS = [
    (RECURRENT, {"model__decoder__hidden_size": "7"}, "'7', and a whole number belongs there; restore the file"),
    (RECURRENT, {"model__encoder__hidden_size": None}, "model.encoder has no hidden_size; restore the file"),
    (RECURRENT, {"training": 3}, "training: holds int, and a mapping is needed; restore the file"),
    (TRANSFORMER, {"model__encoder__embeddings__embedding_dim": 4}, "JoeyNMT has both alike, so restore the file"),
    (RECURRENT, {"model__decoder__hidden_size": 8}, "by the sizes and vocabularies beside it; give the files of one"),
    (
        TRANSFORMER,
        {"model__encoder__ff_size": 12},
        "and by the settings it is one of (12, 8); give the files of one training",
    ),
    (RECURRENT, {"data__special_symbols__bos_id": 3}, "config.yaml has it as 3; give the files of one training"),
    (RECURRENT, {"model__decoder__attention": "dot"}, "allowed here: bahdanau, luong; train that model with one of"),
    (TRANSFORMER, {"model__decoder__activation": "swish"}, "allowed here: gelu, relu; train that model with one of"),
    (TRANSFORMER, {"model__decoder__alpha": 1.2}, "train that model with one of these, or keep it in JoeyNMT"),
    (RECURRENT, {"model__decoder__init_hidden": "last"}, "bridge, zero, zeros; train that model with one of these"),
    (
        RECURRENT,
        {"model__encoder__bidirectional": False},
        "model.encoder.bidirectional: false; JoeyNMT cannot run such",
    ),
    (
        RECURRENT,
        {"data__src__tokenizer_cfg": {"pretokenizer": "moses"}},
        "is not supported; set pretokenizer: none there, and give texts whose words and marks it has set apart already",
    ),
    (
        RECURRENT,
        {"data__trg__level": "bpe", "data__trg__tokenizer_type": "subword-nmt"},
        "Of texts that subword-nmt has cut already, set level: word there",
    ),
    (
        RECURRENT,
        {"data__src__level": "bpe", "data__src__tokenizer_cfg": {"model_file": "there/m.model"}},
        "'there/m.model' lies neither there nor beside the checkpoint; copy it there",
    ),
    (
        RECURRENT,
        {"data__special_symbols__lang_tags": ["<de>"]},
        "a model of several languages (sep_token, lang_tags) puts tags into its texts, which is not supported",
    ),
]


@pytest.mark.parametrize(("name", "changes", "advice"), CONFIGS, ids=str)
def test_the_advice_on_a_configuration(name, changes, advice, taken):
    folder, read, restore = taken(name)
    changed(folder / CONFIG, **changes)
    follow(read, advice, lambda: (restore(), read()))


FILES = [
    (CHECKPOINT, lambda path: path.write_bytes(b"PK" + bytes(99)), "damaged, or no file of torch.save; copy it again"),
    (CHECKPOINT, lambda path: path.write_bytes(path.read_bytes()[:9000]), "; copy it again"),
    (CHECKPOINT, lambda path: rewritten(path, removed("decoder.rnn.bias_hh_l0")), "give the weights that belong to"),
    (CHECKPOINT, lambda path: path.unlink(), "or one with the number of its step (none found); copy it there"),
    (CHECKPOINT, lambda path: torch.save([1], path), "holds no tensors by name; save `model.state_dict()`"),
    (CONFIG, lambda path: path.unlink(), "give the model_dir of a training of JoeyNMT"),
    (
        CONFIG,
        lambda path: path.write_text("a: !!python/object:os.x {}"),
        "config.yaml: no YAML; restore the file (could not",
    ),
    (CONFIG, lambda path: path.write_text("- a"), "holds list, and a mapping is needed; restore the file"),
    (CONFIG, lambda path: path.write_bytes(b"\xff\xfe"), "cannot be read as text; restore the file ('utf-8'"),
    ("src_vocab.txt", lambda path: path.unlink(), "writes into its model_dir; copy it there, or the file that"),
    ("trg_vocab.txt", lambda path: path.write_text("a"), "by the sizes and vocabularies beside it; give the files"),
]


@pytest.mark.parametrize(("file", "damage", "advice"), FILES)
def test_the_advice_on_a_file(file, damage, advice, taken):
    folder, read, restore = taken(RECURRENT)
    damage(folder / file)
    follow(lambda: read(format="joeynmt"), advice, lambda: (restore(), read()))


def test_the_advice_on_a_checkpoint_that_would_run_code(taken, capfd):
    folder, read, _ = taken(RECURRENT)
    path = folder / CHECKPOINT
    rewritten(path, lambda state: state.update(scheduler_state=Secret()))

    def save_anew():
        """What the message says, where JoeyNMT is installed."""
        torch.save({"model_state": torch.load(path, weights_only=False)["model_state"]}, path)
        read()

    follow(
        read,
        "could run any code; nothing is unpickled here. Where JoeyNMT is installed, save it anew: `torch.save({"
        "'model_state': torch.load(CKPT, weights_only=False)['model_state']}, CKPT)`",
        lambda: capfd.readouterr()[0] == "" or pytest.fail("it was unpickled"),
        save_anew,
    )


def test_the_advice_on_texts_that_were_made_otherwise(taken):
    """Notes: what texts have to look like, and what a person has to do where JoeyNMT did more."""
    folder, read, _ = taken(RECURRENT)
    changed(folder / CONFIG, data__src__normalize=True)
    notes = []
    run = read(say=notes.append)
    assert "de: JoeyNMT also made curly quotes straight; write them straight" in notes
    assert "en: words are what stands between blanks; give texts as they were in training" in notes
    assert run.inputs["de"].normalize == "NFKC" and notes == run.bundle.data["notes"]


def test_the_advice_on_a_folder_that_is_none(taken, tmp_path):
    folder, read, restore = taken(RECURRENT)
    out = tmp_path / "run"

    def of(path, **options):
        return lambda: api.import_model(path, out, overwrite=True, **options)

    follow(of(folder / CONFIG), "is a file; give the folder of a model that another tool trained", read)
    follow(of(tmp_path / "none"), "does not exist; give the folder of a model that another", read)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("")
    advice = "Give the folder that has these files, or name a tool by --format"
    follow(of(tmp_path / "other"), advice, read, lambda: read(format="joeynmt"))
    follow(of(tmp_path / "other"), "It holds notes.txt. Looked for: ")
    follow(of(tmp_path / "other"), "joeynmt (JoeyNMT): config.yaml with model.encoder and model.decoder, *.ckpt")
    read()
    follow(of(out), "; `ostinato evaluate` and all others take this run as it is", lambda: api.Run.load(out))
    follow(lambda: read(format="joey"), "did you mean 'joeynmt'?", lambda: read(format="joeynmt"))
    shutil.rmtree(out)
    out.mkdir()
    (out / "mine").write_text("")
    follow(lambda: api.import_model(folder, out), "exists and is no run; choose another", restore)


def test_the_advice_on_a_folder_of_two_tools(taken, monkeypatch):
    folder, read, _ = taken(RECURRENT)
    joeynmt = component("importers", "joeynmt")
    monkeypatch.setattr(importing, "names", lambda room: ("joeynmt", "twin"))
    monkeypatch.setattr(importing, "component", lambda room, name: joeynmt)
    follow(read, "joeynmt and twin all recognise it; name one, as --format joeynmt", lambda: read(format="joeynmt"))
