"""One page about a run: it loads nothing, escapes every text, names every picture, and has the numbers of the run."""

import csv
import re
from html import escape
from html.parser import HTMLParser

import pytest
import torch

import ostinato
from ostinato import api
from ostinato.errors import ConfigError
from ostinato.evaluation.intervals import Compared
from ostinato.modalities.number import Number
from ostinato.probes.pictures import short_numbers
from ostinato.reporting import run_report
from ostinato.reporting.comparison import finding, named
from ostinato.reporting.costs import cost_rows, kilowatt_hours
from ostinato.reporting.data_card import data_card
from ostinato.reporting.page import table
from ostinato.run.flops import flops
from ostinato.run.run import Run
from ostinato.testing.probes import subject_of

EVIL = '<script>alert("1 & 2")</script>'
VOID = {"meta", "img"}


class Parsed(HTMLParser):
    """The tags of a page, which must close each other, and the attributes of each."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rows = [(f"sun {EVIL}", "<good>", "a"), ("rain cold", "bad", "b"), ("sun warm", "<good>", "b")] * 8
    valid = [("sun", "<good>", "a"), (f"rain {EVIL}", "bad", "a"), ("new words", "<good>", "b"), ("rain", "bad", "b")]
    for name, listed in (("train", rows), ("valid", valid * 3)):
        with open(folder / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("text", "label", "place"), *listed])
    model = ostinato.Model(
        {"text": {"type": "tokens", "encoder": {"cell": "gru", "hidden_size": 4, "embedding_size": 4}}},
        {"label": "category"},
        data={"train": str(folder / "train.csv"), "valid": str(folder / "valid.csv")},
        training={"epochs": 3, "batch_rows": 4},
    )
    model.fit(folder=folder / "run", device="cpu")
    return folder


def test_the_page_of_a_classifier(folder):
    notes = []
    result = api.report(
        folder / "run", folder / "page.html", examples=[EVIL], by="place", device="cpu", say=notes.append
    )
    html = (folder / "page.html").read_text(encoding="utf-8")
    parsed = Parsed(html)
    assert not parsed.open and result["bytes"] == len(html.encode()) < 3e6
    assert escape(EVIL) in html and "<script" not in html and "<good>" not in html
    sources = [attributes[name] for _, attributes in parsed.tags for name in ("src", "href") if name in attributes]
    assert sources and all(source.startswith(("#", "data:image/svg+xml;base64,")) for source in sources)
    pictures = parsed.named("img")
    assert pictures and all(len(picture["alt"]) > 20 for picture in pictures)
    assert any(picture["alt"].startswith("The validation loss") for picture in pictures)
    assert any("rows of valid are right" in picture["alt"] for picture in pictures)
    report = api.evaluate(folder / "run", by="place", device="cpu")
    accuracy = report.outputs["label"]["accuracy"]
    cells = re.findall(r"<td>(.*?)</td>", html)
    assert f"{accuracy.value:.4g}" in cells and f"{accuracy.low:.4g} to {accuracy.high:.4g}" in cells
    assert "label (category): one answer for the whole row, from text" in html
    by_group = html[html.index("accuracy by place") :]
    assert f"{report.by.groups['a'].outputs['label']['accuracy'].value:.4g}  [" in by_group
    # Of the 8 words of the held-out texts `new` and `words` are not in training.
    assert "25.00%" in cells
    assert any(note.startswith("probe gates: ") for note in notes) and "Gates: Half of the units" in html
    for section in ("Task", "Result", "Data", "Worst errors", "Examples", "Inside", "Cost", "Recipe"):
        assert re.search(rf'<h2 id="s\d+">{section}</h2>', html), section


def test_columns_of_numbers_have_no_lengths(folder):
    table = folder / "numbers.csv"
    table.write_text("a,y\n1,2\n3,4\n2,3\n5,6\n")
    model = ostinato.Model({"a": "number"}, {"y": "number"}, data={"train": str(table)}, training={"epochs": 1})
    card = str(data_card(model.fit(device="cpu").run, []))
    assert "inputs.a (number)" in card and " / " not in card


def test_it_stands_beside_the_run_and_the_advice_where_it_cannot(folder, monkeypatch):
    model = ostinato.Model({"a": "number", "b": "number"}, {"y": "number"}, training={"epochs": 1})
    model.fit([{"a": float(at), "b": 1.0 + at % 2, "y": float(at)} for at in range(40)], folder=folder / "pair")
    with pytest.raises(ConfigError, match="this run knows no valid split; give --data FILE"):
        model.report()
    table = folder / "pair.csv"
    table.write_text("a,b,y\n1,2,3\n2,2,4\n3,1,3\n")
    advice = "--example: the model reads a, b, and a text is one column; leave the option out"
    with pytest.raises(ConfigError, match=advice):
        api.report(model.run, data=str(table), examples=["x"], device="cpu")
    loose = Run(model.run.recipe, model.run.bundle, model.run.modalities, model.run.graph)
    with pytest.raises(ConfigError, match="a model that is in memory alone has no folder; give the file as output"):
        api.report(loose, data=str(table), device="cpu")
    monkeypatch.setattr(run_report, "run_report", lambda run, report, *_, **__: f"{report.examples}")
    assert ostinato.load(folder / "run", device="cpu").report() == folder / "run" / "report.html"
    assert (folder / "run" / "report.html").read_text() == "12"
    assert api.report(loose, folder / "r.html", data=str(table), device="cpu")["file"] == str(folder / "r.html")
    assert api.report(model.run, data=str(table), device="cpu") == {
        "file": str(model.run.folder / "report.html"),
        "bytes": 1,
    }


def test_two_runs_as_a_page(folder, tmp_path):
    notes = []
    comparison = api.compare(
        folder / "run", folder / "run", html=tmp_path / "page.html", device="cpu", say=notes.append
    )
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    parsed = Parsed(html)
    assert (
        not parsed.open
        and "<script" not in html
        and notes == [f"page: {tmp_path / 'page.html'} ({(tmp_path / 'page.html').stat().st_size / 1e6:.2f} MB)"]
    )
    count = len(named(comparison))
    assert parsed.named("img")[0]["alt"].startswith(f"None of the {count} differences is real")
    assert sum(picture["alt"].startswith("The validation loss") for picture in parsed.named("img")) == 2
    assert "settings that differ" not in html and html.count("<td>may be chance</td>") == count
    part = Compared(80.0, 90.0, 10.0, 5.0, 15.0, 0.01, True, "second", "wilson")
    assert finding([("y.accuracy", part)]) == "1 of 1 differences are real: y.accuracy +10, second is better"


def test_cells_that_are_empty_everywhere_and_long_decimals_are_left_out():
    assert "b</th>" not in table("t", [("a", "b"), ("1", ""), ("2", "")])
    number = Number()
    number.fit([1.0, 2.0])
    assert short_numbers(number, "1.00000011 -2.5") == "1 -2.5"


def test_operations_are_those_counted_by_hand():
    text = ["abcdefgh"]
    steps, inputs, hidden = 8, 4, 20
    for cell, gates in (("rnn", 1), ("gru", 3), ("lstm", 4)):
        model = subject_of({"cell": cell, "hidden_size": hidden, "embedding_size": inputs}, text)
        encoder, read = model.graph.encoder("text"), model.batch.inputs["text"]
        with torch.no_grad():
            counted = flops(lambda encoder=encoder, read=read: encoder.encode(read))
        assert counted == 2 * steps * gates * (inputs * hidden + hidden * hidden), cell
    width, feed, heads = 8, 16, 2
    transformer = {"type": "transformer", "hidden_size": width, "heads": heads, "layers": 1, "feed_forward_size": feed}
    model = subject_of(transformer, text)
    encoder, read = model.graph.encoder("text"), model.batch.inputs["text"]
    with torch.no_grad():
        counted = flops(lambda: encoder.encode(read))
    projections, attended = 2 * steps * 4 * width * width, 4 * steps * steps * width
    assert counted == projections + attended + 2 * steps * 2 * width * feed


def test_energy_is_that_of_its_formula():
    assert kilowatt_hours(7200, cores=2, gigabytes=4.0) == pytest.approx(2 * (2 * 12 + 4 * 0.3725) / 1000)
    model = subject_of({"hidden_size": 4, "embedding_size": 4})
    rows = {name: (number, how) for name, number, how in cost_rows(model.graph, model.batch, None)}
    total = sum(parameter.numel() for parameter in model.graph.parameters())
    assert rows["parameters"][0] == f"{total:,}" and "energy of training" not in rows
