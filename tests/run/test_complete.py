"""What follows a prompt: next words as counting every spelling gives them, completions, and text while it is said."""

import dataclasses
import itertools
import math

import pytest
import torch

import ostinato
import ostinato.registry
import ostinato.run.predict
import ostinato.steps
from ostinato.errors import ConfigError
from ostinato.model.continuation import pieces_of
from ostinato.registry import make
from ostinato.run import complete as prompting


@pytest.fixture(scope="module", params=["recurrent", "transformer"])
def run(request, tmp_path_factory):
    """A model over a, b and the space that has learnt a little, so that no two words are equally likely."""
    encoder = {"type": request.param, "hidden_size": 8, "embedding_size": 4, "layers": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        model = ostinato.Model(
            inputs={"text": {"type": "text", "tokenizer": "char", "encoder": encoder}},
            outputs={"on": {"of": "text", "align": "next"}},
            training={
                "epochs": 2,
                "batch_rows": 4,
                "optimizer": {"type": "adamw", "learning_rate": 0.02},
                "schedule": "constant",
            },
        )
        rows = [{"text": text} for text in ("ab a", "ab ab", "b ab a", "aab b", "ab") * 4]
        model.fit(rows, rows[:5], folder=tmp_path_factory.mktemp("runs") / "run")
        yield model.run


def spelt(run, prompt, text):
    """log p(text | prompt), symbol by symbol; None stands for white space or the end."""
    modality, graph = run.modalities["outputs.on"], run.graph
    total, said = 0.0, list(modality.encode(prompt))
    with torch.no_grad():
        for symbol in text:
            heard = torch.tensor([graph.heads["on"].begin, *said])
            read = graph.encoder("text").encode(ostinato.steps.Steps.of([heard])).steps.values[-1:]
            logs = torch.log_softmax(graph.heads["on"].predict_next(read).scores, 1)[0]
            if symbol is None:
                return total + float(torch.logaddexp(logs[graph.heads["on"].end], logs[modality.encode(" ")[0]]))
            total += float(logs[modality.encode(symbol)[0]])
            said.append(modality.encode(symbol)[0])
    return total


@pytest.mark.parametrize(("prompt", "before"), [("ab ", ""), ("", ""), ("b a", "a")])
def test_next_words_are_as_likely_as_all_their_spellings(run, prompt, before, monkeypatch):
    monkeypatch.setattr(prompting, "WIDTH", 500)
    found = {one.text: one.probability for one in prompting.next_words(run, {"text": prompt}, 4)}
    expected: dict[str, float] = {}
    for length in range(1, 5):
        for letters in itertools.product("ab", repeat=length):
            word = "".join(letters)
            expected[before + word] = expected.get(before + word, 0) + math.exp(spelt(run, prompt, [*letters, None]))
            # any number of spaces may stand before a word; a space ends the word within which the prompt ended
            for spaces in range(1, 4):
                expected[word] = expected.get(word, 0) + math.exp(spelt(run, prompt, [" "] * spaces + [*letters, None]))
    best = sorted(expected, key=expected.get, reverse=True)[:3]
    assert [*found][:3] == best
    for word in best:
        assert found[word] == pytest.approx(expected[word], rel=0.02)


def test_where_each_symbol_is_a_word_one_step_says_it(tmp_path):
    rows = [{"x": ["one", "two", "three"]}, {"x": ["one", "two"]}] * 10
    model = ostinato.Model(inputs={"x": "tokens"}, outputs={"y": {"of": "x"}}, training={"epochs": 4, "batch_rows": 4})
    model.fit(rows, rows[:2], folder=tmp_path / "run")
    found = prompting.next_words(model.run, {"x": ["one"]}, 3)
    assert found[0].text == "two" and {one.text for one in found} == {"one", "two", "three"}
    assert sum(one.probability for one in found) < 1


def test_completions_are_the_likeliest_answers(run):
    found = prompting.completions(run, {"text": "ab "}, 3)
    assert len(found) == 3 and found == sorted(found, key=lambda one: -one.probability)
    for one in found:
        symbols = [*one.text]
        end = run.graph.heads["on"].end
        with torch.no_grad():
            heard = torch.tensor([run.graph.heads["on"].begin, *run.modalities["outputs.on"].encode("ab " + one.text)])
            read = run.graph.encoder("text").encode(ostinato.steps.Steps.of([heard])).steps.values[-1:]
            ended = float(torch.log_softmax(run.graph.heads["on"].predict_next(read).scores, 1)[0, end])
        assert one.probability == pytest.approx(math.exp(spelt(run, "ab ", symbols) + ended), rel=1e-3)


@pytest.mark.parametrize("search", ["greedy", "sample"])
def test_what_is_told_while_it_is_said_is_the_answer(run, search):
    pieces = []
    built = make("searches", search, (), {"max_length": 9})
    whole = prompting.streamed(run, {"text": "a"}, built, seed=3, hear=pieces.append)
    assert "".join(pieces) == whole and len(pieces) > 1
    plain = ostinato.run.predict.answers(
        [run],
        [{"text": "a"}],
        search=ostinato.registry.settings_class("searches", search)(type=search, max_length=9),
        seed=3,
    )
    assert whole == plain[0]["on"][0].text


@pytest.mark.parametrize("name", ["greedy", "sample", "beam"])
def test_an_answer_ends_before_the_first_stop(run, name):
    settings = ostinato.registry.settings_class("searches", name)
    rows = [{"text": text} for text in ("a", "ab ", "", "b a")]
    said = ostinato.run.predict.answers([run], rows, search=settings(type=name, max_length=12), seed=5)
    before = [one["on"][0].text for one in said]
    stops = ["bb", next(one[1:3] for one in before if len(one) > 3)]
    found = ostinato.run.predict.answers([run], rows, search=settings(type=name, max_length=12, stop=stops), seed=5)
    after = [one["on"][0].text for one in found]
    assert not any(stop in one for one in after for stop in stops)
    if name != "beam":  # with a stop another beginning may be the best
        assert after == [min((one.split(stop)[0] for stop in stops), key=len) for one in before] != before


@pytest.mark.parametrize("search", ["greedy", "sample"])
def test_nothing_of_a_stop_is_told_while_it_is_said(run, search):
    for seed in range(6):
        pieces = []
        built = make("searches", search, (), {"max_length": 30, "stop": [" a", "bb b"]})
        whole = prompting.streamed(run, {"text": "a"}, built, seed=seed, hear=pieces.append)
        assert "".join(pieces) == whole and " a" not in whole and "bb b" not in whole
        settings = ostinato.registry.settings_class("searches", search)(type=search, max_length=30, stop=(" a", "bb b"))
        assert (
            whole == ostinato.run.predict.answers([run], [{"text": "a"}], search=settings, seed=seed)[0]["on"][0].text
        )


def test_completions_keep_the_stops_of_the_recipe(run, monkeypatch):
    before = prompting.completions(run, {"text": "ab"}, 3)
    stop = next(one.text[1] for one in before if len(one.text) > 1)
    search = ostinato.registry.settings_class("searches", "sample")(type="sample", stop=[stop])
    settings = run.recipe.settings.model_copy(update={"search": search})
    monkeypatch.setattr(run, "recipe", dataclasses.replace(run.recipe, settings=settings))
    assert not any(stop in one.text for one in prompting.completions(run, {"text": "ab"}, 3))


def test_completions_of_a_run_over_one_text_end_with_the_line(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "t.txt").write_text("ab a\nb ab\n" * 60)
    encoder = {"type": "recurrent", "hidden_size": 8, "embedding_size": 4}
    model = ostinato.Model(
        inputs={"text": {"type": "text", "tokenizer": "char", "encoder": encoder}},
        outputs={"on": {"of": "text", "align": "next"}},
        data={"train": str(tmp_path / "t.txt")},
        training={"epochs": 2, "optimizer": {"type": "adamw", "learning_rate": 0.02}},
    )
    run = model.fit(folder=tmp_path / "run", device="cpu", verbose=0).run
    assert run.recipe.settings.data.rows == "file"
    listed = prompting.completions(run, {"text": "ab"}, 3)
    assert not any("\n" in one.text for one in listed) and len({one.text for one in listed}) == len(listed) > 1
    assert all(one.probability > 1e-9 for one in listed)


def test_several_answers_at_once_cannot_be_told(run):
    with pytest.raises(ConfigError, match="--stream prints one answer"):
        prompting.streamed(run, {"text": "a"}, make("searches", "beam"), seed=0, hear=print)
    with pytest.raises(ConfigError, match="--stream prints one answer"):
        prompting.streamed(run, {"text": "a"}, make("searches", "sample", (), {"n_best": 2}), seed=0, hear=print)


ENCODER = {"hidden_size": 32, "embedding_size": 16}
SENTENCES = ("the cat sees Zoë again", "nobody runs from a catalogue")


@pytest.fixture(scope="module", params=[{"type": "bpe", "size": 300}, {"type": "byte"}], ids=lambda one: one["type"])
def two_sentences(request, tmp_path_factory):
    """A model that has learnt two sentences by heart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        model = ostinato.Model(
            inputs={"text": {"type": "text", "tokenizer": request.param, "encoder": ENCODER | {"dropout": 0.0}}},
            outputs={"on": {"of": "text", "align": "next", "head": {"dropout": 0.0}}},
            training={
                "epochs": 60,
                "batch_rows": 4,
                "optimizer": {"type": "adamw", "learning_rate": 0.02},
                "schedule": "constant",
            },
        )
        rows = [{"text": text} for text in SENTENCES * 6]
        model.fit(rows, rows[:2], folder=tmp_path_factory.mktemp("runs") / "run")
        yield model.run


def cuts():
    return [(sentence, place) for sentence in SENTENCES for place in range(1, len(sentence))]


@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_a_prompt_may_end_anywhere_even_within_a_piece(two_sentences, name):
    settings = ostinato.registry.settings_class("searches", name)(type=name)
    rows = [{"text": sentence[:place]} for sentence, place in cuts()]
    for one, (sentence, place) in zip(ostinato.run.predict.answers([two_sentences], rows, search=settings), cuts()):
        assert one["on"][0].text == sentence[place:], sentence[:place]


def test_what_is_said_again_of_a_prompt_is_neither_told_nor_a_stop(two_sentences):
    built = make("searches", "greedy", (), {"stop": [" a", "at"]})
    settings = ostinato.registry.settings_class("searches", "greedy")(type="greedy", stop=(" a", "at"))
    rows = [{"text": sentence[:place]} for sentence, place in cuts()]
    for one, row, (sentence, place) in zip(
        ostinato.run.predict.answers([two_sentences], rows, search=settings), rows, cuts()
    ):
        pieces = []
        whole = prompting.streamed(two_sentences, row, built, seed=0, hear=pieces.append)
        left = sentence[place:]
        assert (
            one["on"][0].text
            == whole
            == "".join(pieces)
            == min((left.split(stop)[0] for stop in (" a", "at")), key=len)
        )


def test_suggestions_complete_the_word_within_which_a_prompt_ends(two_sentences):
    words = {"the cat se": "sees", "the c": "cat", "nobody ": "runs"}
    words |= {"the cat sees Z": "Zoë", "nobody runs from a c": "catalogue"}
    for prompt, word in words.items():
        best = prompting.next_words(two_sentences, {"text": prompt}, 3)[0]
        assert best.text == word and 0.5 < best.probability <= 1
        whole = next(one for one in SENTENCES if one.startswith(prompt))
        (likeliest, *_) = prompting.completions(two_sentences, {"text": prompt}, 2)
        assert prompt + likeliest.text == whole


def test_an_unknown_word_at_the_end_of_a_prompt_is_completed_where_known_ones_begin_with_it(tmp_path):
    rows = [
        {"text": text}
        for text in ("the cat sees a bird (carefully)", "a bird sees the cat", "the bird is a canary") * 4
    ]
    model = ostinato.Model(
        inputs={"text": {"type": "text", "tokenizer": "word", "encoder": ENCODER}},
        outputs={"on": {"of": "text", "align": "next"}},
        training={"epochs": 3, "batch_rows": 4},
    )
    model.fit(rows, rows[:3], folder=tmp_path / "run")
    asked = lambda prompt: [one.text for one in prompting.next_words(model.run, {"text": prompt}, 20)]  # noqa: E731
    found = prompting.next_words(model.run, {"text": "the ca"}, 20)
    assert {one.text for one in found} == {"cat", "canary", "carefully"} and sum(
        one.probability for one in found
    ) == pytest.approx(1)
    assert set(asked("sees (care")) == {"carefully"}
    assert len(asked("the cat")) == len(asked("the ca ")) == len(asked("the xy")) == len(asked("")) > 8
    whole = {one.text: one.probability for one in prompting.next_words(model.run, {"text": "the "}, 20)}
    share = whole["cat"] / (whole["cat"] + whole["canary"] + whole["carefully"])
    assert {one.text: one.probability for one in found}["cat"] == pytest.approx(share, rel=1e-4)


def of_words(folder, **settings):
    """The next words of `model_of_words`."""
    model = model_of_words(folder, **settings)
    return lambda prompt, count=30: {
        one.text: one.probability for one in prompting.next_words(model.run, {"text": prompt}, count)
    }


def model_of_words(folder, **settings):
    """A model of whole words that has read a little of birds and cats."""
    rows = [{"text": text} for text in ("The Hello cat sees a bird", "a bird sees the cat", "Help the canary") * 4]
    model = ostinato.Model(
        inputs={"text": {"type": "text", "encoder": ENCODER} | {"tokenizer": "word"} | settings},
        outputs={"on": {"of": "text", "align": "next"}},
        training={"epochs": 3, "batch_rows": 4},
    )
    model.fit(rows, rows[:3], folder=folder / "run")
    return model


def test_a_prompt_that_is_left_out_altogether_has_next_words(tmp_path):
    asked = of_words(tmp_path, stop_words=["the"])
    assert asked("the") == asked("The ") == asked("") and "cat" in asked("the")
    assert asked("the ca").keys() == {"cat", "canary"}
    assert len(asked("ca the")) > 2, "the word that was typed last is whole, and known"
    assert asked("ca the").keys() >= {"cat", "bird"}


@pytest.mark.parametrize("tokenizer", ["word", {"type": "bpe", "size": 280}])
def test_a_word_is_completed_as_the_model_hears_it(tmp_path, tokenizer):
    asked = of_words(tmp_path, lowercase=True, tokenizer=tokenizer)
    assert asked("Hel") == asked("hel") and [*asked("Hel")][0].startswith("hel")
    if tokenizer == "word":
        assert asked("The Hel").keys() == {"hello", "help"} and sum(asked("Hel").values()) == pytest.approx(1)


def test_only_what_is_known_is_offered_and_the_rest_is_the_end_or_unknown(tmp_path):
    asked = of_words(tmp_path, tokenizer={"type": "word", "size": 5})
    found = asked("the cat ", 1000)
    assert set(found) == {"a", "bird", "cat", "sees", "the"} and len(asked("the", 2)) == 2
    assert 0 < sum(found.values()) < 1 and all(found.values())


@pytest.mark.parametrize(("sets", "n_best"), [("search=greedy", 1), ("search=sample", 30), ("search=beam", 4)])
def test_no_completion_says_what_stands_for_unknown_words(tmp_path, sets, n_best):
    model = model_of_words(tmp_path, tokenizer={"type": "word", "size": 5})
    answers = model.predict([{"text": text} for text in ("the cat", "", "nobody")], sets=[sets], n_best=n_best)
    said = {word for row in answers for answer in row for word in answer.text.split()}
    assert said and said <= {"a", "bird", "cat", "sees", "the"}


@pytest.fixture(scope="module")
def pieces_run(tmp_path_factory):
    """As `run`, in pieces that begin with the space before a word."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        model = ostinato.Model(
            inputs={"text": {"type": "text", "tokenizer": {"type": "bpe", "size": 260}, "encoder": ENCODER}},
            outputs={"on": {"of": "text", "align": "next"}},
            training={
                "epochs": 25,
                "batch_rows": 4,
                "optimizer": {"type": "adamw", "learning_rate": 0.02},
                "schedule": "constant",
            },
        )
        rows = [{"text": text} for text in ("ab a", "ab ab", "b ab a", "aab b", "ab") * 4]
        model.fit(rows, rows[:5], folder=tmp_path_factory.mktemp("runs") / "run")
        yield model.run


@pytest.mark.parametrize(("prompt", "rest"), [("b a", " a"), ("ab ", " "), ("ab", "ab")])
def test_words_are_as_likely_as_all_spellings_of_what_is_said_again_and_of_them(pieces_run, prompt, rest, monkeypatch):
    monkeypatch.setattr(prompting, "WIDTH", 3000)
    graph, modality = pieces_run.graph, pieces_run.modalities["outputs.on"]
    texts = pieces_of(modality).texts
    head = modality.encode(prompt[: len(prompt) - len(rest)]).tolist()

    @torch.no_grad()
    def after(said):
        read = (
            graph.encoder("text").encode(ostinato.steps.Steps.of([torch.tensor([0, *head, *said])])).steps.values[-1:]
        )
        return torch.softmax(graph.heads["on"].predict_next(read).scores[0].double(), 0)

    def spellings(text, said=()):
        """(p, pieces) of each way to say exactly this text."""
        if not text:
            yield 1.0, said
            return
        follows = after(said)
        for number, piece in enumerate(texts):
            if piece and text.startswith(piece):
                for probability, whole in spellings(text[len(piece) :], (*said, number)):
                    yield float(follows[number]) * probability, whole

    def begins(text, said=()):
        """p(what is said begins with this text)."""
        follows, total = after(said), 0.0
        for number, piece in enumerate(texts):
            if piece.startswith(text):
                total += float(follows[number])
            elif piece and text.startswith(piece):
                total += float(follows[number]) * begins(text[len(piece) :], (*said, number))
        return total

    space = torch.tensor([number == 1 or piece[:1] == " " for number, piece in enumerate(texts)])
    found = {one.text: one.probability for one in prompting.next_words(pieces_run, {"text": prompt}, 60)}
    within = prompting._last_word(prompt)
    words = [*found][:4]
    for word in words:
        ways = [f"{spaces}{word}" for spaces in ((" ", "  ", "   ") if within else ("", " ", "  "))]
        ways += [word[len(within) :]] if within and word.startswith(within) and word != within else []
        expected = sum(
            p * float(after(whole)[space].sum()) for way in ways for p, whole in spellings(rest + way)
        ) / begins(rest)
        assert found[word] == pytest.approx(expected, rel=0.03), word


@pytest.mark.parametrize("mark", [".", ""])
def test_completions_of_words_of_one_text_end_with_the_sentence_or_soon(tmp_path, monkeypatch, mark):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "one.txt").write_text(
        "".join(f"the cat sat on the mat{mark}\nthe dog ran away{mark}\n" for _ in range(60))
    )
    model = ostinato.Model(
        inputs={"text": {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 24, "layers": 1}}},
        outputs={"on": {"of": "text", "align": "next"}},
        training={"epochs": 40, "optimizer": {"type": "adamw", "learning_rate": 0.03}},
        data={"rows": "file"},
    )
    model.fit(str(tmp_path / "one.txt"), folder=tmp_path / "run")
    first, *_ = prompting.completions(model.run, {"text": "the cat"}, 2)
    if mark:
        assert first.text == "sat on the mat" and first.probability > 0.5
    else:
        assert first.text.startswith("sat on the mat the ") and len(first.text.split()) <= 16
