"""Sizes that depend on the data: chosen from it where the recipe gives none, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ostinato import alignments
from ostinato.layers.vocabulary import COVERED, cutoffs_of
from ostinato.modalities.contract import Worded
from ostinato.model.columns import counts, encoder_owner
from ostinato.preprocessing.duration import Chosen, duration, rounded
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe.read import Recipe
from ostinato.registry import Settings, component

UPDATES_AN_EPOCH = 200
"""Fewer updates learn little from an epoch, many more cost more than they teach: the middle that small and large
sets share."""

SUBWORD_POOLING = "mean"
"""What represents a word that is read in pieces, where it has a label. Of English parts of speech (UD EWT, 3,000
sentences, 1,500 pieces, an LSTM of 64 both ways, two seeds) mean gave 88.2 %, last 87.9 %, first 86.1 %; one way (one
seed) 84.6, 84.7 and 80.4 %."""

STREAMS = (8, 64)
"""The fewest and the most streams that are chosen: products of fewer rows are slow, and more streams than rows run
dry."""

WINDOWS = 64
"""Windows in a batch: as many rows as keep the products of a recurrence wide."""

WINDOWS_WIDTH = 64
"""Of encoders of windows, which add to a map of the window that is solved for, and read each step many times. In five
minutes on one core, ETTh1 (validation hours, 96 ahead) had a squared error of 0.692 with it and of 0.703 with 128,
whose evaluation alone took longer than that."""

POOL, POOL_ROWS = "attention", 1_000
"""What labels of texts and tokens read of a recurrent encoder of both directions, in place of its last states. Log loss
in validation of bare types, last states and attention: SST 0.403, 0.398; MR 0.457, 0.451; surnames 0.576, 0.568; AG
News 0.375, 0.365; MRPC 0.615, 0.607; SST of five 1.341, 1.336; splice junctions 0.075, 0.064 and 0.121, 0.101 (two
seeds); WiLI 0.0845, 0.0844; IMDb 0.297, 0.298; whole film reviews 0.356, 0.356. Series of measurements gained nothing:
HAR 0.078, 0.079; digits by pen 0.019, 0.023. With fewer rows last states stay: mean log loss of rows held out
after 200, 600 and 1,500 in training, three draws: MRPC 0.650, 0.632, 0.612 by them and 0.709, 0.639, 0.607 by
attention; SST 0.724, 0.630, 0.542 and 0.786, 0.645, 0.540; surnames 1.243, 1.057, 0.895 and 1.259, 1.076, 0.917.
Beside labels of the steps they stay too: with attention ATIS' intents are learnt before its slots, whose F1 in test was
93.4 for 95.7."""

COUNTED_ROWS = 64
"""Rows in a batch where all inputs are counted."""

RULES_WIDTH, RULES_DROPOUT, RULES_ROWS, RULES_UPDATES = 64, 0.1, 32, 9_000
"""Of texts made by rules, whose loss stays where it is for a long time before it falls: of bAbI task 6 (32 words,
validation, nothing counted beside) two seeds had 99.9 and 84.6 % after 3,100 updates, the second 99.9 % after 9,000."""

STEADY = 0.0, "a number is a sum over all that the head reads: what is dropped moves it"
"""No dropout right before a number. Labels keep their order when the sum is off, a squared error does not forgive
it."""


@dataclass(frozen=True)
class Amount:
    """What was counted in the training split.

    Args:
        rows: number of examples.
        characters: of each column, by its place (`inputs.de`): characters of raw text.
        steps: of each column: steps after encoding; empty before that.
        distinct: steps that differ, where rows are windows that overlap; None: all do.
        labels: of each output of labels, by its name: how many there are.
        rules: why the inputs are texts made by rules; None: they are not.
    """

    rows: int
    characters: Mapping[str, int]
    steps: Mapping[str, int]
    distinct: int | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    rules: str | None = None


def words(recipe: Recipe) -> Chosen:
    """How pieces become words where words have labels, before fitting: for each text whose tokenizer cuts words to
    sub-words.

    A text of single characters or bytes is left alone: its characters may be what has labels.
    """
    chosen: Chosen = {}
    owners, columns = recipe_columns.vocabulary_owners(recipe.settings), dict(recipe_columns.places(recipe.settings))
    for name, output in recipe.settings.outputs.items():
        read = alignments.labelled(output, recipe.settings)
        place = f"inputs.{read}"
        if (
            read is None
            or "subword_pooling" not in type(columns[place]).model_fields
            or recipe.gives(f"{place}.subword_pooling")
        ):
            continue
        tokenizer = columns[owners[place]].tokenizer.type
        if not component("tokenizers", tokenizer).subword or any(
            other.of == read for other in recipe.settings.outputs.values()
        ):
            continue
        why = f"outputs.{name} has a label for each word, and {tokenizer} cuts words to pieces"
        chosen[f"{place}.subword_pooling"] = (SUBWORD_POOLING, why)
    return chosen


def tokenizers(recipe: Recipe, amount: Amount) -> Chosen:
    """Vocabulary sizes of sub-word tokenizers, before fitting.

    One piece per about 225 characters of training text: 8,000 pieces for 29,000 captions, so that each is seen often
    enough to be learnt.
    """
    chosen: Chosen = {}
    owners = recipe_columns.vocabulary_owners(recipe.settings)
    for place, settings in recipe_columns.places(recipe.settings):
        tokenizer = getattr(settings, "tokenizer", None)
        if (
            owners[place] != place
            or not isinstance(tokenizer, Settings)
            or "size" not in type(tokenizer).model_fields
            or not component("tokenizers", tokenizer.type).subword
        ):
            continue
        if recipe.gives(f"{place}.tokenizer.size"):
            continue
        characters = sum(amount.characters[reader] for reader, owner in owners.items() if owner == place)
        size = rounded(min(32_000, max(300, characters / 225)))
        chosen[f"{place}.tokenizer.size"] = (size, f"{characters:,} characters of training text, one piece per 225")
    return chosen


def widths(of_vectors: Mapping[str, int]) -> Chosen:
    """The widths of embeddings that start from a file of vectors, by input; before the other sizes."""
    return {
        f"inputs.{name}.encoder.embedding_size": (width, "the width of its vectors")
        for name, width in of_vectors.items()
    }


def sizes(recipe: Recipe, amount: Amount) -> Chosen:
    """Widths, dropout, batch and epochs, after encoding; what the user set is taken as it is and the others follow
    from it."""
    chosen: Chosen = {}
    inputs = recipe.settings.inputs
    counted = [name for name in inputs if counts(name, inputs)]
    total = sum(steps for place, steps in amount.steps.items() if place.removeprefix("inputs.") not in counted)
    many = f"{amount.rows:,} rows, {total:,} steps"

    if amount.distinct is not None:
        many = f"{amount.distinct:,} steps in {amount.rows:,} windows an epoch"
    if amount.distinct is None:
        width = 64 if total < 40_000 else 128 if total < 600_000 else 256 if total < 20_000_000 else 512
    else:
        width = WINDOWS_WIDTH if amount.distinct < 1_000_000 else 2 * WINDOWS_WIDTH
    dropout = _dropout(amount)
    rules = amount.rules
    if rules is not None:
        width, many, dropout = RULES_WIDTH, rules, (RULES_DROPOUT, rules)
    for name, settings in recipe.settings.outputs.items():
        if not recipe.gives(f"outputs.{name}.align"):
            chosen[f"outputs.{name}.align"] = (
                alignments.of(settings).name,
                f"how {settings.type} is lined up by default",
            )
        if not recipe.gives(f"outputs.{name}.reads"):
            chosen[f"outputs.{name}.reads"] = (list(recipe.settings.inputs), "all inputs")
    owners = {name: encoder_owner(name, inputs) for name in inputs}
    heads = {name: settings.head for name, settings in recipe.settings.outputs.items()}
    reads = {
        name: {owners[reader] for reader in settings.reads or inputs}
        for name, settings in recipe.settings.outputs.items()
    }
    own, read = {}, {}  # the width of an encoder's top layer, and of its steps, which hold each of its directions
    for name in dict.fromkeys(owners.values()):
        encoder, place = inputs[name].encoder, f"inputs.{name}.encoder"
        directions = 2 if component("encoders", encoder.type).directions_beside and encoder.bidirectional else 1
        wanted, why = width, many
        for output, head in heads.items():
            wide, at = _widest(head, f"outputs.{output}.head")
            if name in reads[output] and recipe.gives(f"{at}.hidden_size"):
                wanted = max(1, wide.hidden_size // directions)
                why = f"its {directions} direction(s) as wide as {at}"
        size = _choose(recipe, chosen, encoder, place, "hidden_size", wanted, why)
        sizes_up = size if isinstance(size, list) else [size or width]
        own[name], read[name] = sizes_up[-1], directions * sizes_up[-1]
        if getattr(encoder, "embedding", "learnt") == "learnt":
            residual = getattr(encoder, "residual", False)
            embedding = directions * sizes_up[0] if residual else sizes_up[-1]
            why = "as wide as the first layer, which adds it" if residual else "as wide as the encoder"
            _choose(recipe, chosen, encoder, place, "embedding_size", embedding, why)
        _choose(recipe, chosen, encoder, place, "dropout", *dropout)
        for path, value in component("encoders", encoder.type).of_rules.items() if rules is not None else ():
            if not recipe.gives(f"{place}.{path.partition('.')[0]}"):
                chosen[f"{place}.{path}"] = value, rules
    for name, head in heads.items():
        place = f"outputs.{name}.head"
        if rules is None and amount.rows >= POOL_ROWS and _reads_words(recipe.settings, name):
            why = f"a label of words, which weigh differently; {amount.rows:,} rows"
            _choose(recipe, chosen, head, place, "pool", POOL, why)
        _choose(
            recipe,
            chosen,
            *_widest(head, place),
            "hidden_size",
            max(read[reader] for reader in reads[name]),
            "the steps of the widest encoder",
        )
        _choose(
            recipe,
            chosen,
            head,
            place,
            "embedding_size",
            max(own[reader] for reader in reads[name]),
            "as wide as the encoder",
        )
        _choose(
            recipe,
            chosen,
            head,
            place,
            "dropout",
            *(STEADY if component("heads", head.type).sums else dropout),
        )

    aligned = {alignments.of(settings) for settings in recipe.settings.outputs.values()}
    if alignments.next in aligned and alignments.free not in aligned and not recipe.gives("search"):
        chosen["search.type"] = ("sample", "the likeliest continuation of a text repeats itself")
    training = recipe.settings.training
    row = max(1.0, total / max(1, amount.rows))
    # The values decide, not what was written: `--set training.batch_rows=null` takes a recipe's back.
    by_rows = amount.distinct is not None and training.batch_steps is None and training.batch_rows is None
    if training.tbptt is not None:
        own = amount.steps[f"inputs.{alignments.streamed(recipe.settings)}"] + amount.rows
        if training.batch_rows is None:
            streams = round(min(4000, own / UPDATES_AN_EPOCH) / training.tbptt)
            streams = max(1, min(amount.rows, STREAMS[1], max(STREAMS[0], streams)))
            steps = f"{streams * training.tbptt:,} steps at most"
            why = f"{many}: chunks of {training.tbptt} steps of each of so many streams, {steps}"
            chosen["training.batch_rows"] = (streams, why)
        streams = chosen["training.batch_rows"][0] if "training.batch_rows" in chosen else training.batch_rows
        updates = own / (training.tbptt * min(streams, amount.rows) * training.accumulate)
    elif len(counted) == len(inputs) and training.batch_steps is None and training.batch_rows is None:
        chosen["training.batch_rows"] = (COUNTED_ROWS, "what is counted costs training nothing")
        updates = amount.rows / (COUNTED_ROWS * training.accumulate)
    elif by_rows:
        chosen["training.batch_rows"] = (WINDOWS, "windows are equally long")
        updates = amount.rows / (WINDOWS * training.accumulate)
    elif training.batch_rows is not None:
        updates = amount.rows / (training.batch_rows * training.accumulate)
    elif training.batch_steps is not None:
        updates = total / (training.batch_steps * training.accumulate)
    elif rules is not None:
        chosen["training.batch_rows"] = RULES_ROWS, rules
        updates = amount.rows / (RULES_ROWS * training.accumulate)
    else:
        most, least = max(4000.0, 8 * row), 8 * row
        steps = rounded(min(most, max(least, total / UPDATES_AN_EPOCH)))
        updates = total / (steps * training.accumulate)
        chosen["training.batch_steps"] = (steps, f"{many}: about {max(1, round(updates)):,} updates an epoch")
    return chosen | duration(recipe, updates, total, None if rules is None else RULES_UPDATES)


def cutoffs(recipe: Recipe, counted: Callable[[str], Sequence[int]]) -> Chosen:
    """Where the parts of each adaptive softmax begin, after encoding.

    Args:
        counted: how often each symbol of an output, named by its place, is a target.
    """
    chosen: Chosen = {}
    for name, settings in recipe.settings.outputs.items():
        place = f"outputs.{name}"
        if getattr(settings.head, "softmax", "full") == "adaptive" and not recipe.gives(f"{place}.head.cutoffs"):
            shares = " and ".join(f"{100 * share:.0f} %" for share in COVERED)
            chosen[f"{place}.head.cutoffs"] = (
                cutoffs_of(counted(place)),
                f"{shares} of the training targets lie before",
            )
    return chosen


def _choose(recipe: Recipe, chosen: Chosen, settings: Settings, place: str, name: str, value: Any, reason: str) -> Any:
    """Chooses a value where the user gave none; what holds then, or None where there is no such setting."""
    if name not in type(settings).model_fields:
        return None
    if recipe.gives(f"{place}.{name}"):
        return getattr(settings, name)
    chosen[f"{place}.{name}"] = (value, reason)
    return value


def _reads_words(settings: Settings, name: str) -> bool:
    """Whether an output of labels reads words, side by side with whatever has no steps, and all that has is words that
    recurrent encoders read in both directions, whose steps no other output labels."""
    output, inputs = settings.outputs[name], settings.inputs
    beside = any(alignments.of(other).labels_steps for other in settings.outputs.values())
    if beside or output.join is not None or component("heads", output.head.type).sums:
        return False
    columns = {
        reader: component("modalities", inputs[reader].type)
        for reader in output.reads or inputs
        if not counts(reader, inputs)
    }
    encoders = [inputs[encoder_owner(reader, inputs)].encoder for reader, kind in columns.items() if kind.is_sequence]
    return (
        bool(encoders)
        and all((issubclass(kind, Worded) or not kind.is_sequence) for kind in columns.values())
        and all(component("encoders", encoder.type).directions_beside and encoder.bidirectional for encoder in encoders)
    )


def _widest(head: Settings, place: str) -> tuple[Settings, str]:
    """The part of a head that has a width, and its place: the head itself, or what it is built from."""
    parts = [(head, place), *((part, f"{place}.{name}") for name, part in head if isinstance(part, Settings))]
    return next((part for part in parts if "hidden_size" in type(part[0]).model_fields), parts[0])


def _dropout(amount: Amount) -> tuple[float, str]:
    # Windows of a series are few symbols' worth of noise in themselves: what helps sentences blurs their level.
    if amount.distinct is not None:
        return 0.0, "windows of a series, whose level it blurs"
    return 0.3 if amount.rows < 100_000 else 0.2 if amount.rows < 1_000_000 else 0.1, f"{amount.rows:,} rows"
