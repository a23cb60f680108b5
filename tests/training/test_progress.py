"""What a person sees of training: a bar where it can move, lines elsewhere, notes by logging."""

import logging
import sys

import pytest

from ostinato.notes import Detail
from ostinato.training.progress import Progress
from ostinato.training.task import Progress as Event


def event(update, total=20):
    return Event(update, total, 1 + update // 10, 2, 0.5, 1234.0, 0.1, 61.0)


def test_a_bar_moves_on_a_terminal_and_notes_stand_above_it(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress(2, leave=True) as progress:
        for update in (1, 2, 3):
            progress.event(event(update))
        progress.say("chosen: a = 1")
        progress.event(event(20))
    said = capsys.readouterr().err
    assert "epoch 1/2  loss 0.500  1,234 steps/s  1 min 01 s left" in said and "epoch 3/2" in said
    assert "\rchosen: a = 1\n" in said and progress.bar is None


@pytest.mark.parametrize(
    ("verbose", "shown"),
    [
        (0, []),
        (1, ["epoch", "note: b"]),
        (2, ["epoch", "trained", "note: b"]),
        (3, ["epoch", "trained", "chosen: a", "note: b"]),
    ],
)
def test_elsewhere_lines_are_printed_and_verbose_says_which(verbose, shown, capsys):
    with Progress(verbose) as progress:
        for update in (1, 2):
            progress.event(event(update))
        progress.say("trained")
        progress.say(Detail("chosen: a"))
        progress.say("note: b")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["epoch 1/2  update 1/20  loss 0.500  1,234 steps/s  1 min 01 s left", *shown[1:]][: len(shown)]


def test_notes_that_a_log_shows_are_not_shown_twice(caplog, capsys):
    with caplog.at_level(logging.INFO, logger="ostinato"), Progress(2) as progress:
        progress.say("note: b")
    assert [(record.name, record.message) for record in caplog.records] == [("ostinato", "note: b")]
    assert capsys.readouterr().err == ""
