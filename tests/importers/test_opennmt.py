"""Translators of OpenNMT-py: the run gives the log-probabilities and the answers that OpenNMT-py gave."""

import argparse
import json
import shutil
from pathlib import Path

import pytest
import torch

from ostinato import api
from ostinato.errors import ConfigError
from tests.advice import follow
from tests.importers import made_by_opennmt as made
from tests.importers.same import check_same

KEPT = ["opennmt-recurrent", "opennmt-attention", "opennmt-transformer"]
SEARCHES = {"answers": "{type: greedy}", "beam": "{type: beam, width: 3, normalization: none}"}


def same(folder, out):
    run, expected = check_same(folder, out, "tgt")
    sources = [row["src"] for row in expected["rows"]]
    for name, search in SEARCHES.items():
        sets = [f"search={search}", f"search.max_length={made.STEPS}"]
        answers = [prediction.outputs["tgt"][0].value for prediction in api.predict(run, sources, sets=sets)]
        assert [answer.replace("\ufffd", "<unk>").split() for answer in answers] == expected[name], name
    return run


@pytest.mark.parametrize("name", KEPT)
def test_what_opennmt_computed_comes_out(name, tmp_path):
    same(made.KEPT / name, tmp_path / "run")


@pytest.mark.parametrize("name", made.CASES)
def test_every_kind_of_model_is_the_librarys(name, tmp_path):
    pytest.importorskip("onmt")
    made.write(tmp_path / "model", made.CASES[name])
    run = same(tmp_path / "model", tmp_path / "run")
    notes = " ".join(run.bundle.data["notes"])
    assert ("embeddings of both sides were tied" in notes) == (name == "embeddings tied")


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(made.KEPT / KEPT[0], tmp_path / "model"))


@pytest.fixture
def changed(folder, tmp_path):
    """Imports the folder after a change of its checkpoint."""
    path = folder / "model_step_7.pt"

    def read(change=None):
        with torch.serialization.safe_globals([argparse.Namespace]):
            state = torch.load(made.KEPT / KEPT[0] / path.name, weights_only=True)
        if change is not None:
            change(state)
        torch.save(state, path)
        return api.import_model(folder, tmp_path / "run", overwrite=True)

    return read


class Secret:
    """What runs code where it is unpickled."""

    def __reduce__(self):
        return (print, ("unpickled",))


def test_the_advice_on_a_checkpoint_that_would_run_code(changed, folder, tmp_path, capfd):
    path = folder / "model_step_7.pt"

    def save_anew():
        """What the message says, where OpenNMT-py is installed."""
        state = torch.load(path, weights_only=False)
        torch.save({name: state[name] for name in ("model", "generator", "vocab", "opt")}, path)
        api.import_model(folder, tmp_path / "run", overwrite=True)

    follow(
        lambda: changed(lambda state: state.update(optim=Secret())),
        "could run any code; nothing is unpickled here. Where OpenNMT-py is installed, save it anew: `c ="
        " torch.load(FILE, weights_only=False)`, `torch.save({k: c[k] for k in ('model', 'generator', 'vocab', 'opt')}",
        lambda: capfd.readouterr()[0] == "" or pytest.fail("it was unpickled"),
        save_anew,
    )


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (
            lambda state: state.pop("opt"),
            "holds no opt and vocab, as a checkpoint of OpenNMT-py's version 3 does. Where",
        ),
        (lambda state: state.update(vocab=[1]), "tools/convertv2_v3.py before"),
        (lambda state: state["vocab"].update(src={}), "vocab.src is no list of symbols, as version 3 writes it. Where"),
        (lambda state: state["vocab"]["tgt"].remove("</s>"), "lacks </s>, which every target has; restore the file"),
        (lambda state: state.pop("model"), "model_step_7.safetensors, which is not beside it; copy it there"),
        (lambda state: state["vocab"]["src"].append("x"), "is a tensor of (12, 5), and (13, 5) is needed by the sizes"),
    ],
)
def test_the_advice_on_a_checkpoint(change, advice, changed):
    follow(lambda: changed(change), advice, changed)


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"rnn_type": "SRU"}, "opt.rnn_type: SRU is not supported"),
        ({"copy_attn": True}, "opt.copy_attn: True is not supported; allowed here: False"),
        ({"coverage_attn": True}, "opt.coverage_attn: True is not supported"),
        ({"context_gate": "both"}, "opt.context_gate: both is not supported; allowed here: none"),
        ({"global_attention_function": "sparsemax"}, "opt.global_attention_function: sparsemax is not supported"),
        (
            {"encoder_type": "cnn"},
            "allowed here: brnn, rnn; train that model with one of these, or keep it in OpenNMT-py",
        ),
        ({"position_encoding": True}, "opt.position_encoding: True is not supported"),
        ({"decoder_type": "cnn"}, "allowed here: rnn, transformer"),
        ({"decoder_type": "transformer"}, "opt.encoder_type: brnn is not supported; allowed here: transformer"),
        ({"dropout": ["0.1"]}, "opt.dropout: '0.1', and a number belongs there; restore the file"),
    ],
)
def test_the_advice_on_options_that_are_not_supported(options, refusal, changed):
    follow(lambda: changed(lambda state: vars(state["opt"]).update(options)), refusal, changed)


def test_the_advice_on_what_is_not_known(changed):
    def without_attention(state):
        state["model"] = {name: tensor for name, tensor in state["model"].items() if "attn" not in name}

    with pytest.raises(ConfigError, match="opt.global_attention: none with input_feed 1 feeds back the state itself"):
        changed(without_attention)
    with pytest.raises(ConfigError, match=r"weights that are not known here: encoder\.gate\.weight"):
        changed(lambda state: state["model"].update({"encoder.gate.weight": torch.zeros(2)}))


def test_the_advice_on_a_folder_of_checkpoints(folder, tmp_path):
    def read(**options):
        return api.import_model(folder, tmp_path / "run", overwrite=True, **options)

    path = folder / "model_step_7.pt"
    older = shutil.copy(path, folder / "model_step_06.pt")
    assert read().bundle.data["notes"] == [
        "imported from OpenNMT-py: model_step_7.pt",
        "src, tgt: give the tokens that OpenNMT's transforms make, with blanks between them",
    ]
    older = Path(older).rename(folder / "other_step_9.pt")
    follow(read, "checkpoints of model and other; move those of one into a folder of their own", older.unlink, read)
    renamed = path.rename(folder / "best.pt")
    follow(read, "Give the folder that has these files, or name a tool by --format", lambda: read(format="opennmt"))
    renamed.rename(folder / "best.ckpt")
    follow(
        lambda: read(format="opennmt"),
        "holds no checkpoint NAME_step_NUMBER.pt of OpenNMT-py; copy one there",
        lambda: (folder / "best.ckpt").rename(path),
        read,
    )


def test_both_tables_and_the_softmax_are_one_where_they_were(tmp_path, changed):
    """The vocabulary and tables made alike, as `share_embeddings` and `share_decoder_embeddings` have them."""

    def tie(state):
        model, symbols = state["model"], state["vocab"]["tgt"]
        table = torch.randn(len(symbols), 5)
        state["vocab"]["src"] = symbols
        for side in ("encoder", "decoder"):
            model[f"{side}.embeddings.make_embedding.emb_luts.0.weight"] = table
        vars(state["opt"])["share_embeddings"] = True

    notes = changed(tie).bundle.data["notes"]
    assert "embeddings of both sides were tied; here each has weights of its own, equal until" in json.dumps(notes)
