"""What follows a prompt: symbol by symbol as it is said, as next words, as whole completions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads.contract import Decoding, Generator
from ostinato.modalities.text import Text
from ostinato.model.continuation import KEPT, pieces_of
from ostinato.recipe import columns as recipe_columns
from ostinato.registry import settings_class
from ostinato.run.predict import Begun, answers, begin
from ostinato.run.run import Row, Run
from ostinato.searches._stops import Stops
from ostinato.searches.contract import Search
from ostinato.searches.greedy import Greedy
from ostinato.searches.sample import Sample
from ostinato.steps import Steps

WIDTH = 64
"""Beginnings of words that are followed: of a vocabulary of pieces few others reach a word that is worth showing."""
NEGLIGIBLE = 0.01
"""A beginning that is less likely than this share of the last word shown changes neither list nor probabilities to speak of."""
LONGEST_WORD = 24
"""Pieces of a word; longer ones are no suggestion."""
UNFINISHED = "\ufffd"
"""Stands at the end of a text whose last character is not whole yet."""


class Suggestion(NamedTuple):
    """What may follow, and how probable it is."""

    text: str
    probability: float


class Listening(Generator):
    """A generator that tells each symbol of its only row as soon as a search goes on with it.

    Args:
        generator: what is searched.
        hear: is told the symbol's number.
    """

    def __init__(self, generator: Generator, hear: Callable[[int], None]):
        self.generator, self.hear, self.began = generator, hear, False
        self.begin, self.end, self.num_symbols = generator.begin, generator.end, generator.num_symbols

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        return self.generator.start(encoded)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        return self.generator.extend(steps, state)

    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        if self.began:
            self.hear(int(symbols))
        self.began = True
        return self.generator.step(symbols, state)


def streamed(run: Run, row: Row, search: Search, *, seed: int, hear: Callable[[str], None]) -> str:
    """The answer to one row, its text told piece by piece while it is said; returns the whole.

    What may be the beginning of a stop is held back until it is none.

    Errors:
        ConfigError: the run has several outputs or none that is generated, or the search follows several answers at once.
    """
    output = _generated(run)
    if search.n_best != 1 or not isinstance(search, (Greedy, Sample)):
        raise ConfigError(
            "--stream tells one answer while it is said; add --set search=sample or --set search=greedy, without --n-best"
        )
    modality, said, told = run.modalities[f"outputs.{output}"], [], ""

    stops = Stops(search.stop, modality)

    def tell(symbol: int) -> None:
        nonlocal told
        said.append(symbol)
        text = modality.write(stops.sure(modality.decode(said)[len(resaid) :]))
        if not text.endswith(UNFINISHED) and text.startswith(told):
            hear(text[len(told) :])
            told = text

    with torch.inference_mode():
        begun = _begun(run, row, output, seed)
        (resaid,) = begun.resaid
        listening = Listening(stops.over(begun.generator, begun.resaid), tell)
        ((best, *_),) = search.search(
            listening, begun.state, begun.longest, begun.seeds, attention=False, first=begun.first
        )
    whole = modality.write(stops.cut(modality.decode(best.symbols)[len(resaid) :]))
    hear(whole[len(told) :] if whole.startswith(told) else "")
    return whole


def _begun(run: Run, row: Row, output: str, seed: int) -> Begun:
    columns = {name: run.encoded([row], f"inputs.{name}", lambda _: "the prompt") for name in run.graph.reads[output]}
    return begin([run], output, columns, [0], seed)


def _generated(run: Run) -> str:
    listed = [name for name in run.outputs if run.graph.heads[name].generates]
    if len(run.outputs) != 1 or not listed:
        raise ConfigError(
            f"{run.folder}: gives {', '.join(run.outputs)}; this needs a run of one output that is generated"
        )
    return listed[0]


def completions(run: Run, row: Row, count: int) -> list[Suggestion]:
    """The likeliest whole answers, as a mail program shows them, by a beam of twice as many; the recipe's stops hold."""
    output = _generated(run)
    stop = run.recipe.settings.search.stop
    search = settings_class("searches", "beam")(type="beam", width=max(8, 2 * count), n_best=count, stop=stop)
    (found,) = answers([run], [row], search=search)
    return sorted(
        (Suggestion(one.text, math.exp(one.log_probability)) for one in found[output]), key=lambda one: -one.probability
    )


def next_words(run: Run, row: Row, count: int) -> list[Suggestion]:
    """The likeliest next words, as a keyboard shows them; a prompt that ends within a word is completed.

        p(word) = sum over the ways to say it in pieces of p(pieces) p(the next piece begins with white space, or the end)

    The sum runs over the WIDTH likeliest beginnings at each piece. Where pieces reach over the border of a word, the last word
    of the prompt is said again in every way that spells it, and p divided by the sum over these. Where each symbol is a word,
    one step says it all; an unknown word at the end of the prompt is completed, if known ones begin with it.

    Args:
        run: of one output that an input goes on to.
        row: the prompt.
        count: how many, at most.
    """
    output = _generated(run)
    settings, modality = run.outputs[output], run.modalities[f"outputs.{output}"]
    if output not in run.graph.continues:
        raise ConfigError(
            f"{run.folder}: {output} does not go on from its input; next words need an output of align 'next'"
        )
    direction, _, name = recipe_columns.vocabulary_owners(run.recipe.settings)[f"outputs.{output}"].partition(".")
    if settings.type != "text":
        return _next_symbols(run, row, output, count, "")
    heard = f"inputs.{run.graph.continues[output]}"
    raw = str(run.raw(row, heard))
    prompt = modality.prepared(raw)
    if getattr(run, direction)[name].tokenizer.type == "word":
        begun = _unknown_end(modality, raw, prompt)
        return _next_symbols(run, {**row, heard: prompt.removesuffix(begun)}, output, count, begun)
    with torch.inference_mode():
        generator, state, said, _, _, (resaid,) = _begun(run, row, output, 0)
    pieces = pieces_of(modality).texts
    begins_with_space = torch.tensor(
        [number == generator.end or piece[:1].isspace() for number, piece in enumerate(pieces)]
    )
    within = _last_word(prompt)
    spelt: list[list[int]] = [[]]
    totals, words, whole = torch.zeros(1), dict[str, float](), 0.0
    with torch.inference_mode():
        for _ in range(LONGEST_WORD + len(resaid)):
            logits, state = generator.step(said, state)
            logs = torch.log_softmax(logits, 1).cpu()
            if resaid:
                logs = logs + state.values[KEPT].cpu()[:, None]
            logs[:, [generator.begin, modality.spec.unknown]] = -math.inf
            said_so_far = [modality.decode(np.array(one, np.int64)) for one in spelt]
            texts = [one[len(resaid) :] for one in said_so_far]
            for one, row_logs, total in zip(said_so_far, logs, totals.tolist()):
                if len(one) < len(resaid):
                    over = torch.tensor([len(one) + len(piece) >= len(resaid) for piece in pieces])
                    whole += math.exp(total + float(row_logs[over].logsumexp(0)))
            started = torch.tensor([bool(text.strip()) for text in texts])
            ends = torch.logsumexp(logs[:, begins_with_space], 1) + totals
            for text, total in zip(texts, ends.tolist()):
                if text.strip() and not text.endswith(UNFINISHED):
                    word = text.strip() if text[:1].isspace() else within + text.strip()
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
            rows, symbols = places // generator.num_symbols, places % generator.num_symbols
            spelt = [[*spelt[at], symbol] for at, symbol in zip(rows.tolist(), symbols.tolist())]
            totals, said, state = values, symbols.to(said.device), state.reorder(rows.to(said.device))
    listed = sorted(words.items(), key=lambda one: -one[1])[:count]
    return [Suggestion(word, probability / whole if resaid else probability) for word, probability in listed]


def _next_symbols(run: Run, row: Row, output: str, count: int, begun: str) -> list[Suggestion]:
    """The likeliest symbols after a prompt that can be said; of those that begin with `begun` alone, if it is not empty."""
    modality = run.modalities[f"outputs.{output}"]
    with torch.inference_mode():
        generator, state, said, *_ = _begun(run, row, output, 0)
        logits, _ = generator.step(said, state)
    if begun:
        fits = [text.startswith(begun) for text in pieces_of(modality).texts]
        logits = logits.masked_fill(~torch.tensor(fits, device=logits.device), -math.inf)
    probabilities = torch.softmax(logits[0], 0)
    never = sorted({generator.begin, generator.end, modality.spec.unknown})
    probabilities[never] = 0
    values, numbers = probabilities.topk(min(count, len(probabilities) - len(never)))
    found = zip(modality.labels(numbers.cpu().numpy()), values.tolist())
    return [Suggestion(*one) for one in found if one[1] > 0 or not begun]


def _unknown_end(modality: Text, raw: str, prompt: str) -> str:
    """What a prompt ends with and no word is, but the beginning of a known one; or nothing. It is spelt as the model hears it.

    Args:
        modality: of the prompt.
        raw: the prompt as it was typed, whose last word may be one that is left out.
        prompt: as it is prepared.
    """
    found = re.search(r"\w[\w'’-]*$", raw)
    begun = "" if found is None else modality.prepared(found[0])
    if not begun or not prompt.endswith(begun) or modality.encode(prompt)[-1] != modality.spec.unknown:
        return ""
    return begun if any(text.startswith(begun) for text in pieces_of(modality).texts) else ""


def _last_word(prompt: str) -> str:
    """The word within which a prompt ends; empty after white space."""
    return "" if not prompt or prompt[-1].isspace() else prompt.split()[-1]
