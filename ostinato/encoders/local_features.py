"""The encoder that counts around each step: the words there, how they begin, end and are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ostinato.encoders._keys import BASE, counted_by_row, keep_commonest, looked_up, mixed
from ostinato.encoders.contract import Bag, BagEncoder
from ostinato.layers.characters import without_characters
from ostinato.modalities.contract import Spec, Symbols
from ostinato.registry import Count, Whole
from ostinato.steps import Steps

BORDER = 0x632BE59BD9B4E019
"""The key of what stands before the first step of a row and after its last."""
WEIGHT = 0.5
"""Of each feature: under the penalty that all solutions share (`run.solve`) French parts of speech, English and German
entities (200 and 1,000 sentences, validation) had a lower log loss with it than with 0.3 or 1."""
NEIGHBOURS_ENDING = 3
"""Letters of the words beside a step: of French parts of speech (200 sentences, validation) all their endings and
beginnings, up to four letters, gave 87.3 %, these alone 88.2 %."""


class LocalFeatures(BagEncoder):
    """A bag of features of each step: the words in a window around it, and how it is spelt.

        the words              at t - window, ..., t, ..., t + window, each place on its own
        endings, beginnings    of the word at t, from one letter up
        its form               kinds of its letters, runs of one kind as one: `Xx` of Paris, `9.9` of 24.12
        of the words beside it their last three letters and their forms

        x[t, f] = 1/2 if step t has the feature f, else 0
        steps   = sum_f x[t, f] E[f] + b

    The training rows are counted before the first update. A feature is known by a number of 64 bits that is made of its
    symbols, so that no list of words is kept.

    A head that labels steps takes steps of one number for each label as their scores (see `tagger` and `crf`): E and b
    are then solved for before training, and held. With `window: 0, affixes: 0` that is the commonest label of each
    word, and of all words where a word is new. Steps of another size are vectors that are learnt with everything else.

    It gives no summary.

    Shapes:
        steps (N,) symbols, words with characters (N, 1 + L); steps (N, size)

    Args:
        size: the width of the steps; by default the number of labels, where one output labels them, else 64.
        features: the most features to know.
        min_count: how often a feature must occur in the training rows to be known.
        window: how many words before and after a step are read; by default 2, and 7 where steps have no characters.
        affixes: the longest endings and beginnings of a word, 0 for none, and for no forms; by default 4 where steps
            have characters.

    Errors:
        ConfigError: affixes where steps have no characters.
        ValueError: a state is given: it reads whole inputs.

    Source: the features: Ratnaparkhi 1996, aclanthology.org/W96-0213, section 2, and Toutanova 2003,
    aclanthology.org/N03-1033; the forms: Collins 2002, aclanthology.org/W02-1001.
    """

    takes = (Symbols,)
    counts_steps = True
    called = "features"
    features_per_step = 5.0

    def __init__(
        self,
        spec: Spec,
        *,
        size: Count | None = None,
        features: Count = 100_000,
        min_count: Count = 1,
        window: Whole | None = None,
        affixes: Whole | None = None,
    ):
        super().__init__(size, features)
        assert isinstance(spec, Symbols), "the graph gives an encoder what it takes"
        if affixes and not spec.characters:
            raise without_characters("affixes")
        self.window = (2 if spec.characters else 7) if window is None else window
        self.affixes = (4 if spec.characters else 0) if affixes is None else affixes
        self.look_ahead = self.window
        self.min_count = min_count
        kinds = spec.kinds or (0,) * spec.characters
        # A letter of no kind is one of its own.
        codes = [kind or -number for number, kind in enumerate(kinds)]
        self.register_buffer("codes", torch.tensor(codes, dtype=torch.int64), persistent=False)

    @torch.no_grad()
    def count(self, blocks: Iterable[Steps]) -> None:
        found = []
        for steps in blocks:
            for places, keys in self._features(steps):
                found.append(counted_by_row(keys, places))
        keep_commonest(self.keys, found, self.min_count)

    def bag(self, steps: Steps) -> Bag:
        parts = []
        for places, keys in self._features(steps):
            known, numbers = looked_up(self.keys, keys)
            parts.append((places[known], numbers))
        rows, numbers = (torch.cat(columns) for columns in zip(*parts))
        return Bag(rows, numbers, self.table.new_full((len(rows),), WEIGHT))

    def _features(self, steps: Steps) -> Iterator[tuple[Tensor, Tensor]]:
        """The features of each kind: the steps that have one, and its key."""
        values = steps.values.long()
        words = mixed(values if values.ndim == 1 else values[:, 0])
        every = torch.arange(len(words), device=words.device)
        kinds = [words, *(_beside(words, steps, by) for by in _around(self.window))]
        spelt: list[tuple[Tensor, Tensor]] = []
        if self.affixes:
            letters = values[:, 1:]
            lengths = (letters > 0).sum(1)
            forms = self._forms(letters)
            backwards = _backwards(letters, lengths)
            endings = list(_beginnings(backwards, max(self.affixes, NEIGHBOURS_ENDING)))
            ending = endings[min(NEIGHBOURS_ENDING, len(endings)) - 1]
            kinds += [
                forms,
                *(_beside(keys, steps, by) for by in _around(min(1, self.window)) for keys in (forms, ending)),
            ]
            for affixes in (endings[: self.affixes], _beginnings(letters, self.affixes)):
                for length, affix in enumerate(affixes, 1):
                    longer = (lengths > length).nonzero().squeeze(1)
                    spelt.append((longer, affix[longer]))
        for number, (places, keys) in enumerate([*((every, keys) for keys in kinds), *spelt]):
            yield places, mixed(keys + number)

    def _forms(self, letters: Tensor) -> Tensor:
        """The keys of how words are written."""
        codes = self.codes[letters]
        begins = letters > 0
        begins[:, 1:] &= codes[:, 1:] != codes[:, :-1]
        powers = _powers(letters)[(begins.cumsum(1) - 1).clamp(min=0)]
        return (mixed(codes) * powers * begins).sum(1)


def _around(window: int) -> list[int]:
    return [by for distance in range(1, window + 1) for by in (-distance, distance)]


def _beside(keys: Tensor, steps: Steps, by: int) -> Tensor:
    """The key of the step so many places further on in the row of each."""
    places = torch.arange(len(keys), device=keys.device) + by
    inside = (places >= 0) & (places < len(keys))
    places = places.clamp(0, max(0, len(keys) - 1))
    rows = steps.layout.rows
    inside &= rows[places] == rows
    return keys[places].masked_fill(~inside, BORDER)


def _powers(letters: Tensor) -> Tensor:
    return torch.full((letters.shape[1],), BASE, device=letters.device).cumprod(0)


def _backwards(letters: Tensor, lengths: Tensor) -> Tensor:
    """Each word from its last letter to its first."""
    places = lengths.unsqueeze(1) - 1 - torch.arange(letters.shape[1], device=letters.device)
    return letters.gather(1, places.clamp(min=0)).masked_fill(places < 0, 0)


def _beginnings(letters: Tensor, longest: int) -> Iterator[Tensor]:
    """The keys of the first letters of each word, from one up; of a shorter word those of all."""
    keys = torch.zeros(len(letters), dtype=torch.int64, device=letters.device)
    for letter, power in zip(letters[:, :longest].unbind(1), _powers(letters)):
        keys = keys + mixed(letter) * power * (letter > 0)
        yield keys
