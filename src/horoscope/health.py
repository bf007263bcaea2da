"""How a program is, over HTTP: GET /live (it runs), /ready (it does its work) and /metrics."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from horoscope.errors import HoroscopeError
from horoscope.observability.metrics import READY, metrics
from horoscope.settings import Settings


@asynccontextmanager
async def telling_health(
    settings: Settings, why_not_ready: Callable[[], str]
) -> AsyncIterator[None]:
    """Answer, if the settings name a port; `why_not_ready` says "" if the program is ready.

    Raises HoroscopeError if the port cannot be had.
    """
    if settings.http_port is None:
        yield
        return
    READY.set_function(lambda: not why_not_ready())
    runner = web.AppRunner(_application(why_not_ready), access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.http_host, settings.http_port).start()
        except OSError as error:
            raise HoroscopeError(
                f"Cannot listen on {settings.http_host}:{settings.http_port}: {error.strerror}."
                " See HOROSCOPE_HTTP_PORT."
            ) from None
        yield
    finally:
        await runner.cleanup()


def _application(why_not_ready: Callable[[], str]) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # whoever hangs does not say so

    async def ready(_: web.Request) -> web.Response:
        why_not = why_not_ready()
        return web.Response(text=f"{why_not or 'ok'}\n", status=503 if why_not else 200)

    application = web.Application()
    application.router.add_get("/live", live)
    application.router.add_get("/ready", ready)
    application.router.add_get("/metrics", metrics)
    return application
