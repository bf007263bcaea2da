"""What people say and tap, and what the bot answers: the whole product but the model."""

import json
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from product import GROUP, Product
from scripted_telegram import Call, ScriptedTelegram, keyboard_of
from test_worker import Quill

from horoscope.bot import conversation, texts
from horoscope.zodiac import Sign


@pytest.fixture
async def product(tmp_path: Path) -> AsyncIterator[Product]:
    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path)
        async with product.running(Quill()):
            yield product


def data_of(call: Call) -> list[str]:
    return [button["callback_data"] for button in keyboard_of(call)]


async def test_start_greets_and_shows_the_twelve_signs(product: Product) -> None:
    product.say("/start")
    [greeting] = await product.sent(1)
    assert greeting.params["text"] == texts.START
    buttons = keyboard_of(greeting)
    assert [button["text"] for button in buttons] == [f"{s.emoji} {s.russian}" for s in Sign]
    assert all(len(button["callback_data"].encode()) <= 64 for button in buttons)


async def test_the_commands_are_told_to_telegram_at_the_start(product: Product) -> None:
    [call] = await product.sent(1, "setMyCommands")
    names = {command["command"] for command in json.loads(call.params["commands"])}
    assert names == {"generate", "today", "sign", "forget", "help"}


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("/generate лев", "♌️ Лев"),
        ("/GENERATE ЛЬВА", "♌️ Лев"),
        ("/generate@stars_bot лев", "♌️ Лев"),
        ("/generate@Stars_Bot\nлев   любовь", "♌️ Лев · любовь"),
        ("/generate scorpio", "♏️ Скорпион"),
        ("лев", "♌️ Лев"),
        ("ВеСы", "♎️ Весы"),
        ("♐️", "♐️ Стрелец"),
        ("гороскоп на сегодня для рыб, пожалуйста", "♓️ Рыбы"),
        ("дева работа", "♍️ Дева · работа"),
        ("5 августа", "♌️ Лев"),
        ("05.08.1990", "♌️ Лев"),
        ("я родилась 1 марта", "♓️ Рыбы"),
        ("/лев", "♌️ Лев"),
    ],
)
async def test_a_sign_is_understood_however_it_is_said(
    product: Product, words: str, title: str
) -> None:
    product.say(words)
    [answer] = await product.sent(1)
    assert answer.params["text"].split("\n")[0] == title
    assert len(product.telegram.of("sendMessage")) == 1


async def test_a_sticker_of_a_sign_is_understood(product: Product) -> None:
    sticker = {
        **{"file_id": "f", "file_unique_id": "u", "type": "regular", "width": 1, "height": 1},
        **{"is_animated": False, "is_video": False, "emoji": "♌"},
    }
    product.say(None, sticker=sticker)
    [answer] = await product.sent(1)
    assert answer.params["text"].startswith("♌️ Лев")


async def test_under_an_answer_are_another_one_the_topics_and_the_signs(
    product: Product,
) -> None:
    product.say("лев")
    [answer] = await product.sent(1)
    assert data_of(answer) == [
        *("new1:leo:general", "new1:leo:love", "new1:leo:business", "signs1:general"),
    ]


async def test_a_tap_brings_another_horoscope_and_the_button_comes_to_rest(
    product: Product,
) -> None:
    product.tap("new1:leo:love")
    [answer] = await product.sent(1)
    assert answer.params["text"].startswith("♌️ Лев · любовь\n\n")
    [rest] = await product.sent(1, "answerCallbackQuery")
    assert rest.params["callback_query_id"] == "q0"


async def test_another_one_is_another_text(product: Product) -> None:
    for number in range(1, 4):
        product.tap("new1:leo:general")
        await product.sent(number)
    answers = product.telegram.of("sendMessage")
    assert len({answer.params["text"] for answer in answers}) == 3


async def test_other_sign_shows_the_signs_under_the_same_message(product: Product) -> None:
    tapped = product.tap("signs1:love")
    [edit] = await product.sent(1, "editMessageReplyMarkup")
    assert int(edit.params["message_id"]) == tapped["callback_query"]["message"]["message_id"]
    assert data_of(edit) == [f"new1:{sign}:love" for sign in Sign]


@pytest.mark.parametrize(
    "data",
    [*("", None, "new1:leo", "new1:lion:love", "new0:leo:love", "new1:leo:love:x"), ":::", "\x00"],
)
async def test_a_button_that_the_bot_never_made_is_called_old(
    product: Product, data: str | None
) -> None:
    product.tap(data)
    [toast] = await product.sent(1, "answerCallbackQuery")
    assert toast.params["text"] == texts.OLD_BUTTON
    assert not product.telegram.of("sendMessage")


async def test_a_button_under_an_inline_message_or_a_lost_one_does_no_harm(
    product: Product,
) -> None:
    product.tap("new1:leo:love", message=None, inline_message_id="i")
    lost = {"chat": {"id": 1, "type": "private"}, "message_id": 5, "date": 0}
    product.tap("new1:leo:love", message=lost)
    [answer] = await product.sent(1)
    assert answer.params["text"].startswith("♌️ Лев")
    toasts = await product.sent(2, "answerCallbackQuery")
    assert {toast.params.get("text") for toast in toasts} == {texts.OLD_BUTTON, None}


async def test_the_horoscope_of_the_day_is_the_same_for_all_with_the_sign(
    product: Product,
) -> None:
    for person in (1, 2, 3):
        product.say("/today весы", chat=person)
    product.say("/today рыбы", chat=4)
    answers = await product.sent(4)
    said = {call.params["chat_id"]: call.params["text"] for call in answers}
    assert said["1"] == said["2"] == said["3"] != said["4"]
    day = time.localtime().tm_mday
    assert said["1"].split("\n")[0] in {
        f"♎️ Весы · {d} {month}" for d in (day, day + 1, day - 1, 1) for month in texts.MONTHS
    }


async def test_a_sign_is_remembered_used_and_forgotten_across_restarts(tmp_path: Path) -> None:
    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path)
        async with product.running(Quill()):
            product.say("/sign дева")
            [remembered] = await product.sent(1)
            assert "Дева" in remembered.params["text"]
        async with product.running(Quill()):
            for number, (said, title) in enumerate(
                [
                    ("/generate", "♍️ Дева\n"),
                    ("/generate любовь", "♍️ Дева · любовь\n"),
                    ("работа", "♍️ Дева · работа\n"),
                    ("хочу гороскоп", "♍️ Дева\n"),
                    ("/today", "♍️ Дева · "),
                    ("/generate лев", "♌️ Лев\n"),
                    ("/sign", "Ваш знак — ♍️ Дева"),
                    ("/forget", texts.FORGOTTEN),
                    ("/generate", texts.CHOOSE),
                    ("/today", texts.CHOOSE_TODAY),
                ],
                start=2,
            ):
                product.say(said)
                assert (await product.sent(number))[-1].params["text"].startswith(title)


async def test_a_sign_can_be_remembered_by_a_tap(product: Product) -> None:
    product.say("/sign")
    [question] = await product.sent(1)
    assert question.params["text"] == texts.CHOOSE_OWN
    product.tap(data_of(question)[0])
    assert "Овен" in (await product.sent(2))[1].params["text"]
    product.say("/generate")
    assert (await product.sent(3))[2].params["text"].startswith("♈️ Овен")


async def test_without_a_sign_the_bot_asks_for_one(product: Product) -> None:
    product.say("/generate", chat=1)
    product.say("/today", chat=2)
    said = {call.params["chat_id"]: call for call in await product.sent(2)}
    assert said["1"].params["text"] == texts.CHOOSE
    assert data_of(said["1"])[0] == "new1:aries:general"
    assert data_of(said["2"])[0] == "day1:aries"


@pytest.mark.parametrize(
    ("words", "guess"),
    [
        ("скорпеон", "new1:scorpio:general"),
        ("/generate казерог любовь", "new1:capricorn:love"),
        ("/today казерог", "day1:capricorn"),
        ("/sign казерог", "my1:capricorn"),
    ],
)
async def test_a_misspelt_sign_is_only_suggested(product: Product, words: str, guess: str) -> None:
    product.say(words)
    [answer] = await product.sent(1)
    assert answer.params["text"] == texts.MISSPELT
    assert data_of(answer) == [guess, "signs1:general"]


@pytest.mark.parametrize(
    "words", ["у бабушки рак", "вчера купил весы и теперь знаю про себя слишком многое"]
)
async def test_words_around_a_sign_that_are_no_wish_are_asked_about(
    product: Product, words: str
) -> None:
    product.say(words)
    [answer] = await product.sent(1)
    assert answer.params["text"] == texts.UNSURE


@pytest.mark.parametrize(
    "words",
    [
        *(
            "лев и рак",
            "щщщ",
            "32 августа",
            "א ב ג",
            "\u202eвел\u202c ...",
            "а́" * 500,
            "🤷",
            "." * 4096,
        ),
        *("ё" * 4096, "\u200b", "?!", "<b>жирный</b> & <script>"),
    ],
)
async def test_what_cannot_be_understood_gets_a_kind_answer_with_buttons(
    product: Product, words: str
) -> None:
    product.say(words)
    [answer] = await product.sent(1)
    assert answer.params["text"] in {texts.NOT_UNDERSTOOD, texts.MISSPELT, texts.ONLY_WORDS}
    assert keyboard_of(answer)


async def test_what_is_not_words_gets_a_kind_answer_and_notes_of_telegram_none(
    product: Product,
) -> None:
    product.say(None, chat=1, pinned_message=product.message("старое"))
    product.say(None, chat=1, message_auto_delete_timer_changed={"message_auto_delete_time": 5})
    product.say(None, chat=2, dice={"emoji": "🎲", "value": 3})
    place = {"latitude": 55.7, "longitude": 37.6}
    product.say(None, chat=3, location=place, venue={"location": place, "title": "", "address": ""})
    product.say(None, chat=4, story={"id": 1, "chat": {"id": 4, "type": "private"}})
    answers = await product.sent(3)
    assert {answer.params["chat_id"] for answer in answers} == {"2", "3", "4"}
    assert {answer.params["text"] for answer in answers} == {texts.ONLY_WORDS}


async def test_an_unknown_command_is_answered_with_the_way_to_help(product: Product) -> None:
    product.say("/horoskop")
    [answer] = await product.sent(1)
    assert answer.params["text"] == texts.UNKNOWN_COMMAND


async def test_help_says_that_a_machine_writes_for_fun(product: Product) -> None:
    product.say("/help")
    [answer] = await product.sent(1)
    assert "@stars_bot" in answer.params["text"]
    assert "нейросеть" in answer.params["text"]
    assert "для развлечения" in answer.params["text"]


async def test_in_groups_only_what_is_said_to_the_bot_is_answered(product: Product) -> None:
    bots_message = product.message("♌️ Лев", GROUP) | {
        "from": {"id": 42, "is_bot": True, "first_name": "Звёзды"}
    }
    ignored = [
        {"text": "лев"},
        {"text": "/generate@another_bot лев"},
        {"text": "/weather"},
        {"text": "/weather@another_bot"},
        {"text": "спасибо!", "reply_to_message": bots_message},
        {"text": None, "dice": {"emoji": "🎲", "value": 3}, "reply_to_message": bots_message},
        {"text": "@stars_botany лев"},
        {"text": None, "new_chat_members": [{"id": 5, "is_bot": False, "first_name": "Б"}]},
        {"text": "лев", "via_bot": {"id": 42, "is_bot": True, "first_name": "Звёзды"}},
    ]
    heard = [
        {"text": "/generate@stars_bot рак"},
        {"text": "/generate рыбы"},
        {"text": "Гороскоп, @Stars_Bot: весы"},
        {"text": "дева", "reply_to_message": bots_message},
    ]
    for number, said in enumerate([*ignored, *heard], 1):
        product.say(**said, chat=GROUP - number, user=number)
    answers = await product.sent(4)
    await product.handled()
    said = {call.params["text"].split()[1] for call in product.telegram.of("sendMessage")}
    assert said == {"Рак", "Рыбы", "Весы", "Дева"}
    assert len(answers) == 4


async def test_another_bots_commands_are_ignored_in_private_too(product: Product) -> None:
    product.say("/generate@another_bot лев", chat=1)
    product.say("/generate рак", chat=2)
    await product.sent(1)
    await product.handled()
    assert [call.params["chat_id"] for call in product.telegram.of("sendMessage")] == ["2"]


async def test_in_groups_the_answer_replies_in_the_same_topic(product: Product) -> None:
    asked = product.say(
        "/generate лев", chat=GROUP, user=5, message_thread_id=77, is_topic_message=True
    )
    [answer] = await product.sent(1)
    assert answer.params["message_thread_id"] == "77"
    reply = json.loads(answer.params["reply_parameters"])
    assert reply["message_id"] == asked["message"]["message_id"]
    assert reply["allow_sending_without_reply"] is True


async def test_a_thread_of_replies_is_no_topic(product: Product) -> None:
    product.say("/generate лев", chat=GROUP, user=5, message_thread_id=77)
    [answer] = await product.sent(1)
    assert "message_thread_id" not in answer.params


async def test_edited_messages_and_channel_posts_are_passed_over(product: Product) -> None:
    product.telegram.push(edited_message=product.message("лев", 1))
    product.telegram.push(channel_post=product.message("лев", GROUP))
    product.telegram.push(a_kind_of_tomorrow={"x": 1})
    product.say("рак", chat=2)
    [answer] = await product.sent(1)
    await product.handled()
    assert answer.params["chat_id"] == "2"
    assert len(product.telegram.of("sendMessage")) == 1


async def test_other_bots_are_not_talked_with(product: Product) -> None:
    robot = {"id": 9, "is_bot": True, "first_name": "Робот"}
    product.say("лев", chat=1, **{"from": robot})
    product.say("рак", chat=2)
    await product.sent(1)
    await product.handled()
    assert [call.params["chat_id"] for call in product.telegram.of("sendMessage")] == ["2"]


async def test_text_goes_out_with_entities_and_no_markup_to_break(tmp_path: Path) -> None:
    class Vandal(Quill):
        def write(self, wishes: Any, on_sentence: Any = None) -> Any:
            texts = super().write(wishes, on_sentence)
            return [type(text)("<b>& </i> *_`[x](y)`_* </b", 3) for text in texts]

    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path)
        async with product.running(Vandal()):
            product.say("лев")
            [answer] = await product.sent(1)
    assert answer.params["text"] == "♌️ Лев\n\n<b>& </i> *_`[x](y)`_* </b"
    assert "parse_mode" not in answer.params
    [bold] = json.loads(answer.params["entities"])
    assert (bold["type"], bold["offset"], bold["length"]) == ("bold", 0, 6)


async def test_a_text_longer_than_a_message_is_cut(tmp_path: Path) -> None:
    class Graphomaniac(Quill):
        def write(self, wishes: Any, on_sentence: Any = None) -> Any:
            texts = super().write(wishes, on_sentence)
            return [type(text)("Звёзды 🌟. " * 1000, 3) for text in texts]

    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path)
        async with product.running(Graphomaniac()):
            product.say("лев")
            [answer] = await product.sent(1)
    assert 3000 < len(answer.params["text"].encode("utf-16-le")) / 2 <= 4096


class Held(Quill):
    """Begins a sentence only when it is let."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        super().__init__(lambda index, sentence: self.go.acquire(timeout=20) and None)

    def let(self, sentences: int = 1000) -> None:
        self.go.release(sentences)


async def test_one_request_at_a_time_for_a_person_and_one_polite_word(tmp_path: Path) -> None:
    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path)
        held = Held()
        async with product.running(held):
            for _ in range(5):
                product.say("лев")
            product.say("рак", chat=2)
            await product.handled()
            [word] = await product.sent(1)
            assert (word.params["chat_id"], word.params["text"]) == ("1", texts.BUSY)
            held.let()
            said = await product.sent(3)
            product.say("рыбы")
            said = await product.sent(4)
    assert sorted(call.params["text"].split("\n")[0] for call in said) == sorted(
        [texts.BUSY, "♌️ Лев", "♋️ Рак", "♓️ Рыбы"]
    )


async def test_over_the_limit_a_minute_there_is_one_polite_word(tmp_path: Path) -> None:
    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path, person_limit=2)
        async with product.running(Quill()):
            for number in range(1, 3):
                product.tap("new1:leo:general")
                await product.sent(number)
                await product.sent(number, "answerCallbackQuery")
            for number in range(3, 6):
                product.tap("new1:leo:general")
                await product.sent(number, "answerCallbackQuery")
            toasts = [call.params.get("text") for call in telegram.of("answerCallbackQuery")]
            assert toasts == [None, None, texts.PERSON_LIMIT, None, None]
            assert len(telegram.of("sendMessage")) == 2


async def test_a_group_has_a_limit_of_its_own(tmp_path: Path) -> None:
    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path, group_limit=2)
        held = Held()
        async with product.running(held):
            for user in range(1, 6):
                product.say("/generate лев", chat=GROUP, user=user)
            product.say("/generate лев", chat=GROUP - 1, user=6)
            await product.handled()
            held.let()
            said = await product.sent(4)
    words = [call.params["text"].split("\n")[0] for call in said]
    assert sorted(words) == sorted(["♌️ Лев"] * 3 + [texts.GROUP_LIMIT])


async def test_after_an_outage_a_person_gets_one_apology_and_forget_is_obeyed(
    product: Product,
) -> None:
    old = int(time.time()) - 3600
    product.say("/sign лев", chat=1)
    await product.sent(1)
    for _ in range(20):
        product.say("лев", chat=1, date=old)
    product.say("/start", chat=2, date=old)
    product.say("лев", chat=GROUP, user=3, date=old)  # not said to the bot
    product.say("/forget", chat=1, date=old)
    await product.handled()
    await product.sent(4)
    said = [(call.params["chat_id"], call.params["text"]) for call in await product.sent(4)]
    assert sorted(said[1:]) == sorted(
        [("1", texts.MISSED), ("2", texts.MISSED), ("1", texts.FORGOTTEN)]
    )


async def test_a_clock_that_is_wrong_by_days_keeps_nobody_from_an_answer(product: Product) -> None:
    for chat, date in enumerate((0, int(time.time()) - 3 * 86400, int(time.time()) + 86400), 1):
        product.say("лев", chat=chat, date=date)
    said = await product.sent(3)
    assert all(call.params["text"].startswith("♌️ Лев") for call in said)


async def test_in_a_group_everybody_gets_a_word(product: Product) -> None:
    for user in range(1, 6):
        product.say("/help", chat=GROUP, user=user)
    said = await product.sent(5)
    assert len({call.params["reply_parameters"] for call in said}) == 5


async def test_who_floods_gets_no_flood_of_answers(tmp_path: Path) -> None:
    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path)
        async with product.running(Quill()):
            for _ in range(60):
                product.say("щщщ", chat=1)
            product.say("лев", chat=2)
            await product.handled()
        # The end waited for all that was still to be said.
        said = [call.params["chat_id"] for call in telegram.of("sendMessage")]
    assert said.count("1") == 3
    assert said.count("2") == 1


async def test_what_a_person_wrote_is_never_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="horoscope")
    person = {"id": 2, "is_bot": False, "first_name": "Тайна"}
    async with ScriptedTelegram() as telegram:
        product = Product(telegram, tmp_path)
        async with product.running(Quill()):
            product.say("лев тайнопись")
            product.say("лев", chat=2, **{"from": person})
            await product.sent(2)
    assert "answered" in caplog.text
    assert "тайн" not in caplog.text.lower()


def inline(product: Product, words: str, user: int = 1) -> None:
    product.telegram.push(
        inline_query={
            "id": f"i{len(product.telegram.updates)}",
            "from": {"id": user, "is_bot": False, "first_name": "Аня"},
            "query": words,
            "offset": "",
        }
    )


async def test_inline_the_horoscope_of_the_day_is_offered(product: Product) -> None:
    inline(product, "лев")
    [offer] = await product.sent(1, "answerInlineQuery")
    [result] = json.loads(offer.params["results"])
    assert result["title"].startswith("♌️ Лев · ")
    product.say("/today лев")
    [answer] = await product.sent(1)
    assert result["input_message_content"]["message_text"] == answer.params["text"]
    assert 0 <= int(offer.params["cache_time"]) <= 3600


async def test_an_empty_inline_query_means_ones_own_sign(product: Product) -> None:
    product.say("/sign дева")
    await product.sent(1)
    inline(product, "")
    [offer] = await product.sent(1, "answerInlineQuery")
    assert json.loads(offer.params["results"])[0]["title"].startswith("♍️ Дева")
    assert offer.params["is_personal"] == "true"


async def test_an_inline_query_of_a_stranger_leads_to_choosing_a_sign(product: Product) -> None:
    inline(product, "", user=5)
    [offer] = await product.sent(1, "answerInlineQuery")
    assert json.loads(offer.params["results"]) == []
    button = json.loads(offer.params["button"])
    assert button["text"] == texts.INLINE_BUTTON
    product.say(f"/start {button['start_parameter']}", chat=5)
    [question] = await product.sent(1)
    assert question.params["text"] == texts.CHOOSE_OWN


async def test_a_text_sent_from_inline_mode_asks_for_nothing(product: Product) -> None:
    me = {"id": 42, "is_bot": True, "first_name": "Звёзды"}
    product.say("♌️ Лев · 5 августа\n\nВсё будет.", chat=1, via_bot=me)
    product.say("рак", chat=2)
    await product.sent(1)
    await product.handled()
    assert [call.params["chat_id"] for call in product.telegram.of("sendMessage")] == ["2"]


def test_buttons_fit_telegram_whatever_the_sign() -> None:
    for sign in Sign:
        for kind in (conversation.Fresh, conversation.Today, conversation.Remember):
            fields = {"sign": sign} | (
                {"topic": "business"} if "topic" in kind.model_fields else {}
            )
            assert len(kind(**fields).pack().encode()) <= 64
