"""The HTTP server on loopback: the Bot API, the chat page, and a switch for trouble."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import ValidationError

from horoscope.demo.api_error import ApiError, bad_request
from horoscope.demo.bot_api import BotApi
from horoscope.demo.parameters import Parameters
from horoscope.demo.tabs import Tabs
from horoscope.demo.telegram import TOKEN, Telegram
from horoscope.demo.trouble import Trouble
from horoscope.errors import HoroscopeError

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
STOP_S = 0.1
# All that the page is made of lies beside it.
SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

logger = logging.getLogger(__name__)


@asynccontextmanager
async def serving(telegram: Telegram, port: int = 0) -> AsyncIterator[str]:
    """Serve a Telegram on loopback; its address. Raises HoroscopeError if the port is taken."""
    server = Server(telegram)
    runner = web.AppRunner(
        server.app, access_log=None, shutdown_timeout=STOP_S, handler_cancellation=True
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            raise HoroscopeError(
                f"Cannot listen on {HOST}:{port}: {error.strerror}. Choose another with --port."
            ) from None
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await server.tabs.close()
        await telegram.updates.set_webhook(None, drop_pending=False)
        await runner.cleanup()


class Server:
    """The routes."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self._api = BotApi(telegram)
        self.tabs = Tabs(telegram)
        self.app = web.Application(middlewares=[only_from_here])
        self.app.router.add_route("*", "/bot{token}/{method}", self._call)
        self.app.router.add_get("/tab", self.tabs.serve)
        self.app.router.add_get("/trouble", self._show_trouble)
        self.app.router.add_post("/trouble", self._begin_trouble)
        self.app.router.add_delete("/trouble", self._end_trouble)
        self.app.router.add_get("/", self._page)
        self.app.router.add_static("/page", PAGE)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        try:
            method = self._checked(request)
            return await self._carry_out(request, method, await _parameters(request))
        except ApiError as error:
            return _answer(error)

    def _checked(self, request: web.Request) -> str:
        token = request.match_info["token"]
        if token != TOKEN:
            number = token.partition(":")[0]
            raise ApiError(401, "Unauthorized") if number.isdigit() else ApiError(404, "Not Found")
        return self._api.name(request.match_info["method"])

    async def _carry_out(
        self, request: web.Request, method: str, parameters: Parameters
    ) -> web.StreamResponse:
        self._telegram.calls[method] += 1
        try:
            chat_id = parameters.integer("chat_id")
        except ApiError:
            chat_id = None
        trouble = self._telegram.troubles.strike(method, chat_id)
        if trouble is None or trouble.taken:
            try:
                result = await self._api.call(method, parameters)
            except ApiError as error:
                self._telegram.refused[f"{method}: {error.description}"] += 1
                raise
        if trouble is None:
            return web.json_response({"ok": True, "result": result})
        if trouble.status is None:
            assert request.transport
            request.transport.abort()
        raise trouble.error()

    async def _show_trouble(self, _: web.Request) -> web.Response:
        troubles = [t.model_dump(mode="json") for t in self._telegram.troubles.all]
        return web.json_response(troubles)

    async def _begin_trouble(self, request: web.Request) -> web.Response:
        try:
            trouble = Trouble.model_validate_json(await request.read())
        except ValidationError as error:
            first = error.errors()[0]
            return web.Response(status=400, text=f"{first['loc']}: {first['msg']}")
        self._telegram.troubles.all.append(trouble)
        return await self._show_trouble(request)

    async def _end_trouble(self, request: web.Request) -> web.Response:
        self._telegram.troubles.all.clear()
        return await self._show_trouble(request)

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html", headers=SECURITY)


@web.middleware
async def only_from_here(request: web.Request, handler: Any) -> web.StreamResponse:
    """Pages of other sites in the same browser have no business here."""
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    # A foreign name that was made to mean this machine is no name of ours.
    named = request.url.host in {HOST, "localhost"}
    if foreign or not named:
        return web.Response(status=403, text="Only from this machine, please.")
    response: web.StreamResponse = await handler(request)
    return response


async def _parameters(request: web.Request) -> Parameters:
    """Telegram takes them from the address, a form, or JSON. Raises ApiError."""
    given: dict[str, Any] = dict(request.query)
    try:
        if request.content_type == "application/json":
            given |= await request.json()
        else:
            given |= await request.post()
    except (ValueError, TypeError):
        raise bad_request("can't parse the request") from None
    return Parameters(given)


def _answer(error: ApiError) -> web.Response:
    body: dict[str, Any] = {
        "ok": False,
        "error_code": error.code,
        "description": error.description,
    }
    if error.parameters:
        body["parameters"] = error.parameters
    return web.json_response(body, status=error.code)
