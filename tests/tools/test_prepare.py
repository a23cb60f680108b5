"""The preparation of data sets that are not tables, on tiny made-up inputs."""

import csv
import gzip
import json
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "prepare.py"


def packed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def prepare(name: str, root: Path, out: Path) -> subprocess.CompletedProcess:
    words = [sys.executable, str(TOOL), name, "--data-root", str(root), "--out", str(out)]
    return subprocess.run(words, capture_output=True, text=True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_scan_becomes_commands_beside_actions(tmp_path):
    folder = tmp_path / "scan-commands"
    packed(folder / "tasks_train_simple.txt.gz", "IN: jump left OUT: I_TURN_LEFT I_JUMP\nIN: run OUT: I_RUN\n")
    packed(folder / "tasks_test_simple.txt.gz", "IN: walk OUT: I_WALK\r\n")
    assert prepare("scan", tmp_path, tmp_path).returncode == 0
    assert rows(tmp_path / "prepared-scan/train.tsv") == [
        {"command": "jump left", "actions": "I_TURN_LEFT I_JUMP"},
        {"command": "run", "actions": "I_RUN"},
    ]
    assert rows(tmp_path / "prepared-scan/test.tsv") == [{"command": "walk", "actions": "I_WALK"}]


def test_a_line_that_is_not_scan_is_refused_with_its_place(tmp_path):
    for name in ("train", "test"):
        packed(tmp_path / f"scan-commands/tasks_{name}_simple.txt.gz", "IN: run OUT: I_RUN\nrun I_RUN\n")
    told = prepare("scan", tmp_path, tmp_path)
    assert told.returncode == 1 and "tasks_train_simple.txt.gz line 2" in told.stderr and "Traceback" not in told.stderr


def test_cmudict_loses_stress_comments_and_repeated_variants_and_keeps_a_word_on_one_side(tmp_path):
    words = [f"w{number:02d}" for number in range(23)]
    lines = [f"{word} W AH{number % 3}" for number, word in enumerate(words)]
    lines += ["W01(2) W EH1 # rare", "w02(2) W IH0", "w02(3) W IH2", "w20(2) W OW1"]
    packed(tmp_path / "cmu-pronouncing-dictionary/cmudict.dict.gz", "\n".join(lines) + "\n")
    assert prepare("cmudict", tmp_path, tmp_path).returncode == 0
    split = {name: rows(tmp_path / f"prepared-cmudict/{name}.tsv") for name in ("train", "valid", "test")}
    assert split["test"] == [
        {"word": "w00", "sounds": "W AH", "variants": "W AH"},
        {"word": "w20", "sounds": "W AH", "variants": "W AH | W OW"},
    ]
    assert split["valid"][0] == {"word": "w01", "sounds": "W AH", "variants": "W AH | W EH"}
    assert [row["word"] for row in split["valid"]] == ["w01", "w21"]
    assert [row["sounds"] for row in split["train"] if row["word"] == "w02"] == ["W AH", "W IH"]
    assert [row["word"] for row in split["train"]] == sorted(["w02", *set(words) - {"w00", "w01", "w20", "w21"}])


def test_copies_are_equal_of_every_tested_length_and_the_same_in_every_run(tmp_path):
    for run in ("first", "second"):
        assert prepare("copy", tmp_path, tmp_path / run).returncode == 0
    for split in ("train", "test"):
        first, second = (tmp_path / run / f"prepared-copy/{split}.tsv" for run in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        made = rows(first)
        assert all(row["given"] == row["copied"] and len(row["given"].split()) == int(row["length"]) for row in made)
        counts = Counter(int(row["length"]) for row in made)
        if split == "train":
            assert set(counts) == set(range(1, 41)) and max(counts.values()) < 1.3 * min(counts.values())
        else:
            assert counts == dict.fromkeys(range(1, 61), 100)


def tables(name: str, folder: Path) -> dict[str, list[dict[str, str]]]:
    """What was prepared, by split."""
    return {split: rows(folder / f"prepared-{name}/{split}.tsv") for split in ("train", "valid", "test")}


def test_sentiment_sentences_lose_their_label_to_a_column(tmp_path):
    for name in ("train", "dev", "test"):
        packed(tmp_path / f"stanford-sentiment-sst/stsa.binary.{name}.gz", f"1 a good {name} .\n0 0 stars\n")
    assert prepare("sst", tmp_path, tmp_path).returncode == 0
    made = tables("sst", tmp_path)
    assert made["valid"] == [{"text": "a good dev .", "sentiment": "1"}, {"text": "0 stars", "sentiment": "0"}]
    packed(tmp_path / "stanford-sentiment-sst/stsa.binary.dev.gz", "1 a\n2 b\n")
    told = prepare("sst", tmp_path, tmp_path)
    assert told.returncode == 1 and "dev.gz line 2: expected 0 or 1" in told.stderr


def test_a_tenth_of_each_label_is_set_aside_for_valid_and_no_row_is_lost(tmp_path):
    lines = [f'{place % 4 // 3}\t1\t2\tfirst {place}\t"second" {place}' for place in range(80)]
    text = "\r\n".join(["\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String", *lines])
    for name in ("train", "test"):
        packed(tmp_path / f"msr-paraphrase-mrpc/msr_paraphrase_{name}.txt.gz", text)
    for out in ("one", "two"):
        assert prepare("mrpc", tmp_path, tmp_path / out).returncode == 0
    made = tables("mrpc", tmp_path / "one")
    assert made == tables("mrpc", tmp_path / "two")
    assert Counter(row["paraphrase"] for row in made["valid"]) == {"0": 6, "1": 2}
    assert sorted(row["first"] for row in made["train"] + made["valid"]) == sorted(row["first"] for row in made["test"])
    assert made["test"][3] == {"first": "first 3", "second": '"second" 3', "paraphrase": "1"}


def test_languages_stand_beside_their_texts(tmp_path):
    for name in ("train", "test"):
        packed(tmp_path / f"wili-10-languages/x_{name}.txt.gz", "en tekst \r\nen text\r\n" * 10)
        packed(tmp_path / f"wili-10-languages/y_{name}.txt.gz", "dan\r\neng\r\n" * 9 + "dan\neng")
    assert prepare("wili", tmp_path, tmp_path).returncode == 0
    made = tables("wili", tmp_path)
    assert made["valid"] == made["test"][:2]
    assert made["valid"] == [{"text": "en tekst", "language": "dan"}, {"text": "en text", "language": "eng"}]
    packed(tmp_path / "wili-10-languages/y_test.txt.gz", "dan\n")
    told = prepare("wili", tmp_path, tmp_path)
    assert told.returncode == 1 and "have 20 and 1 lines" in told.stderr


def test_slots_and_intents_lose_their_borders_and_unknown_labels_are_counted(tmp_path):
    line = "BOS go home EOS\tO O B-to {}\n"
    for name, intents in (("atis-2.train", "a a"), ("atis-2.dev", "a"), ("atis.test", "a a#b b")):
        lines = "".join(line.format(intent) for intent in intents.split())
        packed(tmp_path / f"atis-slots-and-intents/{name}.w-intent.iob.gz", lines)
    told = prepare("atis", tmp_path, tmp_path)
    assert (
        "test: 2 of 3 rows have intent that training does not have\ntest: 1 of 3 rows have first_intent" in told.stdout
    )
    assert "valid: " not in told.stdout
    assert tables("atis", tmp_path)["test"][1] == {
        "words": "go home",
        "slots": "O B-to",
        "intent": "a#b",
        "first_intent": "a",
    }
    packed(tmp_path / "atis-slots-and-intents/atis.test.w-intent.iob.gz", line.format("a") + "BOS go EOS\tO O\n")
    told = prepare("atis", tmp_path, tmp_path)
    assert told.returncode == 1 and "atis.test.w-intent.iob.gz line 2: expected BOS" in told.stderr


def test_folds_of_dna_share_labels_out_evenly_and_no_sequence(tmp_path):
    names = {"EI": 100, "IE": 50, "N": 200}
    lines = [
        f"{label}, x,   {label + str(place % (count - 9)):30}GT"
        for label, count in names.items()
        for place in range(count)
    ]
    packed(tmp_path / "dna-splice-junctions/splice.csv.gz", "label,instance_name,sequence\n" + "\n".join(lines))
    made = {}
    for name in ("dna-splice-1", "dna-splice-2"):
        assert prepare(name, tmp_path, tmp_path).returncode == 0
        made[name] = tables(name, tmp_path)
        assert sum(map(len, made[name].values())) == 350
        assert {row["downstream"] for split in made[name].values() for row in split} == {"GT"}
        sequences = [{row["upstream"] for row in split} for split in made[name].values()]
        assert not (sequences[0] & sequences[1] or sequences[0] & sequences[2] or sequences[1] & sequences[2])
        for label, count in names.items():
            assert abs(sum(row["upstream"].startswith(label) for row in made[name]["test"]) - count / 10) <= 3
    first, second = made.values()
    assert first["valid"] == second["test"] and first["test"] != second["test"]


def test_stories_grow_from_question_to_question_and_stay_on_one_side(tmp_path):
    story = "1 Mary went home.\n2 Where is Mary? \thome\t1\n3 John left.\n4 Is he here?\tNo\t3\n"
    (tmp_path / "babi-question-answering").mkdir()
    with zipfile.ZipFile(tmp_path / "babi-question-answering/babi_en_10k.zip", "w") as archive:
        for split in ("train", "test"):
            archive.writestr(f"en-10k/qa1_single-fact_{split}.txt", story * (20 if split == "train" else 1))
            archive.writestr(f"en-10k/qa11_other_{split}.txt", "1 No\n")
    assert prepare("babi-1", tmp_path, tmp_path).returncode == 0
    made = tables("babi-1", tmp_path)
    assert made["test"] == [
        {"story": "mary went home .", "question": "where is mary ?", "answer": "home"},
        {"story": "mary went home . john left .", "question": "is he here ?", "answer": "no"},
    ]
    assert made["valid"] == made["test"] * 2 and made["train"] == made["test"] * 18
    told = prepare("babi-2", tmp_path, tmp_path)
    assert told.returncode == 1 and "no file" in told.stderr and "Traceback" not in told.stderr


def test_words_and_features_stand_before_their_form(tmp_path):
    for name in ("train-high", "dev", "test"):
        packed(tmp_path / f"sigmorphon2018-inflection/german-{name}.tsv.gz", "Hahn\tHahnes\tN;GEN;SG\n")
    assert prepare("sigmorphon-german", tmp_path, tmp_path).returncode == 0
    assert tables("sigmorphon-german", tmp_path)["valid"] == [
        {"lemma": "Hahn", "features": "N;GEN;SG", "form": "Hahnes"}
    ]


@pytest.mark.parametrize(
    "name, folder, label, aside",
    [("JapaneseVowels", "japanese-vowels", "speaker", 1), ("BasicMotions", "basic-motions", "activity", 2)],
)
def test_series_become_lists_beside_their_label(tmp_path, name, folder, label, aside):
    text = "@classLabel true a b\n@data\n" + "1,2.5:3,?:a\n4:5:b\n" * 10
    for split in ("TRAIN", "TEST"):
        packed(tmp_path / folder / f"{name}_{split}.ts.gz", text)
    assert prepare(folder, tmp_path, tmp_path).returncode == 0
    made = {
        split: [json.loads(line) for line in (tmp_path / f"prepared-{folder}/{split}.jsonl").read_text().splitlines()]
        for split in ("train", "valid", "test")
    }
    assert made["test"][:2] == [{"series": [[1, 3], [2.5, None]], label: "a"}, {"series": [[4, 5]], label: "b"}]
    assert (
        Counter(row[label] for row in made["valid"]) == {"a": aside, "b": aside}
        and len(made["train"]) == 20 - 2 * aside
    )
    packed(tmp_path / folder / f"{name}_TEST.ts.gz", text + "1:c\n")
    told = prepare(folder, tmp_path, tmp_path)
    assert told.returncode == 1 and "line 23" in told.stderr and "Traceback" not in told.stderr


NAMES = "scan cmudict sst wili mrpc atis dna-splice-1 babi-1 sigmorphon-german japanese-vowels basic-motions"


@pytest.mark.parametrize("name", NAMES.split())
def test_missing_data_are_told_without_a_traceback(tmp_path, name):
    told = prepare(name, tmp_path, tmp_path)
    assert told.returncode == 1 and "no such file" in told.stderr and "Traceback" not in told.stderr


def test_shakespeare_is_cut_into_rows_that_put_together_are_the_text(tmp_path):
    text = "".join(f'A:\nline {number}, "said" \t he.\n\n' for number in range(900))
    packed(tmp_path / "tiny-shakespeare/input.txt.gz", text)
    assert prepare("shakespeare", tmp_path, tmp_path).returncode == 0
    parts = {}
    for split in ("train", "valid", "test"):
        lines = (tmp_path / f"prepared-shakespeare/{split}.jsonl").read_text().splitlines()
        parts[split] = [json.loads(line)["text"] for line in lines]
        assert all(len(one) == 1000 for one in parts[split][:-1])
    assert "".join(sum(parts.values(), [])) == text
    assert len("".join(parts["train"])) == int(0.9 * len(text))
    assert abs(len("".join(parts["valid"])) - len("".join(parts["test"]))) <= 1


def test_texts_are_split_and_cut_as_their_pages_say(tmp_path):
    for name in ("train", "valid", "test"):
        packed(tmp_path / f"penn-treebank-lm/ptb.{name}.txt.gz", " no it was n't \n" * 201)
    news = "".join(f'"{place % 4 + 1}","Title {place}","Text, {place}"\n' for place in range(7))
    packed(tmp_path / "ag-news-topics/test.csv.gz", news)
    mails = tmp_path / "aeslc-email-subject-lines"
    mails.mkdir()
    for name in ("train", "dev", "test"):
        others = "" if name == "train" else "\n@ann0\nWords here\n@ann1\n\n@ann2\nMore\n"
        with zipfile.ZipFile(mails / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}/b.subject", f"a b\n\nc @x\n@subject\nNumbers  1\n{others}")
            archive.writestr(f"{name}/a.subject", " ".join(map(str, range(200))) + f"\n@subject\nFirst\n{others}")
    talks = [{"context": [turn, "Second."], "positive_responses": ["A  b", "C", "D", "E", "F"]} for turn in "abdj"]
    packed(tmp_path / "dailydialog-plusplus/data_positives.json.gz", "\n".join(map(json.dumps, talks)))
    for name, number in (("train", 2), ("test", 2501)):
        reviews = [{"id": at, "text": f"{'no ' * 99}\n one\x85{at}", "sentiment": "positive"} for at in range(number)]
        lines = "".join(json.dumps(review, ensure_ascii=False) + "\n" for review in reviews)
        packed(tmp_path / f"imdb-reviews/{name}.jsonl.gz", lines)
    for task in ("penn-treebank", "ag-news", "imdb", "aeslc", "dailydialog", "parity"):
        assert prepare(task, tmp_path, tmp_path).returncode == 0
    train, last = (row["words"].split() for row in rows(tmp_path / "prepared-penn-treebank/train.tsv"))
    assert (len(train), train[:5], last) == (1000, [*"no it was n't".split(), "<eos>"], train[:5])
    topics = {name: rows(tmp_path / f"prepared-ag-news/{name}.tsv") for name in ("train", "valid", "test")}
    assert [row["text"] for row in topics["test"]] == ["Title 0. Text, 0", "Title 5. Text, 5"]
    assert topics["valid"][0]["topic"] == "Sports" and len(topics["train"]) == 3
    train, last = rows(tmp_path / "prepared-imdb/train.tsv")
    assert last == {"text": " ".join(["no"] * 98 + ["one", "1"]), "sentiment": "positive"}
    assert len({row["text"] for row in rows(tmp_path / "prepared-imdb/test.tsv")}) == 2500
    first, second = rows(tmp_path / "prepared-aeslc/test.tsv")
    assert (len(first["body"].split()), first["subject"]) == (150, "First")
    assert second == {"body": "a b c @x", "subject": "Numbers 1", "others": "Words here | More"}
    assert {row["others"] for row in rows(tmp_path / "prepared-aeslc/train.tsv")} == {""}
    talked = {
        name: [json.loads(line) for line in (tmp_path / f"prepared-dailydialog/{name}.jsonl").read_text().splitlines()]
        for name in ("train", "valid", "test")
    }
    assert talked["test"] == [{"context": "d\nSecond.", "answer": "A b", "others": "C | D | E | F"}]
    assert [row["context"][0] for row in talked["train"]] == [*"aaaaabbbbb"] and talked["valid"][0]["context"][0] == "j"
    bits = {name: rows(tmp_path / f"prepared-parity/{name}.tsv") for name in ("train", "valid", "test")}
    assert all((row["parity"] == "odd") == row["bits"].count("1") % 2 for name in bits for row in bits[name])
    assert {int(row["length"]) for row in bits["test"]} == set(range(41, 201))
    assert {int(row["length"]) for row in bits["train"]} == set(range(1, 41))
