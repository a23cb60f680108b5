"""Laws of the room `probes`: a probe changes nothing, sees the same twice, and shows what it saw in every form."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ostinato import alignments
from ostinato.data.cache import encode_values, to_steps
from ostinato.errors import ConfigError
from ostinato.model.batch import Batch
from ostinato.model.graph import Graph
from ostinato.probes.kinds.contract import Probe, Subject
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import read as recipe_read
from ostinato.testing._tools import Check, Member, all_checks, same

Make = Callable[[], Probe]
TRIED: dict[str, Any] = {"exact": (64,), "text": ("abc",), "by": ("group",), "column": ("group",)}
TEXTS = ("abcde", "ed", "aabbccddee", "eca")


@cache
def subject() -> Subject:
    """An untrained model of letters."""
    return subject_of({"hidden_size": 20, "embedding_size": 4})


@cache
def subject_for(probe: type[Probe]) -> Subject:
    """A model in which this probe has something to see: of letters, by a recurrence or a Transformer, or of labels.

    Errors:
        ConfigError: it sees nothing in any of them.
    """
    attending = {"type": "transformer", "hidden_size": 8, "heads": 2, "layers": 2}
    others = (lambda: subject_of(attending), lambda: subject_of({"hidden_size": 8, "embedding_size": 4}, labels=True))
    for known in (subject, *others):
        try:
            probe().look(known())
        except ConfigError as why:
            refusal = why
        else:
            return known()
    raise refusal


def subject_of(encoder: Mapping[str, Any], texts: Sequence[str] = TEXTS, *, labels: bool = False) -> Subject:
    """A model with this encoder, untrained, which reads the next letter of texts; or labels, whether they are long."""
    output = {"type": "category"} if labels else {"of": "text", "align": "next"}
    plain = {
        "inputs": {"text": {"type": "text", "tokenizer": "char", "encoder": dict(encoder)}},
        "outputs": {"follows": output},
    }
    settings = recipe_read.check(plain, "laws")
    modalities = recipe_columns.build(settings)
    columns = {}
    for place, modality in modalities.items():
        raw = ["long" if len(text) > 3 else "short" for text in texts] if labels and place[0] == "o" else texts
        modality.fit(raw)
        columns[place] = to_steps(*encode_values(modality, raw, str))
    torch.manual_seed(0)
    graph = Graph(settings.inputs, settings.outputs, modalities).eval().requires_grad_(False)
    batch = Batch({"text": columns["inputs.text"]}, {"follows": columns["outputs.follows"]})
    aligned = {name: alignments.of(output) for name, output in settings.outputs.items()}
    return Subject(graph, batch, aligned, modalities, {"group": ["odd" if len(text) % 2 else "even" for text in texts]})


def it_changes_nothing(make: Make) -> None:
    """Weights, their gradients and what is drawn at random afterwards are as if nobody had looked."""
    kind = make()
    known = subject_for(type(kind))
    before, drawn = copy.deepcopy(known.graph.state_dict()), torch.get_rng_state()
    kind.look(known)
    assert same([*known.graph.state_dict().values()], [*before.values()]), "a weight has changed"
    assert all(weight.grad is None for weight in known.graph.parameters()), "a weight has a gradient"
    assert torch.equal(torch.get_rng_state(), drawn), "it has drawn from torch's generator"


def it_sees_the_same_twice(make: Make) -> None:
    """What it sees is a function of model, examples and settings."""
    assert _seen(make) == _seen(make)


def every_form_has_the_title(make: Make) -> None:
    """The finding is JSON, lines and a picture; a sentence tells it in the first two."""
    kind = make()
    finding = kind.look(subject_for(type(kind)))
    assert finding.title and finding.to_json()["title"] == finding.title == finding.lines()[0]
    with tempfile.TemporaryDirectory() as folder:
        finding.draw(Path(folder) / "picture.png")
        assert (Path(folder) / "picture.png").read_bytes().startswith(b"\x89PNG")


LAWS = (it_changes_nothing, it_sees_the_same_twice, every_form_has_the_title)


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    member()
    return all_checks(member, [(law, member) for law in LAWS], lambda other: [_seen(other)], TRIED)


def _seen(make: Make) -> str:
    """A finding in its JSON."""
    kind = make()
    return json.dumps(kind.look(subject_for(type(kind))).to_json())
