"""The core asks no member for its name: every room gets a copy of a member under another name, and it trains to the
same bits."""

import random
import re

import pytest
import torch

import ostinato
from ostinato import registry
from tests.plugins.conftest import on_the_path, write_metadata

COPIES = {
    "attentions": ["additive"],
    "cells": ["gru", "lstm"],
    "decoders": ["recurrent"],
    "encoders": ["recurrent", "feed_forward"],
    "heads": ["autoregressive", "next_step", "tagger", "classifier", "regressor", "crf", "forecast"],
    "joins": ["attend", "concatenate"],
    "metrics": ["exact_match", "accuracy", "perplexity", "mae"],
    "modalities": ["text", "tokens", "tags", "category", "number", "series", "calendar"],
    "optimizers": ["adam"],
    "schedules": ["plateau"],
    "searches": ["greedy", "beam", "sample"],
    "tokenizers": ["word", "bpe"],
}


@pytest.fixture(scope="module", autouse=True)
def copies(tmp_path_factory):
    """Each member as `copied_NAME` in a package of its own."""
    site = tmp_path_factory.mktemp("renamed")
    (site / "renamed").mkdir()
    points = {}
    for room, names in COPIES.items():
        for name in names:
            path = registry.folder(room) / f"{name}.py"
            own = registry.component(room, name).__name__
            source = re.sub(rf"(?<![.\w]){own}\b", f"Copied{own}", path.read_text(encoding="utf-8"))
            (site / "renamed" / f"{room}_{name}.py").write_text(source, encoding="utf-8")
            points.setdefault(f"ostinato.{room}", {})[f"copied_{name}"] = f"renamed.{room}_{name}"
    (site / "renamed" / "__init__.py").touch()
    write_metadata(site, "renamed", points)
    with on_the_path(site):
        yield


KEPT = ("data", "of", "align", "column", "same_as", "reads")
"""Whose values are names that a recipe gives."""


def renamed(plain):
    """A recipe with the names of copies in place of the members'."""
    if isinstance(plain, dict):
        return {key: renamed(value) if key not in KEPT else value for key, value in plain.items()}
    if isinstance(plain, list):
        return [renamed(value) for value in plain]
    return f"copied_{plain}" if any(plain in names for names in COPIES.values()) else plain


def words(count, seed=0):
    drawn = random.Random(seed)
    rows = []
    for _ in range(count):
        said = drawn.choices(["ab", "cd", "ef", "gh"], k=drawn.randint(2, 4))
        rows.append(
            {
                "said": said,
                "text": " ".join(said),
                "kind": [word[0] for word in said],
                "first": said[0],
                "size": float(len(said)),
                "backward": said[::-1],
            }
        )
    return rows


READER = {"type": "recurrent", "cell": {"type": "gru"}, "hidden_size": 8, "embedding_size": 6}
TRAINING = {
    "epochs": 2,
    "batch_rows": 20,
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "schedule": {"type": "plateau", "patience": 1},
}
RECIPES = {
    "free": {
        "inputs": {"said": {"type": "tokens", "encoder": READER}},
        "outputs": {
            "backward": {
                "type": "tokens",
                "metrics": ["exact_match", "perplexity"],
                "head": {
                    "type": "autoregressive",
                    "embedding_size": 6,
                    "decoder": {
                        "type": "recurrent",
                        "cell": {"type": "lstm"},
                        "hidden_size": 8,
                        "attention": {"type": "additive"},
                    },
                },
            }
        },
        "search": {"type": "beam", "width": 2},
    },
    "labels": {
        "inputs": {
            "said": {"type": "text", "column": "text", "tokenizer": {"type": "word"}, "encoder": READER},
            "size": {"type": "number", "encoder": {"type": "feed_forward", "hidden_size": 8}},
        },
        "outputs": {
            "kind": {"type": "tags", "reads": ["said"], "head": {"type": "tagger"}},
            "again": {"type": "tags", "column": "kind", "reads": ["said"], "head": {"type": "crf"}},
            "first": {"type": "category", "join": {"type": "concatenate"}, "head": {"type": "classifier"}},
            "length": {"type": "number", "column": "size", "reads": ["said"], "head": {"type": "regressor"}},
        },
    },
    "next": {
        "inputs": {
            "text": {
                "type": "text",
                "tokenizer": {"type": "bpe", "size": 270},
                "encoder": {**READER, "bidirectional": False},
            }
        },
        "outputs": {
            "on": {
                "type": "text",
                "tokenizer": {"same_as": "text"},
                "of": "text",
                "align": "next",
                "head": {"type": "next_step"},
            }
        },
        "search": {"type": "sample", "max_length": 5},
        "training": {"tbptt": 8, "batch_rows": 4},
    },
}


def trained(recipe, folder):
    training = {**TRAINING, **recipe.get("training", {})}
    search = {"search": recipe["search"]} if "search" in recipe else {}
    model = ostinato.Model(recipe["inputs"], recipe["outputs"], training=training, **search)
    return model.fit(words(60), words(20, seed=1), device="cpu")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_with_other_names_trains_and_answers_to_the_same_bits(name, tmp_path):
    own = RECIPES[name]
    other = {**own, **{part: renamed(own[part]) for part in ("inputs", "outputs", "search") if part in own}}
    training = {**TRAINING, **own.get("training", {})}
    one = trained(own, tmp_path)
    other["training"] = {**renamed(training)}
    two = trained(other, tmp_path)
    for weight, copy in zip(one.run.graph.parameters(), two.run.graph.parameters(), strict=True):
        assert torch.equal(weight, copy)
    rows = words(15, seed=2)
    first, second = (
        {
            name: {
                metric.replace("copied_", ""): found["value"]
                for metric, found in each.items()
                if isinstance(found, dict) and "value" in found
            }
            for name, each in model.evaluate(rows).to_json()["outputs"].items()
        }
        for model in (one, two)
    )
    assert first == second and all(first.values())
    assert one.predict(rows) == two.predict(rows)
