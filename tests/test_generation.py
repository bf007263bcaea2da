"""What HoroscopeGenerator promises, with both of our models."""

import datetime
import json
import os
import shutil
import subprocess
import sys
import types
from itertools import cycle, pairwise
from pathlib import Path

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from horoscope import generate_horoscope
from horoscope.cli import COMMANDS, main
from horoscope.errors import InputError
from horoscope.generation import HoroscopeGenerator, Wish
from horoscope.generation.description import ModelDescription, load_description
from horoscope.generation.draft import Draft, theme
from horoscope.generation.generator import MODELS
from horoscope.generation.guard import Guard
from horoscope.generation.learned import LEARNED_FILE, Learned, load_learned
from horoscope.generation.sampling import draw, surprise
from horoscope.zodiac import Sign, Topic, UnknownSignError

DAY = datetime.date(2026, 11, 27)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def generator(model: str) -> HoroscopeGenerator:
    return HoroscopeGenerator(model)


@pytest.fixture(scope="module")
def wishes() -> list[Wish]:
    return [Wish(sign, topic, DAY) for sign, topic in zip(Sign, cycle(Topic), strict=False)]


@pytest.fixture(scope="module")
def texts(generator: HoroscopeGenerator, wishes: list[Wish]) -> list[str]:
    horoscopes = generator.write(wishes)
    assert all(horoscope.text and horoscope.finished for horoscope in horoscopes)
    return [horoscope.text or "" for horoscope in horoscopes]


def test_a_wish_gives_the_same_text_whatever_else_is_in_the_batch(generator, wishes, texts):
    for index in (0, 5, 11):
        assert generator.write([wishes[index]])[0].text == texts[index]
    some = [wishes[10], wishes[2], wishes[2], wishes[11]]
    assert [h.text for h in generator.write(some)] == [texts[10], texts[2], texts[2], texts[11]]


def test_a_wish_gives_the_same_text_in_another_process(model, wishes, texts):
    done = horoscope("generate", "овен", "--model", model, "--date", DAY.isoformat())
    assert done.stdout == texts[wishes.index(Wish(Sign.ARIES, Topic.GENERAL, DAY))] + "\n"


def test_sign_topic_date_and_seed_each_make_another_text(generator):
    wish = Wish(Sign.LEO, Topic.GENERAL, DAY)
    others = [
        Wish(Sign.VIRGO, Topic.GENERAL, DAY),
        Wish(Sign.LEO, Topic.LOVE, DAY),
        Wish(Sign.LEO, Topic.GENERAL, DAY + datetime.timedelta(days=1)),
        Wish(Sign.LEO, Topic.GENERAL, DAY, 0),
        Wish(Sign.LEO, Topic.GENERAL, DAY, 1),
    ]
    assert len({h.text for h in generator.write([wish, *others])}) == 6


def test_a_wish_has_a_theme_of_its_own_where_the_model_knows_themes():
    wishes = [Wish(sign, topic, DAY, seed) for sign in Sign for topic in Topic for seed in range(9)]
    nouns = {topic: [f"{topic} {number}" for number in range(60)] for topic in Topic}
    knowing = ModelDescription(name="m", begin_ids=[], end_id=1, themes=nouns)
    drawn = [theme(wish, knowing) for wish in wishes]
    assert drawn == [theme(wish, knowing) for wish in wishes]
    assert all(noun in knowing.themes[w.topic] for noun, w in zip(drawn, wishes, strict=True))
    assert len(set(drawn)) > 100
    assert theme(wishes[0], load_description(MODELS["fast"])) is None


def test_every_text_is_whole_sentences_about_its_own_sign_without_repetition(wishes, texts):
    for wish, text in zip(wishes, texts, strict=True):
        assert text[0].isupper()
        assert text[-1] in ".!?…"
        assert 120 < len(text) < 700
        words = text.lower().replace(".", "").replace(",", "").split()
        assert not any(set(words) & sign.forms for sign in Sign if sign is not wish.sign)
        runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
        assert len(set(runs)) == len(runs)


def test_what_is_streamed_stands_and_is_the_same_text(generator, wishes, texts):
    pieces = list(generator.stream(wishes[5]))
    assert "".join(pieces) == texts[5]
    assert len(pieces) > 2
    assert all(piece.rstrip()[-1] in ".!?…" for piece in pieces)


def test_sentences_are_told_as_they_come_and_each_text_only_grows(generator, wishes, texts):
    heard: dict[int, list[str]] = {}
    generator.write(wishes[:6], lambda i, text: bool(heard.setdefault(i, []).append(text)) or True)
    for index, told in heard.items():
        assert all(later.startswith(earlier) for earlier, later in pairwise(told))
        assert texts[index].startswith(told[-1])


def test_a_stopped_text_ends_at_its_last_whole_sentence_and_the_others_go_on(
    generator, wishes, texts
):
    stopped, other = generator.write(wishes[:2], lambda index, text: index != 0)
    assert not stopped.finished
    assert stopped.text
    assert texts[0].startswith(stopped.text)
    assert other.text == texts[1]


def test_no_wishes_give_no_horoscopes(generator):
    assert generator.write([]) == []


@pytest.mark.parametrize("file", ["model.json", "tokenizer.json", "openvino_model.bin"])
def test_a_model_directory_without_a_file_is_one_clear_line(tmp_path, file):
    directory = copy_of_the_model(tmp_path)
    (directory / file).unlink()
    assert_one_line(directory, file)


@pytest.mark.parametrize(
    "file", ["model.json", "tokenizer.json", "openvino_model.xml", LEARNED_FILE]
)
def test_half_a_file_in_a_model_directory_is_one_clear_line(tmp_path, file):
    directory = copy_of_the_model(tmp_path)
    path = directory / file
    Learned.of(["Утро будет ясным."]).save(directory / LEARNED_FILE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert_one_line(directory, file)


def test_notes_of_an_older_version_are_one_clear_line(tmp_path):
    directory = copy_of_the_model(tmp_path)
    np.save(directory / LEARNED_FILE, np.array([5, 700], np.uint32))
    assert_one_line(directory, "another version")


def test_half_a_download_of_the_weights_is_one_clear_line(tmp_path):
    directory = copy_of_the_model(tmp_path)
    path = directory / "openvino_model.bin"
    path.write_bytes(path.read_bytes()[:1000])
    assert_one_line(directory, "half a download")


def test_a_model_that_was_never_exported_says_what_to_run(tmp_path):
    directory = copy_of_the_model(tmp_path)
    path = directory / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"engine": []}))
    assert_one_line(directory, "horoscope export")


def test_a_directory_that_is_not_there_is_one_clear_line(tmp_path):
    assert_one_line(tmp_path / "nowhere", "nowhere")


def test_generate_horoscope_takes_what_people_type():
    assert generate_horoscope("Льву", date=DAY) == generate_horoscope("5 августа", date=DAY)
    with pytest.raises(UnknownSignError):
        generate_horoscope("жираф")


def test_generate_horoscope_writes_the_original_way_with_a_tokenizer_and_a_model():
    from horoscope.training.models import Preset, fresh_model, fresh_tokenizer

    tok = fresh_tokenizer(["лев\nХороший день для дел.", "рак\nТихий день."] * 20, 300)
    model = fresh_model(Preset(16, 1, 2, 300), len(tok), 0.0)
    first = generate_horoscope("лев", tok, model, seed=1)
    assert isinstance(first, str)
    assert first == generate_horoscope("Львам", tok, model, seed=1)
    assert not {"<s>", "</s>", "<pad>"} & set(first.split())
    with pytest.raises(InputError):
        generate_horoscope("лев", tok)


def test_the_service_needs_no_torch():
    code = (
        "import sys, horoscope; horoscope.generate_horoscope('лев'); "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_reported_to_anyone_and_nothing_left_in_the_home_directory(tmp_path):
    # OpenVINO would begin both on import, but not where it believes itself in a CI.
    home = {name: value for name, value in os.environ.items() if name != "CI"}
    code = (
        "import sys, horoscope, threading; horoscope.generate_horoscope('лев'); "
        "print([name for name, module in sys.modules.items() if module and 'telemetry' in name"
        " and not name.startswith(('openvino.tools', 'opentelemetry'))], threading.active_count())"
    )
    wrote = subprocess.run(
        [sys.executable, "-c", code],
        env=home | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert wrote.stdout == "[] 1\n"
    assert list(tmp_path.iterdir()) == []


class TestCommand:
    def test_its_exit_code_is_that_of_the_process(self, monkeypatch):
        module = types.ModuleType("failing")
        module.fails = click.Command("fails", callback=lambda: click.get_current_context().exit(3))
        monkeypatch.setitem(sys.modules, "failing", module)
        monkeypatch.setitem(COMMANDS, "fails", ("failing:fails", ""))
        monkeypatch.setattr(sys, "argv", ["horoscope", "fails"])
        with pytest.raises(SystemExit, match="3"):
            main()

    def test_prints_one_text_and_the_same_one_again(self):
        first = horoscope("generate", "Льву", "--seed", "7")
        assert first.returncode == 0
        assert first.stdout.count("\n") == 1
        assert first.stdout == horoscope("generate", "leo", "--seed", "7").stdout

    def test_streams_the_same_text(self):
        day = ("--date", "2026-01-02")
        streamed = horoscope("generate", "рыбы", "--stream", *day)
        assert streamed.stdout == horoscope("generate", "рыбы", *day).stdout

    def test_writes_several_different_ones_as_json(self):
        rows = horoscope("generate", "рак", "--topic", "love", "-n", "3", "--json").stdout
        parsed = [json.loads(line) for line in rows.splitlines()]
        assert len({row["text"] for row in parsed}) == 3
        assert {row["sign"] for row in parsed} == {"cancer"}
        assert {row["topic"] for row in parsed} == {"love"}
        themes = load_description(MODELS["best"]).themes[Topic.LOVE]
        assert all(row["theme"] in themes for row in parsed)

    def test_a_misspelt_sign_is_asked_about_in_one_line(self):
        done = horoscope("generate", "казерог")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert "Может быть, козерог?" in done.stderr

    @pytest.mark.parametrize(
        "wrong",
        [("рак", "--model", "/nowhere"), ("рак", "--date", "вчера"), ("рак", "-n", "0")],
    )
    def test_wrong_options_say_so_without_a_traceback(self, wrong):
        done = horoscope("generate", *wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("День подходит для работы и отдыха.", None),
        ("Вы успеете закончить два важных дела.", None),
        ("Близкие помогут друг другу советом.", None),
        ("День подходит для", "unfinished"),
        ("Хороший день.", "length"),
        ("День подходит для <b>работы</b>.", "characters"),
        ("день подходит для работы.", "characters"),
        ("День подходит ,для работы.", "characters"),
        ("Сегодня Девам лучше отдохнуть дома.", "another sign"),
        ("День день подходит для работы.", "repetition"),
        ("День подходит для работючки и отдыха.", "unknown word"),
        ("Вас ждет важный задача на работе.", "agreement"),
        ("Прислушайтесь к вашему просьбам и делам.", "agreement"),
        ("Близкий человек удивит вас теплым заботами.", "agreement"),
        ("Подготовьтесь к разговора с начальством.", "government"),
        ("Вечером вы сможет спокойно отдохнуть.", "verb form"),
        ("Важная встреча пройдут очень хорошо.", "subject and verb"),
        ("Подумайте о ответе начальству.", "government"),
        ("После ремонт отдохните дома.", "government"),
        ("Сразу назовите сумму, которые вам помогали.", "relative clause"),
        ("Коллега, который давно помогает вам, расскажет о планах.", None),
        ("Они помогут вам с делами.", "pronoun"),
        ("Займитесь уборкой и другими уборками.", "tautology"),
    ],
)
def test_the_guard_refuses_a_sentence_for_its_fault_only(sentence, reason):
    assert Guard().refuse(sentence, [], Sign.LEO) == reason


def test_the_guard_refuses_what_the_text_has_said_already():
    said = ["Утром вам помогут старые друзья."]
    guard = Guard()
    assert guard.refuse("Утром вам помогут старые друзья.", said, Sign.LEO) == "repetition"
    assert guard.refuse("Днем утром вам помогут старые идеи.", said, Sign.LEO) == "repetition"
    assert guard.refuse("Они придут к вам вечером.", said, Sign.LEO) is None


@pytest.mark.parametrize(
    ("sentence", "doubts"),
    [
        ("Вечером отдохните дома.", 0),
        ("Утром отдохните дома.", 1),
        ("Днем отдохните дома.", 2),
        ("Коллеги поддержат вас и без слов.", 0),
        ("Коллеги поддержат вас, если вы попросите о поддержке.", 1),
        ("После встречи отдохните дома.", 3),
        ("Вечером вас ждет встреча.", 2),
        ("Другу можно позвонить и вечером.", 2),
        ("Друга с работы встретьте сами.", 2),
        ("Угостите сами друга обедом.", 0),
        ("Работу закончите до обеда.", 1),
        ("Обсудите расходы и обсудите сроки.", 1),
        ("Завтрак приготовьте вместе с семьей.", 0),
        ("Одинокие Раки получат ответ от партнера.", 1),
    ],
)
def test_the_guard_doubts_a_past_hour_a_root_twice_and_what_was_just_said(sentence, doubts):
    before = ["Днем вас ждет встреча.", "После работы позвоните другу."]
    assert Guard().doubts(sentence, before) == doubts


def test_the_guard_doubts_what_comes_after_tomorrow():
    assert Guard().doubts("Вечером отдохните дома.", ["Завтра придут гости."]) == 1
    assert Guard().doubts("Вечером отдохните дома.", ["Завтрак будет вкусным."]) == 0


def test_the_guard_doubts_what_stands_word_for_word_in_the_texts_that_a_model_learned(tmp_path):
    texts = ["Утро будет ясным. Позвоните «старому» другу!", "Ждите."]
    Learned.of(texts).save(tmp_path / LEARNED_FILE)
    guard = Guard(load_learned(tmp_path))
    assert guard.doubts("Утро будет ясным.", []) == 1
    assert guard.doubts("Позвоните старому другу.", []) == 1
    assert guard.doubts("Утро будет теплым.", []) == 0
    assert Guard().doubts("Утро будет ясным.", []) == 0


def test_novelty_is_the_share_of_runs_of_three_words_that_stand_nowhere():
    learned = Learned.of(["Утро будет ясным. Днем ждите гостей."])
    assert learned.novelty("Утро будет ясным!") == 0
    assert learned.novelty("Утро будет теплым.") == pytest.approx(2 / 3)
    assert learned.novelty("Ждите гостей утром.") == 1
    assert Learned().novelty("Утро будет ясным.") == 1


def test_commonness_tells_how_often_the_texts_say_the_like():
    learned = Learned.of(["Утро будет ясным. Утро будет ясным и теплым.", "Ждите."])
    assert learned.commonness("Вечером придут гости.") == 0
    # «begin утро будет» and «утро будет ясным» twice, «будет ясным end» once.
    expected = (2 * np.log(3) + np.log(2)) / 3
    assert learned.commonness("Утро будет ясным.") == pytest.approx(expected)
    assert Learned().commonness("Утро будет ясным.") == 0


@pytest.mark.parametrize("dislike", ["novelty", "commonness"])
def test_of_several_candidates_stands_what_is_less_disliked(tmp_path, wishes, dislike):
    directory = copy_of_the_model(tmp_path)
    learned = Learned.of(h.text or "" for h in HoroscopeGenerator(directory).write(wishes))
    learned.save(directory / LEARNED_FILE)
    path = directory / "model.json"
    found = {}
    for weight in (0, 100):
        told = {"candidates": 4, dislike: weight, "name": "another"}
        path.write_text(json.dumps(json.loads(path.read_text()) | told))
        written = " ".join(h.text or "" for h in HoroscopeGenerator(directory).write(wishes))
        found[weight] = np.mean([getattr(learned, dislike)(each) for each in written.split(". ")])
    assert found[100] < found[0]


def test_texts_without_a_good_sentence_to_go_on_with_end_as_soon_as_they_may(tmp_path, wishes):
    directory = copy_of_the_model(tmp_path)
    path = directory / "model.json"
    shortest = load_description(directory).shortest
    lengths = {}
    for worth in (0, 1):  # nothing is good enough for 1
        told = {"candidates": 4, "least_worth": worth, "name": "another"}
        path.write_text(json.dumps(json.loads(path.read_text()) | told))
        generator = HoroscopeGenerator(directory)
        texts = [h.text or "" for h in generator.write(wishes)]
        assert [generator.write([wish])[0].text for wish in wishes[:3]] == texts[:3]
        assert min(len(text) for text in texts) >= shortest
        lengths[worth] = np.mean([len(text) for text in texts])
    assert lengths[1] < lengths[0]


def test_one_candidate_is_judged_too_where_a_sentence_has_to_be_worth_something(tmp_path, wishes):
    directory = copy_of_the_model(tmp_path)
    path = directory / "model.json"
    texts = [h.text for h in HoroscopeGenerator(directory).write(wishes)]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"least_worth": 1e-9}))
    assert [h.text for h in HoroscopeGenerator(directory).write(wishes)] == texts


def test_a_text_ends_with_the_sentence_that_makes_it_long_enough(tmp_path, wishes):
    directory = copy_of_the_model(tmp_path)
    path = directory / "model.json"
    whole = [h.text or "" for h in HoroscopeGenerator(directory).write(wishes)]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"enough": 60}))
    generator = HoroscopeGenerator(directory)
    told: dict[int, str] = {}
    written = generator.write(wishes, lambda index, text: told.update({index: text}) or True)
    for index, (horoscope, longer) in enumerate(zip(written, whole, strict=True)):
        text = horoscope.text or ""
        assert horoscope.finished
        assert longer.startswith(text)
        assert len(text) >= 60 > len(text.rpartition(". ")[0])
        assert told[index] == text
        assert "".join(generator.stream(wishes[index])) == text


def test_surprise_is_how_unlikely_a_token_was():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32)) + 7
    assert surprise(logits, np.array([1, 2])) == pytest.approx(-np.log([0.25, 0.8]), abs=1e-5)


@given(
    st.lists(
        st.lists(st.floats(-20, 20, width=32), min_size=5, max_size=5), min_size=1, max_size=4
    ),
    st.floats(0, 1, exclude_max=True),
    st.floats(0.1, 2),
    st.floats(0.01, 1),
)
def test_a_draw_is_never_less_likely_than_min_p_allows(rows, uniform, temperature, min_p):
    logits = np.array(rows, np.float32)
    tokens = draw(logits, np.full(len(rows), uniform), temperature, min_p)
    chosen = logits[np.arange(len(rows)), tokens].astype(float)
    ratio = np.exp((chosen - logits.max(axis=1)) / temperature)
    assert (ratio >= min_p * 0.99).all()
    for row, token in enumerate(tokens):  # neighbours play no part
        alone = draw(logits[row : row + 1], np.array([uniform]), temperature, min_p)
        assert alone[0] == token


def test_a_sentence_may_have_as_many_tokens_as_texts_had_and_a_text_never_more():
    sentence = "Сегодня хороший день для работы, отдыха и долгих разговоров с близкими друзьями."
    model = ModelDescription(name="bytes", begin_ids=[0], end_id=1, longest_tokens=200)
    draft = Draft(0, Wish(Sign.LEO, date=DAY), [0, 2, 3], model)
    draft.begin_sentence(np.zeros(256, np.float32))
    (candidate,) = draft.candidates

    def take(byte: int) -> int | None:
        return draft.take(candidate, byte, whole_utf8_sentence, lambda _: None)

    assert len(sentence.encode()) > 100
    assert [take(byte) for byte in sentence.encode()] == [None] * len(sentence.encode())
    candidate.following = np.zeros(256, np.float32)
    draft.accept(candidate)
    assert draft.sentences == [sentence]
    while candidate.writing:  # and then on and on without an end
        if take(ord("a")) is None:
            assert draft.position(candidate) < model.longest_tokens - 1
        else:
            assert not candidate.ids


def test_of_several_candidates_the_one_that_the_critic_likes_best_stands():
    model = ModelDescription(name="bytes", begin_ids=[0], end_id=1, candidates=3)
    draft = Draft(0, Wish(Sign.LEO, date=DAY), [0], model)
    draft.begin_sentence(np.zeros(256, np.float32))
    said = ["Утром отдохните дома.", "Утром позвоните другу.", "Утром плохое слово."]
    for candidate, sentence, score in zip(draft.candidates, said, (0.1, 0.7, 0.9), strict=True):
        assert draft.chosen is None
        for byte in sentence.encode():
            draft.take(
                candidate, byte, whole_utf8_sentence, lambda s: "bad" if "плохое" in s else None
            )
        if candidate.sentence:
            candidate.following, candidate.liking = np.full(256, score, np.float32), score
    assert [candidate.writing for candidate in draft.candidates] == [False] * 3
    chosen = draft.chosen
    assert chosen is draft.candidates[1]
    draft.accept(chosen)
    assert draft.text == said[1]
    assert draft.boundary[0] == np.float32(0.7)
    assert all(candidate.writing for candidate in draft.candidates)


def say(draft: Draft, sentence: str, *worths: float) -> None:
    """Let its candidates say a sentence; the last one is worth most and liked least."""
    for candidate, worth in zip(draft.candidates, worths, strict=True):
        for byte in sentence.encode():
            draft.take(candidate, byte, whole_utf8_sentence, lambda _: None)
        candidate.following = np.zeros(256, np.float32)
        candidate.worth, candidate.liking = worth, -worth


def test_where_all_candidates_are_poor_the_others_are_drawn_once_more_beside_the_chosen_one():
    model = ModelDescription(
        name="bytes", begin_ids=[0], end_id=1, candidates=3, least_worth=0.9, shortest=30
    )
    draft = Draft(0, Wish(Sign.LEO, date=DAY), [0], model)
    draft.begin_sentence(np.zeros(256, np.float32))
    say(draft, "Утром отдохните.", 0.5, 0.6, 0.7)
    liked, *others = draft.candidates
    assert draft.chosen is liked
    assert draft.reconsider(liked) == others
    assert draft.reconsider(liked) == []  # it was tried
    draft.accept(liked)
    say(draft, "Днем позвоните другу.", 0.8, 0.85, 0.95)
    assert draft.chosen is draft.candidates[0]
    assert draft.reconsider(draft.candidates[0]) == []  # a good one was there, but is liked less
    draft.accept(draft.candidates[0])
    say(draft, "Вечером отдохните.", 0.5, 0.5, 0.5)
    assert draft.reconsider(draft.candidates[0]) == []  # the text can do without
    assert draft.done
    assert draft.text == "Утром отдохните. Днем позвоните другу."


def whole_utf8_sentence(ids: list[int]) -> str | None:
    text = bytes(ids).decode(errors="replace")
    return text if text.endswith(".") else None


def test_draws_follow_the_probabilities():
    logits = np.log(np.array([[0.5, 0.3, 0.2, 0.0001]], np.float32))
    uniforms = (np.arange(1000) + 0.5) / 1000
    drawn = [int(draw(logits, np.array([u]), 1.0, 0.1)[0]) for u in uniforms]
    assert [drawn.count(token) for token in range(4)] == pytest.approx([500, 300, 200, 0], abs=2)


def horoscope(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "horoscope", *arguments], capture_output=True, text=True, check=False
    )


def copy_of_the_model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS["fast"], tmp_path / "model"))


def assert_one_line(directory: Path, names: str) -> None:
    done = horoscope("generate", "лев", "--model", str(directory))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert names in done.stderr
