"""The graph: wired by names, shared where a recipe says so, every refusal with its place."""

import pytest
import torch

from ostinato.errors import ConfigError
from ostinato.joins.add import Add
from ostinato.modalities.contract import Symbols
from ostinato.model.batch import Batch
from ostinato.model.graph import Graph
from ostinato.model.reading import Reading
from ostinato.recipe.read import from_arguments
from ostinato.steps import Layout, Steps
from tests.heads.making import nested

ENCODER = {"hidden_size": 4, "embedding_size": 3, "cell": "gru"}
HEAD = {"hidden_size": 8, "embedding_size": 3, "cell": "gru"}


class Fitted:
    """A modality that has been fitted, as far as the graph asks."""

    spec = Symbols(9, 0, 1, 2)


def graph(inputs, outputs):
    recipe = from_arguments(inputs, outputs).settings
    places = [*(f"inputs.{name}" for name in inputs), *(f"outputs.{name}" for name in outputs)]
    torch.manual_seed(0)
    return Graph(recipe.inputs, recipe.outputs, dict.fromkeys(places, Fitted))


def text(**rest):
    return {"type": "text", **rest}


def source(**rest):
    return text(encoder=ENCODER | rest)


def target(head=None, **rest):
    return text(head=nested("autoregressive", HEAD | (head or {})), **rest)


def batch(inputs, outputs, lengths=(3, 1, 4)):
    random = torch.Generator().manual_seed(0)
    draw = lambda: Steps(torch.randint(3, 9, (sum(lengths),), generator=random), Layout(list(lengths)))  # noqa: E731
    return Batch({name: draw() for name in inputs}, {name: draw() for name in outputs})


def test_an_output_reads_all_inputs_or_those_it_names():
    model = graph({"a": source(), "b": source()}, {"c": target(), "d": target(reads=["b"])})
    assert model.reads == {"c": ["a", "b"], "d": ["b"]}
    rows = batch("ab", "cd")
    before = {name: loss.total.item() for name, loss in model.losses(rows).items()}
    other = Batch({**rows.inputs, "a": batch("ab", "cd").inputs["b"]}, rows.targets)
    after = {name: loss.total.item() for name, loss in model.losses(other).items()}
    assert before["c"] != after["c"] and before["d"] == after["d"]


def test_a_shared_encoder_is_one_and_trains_on_both_inputs():
    model = graph({"a": source(), "b": text(encoder={"same_as": "a"})}, {"c": target(), "d": target(reads=["b"])})
    assert list(model.encoders) == ["a"] and model.encoder("b") is model.encoder("a")
    rows = batch("ab", "cd")

    def gradient(inputs):
        model.zero_grad()
        model.losses(Batch(inputs, rows.targets))["c"].total.backward()
        return model.encoders["a"].embedding.learnt.weight.grad.abs().sum(1) > 0

    marked = {
        "a": Steps(torch.full((8,), 3), rows.inputs["a"].layout),
        "b": Steps(torch.full((8,), 4), rows.inputs["b"].layout),
    }
    assert gradient(marked).nonzero().flatten().tolist() == [3, 4]


def test_references_to_encoders_are_followed_and_circles_refused():
    model = graph(
        {"a": source(), "b": text(encoder={"same_as": "a"}), "c": text(encoder={"same_as": "b"})}, {"d": target()}
    )
    assert model.encoder("c") is model.encoder("a")
    for inputs in (
        {"a": text(encoder={"same_as": "b"}), "b": text(encoder={"same_as": "a"})},
        {"a": text(encoder={"same_as": "a"})},
    ):
        with pytest.raises(ConfigError, match=r"inputs\.a.*goes in a circle"):
            graph(inputs, {"c": target()})
    with pytest.raises(ConfigError, match=r"inputs\.b.*same_as.*tokens.*text"):
        graph({"a": source(), "b": {"type": "tokens", "encoder": {"same_as": "a"}}}, {"c": target()})


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"a": source()}, {"c": target({"attention": "dot", "hidden_size": 5})}, r"^outputs\.c\.head: attention: dot"),
        (
            {"a": source()},
            {"c": target({"attention": "none", "input_feeding": True})},
            r"^outputs\.c\.head: input_feeding:",
        ),
        ({"a": source(variational=True)}, {"c": target()}, r"^inputs\.a\.encoder: recurrent: variational"),
        (
            {"a": source(), "b": source(hidden_size=5)},
            {"c": target(join="concatenate")},
            r"^outputs\.c\.join: concatenate: .* 8, 10",
        ),
    ],
)
def test_a_components_refusal_names_its_place_in_the_recipe(inputs, outputs, message):
    with pytest.raises(ConfigError, match=message):
        graph(inputs, outputs)


def test_a_join_makes_one_input_of_several():
    model = graph({"a": source(), "b": source()}, {"c": target(join="concatenate")})
    rows = batch("ab", "c")
    (read,) = model.read("c", rows.inputs)
    assert read.steps.layout.lengths.tolist() == [6, 2, 8] and len(model.heads["c"].decoder.attentions) == 1
    assert model.losses(rows)["c"].count == 11


def test_an_input_that_two_outputs_read_is_encoded_once(monkeypatch):
    model = graph({"a": source()}, {"c": target(), "d": target()})
    calls, encode = [], type(model.encoders["a"]).encode
    monkeypatch.setattr(
        type(model.encoders["a"]), "encode", lambda self, steps: (calls.append(1), encode(self, steps))[1]
    )
    model.losses(batch("a", "cd"))
    assert calls == [1]


def test_parts_count_every_parameter_once():
    model = graph(
        {"a": source(), "b": text(encoder={"same_as": "a"})},
        {"c": target(), "d": target({"tied": True}, join="concatenate")},
    )
    assert sum(model.parts().values()) == sum(parameter.numel() for parameter in model.parameters())
    assert {"inputs.a.encoder", "outputs.c.head", "outputs.d.head", "outputs.d.join"} == set(model.parts())


def test_score_is_minus_the_loss():
    model = graph({"a": source()}, {"c": target()}).eval()
    rows = batch("a", "c")
    scored = Reading(model, rows.inputs).score("c", rows.targets["c"])
    torch.testing.assert_close(scored.log_probability.sum(), -model.losses(rows)["c"].total.detach())


def test_what_a_part_adds_to_the_loss_is_a_penalty_beside_it(monkeypatch):
    honest = Add.join

    def join(self, encoded):
        joined = honest(self, encoded)
        rows = len(joined.summary)
        return joined._replace(penalties={"size": (joined.summary.square().sum(), rows)})

    inputs, outputs = {"a": source(), "b": source()}, {"c": target({"attention": "none"}, join="add")}
    before = graph(inputs, outputs).losses(batch("ab", "c"))
    monkeypatch.setattr(Add, "join", join)
    with pytest.raises(TypeError, match="no part lists in its attribute `penalties`: c.size"):
        graph(inputs, outputs).losses(batch("ab", "c"))
    monkeypatch.setattr(Add, "penalties", ("size",))
    model = graph(inputs, outputs)
    losses = model.losses(batch("ab", "c"))
    assert model.weights == {"c": 1.0, "c.size": 1.0} and list(losses) == ["c", "c.size"]
    assert torch.equal(losses["c"].total, before["c"].total)
    assert losses["c.size"].count == 3 and losses["c.size"].total.requires_grad and losses["c.size"].total.item() > 0
    monkeypatch.setattr(Add, "join", lambda *args: join(*args)._replace(penalties={"size": (torch.ones(()), None)}))
    assert model.losses(batch("ab", "c"))["c.size"].count == losses["c"].count > 3
