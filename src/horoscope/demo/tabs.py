"""Tabs of the chat page: each is a person, who acts and sees over one WebSocket.

(Server-sent events would do, but a browser opens only six connections for them, for all tabs.)
"""

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from horoscope.demo.api_error import ApiError
from horoscope.demo.parameters import Json
from horoscope.demo.telegram import BOT, Chat, Telegram

PERSON = re.compile(r"[1-9]\d{0,14}")
LONGEST_NAME = 40
HISTORY = 200  # messages that a tab gets of each chat


class Tabs:
    """The open tabs."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self._acts: dict[str, Callable[[int, int, Json], Any]] = {
            "write": lambda person, chat, act: telegram.write(
                person, act["text"], chat, act.get("thread"), act.get("reply_to")
            ),
            "edit": lambda person, chat, act: telegram.edit(
                person, chat, act["message"], act["text"]
            ),
            "tap": lambda person, chat, act: telegram.tap(
                person, chat, act["message"], act["data"]
            ),
            "stop": lambda person, chat, act: telegram.stop(person),
            "inline": lambda person, chat, act: telegram.ask_inline(person, act["text"], chat),
            "choose": lambda person, chat, act: telegram.choose_inline(
                person, act["query"], act["result"], chat, act.get("thread")
            ),
            "block": lambda person, chat, act: telegram.block(person, bool(act["blocked"])),
        }
        self._open: set[web.WebSocketResponse] = set()

    async def close(self) -> None:
        """Let go of all tabs."""
        for socket in list(self._open):
            await socket.close()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Be one tab's person until it is closed."""
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        self._open.add(socket)
        try:
            name = request.query.get("name", "").strip()[:LONGEST_NAME] or "Гость"
            person_id = self._person(request.query.get("person", ""), name)
            await self._live(socket, person_id)
        finally:
            self._open.discard(socket)
        return socket

    def _person(self, number: str, name: str) -> int:
        """Who was here before the page was loaded anew, or someone new."""
        if PERSON.fullmatch(number):
            known = self._telegram.people.get(int(number))
            if known is None:
                return self._telegram.join(name, int(number))
            if known["first_name"] == name:
                return int(number)
        return self._telegram.join(name)

    async def _live(self, socket: web.WebSocketResponse, person_id: int) -> None:
        events = self._telegram.watch(person_id)
        await socket.send_json(self._welcome(person_id), dumps=_dumps)
        seeing = asyncio.create_task(_forward(events, socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    reply = self._act(person_id, message.data)
                    if reply is not None:
                        events.put_nowait(reply)
        finally:
            seeing.cancel()
            self._telegram.unwatch(person_id, events)

    def _act(self, person_id: int, said: str) -> Json | None:
        """What a person does; what only they are told of it."""
        try:
            act = json.loads(said)
            done = self._acts[act["do"]](person_id, act.get("chat", person_id), act)
        except ApiError as error:
            return {"kind": "refused", "why": error.description}
        except (KeyError, TypeError, ValueError, AttributeError):
            return {"kind": "refused", "why": "Bad Request"}
        if isinstance(done, str):
            return {"kind": "asked", "query": done, "do": act["do"], "tag": act.get("tag")}
        return None

    def _welcome(self, person_id: int) -> Json:
        telegram = self._telegram
        chats = [telegram.chats[person_id], *(c for c in telegram.chats.values() if c.id < 0)]
        return {
            "kind": "welcome",
            "me": telegram.people[person_id],
            "bot": BOT,
            "commands": telegram.commands,
            "blocked": telegram.chats[person_id].blocked,
            "chats": [_shown(chat) for chat in chats],
        }


def _shown(chat: Chat) -> Json:
    return {
        "id": chat.id,
        "title": BOT["first_name"] if chat.is_private else chat.info["title"],
        "topics": [{"id": number, "title": title} for number, title in chat.topics.items()],
        "messages": list(chat.messages.values())[-HISTORY:],
    }


async def _forward(events: "asyncio.Queue[Json]", socket: web.WebSocketResponse) -> None:
    with suppress(ConnectionError):
        while True:
            await socket.send_json(await events.get(), dumps=_dumps)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
