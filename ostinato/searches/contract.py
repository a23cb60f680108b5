"""What a search is: it finds the answers of a generator, which it asks by `step` and `reorder` alone."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.heads.contract import Generator


@dataclass(frozen=True)
class Hypothesis:
    """One answer to one example.

    Args:
        symbols: of the answer, without begin and end; where steps are vectors, these (T, ...).
        score: what the search ranks by, natural logarithm, penalties included.
        log_probability: the model's own log-probability of these symbols and the end, without any penalty or filter.
        finished: False where the maximum length cut it: the end was put there though another symbol was more probable.
        attention: (len(symbols) + 1, S) weights over the first input that is attended to, S its own steps, or None.
    """

    symbols: list[int] | Tensor
    score: float
    log_probability: float
    finished: bool
    attention: Tensor | None = None


class Search(ABC):
    """Finds the answers of a generator.

    Every answer is whole: at its maximum length it ends, and the probability of the end is counted, whatever the model
    prefers. The symbols `begin` and `unsaid` are never generated, and where the settings leave nothing else, the answer
    may end.

    Laws: answers do not depend on batch size, order or company; a finished hypothesis keeps its place; an example's
    answers come best first, at least one and at most `n_best` of them.
    """

    n_best: int
    """Answers per example."""
    stop: Sequence[str] = ()
    """Texts that end an answer. A search knows symbols alone: the caller, which knows texts, gives it `Stops.over` a
    generator."""
    one_path: ClassVar[bool] = False
    """Whether each step is final once it is generated, so that an answer can be streamed."""
    along_source: bool = False
    """Whether the answer is `Generator.paths`: final as far as the source is read, so that a source of any length is
    answered part by part."""
    random: ClassVar[bool]
    """Whether `seeds` are read."""

    @abstractmethod
    def search(
        self,
        generator: Generator,
        state: Decoding,
        max_length: Tensor,
        seeds: Tensor,
        *,
        attention: bool,
        first: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        """Answers for each of the B examples of a fresh state.

        Args:
            max_length: (B,) the most symbols before the end symbol; the search's own `max_length` lowers it.
            seeds: (B,) int64, a number per example made from the example itself; a random search adds its own seed.
            attention: whether hypotheses carry their weights.
            first: (B, ...) the first step of each example: the generator's `begin` if None, or the last of a prompt
                whose other steps `extend` has read.

        Errors:
            ConfigError: a setting needs what the generator does not give, or symbols where it gives vectors.
            BundleError: the generator's scores are not numbers.
        """
