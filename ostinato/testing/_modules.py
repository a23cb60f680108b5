"""Laws of modules of every room: what a module gives is a function of its weights and of what a row reads."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.decoders.contract import Decoding
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.kernels import dispatch
from ostinato.kernels.watch import Attended, attention_watched
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import near, same, seeded

LENGTHS = (4, 0, 7, 1, 4)
"""Unequal lengths in no order, with a tie, a single step and no step at all."""
ROWS = range(len(LENGTHS))
"""Every case has as many examples, and where rows have steps the second has none."""


class Case(ABC):
    """A module of a room and what it reads: all that the laws ask for.

    What it reads and gives is a tree of `Steps`, `Encoded` and tensors with a row for each example.
    """

    floor: ClassVar[float] = 1e-3
    """Numbers below it agree where they are as near as numbers of this size."""
    may_be_empty: ClassVar[bool] = True
    """Whether a batch may have no row."""
    first_input: ClassVar[int] = 0
    """The first of the encoded inputs that it reads."""

    @abstractmethod
    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Any, ...]:
        """What the module reads, the further arguments of `run`; drawn by seed."""

    @abstractmethod
    def build(self, *read: Any) -> Any:
        """The module, or ConfigError."""

    @abstractmethod
    def run(self, module: Any, *read: Any) -> Any:
        """What it gives."""

    def losses(self, module: Any, *read: Any) -> Any:
        """What training takes the gradient of."""
        return self.run(module, *read)

    def differentiable(self, *read: Any) -> list[Tensor]:
        """The parts of what it reads that have a gradient."""
        return numbers(read)

    def without_chance(self, module: Any) -> Any:
        """The module in a mode that sums over parts of a batch and finite differences can follow."""
        return module

    def made(self, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Any, tuple[Any, ...]]:
        """A seeded module that is not in training, and what it reads."""
        read = self.read(dtype=dtype)
        return seeded(lambda: self.build(*read), dtype, seed), read


class Sequential(Case):
    """A case of what reads a sequence, the first `Steps` of what it reads."""

    @abstractmethod
    def resume(self, module: Any, steps: Steps, state: Any, *read: Any) -> tuple[Any, Any]:
        """What each step gives (N, ...), and the state after the last; `state` None: from the beginning."""

    def resumes(self, module: Any) -> bool:
        """Whether it can continue from a state."""
        return True

    def unit(self, module: Any) -> int:
        """Parts that another follows have a multiple of so many steps."""
        return 1

    def look_ahead(self, module: Any) -> int | None:
        """How many later steps a step may depend on; None: all."""
        return 0

    def delay(self, module: Any) -> int:
        """How many steps later a step may first be read."""
        return 0


def parts(tree: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a tree, each with its place in it."""
    if isinstance(tree, Tensor):
        yield name, tree
    elif isinstance(tree, Steps):
        yield from ((name, tree.values), (f"{name} lengths", tree.layout.lengths))
    elif isinstance(tree, Encoded):
        yield from parts({"steps": tree.steps, "summaries": tree.summary, "state": tree.state}, name)
    elif isinstance(tree, Decoding):
        yield from parts({"state": tree.values, "attention": tree.attention}, name)
    elif isinstance(tree, Mapping):
        for key, part in tree.items():
            yield from parts(part, f"{name} {key}".strip())
    elif tree is not None:
        yield from parts(dict(enumerate(tree)), name)


def values(tree: Any) -> list[Tensor]:
    return [part for _, part in parts(tree)]


def numbers(tree: Any) -> list[Tensor]:
    """The tensors of real numbers."""
    return [part for part in values(tree) if part.is_floating_point()]


def pick(tree: Any, rows: Iterable[int]) -> Any:
    """These rows alone, in this order."""
    index = torch.tensor(list(rows), dtype=torch.int64)
    if isinstance(tree, Tensor):
        return tree.index_select(0, index)
    if isinstance(tree, (Steps, Encoded)):
        return tree.select(index)
    if isinstance(tree, Mapping):
        return {key: pick(part, rows) for key, part in tree.items()}
    return None if tree is None else type(tree)(pick(part, rows) for part in tree)


def near_trees(actual: Any, expected: Any, what: str, *, floor: float = 1e-3) -> None:
    for (name, part), (_, other) in zip(parts(actual), parts(expected), strict=True):
        near(*_as_long(part, other), f"{name} {what}", floor=floor)


def _as_long(part: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors (B, T, C) or (B, K, T, D) of a state that grows with what is read: rows end in zeros, as many as
    their company needs."""
    if part.ndim < 3 or part.ndim != other.ndim:
        return part, other
    longest = max(part.shape[-2], other.shape[-2])
    padded = [functional.pad(one, (0, 0, 0, longest - one.shape[-2])) for one in (part, other)]
    return padded[0], padded[1]


def sequence(read: Iterable[Any]) -> Steps:
    return next(part for part in read if isinstance(part, Steps))


def taken(make: Callable[..., Case], kinds: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The cases of those kinds that the member does not refuse.

    Errors:
        ConfigError: it refuses all.
    """
    cases, refused = [], ConfigError("this member takes nothing that the laws of its room try")
    for kind in kinds:
        case = make(*kind)
        try:
            case.made()
        except ConfigError as why:
            refused = why
        else:
            cases.append(case)
    if not cases:
        raise refused
    return cases


@torch.no_grad()
def company_changes_nothing(case: Case) -> None:
    """Law b: a row gives the same alone, among others, in any order and twice; a row without steps gives finite
    numbers, and no row nothing."""
    module, read = case.made()
    whole = case.run(module, *read)
    for rows in (*([row] for row in ROWS), [*reversed(ROWS)], [2, 0, 2, 3], [1, 1], *[[]] * case.may_be_empty):
        near_trees(case.run(module, *pick(read, rows)), pick(whole, rows), f"of rows {rows}", floor=case.floor)


@torch.no_grad()
def weights_are_all_there_is(case: Case) -> None:
    """Law f: a copy, and another one that takes up the weights, give the same bits."""
    module, read = case.made()
    other, _ = case.made(seed=5)
    other.load_state_dict(module.state_dict())
    for twin, what in ((copy.deepcopy(module), "a copy"), (other, "another one with these weights")):
        assert same(values(case.run(twin, *read)), values(case.run(module, *read))), f"{what} gives something else"


def gradients_are_right(case: Case) -> None:
    """Law c: gradients of what is read and of all weights agree with finite differences in float64; every weight has
    one."""
    module, read = case.made(torch.float64)
    module, leaves = case.without_chance(module), [leaf.requires_grad_() for leaf in case.differentiable(*read)]

    # gradcheck moves its inputs in place, so they need not travel as arguments.
    def outputs(*_: Tensor) -> tuple[Tensor, ...]:
        return tuple(numbers(case.losses(module, *read)))

    assert torch.autograd.gradcheck(outputs, (*leaves, *module.parameters()), fast_mode=True)
    backward(outputs())
    assert all(leaf.grad is None or bool(leaf.grad.isfinite().all()) for leaf in leaves), "a gradient is infinite"
    for name, parameter in module.named_parameters():
        gradient, moves = parameter.grad, parameter.numel() > 0
        assert gradient is not None and bool(gradient.isfinite().all()), f"gradient of {name}"
        assert bool(gradient.any()) == moves, f"gradient of {name}"


def same_seed_same_bits(case: Case) -> None:
    """Law i: one seed gives one output and one set of gradients while training."""
    runs = []
    for _ in range(2):
        module, read = case.made()
        for leaf in case.differentiable(*read):
            leaf.requires_grad_()
        torch.manual_seed(3)
        outputs = numbers(case.losses(module.train(), *read))
        backward(outputs)
        runs.append([*outputs, *(parameter.grad for parameter in module.parameters())])
    assert same(*runs), "two runs of one seed differ"


@torch.no_grad()
def attention_is_shown_as_it_is(case: Case) -> None:
    """The weights of attention that are shown to who watches sum to 1 over the steps of their own sequence, are 0 on
    padding, and are the same in any company; being watched changes no bit."""
    module, read = case.made()
    with dispatch.forced("reference"):
        plain = values(case.run(module, *read))
        with attention_watched() as seen:
            watched = values(case.run(module, *read))
        assert same(watched, plain), "it gives something else while its attention is watched"
        if not seen:
            return
        rows = [2, 1]
        with attention_watched() as fewer:
            case.run(module, *pick(read, rows))
    for item, other in zip(map(_maps_of, seen), map(_maps_of, fewer), strict=True):
        if len(item) == len(ROWS):
            for row, weights in zip(rows, other, strict=True):
                near(weights, item[row], f"weights of row {row} in other company")


def _maps_of(seen: Attended) -> list[Tensor]:
    """The weights (T, A, S) of each sequence."""
    weights, queries, keys = seen.weights, seen.queries, seen.keys
    assert weights.shape[0] == queries.total and len(queries) == len(keys)
    maps = []
    for own, width in zip(weights.split(queries.lengths.tolist()), keys.lengths.tolist()):
        assert bool((own >= 0).all()) and not own[:, :, width:].any(), "weights are shares, and padding has none"
        near(own.sum(2), torch.full(own.shape[:2], float(width > 0)), "sums of weights")
        maps.append(own[:, :, :width])
    return maps


LAWS = (
    company_changes_nothing,
    weights_are_all_there_is,
    gradients_are_right,
    same_seed_same_bits,
    attention_is_shown_as_it_is,
)
"""Of every module."""


@torch.no_grad()
def every_input_is_read(case: Case) -> None:
    """Another first input, or another second, gives something else; of what reads a list of encoded inputs."""
    module, (encoded, *rest) = case.made()
    before = values(case.run(module, encoded, *rest))
    others = case.read(seed=7)[0]
    for place in range(case.first_input, len(encoded)):
        changed = [*encoded[:place], others[place], *encoded[place + 1 :]]
        assert not same(values(case.run(module, changed, *rest)), before), f"input {place + 1} is not read"


@torch.no_grad()
def sizes_are_what_it_says(case: Case) -> None:
    """Widths and penalties of an `Encoded` are as announced, and what is announced as nothing is nothing."""
    module, read = case.made()
    encoded = case.run(module, *read)
    steps = encoded.steps and encoded.steps.values
    for name, part, size in (("steps", steps, module.steps_size), ("summary", encoded.summary, module.summary_size)):
        width = None if part is None else part.shape[1]
        assert width == size, f"{name}: {width} wide, announced as {size}"
    assert set(encoded.penalties) == set(module.penalties), f"penalties {set(encoded.penalties)}, not as announced"


@torch.no_grad()
def parts_are_the_whole(case: Sequential) -> None:
    """Law a: a sequence in parts, each read from the state after the part before, is the whole sequence; a part may be
    empty."""
    module, read = case.made()
    if not case.resumes(module):
        return
    steps = sequence(read)
    whole, after = case.resume(module, steps, None, *read)
    nothing = Layout([0] * len(ROWS)), torch.zeros(0, dtype=torch.int64)
    for longest in (case.unit(module), 3 * case.unit(module)):
        state, outputs = None, torch.zeros_like(whole)
        for layout, places in (nothing, *steps.layout.cut(longest), nothing):
            outputs[places], state = case.resume(module, Steps(steps.values[places], layout), state, *read)
        near(outputs, whole, f"steps of sequences in parts of {longest}")
        near_trees(state, after, f"after parts of {longest}")


@torch.no_grad()
def what_comes_later_changes_nothing(case: Sequential) -> None:
    """Law k: what comes more than `look_ahead` steps later changes a step by no bit; the step itself changes it, or one
    at most `delay` steps later."""
    module, read = case.made()
    steps, others, reach = sequence(read), sequence(case.read(seed=2)).values, case.look_ahead(module)
    before, positions = case.resume(module, steps, None, *read)[0], steps.layout.positions
    for place in range(1, 0 if before is None else steps.layout.longest):
        later = (positions >= place).view(-1, *[1] * (others.ndim - 1))
        mixed = torch.where(later, others, steps.values)
        after = case.resume(module, steps.with_values(mixed), None, *read)[0]
        if reach is not None:
            early = positions < place - reach
            assert torch.equal(before[early], after[early]), f"a step more than {reach} before {place} is another"
        near_by = (positions >= place) & (positions <= place + case.delay(module))
        changed = (mixed != steps.values).view(len(mixed), -1).any(1) & near_by
        assert not changed.any() or not torch.equal(before[changed], after[changed]), f"steps at {place} are not read"


@torch.no_grad()
def fingerprint(cases: Iterable[Case]) -> list[Tensor]:
    """What they give in training and out of it, and their weights: something of it changes with every option."""
    outputs: list[Tensor] = []
    for case in cases:
        module, read = case.made()
        torch.manual_seed(3)
        outputs += values(
            (case.losses(module.train(), *read), case.run(module.eval(), *read), list(module.parameters()))
        )
    return outputs


def backward(outputs: Iterable[Tensor]) -> None:
    """Of sines: the squares of what was normed have a constant sum."""
    torch.stack([part.double().sin().sum() for part in outputs]).sum().backward()
