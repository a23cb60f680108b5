"""Tunes: ABC and MIDI as symbols and back, bars that fill the meter, generated files, and what is refused."""

import io
import json
import random
import wave
from fractions import Fraction

import pytest
import torch
from click.testing import CliRunner

from ostinato import api
from ostinato.cli.main import group
from ostinato.errors import ConfigError, DataError
from ostinato.modalities import _abc, _notes
from ostinato.modalities._spelling import END, FIRST
from ostinato.modalities.music import Music
from ostinato.recipe.read import load
from ostinato.testing import laws

TUNE = 'X:7\nT:A title\nM:C\nL:1/8\n%%x\nK:G\nP:A\n"G 7"G2A/ B//(3cde |[1 d2-d2:|[2 [GB]3/\\\n[K:D]F1|]'
SYMBOLS = 'M:4/4 L:1/8 K:G |: "G7" G2 A/2 B/4 (3 c d e | [1 d2 - d2 :| [2 [ G B ]3/2 [K:D] F |]'.split()


def test_laws():
    laws.run("modalities", "music")
    laws.run("modalities", "music", {"fill_bars": True})


def test_symbols_of_abc_have_the_notes_alone_and_write_them_again():
    symbols = _abc.symbols_of(TUNE)
    assert [symbol.strip() for symbol in symbols] == SYMBOLS
    assert _abc.symbols_of(_abc.text_of(symbols)) == symbols
    music = Music()
    music.fit([TUNE])
    other = "M:3/4\nL:1/8\nK:G\n^^g'7/8|"  # spelt by its characters
    assert music.decode(music.encode(other)) == f"X:1\n{other} "


@pytest.mark.parametrize(
    ("meter", "unit"),
    [
        ("", "1/8"),
        ("M:none\n", "1/8"),
        ("M:2/4\n", "1/16"),
        ("M:6/8\n", "1/8"),
        ("M:2+2+3/8\n", "1/8"),
        ("M:(2+3)/8\n", "1/16"),
    ],
)
def test_the_unit_of_a_tune_that_names_none_is_that_of_its_meter(meter, unit):
    """ABC 2.1, section 3.1.7: a sixteenth where the meter is below 3/4, else an eighth, also in free meter."""
    assert _abc.symbols_of(f"X:1\n{meter}K:C\nA")[1] == f"L:{unit}\n"


@pytest.mark.parametrize(
    ("written", "whole"),
    [
        ("A|B:|", "|:A|B:|"),
        ("|:A:|B|c:|", "|:A:||:B|c:|"),
        ("|:A|:B:|", "|A|:B:|"),
        ("|:A::B:|c||", "|:A::B:|c||"),
        ("|:A::B|", "|:A:|B|"),
        ("A||B:|", "A|||:B:|"),
    ],
)
def test_each_repeat_of_a_tune_begins_and_ends(written, whole):
    head = "X:1\nM:4/4\nL:1/8\nK:G\n"
    text = _abc.text_of(_abc.symbols_of(head + written))
    assert text.removeprefix(head).replace("\n", "").replace(" ", "") == whole
    assert _abc.text_of(_abc.symbols_of(text)) == text


def test_the_last_repeat_of_a_prompt_may_end_later():
    assert _abc.symbols_of("M:4/4\nL:1/8\nK:G\n|:A")[-2:] == ["|:", "A"]


def test_bars_are_measured_with_tuplets_chords_and_what_begins_and_ends_a_part():
    bars = _abc.bars_of(_abc.symbols_of("M:2/4\nL:1/8\nK:C\nA|(3ABc [ce]2|d2>e2|A3:|"))
    eighths = [(int(length * 8), int(meter * 8), edge) for length, meter, edge in bars]
    assert eighths == [(1, 4, True), (4, 4, False), (4, 4, False), (3, 4, True)]


@pytest.mark.parametrize(
    ("before", "allowed", "refused"),
    [
        ("", "M:2/4", "L:1/8 K:C A | end"),
        ("M:2/4", "L:1/8", "M:2/4 K:C A"),
        ("M:2/4 L:1/8 K:C", "A A4 |: [ (3", "A6 | end :|"),
        ("M:2/4 L:1/8 K:C A |", "A4 [K:G]", "A6 | ]"),
        ("M:2/4 L:1/8 K:C A | A4 | A2", "A A2 -", "A4 | end"),
        ("M:2/4 L:1/8 K:C A | A4 | A3", "A :|", "A2 | |: end"),
        ("M:2/4 L:1/8 K:C A | A4 | A3 :|", "A end", ":|"),
        ("M:2/4 L:1/8 K:C (3 A A", "A", "| :| (3"),
        ("M:2/4 L:1/8 K:C [", "A", "] | [ -"),
        ("M:2/4 L:1/8 K:C [ A2", "A2 ]", "A | ]2"),
        ("M:2/4 L:1/8 K:C [ A2 A2 A2 A2", "]", "A2"),
        ("M:2/4 L:1/8 K:C (3 A2", "A2", "A A3 [ -"),
        ("M:2/4 L:1/8 K:C (3", "A A2", "A3 (3"),
        ("M:2/4 L:1/8 K:C A4 | A3", "A", "(3"),
        ("M:2/4 L:1/8 K:C A | A4 | A3 :|", "A", "A2 [1 |"),
        ("M:2/4 L:1/8 K:C A | A4 | A3 :| A", "|", "A :|"),
        ("M:2/4 L:1/8 K:C A4 | A4 :| A3", "A", "| A2"),
        ("M:2/4 L:1/8 K:C A4 | A4", "| :| ||", "A end"),
        ("M:2/4 L:1/8 K:C |: A4 | A4", "| :|", "|| end"),
        ("M:2/4 L:1/8 K:C A4 | [1 A4", "| :|", "|| end"),
        ("M:2/4 L:1/8 K:C A4 | [1 A4 :|", "[2", "A [1 end"),
        ("M:2/4 L:1/8 K:C A4 | [1 A4 :| [2 A4", "| ||", ":| end"),
        ("M:2/4 L:1/8 K:C A | [1 A4 | A4 | A4 | A2", "A", "A2 |"),
        ("M:2/4 L:1/8 K:C A4 | A4 -", "|", "A :| - end"),
        ("M:2/4 L:1/8 K:C A2 -", "A A2", "B [ (3"),
        ("M:2/4 L:1/8 K:C z", "A z", "-"),
        ("M:2/4 L:1/8 K:C", '"G"', '"Fa7"'),
        ('M:2/4 L:1/8 K:C "G"', "A", '| "G"'),
    ],
)
def test_the_grammar_of_bars(before, allowed, refused):
    symbols = ["M:2/4\n", "L:1/8\n", "K:C\n", *'A A2 A3 A4 A6 B z | || |: :| [ ] ]2 (3 - [1 [2 [K:G] "G" "Fa7"'.split()]
    numbers = {symbol.strip(): number for number, symbol in enumerate(symbols, 3)} | {"end": 1}
    grammar = _abc.Bars(symbols, 3, 1)
    state = grammar.start()
    for symbol in before.split():
        state = grammar.advance(state, numbers[symbol])
    fits = grammar.allowed(state)
    assert not fits[[0, 2]].any()
    assert all(fits[numbers[symbol]] for symbol in allowed.split())
    assert not any(fits[numbers[symbol]] for symbol in refused.split())


def test_the_grammar_reads_what_a_prompt_spells_by_characters():
    music = Music(fill_bars=True)
    music.fit(["M:2/4\nL:1/8\nK:C\nA B2 A|"])
    grammar = music.grammar()
    prompt = 'M:4/4\nL:1/8\nK:F\n"F#m"^G3|[1A3/2'
    assert "M:4/4" not in music.labels(music.encode(prompt))
    place = grammar.after_prompt(music.encode(prompt).tolist())
    assert (place.fields, place.meter, place.length, place.last) == (3, 1, Fraction(3, 16), "note")


@pytest.mark.parametrize(
    ("options", "raw", "message"),
    [
        ({}, "X:1\nM:4/4\nABc|", "no key before its first note; add a line such as K:C"),
        ({}, "X:1\nK:C\nA|\n\nX:2\nK:C\nA|", "there are 2 tunes (lines X:) where one is read; give each a row"),
        (
            {},
            "K:C\nV:1\nAB|\nV:2 clef=bass\nc2|[V:1]A",
            "the tune has 2 voices (V:), 1 and 2, and one is read; keep one",
        ),
        ({}, 5, "a tune is a text in ABC or the bytes of a file"),
        ({}, b"MThd", "this is a MIDI file, and a text in ABC is needed; set notation: remi"),
    ],
)
def test_what_is_no_tune_is_refused(options, raw, message):
    with pytest.raises(DataError) as error:
        Music(**options).encode(raw)
    assert message in str(error.value)


def test_options_of_the_other_notation_are_refused():
    for options in ({"notation": "tsd", "fill_bars": True}, {"beat": 4}, {"well_formed": True}):
        with pytest.raises(ConfigError, match="set it, or leave"):
            Music(**options)


RECIPE = """
data:    {train: train.jsonl, valid: train.jsonl}
inputs:  {tune: {type: music, fill_bars: true, encoder: {bidirectional: false, hidden_size: 8, embedding_size: 8}}}
outputs: {rest: {column: tune, of: tune, type: music, fill_bars: true}}
search:  {type: sample, max_length: 150}
training: {epochs: 1, batch_rows: 10}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has learnt next to nothing."""
    here, drawn = tmp_path_factory.mktemp("tunes"), random.Random(0)
    tunes = []
    for _ in range(20):
        bars = [drawn.choice(["A2B2", "(3ABcd2", "[Ac]2B2", "c4"]) for _ in range(4)]
        tunes.append({"tune": f"X:1\nM:2/4\nL:1/8\nK:C\n{'|'.join(bars)}|]"})
    (here / "train.jsonl").write_text("".join(f"{json.dumps(tune)}\n" for tune in tunes))
    (here / "recipe.yaml").write_text(RECIPE)
    return api.fit(load(here / "recipe.yaml"), here / "run", device="cpu")


def test_bars_that_are_generated_fill_the_meter_also_after_a_prompt(run):
    prompt = "M:2/4\nL:1/8\nK:C\n[Ac]2B"
    for prediction in api.predict(run, rows=[{"tune": prompt}, {"tune": ""}] * 2, n_best=4, device="cpu"):
        for answer in prediction.outputs["rest"]:
            symbols = _abc.symbols_of(answer.value)
            assert [symbol[0] for symbol in symbols[:3]] == ["M", "L", "K"]
            bars = _abc.bars_of(symbols)[: None if answer.finished else -1]
            assert all(length == meter == Fraction(1, 2) or edge for length, meter, edge in bars)
    other = "M:3/4\nL:1/8\nK:D\n"  # a meter and a key that training lacks
    (prediction,) = api.predict(run, rows=[{"tune": other}], n_best=8, device="cpu")
    for answer in prediction.outputs["rest"]:
        bars = _abc.bars_of(_abc.symbols_of(answer.value))[: None if answer.finished else -1]
        assert bars and all(length == meter == Fraction(3, 4) or edge for length, meter, edge in bars)
    (prediction,) = api.predict(run, [prompt], device="cpu")
    assert prediction.best["rest"].value.startswith("X:1\nM:2/4\nL:1/8\nK:C\n[Ac]2B")


def test_answers_are_written_as_tunes(run, tmp_path):
    command = ["predict", str(run.folder), "M:2/4\\nL:1/8\\nK:C\\nA", "M:2/4", "--device", "cpu", "--output"]
    result = CliRunner().invoke(group, [*command, str(tmp_path / "tune.abc")])
    assert result.exit_code == 0 and "tune.abc: 2 answers" in result.output
    first, second = (tmp_path / "tune.abc").read_text().split("\n\n")
    assert first.startswith("X:1\nM:2/4\nL:1/8\nK:C\nA") and second.startswith("X:2\nM:2/4\n")
    result = CliRunner().invoke(group, [*command, str(tmp_path / "tune.mid")])
    assert "holds one tune, and there are 2" in str(result.exception)


def midi(notes, division=480):
    """A file of notes (delta, number) of a quarter each."""
    library = pytest.importorskip("symusic")
    score = library.Score(division)
    track = library.Track()
    for place, number in enumerate(notes):
        track.notes.append(library.Note(place * division, division, number, 80))
    score.tracks.append(track)
    return bytes(score.dumps_midi())


def track(events):
    """A file of one track with these events."""
    events += b"\0\xff\x2f\0"
    return b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk" + len(events).to_bytes(4, "big") + events


def sounding(content):
    library = pytest.importorskip("symusic")
    score = library.Score.from_midi(content)
    ticks = score.ticks_per_quarter
    return [(note.time / ticks, note.duration / ticks, note.pitch) for track in score.tracks for note in track.notes]


def test_what_needs_a_library_says_which(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for make in (lambda: Music(notation="remi", beat=7).fit([TUNE]), lambda: Music().render([TUNE], ".mid")):
        with pytest.raises(ConfigError, match=r"pip install 'ostinato\[music\]'"):
            make()


def walk(grammar, drawn, length):
    """Numbers drawn uniformly from those that a grammar allows, up to the end or so many."""
    numbers, state = [], grammar.start()
    while len(numbers) < length and numbers[-1:] != [END]:
        numbers.append(drawn.choice(grammar.allowed(state).nonzero()[0].tolist()))
        state = grammar.advance(state, numbers[-1])
    return numbers


@pytest.mark.parametrize(("notation", "beat"), [("remi", 12), ("remi", 5), ("tsd", 12)])
def test_a_well_formed_tune_has_a_note_of_each_pitch_that_is_drawn(notation, beat):
    pytest.importorskip("miditok")
    music = Music(notation=notation, beat=beat, well_formed=True)
    music.fit([midi([60, 64])])
    grammar, drawn, ended = music.grammar(), random.Random(0), 0
    for _ in range(200):
        numbers = walk(grammar, drawn, 400)
        ended += numbers[-1] == END
        pitches = [label for label in music.labels(numbers) if label.startswith("Pitch")]
        assert len(sounding(music.decode(numbers))) == len(pitches) - music.labels(numbers)[-1].startswith("Pitch")
        assert pitches or numbers[-1] != END
    assert ended > 50
    assert Music(notation=notation).grammar() is None


@pytest.mark.parametrize("notation", ["remi", "tsd"])
def test_what_is_read_of_a_file_is_well_formed(notation):
    library, drawn = pytest.importorskip("symusic"), random.Random(0)
    music = Music(notation=notation, well_formed=True)
    music.fit([midi([60])])
    grammar = music.grammar()
    for _ in range(30):
        score, part = library.Score(480), library.Track()
        score.time_signatures.append(library.TimeSignature(0, *drawn.choice([(4, 4), (6, 8), (3, 2), (3, 16)])))
        score.time_signatures.append(library.TimeSignature(3840, *drawn.choice([(4, 4), (7, 8), (2, 2)])))
        for _ in range(drawn.randint(1, 60)):
            start, length = 40 * drawn.randint(0, 900), 40 * drawn.randint(1, 100)
            part.notes.append(library.Note(start, length, drawn.randint(21, 108), 80))
        score.tracks.append(part)
        state = grammar.start()
        for number in [*music.encode(bytes(score.dumps_midi())).tolist(), END]:
            assert grammar.allowed(state)[number], music.labels([number])
            state = grammar.advance(state, number)


def test_a_vocabulary_without_what_fits_allows_all_of_its_symbols():
    grammar = _notes.WellFormed(["PAD_None", "Bar_None", "Pitch_60"], FIRST, END, 12)
    state = grammar.advance(grammar.advance(grammar.start(), FIRST + 1), FIRST + 2)
    assert grammar.allowed(state).nonzero()[0].tolist() == [FIRST + 1, FIRST + 2]


@pytest.mark.parametrize("notation", ["remi", "tsd"])
def test_midi_comes_back_and_every_sequence_of_symbols_is_a_file_that_opens(notation):
    pytest.importorskip("miditok")
    music = Music(notation=notation)
    content = midi([60, 64, 67, 72])
    music.fit([content])
    assert sounding(music.decode(music.encode(content))) == sounding(content)
    drawn = torch.Generator().manual_seed(0)
    for length in (0, 1, 30, 200):
        for _ in range(20):
            numbers = torch.randint(music.spec.size, (length,), generator=drawn).numpy()
            sounding(music.decode(numbers))
    assert list(music.encode("L:1/4\nM:4/4\nK:C\nCEGc|")) == list(music.encode(content))
    with pytest.raises(DataError, match="there is no MIDI file"):
        music.parse("no.mid")
    laws.run("modalities", "music", {"notation": notation, "well_formed": True})
    assert len(music.labels(music.encode(content))) == len(music.encode(content))
    assert music.parse(music.write(content)) == content
    with pytest.raises(ConfigError, match="set notation: abc"):
        music.render([content], ".abc")


def test_a_tune_is_heard_and_seen():
    pytest.importorskip("symusic")
    tune = "X:1\nM:2/4\nL:1/4\nQ:1/4=120\nK:C\nA2|]\n"
    with wave.open(io.BytesIO(Music().render([tune], ".wav"))) as sound:
        samples = torch.frombuffer(bytearray(sound.readframes(sound.getnframes())), dtype=torch.int16).double()
        spectrum = torch.fft.rfft(samples).abs()
        loudest = int(spectrum.argmax()) * sound.getframerate() / len(samples)
        assert abs(loudest - 440) < 2 and abs(sound.getnframes() / sound.getframerate() - 1.08) < 0.05
    assert Music().render([tune], ".png").startswith(b"\x89PNG")
    (note,) = sounding(Music().render([tune], ".mid"))
    assert note == (0, 2, 69)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: midi([]), "has no notes; leave it out"),
        (lambda: midi([60])[:30], "this is no whole MIDI file"),
        (lambda: track(b"\0\x3c\x40\x10"), "this is no whole MIDI file"),
        (lambda: b"RIFF", "this is no MIDI file, which begins with MThd"),
        (lambda: b"", "the file is empty; write the tune again"),
        (lambda: track(b"\0\x99\x24\x40\x60\x89\x24\0"), "has no notes; leave it out"),
        (lambda: b"MThd\0\0\0\6\0\1\0\1\0\0" + midi([60])[14:], "this is no whole MIDI file (a beat of it has no"),
        (lambda: track(b"\xff\xff\xff\x7f\x90\x3c\x40\x60\x80\x3c\0"), "beats, and 100,000 are the most"),
        (lambda: track(b"\0\x90\x3c\x40" + b"\1\x3c\0\0\x3c\x40" * 1_000_000 + b"\1\x3c\0"), "1,000,001 notes"),
    ],
    ids=["no notes", "cut", "running status", "no midi", "empty", "drums", "no ticks", "silence", "a million"],
)
def test_damaged_midi_is_refused(content, message):
    pytest.importorskip("miditok")
    with pytest.raises(DataError) as error:
        Music(notation="remi").encode(content())
    assert message in str(error.value)
