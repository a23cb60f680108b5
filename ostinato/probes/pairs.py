"""Minimal pairs: two texts that differ where it matters, and which of them a language model finds likelier."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato import files
from ostinato.data.read import open_table
from ostinato.data.write import write_table
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.draws import wilson
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding
from ostinato.probes.pictures import drawable, picture
from ostinato.run.run import Run
from ostinato.run.score import scores

CUES = (("today", "now", "nowadays", "currently"), ("yesterday", "formerly", "once", "earlier"))
VERBS = (("need", "needed"), ("see", "saw"), ("have", "had"), ("keep", "kept"), ("find", "found"), ("sell", "sold"))
FILLERS = "in the old town near a quiet river with many small shops by our long green road at some large house".split()
OBJECTS = ("bread", "paper", "water", "books", "wood", "cloth")
"""Of the sentences that `generate` writes."""


@dataclass(frozen=True)
class Pair:
    """Two texts that differ in little.

    Args:
        right: the one that should be likelier.
        wrong: the other.
        gap: how many steps lie between what decides and what differs; None: unknown.
    """

    right: str
    wrong: str
    gap: int | None = None


@dataclass(frozen=True)
class GapResult:
    """The pairs of one gap.

    Args:
        gap: of the pairs; None where no gap is known.
        pairs: how many.
        accuracy: the share whose right text is likelier; one as likely as the other counts half.
        low: the lower end of its 95 % interval (Wilson).
        high: the upper end.
        margin: the mean of log p(right) - log p(wrong), in nats.
    """

    gap: int | None
    pairs: int
    accuracy: float
    low: float
    high: float
    margin: float


@dataclass(frozen=True)
class PairsFinding(Finding):
    """How often the right text of a pair is likelier.

    Args:
        whole: over all pairs.
        gaps: of each gap, the smallest first; empty where no gap is known.
        margins: log p(right) - log p(wrong) of each pair, in nats.
    """

    whole: GapResult
    gaps: list[GapResult]
    margins: list[float]

    @property
    def reach(self) -> int | None:
        """The largest gap up to which every accuracy is above chance; None: there is none."""
        reached = None
        for part in self.gaps:
            if part.low <= 0.5:
                break
            reached = part.gap
        return reached

    @property
    def title(self) -> str:
        whole = self.whole
        text = f"The right text is likelier in {whole.accuracy:.1%} [{whole.low:.1%}, {whole.high:.1%}] of "
        text += f"{whole.pairs:,} pairs"
        if not self.gaps:
            return text
        last = self.gaps[-1].gap
        if self.reach is None:
            return f"{text}; no better than chance at a gap of {self.gaps[0].gap}"
        return f"{text}; better than chance up to a gap of {self.reach} of {last}"

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "reach": self.reach, **asdict(self)}

    def lines(self) -> list[str]:
        rows = [["gap", "pairs", "share right", "95 % interval", "margin (nats)"]]
        for part in self.gaps or [self.whole]:
            interval = f"[{part.low:.1%}, {part.high:.1%}]"
            gap = "" if part.gap is None else str(part.gap)
            rows.append([gap, f"{part.pairs:,}", f"{part.accuracy:.1%}", interval, f"{part.margin:+.3f}"])
        return [self.title, "", *table(rows)]

    def draw(self, path: Path) -> None:
        parts = self.gaps or [self.whole]
        with picture(path, (6.4, 4.2)) as (_, (axes,)):
            at = [part.gap or 0 for part in parts]
            shares = np.array([part.accuracy for part in parts])
            ends = np.array([[part.accuracy - part.low, part.high - part.accuracy] for part in parts]).T
            axes.errorbar(at, shares, np.maximum(ends, 0), marker="o", capsize=3)
            axes.axhline(0.5, color="0.6", linestyle=":", label="chance")
            axes.set_ylim(0, 1.05)
            axes.set_xlabel("gap (steps between what decides and what differs)")
            axes.set_ylabel("share of pairs whose right text is likelier")
            axes.set_title(drawable(self.title), fontsize=9, wrap=True)
            axes.legend(frameon=False, fontsize=8)


def read_pairs(file: str) -> list[Pair]:
    """The pairs of a table with columns `right`, `wrong` and, if wanted, `gap`.

    Errors:
        DataError: it has no rows or cannot be read, a text is missing, or a gap is no whole number.
    """
    opened = {"base": Path.cwd(), "data_root": (), "where": file}
    names = open_table(file, columns=None, **opened).columns
    wanted = ["right", "wrong", *(["gap"] if "gap" in names else [])]
    pairs = []
    rows = open_table(file, columns=wanted, **opened)
    for number, row in enumerate(rows.rows()):
        right, wrong, gap = row["right"], row["wrong"], row.get("gap")
        if not right or not wrong:
            raise DataError(f"{rows.place(number)}: a pair needs a text under `right` and one under `wrong`")
        if gap not in (None, "") and not str(gap).isdecimal():
            raise DataError(f"{rows.place(number)}: gap: {gap!r}: a whole number of steps, or nothing")
        pairs.append(Pair(str(right), str(wrong), None if gap in (None, "") else int(gap)))
    return pairs


def judged(run: Run, pairs: Sequence[Pair]) -> PairsFinding:
    """How often the right text is likelier.

        margin = log p(right) - log p(wrong)        each of its whole text, the end included

    Args:
        run: with an output that continues a text.
        pairs: at least one.

    Errors:
        ConfigError: the run continues no text.

    Source: Linzen, Dupoux and Goldberg 2016, arXiv:1611.01368; whole texts: Warstadt and others 2020, arXiv:1912.00582.
    """
    output = next(iter(run.graph.continues), None)
    if output is None or len(run.inputs) > 1:
        raise ConfigError(
            f"pairs: {run.folder} gives {', '.join(run.outputs)}; the likelihood of a text needs a run of one input "
            "and an output of align 'next'"
        )
    place = f"inputs.{run.graph.continues[output]}"
    read = run.modalities[place].parse
    rows = [{place: raw, f"outputs.{output}": raw} for pair in pairs for raw in map(read, (pair.right, pair.wrong))]
    known = scores([run], rows, outputs=[output])[output].scored.log_probability.double().numpy()
    margins = known[::2] - known[1::2]
    gaps = np.array([-1 if pair.gap is None else pair.gap for pair in pairs])
    parts = [_result(int(gap), margins[gaps == gap]) for gap in np.unique(gaps) if gap >= 0]
    return PairsFinding(_result(None, margins), parts, margins.tolist())


def _result(gap: int | None, margins: np.ndarray) -> GapResult:
    hits = float((margins > 0).sum() + (margins == 0).sum() / 2)
    return GapResult(gap, len(margins), hits / len(margins), *wilson(hits, len(margins)), float(margins.mean()))


def generate(folder: Path, *, rows: int, gaps: Sequence[int], longest: int, seed: int) -> list[Path]:
    """Writes sentences whose verb agrees in tense with their first word, and pairs of them with growing gap.

        today    in the old town near   we   need  bread        right
        today    in the old town near   we   needed  bread      wrong
        cue      gap of 6 words, `we` the last of them, to the verb

    The words between tell nothing of the tense. Files: train.txt and valid.txt (a tenth as long) for a language
    model, their gaps from 1 to `longest`, and pairs.csv with 50 pairs of each gap.

    Args:
        folder: of the files.
        rows: training sentences.
        gaps: of the pairs.
        longest: gap of a training sentence.
        seed: of what is drawn.

    Errors:
        ConfigError: a gap below 1.
    """
    if min((*gaps, longest)) < 1:
        raise ConfigError(f"gaps: {min((*gaps, longest))}: 1 or more, since `we` stands between cue and verb")
    drawn = random.Random(seed)

    def sentence(gap: int) -> tuple[str, str]:
        tense = drawn.randrange(2)
        start = [drawn.choice(CUES[tense]), *(drawn.choice(FILLERS) for _ in range(gap - 1)), "we"]
        verbs, end = drawn.choice(VERBS), drawn.choice(OBJECTS)
        return " ".join([*start, verbs[tense], end]), " ".join([*start, verbs[1 - tense], end])

    paths = []
    for name, count in (("train.txt", rows), ("valid.txt", max(2, rows // 10))):
        lines = [sentence(drawn.randint(1, longest))[0] for _ in range(count)]
        paths.append(folder / name)
        files.write(paths[-1], "\n".join(lines) + "\n")
    pairs = (
        {"gap": gap, "right": right, "wrong": wrong}
        for gap in gaps
        for right, wrong in (sentence(gap) for _ in range(50))
    )
    write_table(folder / "pairs.csv", pairs)
    return [*paths, folder / "pairs.csv"]
