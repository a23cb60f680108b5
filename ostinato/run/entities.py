"""What labels of steps say of a text: its words, and the entities among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ostinato import alignments
from ostinato.recipe import columns as recipe_columns
from ostinato.run.predict import Answer
from ostinato.run.run import Row, Run


class Entity(NamedTuple):
    """A span of a text with its label.

    Args:
        text: of the span.
        start: its first character in the text, counted from 0.
        end: the character after its last.
        label: such as `PER`.
        score: the probability of the least probable of its steps' labels, each by itself; None where it is unknown.
    """

    text: str
    start: int
    end: int
    label: str
    score: float | None


def read_in_words(run: Run) -> list[str]:
    """The inputs whose steps are labelled, and others of their columns, as places: a text among them may come as it was
    written."""
    sources = (alignments.of(output).source(output, run.inputs) for output in labelled(run).values())
    columns = {recipe_columns.column_of(f"inputs.{source}", run.inputs[source]) for source in sources}
    places = {f"inputs.{name}": settings for name, settings in run.inputs.items()}
    return [place for place, settings in places.items() if recipe_columns.column_of(place, settings) in columns]


def labelled(run: Run) -> dict[str, Any]:
    """The outputs that label each step of an input."""
    return {name: output for name, output in run.outputs.items() if alignments.of(output).labels_steps}


def with_entities(run: Run, row: Row, by_output: Mapping[str, Sequence[Answer]]) -> dict[str, list[Answer]]:
    """The answers to a row, those that label steps with the words that they label and the entities that they mark.

    Args:
        run: that answered.
        row: raw values by place or column.
        by_output: the answers of each output.
    """
    complete = {output: list(answers) for output, answers in by_output.items()}
    for output, settings in labelled(run).items():
        place = f"inputs.{alignments.of(settings).source(settings, run.inputs)}"
        raw = run.raw(row, place)
        words = None if raw is None else run.modalities[place].words_of(raw)
        if words is None:
            continue
        for number, answer in enumerate(complete[output]):
            spans = run.modalities[f"outputs.{output}"].spans_of(answer.value)
            scores = answer.step_probabilities
            entities = None
            if spans is not None:
                entities = []
                for label, first, after in spans:
                    start, end = words.places[first][0], words.places[after - 1][1]
                    score = None if scores is None else min(scores[first:after])
                    entities.append(Entity(words.text[start:end], start, end, label, score))
            complete[output][number] = replace(answer, words=words.words, offsets=words.places, entities=entities)
    return complete
