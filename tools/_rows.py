"""Rows of docs/results.md, each a recipe, what of it is shown and what it is held against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from _letters import EVERY_FONT, UNSEEN_FONT
from _sound import VOICES
from prepare import GENERATED

RUNS = Path("runs") / "results"
TRAINED_LENGTH = 40
"""The longest string that the copying models were trained on."""


@dataclass(frozen=True)
class Shown:
    """A metric of the page.

    Args:
        output: the recipe's output.
        metric: its metric.
        least: the value that it should reach.
        most: the value that it should not pass.
    """

    output: str
    metric: str
    least: float | None = None
    most: float | None = None

    def bar(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}" if self.most is not None else ""

    def verdict(self, value: float) -> str:
        missed = max(
            self.least - value if self.least is not None else 0, value - self.most if self.most is not None else 0
        )
        return "" if not self.bar() else "met" if missed <= 0 else f"missed by {missed:.2f}"


@dataclass(frozen=True)
class Member:
    """A further run of a row.

    Args:
        name: what it adds to the row's own name.
        recipe: another recipe than the row's.
        sets: changes of the recipe behind those of the row.
    """

    name: str
    recipe: str | None = None
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Language:
    """A language model that judges a row's answers.

    Args:
        recipe: that trains it, on the row's data.
        weight: of its log-probabilities.
        sets: the search, as `--set` takes it.
    """

    recipe: str
    weight: float
    sets: tuple[str, ...]

    @property
    def run(self) -> str:
        """Its folder."""
        return (RUNS / self.recipe).as_posix()


@dataclass(frozen=True)
class Row:
    """A recipe and what its result is held against.

    Args:
        name: of the recipe.
        measured: on what, in a few words.
        shown: the metrics of the page.
        published: what others report, with the source.
        prepared: the task of tools/prepare.py that makes its data, or None.
        judge: the script of benchmarks/ that measures what the run generates, or None.
        reader: the row whose run reads for the judge what is generated, or None.
        recipe: of another name than the row.
        sets: changes of the recipe, as `--set` takes them.
        members: further runs, by name; all are measured as an ensemble.
        of: the row whose run it measures otherwise, or None.
        language: what judges its answers, or None.
        minutes: that training gets, `--minutes`; None: as the recipe says.
        beside: what plain methods reach on the same rows, by the same metrics.
    """

    name: str
    measured: str
    shown: tuple[Shown, ...]
    published: str
    prepared: str | None = None
    judge: str | None = None
    reader: str | None = None
    recipe: str | None = None
    sets: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    of: str | None = None
    language: Language | None = None
    minutes: int | None = None
    beside: str | None = None

    def runs(self) -> list[str]:
        """The folders of its runs."""
        folder = (RUNS / (self.of or self.name)).as_posix()
        return [folder, *(f"{folder}-{member.name}" for member in self.members)]

    def commands(self) -> dict[str, list[str]]:
        """What is run, as a reader would type it; DATA and DIR stand for folders of the machine."""
        root, runs = "DIR" if self.prepared else "DATA", self.runs()
        made = {}
        for run, member in zip(runs, (Member(""), *self.members)):
            recipe = member.recipe or self.recipe or self.name
            changes = "".join(f" --set {change}" for change in (*self.sets, *member.sets))
            changes += f" --minutes {self.minutes}" if self.minutes else ""
            made[f"train {member.name}".strip()] = _training(recipe, run, root, changes)
        judged = ""
        if self.language:
            recipe, run = self.language.recipe, self.language.run
            made["train language"] = _training(recipe, run, root)
            judged = f" --language-model {run} --language-weight {self.language.weight:g}"
            judged += "".join(f" --set {change}" for change in self.language.sets)
        made["evaluate"] = f"ostinato evaluate {' '.join(runs)} --split test --data-root {root}{judged} --json"
        if self.judge:
            read = ""
            if self.reader:
                run = (RUNS / self.reader).as_posix()
                read = f" {run} --split test"
                made["train reader"] = _training(self.reader, run, root)
            made["judge"] = f"python benchmarks/{self.judge} {runs[0]}{read} --data-root {root}"
        if self.prepared:
            data = "" if self.prepared in GENERATED else "--data-root DATA "
            made = {"prepare": f"python tools/prepare.py {self.prepared} {data}--out DIR", **made}
        return {step: line.split() for step, line in made.items()}


def _training(recipe: str, run: str, root: str, changes: str = "") -> str:
    """The command that trains a recipe of the repository."""
    return f"ostinato train recipes/{recipe}.yaml{changes} --out {run} --data-root {root} --resume"


def _translation(name: str, target: str, measured: str, published: str, least: float | None = None) -> Row:
    shown = (Shown(target, "bleu", least=least), Shown(target, "bleu(lowercase, moses)"), Shown(target, "chrf"))
    return Row(name, f"Multi30k {measured}, test_2016_flickr, 1,000 captions, beam 5", shown, published)


LIUM = "38.1 BLEU lower-cased and tokenised, GRU with attention (Caglayan et al. 2017, arXiv:1707.04481)"
BOTTLENECK = "Cho et al. 2014, arXiv:1409.1259, saw quality fall with length where one state holds the whole source"


WU = "lower-cased and tokenised, small Transformer (Wu et al. 2021, arXiv:2105.14462)"


def _small_transformer(
    name: str, target: str, measured: str, tokens: str, published: float, least: float, *sets: str
) -> Row:
    """A row of Transformers of Wu's size, whose text is in lower case."""
    key = f"bleu(lowercase, {tokens})"
    shown = (Shown(target, key, least=least), Shown(target, "bleu(lowercase)"), Shown(target, "chrf"))
    where = f"Multi30k {measured} by a Transformer, test_2016_flickr, 1,000 captions, lower case, beam 5"
    return Row(name, where, shown, f"{published} BLEU {WU}", sets=sets)


COUNTED_WORDS = "perplexity 141.2 by counts of five words, Kneser-Ney (Mikolov and Zweig 2012, MSR-TR-2012-92)"


def _treebank(kind: str, measured: str, minutes: int = 30, most: float | None = None) -> Row:
    """A row of half an hour on one core, so that nets of as many parameters can be held beside each other; or of
    longer."""
    recipe = f"penn-treebank-{kind}"
    where = f"Penn Treebank, next word, {measured}, trained for {minutes} minutes on one core"
    sets = ("training.precision=bfloat16",)
    shown = (Shown("next_word", "perplexity", most=most),)
    return Row(
        *(f"{recipe}-{minutes}", where, shown, "the three nets beside each other", "penn-treebank"),
        recipe=recipe,
        sets=sets,
        minutes=minutes,
        beside=COUNTED_WORDS,
    )


def _subjects(name: str, how: str) -> Row:
    shown = tuple(Shown("subject", f"rouge{key}") for key in ("", "(bigrams)", "(longest)"))
    published = (
        "ROUGE-1/2/L 23.7 / 10.3 / 23.4 (Zhang and Tetreault 2019, arXiv:1906.03497), 37.7 / 21.9 / 36.8 PEGASUS, "
        "pretrained (Zhang et al. 2020, arXiv:1912.08777)"
    )
    beside = (
        "ROUGE-1/2/L 18.8 (17.5 to 20.0) / 9.9 (8.8 to 11.1) / 18.6 by the subject of the most similar training "
        "e-mail, 6.1 / 2.6 / 6.1 by an e-mail's first words (benchmarks/generated_texts.py)"
    )
    measured = f"AESLC, subjects of 1,906 e-mails, {how}, beam 5"
    return Row(name, measured, shown, published, "aeslc", beside=beside)


def _answers(name: str, how: str) -> Row:
    shown = (Shown("answer", "bleu(lowercase, alternatives)"), Shown("answer", "rouge(longest, alternatives)"))
    measured = f"DailyDialog++, an answer to each of 774 conversations, five references, {how}, beam 5"
    beside = (
        "BLEU 4.4 (3.2 to 5.6), ROUGE-L 20.6 by the answer to the most similar training conversation, 2.3 and 19.2 by "
        "the first words of the conversation itself (benchmarks/generated_texts.py)"
    )
    return Row(name, measured, shown, "none for this split", "dailydialog", beside=beside)


def _copy(name: str, how: str) -> Row:
    measured = f"copying 1 to 60 random symbols, trained on 1 to {TRAINED_LENGTH}, {how}"
    return Row(name, measured, (Shown("copied", "exact_match"),), BOTTLENECK, "copy")


def _accuracy(name: str, output: str, measured: str, published: str, least: float | None = None) -> Row:
    """A row of one label, made from the recipe's own preparation."""
    return Row(name, measured, (Shown(output, "accuracy", least=least), Shown(output, "f1(macro)")), published, name)


PLAIN_VOICES = dict(zip(VOICES, (35.8, 50.4, 48.6, 53.8), strict=True))
"""The baseline of each, in the order of the voices."""


def _voice(voice: str, whole: bool = False) -> Row:
    """A row of spoken digits of a speaker that training lacks.

    Args:
        whole: trained on the five others of the whole data set, with as many updates as on three.
    """
    prepared = f"unseen-voice-{voice}" + "-of-six" * whole
    tables = tuple(f"data.{split}=prepared-{prepared}/{split}" for split in ("train", "valid", "test"))
    others, look = ("five", "a fifth look") if whole else ("three", "a fourth look")
    row = _accuracy(prepared, "digit", f"spoken digits of {voice}, 500 recordings; trained on {others} other speakers;"
                    f" five nets together; {look}", "none", 85.0)  # fmt: skip

    def epochs(number: int) -> tuple[str, ...]:
        return (f"training.epochs={3 * number // 5}",) if whole else ()

    plain = ("inputs.clip.scale=row", "inputs.clip.level_change=0", "inputs.clip.noise_distance=null")
    members = (
        Member("again", sets=("training.seed=2",)),
        Member("by-recording", sets=(*plain, *(epochs(25) or ("training.epochs=25",)))),
        Member("convolutional", "unseen-voice-convolutional", epochs(25)),
        Member("recurrent", "unseen-voice-recurrent", epochs(60)),
    )
    beside = None if whole else (
        f"accuracy {PLAIN_VOICES[voice]} by logistic regression, the baseline of `ostinato evaluate`"
    )  # fmt: skip
    return replace(row, recipe="unseen-voice", sets=(*tables, *epochs(50)), members=members, beside=beside)


def _unseen_font(font: str) -> Row:
    """A row of words in a font of the package after training in the ten others."""
    prepared = f"unseen-font-{font}"
    look = "; an eighth look" if font == UNSEEN_FONT else ""
    return Row(
        prepared, f"500 new words by a pen in the font {font}, trained on ten other fonts, read as pictures, CTC{look}",
        (Shown("word", "character_error_rate", most=5.0), Shown("word", "exact_match")),
        "none: the words are made here", prepared, recipe="pen-words-drawn",
        sets=tuple(f"data.{split}=prepared-{prepared}/{split}.jsonl" for split in ("train", "valid", "test")),
    )  # fmt: skip


def _latent(drawn: str, number: int, weight: str) -> Row:
    """A row of drawings that pass through a code."""
    measured = f"{number} drawings of {drawn} through a code of 64 numbers, the distance counted {weight} times"
    shown = tuple(Shown("again", metric) for metric in ("log_loss", "reconstruction_loss", "kl_divergence"))
    return Row(f"{drawn}-latent-{weight}", measured, shown, "none for this file", drawn,
               recipe=f"{drawn}-latent", sets=(f"outputs.again.join.weight={weight}",))  # fmt: skip


def _an4(how: str, shown: tuple[Shown, ...]) -> Row:
    """A row of AN4 beside that of CTC."""
    words = {
        "joint": "CTC and attention over one encoder, beam",
        "attention": "attention, beam",
        "streaming": "CTC, read while it is spoken",
        "phones": "phones of its dictionary, CTC, greedy",
    }
    return Row(f"an4-{how}", f"AN4, 130 utterances, {words[how]}, no language model", shown, "none", "an4")


AN4 = (Shown("words", "token_error_rate"), Shown("words", "character_error_rate"))


def _an4_judged(what: str, weight: float) -> Row:
    """The row of CTC, its answers judged by a language model of the same sentences."""
    shown = (Shown("words", "token_error_rate", most=14.0), AN4[1])
    measured = f"AN4, 130 utterances, CTC, beam of 8 with a language model of {what}"
    search = ("search=beam", "search.width=8", "search.normalization=none")
    language = Language(f"an4-{what}", weight, search)
    return Row(f"an4-with-{what}", measured, shown, "9.6 % (deepspeech.pytorch), 5.95 % Kaldi", "an4", recipe="an4",
               of="an4", language=language)  # fmt: skip


def _accuracies(
    name: str, outputs: Sequence[str], measured: str, made: str, data: str, recipe: str | None = None,
    sets: tuple[str, ...] = (),
) -> Row:  # fmt: skip
    """A row of several outputs of one label each, of examples that are made here."""
    shown = tuple(Shown(output, "accuracy", least=97.0) for output in outputs)
    return Row(name, measured, shown, f"none: the {made} are made here", data, recipe=recipe, sets=sets)


def _parts(name: str, recipe: str) -> tuple[str, ...]:
    """The recipe's changes that read a preparation of another name."""
    return () if name == recipe else tuple(f"data.{part}=prepared-{name}/{part}" for part in ("train", "valid", "test"))


def _digit_lines(name: str, writers: str) -> Row:
    return Row(
        name, f"500 lines of 2 to 6 handwritten digits, {writers}, CTC",
        (Shown("digits", "character_error_rate", most=2.0), Shown("digits", "exact_match")),
        "none: the lines are made here", name, recipe="digit-lines", sets=_parts(name, "digit-lines"),
    )  # fmt: skip


def _moving_digits(name: str, writers: str, *more: str) -> Row:
    outputs = ("digit", "direction", "speed")
    measured = f"clips of 20 frames, {writers}: which digit, where to, how fast, three outputs of a video"
    sets = (*_parts(name, "moving-digits"), *more)
    return _accuracies(name, outputs, measured, "clips", name, recipe="moving-digits", sets=sets)


def _babi(task: int, what: str, least: float | None = None) -> Row:
    published = "mean error of all tasks: LSTM 36.4 %, MemN2N 4.2 to 6.6 % (Sukhbaatar et al. 2015, arXiv:1503.08895)"
    return _accuracy(
        f"babi-{task}",
        "answer",
        f"bAbI task {task} ({what}), 10,000 training questions, 1,000 for test",
        published,
        least,
    )


def _splice(fold: int) -> Row:
    published = "error with 1,000 training examples: KBANN EI 7.6, IE 8.5, N 4.6 % (Noordewier et al. 1991)"
    return _accuracy(
        f"dna-splice-{fold}", "junction", f"DNA splice junctions, fold {fold} of ten held out", published, 95.0
    )


def _rolls(data: str, what: str, most: tuple[float, float], alone: str, nade: str) -> tuple[Row, Row]:
    """Frames of a piano's keys: each key by itself, and each given the lower ones."""
    measured = f"{what}, which of 88 keys sound next"
    return (
        Row(
            f"{data}-rnn", f"{measured}, each by itself, nats a frame",
            (Shown("next_frame", "log_loss", most=most[0]),), f"{alone} (Chung et al. 2014, arXiv:1412.3555)", data,
        ),
        Row(
            f"{data}-nade", f"{measured}, each given the lower ones, nats a frame",
            (Shown("next_frame", "log_loss", most=most[1]),),
            f"{nade} RNN-NADE (Boulanger-Lewandowski et al. 2012, arXiv:1206.6392)", data,
        ),
    )  # fmt: skip


ROWS = (
    _accuracy(
        "japanese-vowels", "speaker", "Japanese vowels, 9 speakers, 370 recordings of 12 features",
        "94.1 (Kudo et al. 1999), MLSTM-FCN about 99 to 100 (Karim et al. 2019)", 97.0,
    ),
    _accuracy(
        "basic-motions", "activity", "BasicMotions, 4 activities, 40 recordings of 6 sensors",
        "DTW 97.5, MLSTM-FCN 95, ROCKET 100 (Ruiz et al. 2021, doi:10.1007/s10618-020-00727-3)", 95.0,
    ),
    _splice(1),
    _splice(2),
    _babi(1, "one supporting fact", 98.0),
    _babi(2, "two supporting facts"),
    _babi(4, "two arguments", 98.0),
    _babi(6, "yes or no"),
    _babi(20, "motivations", 98.0),
    _accuracy(
        "sst", "sentiment", "Stanford sentiment, two classes, 1,821 sentences; sentences alone, no phrases and no "
                            "pretrained vectors",
        "with phrases and vectors: LSTM 84.9, BiLSTM 87.5 (Tai et al. 2015, arXiv:1503.00075)", 79.0,
    ),
    _accuracy(
        "wili", "language", "WiLI, ten languages from 100 characters, 5,000 texts",
        "none for these ten; over 235 languages simple methods reach about 88 (Thoma 2018, arXiv:1801.07779)", 93.0,
    ),
    _accuracy(
        "mrpc", "paraphrase", "MSR paraphrase, 1,725 pairs, one encoder for both",
        "always yes 66.5; recursive autoencoder with pretrained vectors 76.8 (Socher et al. 2011)", 70.0,
    ),
    Row(
        "atis",
        "ATIS, 893 questions, slots and intent from one encoder; the first intent where several are given",
        (Shown("slots", "span_f1", least=95.0), Shown("first_intent", "accuracy", least=96.0)),
        "slot F1 95.9, intent 98.4: attention BiRNN (Liu and Lane 2016, arXiv:1609.01454)",
        "atis",
    ),
    Row(
        "sigmorphon-german",
        "SIGMORPHON 2018, German, high setting, 1,000 words, lemma and features as two inputs, beam 5",
        (Shown("form", "exact_match", least=82.0), Shown("form", "character_error_rate")),
        "mean of all languages: baseline 77.4, best system 96.0 (Cotterell et al. 2018, arXiv:1810.07125)",
        "sigmorphon-german",
    ),
    Row(
        "m4-hourly",
        "M4 hourly, 414 series, 48 hours ahead",
        (Shown("ahead", "smape", most=12.5), Shown("ahead", "mase", most=1.1)),
        "sMAPE / MASE: Theta 18.14 / 2.46, the competition's own RNN 14.70 / 3.05, winner 9.33 / 0.89 (Makridakis et "
        "al. 2020)",
        "m4-hourly",
    ),
    Row(
        "etth1",
        "ETTh1, 7 channels, 96 hours ahead, every window of 2,880 test hours, scaled by the training part",
        (Shown("ahead", "mse", most=0.42), Shown("ahead", "mae")),
        "MSE: DLinear 0.375 (Zeng et al. 2023, arXiv:2205.13504), PatchTST 0.370 (Nie et al. 2023, arXiv:2211.14730)",
        "etth1",
    ),
    Row(
        "beijing-air",
        "Beijing's fine dust, 24 hours ahead with the weather known, every window of 2014",
        (Shown("ahead", "mae"), Shown("ahead", "interval_coverage", least=87.0, most=93.0)),
        "none canonical; beside it the last value said again, in the result's file",
        "beijing-air",
    ),
    Row(
        "shakespeare-char",
        "Tiny Shakespeare by characters, the last tenth, in rows of 1,000",
        (Shown("going_on", "bits_per_character"), Shown("going_on", "token_accuracy")),
        "1.88 nats (2.71 bits) a small Transformer on a CPU, 1.47 nats (2.12 bits) one of 10.7 M parameters (nanoGPT's "
        "README)",
        "shakespeare",
    ),
    Row(
        "shakespeare-transformer",
        "Tiny Shakespeare by characters, the last tenth, in rows of 64, a Transformer of 0.8 M parameters",
        (Shown("going_on", "bits_per_character", most=2.31), Shown("going_on", "token_accuracy")),
        "1.88 nats (2.71 bits) nanoGPT's Transformer of this size after 2,000 updates (its README)",
        "shakespeare-64",
    ),
    Row(
        "scan-simple",
        "SCAN, simple split, 4,182 commands",
        (Shown("actions", "exact_match", least=99.0),),
        "99.8 % exact match, LSTM (Lake and Baroni 2018, arXiv:1711.00350)",
        "scan",
    ),
    _accuracy(
        "spoken-digits", "digit", "spoken digits, 4 speakers, takes 0 to 4 of each, 200 recordings",
        "none canonical; about 97 to 99 with spectrograms and six speakers", 98.0,
    ),
    *(_voice(voice) for voice in VOICES),
    *(_voice(voice, whole=True) for voice in VOICES),
    Row(
        "spoken-digit-synthesis",
        "400 synthetic digits by four voices, read by the recogniser of recordings; and 200 recordings, read by one of"
        " 800 synthetic digits alone",
        (Shown("synthetic", "understood", least=90.0), Shown("recorded", "understood", least=70.0)),
        "none", "spoken-digits", judge="synthesis.py", reader="spoken-digits",
        sets=("data.test=prepared-spoken-digits/test",),
    ),
    Row(
        "yes-no", "eight times yes or no a recording, the last 29 of the sorted names, CTC",
        (Shown("words", "token_error_rate", most=2.0), Shown("words", "exact_match")),
        "0.0 % word error, Kaldi's monophone recipe", "yes-no",
    ),
    Row(
        "spoken-digit-strings", "200 strings of 3 to 7 spoken digits joined from held-out takes, CTC",
        (Shown("digits", "character_error_rate", most=4.0), Shown("digits", "exact_match")),
        "none: the strings are made here", "spoken-digit-strings",
    ),
    Row(
        "spoken-digit-strings-streaming", "the same strings, read while they are spoken, CTC",
        (Shown("digits", "character_error_rate", most=8.0), Shown("digits", "exact_match")),
        "none: the strings are made here", "spoken-digit-strings",
    ),
    _accuracy(
        "pendigits", "digit", "digits by pen, 3,498 by writers unseen in training",
        "97.8, nearest neighbour with k = 3 (UCI documentation)", 98.5,
    ),
    Row(
        "pendigit-strings", "1,000 strings of 2 to 6 digits by pen, writers unseen in training, CTC",
        (Shown("digits", "character_error_rate", most=3.0), Shown("digits", "exact_match")),
        "none: the strings are made here", "pendigit-strings",
    ),
    _accuracies(
        "shapes-outputs", ("number", "most", "biggest"),
        "drawn shapes: how many, the commonest colour, the biggest kind, three outputs of a picture",
        "pictures", "shapes",
    ),
    Row(
        "shapes-questions", "drawn shapes and a question about them, its answer",
        (Shown("answer", "accuracy", least=95.0),), "none: the pictures are made here", "shapes-questions",
    ),
    _digit_lines("digit-lines", "writers unseen in training"),
    _digit_lines("digit-lines-mixed", "other digits by the same writers"),
    Row(
        "word-lines", "500 printed words, slanted and in noise, CTC",
        (Shown("word", "character_error_rate", most=5.0), Shown("word", "exact_match")),
        "none: the lines are made here", "word-lines",
    ),
    _moving_digits("moving-digits", "writers unseen in training"),
    replace(
        _moving_digits("moving-digits-mixed", "other digits by the same writers; three nets together",
                       "training.epochs=14"),
        members=tuple(Member(seed, sets=(f"training.seed={seed}",)) for seed in "23"),
    ),
    Row(
        "nottingham-rnn", "folk tunes, 170 of them, which of 88 keys sound next, each by itself, nats a frame",
        (Shown("next_frame", "log_loss", most=3.25),),
        "3.29 LSTM, 3.07 TCN (Bai et al. 2018, arXiv:1803.01271)", "nottingham",
    ),
    Row(
        "nottingham-nade", "the same tunes, each key given the lower ones, nats a frame",
        (Shown("next_frame", "log_loss", most=2.6),),
        "2.31 RNN-NADE (Boulanger-Lewandowski et al. 2012, arXiv:1206.6392)", "nottingham",
    ),
    *_rolls("musedata", "MuseData, 124 pieces", (6.3, 6.0), "6.23 LSTM, 5.99 GRU", "5.60"),
    *_rolls("piano-midi", "Piano-midi, 25 pieces", (8.9, 7.6), "9.03 LSTM, 8.82 GRU", "7.05"),
    Row(
        "nottingham-abc", "folk tunes with chords in ABC, 104 held-out ones; 200 drawn anew",
        (
            Shown("rest", "bits_per_character"), Shown("generated", "accepted", least=95.0),
            Shown("generated", "bars", least=90.0), Shown("generated", "copied_beyond", most=2.0),
        ),
        "none for the text", "nottingham-abc", "tunes.py",
    ),
    Row(
        "nottingham-midi", "the same tunes as MIDI in REMI's symbols; 200 drawn anew",
        (
            Shown("rest", "perplexity"), Shown("generated", "accepted", least=100.0),
            Shown("generated", "pitches"), Shown("halves", "pitches"),
        ),
        "none", "nottingham-midi", "tunes.py",
    ),
    Row(
        "flickr8k", "captions of 1,000 photographs beside five references each, features of a frozen pretrained net, "
                    "beam 5, lower case without punctuation",
        (Shown("caption", "bleu(alternatives)", least=16.0),),
        "19.5 soft attention on full pictures (Xu et al. 2015, arXiv:1502.03044)", "flickr8k",
    ),
    Row(
        "kanji", "500 drawings of kanji, what follows each point of the pen",
        (Shown("rest", "log_loss"),), "none for this file", "kanji",
    ),
    Row(
        "an4", "AN4, 130 utterances of letters, numbers and names, CTC, greedy, no language model",
        (Shown("words", "token_error_rate", most=20.0), Shown("words", "character_error_rate")),
        "word error 10.5 %, 5 layers of 800 on a GPU (deepspeech.pytorch), 5.95 % Kaldi", "an4",
    ),
    _an4_judged("letters", 1.0),
    _an4_judged("words", 0.5),
    _an4("phones", (Shown("phones", "token_error_rate"),)),
    _an4("joint", AN4),
    _an4("attention", AN4),
    _an4("streaming", (Shown("words", "token_error_rate", most=30.0), AN4[1])),
    Row(
        "sheep", "300 drawings of sheep, what follows each point of the pen",
        (Shown("rest", "log_loss"),), "none for this file", "sheep",
    ),
    *(_latent(*drawn, weight) for drawn in (("sheep", 300), ("kanji", 500)) for weight in ("0", "0.25", "0.5", "1.0")),
    Row(
        "pen-words", "500 new words by a pen in six fonts, CTC",
        (Shown("word", "character_error_rate", most=5.0), Shown("word", "exact_match")),
        "none: the words are made here", "pen-words",
    ),
    *(
        Row(
            name, f"500 new words by a pen in {fonts}, read as pictures, CTC",
            (Shown("word", "character_error_rate", most=5.0), Shown("word", "exact_match")),
            "none: the words are made here", "pen-words", recipe="pen-words-drawn", sets=sets,
        )
        for name, fonts, sets in (
            ("pen-words-drawn", "six fonts", ()),
            ("pen-words-font", "a font that training lacks; a second look",
             ("data.test=prepared-pen-words/unseen.jsonl",)),
        )
    ),
    *map(_unseen_font, EVERY_FONT),
    Row(
        "pen-writing", "500 new words written in six fonts, the density of the pen's points",
        (Shown("strokes", "log_loss"),), "none: the words are made here", "pen-words",
    ),
    _copy("copy-none", "no attention"),
    _copy("copy-reversed", "no attention, source reversed"),
    _copy("copy-attention", "additive attention"),
    _translation("multi30k-en-de-no-attention", "de", "English to German without attention",
                 "none, see the row with attention"),
    _translation("multi30k-en-de", "de", "English to German", LIUM, least=35.0),
    _translation(
        "multi30k-en-fr", "fr", "English to French",
        "61.8 BLEU lower-cased and tokenised, small Transformer (Wu et al. 2021, Good for Misconceived Reasons)",
    ),
    _small_transformer(
        "multi30k-en-de-transformer", "de", "English to German", "moses", 41.0, 38.0, "training.precision=bfloat16"
    ),
    _small_transformer("multi30k-en-fr-transformer", "fr", "English to French", "moses-left", 61.8, 57.0),
    Row(
        "penn-treebank-lstm", "Penn Treebank, next word, LSTM with the set of AWD-LSTM, 9.8 M parameters",
        (Shown("next_word", "perplexity", most=100.0),),
        "114.5 plain, 82.7 regularised, 66 M parameters (Zaremba et al. 2014, arXiv:1409.2329), 57.3 AWD-LSTM, 24 M "
        "(Merity et al. 2018, arXiv:1708.02182)", "penn-treebank", beside=COUNTED_WORDS,
    ),
    _treebank("lstm", "LSTM with the set of AWD-LSTM, 9.8 M parameters", 75, most=100.0),
    _treebank("lstm", "LSTM with the set of AWD-LSTM, 9.8 M parameters"),
    _treebank("transformer", "Transformer, 9.8 M parameters"),
    _treebank("mingru", "minimal GRU, 9.6 M parameters"),
    _subjects("aeslc", "pointer-generator with coverage"),
    _subjects("aeslc-plain", "attention without copying"),
    _answers("dailydialog", "pointer-generator with coverage"),
    _answers("dailydialog-plain", "attention without copying"),
    Row(
        "cmudict",
        "CMU dictionary without stress, every 20th word, 6,303 words, beam 5; right when equal to any listed variant",
        (
            Shown("sounds", "sequence_error", most=31.0),
            Shown("sounds", "sequence_error(first)"),
            Shown("sounds", "token_error_rate"),
        ),
        "word error rate on another split of it: WFST 33.9 %, Transformer about 31 % (g2p-seq2seq's README, commit "
        "006cb40)",
        "cmudict",
    ),
)  # fmt: skip
"""In order of cost."""
