"""Seven newcomers' jobs from their messy data to what they wanted, each by the words that its person would type."""

import csv
import json
import math
import random
from datetime import datetime, timedelta

import pytest

import ostinato

pytestmark = pytest.mark.slow

TOPICS = {
    "Billing": ["invoice", "refund", "Kreditkarte", "price"],
    "Login": ["password", "account", "sign-in", "profile"],
    "Delivery": ["parcel", "courier", "Lieferung", "address"],
}
OPENINGS = [
    "Hello,\nmy {} is wrong",
    'the "{}" again!!',
    "Grüße; bitte {} prüfen",
    "  {}?  ",
    "why is there no {}, please",
]


def test_a_support_analyst_classifies_tickets_of_a_messy_export(job):
    draw = random.Random(1)
    with (job.folder / "tickets.csv").open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["Ticket No", "Text", "Priority", "Topic"])
        for number in range(500):
            topic = draw.choice(list(TOPICS))
            text = draw.choice(OPENINGS).format(draw.choice(TOPICS[topic]))
            written = topic.lower() if draw.random() < 0.03 else topic
            table.writerow(
                [f"T-{number:05}", "" if draw.random() < 0.02 else text, draw.choice(["1", "2", ""]), written]
            )
    job.file("new.csv", "Ticket No;Text\nT-1;where is my parcel\nT-2;\nT-3;password forgotten\n")
    job.command("train", "tickets.csv", "--in", "Text", "--out", "Topic", "--minutes", "0.3")
    shown = job.command("errors", "runs/tickets", "--top", "5").out
    assert "'Billing'" in shown and "'billing'" in shown, "labels that are written almost alike"
    job.command("predict", "runs/tickets", "new.csv", "--output", "answers.jsonl")
    answers = job.rows("answers.jsonl")
    assert [row["Ticket No"] for row in answers] == ["T-1", "T-2", "T-3"]
    assert answers[0]["Topic_predicted"] == "Delivery" and answers[2]["Topic_predicted"] == "Login"
    measured = job.command("evaluate", "runs/tickets", "--json").json
    assert measured["outputs"]["Topic"]["accuracy"]["value"] > 85
    job.at_most(commands=4, messages=25)


def test_a_taggers_author_marks_names_in_columns_and_then_in_plain_text(job):
    draw = random.Random(2)
    people, cities = [["Anna"], ["Ben", "Okafor"], ["Mei", "Lin"]], [["Rome"], ["New", "York"], ["Buenos", "Aires"]]

    def lines(words, kind):
        return [f"{word}\tX\t{'I' if at else 'B'}-{kind}" for at, word in enumerate(words)]

    sentences = []
    for _ in range(250):
        verb = draw.choice(["visited", "left", "loves"])
        sentences.append(
            [*lines(draw.choice(people), "PER"), f"{verb}\tX\tO", *lines(draw.choice(cities), "LOC"), ".\tX\tO"]
        )
    text = "\r\n".join("\r\n".join(sentence) + draw.choice(["\r\n", "\r\n\r\n"]) for sentence in sentences)
    job.file("names.conll", f"-DOCSTART-\tX\tO\r\n\r\n{text}")
    columns = "{word _ tag: names.conll}"
    job.command("train", columns, "--in", "word", "--out", "tag", "--run", "tagger", "--minutes", "0.3")
    said = job.command("predict", "tagger", "Mei Lin visited New York.", "--json")
    (answer,) = json.loads(said.out)["outputs"]["tag"]
    assert [(entity["text"], entity["label"]) for entity in answer["entities"]] == [
        ("Mei Lin", "PER"),
        ("New York", "LOC"),
    ]
    assert job.command("evaluate", "tagger", "--json").json["outputs"]["tag"]["span_f1"]["value"] > 90
    job.at_most(commands=3, messages=25)


def test_a_student_writes_an_lstm_in_python_and_is_answered_where_words_are_of_another_tool(job):
    draw = random.Random(3)
    words = {"pos": ["great", "lovely", "superb"], "neg": ["awful", "boring", "bad"]}
    rows = [
        {"Review": f"what a {draw.choice(words[mood])} film number {draw.randint(1, 50)}", "Mood": mood}
        for mood in draw.choices(list(words), k=200)
    ]
    for mistake, answer in (
        ('ostinato.Model(inputs="Review", outputs="Mood")', "inputs"),
        (
            'ostinato.Model({"Review": "text"}, {"Mood": "category"}, training={"lr": 0.01})',
            "optimizer.learning_rate=0.01",
        ),
        ('ostinato.Model({"Review": "text"}, {"Mood": "category"}).fit(rows, batch_size=8)', "batch_size"),
    ):
        with pytest.raises((ostinato.OstinatoError, TypeError)) as why:
            exec(mistake, {"ostinato": ostinato, "rows": rows})
        assert answer in str(why.value)
        job.messages += len(str(why.value).splitlines())
    left = job.python(
        """
import ostinato
model = ostinato.Model(
    inputs={"Review": {"type": "text", "tokenizer": "word", "encoder": {"cell": "lstm", "hidden_size": 32}}},
    outputs={"Mood": "category"},
    training={"epochs": 6},
)
model.fit(rows, folder="student")
report = model.evaluate(rows[:50])
answer = model.predict(["what a superb film"])
""",
        rows=rows,
    )
    assert left["answer"] == ["pos"] and left["report"].outputs["Mood"]["accuracy"].value > 95
    assert (job.folder / "student/learning_curve.png").is_file() and "accuracy" in repr(left["report"])
    job.at_most(python_lines=9, messages=20)


def test_a_load_forecaster_reads_a_meter_with_gaps(job):
    draw, start, lines = random.Random(4), datetime(2024, 1, 1), ["Timestamp,Load kW"]
    for hour in range(24 * 45):
        time = start + timedelta(hours=hour)
        load = 80 + 25 * math.sin((time.hour - 6) * math.pi / 12) - 10 * (time.weekday() >= 5) + draw.gauss(0, 2)
        cell = "" if draw.random() < 0.01 else f"{load:.2f}"
        lines.append(f"{time:%m/%d/%Y %I:%M %p},{cell}")
    job.file("meter.csv", "\n".join(lines) + "\n")
    job.command("train", "meter.csv", "--forecast", "Load kW", "--minutes", "0.4")
    job.command("predict", "runs/meter", "meter.csv", "--output", "ahead.csv")
    with (job.folder / "ahead.csv").open() as file:
        ahead = list(csv.DictReader(file))
    assert len(ahead) == 24 and any("quantile" in name for name in ahead[0])
    assert all(40 < float(row[next(name for name in row if name.endswith("_predicted"))]) < 120 for row in ahead)
    report = job.command("evaluate", "runs/meter", "--origins", "3", "--json").json
    (output,) = report["outputs"]
    worst = max(own["mae"]["value"] for own in report["baselines"][output].values())
    assert report["outputs"][output]["mae"]["value"] < worst and len(report["backtest"]["origins"]) == 3
    job.at_most(commands=3, messages=25)


def test_a_torch_researcher_drops_the_modules_into_a_model_of_her_own(job):
    left = job.python(
        """
import torch
from ostinato import nn
torch.manual_seed(0)
model = torch.nn.ModuleDict({"reader": torch.nn.LSTM(4, 8, batch_first=True), "answer": torch.nn.Linear(8, 2)})
x, lengths = torch.randn(5, 7, 4), [7, 3, 5, 1, 6]
packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
before = model["reader"](packed)[1][0]
print(nn.convert(model))
after = model["reader"](x, lengths=lengths)[1][0]
model["answer"](after[-1]).logsumexp(-1).sum().backward()
"""
    )
    left["torch"].testing.assert_close(left["before"], left["after"], rtol=0, atol=1e-5)
    assert all(weight.grad is not None for weight in left["model"].parameters())
    job.at_most(python_lines=11)


def test_a_translation_office_trains_on_two_files_of_lines_and_translates_a_third(job):
    draw = random.Random(5)
    words = dict(zip("ein zwei drei rot blau Haus Hund".split(), "one two three red blue house dog".split()))
    pairs = [draw.choices(list(words), k=draw.randint(1, 5)) for _ in range(400)]
    pairs = [[] if draw.random() < 0.02 else pair for pair in pairs]
    job.file("memory.de", "".join(f"{' '.join(pair)}\r\n" for pair in pairs))
    job.file("memory.en", "".join(f"{' '.join(words[word] for word in pair)}  \n" for pair in pairs))
    job.file("order.de", "zwei rot Hund\n\nein Haus\n")
    files = "{de: memory.de, en: memory.en}"
    job.command("train", files, "--in", "de:text", "--out", "en:text", "--run", "office", "--minutes", "0.5")
    job.command("predict", "office", "--input", "order.de", "--output", "order.en.txt")
    translated = [line.strip() for line in (job.folder / "order.en.txt").read_text().split("\n")]
    assert len(translated) == 4 and translated[0] == "two red dog" and translated[2] == "one house"
    assert job.command("evaluate", "office", "--json").json["outputs"]["en"]["bleu"]["value"] > 60
    job.at_most(commands=3, messages=25)


def test_a_hobby_composer_writes_tunes_in_abc(job):
    draw = random.Random(6)
    tunes = []
    for number in range(150):
        bars = [draw.choice(["cdef", "gfed", "c2e2", "g4", "efga"]) for _ in range(4)]
        tunes.append(f"X:{number}\nT:Tune {number}\nM:4/4\nK:C\n{'|'.join(bars)}|]\n")
    job.file("tunes.txt", "\n".join(tunes))
    sets = ("--set", "data.rows=blank", "--set", "inputs.text.tokenizer=char")
    job.command("train", "tunes.txt", *sets, "--minutes", "0.5")
    said = job.command("predict", "runs/tunes", "X:7\\nT:New\\nM:4/4\\n", "--temperature", "0.5")
    assert "K:C\n" in said.out and "|" in said.out, said.out
    job.command("predict", "runs/tunes", "X:8\\n", "--temperature", "1", "--seed", "3", "--output", "tune.txt")
    assert "M:4/4\n" in (job.folder / "tune.txt").read_text()
    job.at_most(commands=3, messages=25)
