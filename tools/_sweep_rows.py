"""Rows of docs/results.md that are a sweep: one recipe trained over and over, each value of a setting with several
seeds."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostinato.registry import component


@dataclass(frozen=True)
class Bar:
    """What every seed of a value should reach.

    Args:
        value: of the setting, as the sweep names it.
        label: of the value, for the page.
        least: what the metric should reach.
        most: what it should not pass.
    """

    value: str
    label: str
    least: float | None = None
    most: float | None = None

    def told(self) -> str:
        return f"> {self.least:g}" if self.least is not None else f"< {self.most:g}" if self.most is not None else ""

    def verdict(self, values: list[float | None]) -> str:
        if not self.told():
            return ""
        held = [
            one is not None and (self.least is None or one > self.least) and (self.most is None or one < self.most)
            for one in values
        ]
        return "met" if all(held) else f"missed by {len(held) - sum(held)} of {len(held)} seeds"


@dataclass(frozen=True)
class Swept:
    """A sweep and what each of its values should reach.

    Args:
        name: of the recipe.
        measured: on what, in a few words.
        over: the setting.
        bars: its values, in order.
        seeds: how many of each.
        output: what is judged.
        metric: by what; its square is shown where `squared`.
        squared: whether the square is shown, in `metric_name`.
        metric_name: how the page calls it.
        published: what others report.
        generated: whether its data are made from nothing.
        recipe: where it has another name than the row.
        prepared: the task of tools/prepare.py, by default that of the row's name; None: DATA is read as it is.
        sets: changes of the recipe, as `--set` takes them.
    """

    name: str
    measured: str
    over: str
    bars: tuple[Bar, ...]
    seeds: int
    output: str
    metric: str
    squared: bool
    metric_name: str
    published: str
    generated: bool = True
    recipe: str = ""
    prepared: str | None = ""
    sets: tuple[str, ...] = ()

    @property
    def task(self) -> str | None:
        """Of tools/prepare.py."""
        return self.name if self.prepared == "" else self.prepared

    def commands(self, run: str) -> dict[str, list[str]]:
        """What is run; DATA and DIR stand for folders of the machine."""
        over = f"{self.over}={','.join(bar.value for bar in self.bars)}"
        recipe = f"recipes/{self.recipe or self.name}.yaml"
        changes = [word for change in self.sets for word in ("--set", change)]
        sweep = ["ostinato", "sweep", recipe, *changes, "--seeds", str(self.seeds), "--over", over, "--out", run]
        sweep.append("--data-root")
        if self.task is None:
            return {"sweep": [*sweep, "DATA"]}
        data = () if self.generated else ("--data-root", "DATA")
        return {
            "prepare": ["python", "tools/prepare.py", self.task, *data, "--out", "DIR"],
            "sweep": [*sweep, "DIR"],
        }

    def found(self, folder: Path) -> dict[str, Any]:
        """What the sweep in this folder found: each seed of each value by itself."""
        report = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        rows = []
        for row in report["rows"]:
            measured: list[float | None] = []
            for seed in report["seeds"]:
                name = next((one for one in row["runs"] if one.endswith(f"_seed-{seed}")), None)
                if name is None:  # It failed: null.
                    measured.append(None)
                    continue
                metrics = json.loads((folder / name / "metrics.json").read_text(encoding="utf-8"))
                value = metrics[report["split"]]["outputs"][self.output][self.metric]["value"]
                measured.append(value**2 if self.squared else value)
            kept = ("parameters", "epochs", "seconds_per_epoch", "peak_memory")
            rows.append(
                {"value": next(iter(row["values"].values())), **{name: row[name] for name in kept}, "each": measured}
            )
        minutes = sum(row["epochs"] * row["seconds_per_epoch"] * len(_known(row["each"])) for row in rows) / 60
        return {"seeds": report["seeds"], "split": report["split"], "minutes": round(minutes, 1), "rows": rows}

    def _rows(self, result: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
        return {row["value"]: row for row in result["rows"]} if result else {}

    def overview(self, result: dict[str, Any] | None) -> list[str]:
        """Lines of the page's first table."""
        rows, lines = self._rows(result), []
        for place, bar in enumerate(self.bars):
            lead = f"[{self.name}](#{self.name}), {bar.label}"
            cells = ["not yet run", "", ""]
            if bar.value in rows:
                each = rows[bar.value]["each"]
                known = _known(each)
                is_high = component("metrics", self.metric).higher_is_better and bar.most is None
                worst = min(known) if is_high or bar.least is not None else max(known)
                told = f"{len(known)} of {len(each)} seeds, the others diverged"
                if known == each:
                    told = f"{len(each)} seeds" if len(each) > 1 else "one seed"
                span = f"{min(known):.3g} to {max(known):.3g}, " if len(known) > 1 else ""
                cells = [f"{worst:.3g}", span + told, bar.verdict(each)]
            minutes = f"{result['minutes']:.0f}" if result and place == 0 else ""
            name = f"{self.metric_name}{', worst seed' * (self.seeds > 1)}"
            lines.append(f"| {' | '.join([lead, name, bar.told(), *cells, minutes])} |")
        return lines

    def section(self, result: dict[str, Any] | None, run: str) -> list[str]:
        lines = [
            f"## {self.name}",
            "",
            f"{self.measured[0].upper()}{self.measured[1:]}. Published: {self.published}.",
            "",
            "```",
        ]
        lines += [*(_shell(words) for words in self.commands(run).values()), "```", ""]
        if result is None:
            return [*lines, "not yet run"]
        heads = [
            "",
            "parameters",
            "s/epoch",
            *(f"{self.metric_name}, seed {seed}" for seed in result["seeds"]),
            "bar",
            "",
        ]
        lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        rows = self._rows(result)
        for bar in (bar for bar in self.bars if bar.value in rows):
            row = rows[bar.value]
            cells = [bar.label, f"{row['parameters']:,}", f"{row['seconds_per_epoch']:.3g}", *map(_cell, row["each"])]
            lines.append(f"| {' | '.join([*cells, bar.told(), bar.verdict(row['each'])])} |")
        on = result["machine"]
        note = ["", result["note"]] if "note" in result else []
        return [
            *lines,
            "",
            f"{result['minutes']} minutes in all on {on['cores']} cores ({on['processor']}, {on['capability']}, "
            f"{on['threads']} threads, torch {on['torch']}), {result['date']}.",
            *note,
        ]


def _known(each: list[float | None]) -> list[float]:
    return [one for one in each if one is not None]


def _cell(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.3g}"


def _shell(words: list[str]) -> str:
    return " ".join(f'"{word}"' if " " in word or "{" in word else word for word in words)


ADDING = Swept(
    name="adding",
    measured="the adding problem, two marked numbers among 200; always saying the mean has 0.16",
    over="inputs.series.encoder.cell",
    bars=(
        Bar("lstm", "LSTM", most=0.01),
        Bar("gru", "GRU", most=0.01),
        Bar("{type: rnn}", "tanh RNN", least=0.1),
        Bar("{type: rnn, activation: relu, start: identity}", "relu RNN that starts at the identity"),
    ),
    seeds=3,
    output="sum",
    metric="rmse",
    squared=True,
    metric_name="mean squared error",
    published="LSTM and the relu RNN that starts at the identity solve it, the tanh RNN does not (Le et al. 2015, "
    "arXiv:1504.00941, figure 2)",
)
SUMS = Swept(
    name="sums",
    measured="the sum of 6 to 10 numbers from 0 to 9, trained on sums of 2 to 5",
    over="inputs.numbers.encoder",
    bars=(
        Bar(
            "{cell: {type: rnn, activation: relu, start: identity}, bidirectional: false, hidden_size: 32, "
            "embedding_size: 8, dropout: 0}",
            "relu RNN that starts at the identity",
            most=0.5,
        ),
        Bar("{type: windowed, window: 5, hidden_size: 64}", "feed-forward net over five numbers", least=2.0),
    ),
    seeds=3,
    output="sum",
    metric="mae",
    squared=False,
    metric_name="mean error",
    published="none: the training lengths end before the test's begin",
)
NATOPS = Swept(
    name="natops",
    measured="NATOPS, which of six signals, 180 recordings of 24 joints to learn from and 180 for test",
    over="inputs.series.encoder.type",
    bars=(Bar("convolutional", "convolutions", least=95.0),),
    seeds=5,
    output="signal",
    metric="accuracy",
    squared=False,
    metric_name="accuracy",
    published="97.2 Disjoint-CNN, 97.1 ResNet, means over resamples (repository Navidfoumani/Disjoint-CNN)",
    generated=False,
)
_RECURRENT = {
    "{type: rnn}": "tanh RNN", "lstm": "LSTM", "gru": "GRU", "mingru": "minimal GRU", "slstm": "sLSTM"
}  # fmt: skip


def _architectures(
    sizes: str, attention: str = "heads: 5, ", one_way: str = "bidirectional: false, "
) -> tuple[Bar, ...]:
    """Encoders of one width.

    Args:
        sizes: settings of all.
        attention: settings of the Transformer alone.
        one_way: what keeps recurrences from reading backward too.
    """
    cells = {f"{{cell: {cell}, {one_way}{sizes}}}": label for cell, label in _RECURRENT.items()}
    convolutional = f"{{type: convolutional, {one_way}layers: 4, {sizes}}}"
    transformer = f"{{type: transformer, {one_way}layers: 2, {attention}{sizes}}}"
    return tuple(
        Bar(value, label)
        for value, label in (cells | {convolutional: "convolutions", transformer: "Transformer"}).items()
    )


ADDING_ARCHITECTURES = Swept(
    name="adding-architectures",
    measured="the adding problem of 200 steps by seven encoders; always saying the mean has 0.16",
    over="inputs.series.encoder",
    bars=_architectures("hidden_size: 100, dropout: 0"),
    seeds=1,
    output="sum",
    metric="rmse",
    squared=True,
    metric_name="mean squared error",
    published=ADDING.published,
    recipe="adding",
    prepared="adding",
)
PARITY = Swept(
    name="parity",
    measured="whether 41 to 200 bits hold an odd number of ones, trained on 1 to 40; guessing has 50",
    over="inputs.bits.encoder",
    bars=_architectures("hidden_size: 64, dropout: 0", "heads: 4, summary: last, "),
    seeds=1,
    output="parity",
    metric="accuracy",
    squared=False,
    metric_name="accuracy",
    published="LSTM and sLSTM solve it, Transformers and recurrences without weights between states do not (Beck et "
    "al. 2024, arXiv:2405.04517)",
)
SCAN_LENGTH = Swept(
    name="scan-length",
    measured="SCAN, actions longer than any in training, by seven encoders before one GRU with attention",
    over="inputs.command.encoder",
    bars=_architectures("hidden_size: 100, dropout: 0.1", one_way=""),
    seeds=1,
    output="actions",
    metric="exact_match",
    squared=False,
    metric_name="exact match",
    published="13.8, 20.8 the best, a GRU with attention (Lake and Baroni 2018, arXiv:1711.00350)",
    generated=False,
)


def _conll(name: str, bar: Bar, with_what: str, published: str, sets: tuple[str, ...] = ()) -> Swept:
    return Swept(
        name=name,
        measured=f"CoNLL 2003, names in 3,453 sentences of news, {with_what}",
        over="inputs.word.encoder.embedding",
        bars=(bar,),
        seeds=1,
        output="tag",
        metric="span_f1",
        squared=False,
        metric_name="F1 of spans",
        published=f"{published}; each word's commonest label has 56.1 here (docs/first_run.md)",
        generated=False,
        recipe="conll2003-ner",
        prepared=None,
        sets=sets,
    )


CONLL = (
    _conll(
        "conll2003-ner",
        Bar("learnt", "no vectors", least=83.0),
        "without pretrained vectors",
        "83.6 (Lample et al. 2016, arXiv:1603.01360)",
    ),
    _conll(
        "conll2003-ner-glove",
        Bar("{file: glove.6B.50d.txt, extend: true}", "GloVe", least=89.5),
        "with vectors of GloVe (50 numbers a word), those of words that training lacks too; test rows looked at twice,"
        " 87.2 without these words",
        "91.2 with 100 numbers (Ma and Hovy 2016, arXiv:1603.01354)",
        (
            "inputs.word.min_count=2",
            "inputs.word.encoder.rare_word_dropout=0.25",
            "inputs.word.encoder.recurrent_dropout=0.25",
            "training.average_decay=0.999",
            "training.epochs=20",
        ),
    ),
)


Mean = tuple[int, float, float, float]
"""Rows with a label, and mean, least and greatest of the draws."""
FEW_ROWS = {"0.003512": 20, "0.021071": 100, "0.086918": 400, "0.877085": 4000}
"""Of AG News: shares of the 4,556 rows that four for validation leave, and how many rows with a label that is."""


def _few_labels(
    name: str,
    measured: str,
    shares: dict[str, int],
    seeds: int,
    output: str,
    published: str,
    prepared: str,
    sets: tuple[str, ...] = (),
) -> Swept:
    """A row of a model by the number of rows with a label, each drawn `seeds` times."""
    return Swept(
        name=name,
        measured=measured,
        over="data.fraction",
        bars=tuple(Bar(share, f"{number:,} rows") for share, number in shares.items()),
        seeds=seeds,
        output=output,
        metric="accuracy",
        squared=False,
        metric_name="accuracy",
        published=published,
        generated=False,
        prepared=prepared,
        sets=sets,
    )


def _few(name: str, label: str) -> Swept:
    measured = f"AG News, which of four topics, from 20 to 4,000 rows with a label, five draws of each: {label}"
    published = (
        "tf-idf 56.2 at 100 rows of these data; ULMFiT 95.0 with all 120,000 (Howard and Ruder 2018, arXiv:1801.06146)"
    )
    return _few_labels(name, measured, FEW_ROWS, 5, "topic", published, "ag-news")


FEW_LEAST = 78.0
"""What the mean of the first row's draws of 100 rows should reach."""
FEW = (
    _few("ag-news", "a frozen MiniLM"),
    _few("ag-news-ngrams", "logistic regression of n-grams"),
    _few("ag-news-scratch", "an LSTM from scratch"),
)
REVIEW_ROWS = {"0.004004": 100, "0.040042": 1000}
"""Of the reviews: shares of the 24,974 rows that four for validation leave, and how many rows with a label that is."""


def _reviews(name: str, label: str) -> Swept:
    measured = (
        "IMDb, whether a review is positive, from its last 100 words, 2,500 reviews of the test part, 100 and 1,000 "
        f"rows with a label, three draws of each: {label}"
    )
    published = (
        "ULMFiT with 100 labels and 50,000 reviews without is as good as training from scratch with 50 times as many "
        "labels; 95.4 with all of them (Howard and Ruder 2018, arXiv:1801.06146, section 5 and table 2)"
    )
    sets = ("data.train=prepared-imdb/train.tsv", "data.test=prepared-imdb/test.tsv")
    return _few_labels(name, measured, REVIEW_ROWS, 3, "sentiment", published, "imdb", sets)


REVIEWS = (
    _reviews("ulmfit", "ULMFiT"),
    _reviews("ulmfit-scratch", "the same network from scratch"),
    _reviews("ulmfit-ngrams", "logistic regression of n-grams"),
    _reviews("ulmfit-minilm", "a frozen MiniLM"),
)
REACH = (ADDING_ARCHITECTURES, PARITY, SCAN_LENGTH)
SWEEPS = (ADDING, SUMS, NATOPS, PARITY, ADDING_ARCHITECTURES, SCAN_LENGTH, *CONLL, *FEW, *REVIEWS)


def reach(results: dict[str, dict[str, Any]]) -> list[str]:
    """One table of what each architecture can and cannot."""
    heads = ["", *(f"[{row.name}](#{row.name}), {row.metric_name}" for row in REACH)]
    lines = ["## How far back each architecture reaches", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for place, bar in enumerate(REACH[0].bars):
        cells = [bar.label]
        for row in REACH:
            kept = row._rows(results.get(row.name)).get(row.bars[place].value)
            cells.append("not yet run" if kept is None else _cell(kept["each"][0]))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _means(row: Swept, shares: dict[str, int], results: dict[str, dict[str, Any]]) -> list[Mean]:
    """Where all draws succeeded."""
    kept = row._rows(results.get(row.name))
    each = [(shares[bar.value], _known(kept[bar.value]["each"])) for bar in row.bars if bar.value in kept]
    return [(number, sum(values) / len(values), min(values), max(values)) for number, values in each if values]


@dataclass(frozen=True)
class Few:
    """Models of one task beside each other, by the number of rows with a label.

    Args:
        heading: of its part of the page.
        about: what the table has.
        bar: what should be reached.
        least: what the mean of the first model should reach at 100 rows; None: its least draw more than the greatest of
            the second model at the most rows.
        title: of the plot.
        plot: its file, in docs.
        shares: values of the setting, and how many rows with a label each is.
        rows: the models.
    """

    heading: str
    about: str
    bar: str
    least: float | None
    title: str
    plot: str
    shares: dict[str, int]
    rows: tuple[Swept, ...]

    def section(self, results: dict[str, dict[str, Any]]) -> list[str]:
        heads = ["", *(f"{number:,} rows" for number in self.shares.values())]
        lines = [f"## {self.heading}", "", self.about, "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for row in self.rows:
            found = _means(row, self.shares, results)
            means = {number: f"{mean:.1f} ({low:.1f} to {high:.1f})" for number, mean, low, high in found}
            cells = [means.get(number, "not yet run") for number in self.shares.values()]
            lines.append(f"| [{row.measured.rpartition(': ')[2]}](#{row.name}) | {' | '.join(cells)} |")
        lines += ["", f"{self.bar}{self.verdict(results)}"]
        if any(row.name in results for row in self.rows):
            lines += ["", f"![Accuracy by the number of rows with a label]({self.plot})"]
        return lines

    def verdict(self, results: dict[str, dict[str, Any]]) -> str:
        """Whether the bar is met; empty where that is not known yet."""
        first, second = ({found[0]: found for found in _means(row, self.shares, results)} for row in self.rows[:2])
        most = max(self.shares.values())
        if 100 not in first or (self.least is None and most not in second):
            return ""
        _, mean, low, _ = first[100]
        return " Met." if (mean >= self.least if self.least is not None else low > second[most][3]) else " Missed."

    def draw(self, results: dict[str, dict[str, Any]], docs: Path) -> None:
        """Accuracy by the number of rows with a label, of each model that was measured."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        measured = [(row, style) for row, style in zip(self.rows, ("o-", "s--", "^:", "d-.")) if row.name in results]
        if not measured:
            return
        figure, axes = pyplot.subplots(figsize=(7, 4))
        for row, style in measured:
            numbers, means, lows, highs = zip(*_means(row, self.shares, results))
            (line,) = axes.plot(numbers, means, style, label=row.measured.rpartition(": ")[2])
            axes.vlines(numbers, lows, highs, color=line.get_color(), alpha=0.5)
            axes.fill_between(numbers, lows, highs, alpha=0.2)
        axes.set(xscale="log", xlabel="rows with a label", ylabel="accuracy, %", title=self.title)
        axes.set_xticks(list(self.shares.values()), [f"{number:,}" for number in self.shares.values()])
        axes.minorticks_off()
        axes.legend(loc="lower right", fontsize="small")
        figure.tight_layout()
        figure.savefig(docs / self.plot, dpi=150, metadata={"Software": None})
        pyplot.close(figure)


FEWS = (
    Few(
        "Few labels",
        "Accuracy on the test rows of AG News: mean of five draws of the training rows, least to greatest.",
        f"The first should reach {FEW_LEAST:g} at 100 rows.",
        FEW_LEAST,
        "AG News: five draws of each number",
        "few_labels.png",
        FEW_ROWS,
        FEW,
    ),
    Few(
        "Few labels of reviews",
        "Accuracy on 2,500 reviews of IMDb's test part, by their last 100 words: mean of three draws of the training "
        "rows, least to greatest.",
        "Each draw of the first at 100 rows should be better than all draws of the second at 1,000.",
        None,
        "IMDb: three draws of each number",
        "few_reviews.png",
        REVIEW_ROWS,
        REVIEWS,
    ),
)
