"""The metrics of an output: those that the recipe lists, or the defaults of its modality, alignment and head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ostinato import alignments
from ostinato.alignments import Message
from ostinato.metrics.contract import Metric, key_of
from ostinato.registry import Settings, build, component, settings_class


def metrics_of(output: Settings) -> dict[str, Metric]:
    """The metrics of an output by their key in reports, such as `bleu(lowercase)`."""
    return {key: build(settings, "metrics") for key, settings in settings_of(output).items()}


def settings_of(output: Settings) -> dict[str, Settings]:
    """The settings of an output's metrics by their key in reports."""
    if output.metrics is not None:
        return {key_of(settings): settings for settings in output.metrics}
    if output.head is None:
        return {}  # A modality that is an input alone: the recipe's check refuses it.
    return measurable(output, component("modalities", output.type).metrics.get(alignments.of(output).name, ()))


def measurable(output: Settings, metrics: Iterable[str | dict[str, Any]]) -> dict[str, Settings]:
    """The settings of these metrics and of those of its parts, without those that these do not give enough for."""
    known, chosen = known_of(output), {}
    for entry in (*metrics, *(own for part in _parts(output) for own in part.metrics)):
        options = {"type": entry} if isinstance(entry, str) else entry
        settings = settings_class("metrics", options["type"])(**options)
        if known.issuperset(component("metrics", settings.type).needs):
            chosen[key_of(settings)] = settings
    return chosen


def known_of(output: Settings) -> frozenset[str]:
    """The columns of `Predictions` that there may be for an output."""
    alignment = alignments.of(output)
    known = frozenset({"expected", "alternatives"}).union(*(part.gives for part in _parts(output)))
    # What continues an input symbol by symbol has no reference beside its own continuation, and is scored alone.
    known |= set() if alignment.streams else {"predicted"}
    return known | ({"scales"} if alignment.windows else set())


def _parts(output: Settings) -> list[type[Any]]:
    """What gives columns and brings metrics: the head, and the join where there is one."""
    head = component("heads", output.head.type)
    return [head, component("joins", output.join.type)] if output.join else [head]


def check(where: str, output: Settings) -> Iterator[Message]:
    """What is wrong with the metrics that a recipe lists for an output."""
    seen: set[str] = set()
    for at, settings in enumerate(output.metrics or ()):
        key = key_of(settings)
        if key in seen:
            yield f"{where}.metrics.{at}", f"{key} is listed twice; leave one of them out"
        seen.add(key)
        lacking = [name for name in component("metrics", settings.type).needs if name not in known_of(output)]
        if lacking:
            parts = f"head {output.head.type}" + (f" with join {output.join.type}" if output.join else "")
            yield (
                f"{where}.metrics.{at}",
                f"{key} is made from {' and '.join(lacking)}, which {parts} does not give for align:"
                f" {alignments.of(output).name}; leave the metric out",
            )


def main_metric(output: Settings) -> str | None:
    """The key of the metric that sums up an output: the one that its modality names, or its first one of which one end
    is best; None where there is none."""
    settings = settings_of(output)
    named = component("modalities", output.type).main_metric(output)
    if named in settings:
        return named
    return next(
        (key for key, metric in settings.items() if component("metrics", metric.type).higher_is_better is not None),
        None,
    )
