"""Predictions of one trained run, or of several as an ensemble."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato.data.cache import to_steps
from ostinato.distributions.contract import Distribution
from ostinato.errors import ConfigError
from ostinato.heads.contract import Decoding, Generator, Predicted, predicted
from ostinato.modalities.contract import Labels, Modality
from ostinato.model.continuation import Resuming, pieces_of
from ostinato.model.ensemble import Ensemble, refuse_unlike
from ostinato.registry import Settings, build
from ostinato.run.run import Place, Row, Run, row_number
from ostinato.searches._stops import Stops
from ostinato.searches.contract import Hypothesis
from ostinato.steps import Steps

BATCH_STEPS = 16_384
"""Steps computed at once, padding counted: one huge example must not make a whole batch as long as itself."""
LONGEST_ANSWER = 4
"""An answer is at most so many times as long as the longest training target: beyond that a model only babbles."""


@dataclass(frozen=True)
class Answer:
    """One answer to one example.

    Args:
        value: the raw value.
        text: the raw value as one field of text, tabs and breaks escaped.
        score: what the search ranked by.
        log_probability: the model's own, natural logarithm.
        finished: whether the end was said before the maximum length.
        attention: (said steps, source steps) weights, or None.
        said: one word per said step, for a picture's axis; the end is the last.
        heard: one word per step of the first input that is attended to.
        probabilities: of each label where the answer is one label or a set of them, the likeliest first; else None.
        quantiles: of a forecast's distribution: level -> values in the form of `value`; else None.
        series: of a forecast the name of its series, where the data name it.
        times: of a forecast the time of each step, where the data tell it.
    """

    value: Any
    text: str
    score: float
    log_probability: float
    finished: bool
    attention: Tensor | None
    said: list[str]
    heard: list[str]
    probabilities: dict[str, float] | None = None
    quantiles: dict[float, np.ndarray] | None = None
    series: str | None = None
    times: np.ndarray | None = None


def has_rivals(settings: Settings) -> bool:
    """Whether an output that nothing is searched for has a second best answer: where it is one label."""
    return settings.type == "category" and not settings.multilabel


def answers(
    runs: Sequence[Run],
    rows: Sequence[Row],
    *,
    search: Settings | None = None,
    seed: int = 0,
    batch_rows: int = 64,
    n_best: int = 1,
    attention: bool = False,
    outputs: Iterable[str] | None = None,
    place: Place = row_number,
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, list[Answer]]]:
    """The answers to each row, best first, by output; in the rows' order whatever the batches are.

    Args:
        runs: one, or several of one vocabulary that answer as an ensemble.
        rows: raw values by place or column.
        search: in place of the recipe's.
        seed: of sampling; each row's own is made from it and from the row's content.
        batch_rows: rows computed at once, fewer where they are long; changes no answer.
        n_best: most answers to each row where the answer is a label; of a search it says so itself.
        attention: whether answers carry their weights.
        outputs: only these.
        place: where a row stands, for messages.
        say: hears of rows that are longer than any the model was trained on.

    Errors:
        ConfigError: an ensemble of runs whose symbols, labels or scales differ.
    """
    refuse_unlike([run.member() for run in runs])
    first = runs[0]
    searcher = build(search or first.recipe.settings.search, "searches")
    found: list[dict[str, list[Answer]]] = [{} for _ in rows]
    if not rows:
        return found
    columns = {name: first.encoded(rows, f"inputs.{name}", place) for name in first.inputs}
    _name_the_longest(first, columns, place, say)
    batches = list(batches_of(columns, batch_rows))
    for output in outputs or first.outputs:
        head = first.graph.heads[output]
        read = _read_by_any(runs, output)
        if not head.generates:
            for rows_now in batches:
                inputs = {name: gathered(columns[name], rows_now, first.device) for name in read}
                with torch.inference_mode():
                    best = predicted(distribution_of(runs, output, inputs))
                for row, one in zip(rows_now, _answers_at_once(first.modalities[f"outputs.{output}"], best, n_best)):
                    found[row][output] = one
            continue
        stops = Stops(searcher.stop, first.modalities[f"outputs.{output}"])
        for rows_now in batches:
            with torch.inference_mode():
                begun = begin(runs, output, columns, rows_now, seed)
                generator = stops.over(begun.generator, begun.resaid)
                said = searcher.search(
                    generator, begun.state, begun.longest, begun.seeds, attention=attention, first=begun.first
                )
            for row, hypotheses, resaid in zip(rows_now, said, begun.resaid):
                found[row][output] = [_answer(first, output, columns, row, one, resaid, stops) for one in hypotheses]
    return found


def _read_by_any(runs: Sequence[Run], output: str) -> list[str]:
    """The inputs that an output reads, in the first run's order."""
    return list(dict.fromkeys(name for run in runs for name in run.graph.reads[output]))


def distribution_of(
    runs: Sequence[Run], output: str, inputs: Mapping[str, Steps], targets: Steps | None = None
) -> Distribution:
    """The distribution of an output that needs no search, by one run or by several on average.

    Errors:
        ConfigError: their distributions have no average.
    """
    own, *others = (run.graph.predict_distribution(output, inputs, targets) for run in runs)
    try:
        return own.mean_of(others)
    except ConfigError as why:
        raise ConfigError(f"{', '.join(str(run.folder) for run in runs)}: outputs.{output}: {why}") from None


class Begun(NamedTuple):
    """What a search is given for some rows.

    Args:
        generator: what it asks.
        state: one hypothesis per row, a prompt heard.
        first: what each row is told first, or None for the generator's own beginning.
        longest: the most symbols of each answer.
        seeds: of each row.
        resaid: what each row's answer says again of its prompt first; it is no part of the answer.
    """

    generator: Generator
    state: Decoding
    first: Tensor | None
    longest: Tensor
    seeds: Tensor
    resaid: list[str]


def begin(
    runs: Sequence[Run], output: str, columns: Mapping[str, list[np.ndarray]], rows: Sequence[int], seed: int
) -> Begun:
    """The beginning of an answer to each of these rows; several runs answer as an ensemble.

    Args:
        runs: one, or several of one vocabulary.
        output: what is generated.
        columns: the encoded rows of each input.
        rows: which of them.
        seed: each row's own is made from it and from the row's content.
    """
    run = runs[0]
    read = _read_by_any(runs, output)
    inputs = {name: gathered(columns[name], rows, run.device) for name in read}
    longest, rests = _longest(inputs, run.bundle.lengths[output]), [""] * len(rows)
    of = run.graph.continues.get(output)
    if of is not None and run.outputs[output].type == "text":
        pieces = pieces_of(run.modalities[f"outputs.{output}"])
        heads, rests = zip(*(pieces.cut(columns[of][row]) for row in rows))
        inputs[of] = gathered(heads, range(len(rows)), run.device)
    generator, state, first = prompted(runs, output, inputs)
    if any(rests):
        generator = Resuming(generator, pieces, rests)
    seeds = torch.tensor([_row_seed(seed, [columns[name][row] for name in read]) for row in rows])
    return Begun(generator, state, first, longest, seeds, list(rests))


def prompted(
    runs: Sequence[Run], output: str, inputs: Mapping[str, Steps]
) -> tuple[Generator, Decoding, Tensor | None]:
    """The generator, its state with the prompt heard, and what it is told first; see `Graph.prompted`."""
    encoded, first = zip(*(one.graph.prompted(output, inputs) for one in runs))
    generators = [one.graph.generator(output) for one in runs]
    generator = generators[0] if len(runs) == 1 else Ensemble(generators)
    return generator, generator.start(encoded if len(runs) > 1 else encoded[0]), first[0]


def batches_of(columns: Mapping[str, list[np.ndarray]], batch_rows: int) -> Iterator[list[int]]:
    """The rows from longest to shortest, as many at once as both limits allow."""
    lengths = np.array([[len(one) for one in column] for column in columns.values()])
    order = np.argsort(-lengths.sum(0), kind="stable").tolist()
    longest = lengths.max(0)
    at = 0
    while at < len(order):
        # Ordered by the sum of all columns, a later row may hold the longer cell of one column: the widest of those that may come.
        width = max(1, int(longest[order[at : at + batch_rows]].max()))
        rows = order[at : at + max(1, min(batch_rows, BATCH_STEPS // width))]
        yield rows
        at += len(rows)


def _name_the_longest(
    run: Run, columns: Mapping[str, list[np.ndarray]], place: Place, say: Callable[[str], None]
) -> None:
    limit = run.recipe.settings.training.max_steps
    if limit is None:
        return
    for name, column in columns.items():
        for row, steps in enumerate(column):
            if len(steps) > limit:
                told = f"inputs.{name} has {len(steps):,} steps, and training.max_steps was {limit:,}"
                say(f"{place(row)}: {told}; answered all the same")


def gathered(column: list[np.ndarray], rows: Sequence[int], device: torch.device) -> Steps:
    """Some rows of one column as a batch."""
    picked = [column[row] for row in rows]
    return to_steps(np.concatenate(picked), np.array([len(one) for one in picked], dtype=np.int64)).to(device)


def _longest(inputs: Mapping[str, Steps], trained: int) -> Tensor:
    """The most symbols of an answer: as many as the longest training target, or twice the input with room to spare, but see above."""
    source = torch.stack([steps.layout.lengths for steps in inputs.values()]).amax(0)
    return (2 * source + 20).clamp(min=trained, max=LONGEST_ANSWER * trained + 20)


def _row_seed(seed: int, sequences: Iterable[np.ndarray]) -> int:
    digest = hashlib.sha256(str(seed).encode())
    for sequence in sequences:
        digest.update(sequence.tobytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _answer(
    run: Run, output: str, columns: Mapping[str, list[np.ndarray]], row: int, one: Hypothesis, resaid: str, stops: Stops
) -> Answer:
    modality = run.modalities[f"outputs.{output}"]
    value = stops.cut(modality.decode(one.symbols)[len(resaid) :])
    said, heard = [], []
    if one.attention is not None:
        said = [*modality.labels(one.symbols), "end"][: len(one.attention)]
        place = run.graph.reads[output][run.graph.heads[output].attended[0]]
        heard = run.modalities[f"inputs.{place}"].labels(columns[place][row])
    return Answer(
        value, modality.write(value), one.score, one.log_probability, one.finished, one.attention, said, heard
    )


def _answers_at_once(modality: Modality, predicted: Predicted, n_best: int) -> Iterator[list[Answer]]:
    """The answers that a head gave without a search, example by example; only a single label has a second best."""
    log_probability = predicted.log_probability.tolist()
    spec = modality.spec
    is_label = isinstance(spec, Labels) and bool((predicted.steps.layout.lengths == 1).all())
    is_single = (
        is_label and predicted.probabilities is not None and predicted.steps.layout.total == len(log_probability)
    )
    words = modality.labels(np.arange(spec.size)) if is_single and not spec.multilabel else []
    quantiles = None
    if predicted.quantiles is not None:
        split = [predicted.steps.with_values(one).split() for one in predicted.quantiles.values()]
        quantiles = [torch.cat(levels).cpu().numpy() for levels in zip(*split)]
    for row, steps in enumerate(predicted.steps.split()):
        value = modality.decode(steps.cpu().numpy())
        best = Answer(value, modality.write(value), log_probability[row], log_probability[row], True, None, [], [])
        if quantiles is not None:
            said = np.asarray(modality.decode(quantiles[row]), dtype=np.float32)
            parts = said.reshape(len(predicted.quantiles), -1, *said.shape[1:])
            best = replace(best, quantiles=dict(zip(predicted.quantiles, parts)))
        if not words:
            yield [best]
            continue
        probabilities = predicted.probabilities[row].tolist()
        order = sorted(range(len(words)), key=lambda one: -probabilities[one])
        said = replace(best, probabilities={words[one]: probabilities[one] for one in order})
        others = [one for one in order if one != int(steps[0])][: n_best - 1]
        listed = [said]
        for one in others:
            value, own = modality.decode(np.array([one])), float(np.log(max(probabilities[one], 1e-38)))
            listed.append(replace(said, value=value, text=modality.write(value), score=own, log_probability=own))
        yield listed
