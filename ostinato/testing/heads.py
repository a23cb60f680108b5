"""The laws of heads that generate, as plain functions: each takes a way to make the head, and fails by AssertionError.

from ostinato.testing import heads as laws
laws.all_of("autoregressive", {"context": "before"})
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ostinato import alignments, registry
from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded, Source
from ostinato.errors import ConfigError
from ostinato.heads.contract import Decoding, Head, Predictor, Sizes
from ostinato.modalities.contract import Symbols
from ostinato.steps import Layout, Steps
from ostinato.testing import predictors, windows
from ostinato.testing._tools import Member

Make = Callable[[Symbols, Sequence[Sizes]], Head]
"""A head from what its output is and what its inputs bring."""

SPEC = Symbols(size=7, begin=0, end=1, unknown=2)
WIDTH = 6
"""Of the steps of every input, so that a head of this width may use any attention."""
INPUTS = {
    "one": (((4, 0, 3, 1, 6), "state"),),
    "two": (((4, 0, 3, 1, 6), "state"), ((2, 3, 0, 1, 1), "summary")),
    "one and a table row": (((4, 0, 3, 1, 6), "summary"), (None, "summary")),
}
"""Several ways to be read from: each input's lengths, None where it has no steps, and what the bridge may start
from."""
TARGETS = (4, 2, 0, 7, 4)
TOLERANCE = 1e-5
"""Of the largest value, in float32."""


def maker(name: str, options: dict[str, Any] | None = None) -> Make:
    """Makes the head that a recipe would make, `WIDTH` wide; `options` may name the settings of its decoder beside its
    own."""
    settings = nested(name, {"hidden_size": WIDTH, "embedding_size": 5, **(options or {})})
    return lambda spec, sizes: registry.make("heads", name, (spec, sizes), settings)


def nested(name: str, options: dict[str, Any], decoder: str = "recurrent") -> dict[str, Any]:
    """Options of a head, those that are a decoder's under `decoder`."""
    own = registry.settings_class("heads", name).model_fields
    below = {key: value for key, value in options.items() if key not in own}
    return {key: value for key, value in options.items() if key in own} | {"decoder": {"type": decoder, **below}}


def all_of(name: str, options: dict[str, Any] | None = None) -> None:
    """Every law of `LAWS`, for every way to be read from."""
    for law in LAWS:
        for inputs in INPUTS:
            law(maker(name, options), inputs)


def build(member: Member) -> Head:
    """One of these options, or ConfigError."""
    if of_windows(member):
        return windows.build(member)
    if issubclass(member.cls, Predictor):
        return predictors.build(member)
    return _sized(member)(SPEC, sizes_of(read("two")))


def run(member: Member) -> None:
    """Every law of heads that forecast (`windows`), of those that predict at once (`predictors`), or of those that
    generate, for all inputs that it takes."""
    if of_windows(member):
        return windows.run(member)
    if issubclass(member.cls, Predictor):
        return predictors.run(member)
    build(member)
    for inputs in INPUTS:
        try:
            _sized(member)(SPEC, sizes_of(read(inputs)))
        except ConfigError:
            continue
        for law in LAWS:
            law(_sized(member), inputs)


def of_windows(member: Member) -> bool:
    """Whether a head forecasts windows of series."""
    return any(alignments.named(name).windows for name in member.cls.aligns)


def _sized(member: Member) -> Member:
    """The head in sizes of these inputs."""
    sizes = {"embedding_size": 5, "decoder": {"hidden_size": WIDTH}}
    return member.given({name: value for name, value in sizes.items() if member.has(name)})


def read(inputs: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Encoded]:
    """What encoders might have read: seeded numbers."""
    random = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=random, dtype=torch.float64).to(dtype)

    sources = []
    for lengths, start in INPUTS[inputs]:
        steps = None if lengths is None else Steps(draw(sum(lengths), WIDTH), Layout(list(lengths)))
        state = (draw(len(TARGETS), 3), draw(len(TARGETS), 2)) if start == "state" else None
        summary = draw(len(TARGETS), 4)
        sources.append(Encoded(steps, summary, state, None if steps is None else _source_of(steps)))
    return sources


def _source_of(steps: Steps) -> Source:
    """Symbols that these steps may have been read from, by no encoder."""
    random = torch.Generator().manual_seed(3)
    symbols = torch.randint(2, SPEC.size, (steps.layout.total,), generator=random)
    return Source(steps.with_values(symbols), None)  # type: ignore[arg-type]


def sizes_of(encoded: Sequence[Encoded]) -> list[Sizes]:
    return [
        Sizes(
            source.steps and source.steps.values.shape[1],
            source.summary.shape[1],
            tuple(part.shape[1] for part in source.state or ()),
        )
        for source in encoded
    ]


def rows_of(encoded: Sequence[Encoded], rows: Sequence[int]) -> list[Encoded]:
    """These examples alone, in this order."""
    return [source.select(torch.tensor(rows)) for source in encoded]


def targets(lengths: Sequence[int] = TARGETS, seed: int = 1) -> Steps:
    random = torch.Generator().manual_seed(seed)
    return Steps(torch.randint(2, SPEC.size, (sum(lengths),), generator=random), Layout(list(lengths)))


def _logs(distribution: Distribution) -> Tensor:
    """The log-probabilities of all symbols, whatever symbols rows have; -30 of what is as good as impossible."""
    return distribution.by_symbol(SPEC.size).clamp(min=-30)


@torch.no_grad()
def extending_is_stepping(make: Make, inputs: str) -> None:
    """Law a: a prompt read at once gives the distributions and the state of its symbols read one by one; an empty one
    nothing."""
    head, encoded = _case(make, inputs)
    prompt = targets()
    start = head.start(encoded)
    whole, after = head.extend(prompt, start)
    for row, (symbols, scores) in enumerate(zip(prompt.split(), _logs(whole).split(list(TARGETS)))):
        state = start.reorder(torch.tensor([row]))
        for place, symbol in enumerate(symbols):
            distribution, state = head.step(symbol[None], state)
            near(scores[place], _logs(distribution)[0], f"logarithms of row {row} at step {place}")
        _same_state(after.reorder(torch.tensor([row])), state, f"after row {row}")


@torch.no_grad()
def extending_in_two_parts(make: Make, inputs: str) -> None:
    """A prompt in two parts is the prompt at once, whichever hypotheses the state holds, in any order."""
    head, encoded = _case(make, inputs)
    first, second = targets((3, 0, 2, 1, 4)), targets((0, 2, 3, 1, 2), seed=2)
    for rows in ([0, 1, 2, 3, 4], [0], [0, 1, 2], [4, 2, 2, 0, 1, 4]):
        chosen = torch.tensor(rows)
        begin = head.start(encoded).reorder(chosen)
        _, state = head.extend(first.select(chosen), begin)
        later, state = head.extend(second.select(chosen), state)
        joined = [torch.cat(parts) for parts in zip(first.select(chosen).split(), second.select(chosen).split())]
        whole, expected = head.extend(Steps.of(joined), begin)
        parts = _logs(whole).split([len(symbols) for symbols in joined])
        ends = [part[len(part) - len(tail) :] for part, tail in zip(parts, second.select(chosen).split())]
        near(_logs(later), torch.cat(ends), f"logarithms of the second part for hypotheses {rows}")
        _same_state(state, expected, f"for hypotheses {rows}")


@torch.no_grad()
def loss_is_minus_score(make: Make, inputs: str) -> None:
    """Where nothing is random or smoothed, the loss is minus the log-probability, over as many targets."""
    head, encoded = _case(make, inputs)
    loss, scored = head.loss(encoded, targets()), head.score(encoded, targets())
    near(loss.total, -scored.log_probability.sum(), "loss and score")
    assert loss.count == int(scored.num_targets.sum()) == sum(TARGETS) + len(TARGETS)


@torch.no_grad()
def scores_are_sums_over_steps(make: Make, inputs: str) -> None:
    """The score of a target is what its symbols and the end are given, one by one; right is what has the highest
    probability."""
    head, encoded = _case(make, inputs)
    scored = head.score(encoded, targets())
    for row, symbols in enumerate(targets().split()):
        state, previous, total, right = head.start(encoded).reorder(torch.tensor([row])), head.begin, 0.0, 0
        for symbol in [*symbols.tolist(), head.end]:
            distribution, state = head.step(torch.tensor([previous]), state)
            total += float(distribution.log_prob(torch.tensor([symbol])))
            right += int(distribution.mode()) == symbol
            previous = symbol
        near(scored.log_probability[row], torch.tensor(total), f"score of row {row}")
        assert int(scored.num_right[row]) == right and int(scored.num_targets[row]) == len(symbols) + 1


@torch.no_grad()
def company_changes_nothing(make: Make, inputs: str) -> None:
    """Law b: an example gets the same score alone, among others and in any order."""
    head, encoded = _case(make, inputs)
    together = head.score(encoded, targets()).log_probability
    for rows in [[row] for row in range(len(TARGETS))] + [[3, 0, 4, 2, 1], [2, 1]]:
        some = Steps.of([targets().split()[row] for row in rows])
        near(head.score(rows_of(encoded, rows), some).log_probability, together[rows], f"scores of rows {rows}")


@torch.no_grad()
def what_comes_later_changes_nothing(make: Make, inputs: str) -> None:
    """Law k: the distribution of a step do not change when later symbols do."""
    head, encoded = _case(make, inputs)
    prompt = targets()
    early = prompt.layout.positions < 2
    other = prompt.with_values(torch.where(early, prompt.values, (prompt.values - 1) % 5 + 2))
    before, after = (_logs(head.extend(each, head.start(encoded))[0]) for each in (prompt, other))
    near(before[early], after[early], "logarithms before the change")
    assert not torch.allclose(before[~early], after[~early]), "the changed symbols have no effect"


@torch.no_grad()
def every_input_is_read(make: Make, inputs: str) -> None:
    """Another first input, or another second, gives another answer."""
    head, encoded = _case(make, inputs)
    before = head.score(encoded, targets()).log_probability
    other = read(inputs, seed=7)
    for place in range(len(encoded)):
        changed = [other[k] if k == place else source for k, source in enumerate(encoded)]
        assert not torch.allclose(head.score(changed, targets()).log_probability, before), f"input {place} is not read"


def gradients_are_right(make: Make, inputs: str) -> None:
    """Law c: gradients of inputs and parameters agree with finite differences in float64; every parameter has one."""
    head, encoded = _case(make, inputs, torch.float64)
    truth = targets((2, 1, 0, 3, 1))
    tensors = [source.steps.values for source in encoded if source.steps is not None] + [
        source.summary for source in encoded
    ]
    tensors += [part for source in encoded for part in source.state or ()]
    for tensor in tensors:
        tensor.requires_grad_()
    # gradcheck moves its inputs in place, so the tensors need not travel as arguments.
    every = (*tensors, *head.parameters())
    assert torch.autograd.gradcheck(lambda *_: head.loss(encoded, truth).total, every, fast_mode=True)
    head.loss(encoded, truth).total.backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any()), name


def same_seed_same_bits(make: Make, inputs: str) -> None:
    """Law i: one seed gives one loss and one set of gradients, also while training."""
    runs = []
    for _ in range(2):
        head, encoded = _case(make, inputs)
        torch.manual_seed(3)
        loss = head.train().loss(encoded, targets()).total
        loss.backward()
        runs.append([loss, *(parameter.grad for parameter in head.parameters())])
    assert all(torch.equal(first, other) for first, other in zip(*runs, strict=True))


LAWS = (
    extending_is_stepping,
    extending_in_two_parts,
    loss_is_minus_score,
    scores_are_sums_over_steps,
    company_changes_nothing,
    what_comes_later_changes_nothing,
    gradients_are_right,
    same_seed_same_bits,
)


@torch.no_grad()
def options_matter(name: str, values: dict[str, Sequence[Any]], further: dict[str, dict[str, Any]]) -> None:
    """Law g: each value of each option changes parameters or the training loss, or is refused by ConfigError.

    Args:
        values: for every option, values other than its default.
        further: options that one needs beside it to do anything.
    """
    fields = {
        *registry.settings_class("heads", name).model_fields,
        *registry.settings_class("decoders", "recurrent").model_fields,
    }
    fields -= {"type", "decoder"}
    assert fields == set(values), f"options without a value to try: {fields ^ set(values)}"
    for option, tried in values.items():
        beside = further.get(option, {})
        standard = _fingerprint(maker(name, beside))
        for value in tried:
            try:
                changed = _fingerprint(maker(name, beside | {option: value}))
            except ConfigError:
                continue
            same = len(changed) == len(standard) and all(map(torch.equal, changed, standard))
            assert not same, f"{name}: {option}: {value} changes nothing"


def learns_to_reverse(name: str, options: dict[str, Any] | None = None, *, updates: int = 120, seed: int = 0) -> float:
    """Law j: trained to reverse 2 to 4 of 4 symbols, comes to 95 % of sequences right; returns the share."""
    torch.manual_seed(seed)
    spec = Symbols(7, 0, 1, 2)
    encoder = registry.make("encoders", "recurrent", (spec,), {"cell": "gru", "hidden_size": 24, "embedding_size": 12})
    sizes = [Sizes(encoder.steps_size, encoder.summary_size, encoder.state_sizes)]
    head = maker(name, {"hidden_size": 48, "embedding_size": 24, **(options or {})})(spec, sizes)
    model = nn.ModuleList([encoder, head])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(updates):
        layout = Layout(torch.randint(2, 5, (40,)))
        source = Steps(torch.randint(3, spec.size, (layout.total,)), layout)
        loss = head.loss([encoder.encode(source)], source.reversed())
        optimizer.zero_grad()
        (loss.total / loss.count).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        layout = Layout(torch.randint(2, 5, (300,)))
        source = Steps(torch.randint(3, spec.size, (layout.total,)), layout)
        scored = head.score([encoder.encode(source)], source.reversed())
        right = (scored.num_right == scored.num_targets).double().mean().item()
    assert right >= 0.95, f"only {right:.0%} of new sequences reversed after {updates} updates"
    return right


def near(actual: Tensor, expected: Tensor, what: str) -> None:
    assert actual.shape == expected.shape, f"{what}: shapes {tuple(actual.shape)} and {tuple(expected.shape)}"
    largest = max(1e-3, expected.abs().max().item()) if expected.numel() else 1.0
    apart = (actual - expected).abs().max().item() if expected.numel() else 0.0
    assert math.isfinite(apart) and apart <= TOLERANCE * largest, (
        f"{what}: {apart:.2g} apart, values up to {largest:.2g}"
    )


def _case(make: Make, inputs: str, dtype: torch.dtype = torch.float32) -> tuple[Head, list[Encoded]]:
    """A seeded head that is not in training, and what it reads."""
    encoded = read(inputs, dtype=dtype)
    torch.manual_seed(0)
    return make(SPEC, sizes_of(encoded)).to(dtype).eval(), encoded


def _same_state(actual: Decoding, expected: Decoding, what: str) -> None:
    assert actual.values.keys() == expected.values.keys() and torch.equal(actual.rows, expected.rows), what
    for name, value in expected.values.items():
        near(actual.values[name], value, f"state {name} {what}")
    for k, weights in enumerate(actual.attention):
        earlier = expected.attention[k] if expected.attention else torch.zeros_like(weights)
        near(weights, earlier, f"attention {k} {what}")


def _fingerprint(make: Make) -> list[Tensor]:
    """The loss while training, then parameters."""
    head, encoded = _case(make, "one")
    torch.manual_seed(3)
    return [
        head.train().loss(encoded, targets()).total.detach(),
        *(parameter.detach() for parameter in head.parameters()),
    ]
