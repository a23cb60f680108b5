"""Laws of the room `searches`, and a small generator to try them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Generator
from ostinato.layers.attend import Memory
from ostinato.searches.contract import Hypothesis, Search
from ostinato.steps import Steps
from ostinato.testing._tools import Check, Member, all_checks

TRIED: dict[str, Any] = {}
_STATES = 1009


class TableGenerator(Generator):
    """A random language in a table: a whole number, changed by each symbol and by the example's memory, picks
    the row.

        state[t] = (31 * state[t-1] + 7 * symbol[t] + sum of the example + 3) mod 1009
        logits[t] = table[state[t]];   weights[t] = softmax over the example's own steps of looks[state[t]]

    The next symbol depends on all symbols before it and on the example, as in a trained decoder, and every symbol has a
    chance.

    Args:
        num_symbols: V; `begin` is 0 and `end` is 1.
        unsaid: the symbol that no answer says.
        seed: of the tables.
        sharpness: standard deviation of the logits.
        end_bias: added to the end's logit, so that answers are longer (below 0) or shorter.
        looks: whether it attends to its memory.
        whole_logits: logits are whole numbers, so that many are equal.

    It counts what it is asked: steps, rows and, over all steps, the examples that the memory still held.
    """

    begin = 0
    end = 1

    def __init__(
        self,
        num_symbols: int,
        seed: int,
        *,
        sharpness: float = 1.5,
        end_bias: float = 0.0,
        looks: bool = True,
        whole_logits: bool = False,
        unsaid: int | None = None,
    ):
        random = torch.Generator().manual_seed(seed)
        self.num_symbols, self.unsaid = num_symbols, unsaid
        self.table = torch.randn(_STATES, num_symbols, generator=random) * sharpness
        self.table[:, self.end] += end_bias
        if whole_logits:
            self.table = self.table.round()
        self.looks = torch.randn(_STATES, 64, generator=random) * 2 if looks else None
        self.num_steps = 0
        self.num_rows = 0
        self.num_remembered = 0

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        steps = encoded[0].steps
        values = steps.padded()
        memory = Memory(values, values, steps.layout)
        rows = torch.arange(len(steps.layout))
        return Decoding(
            (memory,), rows, {"state": torch.zeros_like(rows)}, self._weights(torch.zeros_like(rows), memory, rows)
        )

    def step(self, steps: Tensor, state: Decoding) -> tuple[Categorical, Decoding]:
        self.num_steps += 1
        self.num_rows += len(steps)
        memory = state.memory[0]
        self.num_remembered += len(memory.layout)
        total = memory.values.sum((1, 2)).long()[state.rows]
        number = (31 * state.values["state"] + 7 * steps + total + 3) % _STATES
        after = replace(state, values={"state": number}, attention=self._weights(number, memory, state.rows))
        return Categorical(self.table[number]), after

    def extend(self, steps: Steps, state: Decoding) -> tuple[Categorical, Decoding]:
        symbols, lengths = steps.padded().long(), steps.layout.lengths
        logits = []
        for place in range(steps.layout.longest):
            here, after = self.step(symbols[:, place], state)
            more = place < lengths
            values = {"state": torch.where(more, after.values["state"], state.values["state"])}
            attention = tuple(
                torch.where(more.unsqueeze(1), new, old) for new, old in zip(after.attention, state.attention)
            )
            state = replace(after, values=values, attention=attention)
            logits.append(here.scores)
        return Categorical(Steps.from_padded(torch.stack(logits, 1), steps.layout).values, steps.layout), state

    def _weights(self, number: Tensor, memory: Memory, rows: Tensor) -> tuple[Tensor, ...]:
        if self.looks is None:
            return ()
        scores = self.looks[number, : memory.values.shape[1]]
        if memory.padding is not None:
            padding = memory.padding.squeeze(1)[rows]
            return (scores.masked_fill(padding, torch.finfo(scores.dtype).min).softmax(1).masked_fill(padding, 0),)
        return (scores.softmax(1),)


def encode(examples: Sequence[Sequence[int]]) -> list[Encoded]:
    """Examples for `TableGenerator`: each a list of whole numbers."""
    numbers = [torch.tensor(example, dtype=torch.float32).reshape(-1, 1) for example in examples]
    return [Encoded(Steps.of(numbers), None, None)]


def random_examples(count: int, seed: int) -> list[list[int]]:
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 7, (count,), generator=random).tolist()
    return [torch.randint(0, 50, (length,), generator=random).tolist() for length in lengths]


def found(
    search: Search,
    generator: Generator,
    examples: Sequence[Sequence[int]],
    max_lengths: Sequence[int],
    *,
    attention: bool = False,
) -> list[list[Hypothesis]]:
    """The answers to these examples; each example's seed is made of its own numbers."""
    seeds = torch.tensor([sum(number * 131**place for place, number in enumerate(example, 1)) for example in examples])
    state = generator.start(encode(examples))
    return search.search(generator, state, torch.tensor(max_lengths), seeds, attention=attention)


def scored_one_by_one(
    generator: Generator, example: Sequence[int], symbols: Sequence[int]
) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities (V,) before each of these symbols and the end, and the weights (S,) of each step."""
    state = generator.start(encode([example]))
    scores, weights = [], []
    for symbol in [generator.begin, *symbols]:
        distribution, state = generator.step(torch.tensor([symbol]), state)
        scores.append(distribution.scores[0].double().log_softmax(0))
        weights.extend(source[0] for source in state.attention[:1])
    return scores, weights


def log_probability(generator: Generator, example: Sequence[int], symbols: Sequence[int]) -> float:
    scores, _ = scored_one_by_one(generator, example, symbols)
    return sum(float(row[symbol]) for row, symbol in zip(scores, [*symbols, generator.end]))


def check_company(search: Search, generator: Generator, examples: list[list[int]], max_lengths: list[int]) -> None:
    """Answers are the same alone, together and in another order: symbols equal, numbers to 1e-5 of their size."""
    together = found(search, generator, examples, max_lengths, attention=True)
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(1)).tolist()
    for rows in (order, *([row] for row in order)):
        chosen, lengths = [examples[row] for row in rows], [max_lengths[row] for row in rows]
        for row, answers in zip(rows, found(search, generator, chosen, lengths, attention=True), strict=True):
            assert len(answers) == len(together[row])
            for answer, other in zip(answers, together[row]):
                assert (answer.symbols, answer.finished) == (other.symbols, other.finished)
                _check_near(answer.score, other.score)
                _check_near(answer.log_probability, other.log_probability)
                torch.testing.assert_close(answer.attention, other.attention, rtol=1e-5, atol=1e-6)


def check_answers(search: Search, generator: Generator, examples: list[list[int]], max_lengths: list[int]) -> None:
    """One to n_best answers, the best first, with the model's own log-probability and the weights of each step."""
    every = found(search, generator, examples, max_lengths, attention=True)
    for answers, example, longest in zip(every, examples, max_lengths, strict=True):
        assert 1 <= len(answers) <= search.n_best
        assert [answer.score for answer in answers] == sorted((answer.score for answer in answers), reverse=True)
        for answer in answers:
            never = {generator.begin, generator.end, generator.unsaid}
            assert len(answer.symbols) <= longest and not never & set(answer.symbols)
            assert answer.finished or len(answer.symbols) in (longest, search.max_length)
            _check_near(answer.log_probability, log_probability(generator, example, answer.symbols))
            _, weights = scored_one_by_one(generator, example, answer.symbols)
            expected = torch.stack(weights) if weights else None
            torch.testing.assert_close(answer.attention, expected, rtol=1e-5, atol=1e-6)


def _check_near(actual: float, expected: float) -> None:
    assert abs(actual - expected) <= 1e-5 * max(1, abs(expected)), f"{actual}, not {expected}"


def checks(member: Member) -> list[Check]:
    """The laws of answers on a small language, with attention and without, and the law of options; ConfigError where
    the options are refused."""
    search, examples, longest = member(), random_examples(6, seed=3), [5, 3, 0, 8, 5, 4]
    languages = [TableGenerator(7, seed, looks=looks) for looks in (True, False) for seed in (1, 2)]
    languages.append(TableGenerator(7, 3, unsaid=4))
    laws: list[Check] = [
        (law.__name__, partial(law, search, language, examples, longest))
        for language in languages
        for law in (check_answers, check_company)
    ]
    return [*laws, *all_checks(member, (), _fingerprint, TRIED)]


def _fingerprint(member: Member) -> list[str]:
    """Answers in a language of long answers and in one of short ones."""
    search, examples = member(), random_examples(12, seed=4)
    languages = (TableGenerator(9, 5, sharpness=1.0, end_bias=bias) for bias in (-2.0, 0.0, 1.0))
    answers = [str(found(search, language, examples, [14] * 12)) for language in languages]
    return [*answers, str(search.stop)]  # which whoever knows texts applies
