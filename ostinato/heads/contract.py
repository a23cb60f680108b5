"""What a head is: encoded inputs to a loss and to predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import LEVELS, Distribution, Loss
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.encoders.contract import Sizes as Sizes
from ostinato.kernels.packed import Packed
from ostinato.layers.vocabulary import PIECE, pieces
from ostinato.modalities.contract import Spec
from ostinato.registry import Settings
from ostinato.steps import Layout, Steps


class Span(NamedTuple):
    """The steps of a window: `lookback` are read and `horizon` predicted; `ahead` tells which of the inputs cover the
    horizon too."""

    lookback: int
    horizon: int
    ahead: tuple[bool, ...]


Pairs = Sequence[tuple[Steps, Steps]]
"""Inputs, as their modality encoded them, and the targets of each, in batches."""
PairsByTime = Callable[[], tuple[Pairs, Pairs]]
"""Opens windows of the training split: those before the last fifth of each series, and those that lie in it."""


class Outlook(NamedTuple):
    """What the settings of a head of windows are chosen from.

    Args:
        spec: of a step of the series.
        span: of a window.
        season: steps of a season; 1: there is none.
        num_series: how many series there are.
        windows: of the series and what follows each.
    """

    spec: Spec
    span: Span
    season: int
    num_series: int
    windows: PairsByTime


@dataclass(frozen=True)
class Scored:
    """How a model scores given targets, a number per example.

    Shapes:
        log_probability (B,) natural logarithm; num_targets (B,), the end symbol included; num_right (B,) best-scored
        targets; by_step (N, 3) log-probability of each step, whether it scored best, how many targets it has; or None;
        distance (B,) what the log-probability holds of the distance of a drawn code, in nats, or None
    """

    log_probability: Tensor
    num_targets: Tensor
    num_right: Tensor
    by_step: Steps | None = None
    distance: Tensor | None = None

    @staticmethod
    def of_steps(by_step: Tensor, layout: Layout) -> Scored:
        """The scores of whole sequences from those of their steps, `by_step` (N, 3)."""
        log_probability, num_right, num_targets = (layout.sums(column) for column in by_step.unbind(1))
        return Scored(log_probability, num_targets.long(), num_right, Steps(by_step, layout))


def by_step(distribution: Distribution, truth: Tensor) -> Tensor:
    """(N, 3) the score of each true step, whether it scored best, and how many targets it has."""
    score = distribution.score(truth)
    return torch.stack([score, distribution.right(truth).to(score), distribution.counts(truth).to(score)], 1)


@dataclass(frozen=True)
class Predicted:
    """The prediction of a head that needs no search.

    Args:
        steps: the predictions, a sequence per example, in the form of encoded targets: the modality decodes them.
        log_probability: of the whole prediction of each example, natural logarithm.
        probabilities: a row for each predicted step with the probability of each label, or None where there are no
            labels.
        quantiles: of a distribution of numbers, level -> values in the form of `steps`, levels rising; or None.

    Shapes:
        log_probability (B,); probabilities (N, V); quantiles (N, ...) each
    """

    steps: Steps
    log_probability: Tensor
    probabilities: Tensor | None = None
    quantiles: dict[float, Tensor] | None = None


def by_step_in_pieces(
    predict: Callable[[slice], Distribution], truth: Tensor, num_symbols: int, *, piece: int = PIECE
) -> Tensor:
    """`by_step` of true steps, computed for a bounded number of scores at a time.

    Args:
        predict: the distribution of a part of the steps.
        truth: the true steps (N, ...).
        num_symbols: scores of one step; 0 where steps are vectors.
        piece: the most scores at a time.
    """
    return torch.cat([by_step(predict(part), truth[part]) for part in pieces(len(truth), num_symbols, piece)])


class Head(nn.Module, ABC):
    """Turns encoded inputs into one output; a final class is a `Generator` or a `Predictor` too.

    Every example that it is given has a target; those of a batch that have none are left out before. A single step of a
    target may be missing: `MISSING` among labels, NaN among values.

    Args:
        spec: what one step of the output is, by position.
        sizes: one `Sizes` for each input that it reads, by position.
        span: a `Span`, by position, where the alignment is one of windows.
    """

    aligns: ClassVar[frozenset[str]]
    """The alignments that it serves."""
    generates: ClassVar[bool]
    """Whether predictions come from a search through `Generator`, or straight from `Predictor.predict`."""

    gives: ClassVar[frozenset[str]] = frozenset({"log_probability", "num_targets", "num_right"})
    """What it may know of an output beside its predictions: columns of `metrics.contract.Predictions`."""
    metrics: ClassVar[tuple[str | dict[str, Any], ...]] = ()
    """Metrics by default beside those of the modality, each a name, or a mapping with its `type` and options."""
    sums: ClassVar[bool] = False
    """Whether its answer is a sum over all that it reads, such as a number: what dropout leaves out moves it, so that
    none is chosen."""
    targets_rule: ClassVar[str] = ""
    """What `targets_allowed` demands, in words for a message: `ctc needs a step for each symbol and one between equal
    ones`; empty: the alignment alone decides how many targets there may be."""

    alone: ClassVar[bool] = False
    """Whether it reads the input that its output continues, and no other."""

    takes_scores: ClassVar[bool] = False
    """Whether it takes the summary of a `BagEncoder` for scores of its labels, where there are as many."""

    after_training: ClassVar[frozenset[str]] = frozenset()
    """Settings that no weight depends on: a trained run is evaluated with other values of them too."""
    variants: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Settings that are worth a trial in place of the defaults, as `Modality.variants`."""

    temperature: float | None = None
    """What the logarithms of its probabilities are divided by, 1 before `calibrate`; None: it has none."""
    attended: Sequence[int] = ()
    """Which of the inputs that it reads it attends to, by position."""
    estimated: str = ""
    """How its log-probabilities are estimated and which way they err, for reports; empty: they are exact."""
    scored: Sequence[int] = ()
    """Of which of the inputs that it reads, by position, it takes the summary for scores: these are solved for on the
    training rows before training (`score_loss`), and then held."""
    penalties: tuple[str, ...] = ()
    """The names of what it adds to the loss beside it, in `Loss.penalties`; in evaluation mode too, where it is only
    counted."""
    shares_embedding: bool = False
    """Whether its embedding of symbols is that of the first input that the output reads."""
    shares_vocabulary: bool = False
    """Whether its symbols must be those of the first input that the output reads."""
    preparation: Mapping[str, Any] = {}
    """The settings that decide what `prepare_input` makes of an input: outputs that continue one input must agree on
    them."""

    @classmethod
    def copies(cls, settings: Settings) -> bool:
        """Whether with these settings of its own it can predict a symbol of the first input that the vocabulary lacks.
        These have numbers of their own then, in each example: the size of the vocabulary and those after it, in the
        order in which they first occur in the input, both in its source and in the targets (`Modality.knowing`)."""
        return False

    def of_earlier(self, saved: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The weights that give today the answers which these gave in the version that saved them, by their names
        below the head."""
        return saved

    @classmethod
    def targets_allowed(cls, source_lengths: Tensor, targets: Steps) -> Tensor:
        """Whether sources of so many steps (B,) allow each of these targets: (B,) bool, asked where there is a
        `targets_rule`."""
        return torch.ones(len(targets.layout), dtype=torch.bool)

    def obstacle(self) -> str | None:
        """Why its targets are computed step by step in Python, or None where they are not."""
        return None

    def prepare_input(self, steps: Steps, starts: Tensor | None = None) -> Steps:
        """What the encoder reads of the input that the output continues.

        Args:
            steps: the input.
            starts: (B,), on the CPU, whether a row is the first part of its sequence; None: all are whole sequences.
        """
        return steps

    def as_others_read(self, encoded: Encoded) -> Encoded:
        """The encoded input that this output continues, as other outputs read it: without what `prepare_input`
        added."""
        return encoded

    def continue_from(self, encoder: Encoder) -> None:
        """Called once with the encoder of the input that the output continues, for weights that both share.

        Errors:
            ConfigError: the encoder lacks what a setting asks for.
        """

    def share_embedding(self, encoder: Encoder) -> None:
        """Called once where `shares_embedding`, with the encoder of the first input that the output reads, which has
        the output's vocabulary.

        Errors:
            ConfigError: its embedding is of another kind or size.
        """

    @classmethod
    def choose(cls, settings: Settings, outlook: Outlook) -> Mapping[str, tuple[Any, str]]:
        """Settings of a head of windows where a recipe gives none, each with its reason, by name.

        Args:
            settings: of the head; `model_fields_set` are those that were given.
            outlook: the training windows.
        """
        return {}

    def warm_start(self, windows: PairsByTime) -> str | None:
        """Sets the weights that have a closed form, before the first update, and tells what was found; None: it has
        none.

        Args:
            windows: of the input that the output continues and what follows each, called where they are needed.
        """
        return None

    def calibrate(self, batches: Callable[[], Iterator[tuple[Sequence[Encoded], Steps]]]) -> str | None:
        """Changes how wide intervals are, or the temperature, once training is over, and tells how much; None: it
        changes nothing. One with a temperature is asked where the recipe's `calibration` wants it.

        Args:
            batches: of the validation split, called where they are needed: what is read, and the targets.
        """
        return None

    def score_loss(self, scores: Tensor, targets: Steps) -> Loss:
        """The training loss of the scores of `scored`, all added up, by themselves."""
        raise NotImplementedError(f"{type(self).__name__} takes no scores")

    def settle(self, held_out: Iterable[tuple[Sequence[Encoded], Steps]]) -> None:
        """Fits on held-out examples what training rows cannot tell, such as the weights of its parts; called before
        each validation where there is something in `scored`.

        Args:
            held_out: what it reads and the targets, batch by batch.
        """

    @abstractmethod
    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        """The training loss of a batch; what is missing in the targets is neither summed nor counted."""

    def piece_loss(self, encoded: Sequence[Encoded], targets: Steps, ends: Tensor | None) -> Loss:
        """As `loss`, of parts of sequences; `ends` (B,) tells which are the last part of their sequence, None: all."""
        return self.loss(encoded, targets)

    @abstractmethod
    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        """The log-probability of given targets: no smoothing, no weights, no dropout, no sampling. Of a real number it
        is the logarithm of its density."""


class Predictor(Head):
    """A head whose prediction is computed at once, as a distribution."""

    generates = False

    @abstractmethod
    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Distribution:
        """The distribution of the targets.

        Args:
            encoded: what is read.
            targets: a step that depends on the steps before it then reads the true ones.
            training: whether there is dropout, and the loss has what training adds to the log-probability.
        """

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        return self.predict_distribution(encoded, targets, self.training).loss(targets.values)

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        return scored(self.predict_distribution(encoded, targets), targets)

    def predict(self, encoded: Sequence[Encoded]) -> Predicted:
        """The best answer for each example."""
        return predicted(self.predict_distribution(encoded))


def predicted(distribution: Distribution) -> Predicted:
    """The best answer for each example."""
    values = distribution.mode()
    quantiles = None if "quantile" in distribution.lacks else dict(zip(LEVELS, distribution.quantile(LEVELS)))
    return Predicted(
        Steps(values, distribution.layout),  # type: ignore[arg-type]
        _by_example(distribution, distribution.score(values)),
        distribution.probabilities,
        quantiles,
    )


def scored(distribution: Distribution, targets: Steps) -> Scored:
    """How a distribution scores given targets."""
    by_row = (
        distribution.score(targets.values),
        distribution.counts(targets.values),
        distribution.right(targets.values),
    )
    log_probability, num_targets, num_right = (_by_example(distribution, values) for values in by_row)
    return Scored(log_probability, num_targets, num_right)


def _by_example(distribution: Distribution, values: Tensor) -> Tensor:
    return values if distribution.joint else distribution.layout.sums(values)  # type: ignore[union-attr]


class BestPath(NamedTuple):
    """The best label of each step of a source, or of a part of it.

    Args:
        symbols: what the labels say: no blank, and of equal ones side by side the first.
        score: the sum of their log-probabilities.
        last: the label of the last step, with which a part that follows may go on.
        spans: of each symbol the first step of its label, and the one after the last.
        continued: steps at the beginning that have the label of the last symbol of the part before.
    """

    symbols: list[int]
    score: float
    last: int
    spans: list[tuple[int, int]]
    continued: int = 0


class Ended(ABC):
    """How targets that are generated begin and end."""

    begin: float
    """The step before the first: the begin symbol, or the number that fills a vector."""
    end: float
    """The step that ends a target: the end symbol; NaN where steps are vectors."""
    num_symbols: int
    """How many symbols there are; 0 where steps are vectors."""
    num_values: int = 0
    """How many numbers a vector has that is generated without a prompt."""
    unsaid: int | None = None
    """The symbol that no answer says: what a text that is continued has in place of words that nobody knows."""

    def ended(self, steps: Tensor) -> Tensor:
        """(R,) whether these steps (R, ...) end their targets; a vector of NaN is then no part of one."""
        return steps == self.end if steps.ndim == 1 else (steps == self.end).flatten(1).all(1)


class NextHead(Head, Ended):
    """A head on `next`: after each step of the input that its output continues it predicts the step that follows."""

    generates = True

    @abstractmethod
    def predict_next(
        self, steps: Tensor, beside: Tensor | None = None, packed: Mapping[str, Packed] | None = None
    ) -> Distribution:
        """The distribution of what follows, a row for each step.

        Shapes:
            steps (R, H) of the encoder; beside (R, S), the summaries of the other inputs

        Args:
            steps: what the encoder gave.
            beside: the summaries of the other inputs, one after the other; None: there are none.
            packed: keeps weights between the steps of a generation.
        """

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        truth = targets.appended(self.end)
        return Scored.of_steps(self.scores(encoded, truth.values), truth.layout)

    def scores(self, encoded: Sequence[Encoded], truth: Tensor) -> Tensor:
        """`by_step` of the true steps (N, ...), the first of `encoded` being the input that is continued; in pieces of
        bounded memory."""
        return by_step_in_pieces(self.predicting(encoded), truth, self.num_symbols)

    def predicting(self, encoded: Sequence[Encoded]) -> Callable[[slice], Distribution]:
        """Gives the distribution of what follows each of some steps of whole sequences."""
        steps: Any = encoded[0].steps
        beside = None
        if len(encoded) > 1:
            summaries = [other.summary for other in encoded[1:] if other.summary is not None]
            beside = torch.cat([summary.index_select(0, steps.layout.rows) for summary in summaries], 1)

        def predict(part: slice) -> Distribution:
            return self.predict_next(steps.values[part], None if beside is None else beside[part])

        return predict


class Generator(Ended):
    """What a search asks: the distribution of each next step of a target, a symbol or a vector.

    A `free` head over its memory is one, and a `next` output together with its encoder. Law: `extend` over a prompt
    gives the distributions of `step` called step by step.
    """

    reduction: int = 1
    """Of how many steps one is read."""
    labels_source: ClassVar[bool] = False
    """Whether it labels the steps of its source, so that it has `paths`."""

    @abstractmethod
    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        """One hypothesis per example, before its first step."""

    @abstractmethod
    def extend(self, steps: Steps, state: Decoding) -> tuple[Distribution, Decoding]:
        """Reads a prompt at once: the distribution of what follows each of its N steps, and the state after it."""

    @abstractmethod
    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        """Reads one step (R, ...) each: the distribution of what follows, a row each, and the state after it."""

    def spans(self, state: Decoding, answers: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]] | None:
        """Which steps of the source each symbol of an answer was read from: its first, and the one after its last; none
        for an answer that the source cannot say. None where a symbol has no such steps.

        Args:
            state: a fresh one.
            answers: symbols without the end, one for each hypothesis of the state.
        """
        return None

    def paths(self, state: Decoding, before: int | None = None) -> list[BestPath] | None:
        """The best path of each hypothesis, whose symbols are final as soon as its steps are read; None: it
        labels no steps.

        Law: the symbols of the parts of a source are those of the whole.

        Args:
            state: a fresh one.
            before: the last label of the part before; None: this is the first.
        """
        return None


class Adapted(Generator):
    """A generator over another one, which changes what a step predicts."""

    def __init__(self, generator: Generator):
        self.generator = generator
        self.begin, self.end, self.unsaid = generator.begin, generator.end, generator.unsaid
        self.num_symbols, self.num_values = generator.num_symbols, generator.num_values

    def ended(self, steps: Tensor) -> Tensor:
        return self.generator.ended(steps)

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        return self.generator.start(encoded)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Distribution, Decoding]:
        """A prompt, in which nothing is changed."""
        return self.generator.extend(steps, state)
