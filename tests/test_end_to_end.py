"""The real bot in the local Telegram, as each kind of person meets it."""

import asyncio
import random
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from local_telegram import (
    answers,
    buttons,
    idle,
    listening,
    product_in,
    sign_in,
    start_process,
    until,
)
from test_worker import Quill

from horoscope.bot import texts
from horoscope.demo.server import serving
from horoscope.demo.telegram import FORUM, FRIENDS, Telegram
from horoscope.demo.trouble import Trouble
from horoscope.generation.generator import HoroscopeGenerator
from horoscope.zodiac import Sign

Json = dict[str, Any]


@pytest.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[Telegram]:
    """A Telegram with the bot in it, whose every call is one that Telegram takes."""
    telegram = Telegram()
    async with product_in(telegram, tmp_path):
        yield telegram
    assert not telegram.refused


async def asked(telegram: Telegram, person: int, text: str, count: int = 1) -> list[Json]:
    """Write to the bot and wait for what it says to that."""
    before = len(telegram.said_by_bot(person))
    telegram.write(person, text)
    return (await answers(telegram, person, before + count))[before:]


# In a private chat.


async def test_a_conversation_from_start_to_forget(telegram: Telegram) -> None:
    anya = telegram.join("Аня")
    [greeting] = await asked(telegram, anya, "/start")
    signs = buttons(greeting)
    assert len(signs) == 12
    telegram.tap(anya, anya, greeting["message_id"], signs["♌️ Лев"])
    answer = (await answers(telegram, anya, 2))[-1]
    assert sign_in(answer) is Sign.LEO
    under = buttons(answer)
    telegram.tap(anya, anya, answer["message_id"], under[texts.ANOTHER_BUTTON])
    another = (await answers(telegram, anya, 3))[-1]
    assert another["text"] != answer["text"]
    telegram.tap(anya, anya, answer["message_id"], under["❤️ Любовь"])
    love = (await answers(telegram, anya, 4))[-1]
    assert love["text"].startswith("♌️ Лев · любовь\n")
    telegram.tap(anya, anya, love["message_id"], buttons(love)[texts.OTHER_SIGN_BUTTON])
    await until(lambda: len(buttons(telegram.message(anya, love["message_id"]))) == 12)
    [remembered] = await asked(telegram, anya, "/sign весы")
    assert texts.sign_name(Sign.LIBRA) in remembered["text"]
    [of_the_day] = await asked(telegram, anya, "/today")
    assert sign_in(of_the_day) is Sign.LIBRA
    await asked(telegram, anya, "/forget")
    [question] = await asked(telegram, anya, "/today")
    assert question["text"] == texts.CHOOSE_TODAY


async def test_the_horoscope_of_the_day_is_one_for_all(telegram: Telegram) -> None:
    people = [telegram.join(name) for name in ("Аня", "Борис")]
    said = [(await asked(telegram, person, "/today рыбы"))[0]["text"] for person in people]
    assert said[0] == said[1]


async def test_a_tap_lets_its_button_rest(telegram: Telegram) -> None:
    anya = telegram.join("Аня")
    [greeting] = await asked(telegram, anya, "/start")
    seen = telegram.watch(anya)
    query = telegram.tap(anya, anya, greeting["message_id"], buttons(greeting)["♓️ Рыбы"])
    async with asyncio.timeout(10):
        while (event := await seen.get())["kind"] != "toast":
            pass
    assert event["query"] == query


async def test_the_text_grows_and_ends_where_its_reader_stops_it(tmp_path: Path) -> None:
    telegram, go_on = Telegram(), threading.Semaphore(0)

    def wait(index: int, sentence: int) -> None:
        assert go_on.acquire(timeout=20)

    async with product_in(telegram, tmp_path, Quill(wait)):
        anya = telegram.join("Аня")
        seen = telegram.watch(anya)
        telegram.write(anya, "лев")
        await until(lambda: telegram.calls["sendChatAction"])
        go_on.release()
        async with asyncio.timeout(10):
            while (event := await seen.get())["kind"] != "draft":
                pass
        assert event["can_stop"]
        telegram.stop(anya)
        await idle(telegram)
        go_on.release(2)
        [answer] = await answers(telegram, anya, 1)
        assert answer["text"].startswith(event["text"])
        assert answer["text"].count(".") == 2
    assert not telegram.refused


async def test_who_blocks_the_bot_and_comes_back_is_answered_again(telegram: Telegram) -> None:
    anya = telegram.join("Аня")
    telegram.write(anya, "лев")
    telegram.block(anya, True)
    await until(lambda: telegram.refused["sendMessage: Forbidden: bot was blocked by the user"])
    telegram.block(anya, False)
    [answer] = await asked(telegram, anya, "рак")
    assert sign_in(answer) is Sign.CANCER
    telegram.refused.clear()


# Among others.


async def test_in_a_group_everyone_is_answered_and_only_who_asked(telegram: Telegram) -> None:
    people = {telegram.join(name): sign for name, sign in zip("АБВ", Sign, strict=False)}
    for person, sign in people.items():
        telegram.write(person, "просто разговор", FRIENDS)
        telegram.write(person, f"/generate {sign.russian}", FRIENDS)
    said = await answers(telegram, FRIENDS, len(people))
    assert {m["reply_to_message"]["from"]["id"]: sign_in(m) for m in said} == people
    telegram.write(next(iter(people)), "рыбы", FRIENDS, reply_to=said[0]["message_id"])
    more = (await answers(telegram, FRIENDS, len(people) + 1))[-1]
    assert sign_in(more) is Sign.PISCES
    telegram.write(next(iter(people)), "@stars_bot, а что скажешь тельцу?", FRIENDS)
    question = (await answers(telegram, FRIENDS, len(people) + 2))[-1]
    assert buttons(question)["♉️ Телец"]


async def test_in_a_forum_the_answer_stays_in_its_topic(telegram: Telegram) -> None:
    anya = telegram.join("Аня")
    telegram.write(anya, "/today овен", FORUM, thread_id=2)
    telegram.write(anya, "/sign", FORUM)
    said = {m["text"]: m for m in await answers(telegram, FORUM, 2)}
    question = said.pop(texts.CHOOSE_OWN)
    [answer] = said.values()
    assert "message_thread_id" not in question
    assert answer["message_thread_id"] == 2
    telegram.tap(anya, FORUM, answer["message_id"], buttons(answer)["💼 Работа"])
    assert (await answers(telegram, FORUM, 3))[-1]["message_thread_id"] == 2


async def test_inline_the_horoscope_of_the_day_goes_into_any_chat(telegram: Telegram) -> None:
    anya = telegram.join("Аня")
    query = telegram.ask_inline(anya, "лев", FRIENDS)
    await until(lambda: telegram.queries[query].results)
    [result] = telegram.queries[query].results
    message = telegram.choose_inline(anya, query, result, FRIENDS, None)
    assert sign_in(message) is Sign.LEO
    await idle(telegram)
    assert not telegram.said_by_bot(FRIENDS)


async def test_inline_a_stranger_is_led_to_choosing_a_sign(telegram: Telegram) -> None:
    anya = telegram.join("Аня")
    seen = telegram.watch(anya)
    telegram.ask_inline(anya, "", FRIENDS)
    offers = await asyncio.wait_for(seen.get(), 10)
    [question] = await asked(telegram, anya, f"/start {offers['button']['start_parameter']}")
    assert question["text"] == texts.CHOOSE_OWN


# What nobody expects.

ODD = {
    "as long as can be": "лев " * 1024,
    "a word without end": "ъ" * 4096,
    "emoji without end": "♌️" * 2000,
    "right to left": "أسد برج الأسد \u200fلев\u200e",
    "combining characters": "л̴̢͓̞е̷̡͎͂в̶̨̛" + "̈" * 500,
    "a family of emoji": "👨‍👩‍👧‍👦♌️🏳️‍🌈",
    "invisible": "\u200b\u200e\u2060",
    "control characters": "\x07\x1b[31mлев\x00",
    "markup": "<b>лев</b> *лев* [лев](tg://user?id=1) {{7*7}}",
    "quotes for SQL": "'; DROP TABLE people; --",
    "many numbers": "1 " * 2000,
    "a date that is none": "31.02.2020 99.99",
    "slashes": "/" * 4096,
    "a command of one letter": "/ лев",
    "a mention of nobody": "@",
    "mathematical letters": "𝕝𝕖𝕠",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
async def test_whatever_is_written_there_is_one_answer(telegram: Telegram, text: str) -> None:
    anya = telegram.join("Аня")
    await asked(telegram, anya, text)
    await idle(telegram)
    await asked(telegram, anya, "рак")
    assert len(telegram.said_by_bot(anya)) == 2


async def test_what_is_not_for_the_bot_is_passed_over(telegram: Telegram) -> None:
    anya = telegram.join("Аня")
    telegram.write(anya, "/generate@other_bot лев")
    telegram.write(anya, "/generate@other_bot лев", FRIENDS)
    telegram.write(anya, "/stats", FRIENDS)
    [answer] = await asked(telegram, anya, "лев")
    mine = telegram.write(anya, "рак", FRIENDS)
    telegram.edit(anya, FRIENDS, mine["message_id"], "/generate рак")
    edited = telegram.message(FRIENDS, mine["message_id"])
    telegram.updates.push({"edited_message": edited})
    telegram.updates.push({"channel_post": edited})
    telegram.updates.push({"moon_phase": {"phase": "full"}})
    telegram.updates.push({"message": {"no": "message"}})
    telegram.updates.push({})
    await idle(telegram)
    assert telegram.said_by_bot(anya) == [answer]
    assert not telegram.said_by_bot(FRIENDS)


@pytest.mark.parametrize("data", ["", "new1:lion:love", "\x00", "я" * 32, "new1:leo:love:x"])
async def test_a_button_that_the_bot_never_made_is_called_old(
    telegram: Telegram, data: str
) -> None:
    anya = telegram.join("Аня")
    [greeting] = await asked(telegram, anya, "/start")
    seen = telegram.watch(anya)
    telegram.tap(anya, anya, greeting["message_id"], data)
    assert (await asyncio.wait_for(seen.get(), 10))["text"] == texts.OLD_BUTTON


# Many, and trouble.


async def test_of_a_thousand_at_once_each_gets_their_own_answer(tmp_path: Path) -> None:
    telegram = Telegram()
    async with product_in(telegram, tmp_path, calls_per_second=5000):
        chance = random.Random(0)
        people = {telegram.join(f"Человек {n}"): chance.choice(list(Sign)) for n in range(1000)}
        for person, sign in people.items():
            telegram.write(person, sign.russian)
        said = {person: await answers(telegram, person, 1, 60) for person in people}
        await idle(telegram)
    assert {person: sign_in(messages[0]) for person, messages in said.items()} == people
    assert all(len(telegram.said_by_bot(person)) == 1 for person in people)
    seeds = [messages[0]["text"].split()[-2] for messages in said.values()]
    assert len(set(seeds)) == len(people)
    assert not telegram.refused


async def test_an_update_that_comes_again_is_answered_once(telegram: Telegram) -> None:
    anya = telegram.join("Аня")
    telegram.write(anya, "лев")
    [update] = telegram.updates.pending.values()
    await answers(telegram, anya, 1)
    for _ in range(3):
        await idle(telegram)
        telegram.updates.put_back(update)
    await asked(telegram, anya, "рак")
    assert [sign_in(m) for m in telegram.said_by_bot(anya)] == [Sign.LEO, Sign.CANCER]


STORMS = {
    "asks to wait": Trouble(status=429, share=0.3),
    "is ill": Trouble(status=502, share=0.5),
    "breaks connections": Trouble(share=0.5),
    "gives no updates": Trouble(status=500, methods=frozenset({"getUpdates"}), share=0.5),
}


@pytest.mark.parametrize("storm", STORMS.values(), ids=STORMS)
async def test_in_a_storm_all_are_answered_once(telegram: Telegram, storm: Trouble) -> None:
    telegram.troubles.all.append(storm)
    people = {telegram.join(f"Человек {n}"): sign for n, sign in enumerate(list(Sign) * 3)}
    for person, sign in people.items():
        telegram.write(person, sign.russian)
    for person, sign in people.items():
        assert sign_in((await answers(telegram, person, 1))[0]) is sign
    telegram.troubles.all.clear()
    await idle(telegram)
    assert all(len(telegram.said_by_bot(person)) == 1 for person in people)


async def test_telegrams_rates_are_kept_whatever_comes(tmp_path: Path) -> None:
    telegram = Telegram(rates=True)
    async with product_in(telegram, tmp_path):
        people = [telegram.join(f"Человек {n}") for n in range(60)]
        for person in people:
            telegram.write(person, "лев")
            telegram.write(person, "/help")
        for name in "АБВГД":
            telegram.write(telegram.join(name), "/generate рак", FRIENDS)
        for person in people:
            await answers(telegram, person, 2)
        await answers(telegram, FRIENDS, 5)
    assert not telegram.refused


@pytest.mark.parametrize(("updates", "kills"), [("polling", 2), ("webhook", 1)])
async def test_kills_lose_nothing_whichever_way_updates_come(
    tmp_path: Path, updates: str, kills: int, unused_tcp_port: int
) -> None:
    telegram, people = Telegram(), []
    settings = {
        **{"calls_per_second": 100, "updates": updates, "webhook_port": unused_tcp_port},
        "webhook_url": f"http://127.0.0.1:{unused_tcp_port}/hook",
    }
    async with serving(telegram) as url:
        for round_number in range(kills + 1):
            telegram.calls.clear()
            process = await start_process(url, tmp_path, **settings)
            try:
                await until(lambda: listening(telegram), 60)
                fresh = [telegram.join(f"Человек {round_number}/{n}") for n in range(40)]
                people += fresh
                for person in fresh:
                    telegram.write(person, "/generate рак")
                if round_number < kills:
                    await until(lambda: telegram.calls["sendMessage"] > 10, 60)
                else:
                    for person in people:
                        await answers(telegram, person, 1, 60)
                    await idle(telegram)
                process.send_signal(signal.SIGKILL)
                await process.wait()
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
    said = Counter({person: len(telegram.said_by_bot(person)) for person in people})
    assert all(said.values())
    # One answer at a kill may be taken by Telegram and not be noted yet by the bot.
    assert said.total() - len(people) <= kills + 1


async def test_over_a_webhook_a_person_is_answered(tmp_path: Path, unused_tcp_port: int) -> None:
    telegram = Telegram()
    settings: Json = {
        **{"updates": "webhook", "webhook_host": "127.0.0.1", "webhook_port": unused_tcp_port},
        "webhook_url": f"http://127.0.0.1:{unused_tcp_port}/secret/path",
    }
    async with product_in(telegram, tmp_path, **settings):
        anya = telegram.join("Аня")
        assert sign_in((await asked(telegram, anya, "лев"))[0]) is Sign.LEO
        await idle(telegram)
    assert not telegram.refused


# With the model itself.


async def test_the_model_answers_everyone_about_their_own_sign(tmp_path: Path) -> None:
    telegram = Telegram()
    async with product_in(telegram, tmp_path, HoroscopeGenerator("fast"), calls_per_second=1000):
        people = {telegram.join(f"Человек {n}"): sign for n, sign in enumerate(list(Sign) * 4)}
        for person, sign in people.items():
            telegram.write(person, sign.russian)
        for person, sign in people.items():
            [answer] = await answers(telegram, person, 1, 60)
            assert sign_in(answer) is sign
            assert len(answer["text"]) > 100
    assert not telegram.refused
