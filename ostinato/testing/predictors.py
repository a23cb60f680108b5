"""The laws of heads that predict at once, as plain functions: each takes a way to make the head, and fails by
AssertionError.

from ostinato.modalities.contract import Labels
from ostinato.testing import predictors as laws
laws.all_of("classifier", Labels(3, multilabel=True), {"pool": "mean"})
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ostinato import alignments, registry
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads.contract import Predictor, Sizes, predicted, scored
from ostinato.modalities.contract import MISSING, Labels, Spec, Symbols, Values
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import Member
from ostinato.testing._tools import drawn as drawn_numbers

Make = Callable[[Spec, Sequence[Sizes]], Predictor]
"""A head from what its output is and what its inputs bring."""

LENGTHS = (3, 0, 1, 4, 2)
"""Steps of the first input of each example, one without any."""
OTHER_LENGTHS = (0, 2, 3, 1, 1)
"""Of the second."""
WIDTHS = (5, 4)
TOLERANCE = 1e-5
"""Of the largest value, in float32."""
SPECS = (
    Labels(3, counts=(3, 1, 2)),
    Labels(3, multilabel=True, counts=(3, 1, 2)),
    Labels(3, ordinal=True, counts=(3, 1, 2)),
    Values(2),
)
"""Outputs to try a head on."""


def maker(name: str, options: dict[str, Any] | None = None) -> Make:
    """Makes the head that a recipe would make."""
    return lambda spec, sizes: registry.make("heads", name, (spec, sizes), options)


def ways(name: str) -> tuple[int, ...]:
    """How many inputs a head may read here: one, or two where it gives one answer for a row."""
    return (1, 2) if answers_rows(registry.component("heads", name)) else (1,)


def answers_rows(head: Any) -> bool:
    """Whether a head gives one answer for a row, however long its source is."""
    return any(alignments.named(name).targets_allowed(2) == (1, 1) for name in head.aligns)


def all_of(name: str, spec: Spec, options: dict[str, Any] | None = None) -> None:
    """Every law of `LAWS`, for every number of inputs."""
    for law, num_inputs in itertools.product(LAWS, ways(name)):
        law(maker(name, options), spec, num_inputs)


def build(member: Member) -> Predictor:
    """One of these options for the first kind of output that it takes, or ConfigError."""
    refused: ConfigError | None = None
    for spec in SPECS:
        try:
            return member(spec, sizes_of(read(1)))
        except ConfigError as why:
            refused = why
    assert refused is not None
    raise refused


def run(member: Member) -> None:
    """Every law of `LAWS` for every kind of output that the head takes, and every number of inputs."""
    build(member)
    for spec in SPECS:
        try:
            member(spec, sizes_of(read(1)))
        except ConfigError:
            continue
        for law, num_inputs in itertools.product(LAWS, (1, 2) if answers_rows(member.cls) else (1,)):
            law(member, spec, num_inputs)


def read(num_inputs: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Encoded]:
    """What encoders might have read: seeded numbers."""
    draw = drawn_numbers(seed, dtype)
    return [
        Encoded(Steps(draw(sum(lengths), width), Layout(list(lengths))), draw(len(lengths), width), None)
        for lengths, width in list(zip((LENGTHS, OTHER_LENGTHS), WIDTHS))[:num_inputs]
    ]


def sizes_of(encoded: Sequence[Encoded]) -> list[Sizes]:
    return [Sizes(source.steps.values.shape[1], source.summary.shape[1]) for source in encoded]


def rows_of(encoded: Sequence[Encoded], rows: Sequence[int]) -> list[Encoded]:
    return [source.select(torch.tensor(rows)) for source in encoded]


def answers(spec: Labels, length: int) -> Tensor:
    """All answers of `length` steps, (K, length) or with several (K, length, V); illegal ones too."""
    step = list(itertools.product((0.0, 1.0), repeat=spec.size)) if spec.multilabel else range(spec.size)
    every = list(itertools.product(step, repeat=length))
    made = torch.tensor(every, dtype=torch.float32 if spec.multilabel else torch.int64)
    return made.view(len(every), length, *((spec.size,) if spec.multilabel else ()))


def is_legal(spec: Labels, labels: Sequence[int]) -> bool:
    legal = spec.legal
    if legal is None or not len(labels):
        return True
    inner = all(legal.follows[one][other] for one, other in itertools.pairwise(labels))
    return legal.starts[labels[0]] and legal.ends[labels[-1]] and inner


def targets(head: Predictor, spec: Spec, *, seed: int = 1) -> Steps:
    """Legal answers, drawn by seed: one for each example, or one for each step of it."""
    random = torch.Generator().manual_seed(seed)
    lengths = [1] * len(LENGTHS) if answers_rows(head) else LENGTHS
    if isinstance(spec, Values):
        return Steps(torch.randn(sum(lengths), spec.size, generator=random), Layout(list(lengths)))
    drawn = []
    for length in lengths:
        possible = [one for one in answers(spec, length) if spec.multilabel or is_legal(spec, one.tolist())]
        drawn.append(possible[int(torch.randint(len(possible), (), generator=random))])
    return Steps.of(drawn)


def without(truth: Steps, steps: Sequence[int]) -> Steps:
    """These targets, nobody having given those of some steps."""
    values = truth.values.clone()
    values[list(steps)] = math.nan if values.is_floating_point() else MISSING
    return truth.with_values(values)


@torch.no_grad()
def loss_is_minus_score(make: Make, spec: Spec, num_inputs: int) -> None:
    """Out of training the loss is minus the log-probability, over as many targets, whatever is missing."""
    head, encoded = _case(make, spec, num_inputs)
    truth = targets(head, spec)
    for some in (truth, without(truth, [1]), without(truth, [0, 3, 4]), without(truth, range(len(truth.values)))):
        loss, score = head.loss(encoded, some), head.score(encoded, some)
        near(loss.total, -score.log_probability.sum(), "loss and score")
        assert loss.count == int(score.num_targets.sum())


@torch.no_grad()
def scoring_is_out_of_training(make: Make, spec: Spec, num_inputs: int) -> None:
    """Scores and answers are the same bits in training and out of it: nothing is dropped, smoothed or weighed."""
    head, encoded = _case(make, spec, num_inputs)
    truth = targets(head, spec)
    for value, other in zip(_said(head.eval(), encoded, truth), _said(head.train(), encoded, truth), strict=True):
        assert torch.equal(value, other)


@torch.no_grad()
def company_changes_nothing(make: Make, spec: Spec, num_inputs: int) -> None:
    """Law b: an example has the same loss, score and answer alone, among others and in any order; losses add up."""
    head, encoded = _case(make, spec, num_inputs)
    truth = targets(head, spec)
    for some in (truth, without(truth, [1, 4])):
        together, predictions = head.score(encoded, some), head.predict(encoded)
        total, count = torch.zeros(()), 0
        for rows in [*([row] for row in range(len(LENGTHS))), [3, 0, 4, 2, 1], [2, 1], [1, 1]]:
            mine, theirs = rows_of(encoded, rows), some.select(torch.tensor(rows))
            score, loss, answered = head.score(mine, theirs), head.loss(mine, theirs), head.predict(mine)
            near(score.log_probability, together.log_probability[rows], f"scores of rows {rows}")
            near(loss.total, -together.log_probability[rows].sum(), f"loss of rows {rows}")
            assert torch.equal(score.num_targets, together.num_targets[rows])
            assert torch.equal(score.num_right, together.num_right[rows])
            near(
                answered.log_probability,
                predictions.log_probability[rows],
                f"how likely the answers to rows {rows} are",
            )
            expected = predictions.steps.select(torch.tensor(rows))
            assert answered.steps.layout == expected.layout
            near(answered.steps.values.double(), expected.values.double(), f"answers to rows {rows}")
            if predictions.probabilities is not None:
                odds = predictions.steps.with_values(predictions.probabilities).select(torch.tensor(rows)).values
                near(answered.probabilities, odds, f"probabilities of the answers to rows {rows}")
            if len(rows) == 1:
                total, count = total + loss.total, count + loss.count
        whole = head.loss(encoded, some)
        near(total, whole.total, "the sum of each example's loss")
        assert count == whole.count


def small_batches_are_one_large(make: Make, spec: Spec, num_inputs: int) -> None:
    """Law l: losses, numbers of targets and gradients of parts of a batch add up to those of the whole, in training
    too."""
    head, encoded = _case(make, spec, num_inputs, torch.float64)
    head.train()
    truth = without(targets(head, spec), [2])
    whole, parts = head, copy.deepcopy(head)
    loss = _undropped(whole).loss(encoded, truth)
    loss.total.backward()
    total, count = torch.zeros((), dtype=torch.float64), 0
    for rows in ([0, 1], [2], [4, 3]):
        part = _undropped(parts).loss(rows_of(encoded, rows), truth.select(torch.tensor(rows)))
        part.total.backward()
        total, count = total + part.total.detach(), count + part.count
    near(total, loss.total.detach(), "the sum of the parts' losses")
    assert count == loss.count
    for (name, parameter), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        near(other.grad, parameter.grad, f"the gradient of {name}")


def gradients_are_right(make: Make, spec: Spec, num_inputs: int) -> None:
    """Law c: gradients agree with finite differences in float64, steps missing or not; every parameter has one."""
    head, encoded = _case(make, spec, num_inputs, torch.float64)
    head = _undropped(head.train())
    tensors = [source.steps.values for source in encoded] + [source.summary for source in encoded]
    for tensor in tensors:
        tensor.requires_grad_()
    truth = targets(head, spec)
    for some in (truth, without(truth, [0, 4])):
        assert torch.autograd.gradcheck(
            partial(_total, head, encoded, some), (*tensors, *head.parameters()), fast_mode=True
        )
    head.loss(encoded, truth).total.backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any()), name


def what_is_missing_counts_nothing(make: Make, spec: Spec, num_inputs: int) -> None:
    """Steps without a target are not counted and leave gradients finite; where none has one, the loss is 0."""
    head, encoded = _case(make, spec, num_inputs)
    head.train()
    truth = targets(head, spec)
    numbers = spec.size if isinstance(spec, Values) else 1
    for steps in ([0], [1, 4], range(len(truth.values))):
        some = without(truth, list(steps))
        head.zero_grad()
        loss = head.loss(encoded, some)
        loss.total.backward()
        gradients = [tensor.grad for tensor in head.parameters() if tensor.grad is not None]
        assert loss.count == (len(truth.values) - len(steps)) * numbers
        assert all(bool(tensor.isfinite().all()) for tensor in gradients), (
            "a step without a target makes gradients infinite"
        )
        assert loss.count or (
            not float(loss.total.detach()) and not any(bool((tensor.abs() > 1e-6).any()) for tensor in gradients)
        )
        score = head.score(encoded, some)
        expected = torch.zeros(len(some.layout), dtype=torch.int64)
        kept = torch.tensor([step not in steps for step in range(len(truth.values))]) * numbers
        assert torch.equal(score.num_targets, expected.index_add(0, some.layout.rows, kept))
        assert bool((score.num_right <= score.num_targets).all())
        near(
            score.log_probability[score.num_targets == 0],
            expected[score.num_targets == 0].float(),
            "scores of no targets",
        )


@torch.no_grad()
def the_answer_is_the_best(make: Make, spec: Spec, num_inputs: int) -> None:
    """No answer has a higher score than the one that is predicted, whose score is the one that goes with it."""
    head, encoded = _case(make, spec, num_inputs)
    predictions = head.predict(encoded)
    score = head.score(encoded, predictions.steps)
    near(score.log_probability, predictions.log_probability, "the score of the answer")
    assert torch.equal(score.num_right.long(), score.num_targets), "the answer is not what a score calls right"
    for row, mine in enumerate(predictions.steps.split()):
        nearby = torch.tensor([-0.01, 0.01])[:, None, None]
        others = mine + nearby if isinstance(spec, Values) else answers(spec, len(mine))
        scores = _scores(head, encoded, row, others)
        best = float(scores.max())
        assert best <= float(predictions.log_probability[row]) + TOLERANCE * max(1.0, abs(best)), (
            f"row {row} has a better answer"
        )


@torch.no_grad()
def probabilities_are_shares_of_all_answers(make: Make, spec: Spec, num_inputs: int) -> None:
    """The probabilities of all answers add up to 1, and a label's at a step is that of all answers which have it
    there."""
    if isinstance(spec, Values):
        return
    head, encoded = _case(make, spec, num_inputs, torch.float64)
    predictions = head.predict(encoded)
    assert predictions.probabilities.shape == (len(predictions.steps.values), spec.size)
    rows = predictions.steps.with_values(predictions.probabilities).split()
    for row, mine in enumerate(rows):
        every = answers(spec, len(mine))
        odds = _scores(head, encoded, row, every).exp()
        near(odds.sum(), torch.ones_like(odds.sum()), f"the sum over all answers to row {row}")
        labels = every if spec.multilabel else nn.functional.one_hot(every.long(), spec.size)
        near(mine, (odds.view(-1, 1, 1) * labels).sum(0), f"the probabilities of row {row}")


@torch.no_grad()
def beside_itself_it_is_the_same(make: Make, spec: Spec, num_inputs: int) -> None:
    """The mean of a head's distribution and of the same once and twice more gives its own scores and answers."""
    head, encoded = _case(make, spec, num_inputs)
    truth = without(targets(head, spec), [1])
    for targets_told in (None, truth):
        own = head.predict_distribution(encoded, targets_told)
        for others in ([], [own], [own, own]):
            single, other = predicted(own), predicted(own.mean_of(others))
            near(other.steps.values.double(), single.steps.values.double(), "answers")
            near(other.log_probability, single.log_probability, "how likely they are")
            if single.probabilities is not None:
                near(other.probabilities, single.probabilities, "probabilities")
            near(scored(own.mean_of(others), truth).log_probability, scored(own, truth).log_probability, "scores")


@torch.no_grad()
def every_input_is_read(make: Make, spec: Spec, num_inputs: int) -> None:
    """Another first input, or another second, gives another score."""
    head, encoded = _case(make, spec, num_inputs)
    truth = targets(head, spec)
    before = head.score(encoded, truth).log_probability
    for place in range(num_inputs):
        changed = [
            other if place == k else source for k, (source, other) in enumerate(zip(encoded, read(num_inputs, seed=7)))
        ]
        assert not torch.allclose(head.score(changed, truth).log_probability, before), f"input {place} is not read"


def same_seed_same_bits(make: Make, spec: Spec, num_inputs: int) -> None:
    """Law i: one seed gives one loss and one set of gradients, also while training."""
    runs = []
    for _ in range(2):
        head, encoded = _case(make, spec, num_inputs)
        torch.manual_seed(3)
        loss = head.train().loss(encoded, targets(head, spec)).total
        loss.backward()
        runs.append([loss, *(parameter.grad for parameter in head.parameters())])
    assert all(torch.equal(first, other) for first, other in zip(*runs, strict=True))


@torch.no_grad()
def weights_are_all_there_is(make: Make, spec: Spec, num_inputs: int) -> None:
    """Law f: another head with these weights predicts the same bits."""
    head, encoded = _case(make, spec, num_inputs)
    torch.manual_seed(5)
    other = make(spec, sizes_of(encoded)).eval()
    other.load_state_dict(head.state_dict())
    truth = targets(head, spec)
    assert all(map(torch.equal, _said(head, encoded, truth), _said(other, encoded, truth)))


@torch.no_grad()
def a_batch_of_no_steps_is_answered(make: Make, spec: Spec, num_inputs: int) -> None:
    """Examples without a step, or no example at all, have a loss and an answer."""
    head, encoded = _case(make, spec, num_inputs)
    for rows in ([1, 1], []):
        mine = [part.select(torch.tensor(rows, dtype=torch.int64)) for part in encoded]
        truth = targets(head, spec).select(torch.tensor(rows, dtype=torch.int64))
        loss, predictions = head.loss(mine, truth), head.predict(mine)
        assert math.isfinite(float(loss.total)) and len(predictions.log_probability) == len(rows)
        assert predictions.steps.layout == truth.layout and predictions.steps.values.shape == truth.values.shape
        assert len(head.score(mine, truth).log_probability) == len(rows)


@torch.no_grad()
def products_of_half_precision_make_whole_losses(make: Make, spec: Spec, num_inputs: int) -> None:
    """Under autocast to bfloat16 losses, scores and answers are still float32, and near those without."""
    head, encoded = _case(make, spec, num_inputs)
    truth = targets(head, spec)
    expected = head.loss(encoded, truth).total
    with torch.autocast("cpu", torch.bfloat16):
        loss, predictions = head.loss(encoded, truth).total, _said(head, encoded, truth)
    assert loss.dtype == torch.float32 and {tensor.dtype for tensor in predictions} <= {torch.float32, torch.int64}
    assert abs(float(loss) - float(expected)) <= 0.05 * max(1.0, abs(float(expected))), f"{loss} and {expected}"


LAWS = (
    loss_is_minus_score,
    scoring_is_out_of_training,
    company_changes_nothing,
    small_batches_are_one_large,
    gradients_are_right,
    what_is_missing_counts_nothing,
    the_answer_is_the_best,
    probabilities_are_shares_of_all_answers,
    beside_itself_it_is_the_same,
    every_input_is_read,
    same_seed_same_bits,
    weights_are_all_there_is,
    a_batch_of_no_steps_is_answered,
    products_of_half_precision_make_whole_losses,
)


@torch.no_grad()
def options_matter(
    name: str, spec: Spec, values: dict[str, Sequence[Any]], beside: dict[str, Any] | None = None
) -> None:
    """Law g: each value of each option changes parameters or the training loss, or is refused by ConfigError.

    Args:
        values: for every option, values other than its default.
        beside: options that all are tried with.
    """
    fields = set(registry.settings_class("heads", name).model_fields) - {"type"}
    assert fields == set(values), f"options without a value to try: {fields ^ set(values)}"
    standard = _fingerprint(maker(name, beside), spec)
    for option, tried in values.items():
        for value in tried:
            if (beside or {}).get(option) == value:
                continue
            try:
                changed = _fingerprint(maker(name, (beside or {}) | {option: value}), spec)
            except ConfigError:
                continue
            same = len(changed) == len(standard) and all(map(torch.equal, changed, standard))
            assert not same, f"{name}: {option}: {value} changes nothing"


def learns(
    name: str,
    spec: Spec,
    answer: Callable[[Tensor], Tensor],
    options: dict[str, Any] | None = None,
    *,
    updates: int = 150,
) -> float:
    """Law j: trained over a small recurrent encoder on sequences of 4 symbols, predicts what `answer` makes of new
    ones.

    Args:
        answer: one sequence (T,) of symbols from 3 to 6 to its target.
        updates: how many batches of 40 it is trained on.

    Returns: the share of targets that it gets right; of numbers, of those that are met within 1/2.
    """
    torch.manual_seed(0)
    symbols = Symbols(7, 0, 1, 2)
    encoder = registry.make(
        "encoders", "recurrent", (symbols,), {"cell": "gru", "hidden_size": 24, "embedding_size": 12}
    )
    head = registry.make("heads", name, (spec, [Sizes(encoder.steps_size, encoder.summary_size)]), options)
    model = nn.ModuleList([encoder, head])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(updates):
        source, truth = _toy(40, answer)
        loss = head.loss([encoder.encode(source)], truth)
        optimizer.zero_grad()
        (loss.total / loss.count).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        source, truth = _toy(300, answer)
        predictions = head.predict([encoder.encode(source)]).steps.values
    right = (predictions - truth.values).abs() < 0.5
    return right.double().mean().item()


def near(actual: Tensor, expected: Tensor, what: str) -> None:
    assert actual.shape == expected.shape, f"{what}: shapes {tuple(actual.shape)} and {tuple(expected.shape)}"
    largest = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
    apart = (actual - expected).abs().max().item() if expected.numel() else 0.0
    assert math.isfinite(apart) and apart <= TOLERANCE * largest, (
        f"{what}: {apart:.2g} apart, values up to {largest:.2g}"
    )


def _case(
    make: Make, spec: Spec, num_inputs: int, dtype: torch.dtype = torch.float32
) -> tuple[Predictor, list[Encoded]]:
    """A seeded head that is not in training, every parameter off its first value, and what it reads."""
    encoded = read(num_inputs, dtype=dtype)
    torch.manual_seed(0)
    head = make(spec, sizes_of(encoded)).to(dtype).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return head, encoded


def _total(head: Predictor, encoded: Sequence[Encoded], truth: Steps, *_: Tensor) -> Tensor:
    """The loss; gradcheck moves its inputs in place, so that they need not be read from the arguments."""
    return head.loss(encoded, truth).total


def _undropped(head: Predictor) -> Predictor:
    """The head without dropout, which no sum over parts and no finite difference can follow."""
    head.dropout = 0.0
    return head


def _said(head: Predictor, encoded: Sequence[Encoded], truth: Steps) -> list[Tensor]:
    score, predictions = head.score(encoded, truth), head.predict(encoded)
    odds = [] if predictions.probabilities is None else [predictions.probabilities]
    return [
        score.log_probability,
        score.num_targets,
        score.num_right,
        predictions.steps.values,
        predictions.log_probability,
        *odds,
    ]


def _scores(head: Predictor, encoded: Sequence[Encoded], row: int, every: Tensor) -> Tensor:
    """The log-probability of each of these answers (K, T, ...) to one example."""
    copies = rows_of(encoded, [row] * len(every))
    return head.score(copies, Steps(every.flatten(0, 1), Layout.equal(len(every), every.shape[1]))).log_probability


def _fingerprint(make: Make, spec: Spec) -> list[Tensor]:
    """The loss while training, then parameters."""
    encoded = read(1)
    torch.manual_seed(0)
    head = make(spec, sizes_of(encoded))
    torch.manual_seed(3)
    loss = head.train().loss(encoded, targets(head, spec)).total
    return [loss.detach(), *(parameter.detach() for parameter in head.parameters())]


def _toy(rows: int, answer: Callable[[Tensor], Tensor]) -> tuple[Steps, Steps]:
    layout = Layout(torch.randint(2, 6, (rows,)))
    source = Steps(torch.randint(3, 7, (layout.total,)), layout)
    return source, Steps.of([answer(symbols) for symbols in source.split()])
