"""The local Telegram's Bot API: what it takes, and what it refuses as Telegram does."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from horoscope.demo.api_error import ApiError
from horoscope.demo.parameters import formatted, utf16_length
from horoscope.demo.server import serving
from horoscope.demo.telegram import BOT, FORUM, FRIENDS, TOKEN, Telegram

Json = dict[str, Any]


class Client:
    """A bot that may call what it likes."""

    def __init__(self, telegram: Telegram, url: str, session: aiohttp.ClientSession) -> None:
        self.telegram = telegram
        self.url = url
        self.session = session
        self.anya = telegram.join("Аня")
        telegram.write(self.anya, "/start")

    async def raw(self, method: str, token: str = TOKEN, **options: Any) -> Json:
        address = f"{self.url}/bot{token}/{method}"
        async with self.session.post(address, **options) as answer:
            body: Json = await answer.json()
        assert answer.status == (200 if body["ok"] else body["error_code"])
        return body

    async def call(self, method: str, **parameters: Any) -> Any:
        body = await self.raw(method, json=parameters)
        assert body["ok"], body
        return body["result"]

    async def refusal(self, method: str, **parameters: Any) -> str:
        body = await self.raw(method, json=parameters)
        assert not body["ok"], body
        description: str = body["description"]
        return description


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    telegram = Telegram()
    async with serving(telegram) as url, aiohttp.ClientSession() as session:
        yield Client(telegram, url, session)


async def test_parameters_come_as_json_as_a_form_or_in_the_address(client: Client) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Лев", "callback_data": "leo"}]]}
    as_json = {"chat_id": client.anya, "text": "раз", "reply_markup": keyboard}
    as_form = as_json | {"reply_markup": json.dumps(keyboard), "chat_id": str(client.anya)}
    form = aiohttp.FormData(as_form)
    form.add_field("a_file", b"", filename="makes it multipart")
    for options in ({"json": as_json}, {"data": as_form}, {"params": as_form}, {"data": form}):
        body = await client.raw("sendmessage", **options)
        assert body["result"]["text"] == "раз"
        assert body["result"]["reply_markup"] == keyboard
        assert body["result"]["from"] == BOT


@pytest.mark.parametrize(
    ("token", "code"), [("7000000001:other", 401), ("1:" + "a" * 35, 401), ("nonsense", 404)]
)
async def test_a_wrong_token_is_refused(client: Client, token: str, code: int) -> None:
    assert (await client.raw("getMe", token))["error_code"] == code


async def test_what_is_no_method_is_not_found(client: Client) -> None:
    assert (await client.raw("sendPigeon"))["error_code"] == 404


@pytest.mark.parametrize("sent", [b"{", b"[1]", b"5", b"\xff"])
async def test_a_body_that_is_no_object_is_refused(client: Client, sent: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    body = await client.raw("sendMessage", data=sent, headers=headers)
    assert body["error_code"] == 400


KEYBOARD: list[tuple[Any, str]] = [
    ("{", "can't parse reply_markup JSON object"),
    ([], "can't parse reply_markup: dict expected"),
    ({"keyboard": []}, "inline keyboard expected"),
    ({"inline_keyboard": [[{"text": " ", "callback_data": "x"}]]}, "Text must be non-empty"),
    ({"inline_keyboard": [[{"text": "x"}]]}, "Text buttons are unallowed"),
    ({"inline_keyboard": [[{"text": "x", "callback_data": "я" * 33}]]}, "BUTTON_DATA_INVALID"),
    ({"inline_keyboard": [[{"text": "x", "callback_data": ""}]]}, "BUTTON_DATA_INVALID"),
    ({"inline_keyboard": [[{"text": "x", "callback_data": "x"}] * 101]}, "REPLY_MARKUP_TOO_LONG"),
]


@pytest.mark.parametrize(("markup", "why"), KEYBOARD)
async def test_a_keyboard_that_telegram_would_refuse_is_refused(
    client: Client, markup: Any, why: str
) -> None:
    refusal = await client.refusal(
        "sendMessage", chat_id=client.anya, text="x", reply_markup=markup
    )
    assert why in refusal
    assert not client.telegram.said_by_bot(client.anya)


ENTITIES: list[tuple[str, Any, str]] = [
    ("ab", [{"type": "bold", "offset": 0, "length": 3}], "ends after the end of the text"),
    ("♌️😀", [{"type": "bold", "offset": 0, "length": 3}], "in a middle of a UTF-16 symbol"),
    ("ab", [{"type": "loud", "offset": 0, "length": 1}], "unsupported entity type"),
    ("ab", [{"type": "bold", "offset": -1, "length": 1}], "offset"),
    ("ab", [{"type": "bold"}], "offset"),
    ("ab", ["bold"], "expected an Object"),
]


@pytest.mark.parametrize(("text", "entities", "why"), ENTITIES)
async def test_entities_that_telegram_would_refuse_are_refused(
    client: Client, text: str, entities: Any, why: str
) -> None:
    assert why in await client.refusal(
        "sendMessage", chat_id=client.anya, text=text, entities=entities
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"chat_id": None}, "chat_id is empty"),
        ({"chat_id": 5}, "chat not found"),
        ({"chat_id": "@anya"}, "chat not found"),
        ({"text": ""}, "message text is empty"),
        ({"text": " \n\t"}, "message text is empty"),
        ({"text": "я" * 4097}, "message is too long"),
        ({"text": "\ud800"}, "strings must be encoded in UTF-8"),
        ({"parse_mode": "HTML"}, "unsupported parse_mode"),
        ({"message_thread_id": 7}, "message thread not found"),
        ({"chat_id": FORUM, "message_thread_id": 77}, "message thread not found"),
        ({"reply_parameters": {"message_id": 99}}, "message to be replied not found"),
        ({"reply_parameters": {"message_id": [1]}}, "message to be replied not found"),
    ],
)
async def test_a_message_that_telegram_would_refuse_is_refused(
    client: Client, changes: Json, why: str
) -> None:
    parameters = {"chat_id": client.anya, "text": "x"} | changes
    assert await client.refusal("sendMessage", **parameters) == f"Bad Request: {why}"


async def test_4096_characters_are_taken_and_an_answer_to_what_is_gone_if_it_may(
    client: Client,
) -> None:
    message = await client.call(
        "sendMessage",
        chat_id=client.anya,
        text="♌" * 4096,
        reply_parameters={"message_id": 99, "allow_sending_without_reply": True},
    )
    assert len(message["text"]) == 4096
    assert "reply_to_message" not in message


async def test_nobody_writes_in_the_private_chat_of_another(client: Client) -> None:
    boris = client.telegram.join("Борис")
    with pytest.raises(ApiError, match="chat not found"):
        client.telegram.write(boris, "x", client.anya)


async def test_who_blocked_the_bot_or_never_wrote_to_it_is_not_written_to(client: Client) -> None:
    boris = client.telegram.join("Борис")
    client.telegram.block(client.anya, True)
    for person, why in (
        (boris, "Forbidden: bot can't initiate conversation with a user"),
        (client.anya, "Forbidden: bot was blocked by the user"),
    ):
        for method in ("sendMessage", "sendMessageDraft", "sendChatAction"):
            said = await client.refusal(
                method, chat_id=person, text="x", draft_id=1, action="typing"
            )
            assert said == why
    client.telegram.block(client.anya, False)
    await client.call("sendMessage", chat_id=client.anya, text="снова тут")


async def test_a_message_is_edited_in_place_and_only_if_that_changes_it(client: Client) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Лев", "callback_data": "leo"}]]}
    sent = await client.call("sendMessage", chat_id=client.anya, text="раз", reply_markup=keyboard)
    where = {"chat_id": client.anya, "message_id": sent["message_id"]}
    same = await client.refusal("editMessageText", **where, text="раз", reply_markup=keyboard)
    assert same.startswith("Bad Request: message is not modified")
    await client.call("editMessageText", **where, text="два")
    [edited] = client.telegram.said_by_bot(client.anya)
    assert edited["text"] == "два"
    assert "reply_markup" not in edited
    await client.call("editMessageReplyMarkup", **where, reply_markup=keyboard)
    again = await client.refusal("editMessageReplyMarkup", **where, reply_markup=keyboard)
    assert "message is not modified" in again
    await client.call("deleteMessage", **where)
    assert client.telegram.said_by_bot(client.anya) == []
    gone = await client.refusal("deleteMessage", **where)
    assert gone == "Bad Request: message to delete not found"


@pytest.mark.parametrize(
    ("message_id", "why"),
    [
        (None, "message identifier is not specified"),
        (99, "message to edit not found"),
        (1, "message can't be edited"),
    ],
)
async def test_only_messages_of_its_own_can_be_edited(
    client: Client, message_id: int | None, why: str
) -> None:
    refusal = await client.refusal(
        "editMessageText", chat_id=client.anya, message_id=message_id, text="x"
    )
    assert refusal == f"Bad Request: {why}"


async def test_a_draft_grows_can_be_stopped_and_goes_when_the_message_comes(
    client: Client,
) -> None:
    telegram, anya = client.telegram, client.anya
    seen = telegram.watch(anya)
    draft = {"chat_id": anya, "draft_id": 7, "can_stop": True, "keep_on_stop": True}
    await client.call("sendMessageDraft", **draft, text="Звёзды")
    await client.call("sendMessageDraft", **draft, text="Звёзды говорят")
    telegram.stop(anya)
    telegram.stop(anya)
    await client.call("sendMessageDraft", **draft, text="Звёзды говорят ещё")
    stops = [u for u in telegram.updates.pending.values() if "stopped_message_generation" in u]
    assert [stop["stopped_message_generation"]["draft_id"] for stop in stops] == [7]
    await client.call("sendMessage", chat_id=anya, text="Звёзды говорят.")
    events = [seen.get_nowait() for _ in range(seen.qsize())]
    assert [event["kind"] for event in events] == ["draft", "draft", "message", "draft_gone"]
    assert events[1]["text"] == "Звёзды говорят"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"chat_id": FRIENDS}, "only to private chats"),
        ({"draft_id": 0}, "invalid draft identifier"),
        ({"text": "я" * 4097}, "message is too long"),
    ],
)
async def test_a_draft_that_telegram_would_refuse_is_refused(
    client: Client, changes: Json, why: str
) -> None:
    parameters = {"chat_id": client.anya, "draft_id": 1, "text": ""} | changes
    assert why in await client.refusal("sendMessageDraft", **parameters)


async def test_a_tap_is_answered_once_it_is_known_and_not_too_late(client: Client) -> None:
    telegram = client.telegram
    seen = telegram.watch(client.anya)
    query = telegram.tap(client.anya, client.anya, 1, "anything at all")
    await client.call("answerCallbackQuery", callback_query_id=query, text="Ага")
    toast = seen.get_nowait()
    assert (toast["kind"], toast["query"], toast["text"]) == ("toast", query, "Ага")
    long = await client.refusal("answerCallbackQuery", callback_query_id=query, text="я" * 201)
    assert "MESSAGE_TOO_LONG" in long
    telegram.queries[query].until = 0
    for number in (query, "5"):
        late = await client.refusal("answerCallbackQuery", callback_query_id=number)
        assert "query is too old" in late


def article(**changes: Any) -> Json:
    content = {"message_text": "текст"}
    return {
        **{"type": "article", "id": "1", "title": "Лев", "input_message_content": content},
        **changes,
    }


async def test_what_is_offered_inline_can_be_sent_in_any_chat(client: Client) -> None:
    telegram = client.telegram
    query = telegram.ask_inline(client.anya, "лев", FRIENDS)
    await client.call("answerInlineQuery", inline_query_id=query, results=[article()])
    message = telegram.choose_inline(client.anya, query, "1", FRIENDS, None)
    assert message["via_bot"] == BOT
    assert message["from"]["id"] == client.anya
    assert message["text"] == "текст"
    with pytest.raises(ApiError, match="RESULT_ID_INVALID"):
        telegram.choose_inline(client.anya, query, "2", FRIENDS, None)
    telegram.queries[query].until = 0
    late = await client.refusal("answerInlineQuery", inline_query_id=query, results=[])
    assert "query is too old" in late


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({}, 'can\'t find field "results"'),
        ({"results": [article()] * 2}, "RESULT_ID_DUPLICATE"),
        ({"results": [article(id=str(n)) for n in range(51)]}, "RESULTS_TOO_MUCH"),
        ({"results": [article(id="я" * 33)]}, "RESULT_ID_INVALID"),
        ({"results": [article(title="")]}, "ARTICLE_TITLE_EMPTY"),
        ({"results": [article(input_message_content={})]}, "message text is empty"),
        ({"results": [article(input_message_content=None)]}, "no message content"),
        ({"results": [article(type="photo")]}, "unsupported type"),
        ({"results": [], "button": {"text": "x", "start_parameter": "а"}}, "START_PARAM_INVALID"),
    ],
)
async def test_offers_that_telegram_would_refuse_are_refused(
    client: Client, parameters: Json, why: str
) -> None:
    query = client.telegram.ask_inline(client.anya, "лев", FRIENDS)
    assert why in await client.refusal("answerInlineQuery", inline_query_id=query, **parameters)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ({"command": "Start", "description": "x"}, "BOT_COMMAND_INVALID"),
        ({"command": "start", "description": ""}, "BOT_COMMAND_DESCRIPTION_INVALID"),
        ("start", "can't parse BotCommand"),
    ],
)
async def test_commands_that_telegram_would_refuse_are_refused(
    client: Client, command: Json | str, why: str
) -> None:
    assert why in await client.refusal("setMyCommands", commands=[command])
    assert not client.telegram.commands


async def test_an_action_that_is_none_is_refused(client: Client) -> None:
    await client.call("sendChatAction", chat_id=client.anya, action="typing")
    assert "wrong parameter action" in await client.refusal(
        "sendChatAction", chat_id=client.anya, action="dancing"
    )


async def test_pages_of_other_sites_are_let_in_nowhere(client: Client) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        for path in ("/", "/tab", "/trouble", f"/bot{TOKEN}/getMe"):
            async with client.session.get(client.url + path, headers=headers) as answer:
                assert answer.status == 403


async def test_the_page_loads_nothing_from_elsewhere(client: Client) -> None:
    async with client.session.get(client.url) as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "://" not in await answer.text()


@pytest.mark.parametrize(
    "act",
    [
        *(
            "",
            "{",
            "[]",
            "1",
            "{}",
            '{"do": "fly"}',
            '{"do": "write"}',
            '{"do": "write", "text": 5}',
        ),
        *('{"do": "write", "text": "x", "chat": 1}', '{"do": "write", "text": "x", "chat": []}'),
        *('{"do": "write", "text": " "}', '{"do": "write", "text": "\\ud800"}'),
        '{"do": "write", "text": "x", "chat": 5}',
        *('{"do": "tap", "message": 99, "data": "x"}', '{"do": "choose", "query": 1, "result": 1}'),
    ],
)
async def test_a_tab_that_does_what_cannot_be_is_told_so_and_lives(
    client: Client, act: str
) -> None:
    async with client.session.ws_connect(f"{client.url}/tab?name=Борис") as tab:
        welcome = await tab.receive_json()
        await tab.send_str(act)
        assert (await tab.receive_json())["kind"] == "refused"
        await tab.send_json({"do": "write", "text": "лев"})
        message = (await tab.receive_json())["message"]
    assert (message["from"], message["text"]) == (welcome["me"], "лев")


async def test_a_tab_that_is_loaded_anew_is_the_same_person_and_sees_what_was_said(
    client: Client,
) -> None:
    for person, name, same, texts in (
        (client.anya, "Аня", True, ["/start"]),
        (client.anya, "Борис", False, []),
        (5, "Вера", True, []),  # of a demo that has ended meanwhile
        ("-5", "Гриша", False, []),
    ):
        address = f"{client.url}/tab?name={name}&person={person}"
        async with client.session.ws_connect(address) as tab:
            welcome = await tab.receive_json()
        assert (welcome["me"]["id"] == person) is same
        assert [message["text"] for message in welcome["chats"][0]["messages"]] == texts


def test_commands_and_mentions_are_found_in_a_text() -> None:
    text, entities = formatted("♌️😀 /generate лев, /a/b и x/y, спроси @stars_bot!", [])
    found = [
        (entity["type"], text.encode("utf-16-le")[2 * entity["offset"] :][: 2 * entity["length"]])
        for entity in entities
    ]
    assert [(kind, part.decode("utf-16-le")) for kind, part in found] == [
        ("bot_command", "/generate"),
        ("mention", "@stars_bot"),
    ]


@given(st.text(max_size=80), st.integers(0, 90), st.integers(0, 90))
def test_whatever_is_said_is_taken_whole_or_refused_with_a_reason(
    said: str, offset: int, length: int
) -> None:
    try:
        text, entities = formatted(said, [{"type": "bold", "offset": offset, "length": length}])
    except ApiError:
        return
    assert text == text.rstrip()
    assert all(e["offset"] + e["length"] <= utf16_length(text) for e in entities)
