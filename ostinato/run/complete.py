"""What follows a prompt: streamed step by step, as next words, as whole completions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution
from ostinato.errors import ConfigError
from ostinato.heads.contract import Adapted, Generator
from ostinato.modalities.contract import Modality, Tokenized, Values
from ostinato.model.continuation import pieces_of
from ostinato.registry import settings_class
from ostinato.run.predict import Prompt, answers, encodings, part_of, prompt_of, shown
from ostinato.run.run import Row, Run
from ostinato.run.stops import Stops
from ostinato.searches.contract import Search
from ostinato.tokenizers.contract import Spelt

WIDTH = 64
"""Beginnings of words that are followed: of a vocabulary of pieces few others reach a word that is worth showing."""
NEGLIGIBLE = 0.01
"""A beginning that is less likely than this share of the last word shown changes neither list nor probabilities to
speak of."""
LINE_END, SENTENCE_ENDS, LONGEST_ENDLESS = "\n", ".!?…。！？।؟", 16
"""Where completions of one text end: of a word model of one, the likeliest of 200 words were one sentence over and
over."""
LONGEST_WORD = 24
"""Pieces of a word; longer ones are no suggestion."""
UNFINISHED = "\ufffd"
"""Stands at the end of a text whose last character is not whole yet."""


class Suggestion(NamedTuple):
    """What may follow, and how probable it is."""

    text: str
    probability: float


class Listening(Adapted):
    """A generator that reports each step of its only row as soon as a search reads on from it.

    Args:
        generator: what is searched.
        hear: gets the symbol's number, or the vector.
    """

    def __init__(self, generator: Generator, hear: Callable[[Any], None]):
        super().__init__(generator)
        self.hear, self.began = hear, False

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        if self.began:
            self.hear(steps[0].tolist())
        self.began = True
        return self.generator.step(steps, state)


def streamed(run: Run, row: Row, search: Search, *, seed: int, hear: Callable[[str], None]) -> str:
    """The answer to one row, its text passed on piece by piece while it is generated; returns the whole.

    What may be the beginning of a stop is held back until it is none.

    Errors:
        ConfigError: the run has several outputs or none that is generated, or the search follows several answers at
            once.
    """
    output = _generated(run)
    if search.n_best != 1 or not search.one_path:
        raise ConfigError(
            "--stream prints one answer while it is generated; add --set search=sample or --set search=greedy, without "
            "--n-best"
        )
    modality, generated, passed = run.modality(row, f"outputs.{output}"), [], ""
    stops, closing = Stops(search.stop, modality, run.copies(output)), modality.closing()

    def hear_step(step: Any) -> None:
        nonlocal passed
        generated.append(step)
        text = shown(modality, stops.sure(prompt.without(modality.decode(generated), 0))).removesuffix(closing)
        if not text.endswith(UNFINISHED) and text.startswith(passed):
            hear(text[len(passed) :])
            passed = text

    with torch.inference_mode():
        prompt = _prompt(run, row, output, seed)
        listening = Listening(stops.over(prompt.generator, prompt.rests), hear_step)
        ((best, *_),) = search.search(
            listening, prompt.state, prompt.longest, prompt.seeds, attention=False, first=prompt.first
        )
    whole = shown(modality, stops.cut(prompt.without(modality.decode(best.symbols), 0)))
    hear(whole[len(passed) :] if whole.startswith(passed) else "")
    return whole


def _prompt(run: Run, row: Row, output: str, seed: int) -> Prompt:
    members = run.members
    return prompt_of(members, output, part_of(encodings(members, [row], _the_prompt, output), [0]), seed)


def _the_prompt(row: int) -> str:
    return "the prompt"


def _generated(run: Run) -> str:
    listed = [name for name in run.outputs if run.graph.heads[name].generates]
    if len(run.outputs) != 1 or not listed:
        raise ConfigError(
            f"{run.folder}: gives {', '.join(run.outputs)}; this needs a run of one output that is generated"
        )
    return listed[0]


def completions(run: Run, row: Row, count: int) -> list[Suggestion]:
    """The likeliest whole answers, as a mail program shows them, by a beam of twice as many; the recipe's stops hold.

    Where a run continues one text, which has no end of its own, an answer ends with the line; where a vocabulary of
    words lacks that, with the sentence, and after LONGEST_ENDLESS words.
    """
    output, settings = _generated(run), run.recipe.settings
    stop, longest = settings.search.stop, settings.search.max_length
    if not stop and settings.data.rows == "file":
        ends_lines = _stops_at(run, output, LINE_END)
        stop = [LINE_END] if ends_lines else [mark for mark in SENTENCE_ENDS if _stops_at(run, output, mark)]
        longest = longest if ends_lines else min(longest or LONGEST_ENDLESS, LONGEST_ENDLESS)
    width = max(8, 2 * count)
    search = settings_class("searches", "beam")(
        type="beam", width=width, n_best=2 * count, stop=stop, max_length=longest
    )
    (answered,) = answers([run], [row], search=search)
    likely: dict[str, float] = {}
    # One text may be spelt in several ways, and go on in several after a stop.
    for answer in answered[output]:
        likely[answer.text] = likely.get(answer.text, 0.0) + math.exp(answer.log_probability)
    return sorted(starmap(Suggestion, likely.items()), key=lambda answer: -answer.probability)[:count]


def _stops_at(run: Run, output: str, text: str) -> bool:
    """Whether the output generates a text at which it can stop; a vocabulary of words has no end of a line."""
    try:
        Stops([text], run.modalities[f"outputs.{output}"], run.copies(output))
    except ConfigError:
        return False
    return True


def next_words(run: Run, row: Row, count: int) -> list[Suggestion]:
    """The likeliest next words, as a keyboard shows them; a prompt that ends within a word is completed.

        p(word) = sum over its spellings in pieces of p(pieces) p(the next piece begins with white space, or the end)

    The sum runs over the WIDTH likeliest beginnings at each piece. Where pieces reach over the border of a word, the
    last word of the prompt is generated again in every way that spells it, and p divided by the sum over these. Where
    each symbol is a word, one step is enough; an unknown word at the end of the prompt is completed, if known ones
    begin with it.

    Args:
        run: of one output, which continues its input.
        row: the prompt.
        count: how many, at most.
    """
    output = _generated(run)
    modality = run.modalities[f"outputs.{output}"]
    if output not in run.graph.continues:
        raise ConfigError(
            f"{run.folder}: {output} does not continue its input; next words need an output of align 'next'"
        )
    if isinstance(modality.spec, Values):
        raise ConfigError(
            f"{run.folder}: {output} goes on with numbers, and words or other symbols are suggested; take `ostinato"
            " predict`"
        )
    if not isinstance(modality, Tokenized):
        return _next_symbols(run, row, output, count, "")
    place = f"inputs.{run.graph.continues[output]}"
    raw = str(run.raw(row, place))
    text = modality.prepared(raw)
    if isinstance(modality.tokenizer, Spelt):
        beginning = _unknown_end(modality, raw, text)
        return _next_symbols(run, {**row, place: text.removesuffix(beginning)}, output, count, beginning)
    with torch.inference_mode():
        prompt = _prompt(run, row, output, 0)
    generator, state, symbols, (rest,) = prompt.generator, prompt.state, prompt.first, prompt.rests
    pieces = pieces_of(modality).texts
    begins_with_space = torch.tensor(
        [number == generator.end or piece[:1].isspace() for number, piece in enumerate(pieces)]
    )
    within = _last_word(text)
    spelt: list[list[int]] = [[]]
    totals, words, whole = torch.zeros(1), dict[str, float](), 0.0
    with torch.inference_mode():
        for _ in range(LONGEST_WORD + len(rest)):
            distribution, state = generator.step(symbols, state)
            logs = distribution.by_symbol(generator.num_symbols).cpu()
            if rest:
                logs = logs + generator.kept(state).cpu()[:, None]
            logs[:, [generator.begin, modality.spec.unknown]] = -math.inf
            generated = [modality.decode(np.array(numbers, np.int64)) for numbers in spelt]
            texts = [answer[len(rest) :] for answer in generated]
            for answer, row_logs, total in zip(generated, logs, totals.tolist()):
                if len(answer) < len(rest):
                    over = torch.tensor([len(answer) + len(piece) >= len(rest) for piece in pieces])
                    whole += math.exp(total + float(row_logs[over].logsumexp(0)))
            started = torch.tensor([bool(answer.strip()) for answer in texts])
            ends = torch.logsumexp(logs[:, begins_with_space], 1) + totals
            for answer, total in zip(texts, ends.tolist()):
                if answer.strip() and not answer.endswith(UNFINISHED):
                    word = answer.strip() if answer[:1].isspace() else within + answer.strip()
                    words[word] = words.get(word, 0.0) + math.exp(total)
            open_ends = logs.masked_fill(started[:, None] & begins_with_space[None], -math.inf)
            open_ends[:, generator.end] = -math.inf
            best = (totals[:, None] + open_ends).flatten()
            values, places = best.topk(min(WIDTH, len(best)))
            kept = values > -math.inf
            values, places = values[kept], places[kept]
            enough = sorted(words.values(), reverse=True)[count - 1 : count]
            if not len(values) or (enough and float(values[0].exp()) < NEGLIGIBLE * enough[0]):
                break
            rows, numbers = places // generator.num_symbols, places % generator.num_symbols
            spelt = [[*spelt[at], symbol] for at, symbol in zip(rows.tolist(), numbers.tolist())]
            totals, symbols, state = values, numbers.to(symbols.device), state.reorder(rows.to(symbols.device))
    likeliest = sorted(words.items(), key=_probability_of, reverse=True)[:count]
    return [Suggestion(word, probability / whole if rest else probability) for word, probability in likeliest]


def _probability_of(item: tuple[str, float]) -> float:
    return item[1]


def _next_symbols(run: Run, row: Row, output: str, count: int, beginning: str) -> list[Suggestion]:
    """The likeliest symbols after a prompt; only those that begin with `beginning`, if it is not empty."""
    modality = run.modalities[f"outputs.{output}"]
    with torch.inference_mode():
        prompt = _prompt(run, row, output, 0)
        generator = prompt.generator
        distribution, _ = generator.step(prompt.first, prompt.state)
        logs = distribution.by_symbol(generator.num_symbols)
    if beginning:
        fits = [text.startswith(beginning) for text in pieces_of(modality).texts]
        logs = logs.masked_fill(~torch.tensor(fits, device=logs.device), -math.inf)
    probabilities = torch.softmax(logs[0], 0)
    never = sorted({generator.begin, generator.end, modality.spec.unknown})
    probabilities[never] = 0
    values, numbers = probabilities.topk(min(count, len(probabilities) - len(never)))
    pairs = zip(modality.labels(numbers.cpu().numpy()), values.tolist())
    return [Suggestion(text, probability) for text, probability in pairs if probability > 0 or not beginning]


def _unknown_end(modality: Modality, raw: str, prompt: str) -> str:
    """The unknown word that ends a prompt, as the model reads it, if it is the beginning of a known one; or nothing.

    Args:
        modality: of the prompt.
        raw: the prompt as it was typed, whose last word may be one that is left out.
        prompt: as it is prepared.
    """
    word = re.search(r"\w[\w'’-]*$", raw)
    beginning = "" if word is None else modality.prepared(word[0])
    if not beginning or not prompt.endswith(beginning) or modality.encode(prompt)[-1] != modality.spec.unknown:
        return ""
    return beginning if any(text.startswith(beginning) for text in pieces_of(modality).texts) else ""


def _last_word(prompt: str) -> str:
    """The word within which a prompt ends; empty after white space."""
    return "" if not prompt or prompt[-1].isspace() else prompt.split()[-1]
