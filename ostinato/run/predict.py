"""Predictions of one trained run, or of several as an ensemble."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato import alignments
from ostinato.data.cache import to_steps
from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution
from ostinato.errors import ConfigError
from ostinato.heads.contract import Generator, Predicted, predicted
from ostinato.modalities.contract import Labels, Modality, Tokenized
from ostinato.model.continuation import Resuming, pieces_of
from ostinato.model.ensemble import Ensemble, difference, refuse_unlike
from ostinato.model.legal import Legal
from ostinato.model.reading import Reading
from ostinato.notes import Alike
from ostinato.registry import Settings, build
from ostinato.run.fusion import Adapt
from ostinato.run.run import Place, Row, Run, row_number
from ostinato.run.stops import Stops
from ostinato.searches.contract import Search
from ostinato.steps import Steps

BATCH_STEPS = 16_384
"""Steps computed at once, padding counted: one huge example must not make a whole batch as long as itself."""
LONGEST_ANSWER = 4
"""An answer is at most so many times as long as the longest training target: beyond that a model only babbles."""


Encodings = Mapping[Run, Mapping[str, list[np.ndarray]]]
"""The encoded rows of each input, by the run that reads them."""
Readings = Mapping[Run, Reading]
"""Some of them as a batch, each input encoded once."""


@dataclass(frozen=True)
class Answer:
    """One answer to one example.

    Args:
        value: the raw value.
        text: the raw value as one field of text, tabs and breaks escaped.
        score: what the search ranked by.
        log_probability: the model's own, natural logarithm.
        finished: whether the answer ended before the maximum length.
        attention: (generated steps, source steps) weights, or None.
        generated: one word per generated step, for a picture's axis; the end is the last.
        source: one word per step of the first input that is attended to; of steps that an encoder joins, their first.
        picture: of that input where it is one, (height, width, 3) from 0 to 1; the source steps are then places of a
            grid over it, column after column.
        grid_height: rows of that grid.
        probabilities: of each label where the answer is one label or a set of them, the likeliest first; else None.
        quantiles: of a forecast's distribution: level -> values in the form of `value`; else None.
        series: of a forecast the name of its series, where the data name it.
        times: of a forecast the time of each step, where the data have it.
        step_probabilities: of the label of each step, by itself, where steps have labels.
        words: those that the steps label, where they are words.
        offsets: of each word in the text: its first character, counted from 0, and the one after its last.
        entities: the spans that the labels of steps mark (`entities.Entity`), where they mark any.
        symbol_times: of each generated symbol a word for it, and where in the source it begins and ends: in seconds, or
            steps where the source has none; None where nobody asked, or the head knows none.
    """

    value: Any
    text: str
    score: float
    log_probability: float
    finished: bool = True
    attention: Tensor | None = None
    generated: Sequence[str] = ()
    source: Sequence[str] = ()
    picture: np.ndarray | None = None
    grid_height: int = 1
    probabilities: dict[str, float] | None = None
    quantiles: dict[float, np.ndarray] | None = None
    series: str | None = None
    times: np.ndarray | None = None
    step_probabilities: Sequence[float] | None = None
    words: Sequence[str] | None = None
    offsets: Sequence[tuple[int, int]] | None = None
    entities: Sequence[Any] | None = None
    symbol_times: Sequence[tuple[str, float, float]] | None = None


def shown(modality: Modality, value: Any) -> str:
    """A raw value as a person reads it: a text with its line breaks, anything else as a field."""
    return value if isinstance(value, str) else modality.write(value)


def ranks_labels(run: Run, output: str) -> bool:
    """Whether an output has a second best answer without a search: one label for each example."""
    return bool(labels_of(run, output)) and not run.modalities[f"outputs.{output}"].spec.multilabel


def labels_of(run: Run, output: str) -> list[str]:
    """The labels of an output that has one label, or a set of them, for each example; else none."""
    modality = run.modalities[f"outputs.{output}"]
    spec = modality.spec
    if not isinstance(spec, Labels) or alignments.of(run.outputs[output]).per_step:
        return []
    return modality.labels(np.eye(spec.size) if spec.multilabel else np.arange(spec.size))


def answers(
    runs: Sequence[Run],
    rows: Sequence[Row],
    *,
    search: Settings | None = None,
    seed: int = 0,
    batch_rows: int = 64,
    n_best: int = 1,
    attention: bool = False,
    times: bool = False,
    adapt: Adapt | None = None,
    outputs: Iterable[str] | None = None,
    place: Place = row_number,
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, list[Answer]]]:
    """The answers to each row, best first, by output; in the rows' order whatever the batches are.

    Args:
        runs: one, or several that answer as an ensemble.
        rows: raw values by place or column.
        search: in place of the recipe's.
        seed: of sampling; each row's own is made from it and from the row's content.
        batch_rows: rows computed at once, fewer where they are long; changes no answer.
        n_best: most answers to each row where the answer is a label; a search has its own.
        attention: whether answers carry their weights.
        times: whether they carry `symbol_times`.
        adapt: changes what generates an output, such as a language model beside it.
        outputs: only these.
        place: of a row, for messages.
        say: gets a line for each row that is longer than any the model was trained on.

    Errors:
        ConfigError: an ensemble of runs whose symbols, labels or scales differ.
    """
    members = members_of(runs)
    refuse_unlike([member.member() for member in dict.fromkeys(members)])
    first = members[0]
    searcher = build(search or first.recipe.settings.search, "searches")
    every: list[dict[str, list[Answer]]] = [{} for _ in rows]
    if not rows:
        return every
    columns = encodings(members, rows, place)
    _name_the_longest(first, columns[first], place, say)
    _name_the_changed(first, rows, place, say)
    outputs = list(first.outputs if outputs is None else outputs)
    for numbers in batches_of(columns_of(columns), batch_rows) if outputs else ():
        part = part_of(columns, numbers)
        for output in outputs:
            with torch.inference_mode():
                if first.graph.heads[output].generates:
                    own = [rows[row] for row in numbers]
                    answered = _searched(members, output, own, part, searcher, seed, attention, times, adapt)
                else:
                    best = predicted(distribution_of(members, output, part.readings))
                    answered = _predicted(first, output, best, n_best)
            for row, own in zip(numbers, answered):
                every[row][output] = own
    return every


def members_of(runs: Sequence[Run]) -> list[Run]:
    """What answers in place of these runs, which weigh alike however many members they have."""
    total = math.lcm(*(len(run.members) for run in runs))
    return [member for run in runs for member in run.members for _ in range(total // len(run.members))]


def encodings(members: Sequence[Run], rows: Sequence[Row], place: Place, output: str | None = None) -> Encodings:
    """These rows as each member reads them; what is read as the first one reads it is encoded once.

    Args:
        members: that answer together.
        rows: raw values by place or column.
        place: of a row, for messages.
        output: whose inputs are read; None: all inputs.
    """
    first = members[0]
    encoded: dict[Run, dict[str, list[np.ndarray]]] = {}
    for member in dict.fromkeys(members):
        encoded[member] = {}
        for name in member.inputs if output is None else member.graph.reads[output]:
            at = f"inputs.{name}"
            known = encoded[first].get(name)
            if known is None or member is first or difference(first.member(), member.member(), at) is not None:
                known = member.encoded(rows, at, place)
            encoded[member][name] = known
    return encoded


def columns_of(encoded: Encodings) -> dict[tuple[Run, str], list[np.ndarray]]:
    """Each column of each member."""
    return {(member, name): column for member, own in encoded.items() for name, column in own.items()}


class Part(NamedTuple):
    """Some rows that are answered together.

    Args:
        columns: the encoded rows of each input, all of them.
        rows: which of them.
        readings: these as a batch, by the run that reads them.
    """

    columns: Encodings
    rows: Sequence[int]
    readings: Readings


def part_of(columns: Encodings, rows: Sequence[int]) -> Part:
    """These rows as a batch."""
    readings = {
        member: Reading(member.graph, {name: gathered(column, rows, member.device) for name, column in own.items()})
        for member, own in columns.items()
    }
    return Part(columns, rows, readings)


def _searched(
    runs: Sequence[Run],
    output: str,
    raw: Sequence[Row],
    part: Part,
    searcher: Search,
    seed: int,
    attention: bool,
    times: bool,
    adapt: Adapt | None,
) -> list[list[Answer]]:
    """The answers that a search finds for these rows, row by row."""
    run, modality = runs[0], runs[0].modalities[f"outputs.{output}"]
    modalities = [run.modality(row, f"outputs.{output}") for row in raw]
    stops = Stops(searcher.stop, modality, run.copies(output))
    columns, prompt = part.columns[run], prompt_of(runs, output, part, seed)
    generator = prompt.generator if adapt is None else adapt(modality, prompt.generator)
    generator = stops.over(generator, prompt.rests, modalities)
    listed = searcher.search(
        generator, prompt.state, prompt.longest, prompt.seeds, attention=attention, first=prompt.first
    )
    of = run.graph.continues.get(output) if modality.continues_whole else None
    whole = None if of is None else columns[of]
    every = []
    for place, (row, hypotheses) in enumerate(zip(part.rows, listed)):
        answers = []
        for best in hypotheses:
            symbols = [*whole[row].tolist(), *best.symbols] if whole is not None else best.symbols
            value = stops.cut(prompt.without(modalities[place].decode(symbols), place))
            answer = Answer(value, modality.write(value), best.score, best.log_probability, best.finished)
            if best.attention is not None:
                attended = run.graph.reads[output][run.graph.heads[output].attended[0]]
                reader, encoder = run.modality(raw[place], f"inputs.{attended}"), run.graph.encoder(attended)
                steps = columns[attended][row]
                answer = replace(
                    answer,
                    attention=best.attention,
                    generated=[*modalities[place].labels(best.symbols), "end"][: len(best.attention)],
                    source=reader.labels(steps)[:: encoder.reduction],
                    picture=reader.picture(steps),
                    grid_height=encoder.grid_height,
                )
            answers.append(answer)
        every.append(answers)
    if times:
        best = [hypotheses[0].symbols for hypotheses in listed]
        spans = prompt.generator.spans(prompt.state, best)
        if spans is None:
            raise no_times(run, output)
        read = run.graph.reads[output][0]
        unit = run.graph.encoder(read).reduction * (run.modalities[f"inputs.{read}"].step_seconds or 1)
        for answers, symbols, own in zip(every, best, spans):
            words = zip(modality.labels(symbols), own)
            answers[0] = replace(answers[0], symbol_times=[(word, a * unit, b * unit) for word, (a, b) in words])
    return every


def no_times(run: Run, output: str) -> ConfigError:
    """What is said where times are asked for of an output that has none."""
    return ConfigError(
        f"--times needs an output with a head that aligns its symbols, such as ctc, and outputs.{output} of"
        f" {run.folder} has none; leave it out"
    )


def distribution_of(
    runs: Sequence[Run], output: str, readings: Readings, targets: Steps | None = None, rows: Tensor | None = None
) -> Distribution:
    """The distribution of an output that needs no search, by one run or by several on average.

    Args:
        runs: that answer.
        output: what is answered.
        readings: what each of them reads.
        targets: a step that depends on the steps before it then reads the true ones.
        rows: of the batch that have them; None: all.

    Errors:
        ConfigError: their distributions have no average.
    """
    by_run = {run: readings[run].predict_distribution(output, targets, rows) for run in dict.fromkeys(runs)}
    own, *others = (by_run[run] for run in runs)
    try:
        return own.mean_of(others)
    except ConfigError as why:
        raise ConfigError(f"{', '.join(str(run.folder) for run in runs)}: outputs.{output}: {why}") from None


class Prompt(NamedTuple):
    """What a search is given for some rows.

    Args:
        generator: what it asks.
        state: one hypothesis per row, after the prompt.
        first: the first step of each row, or None for the generator's own beginning.
        longest: the most symbols of each answer.
        seeds: of each row.
        rests: the end of each row's prompt, which its answer generates again first; no part of the answer.
    """

    generator: Generator
    state: Decoding
    first: Tensor | None
    longest: Tensor
    seeds: Tensor
    rests: list[str]

    def without(self, value: Any, row: int) -> Any:
        """A raw value that was generated, without the end of its prompt."""
        return value[len(self.rests[row]) :] if self.rests[row] else value


def prompt_of(runs: Sequence[Run], output: str, part: Part, seed: int) -> Prompt:
    """What a search starts from to answer each of these rows; several runs answer as an ensemble.

    Args:
        runs: one, or several of one vocabulary.
        output: what is generated.
        part: the rows.
        seed: each row's own is made from it and from the row's content.
    """
    run, rows = runs[0], part.rows
    columns, read = part.columns[run], run.graph.reads[output]
    steps = [part.readings[run].inputs[name] for name in read]
    longest = _longest(steps, run.bundle.lengths[output], run.graph.generator(output).labels_source)
    rests, begun = [""] * len(rows), None
    of, modality = run.graph.continues.get(output), run.modalities[f"outputs.{output}"]
    if of is not None and isinstance(modality, Tokenized):
        pieces = pieces_of(modality)
        heads, rests = zip(*(pieces.cut(columns[of][row]) for row in rows))
        begun = gathered(heads, range(len(rows)), run.device)
    generator, state, first = prompted(runs, output, part.readings, begun)
    if any(rests):
        generator = Resuming(generator, pieces, rests)
    grammar = modality.grammar()
    if grammar is not None:
        generator = Legal(generator, grammar, [[] if of is None else columns[of][row] for row in rows])
    seeds = torch.tensor([_row_seed(seed, [columns[name][row] for name in read]) for row in rows])
    return Prompt(generator, state, first, longest, seeds, list(rests))


def prompted(
    runs: Sequence[Run], output: str, readings: Readings, prompt: Steps | None = None, rows: Tensor | None = None
) -> tuple[Generator, Decoding, Tensor | None]:
    """The generator, its state after the prompt, and the first step; see `Reading.prompted`."""
    counts = Counter(runs)
    encoded, first = zip(*(readings[run].prompted(output, prompt, rows) for run in counts))
    generators = [run.graph.generator(output) for run in counts]
    if len(generators) == 1:
        return generators[0], generators[0].start(encoded[0]), first[0]
    generator = Ensemble(generators, list(counts.values()))
    return generator, generator.start(encoded), first[0]


def batches_of(columns: Mapping[Any, list[np.ndarray]], batch_rows: int) -> Iterator[list[int]]:
    """The rows from longest to shortest, as many at once as both limits allow."""
    lengths = np.array([[len(one) for one in column] for column in columns.values()])
    order = np.argsort(-lengths.sum(0), kind="stable").tolist()
    longest = lengths.max(0)
    at = 0
    while at < len(order):
        # Ordered by the sum of all columns, a later row may hold the longer cell of one column: the widest of those
        # that may come.
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
                excess = f"inputs.{name} has {len(steps):,} steps, and training.max_steps was {limit:,}"
                say(f"{place(row)}: {excess}; answered all the same")


def _name_the_changed(run: Run, rows: Sequence[Row], place: Place, say: Callable[[str], None]) -> None:
    for name in run.inputs:
        modality, remarks = run.modalities[f"inputs.{name}"], Alike()
        for row, cells in enumerate(rows):
            raw = run.raw(cells, f"inputs.{name}")
            if raw is not None:
                remarks.add(modality.remark(raw), row)
            elif not modality.numeric:
                remarks.add("is missing, and read as an empty one", row)
        for line in remarks.lines(place, f": inputs.{name}: "):
            say(line)


def gathered(
    column: Sequence[np.ndarray] | Mapping[int, np.ndarray], rows: Sequence[int], device: torch.device
) -> Steps:
    """Some rows of one column as a batch."""
    picked = [column[row] for row in rows]
    return to_steps(np.concatenate(picked), np.array([len(one) for one in picked], dtype=np.int64)).to(device)


def _longest(inputs: Sequence[Steps], trained: int, labels_source: bool) -> Tensor:
    """The most symbols of an answer: as many as the longest training target, or twice the input with room to spare, but
    see above. Where steps of the input are labelled, as many as it has, since each symbol takes one."""
    source = torch.stack([steps.layout.lengths for steps in inputs]).amax(0)
    if labels_source:
        return source.clamp(min=1)
    return (2 * source + 20).clamp(min=trained, max=LONGEST_ANSWER * trained + 20)


def _row_seed(seed: int, sequences: Iterable[np.ndarray]) -> int:
    digest = hashlib.sha256(str(seed).encode())
    for sequence in sequences:
        digest.update(sequence.tobytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _predicted(run: Run, output: str, best: Predicted, n_best: int) -> Iterator[list[Answer]]:
    """The answers of a head that needs no search, example by example; only a single label has a second best."""
    modality = run.modalities[f"outputs.{output}"]
    log_probability = best.log_probability.tolist()
    words = [] if best.probabilities is None else labels_of(run, output)
    ranked = ranks_labels(run, output)
    quantiles = None
    if best.quantiles is not None:
        split = [best.steps.with_values(values).split() for values in best.quantiles.values()]
        quantiles = [torch.cat(levels).cpu().numpy() for levels in zip(*split)]
    by_step = None
    if (
        best.probabilities is not None
        and alignments.of(run.outputs[output]).labels_steps
        and best.steps.values.ndim == 1
    ):
        shares = best.probabilities.gather(1, best.steps.values.unsqueeze(1)).squeeze(1)
        by_step = [steps.tolist() for steps in best.steps.with_values(shares).split()]
    for row, steps in enumerate(best.steps.split()):
        answer = _answer(modality, steps.cpu().numpy(), log_probability[row])
        if by_step is not None:
            answer = replace(answer, step_probabilities=by_step[row])
        if quantiles is not None:
            values = np.asarray(modality.decode(quantiles[row]), dtype=np.float32)
            parts = values.reshape(len(best.quantiles), -1, *values.shape[1:])
            answer = replace(answer, quantiles=dict(zip(best.quantiles, parts)))
        if not words:
            yield [answer]
            continue
        shares = best.probabilities[row].tolist()
        order = np.argsort([-share for share in shares], kind="stable").tolist()
        probabilities = {words[label]: shares[label] for label in order}
        others = [label for label in order if label != int(steps[0])][: n_best - 1] if ranked else []
        scores = [float(np.log(max(shares[label], 1e-38))) for label in others]
        listed = [answer, *(_answer(modality, np.array([label]), score) for label, score in zip(others, scores))]
        yield [replace(label, probabilities=probabilities) for label in listed]


def _answer(modality: Modality, steps: np.ndarray, log_probability: float) -> Answer:
    value = modality.decode(steps)
    return Answer(value, modality.write(value), log_probability, log_probability)
