"""`ostinato.Model`: a recipe in Python's words, with scikit-learn's habits."""

from __future__ import annotations

import inspect
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ostinato import api, files
from ostinato.alignments import forecasts
from ostinato.api import device_of
from ostinato.data.memory import frame_like, is_data_frame, library_class
from ostinato.errors import BundleError, ConfigError, closest
from ostinato.evaluation.errors import ErrorReport
from ostinato.evaluation.report import Report
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import parameters
from ostinato.recipe.read import Recipe, check, from_arguments, restore
from ostinato.run import prediction_table
from ostinato.run import rows as row_sources
from ostinato.run.predict import labels_of
from ostinato.run.predictions import Suggestions
from ostinato.run.resume import SOURCES
from ostinato.run.run import Run, described
from ostinato.training.progress import LOG, Progress
from ostinato.training.task import Interrupted
from ostinato.training.task import Progress as Event

PARAMETERS = ("inputs", "outputs", "data", "search", "training", "from_")
"""The arguments of a model."""


def _printed(piece: str) -> None:
    """Prints a piece of an answer at once."""
    print(piece, end="", flush=True)


class Model:
    """A model from named inputs and outputs, with scikit-learn's habits: fit, predict, evaluate, save.

    Args:
        inputs: name -> a modality's name, a mapping as in a recipe, or a class of `ostinato.settings`.
        outputs: likewise.
        data: the settings of a recipe's `data:`, such as `{"time": "date", "series": "site", "split": {...}}`; other
            rows are given to `fit`.
        search: how outputs are generated.
        training: settings of training, as in a recipe.
        from_: an earlier run to start from, as a recipe's `from`: `{"run": "runs/lm"}`.
        refused: any other word; it is refused with the setting that it may mean.

    Errors:
        ConfigError: as for a recipe with the same settings.
    """

    def __init__(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        *,
        data: Any = None,
        search: Any = None,
        training: Any = None,
        from_: Any = None,
        **refused: Any,
    ):
        self._parameters = dict(zip(PARAMETERS, (inputs, outputs, data, search, training, from_)))
        self.recipe = _recipe_of(self._parameters, refused)
        self.run: Run | None = None

    def __reduce__(self) -> tuple[Callable[..., Model], tuple[Any, ...]]:
        """For worker processes: a trained model travels as its run folder, which they read; others as their recipe."""
        if self.run is not None:
            return _on_device, (str(Path(self.run.folder).resolve()), str(self.run.device))
        return _of_recipe, (self.recipe.given, self.recipe.origin)

    def __repr__(self) -> str:
        if self.run is not None:
            return f"<Model {self.run.described()}>"
        settings = self.recipe.settings
        return f"<Model {described(settings.inputs, settings.outputs)}; not trained>"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments that the model was made with, by name; of a loaded model its recipe's settings.

        Args:
            deep: whether the settings within them come too, `training.epochs` as `training__epochs`.
        """
        return parameters.within(self._parameters) if deep else dict(self._parameters)

    def set_params(self, **values: Any) -> Model:
        """Changes arguments of the model, or settings within them: `set_params(training__epochs=5)`. What was trained
        stays as it is until `fit`.

        Args:
            values: by the names that `get_params` gives.

        Errors:
            ConfigError: there is no such argument, or the recipe with it is refused.
        """
        changed = parameters.changed(self._parameters, values, self.recipe.settings)
        self.recipe = _recipe_of(changed, {})
        self._parameters = changed
        return self

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn (1.6 or later) asks of an estimator."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    def _repr_html_(self) -> str:
        """For notebooks: what it is, its learning curve, and what was measured on its own data."""
        if self.run is None:
            return f"<code>{escape(repr(self))}</code>"
        reports = [Report.from_json(plain)._repr_html_() for plain in self.run.bundle.metrics.values()]
        return "".join([self.run._repr_html_(), *reports])

    def fit(
        self,
        train: Any = None,
        valid: Any = None,
        *,
        folder: Path | str | None = None,
        resume: bool = False,
        overwrite: bool = False,
        device: str = "auto",
        minutes: float | None = None,
        effort: int = 1,
        verbose: int = 1,
        on_event: Callable[[Event], None] = lambda _: None,
        **refused: Any,
    ) -> Model:
        """Trains on rows: a path, a list of dicts, a data frame or anything that `data.train` may name.

        Interrupted, it can be used as it is, and `fit(train, resume=True)` continues to the same bits.

        Args:
            train: the training rows; left out where the model's `data` names them.
            valid: validation rows; held out from `train` if neither this nor `data` gives any.
            folder: of the run; by default a temporary one, deleted with the model unless `save` copies it; with
                `resume` the one that the model has.
            resume: whether to continue the run of the folder.
            overwrite: whether to delete it first.
            device: to train on.
            minutes: in which all has to be over on this machine: epochs, updates and validations are chosen to fit.
            effort: 1, this model alone, or up to 5: other settings are tried too, and the best kept, alone or together.
            verbose: 0 shows nothing, 1 a progress bar and what should be known, 2 each epoch and each setting that was
                chosen too. The logger `ostinato` gets all of it at the level INFO.
            on_event: receives the progress after each update.
            refused: any other word; it is refused with the setting of the model that it may mean.

        Errors:
            ConfigError: rows are given twice, or not at all.
            Interrupted: Ctrl-C or SIGTERM, or the notebook's stop button.
        """
        if refused:
            raise ConfigError(self._why_refused(refused))
        data, kept = self._rows(train, valid), folder is not None
        if folder is None and resume and self.run is not None:
            folder = self.run.folder
        elif folder is None:
            folder = Path(tempfile.mkdtemp(prefix="ostinato-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        with Progress(verbose, leave=True) as progress:

            def listen(event: Event) -> None:
                progress.event(event)
                on_event(event)

            try:
                self.run = api.fit(
                    self.recipe,
                    folder,
                    data=data,
                    resume=resume,
                    overwrite=overwrite,
                    device=device,
                    minutes=minutes,
                    effort=effort,
                    say=progress.say,
                    on_event=listen,
                )
            except Interrupted as stopped:
                if effort == 1:
                    self.run = Run.load(folder, device_of(device))
                raise Interrupted(f"{stopped}: fit(..., resume=True)") from None
        if kept:
            api.draw_held_out(self.run, data)
        return self

    def _why_refused(self, words: Mapping[str, Any]) -> str:
        """Why `fit` takes none of these words."""
        own = [name for name in inspect.signature(self.fit).parameters if name != "refused"]
        settings = type(self.recipe.settings).model_fields
        for word in words:
            if word not in settings and (hint := closest(word, own)):
                return f"fit: no argument {word}{hint}"
        why = f"fit: {', '.join(words)}: unknown here"
        try:
            check({**self.recipe.given, **words}, "fit")
        except ConfigError as refusal:
            why = str(refusal)
        return f"{why}; give settings to the model: Model(inputs, outputs, training={{'epochs': 3}})"

    def _rows(self, train: Any, valid: Any) -> dict[str, Any]:
        """The rows that `fit` got, by split, checked against the model's `data`."""
        named, sources = self.recipe.settings.data, {"train": train, "valid": valid}
        own = {"train": "train" if named.train is not None else "file", "valid": "valid"}
        for split, source in sources.items():
            if source is None:
                continue
            if getattr(named, own[split]) is not None:
                raise ConfigError(
                    f"fit: {split} rows are given, and the model's data.{own[split]} names"
                    f" {getattr(named, own[split])!r}; leave one of them out"
                )
            row_sources.refuse_columns(source, f"data.{split}")
        if valid is not None and row_sources.are_labels(valid):
            self._refuse_labels("fit: the second argument is validation rows, and these are labels", train)
        if train is None and getattr(named, own["train"]) is None:
            raise ConfigError(f"fit: there are no rows to train on; give fit(train) a path, {row_sources.IN_MEMORY}")
        if valid is not None and named.split is not None:
            raise ConfigError(
                "fit: valid rows are given, and the model's data.split divides the training rows by time;"
                " leave one of them out"
            )
        return sources

    def _refuse_labels(self, why: str, rows: Any) -> NoReturn:
        """Says where labels belong that come beside their rows."""
        name, output = next(iter(self.recipe.settings.outputs.items()))
        column = recipe_columns.column_of(f"outputs.{name}", output)
        first = next(iter(self.recipe.settings.inputs))
        joined = (
            f"frame.assign(**{{'{column}': y}})"
            if library_class(rows) == ("pandas", "DataFrame")
            else f"[{{'{first}': x, '{column}': y}} for x, y in zip(X, Y)]"
        )
        verb = why.partition(":")[0]
        raise ConfigError(f"{why}; put them into the table of the first, as its column '{column}': {verb}({joined})")

    def _fitted(self) -> Run:
        if self.run is None:
            raise ConfigError("this model is not trained yet; call fit(train) or load a run with ostinato.load(folder)")
        return self.run

    def predict(
        self,
        rows: Any,
        *,
        n_best: int | None = None,
        stop: Sequence[str] = (),
        sets: Iterable[str] = (),
        seed: int = 0,
        as_frame: bool | None = None,
    ) -> Any:
        """The best answer to each row (a dict by output where there are several outputs), or the `n_best` Answers each;
        of a data frame a frame with its index.

        The frame has the columns that `ostinato predict --output` adds to a table, such as `topic_predicted` and
        `topic_probability`; of a forecast one row per series and step.

        Args:
            rows: dicts by column, a data frame, a path, or with one input its raw values.
            n_best: answers to each row.
            stop: texts before which an answer ends, in place of the search's own.
            sets: `search.x=y`, as `ostinato predict --set` takes them: `search=sample`, `search.width=5`.
            seed: of a search that draws at random.
            as_frame: whether a frame is given back; None: where `rows` is one and `n_best` is not asked for.

        Errors:
            ConfigError: `as_frame` and `n_best` together.
        """
        run = self._fitted()
        if as_frame and n_best is not None:
            raise ConfigError("predict: a frame holds the best answer to each row; leave out n_best, or as_frame=True")
        predictions = list(api.predict(run, rows=rows, n_best=n_best, stop=stop, sets=sets, seed=seed))
        if as_frame or (as_frame is None and n_best is None and is_data_frame(rows)):
            records = list(prediction_table.records(run, predictions, cells=False))
            shown = records or [prediction_table.like(run)]
            frame = frame_like(rows, {name: [record[name] for record in shown] for name in shown[0]})
            return frame.head(len(records))
        if n_best is not None:
            answers = [dict(prediction.outputs) for prediction in predictions]
        else:
            answers = [
                {output: self._as_given(output, [answer.value])[0] for output, answer in prediction.best.items()}
                for prediction in predictions
            ]
        return answers if len(run.outputs) > 1 else [next(iter(by_output.values())) for by_output in answers]

    @property
    def classes_(self) -> Any:
        """The labels in the order of `predict_proba`'s columns, as the training rows had them; a dict by output where
        there are several outputs."""
        run = self._fitted()
        labels = {output: labels_of(run, output) for output in run.outputs}
        return self._alone({output: self._as_given(output, known) for output, known in labels.items() if known})

    def _as_given(self, output: str, values: list[Any]) -> list[Any]:
        """Answers in the type that training rows had them in."""
        return list(map(self._fitted().modalities[f"outputs.{output}"].as_given, values))

    def predict_proba(self, rows: Any, *, as_frame: bool | None = None) -> Any:
        """The probability of each label: (rows, labels) float64 in the order of `classes_`, a dict by output where
        there are several outputs; of a data frame a frame with its index and a column for each label.

        Args:
            rows: as `predict` takes them.
            as_frame: whether a frame is given back; None: where `rows` is one.

        Errors:
            ConfigError: no output is one label, or a set of labels, for each row.
        """
        run = self._fitted()
        labels = {output: labels for output in run.outputs if (labels := labels_of(run, output))}
        if not labels:
            raise ConfigError(
                f"predict_proba: {', '.join(run.outputs)}: no output is a label for each row; predict(rows, n_best=1)"
                " gives the log_probability of each answer"
            )
        predictions = list(api.predict(run, rows=rows))
        shares = {
            output: np.array(
                [[prediction.best[output].probabilities[name] for name in names] for prediction in predictions]
            ).reshape(-1, len(names))
            for output, names in labels.items()
        }
        if as_frame or (as_frame is None and is_data_frame(rows)):
            return self._alone(
                {output: frame_like(rows, dict(zip(labels[output], array.T))) for output, array in shares.items()}
            )
        return self._alone(shares)

    def _alone(self, by_output: dict[str, Any]) -> Any:
        """The value of the only output, or all by output where the model has several."""
        return by_output if len(self._fitted().outputs) > 1 else next(iter(by_output.values()), [])

    def evaluate(self, data: Any = None) -> Report:
        """Every metric on these rows, with intervals and baselines, as `ostinato evaluate` reports it.

        The report on the model's own data is kept in the run.

        Args:
            data: as `fit` takes it; by default the model's own test split where there is one, else valid.

        Errors:
            ConfigError: neither is there.
        """
        return api.evaluate(self._measurable("evaluate", data), data=data, say=LOG.info)

    def score(self, data: Any = None, y: Any = None, *, output: str | None = None) -> float:
        """One number of which more is better, for `cross_val_score(model, frame)` and its kin: of a label, or a set of
        labels, for each row the share of rows that are all right (accuracy, from 0 to 1); of a number R2; else the main
        metric of `evaluate`, a percentage from 0 to 1, and one of which less is better, such as perplexity, with a
        minus. Of several outputs the mean, where all are scored alike.

        Args:
            data: as `evaluate` takes it, its columns of outputs among them.
            y: None; it is refused, since the truth is a column of the data.
            output: the one that is scored.

        Errors:
            ConfigError: there is no one number for several outputs, or no metric says what is better.
        """
        run = self._measurable("score", data)
        if y is not None:
            self._refuse_labels("score: labels are given beside the rows, and are read from a column of these", data)
        return api.single_score(run, data=data, output=output, say=LOG.info)

    def _measurable(self, verb: str, data: Any) -> Run:
        """The run, where there is something to measure it on."""
        run = self._fitted()
        # A forecast's data are split by time: the training rows decide where its test begins.
        sources = ("train", "file") if forecasts(run.recipe.settings) else SOURCES
        if data is None and all(getattr(run.recipe.settings.data, source) is None for source in sources):
            raise ConfigError(
                f"{verb}: the model's data name no file; name one there, or give {verb}(data) a path,"
                f" {row_sources.IN_MEMORY}"
            )
        row_sources.refuse_columns(data, "data")
        return run

    def errors(self, data: Any = None, *, output: Path | str | None = None) -> ErrorReport:
        """The held-out rows by their loss, with likely label errors, as `ostinato errors` shows them.

        Args:
            data: as `evaluate` takes it.
            output: a table that all of them are written to.
        """
        row_sources.refuse_columns(data, "data")
        return api.errors(self._fitted(), data=data, output=None if output is None else Path(output), say=LOG.info)

    def report(self, output: Path | str | None = None, *, examples: Sequence[str] = (), by: str | None = None) -> Path:
        """Writes all that is known of the model as one HTML page, as `ostinato report` does; its path.

        Args:
            output: the file; None: report.html in the folder of the run.
            examples: texts to look into beside those that are chosen.
            by: a column of the data, each value of which is measured by itself too.
        """
        file = None if output is None else Path(output)
        return Path(api.report(self._fitted(), file, examples=examples, by=by, say=LOG.info)["file"])

    def stream(
        self,
        text: str,
        on_piece: Callable[[str], None] = _printed,
        *,
        stop: Sequence[str] = (),
        sets: Iterable[str] = (),
        seed: int = 0,
    ) -> str:
        """The answer to one text, handed over piece by piece while it is generated; returns the whole.

        Args:
            text: the input.
            on_piece: receives each piece of the answer; by default it is printed.
            stop: texts before which the answer ends.
            sets: as `predict` takes them.
            seed: of a search that draws at random.
        """
        return api.stream(self._fitted(), text, on_piece, stop=stop, sets=sets, seed=seed)

    def suggest(self, texts: Sequence[str], *, words: int = 5, completions: int = 3) -> list[Suggestions]:
        """For each text its likeliest next words and whole completions, each with its probability."""
        return api.suggest(self._fitted(), texts, words=words, completions=completions)

    def embed(self, rows: Any, *, of: str | None = None) -> np.ndarray:
        """The summary vector of each row, (rows, size) float32, computed by an input's encoder.

        Args:
            rows: as `predict` takes them.
            of: the input whose encoder embeds; needed where there are several.
        """
        return api.embed(self._fitted(), rows=rows, of=of).vectors

    def save(self, folder: Path | str) -> Path:
        """Copies the run folder, for `ostinato.load(folder)` and every command."""
        run, folder = self._fitted(), Path(folder)
        if folder.exists():
            raise BundleError(f"{folder}: exists already; choose another folder or delete it")
        if not Path(run.folder).is_dir():
            raise BundleError(f"{run.folder}: the folder of this run is gone, and is what would be copied; fit again")
        with files.new_folder(folder) as new:
            shutil.copytree(
                run.folder, new, ignore=shutil.ignore_patterns("checkpoints", "tensorboard"), dirs_exist_ok=True
            )
        self.run = Run.load(folder)
        return folder


def _on_device(folder: str, device: str) -> Model:
    return load(folder, device=device)


def _of_recipe(plain: dict[str, Any], origin: str) -> Model:
    return _made(restore(plain, origin), None)


def _made(recipe: Recipe, run: Run | None) -> Model:
    """A model whose arguments are what its recipe holds."""
    model = object.__new__(Model)
    model.recipe, model.run = recipe, run
    model._parameters = {name: recipe.given.get(name.removesuffix("_")) for name in PARAMETERS}
    return model


def _recipe_of(given: Mapping[str, Any], refused: Mapping[str, Any]) -> Recipe:
    """The recipe of a model's arguments, and of other words that it refuses."""
    own = {name: given[name] for name in ("inputs", "outputs", "data", "search", "training")}
    refused = refused if given["from_"] is None else {**refused, "from": given["from_"]}
    return from_arguments(**own, refused=refused)


def load(folder: Path | str, *, device: str = "auto") -> Model:
    """A trained model from its run folder."""
    (run,) = api.loaded_runs(folder, device, LOG.warning)
    return _made(run.recipe, run)
