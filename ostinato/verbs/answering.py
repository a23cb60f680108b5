"""The verbs that ask a trained run: predict, stream, listen, suggest, generate, score, embed, draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.predictions import chunks
from ostinato.recipe import columns as recipe_columns
from ostinato.registry import Settings, build
from ostinato.run import complete as run_complete
from ostinato.run import follow as run_follow
from ostinato.run import generate as run_generate
from ostinato.run import rows as row_sources
from ostinato.run import score as run_score
from ostinato.run.entities import with_entities
from ostinato.run.predict import Answer, answers, no_times
from ostinato.run.predictions import LogProbabilities, Prediction, Suggestions
from ostinato.run.run import Row, Run
from ostinato.run.search import search_of
from ostinato.verbs.runs import OneRun, Runs, adapted_by, loaded_runs, place_after, silent

if TYPE_CHECKING:
    from ostinato.probes.summaries import Embedding


def predict(
    runs: Runs,
    texts: Sequence[str] | None = None,
    *,
    source: str | None = None,
    rows: Any = None,
    n_best: int | None = None,
    stop: Sequence[str] = (),
    sets: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
    attention: Path | None = None,
    times: bool = False,
    language_model: OneRun | None = None,
    language_weight: float = 0.5,
    words: Path | None = None,
    cells: bool = False,
    say: Callable[[str], None] = silent,
) -> Iterator[Prediction]:
    """The predictions for each row, in the order of the rows.

    Args:
        runs: a run, or several that predict as an ensemble.
        texts: a row each, as the command line gives them.
        source: a table or a file of lines in place of texts; `-` reads standard input.
        rows: in place of texts, as Python has them: dicts by column, a data frame, a path, or with one input its raw
            values.
        n_best: answers to each row; None: as many as the search gives.
        stop: texts before which an answer ends, in place of the search's own.
        sets: `search.x=y`, as --set takes them.
        seed: of a search that samples.
        device: to compute on, where runs are loaded.
        attention: the file of a picture of what the first answer attends to.
        times: whether the best answers tell where in the source each symbol begins and ends.
        language_model: a run whose output continues a text; it judges the symbols that are generated.
        language_weight: of its log-probabilities beside the model's.
        words: a file of words: generated texts hold no others.
        cells: whether each prediction holds all cells of its row of a table.
        say: receives notes.

    Errors:
        ConfigError: settings that a trained run cannot change; no attention to draw, no times to tell; no language
            model.
        DataError: a row cannot be read.
    """
    loaded = loaded_runs(runs, device, say)
    search = search_of(loaded[0], sets, n_best, stop)
    adapt = adapted_by(loaded[0], language_model, language_weight, words, device, say)
    again = recipe_columns.second_readings(loaded[0].recipe.settings)
    asked = row_sources.asked(loaded[0], texts, source) if rows is None else row_sources.of_python(loaded[0], rows)
    for note in asked.notes:
        say(f"note: {note}")
    if attention is not None and not any(head.attended for head in loaded[0].graph.heads.values()):
        raise ConfigError(
            f"--attention needs an output with an attention decoder; {loaded[0].folder} has none; leave the option out"
        )
    if times and not any(head.generates for head in loaded[0].graph.heads.values()):
        raise no_times(loaded[0], next(iter(loaded[0].outputs)))
    drawn, done = False, 0
    for chunk in chunks(asked.rows):
        place, more = partial(place_after, asked.place, done), attention is not None or adapt is not None
        long = {
            number
            for number, row in enumerate(chunk)
            if run_follow.reads_along(loaded, row, search, place(number), whole=more)
        }
        rest = [number for number in range(len(chunk)) if number not in long]
        held = iter(
            answers(
                loaded,
                [chunk[number] for number in rest],
                search=search,
                seed=seed,
                n_best=n_best or 1,
                attention=attention is not None,
                times=times,
                adapt=adapt,
                place=partial(_place_of, place, rest),
                say=say,
            )
        )
        for number, row in enumerate(chunk):
            own = _read_along(loaded[0], row, search, place(number), times, say) if number in long else next(held)
            (dated,) = asked.dated([own], done + number)
            by_output = with_entities(loaded[0], row, dated)
            inputs = {place.partition(".")[2] or place: value for place, value in row.items() if place not in again}
            whole = next(asked.table) if cells and asked.table is not None else {}
            yield Prediction(inputs, by_output, asked.ahead is not None, whole)
            if attention is not None and not drawn:
                from ostinato.probes.attention import draw_first

                drawn = draw_first(by_output, attention)
                if drawn:
                    say(f"attention: {attention}")
        done += len(chunk)
    if attention is not None and not drawn:
        say(f"attention: {attention} is not drawn, since every input is empty")


def _read_along(
    run: Run, row: Row, search: Settings, place: str, times: bool, say: Callable[[str], None]
) -> dict[str, list[Answer]]:
    """The answer to a row that is answered while it is read."""
    if (note := run_follow.note_on(search, place)) is not None:
        say(note)
    return {next(iter(run.outputs)): [run_follow.followed(run, partial(run_follow.parts_of, run, row), times=times)]}


def _place_of(place: Callable[[int], str], rows: Sequence[int], row: int) -> str:
    """Where one of these rows is."""
    return place(rows[row])


def stream(
    run: OneRun,
    text: str,
    on_piece: Callable[[str], None],
    *,
    stop: Sequence[str] = (),
    sets: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = silent,
) -> str:
    """The answer to one text, handed over piece by piece while it is generated, or of a long recording while it is
    read; returns the whole.

    Errors:
        ConfigError: the run reads several inputs, or its search follows several answers at once.
    """
    (loaded,) = loaded_runs(run, device)
    asked = row_sources.asked(loaded, [text], None)
    (row,), place = asked.rows, asked.place(0)
    settings = search_of(loaded, sets, stop=stop)
    if run_follow.reads_along([loaded], row, settings, place):
        if (note := run_follow.note_on(settings, place)) is not None:
            say(note)
        return _spelled(run_follow.followed(loaded, partial(run_follow.parts_of, loaded, row), on_piece))
    search = build(settings, "searches")
    return run_complete.streamed(loaded, row, search, seed=seed, hear=on_piece)


def listen(run: OneRun, read: Callable[[], bytes], on_piece: Callable[[str], None], *, device: str = "auto") -> str:
    """The answer to what arrives as bytes, such as the samples of a microphone, handed over piece by piece as soon as
    it is final; returns the whole.

    Args:
        run: a causal one with one input that may arrive so, and a head that labels its steps.
        read: gives the bytes, and none at the end.
        on_piece: gets the text.
        device: to compute on, where the run is loaded.

    Errors:
        ConfigError: the run answers after its whole input alone: why.
    """
    (loaded,) = loaded_runs(run, device)
    return _spelled(run_follow.followed(loaded, partial(run_follow.parts_arriving, loaded, read), on_piece))


def _spelled(answer: Answer) -> str:
    """The text that was handed over."""
    return answer.value if isinstance(answer.value, str) else answer.text


def drawing_page(
    folder: Path,
    run: OneRun | None = None,
    *,
    port: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = silent,
) -> Any:
    """A server of the page of `ostinato draw`, not started: drawings are saved in the folder, and a run reads them.

    Errors:
        ConfigError: the run does not read drawings alone.
    """
    from ostinato.reporting.drawing import PROBE, Drawings, serve

    answer = None
    if run is not None:
        (loaded,) = loaded_runs(run, device, say)
        try:
            next(predict(loaded, rows=[PROBE]))
        except DataError:
            read = ", ".join(f"{name} ({settings.type})" for name, settings in loaded.inputs.items())
            raise ConfigError(
                f"{loaded.folder}: reads no drawings, but {read}; give a run with one input of strokes"
            ) from None

        def answer(steps: list[list[float]]) -> str:
            (prediction,) = predict(loaded, rows=[steps])
            return "\t".join(best.text for best in prediction.best.values())

    return serve(Drawings(folder), answer, port)


def suggest(
    run: OneRun, texts: Sequence[str], *, words: int = 5, completions: int = 3, device: str = "auto"
) -> list[Suggestions]:
    """For each text its likeliest next words and whole completions, each with its probability."""
    (loaded,) = loaded_runs(run, device)
    return [
        Suggestions(
            text,
            run_complete.next_words(loaded, row, words),
            run_complete.completions(loaded, row, completions),
        )
        for text, row in zip(texts, row_sources.asked(loaded, texts, None).rows)
    ]


def generate(
    run: OneRun,
    number: int = 10,
    *,
    between: tuple[str, str] | None = None,
    sets: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
) -> list[Answer]:
    """Answers of a run with a latent code: to codes that are drawn, or on the line between those of two inputs.

    Errors:
        ConfigError: the run has no such code.
    """
    (loaded,) = loaded_runs(run, device)
    search = build(search_of(loaded, sets), "searches")
    if between is None:
        return run_generate.generated(loaded, number, search, seed=seed)
    return run_generate.between(loaded, list(row_sources.asked(loaded, between, None).rows), number, search, seed=seed)


def score(run: OneRun, source: str, *, device: str = "auto") -> dict[str, LogProbabilities]:
    """The log-probability of the outputs that a table gives, by output."""
    (loaded,) = loaded_runs(run, device)
    asked = row_sources.asked(loaded, None, source, outputs=True)
    columns: dict[str, tuple[list, list]] = {output: ([], []) for output in loaded.outputs}
    done = 0
    for chunk in chunks(asked.rows):
        scores = run_score.scores([loaded], chunk, place=partial(place_after, asked.place, done))
        for output, result in scores.items():
            for values, numbers in zip(columns[output], (result.scored.log_probability, result.scored.num_targets)):
                by_row = dict(zip(result.rows, numbers.tolist()))
                values += [by_row.get(row) for row in range(len(chunk))]
        done += len(chunk)
    return {output: LogProbabilities(*lists) for output, lists in columns.items()}


def embed(
    run: OneRun,
    texts: Sequence[str] | None = None,
    *,
    source: str | None = None,
    rows: Any = None,
    of: str | None = None,
    nearest: int = 0,
    picture: Path | None = None,
    device: str = "auto",
) -> Embedding:
    """The summary vector of each row, computed by an input's encoder; its nearest rows; a picture of all in a plane.

    Args:
        run: whose encoder embeds.
        texts: the rows, where one input is read from lines of text.
        source: a table or a file of lines, in their place; outputs whose columns it has come with the rows.
        rows: as in `predict`, in their place.
        of: the input whose encoder embeds; needed where there are several.
        nearest: number of neighbours of each row, by cosine.
        picture: where the picture is written, coloured by the first such output that is a label or a number.
        device: to compute on, where the run is loaded.

    Errors:
        ConfigError: no such input, or an encoder without a summary.
        DataError: a row cannot be read.
    """
    from ostinato.probes import summaries

    (loaded,) = loaded_runs(run, device)
    name = summaries.encoded_input(loaded, of)
    if rows is None:
        outputs = row_sources.outputs_there(loaded, source)
        asked = row_sources.asked(loaded, texts, source, only=[f"inputs.{name}", *outputs])
    else:
        outputs, asked = [], row_sources.of_python(loaded, rows)
    return summaries.embedding(
        *(loaded, list(asked.rows), name, outputs, asked.place),
        cells=None if asked.table is None else list(asked.table),
        neighbours=nearest,
        picture_to=picture,
    )
