"""Telegram's rates and refusals, seen from the outbox, in virtual time."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import virtual_time
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.methods import AnswerCallbackQuery, SendChatAction, SendMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from horoscope.bot.outbox import Outbox

GROUP = -100


class Telegram:
    """Stands for aiogram's Bot: takes LATENCY a call, and notes when which was called."""

    token = "42:TEST"
    latency = 0.05

    def __init__(self) -> None:
        self.calls: list[tuple[float, Any]] = []
        self.trouble: dict[int, list[Exception]] = defaultdict(list)

    async def __call__(self, method: Any, request_timeout: int | None = None) -> Any:
        self.calls.append((asyncio.get_running_loop().time(), method))
        await asyncio.sleep(self.latency)
        waiting = self.trouble[getattr(method, "chat_id", 0)]
        if waiting:
            raise waiting.pop(0)
        return method

    def times(self, chat_id: int | None = None) -> list[float]:
        return [at for at, method in self.calls if chat_id in (None, method.chat_id)]

    def texts(self) -> list[str]:
        return [method.text for _, method in self.calls if isinstance(method, SendMessage)]


def message(chat_id: int, text: str = "Привет") -> SendMessage:
    return SendMessage(chat_id=chat_id, text=text)


def play(scene: Callable[[Telegram, Outbox], Awaitable[None]], rate: int = 30) -> Telegram:
    async def whole() -> Telegram:
        telegram = Telegram()
        await scene(telegram, Outbox(telegram, rate))  # type: ignore[arg-type]
        return telegram

    return virtual_time.run(whole())


def most_in(times: list[float], window: float) -> int:
    times = sorted(times)
    return max(sum(1 for t in times if start <= t < start + window) for start in times)


def retry_after(seconds: int) -> TelegramRetryAfter:
    return TelegramRetryAfter(message(1), "Too Many Requests", seconds)


def test_a_bot_uses_no_more_than_its_share_of_the_rate_also_when_it_shrinks() -> None:
    share = 1.0

    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        nonlocal share
        outbox.share_rate(lambda: share)
        sending = [asyncio.create_task(outbox.send(chat, message(chat))) for chat in range(1, 301)]
        await asyncio.sleep(3)
        share = 1 / 3
        await asyncio.sleep(10)
        share = 0.0
        await asyncio.sleep(10)
        share = 1.0
        await asyncio.gather(*sending)

    times = play(scene).times()
    began = times[0]
    assert most_in([t for t in times if t < began + 3], 1.0) >= 25
    assert 9 <= most_in([t for t in times if began + 4 <= t < began + 13], 1.0) <= 10
    assert most_in([t for t in times if began + 14 <= t < began + 23], 1.0) == 1
    assert len(times) == 300


def test_what_was_settled_while_it_waited_is_not_said() -> None:
    settled = False

    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        nonlocal settled

        async def is_settled() -> bool:
            return settled

        telegram.trouble[1] = [retry_after(30)]
        async with outbox.chat(1) as chat:
            sending = asyncio.create_task(chat.send(message(1), is_settled))
            await asyncio.sleep(10)
            settled = True
            assert await sending is None

    assert len(play(scene).calls) == 1


def test_thirty_calls_a_second_go_out_in_all_and_no_more() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        await asyncio.gather(*(outbox.send(chat, message(chat)) for chat in range(1, 301)))

    times = play(scene).times()
    assert most_in(times, 1.0) == 30
    assert times[-1] - times[0] < 10.5  # and no slower than that


def test_a_chat_gets_one_message_a_second_in_their_order() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        await asyncio.gather(*(outbox.send(1, message(1, str(n))) for n in range(5)))

    telegram = play(scene)
    assert most_in(telegram.times(), 1.0) == 1
    assert telegram.texts() == ["0", "1", "2", "3", "4"]


def test_a_group_gets_twenty_messages_a_minute() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        await asyncio.gather(*(outbox.send(GROUP, message(GROUP, str(n))) for n in range(50)))

    times = play(scene).times()
    assert most_in(times, 60.0) == 20
    assert most_in(times, 1.0) == 1
    assert times[-1] - times[0] < 135


def test_retry_after_is_waited_out_and_only_its_chat_waits() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        telegram.trouble[1] = [retry_after(7), retry_after(3)]
        await asyncio.gather(*(outbox.send(chat, message(chat)) for chat in range(1, 21)))

    telegram = play(scene)
    first, second, third = telegram.times(1)
    assert second - first == pytest.approx(7 + telegram.latency)
    assert third - second == pytest.approx(3 + telegram.latency)
    assert all(telegram.times(chat)[0] - first < 1 for chat in range(2, 21))


def test_a_later_message_does_not_overtake_one_that_waits() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        telegram.trouble[1] = [retry_after(5)]
        await asyncio.gather(
            outbox.send(1, message(1, "first")), outbox.send(1, message(1, "second"))
        )

    assert play(scene).texts() == ["first", "first", "second"]


def test_what_can_heal_is_tried_again_with_growing_pauses() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        telegram.trouble[1] = [
            TelegramServerError(message(1), "Bad Gateway"),
            TelegramNetworkError(message(1), "connection reset"),
            ClientDecodeError("Failed to decode object", ValueError(), "<html>502</html>"),
            OSError("network is down"),
        ] * 3
        await outbox.send(1, message(1))

    times = play(scene).times()
    assert len(times) == 13
    pauses = [b - a for a, b in pairwise(times)]
    assert all(b >= a - 0.01 for a, b in pairwise(pauses))
    assert max(pauses) < 11


@pytest.mark.parametrize(
    "refusal",
    [
        TelegramForbiddenError(message(1), "Forbidden: bot was blocked by the user"),
        TelegramBadRequest(message(1), "Bad Request: chat not found"),
    ],
)
def test_what_telegram_refuses_is_not_tried_again(refusal: Exception) -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        telegram.trouble[1] = [refusal]
        with pytest.raises(type(refusal)):
            await outbox.send(1, message(1))
        await outbox.send(1, message(1, "next"))

    assert play(scene).texts() == ["Привет", "next"]


def test_an_answer_that_cannot_be_understood_but_is_ok_counts_as_sent() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        telegram.trouble[1] = [
            ClientDecodeError("Failed to deserialize", ValueError(), {"ok": True, "result": {}})
        ]
        assert await outbox.send(1, message(1)) is None

    assert len(play(scene).calls) == 1


def test_a_group_that_became_a_supergroup_is_followed() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        telegram.trouble[-5] = [TelegramMigrateToChat(message(-5), "upgraded", -1005)]
        await outbox.send(-5, message(-5))

    assert [method.chat_id for _, method in play(scene).calls] == [-5, -1005]


def test_messages_go_before_answers_to_taps() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        taps = [
            asyncio.create_task(outbox.courtesy(AnswerCallbackQuery(callback_query_id=str(n))))
            for n in range(8)
        ]
        await asyncio.sleep(0)
        await asyncio.gather(*(outbox.send(chat, message(chat)) for chat in range(1, 9)))
        await asyncio.gather(*taps)

    kinds = [type(method) for _, method in play(scene, rate=4).calls]
    assert kinds == [AnswerCallbackQuery] + [SendMessage] * 8 + [AnswerCallbackQuery] * 7


def test_answers_to_taps_are_dropped_rather_than_late() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        sending = [asyncio.create_task(outbox.send(c, message(c))) for c in range(1, 101)]
        await asyncio.sleep(0.01)
        await outbox.courtesy(AnswerCallbackQuery(callback_query_id="1"))
        assert not all(task.done() for task in sending)
        await asyncio.gather(*sending)

    kinds = [type(method) for _, method in play(scene, rate=2).calls]
    assert AnswerCallbackQuery not in kinds


def test_niceties_are_dropped_while_there_is_much_to_say() -> None:
    typing = SendChatAction(chat_id=500, action="typing")

    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        assert await outbox.nicety(typing)
        sending = [asyncio.create_task(outbox.send(c, message(c))) for c in range(1, 20)]
        await asyncio.sleep(0.01)
        assert await outbox.nicety(typing) is None
        await asyncio.gather(*sending)
        await asyncio.sleep(2)
        assert await outbox.nicety(typing)

    assert len(play(scene).times(500)) == 2


def test_niceties_rest_while_telegram_complains_and_messages_do_not() -> None:
    typing = SendChatAction(chat_id=500, action="typing")

    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        telegram.trouble[500] = [retry_after(4)]
        assert await outbox.nicety(typing) is None
        assert await outbox.nicety(typing) is None
        await outbox.send(1, message(1))
        await asyncio.sleep(4)
        assert await outbox.nicety(typing)

    telegram = play(scene)
    assert len(telegram.times(500)) == 2
    assert telegram.times(1)[0] - telegram.times(500)[0] < 0.2


def test_a_growing_text_takes_no_more_than_half_of_what_a_group_may_be_told() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        for _ in range(60):
            await outbox.nicety_in_chat(GROUP, message(GROUP))
            await asyncio.sleep(1)

    times = play(scene).times()
    assert len(times) == 10
    assert most_in(times, 1.0) == 1


def test_chats_are_forgotten_once_nothing_limits_them() -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        chats = [*range(1, 100), *range(-100, -50)]
        await asyncio.gather(*(outbox.send(chat, message(chat)) for chat in chats))
        assert outbox._lanes
        await asyncio.sleep(70)
        assert not outbox._lanes

    play(scene)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 20),
            st.sampled_from([1, 2, 3, 4, 5, -1, -2]),
            st.sampled_from([None, None, None, retry_after(3), OSError("down")]),
        ),
        max_size=120,
    )
)
def test_whatever_is_said_when_the_rates_are_kept_and_nothing_is_lost(
    plan: list[tuple[float, int, Exception | None]],
) -> None:
    async def scene(telegram: Telegram, outbox: Outbox) -> None:
        async def say(number: int, at: float, chat: int, trouble: Exception | None) -> None:
            await asyncio.sleep(at)
            if trouble:
                telegram.trouble[chat].append(trouble)
            await outbox.send(chat, message(chat, str(number)))

        await asyncio.gather(*(say(n, *entry) for n, entry in enumerate(plan)))

    telegram = play(scene, rate=5)
    assert set(telegram.texts()) == {str(n) for n in range(len(plan))}
    if plan:
        assert most_in(telegram.times(), 1.0) <= 5
    for chat in {chat for _, chat, _ in plan}:
        assert most_in(telegram.times(chat), 1.0) == 1
        if chat < 0:
            assert most_in(telegram.times(chat), 60.0) <= 20
