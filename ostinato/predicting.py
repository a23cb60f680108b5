"""A trained run taken up again: predictions, scores and judgements, one model or several as an ensemble."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato import bundle as bundles
from ostinato import fitting
from ostinato.continuation import Resuming, pieces_of
from ostinato.data.cache import encode_values, to_steps
from ostinato.ensemble import Ensemble, Member, refuse_unlike
from ostinato.ensemble import score as score_generated
from ostinato.errors import BundleError, ConfigError, DataError
from ostinato.heads._contract import Belief, Decoding, Generator, Predicted, Scored
from ostinato.modalities._contract import Labels, Modality
from ostinato.model import Batch, Graph
from ostinato.recipe import Recipe, align_of, restore
from ostinato.registry import Settings, build
from ostinato.searches._contract import Hypothesis
from ostinato.searches._stops import Stops
from ostinato.steps import Layout, Steps
from ostinato.training.checkpoints import restore_model

Row = Mapping[str, Any]
"""Raw values by place, as each modality reads them, or by column, as Python gives them."""
Place = Callable[[int], str]
"""Where a row stands, by its number among those given: for messages."""
BATCH_STEPS = 16_384
"""Steps computed at once, padding counted: one huge example must not make a whole batch as long as itself."""
ENSEMBLE_ROWS = 8
"""Rows of targets that several runs score at once."""
TARGET = ""
"""Stands beside the names of inputs, none of which is empty."""
LONGEST_ANSWER = 4
"""An answer is at most so many times as long as the longest training target: beyond that a model only babbles."""


def _number(row: int) -> str:
    return f"row {row}"


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


class Run:
    """A trained model with everything that it needs: recipe, fitted modalities, weights.

    Args:
        recipe: the full recipe.
        bundle: what was kept beside the weights.
        graph: the network, in evaluation mode.
        folder: where it lies, or None while it is only in memory.
    """

    def __init__(self, recipe: Recipe, bundle: bundles.Bundle, modalities: dict, graph: Graph, folder: Path | None = None):
        self.recipe, self.bundle, self.modalities, self.graph, self.folder = recipe, bundle, modalities, graph, folder

    @staticmethod
    def load(folder: str | Path, device: str = "cpu") -> Run:
        """Takes up a run folder.

        Errors:
            BundleError: it is missing, damaged or newer than this Ostinato.
        """
        folder = Path(folder)
        bundle = bundles.load(folder)
        try:
            recipe = restore(bundle.recipe, str(folder))
        except ConfigError as why:
            raise BundleError(f"{folder}: damaged, or trained with components that are not here: {why}") from None
        modalities = fitting.build(recipe.settings)
        lacking = [*(modalities.keys() - bundle.modalities.keys()), *(recipe.settings.outputs.keys() - bundle.lengths.keys())]
        if lacking:
            told = ", ".join(sorted(lacking))
            raise BundleError(f"{folder}: damaged, nothing is known of {told}; restore {bundles.DESCRIPTION} or train again")
        fitting.restore(modalities, bundle.modalities)
        graph = Graph(recipe.settings.inputs, recipe.settings.outputs, modalities)
        restore_model(graph, bundles.load_weights(folder), folder)
        return Run(recipe, bundle, modalities, graph.to(device).eval(), folder)

    def member(self) -> Member:
        """What has to be alike in runs that answer together."""
        return Member(str(self.folder or "this model"), self.modalities, dict(fitting.places(self.recipe.settings)))

    @property
    def inputs(self) -> dict[str, Settings]:
        return self.recipe.settings.inputs

    @property
    def outputs(self) -> dict[str, Settings]:
        return self.recipe.settings.outputs

    @property
    def device(self) -> torch.device:
        return next(self.graph.parameters()).device

    def raw(self, row: Row, place: str) -> Any:
        """The raw value of a row that stands at this place.

        Errors:
            DataError: the row has no such column.
        """
        if place in row:
            return row[place]
        direction, _, name = place.partition(".")
        column = fitting.column_of(place, getattr(self, direction)[name])
        if column not in row:
            raise DataError(f"a row has no '{column}' for {place}; it has: {', '.join(map(str, row)) or 'nothing'}")
        return row[column]

    def lacks(self, row: Row) -> str | None:
        """The first input that is missing in a row although its encoder reads no sequence, which alone can be empty; or None."""
        places = (f"inputs.{name}" for name in self.inputs if self.graph.encoder(name).steps_size is None)
        return next((place for place in places if self.raw(row, place) is None), None)

    def encoded(self, rows: Sequence[Row], place: str, told: Place) -> list[np.ndarray]:
        """The steps of one column of these rows, each row's own.

        Errors:
            DataError: a value cannot be encoded, or is missing where the row has no answer without it.
        """
        where = lambda row: f"{told(row)}, {place}"  # noqa: E731
        values, lengths = encode_values(self.modalities[place], (self.raw(row, place) for row in rows), where)
        direction, _, name = place.partition(".")
        if direction == "inputs" and self.graph.encoder(name).steps_size is None and not lengths.all():
            raise DataError(
                f"{where(int(lengths.argmin()))}: is missing, and only a sequence can be empty; fill it in, or leave the row out"
            )
        return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []


def has_rivals(settings: Settings) -> bool:
    """Whether an output that nothing is searched for has a second best answer: where it is one label."""
    return settings.type == "category" and not settings.several


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
    place: Place = _number,
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
    batches = list(_batches(columns, batch_rows))
    for output in outputs or first.outputs:
        head = first.graph.heads[output]
        read = _read_by_any(runs, output)
        if not head.generates:
            for rows_now in batches:
                inputs = {name: _gathered(columns[name], rows_now, first.device) for name in read}
                with torch.inference_mode():
                    predicted = _believed(runs, output, inputs).answer()
                for row, one in zip(rows_now, _answers_at_once(first.modalities[f"outputs.{output}"], predicted, n_best)):
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


def _believed(runs: Sequence[Run], output: str, inputs: Mapping[str, Steps], targets: Steps | None = None) -> Belief:
    """What one run thinks of an output that needs no search, or several on average.

    Errors:
        ConfigError: what they think has no average.
    """
    own, *others = (run.graph.believe(output, inputs, targets) for run in runs)
    try:
        return own.mean(others)
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


def begin(runs: Sequence[Run], output: str, columns: Mapping[str, list[np.ndarray]], rows: Sequence[int], seed: int) -> Begun:
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
    inputs = {name: _gathered(columns[name], rows, run.device) for name in read}
    longest, rests = _longest(inputs, run.bundle.lengths[output]), [""] * len(rows)
    of = run.graph.goes_on.get(output)
    if of is not None and run.outputs[output].type == "text":
        pieces = pieces_of(run.modalities[f"outputs.{output}"])
        heads, rests = zip(*(pieces.cut(columns[of][row]) for row in rows))
        inputs[of] = _gathered(heads, range(len(rows)), run.device)
    generator, state, first = _prompted(runs, output, inputs)
    if any(rests):
        generator = Resuming(generator, pieces, rests)
    seeds = torch.tensor([_row_seed(seed, [columns[name][row] for name in read]) for row in rows])
    return Begun(generator, state, first, longest, seeds, list(rests))


def _prompted(runs: Sequence[Run], output: str, inputs: Mapping[str, Steps]) -> tuple[Generator, Decoding, Tensor | None]:
    """The generator, its state with the prompt heard, and what it is told first; see `Graph.prompted`."""
    encoded, first = zip(*(one.graph.prompted(output, inputs) for one in runs))
    generators = [one.graph.generator(output) for one in runs]
    generator = generators[0] if len(runs) == 1 else Ensemble(generators)
    return generator, generator.start(encoded if len(runs) > 1 else encoded[0]), first[0]


def _batches(columns: Mapping[str, list[np.ndarray]], batch_rows: int) -> Iterator[list[int]]:
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


def _name_the_longest(run: Run, columns: Mapping[str, list[np.ndarray]], place: Place, say: Callable[[str], None]) -> None:
    limit = run.recipe.settings.training.max_steps
    if limit is None:
        return
    for name, column in columns.items():
        for row, steps in enumerate(column):
            if len(steps) > limit:
                told = f"inputs.{name} has {len(steps):,} steps, and training.max_steps was {limit:,}"
                say(f"{place(row)}: {told}; answered all the same")


def _gathered(column: list[np.ndarray], rows: Sequence[int], device: torch.device) -> Steps:
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
    return Answer(value, modality.write(value), one.score, one.log_probability, one.finished, one.attention, said, heard)


def _answers_at_once(modality: Modality, predicted: Predicted, n_best: int) -> Iterator[list[Answer]]:
    """The answers that a head gave without a search, example by example; only a single label has a second best."""
    log_probability = predicted.log_probability.tolist()
    spec = modality.spec
    is_label = isinstance(spec, Labels) and bool((predicted.steps.layout.lengths == 1).all())
    is_single = is_label and predicted.probabilities is not None and predicted.steps.layout.total == len(log_probability)
    words = modality.labels(np.arange(spec.size)) if is_single and not spec.several else []
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


def _demand_one_each(run: Run, output: str, columns: Mapping[str, list[np.ndarray]], place: Place) -> None:
    read = run.graph.reads[output][0]
    by_words = fitting.by_words(run.inputs[read])
    unit = "word" if by_words else "step"
    for row, (steps, labels) in enumerate(zip(columns[read], columns[TARGET])):
        number = int(steps[:, -1].sum()) if by_words else len(steps)
        if number != len(labels):
            align = align_of(run.outputs[output])
            noun = "label" if align == "each" else "symbol"
            raise DataError(
                f"{place(row)}: outputs.{output} has {len(labels)} {noun}s and inputs.{read} {number} {unit}s;"
                f" align: {align} needs one {noun} per {unit}"
            )


class Given(NamedTuple):
    """What a model says of the outputs that rows give.

    Args:
        rows: which of the rows have the output, in order.
        scored: a number for each of these.
        by_step: for each the log-probability of every target and whether it scored best, (steps, 2), where the head tells them.
    """

    rows: list[int]
    scored: Scored
    by_step: list[np.ndarray] | None


def scores(
    runs: Sequence[Run], rows: Sequence[Row], *, batch_rows: int = 64, place: Place = _number
) -> dict[str, Given]:
    """The log-probability of each row's own outputs, by output; a row that lacks an output is left out there.

    Args:
        runs: one, or several that score as the ensemble that they answer as.
        rows: raw values by place or column.
        batch_rows: rows computed at once, fewer where they are long.
        place: where a row stands, for messages.

    Errors:
        ConfigError: an ensemble of runs whose symbols, labels or scales differ.
    """
    refuse_unlike([run.member() for run in runs])
    run = runs[0]
    inputs = {name: run.encoded(rows, f"inputs.{name}", place) for name in run.inputs}
    found = {}
    for output in run.outputs:
        given = [row for row, one in enumerate(rows) if run.raw(one, f"outputs.{output}") is not None]
        targets = run.encoded([rows[row] for row in given], f"outputs.{output}", lambda at, given=given: place(given[at]))
        columns = {name: [column[row] for row in given] for name, column in inputs.items()} | {TARGET: targets}
        if align_of(run.outputs[output]) in ("each", "next") and run.outputs[output].type != "series":
            _demand_one_each(run, output, columns, lambda at, given=given: place(given[at]))
        # Each run of an ensemble tells the scores of all symbols at every step.
        at_once = batch_rows if len(runs) == 1 else min(batch_rows, ENSEMBLE_ROWS)
        batches = list(_batches(columns, at_once))
        back = torch.argsort(torch.tensor([row for batch in batches for row in batch], dtype=torch.int64))
        parts: list[Scored] = []
        for rows_now in batches:
            steps = {name: _gathered(column, rows_now, run.device) for name, column in columns.items()}
            target = steps.pop(TARGET)
            with torch.inference_mode():
                parts.append(_scored(runs, output, steps, target))
        fields = ("log_probability", "num_targets", "num_right")
        nothing = torch.zeros(0)
        scored = Scored(*(torch.cat([nothing, *(getattr(one, name).cpu() for one in parts)])[back] for name in fields))
        by_step = None
        if all(one.by_step is not None for one in parts):
            steps = [each.cpu().numpy() for one in parts for each in one.by_step.split()]
            by_step = [steps[at] for at in back.tolist()]
        found[output] = Given(given, scored, by_step)
    return found


def _scored(runs: Sequence[Run], output: str, inputs: Mapping[str, Steps], targets: Steps) -> Scored:
    graph = runs[0].graph
    if not graph.heads[output].generates:
        return _believed(runs, output, inputs, targets).score(targets)
    if len(runs) == 1:
        return graph.score(output, Batch(inputs, {output: targets}))
    of = graph.goes_on.get(output)
    heard = targets if of is None else inputs[of]
    if of is not None:
        # Nothing is heard before the beginning, which `extend` is told.
        nothing = Steps(heard.values[:0], Layout.equal(len(heard.layout), 0, heard.layout.device))
        inputs = {**inputs, of: nothing}
    generator, state, _ = _prompted(runs, output, inputs)
    return score_generated(generator, state, heard.prepended(generator.begin), targets.appended(generator.end).values)
