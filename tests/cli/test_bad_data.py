"""Data that cannot be used, or can only in part: told with the place, counted, answered so that lines still match."""

import gzip
import os
import subprocess
import sys

import pytest

TRAIN = "de\ten\nein\tone\nzwei\ttwo\ndrei zwei\tthree two\nein ein\tone one\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ["data.train", "train.tsv is empty", "at least one row"]),
        (b"de\ten\n", ["data.train", "train.tsv has a header (de, en) and no rows"]),
        (b"de\tfr\nein\tun\n", ["data.train", "train.tsv has no column 'en'", "allowed here: de, fr"]),
        (b"de\ten\tde\nein\tone\tun\n", ["train.tsv line 1", "'de' twice", "rename"]),
        (b"de\ten\nein\tone\nzw\xffei\ttwo\n", ["train.tsv line 3 is not UTF-8", "byte 3", "0xff", "iconv"]),
        (b"de\ten\nein\tone\nzw\0ei\ttwo\n", ["train.tsv line 3 has a NUL byte", "remove"]),
        (b"de\ten\nein\tone\nzwei\n", ["train.tsv line 3"]),
        (
            b"de\ten\n\tone\nzwei\t\n",
            ["1 rows: inputs.de is empty (the first: train.tsv line 2)", "1 rows: outputs.en is empty"],
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_told_with_its_line(here, refused, content, says):
    (here / "train.tsv").write_bytes(content)
    refused("train", "tiny.yaml", "--out", "run", says=says)
    assert not (here / "run").exists()


def test_a_file_that_is_not_there_is_told_with_where_it_was_looked_for(here, refused):
    says = ["data.train", "no file trian.tsv", "looked at", "did you mean 'train.tsv'", "--data-root"]
    refused("train", "tiny.yaml", "--set", "data.train=trian.tsv", says=says)


def test_parallel_files_of_unequal_length_are_refused(here, refused):
    (here / "a.de").write_text("ein\nzwei\ndrei\n")
    (here / "a.en").write_text("one\ntwo\n")
    says = ["data.train", "a.de has 3 lines", "a.en has 2 lines", "line n of one"]
    refused("train", "tiny.yaml", "--set", "data.train={de: a.de, en: a.en}", says=says)


def test_empty_and_overlong_lines_are_left_out_of_training_and_counted(here, cli):
    with (here / "train.tsv").open("a") as file:
        file.write("\tone\n" + "ein " * 50_000 + "\tone\n" + "ein\t" + "one " * 41 + "\n")
    said = cli("train", "tiny.yaml", "--out", "run", "--json")
    assert said.code == 0
    assert "train: 1 row left out, inputs.de is empty (the first: train.tsv line 42)" in said.err
    assert "train: 1 row left out, inputs.de is longer than max_steps 40 (the first: train.tsv line 43)" in said.err
    assert "train: 1 row left out, outputs.en is longer than max_steps 40 (the first: train.tsv line 44)" in said.err
    assert "1 row left out" in (here / "run/README.md").read_text()


def test_crlf_and_byte_order_mark_change_nothing(here, cli):
    assert cli("train", "tiny.yaml", "--out", "plain").code == 0
    for name in ("train.tsv", "valid.tsv", "test.tsv"):
        (here / name).write_bytes(b"\xef\xbb\xbf" + (here / name).read_bytes().replace(b"\n", b"\r\n"))
    assert cli("train", "tiny.yaml", "--out", "windows").code == 0
    assert (here / "plain/weights.safetensors").read_bytes() == (here / "windows/weights.safetensors").read_bytes()


def test_a_vocabulary_of_one_symbol_trains_and_answers(here, cli):
    for name in ("train.tsv", "valid.tsv", "test.tsv"):
        (here / name).write_text("de\ten\n" + "a a\tb\na\tb b\n" * 4)
    assert cli("train", "tiny.yaml", "--out", "run").code == 0
    said = cli("predict", "run", "a a a", "c")
    assert said.code == 0 and set(said.out.split()) <= {"b"} and len(said.out.split("\n")) == 3


def test_prediction_answers_every_line_the_empty_and_the_overlong_too(here, trained, cli):
    lines = ["ein zwei", "", "ein " * 50_000, "x\u2028y", "drei"]
    (here / "in.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    said = cli("predict", trained, "--input", "in.txt", "--json")
    assert said.code == 0
    assert "in.txt line 3: inputs.de has 50,000 steps, and training.max_steps was 40; answered all the same" in said.err
    text = cli("predict", trained, "--input", "in.txt")
    assert len(text.out.split("\n")) == len(lines) + 1, "one answer a line, in order"
    assert text.out.split("\n")[0] == cli("predict", trained, "ein zwei").out.rstrip("\n")
    assert text.out.split("\n")[1] == cli("predict", trained, "").out.rstrip("\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ein\nzw\xff\n", ["line 2", "not UTF-8"]),
        (b"ein\nzw\0\n", ["line 2", "NUL"]),
    ],
)
def test_prediction_names_a_line_that_is_no_text(here, trained, refused, monkeypatch, content, says):
    import io
    import sys

    (here / "in.txt").write_bytes(content)
    refused("predict", trained, "--input", "in.txt", says=["in.txt", *says])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    refused("predict", trained, "--input", "-", says=["standard input", *says])


def test_prediction_refuses_an_empty_file_a_missing_one_and_a_missing_column(here, trained, refused):
    (here / "empty.txt").write_bytes(b"")
    refused("predict", trained, "--input", "empty.txt", says=["--input: empty.txt is empty"])
    refused("predict", trained, "--input", "none.txt", says=["--input: no file none.txt"])
    (here / "other.csv").write_text("fr\nun\n")
    refused("predict", trained, "--input", "other.csv", says=["--input: other.csv has no column 'de'", "fr"])


def test_a_gzip_that_was_cut_off_is_told(here, refused):
    whole = gzip.compress((here / "train.tsv").read_bytes())
    (here / "train.tsv.gz").write_bytes(whole[: len(whole) // 2])
    refused("train", "tiny.yaml", "--set", "data.train=train.tsv.gz", says=["data.train", "train.tsv.gz"])


def test_output_to_a_file_is_utf8_whatever_the_code_page(tmp_path):
    (tmp_path / "jp.csv").write_text("text,label\n" + "good,\u826f\u3044\nbad,\u60aa\u3044\n" * 30, encoding="utf-8")
    command = [sys.executable, "-m", "ostinato", "init", "jp.csv"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60)
    assert ended.returncode == 0 and "\u826f\u3044" in ended.stdout.decode("utf-8")


def test_a_cache_that_cannot_be_written_is_named_with_the_setting_that_moves_it(here, refused, monkeypatch):
    (here / "file").write_text("")
    monkeypatch.setenv("OSTINATO_CACHE", str(here / "file" / "cache"))
    refused("train", "tiny.yaml", "--out", "run", says=["file/cache", "set OSTINATO_CACHE to another folder"])
