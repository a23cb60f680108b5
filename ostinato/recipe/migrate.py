"""Old words of recipes and what replaces them: one table for files, `--set`, sweeps, Python arguments, run folders and
checkpoints.

A recipe without a version, or of an earlier one, may have the words on the left; each is replaced, and a note names the
new one. Code knows the new words alone, so this is the one place besides `infer` and `other_tools` that names members.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ostinato.metrics.contract import key_of
from ostinato.registry import Settings, component, names, settings_class

VERSION = 3
"""Of recipes. Those before had the words that this table replaces."""

Path = tuple[str, ...]


def _always(recipe: Mapping[str, Any], place: Path, value: Any) -> bool:
    return True


class Rule(NamedTuple):
    """What replaces one setting.

    Args:
        place: of the setting that holds it; `*` is any name.
        old: its old word.
        new: the new path below the same place, or `up` levels above it; none: it is left out.
        values: an old value -> the new one; others are kept. Or a function of the value.
        applies: whether the rule holds, asked of the recipe, the path of the place and the value.
        since: the version of recipes that has the new word.
        up: see `new`.
    """

    place: Path
    old: str
    new: Path
    values: Mapping[Any, Any] | Callable[[Any], Any] = {}
    applies: Callable[[Mapping[str, Any], Path, Any], bool] = _always
    since: int = 2
    up: int = 0

    def holds(self, place: Path, word: str) -> bool:
        """Whether it is of this word there."""
        return self.old == word and _fits(self.place, place)

    def path(self, place: Path) -> Path:
        """Where the new word is."""
        return (*place[: len(place) - self.up], *self.new)


def migrate(plain: dict[str, Any], *, always: bool = False) -> tuple[dict[str, Any], list[str]]:
    """A recipe in the words of today, and a note for each word that was replaced.

    Args:
        plain: as it was written; a recipe of this version comes back as it is.
        always: replaces them in a recipe of this version too: what `--set` brought may have old words.
    """
    version = plain.get("version", 1)
    is_old = isinstance(version, int) and not isinstance(version, bool) and 1 <= version < VERSION
    if not always and not is_old:
        return plain, []
    notes: list[str] = []
    moved = _Moving(plain, 1 if always else version, notes).moved(plain, ())
    if is_old and "version" in plain:
        moved["version"] = VERSION
    return moved, notes


def new_path(path: str, plain: Mapping[str, Any]) -> str:
    """The path today of a setting of a recipe in old words."""
    keys = tuple(path.split("."))
    for rule in RULES:
        value = _at(plain, keys[:-1]).get(keys[-1])
        if rule.new and rule.holds(keys[:-1], keys[-1]) and rule.applies(plain, keys[:-1], value):
            return ".".join(rule.path(keys[:-1]))
    return path


def in_one_line(notes: Sequence[str]) -> str:
    """Each word of these notes once, without its place: for a run folder, whose recipe is written out in full."""
    words = (note.removesuffix(" now").split(" is ") for note in notes)
    last = [(old.rpartition("."), new.rpartition(".")) for old, new in words]
    # Where the word is the old one in another place, the place tells them apart.
    return ", ".join(
        dict.fromkeys(
            f"{old[2]} is {new[2]}" if old[2] != new[2] else f"{old[0].rpartition('.')[2]}.{old[2]} is {new[2]}"
            for old, new in last
        )
    )


def report_today(plain: Any) -> Any:
    """A kept report with its keys of today."""
    if isinstance(plain, Mapping):
        return {REPORT.get(key) or metric_key(key): report_today(value) for key, value in plain.items()}
    return plain


def tensor_names(settings: Settings) -> Callable[[str], str]:
    """What turns the name of a tensor that an earlier version saved into the name today; a name of today stays as it
    is.

    Args:
        settings: of the recipe, in the words of today.
    """
    outputs = [re.escape(name) for name, output in settings.outputs.items() if output.head.type == "autoregressive"]
    moved = re.compile(rf"(^|.* of )heads\.({'|'.join(outputs)})\.(?=({'|'.join(DECODER_TENSORS)})\.)")

    def renamed(name: str) -> str:
        return moved.sub(r"\1heads.\2.decoder.", name) if outputs else name

    return renamed


def new_word(path: Path, plain: Mapping[str, Any]) -> str | None:
    """The path that replaces an old word, or None where it is none."""
    for rule in RULES:
        if rule.holds(path[:-1], path[-1]):
            return ".".join(rule.path(path[:-1]))
    return None


class _Moving:
    """A recipe on its way to the words of today.

    Args:
        recipe: in old words.
        version: its own.
        notes: get a line for each word.
    """

    def __init__(self, recipe: Mapping[str, Any], version: int, notes: list[str]):
        self.recipe, self.notes = recipe, notes
        self.rules = [rule for rule in RULES if rule.since > version]
        self.raised: list[tuple[Path, Path, Any]] = []

    def moved(self, node: Mapping[str, Any], place: Path) -> dict[str, Any]:
        """The mapping at a place."""
        result: dict[str, Any] = {}
        for key, value in node.items():
            new: Path = (key,)
            for rule in self.rules:
                if rule.holds(place, key) and rule.applies(self.recipe, place, value):
                    changed = _changed(rule, value)
                    if rule.path(place) == (*place, key) and changed == value:
                        continue
                    if rule.new or value:  # what never counted is left out without a word
                        self.notes.append(_note((*place, key), value, rule.path(place) if rule.new else (), changed))
                    new, value = rule.new, changed
                    if rule.up:
                        self.raised.append((place[: len(place) - rule.up], new, value))
                        new = ()
                    break
            if not new:
                continue
            if isinstance(value, Mapping):
                value = self.moved(value, (*place, *map(str, new)))
            _put(result, new, value)
        for path, word, value in self.raised:
            if path == place:
                _put(result, word, value)
        self.raised = [raised for raised in self.raised if raised[0] != place]
        return result


def _changed(rule: Rule, value: Any) -> Any:
    if callable(rule.values):
        return rule.values(value)
    return rule.values.get(value, value) if isinstance(value, str) else value


def _put(node: dict[str, Any], path: Path, value: Any) -> None:
    """Sets a value below a node; mappings that meet there become one."""
    for key in path[:-1]:
        child = node.get(key, {})
        node[key] = node = dict(child) if isinstance(child, Mapping) else {"type": child}
    before = node.get(path[-1])
    if isinstance(value, Mapping) and isinstance(before, Mapping):
        value = {**before, **value}
    node[path[-1]] = value


def _note(old: Path, value: Any, new: Path, changed: Any) -> str:
    before, after = ".".join(map(str, old)), ".".join(map(str, new)) or "left out"
    if changed != value:
        return f"{before}: {_written(value)} is {after}: {_written(changed)} now"
    return f"{before} is {after} now"


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fits(pattern: Path, place: Path) -> bool:
    return len(pattern) == len(place) and all(wanted in ("*", key) for wanted, key in zip(pattern, place))


def _at(recipe: Any, path: Path) -> Any:
    """The value at a path, a bare name opened to its type; an empty mapping where there is none."""
    for key in path:
        recipe = recipe.get(key, {}) if isinstance(recipe, Mapping) else {}
        recipe = {"type": recipe} if isinstance(recipe, str) else recipe
    return recipe if isinstance(recipe, Mapping) else {}


def _modality(recipe: Mapping[str, Any], output: Path) -> str | None:
    """The type of an input or output; an output without one has that of the input that it continues."""
    own = _at(recipe, output)
    return own.get("type") or _at(recipe, ("inputs", str(own.get("of")))).get("type")


def _head(recipe: Mapping[str, Any], output: Path) -> str | None:
    """The head of an output, its own or its modality's for its alignment."""
    own, modality = _at(recipe, output), _modality(recipe, output)
    chosen = _at(own, ("head",)).get("type")
    if chosen is not None or modality not in names("modalities"):
        return chosen
    cls = component("modalities", modality)
    return cls.default_head.get(own.get("align"), cls.default_head.get(cls.default_align))


def _is_forecast(recipe: Mapping[str, Any], output: Path, _: Any) -> bool:
    return _modality(recipe, output) == "series" and _at(recipe, (*output, "head")).get("type") in (None, "forecast")


def _is_series(recipe: Mapping[str, Any], column: Path, _: Any) -> bool:
    return _modality(recipe, column) == "series"


def _has_forecast(recipe: Mapping[str, Any], head: Path, _: Any) -> bool:
    return _head(recipe, head[:-1]) == "forecast"


def _has_decoder(recipe: Mapping[str, Any], head: Path, _: Any) -> bool:
    return _head(recipe, head[:-1]) == "autoregressive"


def _masks(recipe: Mapping[str, Any], encoder: Path, value: Any) -> bool:
    """Whether masks of an encoder are those of its column today."""
    kind = _modality(recipe, encoder[:-1])
    has = kind in names("modalities") and set(MASKS) <= set(settings_class("modalities", kind).model_fields)
    return has and bool(value) and _had_masks(recipe, encoder, value)


def _had_masks(recipe: Mapping[str, Any], encoder: Path, _: Any) -> bool:
    return _at(recipe, encoder).get("type") == "subsampled"


METRICS: Mapping[str, dict[str, Any]] = {
    "bleu_lowercase": {"type": "bleu", "lowercase": True},
    "bleu_lowercase_tokenized": {"type": "bleu", "lowercase": True, "tokenize": "moses"},
    "macro_f1": {"type": "f1", "average": "macro"},
    "micro_f1": {"type": "f1", "average": "micro"},
    "sequence_error_first": {"type": "sequence_error", "first": True},
    "span_precision": {"type": "span_f1", "measure": "precision"},
    "span_recall": {"type": "span_f1", "measure": "recall"},
    "step_accuracy": {"type": "accuracy", "over": "steps"},
    "step_macro_f1": {"type": "f1", "average": "macro", "over": "steps"},
}
"""Metrics that are options of others now."""


REPORT = {
    "rivals": "baselines",
    "commonest label": "majority class",
    "commonest label of the symbol": "majority class of the symbol",
}
"""Keys of reports."""


def metric_key(name: str) -> str:
    """The key today of a metric in reports."""
    options = METRICS.get(name)
    return name if options is None else key_of(settings_class("metrics", options["type"])(**options))


def _monitored(value: Any) -> Any:
    output, dot, metric = str(value).rpartition(".")
    return f"{output}.{metric_key(metric)}" if dot and metric in METRICS else value


def _measured(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [METRICS.get(metric, metric) if isinstance(metric, str) else metric for metric in value]


COLUMNS = (("inputs", "*"), ("outputs", "*"))
DECODER = ("cell", "hidden_size", "layers", "attention", "context", "input_feeding", "bridge", "scheduled_sampling")
"""Settings that an autoregressive head had and its decoder has."""
DECODER_TENSORS = ("attentions", "embedding", "cells", "bridge", "readout")
"""Modules of an autoregressive head that its decoder has: tensors `heads.OUTPUT.cells.*` are
`heads.OUTPUT.decoder.cells.*`."""
MASKS = ("step_masks", "step_width", "band_masks", "band_width")
"""Settings that an encoder had and its column has."""
RULES = (
    Rule(("inputs", "*", "encoder"), "both_ways", ("bidirectional",)),
    *(Rule(place, "several", ("multilabel",)) for place in COLUMNS),
    *(Rule(place, "ordered", ("ordinal",)) for place in COLUMNS),
    *(Rule(place, "known", ("known_future",), {"ahead": True, "past": False}, _is_series) for place in COLUMNS),
    Rule(("training",), "watch", ("monitor",), _monitored),
    Rule(("training",), "monitor", ("monitor",), _monitored),
    Rule(("outputs", "*"), "metrics", ("metrics",), _measured),
    Rule(("outputs", "*"), "align", ("align",), {"next": "ahead"}, _is_forecast),
    *(Rule(("outputs", "*", "head"), word, ("decoder", word), {}, _has_decoder) for word in DECODER),
    Rule(("outputs", "*", "head"), "how", ("strategy",), {"step_by_step": "recursive"}, _has_forecast),
    *(Rule(("inputs", "*", "encoder"), word, (word,), {}, _masks, since=3, up=1) for word in MASKS),
    *(Rule(("inputs", "*", "encoder"), word, (), {}, _had_masks, since=3) for word in MASKS),
)
