"""Updates on their way to the bot: kept until it has acknowledged them, in both ways Telegram has.

https://core.telegram.org/bots/api#getting-updates
"""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp

from horoscope.demo.api_error import ApiError, bad_request

MOST_AT_ONCE = 100
LONGEST_POLL_S = 50
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
WEBHOOK_TIMEOUT_S = 60
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class Updates:
    """What waits for the bot, oldest first; an update goes once the bot said that it has it."""

    def __init__(self) -> None:
        self.pending: dict[int, dict[str, Any]] = {}
        self.allowed: list[str] = []
        self.webhook: Webhook | None = None
        self._last = 0
        self._added = asyncio.Event()
        self._forgotten = asyncio.Event()
        self._poll: asyncio.Future[None] | None = None

    def add(self, kind: str, content: dict[str, Any]) -> None:
        """Queue what happened, as it is now, if the bot wants updates of its kind."""
        if not self.allowed or kind in self.allowed:
            self.push({kind: dict(content)})

    def push(self, content: dict[str, Any]) -> dict[str, Any]:
        """Queue an update as it is, whatever it is."""
        self._last += 1
        update = {"update_id": self._last, **content}
        self.put_back(update)
        return update

    def put_back(self, update: dict[str, Any]) -> None:
        """Queue an update that was queued before: it comes to the bot again."""
        self.pending[update["update_id"]] = update
        self._added.set()
        if self.webhook:
            self.webhook.deliver(update)

    async def drained(self) -> None:
        """Wait until the bot has acknowledged everything."""
        while self.pending:
            self._forgotten.clear()
            await self._forgotten.wait()

    def forget(self, update_id: int) -> None:
        """The bot has it."""
        self.pending.pop(update_id, None)
        self._forgotten.set()

    async def poll(
        self, offset: int, limit: int, seconds: float, allowed: list[str] | None
    ) -> list[dict[str, Any]]:
        """What getUpdates gives. Raises ApiError 409 if the bot asks twice at a time."""
        if self.webhook:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active;"
                " use deleteWebhook to delete the webhook first",
            )
        if allowed is not None:
            self.allowed = allowed
        if self._poll and not self._poll.done():
            self._poll.set_result(None)
        interrupted = self._poll = asyncio.get_running_loop().create_future()
        if offset < 0:
            offset = min(sorted(self.pending)[offset:], default=0)
        for number in [number for number in self.pending if number < offset]:
            self.forget(number)
        until = asyncio.get_running_loop().time() + min(seconds, LONGEST_POLL_S)
        while not self.pending:
            self._added.clear()
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            added = asyncio.ensure_future(self._added.wait())
            await asyncio.wait(
                [added, interrupted], timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            added.cancel()
            if interrupted.done():
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request;"
                    " make sure that only one bot instance is running",
                )
        return [self.pending[number] for number in sorted(self.pending)[:limit]]

    async def set_webhook(self, webhook: "Webhook | None", *, drop_pending: bool) -> None:
        """Call the bot from now on, or have it ask."""
        if self.webhook:
            await self.webhook.close()
        if drop_pending:
            self.pending.clear()
        self.webhook = webhook
        if webhook:
            for update in self.pending.values():
                webhook.deliver(update)


class Webhook:
    """Calls the bot with each update until it says that all is well (any status 2xx)."""

    def __init__(self, updates: Updates, url: str, secret: str, connections: int) -> None:
        self.url = url
        self._updates = updates
        self._headers = {SECRET_HEADER: secret} if secret else {}
        self._room = asyncio.Semaphore(connections)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=WEBHOOK_TIMEOUT_S)
        )
        self._calls: set[asyncio.Task[None]] = set()
        self.last_error = ""

    def deliver(self, update: dict[str, Any]) -> None:
        """Begin to call."""
        call = asyncio.create_task(self._insist(update))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def close(self) -> None:
        """Stop calling."""
        for call in self._calls:
            call.cancel()
        with suppress(ValueError):  # no calls
            await asyncio.wait(set(self._calls))
        await self._session.close()

    async def _insist(self, update: dict[str, Any]) -> None:
        pause = FIRST_PAUSE_S
        while True:
            async with self._room:
                if await self._call(update):
                    self._updates.forget(update["update_id"])
                    return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _call(self, update: dict[str, Any]) -> bool:
        try:
            async with self._session.post(self.url, json=update, headers=self._headers) as answer:
                if answer.ok:
                    return True
                self.last_error = f"Wrong response from the webhook: {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            self.last_error = f"{type(error).__name__}: {error}"
        return False


def checked_webhook_url(url: str) -> str:
    """The address, if it can be called. Raises ApiError."""
    # Telegram's cloud wants https; a Bot API server of one's own calls plain addresses, too.
    if not url.startswith(("http://", "https://")):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    return url
