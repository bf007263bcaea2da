"""A Bot API server on loopback that does as a test tells it, for what no real server does."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "42:TEST"
ME = {"id": 42, "is_bot": True, "first_name": "Звёзды", "username": "stars_bot"}


@dataclass
class Call:
    """One call that the server got; `at` is the event loop's time."""

    method: str
    params: dict[str, Any]
    at: float


@dataclass
class Answer:
    """What the server shall say."""

    status: int = 200
    body: Any = None
    text: str | None = None  # instead of JSON


def failure(status: int, description: str, **parameters: int) -> Answer:
    body = {"ok": False, "error_code": status, "description": description}
    return Answer(status, body | ({"parameters": parameters} if parameters else {}))


def retry_after(seconds: int) -> Answer:
    return failure(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


Script = Callable[[dict[str, Any]], Awaitable[Answer | None]]


@dataclass
class ScriptedTelegram:
    """Answers as Telegram does, unless `scripts` has something else for a method."""

    calls: list[Call] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    url: str = ""
    _forgotten_before: int = 0

    async def __aenter__(self) -> "ScriptedTelegram":
        self._happened = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    async def seen(self, condition: Callable[[], Any], patience: float = 10) -> None:
        """Wait until something that the calls show is so."""
        async with asyncio.timeout(patience):
            while not condition():
                self._happened.clear()
                await self._happened.wait()

    def push(self, **update: Any) -> dict[str, Any]:
        """Add an update for getUpdates to give."""
        number = self.updates[-1]["update_id"] + 1 if self.updates else 1
        self.updates.append({"update_id": number, **update})
        self._happened.set()
        return self.updates[-1]

    async def _answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        params = dict(await request.post())
        loop = asyncio.get_running_loop()
        if method != "getUpdates":
            self.calls.append(Call(method, params, loop.time()))
        self._happened.set()
        answer = None
        if request.match_info["token"] != TOKEN:
            answer = failure(401, "Unauthorized")
        elif method in self.scripts:
            answer = await self.scripts[method](params)
        if answer is None:
            answer = Answer(body={"ok": True, "result": await self._result(method, params)})
        if answer.text is not None:
            return web.Response(status=answer.status, text=answer.text)
        return web.json_response(answer.body, status=answer.status)

    async def _result(self, method: str, params: dict[str, Any]) -> Any:
        if method == "getMe":
            return ME
        if method == "getUpdates":
            self.calls.append(Call(method, params, asyncio.get_running_loop().time()))
            offset, until = int(params["offset"]), int(params["timeout"])
            with suppress(TimeoutError):
                await self.seen(lambda: self._from(offset), until or 0.01)
            return self._from(offset)[: int(params["limit"])]
        if method in {"sendMessage", "editMessageText"}:
            chat_id = int(params["chat_id"])
            return {
                "message_id": int(params.get("message_id", len(self.calls) + 1000)),
                "date": 1,
                "chat": {"id": chat_id, "type": "private" if chat_id > 0 else "supergroup"},
                "text": params["text"],
            }
        return True

    def _from(self, offset: int) -> list[dict[str, Any]]:
        self._forgotten_before = max(self._forgotten_before, offset)
        return [u for u in self.updates if u["update_id"] >= self._forgotten_before]


def keyboard_of(call: Call) -> list[dict[str, Any]]:
    """The buttons under a message that was sent."""
    rows = json.loads(call.params.get("reply_markup", "{}")).get("inline_keyboard", [])
    return [button for row in rows for button in row]
