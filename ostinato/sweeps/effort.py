"""`train --effort`: candidates trained within a time, the weakest stopped early, the best of them kept as one run."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.errors import BundleError, ConfigError, DataError
from ostinato.evaluation.costs import costs, validation_costs
from ostinato.evaluation.validate import validate
from ostinato.files import as_json, write
from ostinato.model.ensemble import refuse_unlike
from ostinato.preprocessing.duration import Pace, needed
from ostinato.recipe.read import Recipe
from ostinato.recipe.rules import monitorable
from ostinato.run import bundle as bundles
from ostinato.run import train as run_train
from ostinato.run.run import Run
from ostinato.run.train import ANOTHER, MARGIN, START_SECONDS, Budget, Session
from ostinato.sweeps.portfolio import (
    COUNTED,
    DEFAULT,
    LONGER,
    ROWS_SEED,
    SEED,
    Candidate,
    candidates,
    changed,
    reseeded,
)
from ostinato.sweeps.selection import Figures, Voting, select
from ostinato.training.checkpoints import restore_model
from ostinato.training.task import Listeners, Outcome


class Size(NamedTuple):
    """How much an effort is.

    Args:
        candidates: beside the default run.
        times: so many times what the default run takes, where no minutes are given.
        seeds: the most other seeds of them that are trained in the time that is left.
    """

    candidates: int
    times: int
    seeds: int


SIZES = {2: Size(3, 3, 2), 3: Size(6, 5, 4), 4: Size(10, 8, 6), 5: Size(16, 12, 8)}
RUNGS = (0.25, 0.5)
"""Shares of a candidate's epochs after which the worse half of those that go on is stopped."""
SAVED = 0.5
"""The share of the time of all candidates that is left of it if half of them are stopped at each rung."""
MOST_PROPOSED = 3
"""So many times the candidates are proposed: some cannot be trained, as their first look at the data shows."""
EVALUATIONS = 2
"""Several members are evaluated for longer than one."""
LATE = 0.75
"""A default run that was best after this share of its epochs was still learning."""
LEAST_RAN = 0.5
"""Candidates are expected to be trained for the share of their epochs that the default run was, at least this one."""
TRAINED, NO_TIME = "trained", "no time for an epoch"


@dataclass
class Trial:
    """What became of a candidate.

    Args:
        candidate: its name, that of its folder.
        changes: in what it differs from the default run, settings by path.
        epochs: that were planned; 0 where it was not begun.
        validation: the best value of what training monitors.
        metrics: the main metrics alone, on the validation split.
        minutes: of training.
        stopped: `trained`, when it was stopped, or why it was not begun.
        weight: its share of the answers.
        of: the candidate that it is another seed of; empty where it is none.
    """

    candidate: str
    changes: dict[str, Any]
    epochs: int = 0
    validation: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    minutes: float = 0.0
    stopped: str = ""
    weight: float = 0.0
    of: str = ""

    @property
    def refused(self) -> bool:
        """Whether it cannot be trained, so that another takes its place."""
        return not self.epochs and self.stopped != NO_TIME


@dataclass
class Portfolio:
    """What was tried, as the run folder keeps it: effort.json.

    Args:
        effort: 2 to 5.
        minutes: the time of all.
        monitor: what candidates are compared by.
        seconds: what is left for candidates that are not begun yet; None before the default run is trained.
        reserved: the seconds kept for what follows training.
        trials: the default run first.
        stopped: the candidates stopped at each rung so far.
        further: what got the time that these and early stopping left, in turn.
        spent: whether there is nothing more that this time is enough for.
        default, chosen: what is known of the default run, and of what was chosen, on the validation split.
    """

    effort: int
    minutes: float = 0.0
    monitor: str = "loss"
    seconds: float | None = None
    reserved: float = 0.0
    trials: list[Trial] = field(default_factory=list)
    stopped: list[list[str]] = field(default_factory=list)
    further: list[str] = field(default_factory=list)
    spent: bool = False
    default: dict[str, float] = field(default_factory=dict)
    chosen: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def read(folder: Path) -> Portfolio | None:
        """What a run folder keeps; None where it was trained without effort.

        Errors:
            BundleError: the file is damaged.
        """
        path = folder / bundles.EFFORT
        if not path.is_file():
            return None
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            return Portfolio(**{**plain, "trials": [Trial(**trial) for trial in plain["trials"]]})
        except (ValueError, TypeError, KeyError) as why:
            raise BundleError(f"{path}: damaged ({why}); restore it, or start anew with --overwrite") from None

    def keep(self, folder: Path) -> None:
        write(folder / bundles.EFFORT, as_json(asdict(self), indent=1))

    def rows(self) -> list[tuple[str, ...]]:
        """The trials as a table: heads, then a row each."""
        metrics = list(dict.fromkeys(name for trial in self.trials for name in trial.metrics))
        heads = ("candidate", self.monitor, *metrics, "minutes", "weight", "")
        rows = [
            (
                trial.candidate,
                "" if trial.validation is None else f"{trial.validation:.4g}",
                *(f"{trial.metrics[name]:.4g}" if name in trial.metrics else "" for name in metrics),
                f"{trial.minutes:.1f}",
                f"{trial.weight:.0%}" if trial.weight else "",
                trial.stopped,
            )
            for trial in self.trials
        ]
        return [heads, *rows]

    def summary(self) -> str:
        """What was gained on the validation split."""
        gains = [f"{name} {self.chosen[name]:.4g} (default run: {self.default[name]:.4g})" for name in self.chosen]
        return f"effort {self.effort}, {self.minutes:.3g} minutes; on the validation split {', '.join(gains)}"


class _TooLong(Exception):
    """An epoch of a candidate takes longer than its share of the time."""


def train(
    recipe: Recipe,
    folder: Path,
    effort: int,
    *,
    minutes: float | None,
    resume: bool,
    overwrite: bool,
    device: str,
    roots: Sequence[Path],
    data: Mapping[str, Any],
    listeners: Listeners,
) -> Run:
    """Trains the default run, then candidates, and keeps what is best on the validation split as one run.

    The default run is trained as without effort. Candidates get the rest of the time, and half of those that are not
    finished stop at each of RUNGS. The time that is left then is for the best of those that were stopped, and for other
    seeds of the best ones. All decisions of the clock are kept before anything depends on them, so that a run
    that was killed ends with the same members.

    Args:
        recipe: as the user gave it.
        folder: of the run.
        effort: 2 to 5.
        minutes: the time of all; None: a multiple of what the default run takes here.
        resume, overwrite, device, roots, data, listeners: as in `run.train.begin`.

    Errors:
        ConfigError: there is no such effort; the folder holds another run.
    """
    portfolio = _claimed(folder, effort, resume, overwrite)
    if portfolio.chosen:
        listeners.notes(f"{folder}: this run is finished; {portfolio.summary()}")
        return Run.load(folder, device)
    work = _Work(recipe, folder, portfolio, device, roots, data, listeners, time.monotonic())
    default = work.default(minutes)
    most = MOST_PROPOSED * SIZES[effort].candidates
    others = work.begun(candidates(recipe, default.run.recipe, most, work.learning()))
    sessions = {DEFAULT: default, **others}
    work.halve(others)
    work.spend(sessions)
    if len(sessions) == 1:
        listeners.notes(f"note: the default run alone is trained: {work.why_alone()}")
    work.choose(sessions)
    return Run.load(folder, device)


def _claimed(folder: Path, effort: int, resume: bool, overwrite: bool) -> Portfolio:
    if effort not in SIZES:
        allowed = ", ".join(map(str, SIZES))
        raise ConfigError(f"effort {effort}: there are 1, the default run alone, and {allowed}; give one of them")
    if resume and not overwrite and (known := Portfolio.read(folder)) is not None:
        if known.effort != effort:
            raise ConfigError(
                f"{folder}: holds a run of --effort {known.effort}; continue it with --effort {known.effort}, or choose"
                f" {ANOTHER}"
            )
        return known
    if run_train.claim(folder, resume, overwrite) is not None:
        raise ConfigError(f"{folder}: holds a run without --effort; leave it out to continue it, or choose {ANOTHER}")
    if overwrite:
        run_train.clear(folder)
    portfolio = Portfolio(effort)
    portfolio.keep(folder)
    return portfolio


@dataclass
class _Work:
    """A portfolio in training."""

    recipe: Recipe
    folder: Path
    portfolio: Portfolio
    device: str
    roots: Sequence[Path]
    data: Mapping[str, Any]
    listeners: Listeners
    started: float
    ran: float = 1.0
    """The share of its epochs that the default run was trained for."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """Of each candidate, as far as it was trained."""
    lead: Session | None = None
    """Of the default run."""

    def left(self) -> float:
        """The seconds that are left for training."""
        trained = 60 * sum(trial.minutes for trial in self.portfolio.trials)
        spent = START_SECONDS + max(trained, time.monotonic() - self.started)
        return MARGIN * 60 * self.portfolio.minutes - spent - self.portfolio.reserved

    def begin(
        self, name: str, recipe: Recipe, budget: Budget | None = None, costs: run_train.Costs | None = None
    ) -> Session:
        """A candidate in its folder, as it began before where it did.

        Errors:
            ConfigError, DataError: it cannot be trained, or its answers cannot be compared with the default run's.
        """
        folder, known = self.folder / bundles.MEMBERS / name, self.trial(name) is not None
        listeners = self.listeners if name == DEFAULT else Listeners(progress=self.listeners.progress)
        session = run_train.begin(
            recipe,
            folder,
            resume=known and bundles.exists(folder),
            overwrite=not known and folder.exists(),
            device=self.device,
            roots=self.roots,
            data=self.data,
            validate=validate,
            listeners=listeners,
            budget=None if known else budget,
            costs=costs,
        )
        self.lead = self.lead or session
        refuse_unlike([self.lead.run.member(), session.run.member()])
        return session

    def trial(self, name: str) -> Trial | None:
        return next((trial for trial in self.portfolio.trials if trial.candidate == name), None)

    def add(self, trial: Trial) -> None:
        self.portfolio.trials.append(trial)
        self.portfolio.keep(self.folder)

    def default(self, minutes: float | None) -> Session:
        """The default run, trained; what is left of the time is for candidates."""
        portfolio, evaluation = self.portfolio, 0.0
        size = SIZES[portfolio.effort]

        def seconds(recipe: Recipe, pace: Pace) -> float | None:
            nonlocal evaluation
            cost, evaluation = needed(recipe, pace), pace.evaluation_seconds
            now = time.monotonic() - self.started + START_SECONDS
            portfolio.minutes = minutes or max(1.0, size.times * (now + cost) / 60)
            left = MARGIN * 60 * portfolio.minutes - now
            return None if cost <= left else left

        session = self.begin(DEFAULT, self.recipe, Budget(seconds), partial(costs, roots=self.roots))
        if portfolio.minutes and self.trial(DEFAULT) is None:
            times = "" if minutes else f", {size.times} times what the default run takes here"
            self.listeners.notes(
                f"effort {portfolio.effort}: up to {size.candidates} candidates beside the default run,"
                f" {portfolio.minutes:.3g} minutes{times}; --minutes N changes it"
            )
        portfolio.minutes = portfolio.minutes or minutes or 1.0  # All was solved for: nothing was measured.
        portfolio.monitor = session.run.recipe.settings.training.monitor
        if self.trial(DEFAULT) is None:
            self.add(Trial(DEFAULT, {}, session.run.recipe.settings.training.epochs))
        self.train(DEFAULT, session, 1.0)
        planned = session.run.recipe.settings.training.epochs
        self.ran = min(1.0, max(LEAST_RAN, self.outcomes[DEFAULT].epochs / planned))
        if portfolio.seconds is None:
            portfolio.reserved = EVALUATIONS * evaluation
            portfolio.seconds = self.left()
            portfolio.keep(self.folder)
        return session

    def learning(self) -> bool:
        """Whether the default run was still learning at its end: no patience ended it, and it was best near there."""
        outcome = self.outcomes[DEFAULT]
        late = outcome.best_epoch is not None and outcome.best_epoch >= LATE * outcome.epochs
        return self.trial(LONGER) is not None or (outcome.ended == "epochs" and outcome.epochs > 0 and late)

    def begun(self, listed: Sequence[Candidate]) -> dict[str, Session]:
        """The candidates that there is time for, each with a share of what is left; their answers can be compared with
        those of the default run."""
        sessions: dict[str, Session] = {}
        waiting = SIZES[self.portfolio.effort].candidates + sum(candidate.shares - 1 for candidate in listed)
        for candidate in listed:
            if waiting <= 0:
                break
            known = self.trial(candidate.name)
            if known is not None and not known.epochs:
                waiting -= candidate.shares - known.refused
                continue
            began = time.monotonic()
            planned = 0.0

            def seconds(recipe: Recipe, pace: Pace, part: float = candidate.shares / waiting) -> float | None:
                nonlocal planned
                pace = replace(pace, evaluation_seconds=0.0)
                left = self.portfolio.seconds or 0.0
                cost, share = self.ran * needed(recipe, pace), min(left, left / SAVED * part)
                if pace.updates * pace.update_seconds > share:
                    raise _TooLong
                planned = min(cost, share)
                return None if cost <= share else share

            trial = Trial(candidate.name, dict(candidate.changes))
            try:
                if known is None and (self.portfolio.seconds or 0.0) <= 0:
                    raise _TooLong
                session = self.begin(candidate.name, candidate.recipe, Budget(seconds, 1.0), validation_costs)
            except _TooLong:
                trial.stopped = NO_TIME
            except (ConfigError, DataError) as why:
                trial.stopped = _refused(why)
            else:
                sessions[candidate.name] = session
                trial.epochs = session.run.recipe.settings.training.epochs
            if known is None:
                spent = time.monotonic() - began + planned * _expected_share(trial.epochs)
                self.portfolio.seconds = (self.portfolio.seconds or 0.0) - spent
                self.add(trial)
            waiting -= candidate.shares - trial.refused
        return sessions

    def why_alone(self) -> str:
        """Why there is no candidate."""
        refused = [f"{trial.candidate}: {trial.stopped}" for trial in self.portfolio.trials if trial.stopped != TRAINED]
        if not refused:
            return "the recipe gives all that its members could vary"
        return f"{'; '.join(refused)}; more --minutes give more candidates"

    def halve(self, sessions: Mapping[str, Session]) -> None:
        """Trains the candidates to each rung, where the worse half of those that are not finished stops, and the others
        to their end."""
        left = dict(sessions)
        for rung, share in enumerate(RUNGS):
            for name, session in left.items():
                self.train(name, session, share)
            if rung == len(self.portfolio.stopped):
                self.portfolio.stopped.append(self.worse_half([*left]))
                self.portfolio.keep(self.folder)
            left = {
                name: session
                for name, session in left.items()
                if self.outcomes[name].ended is None and name not in self.portfolio.stopped[rung]
            }
        for name, session in left.items():
            self.train(name, session, 1.0)

    def worse_half(self, names: Sequence[str]) -> list[str]:
        """Of the candidates at a rung those of the worse half that are not finished, and those that there is no time
        for."""
        ranked, left, stopped = sorted(names, key=self.cost), self.left(), []
        for place, name in enumerate(ranked):
            if self.outcomes[name].ended is None:
                left -= self.seconds_to_end(name)
                if left < 0 or place >= math.ceil(len(ranked) / 2):
                    stopped.append(name)
        return stopped

    def spend(self, sessions: dict[str, Session]) -> None:
        """Trains what was stopped to its end, the best first, then other seeds of the best, while there is time."""
        portfolio = self.portfolio
        for place in itertools.count():
            if place == len(portfolio.further) and not portfolio.spent:
                name = self.next(sessions)
                portfolio.further += [name] if name is not None else []
                portfolio.spent = name is None
                portfolio.keep(self.folder)
            if place == len(portfolio.further):
                return
            name = portfolio.further[place]
            if name not in sessions:
                trial = self.trial(name)
                changes = {path: trial.changes[path] for path in (SEED, ROWS_SEED) if path in trial.changes}
                try:
                    sessions[name] = self.begin(name, changed(sessions[trial.of].run.recipe, changes))
                except (ConfigError, DataError) as why:
                    trial.stopped = _refused(why)
                    continue
            self.train(name, sessions[name], 1.0)

    def next(self, sessions: Mapping[str, Session]) -> str | None:
        """What there is time for: a candidate that was stopped, or another seed of one of the better half, whose trial
        begins here; None where there is no time for any."""
        left, ranked = self.left(), sorted(sessions, key=self.cost)
        for name in ranked:
            if self.outcomes[name].ended is None and self.seconds_to_end(name) <= left:
                return name
        trials = {name: self.trial(name) for name in ranked}
        seeds = Counter(trial.of for trial in self.portfolio.trials if trial.of)
        drawn = [name for name in ranked if not trials[name].of and name != COUNTED and self.outcomes[name].updates]
        better = [name for name in drawn[: math.ceil(len(drawn) / 2)] if 60 * trials[name].minutes <= left]
        if self.recipe.gives(SEED) or not better or seeds.total() == SIZES[self.portfolio.effort].seeds:
            return None
        original = min(better, key=seeds.__getitem__)
        settings = sessions[original].run.recipe.settings
        changes = reseeded(settings, settings.training.seed + 1 + seeds[original])
        name = f"{original}_seed-{changes[SEED]}"
        self.add(Trial(name, {**trials[original].changes, **changes}, settings.training.epochs, of=original))
        return name

    def seconds_to_end(self, name: str) -> float:
        """What the epochs take that a candidate is still expected to be trained for."""
        trial, done = self.trial(name), self.outcomes[name].epochs
        return 60 * trial.minutes / max(1, done) * max(1.0, self.ran * trial.epochs - done)

    def cost(self, name: str) -> float:
        """What training monitors, lower for the better."""
        value = self.outcomes[name].best.get(self.portfolio.monitor, math.inf)
        higher = monitorable(self.recipe.settings)[self.portfolio.monitor]
        return (-value if higher else value) if math.isfinite(value) else math.inf

    def train(self, name: str, session: Session, share: float) -> None:
        """Trains to this share of the epochs, or to the end where that was reached before."""
        epochs = session.run.recipe.settings.training.epochs
        until = None if share == 1.0 else math.ceil(share * epochs)
        if name != DEFAULT:
            self.listeners.notes(f"candidate {name}: to epoch {until or epochs} of {epochs}")
        resume = session.resume or name in self.outcomes
        outcome = self.outcomes[name] = run_train.trained(replace(session, resume=resume), until)
        trial = self.trial(name)
        trial.validation = outcome.best.get(self.portfolio.monitor)
        trial.minutes = outcome.seconds / 60
        if outcome.ended is not None:
            self.finish(name, session)

    def finish(self, name: str, session: Session) -> None:
        """Writes the weights of a candidate that is trained no further."""
        run, outcome, trial = session.run, self.outcomes[name], self.trial(name)
        if (run.folder / bundles.WEIGHTS).is_file():
            restore_model(run.graph, bundles.load_weights(run.folder), run.folder)
        else:
            run_train.finish(session, outcome)
        stopped = f"stopped after epoch {outcome.epochs} of {trial.epochs}"
        trial.stopped = TRAINED if outcome.ended is not None else stopped
        self.portfolio.keep(self.folder)

    def choose(self, sessions: Mapping[str, Session]) -> None:
        """Keeps what is best on the validation split: the run folder of the whole, and those of its members."""
        for name, session in sessions.items():
            if self.outcomes[name].ended is None:
                self.finish(name, session)
        runs = {name: session.run for name, session in sessions.items()}
        voting = Voting(runs, {name: session.valid for name, session in sessions.items()})
        selection = select(voting, self.portfolio.monitor)
        total = sum(selection.counts.values())
        for name in runs:
            trial = self.trial(name)
            trial.weight = selection.counts.get(name, 0) / total
            trial.metrics = _shown(voting.figures([name]))
        lead = runs[next(iter(selection.counts))]
        bundle = replace(lead.bundle, members=selection.counts, metrics={}, versions=bundles.versions())
        bundles.describe(self.folder, bundle)
        bundles.save_metrics(self.folder, {})
        bundles.write_card(self.folder, bundle, lead.graph.parts())
        write(self.folder / bundles.RECIPE, (lead.folder / bundles.RECIPE).read_text(encoding="utf-8"))
        self.portfolio.default, self.portfolio.chosen = dict(selection.default), dict(selection.figures)
        self.portfolio.keep(self.folder)
        for path in (self.folder / bundles.MEMBERS).iterdir():
            if path.name not in selection.counts:
                shutil.rmtree(path)
        self.listeners.notes(self.portfolio.summary())


def _refused(why: Exception) -> str:
    """Why a candidate was not begun."""
    return f"cannot be trained: {str(why).splitlines()[0]}"


def _shown(figures: Figures) -> dict[str, float]:
    """The metrics of the outputs, beside the losses."""
    return {name: value for name, value in figures.items() if name.rpartition(".")[2] != "loss"}


def _expected_share(epochs: int) -> float:
    """Of the time of all its epochs, what a candidate takes if half of them are stopped at each rung."""
    reached = [math.ceil(share * epochs) / max(1, epochs) for share in (*RUNGS, 1.0)]
    steps = [after - before for before, after in zip([0.0, *reached], reached)]
    return sum(step / 2**rung for rung, step in enumerate(steps))
