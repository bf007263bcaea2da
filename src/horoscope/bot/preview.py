"""While a text is written: the typing indicator, then the text as it grows."""

import asyncio
import time
from collections.abc import Callable

from aiogram.methods import DeleteMessage, EditMessageText, SendChatAction, SendMessageDraft

from horoscope.bot import texts
from horoscope.bot.outbox import Outbox
from horoscope.bot.store import Store, StoreUnavailableError
from horoscope.bot.voice import message_to
from horoscope.messaging.broker import Broker, batches
from horoscope.messaging.messages import HoroscopePart, HoroscopeRequest

# A text that is there by then is not worth the calls.
PATIENCE_S = 0.3
DRAFT_INTERVAL_S = 0.3
GROUP_INTERVAL_S = 1.0  # Telegram's rate for messages in a chat
TYPING_INTERVAL_S = 4.5  # Telegram shows the indicator for five seconds
PARTS = 100


class Preview:
    """Shows what goes on with the requests that this bot took, as far as there is time for it."""

    def __init__(self, outbox: Outbox, store: Store) -> None:
        self._outbox = outbox
        self._store = store
        self._growing: dict[str, _Growing] = {}

    async def run(self, broker: Broker) -> None:
        """Listen for growing texts until cancelled."""
        parts = broker.subscribe(HoroscopePart, PARTS)
        try:
            async for batch in batches(parts):
                for delivery in batch:
                    growing = self._growing.get(delivery.message.request.id)
                    if growing and len(delivery.message.text) > len(growing.text):
                        growing.text = delivery.message.text
                        growing.changed.set()
        finally:
            await asyncio.gather(*(growing.end() for growing in list(self._growing.values())))
            await parts.close()

    def begin(self, request: HoroscopeRequest) -> None:
        """Accompany a request until `end`, or until nobody waits for it."""
        if request.id not in self._growing:
            self._growing[request.id] = _Growing(request, self._outbox, self._store, self._drop)

    async def end(self, request_id: str) -> None:
        """Show no more of a text; return when nothing of it is on its way any more."""
        if growing := self._growing.get(request_id):
            await growing.end()

    def _drop(self, request_id: str) -> None:
        self._growing.pop(request_id, None)


class _Growing:
    """One text while it grows."""

    def __init__(
        self,
        request: HoroscopeRequest,
        outbox: Outbox,
        store: Store,
        drop: Callable[[str], None],
    ) -> None:
        self.text = ""
        self.changed = asyncio.Event()
        self._request = request
        self._outbox = outbox
        self._store = store
        self._placeholder: int | None = None
        self._placing = asyncio.Lock()
        self._task = asyncio.create_task(self._show())
        self._task.add_done_callback(lambda _: drop(request.id))

    async def end(self) -> None:
        async with self._placing:  # what becomes the answer's placeholder must be known
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _show(self) -> None:
        left = self._request.expires_at.timestamp() - time.time()
        try:
            async with asyncio.timeout(left):
                began = time.monotonic()
                await self._show_typing()
                await asyncio.sleep(PATIENCE_S - (time.monotonic() - began))
                while not await self._is_answered():
                    await self._show_step()
        except (TimeoutError, StoreUnavailableError):
            return

    async def _show_step(self) -> None:
        try:
            async with asyncio.timeout(TYPING_INTERVAL_S):
                await self.changed.wait()
        except TimeoutError:
            await self._show_typing()
            return
        # Another bot may have answered meanwhile, and an answer shrinks no more.
        if await self._is_answered():
            return
        self.changed.clear()
        if self._request.address.chat_id < 0:
            await self._show_in_group()
            await asyncio.sleep(GROUP_INTERVAL_S)
        else:
            await self._show_draft()
            await asyncio.sleep(DRAFT_INTERVAL_S)

    async def _is_answered(self) -> bool:
        return (await self._store.progress(self._request.id)).answered

    async def _show_typing(self) -> None:
        address = self._request.address
        await self._outbox.nicety(
            SendChatAction(
                chat_id=address.chat_id, message_thread_id=address.thread_id, action="typing"
            )
        )

    async def _show_draft(self) -> None:
        address = self._request.address
        if address.draft_id is None:
            return
        await self._outbox.nicety(
            SendMessageDraft(
                chat_id=address.chat_id,
                message_thread_id=address.thread_id,
                draft_id=address.draft_id,
                can_stop=True,
                keep_on_stop=True,
                **texts.horoscope(self._request, self.text).as_kwargs(),
            )
        )

    async def _show_in_group(self) -> None:
        chat_id = self._request.address.chat_id
        content = texts.horoscope(self._request, self.text + " …").as_kwargs()
        async with self._placing:
            if self._placeholder is None:
                message = await self._outbox.nicety_in_chat(
                    chat_id, message_to(self._request.address, **content)
                )
                if message:
                    self._placeholder = number = message.message_id
                    if not await self._store.note_placeholder(self._request.id, number):
                        # Another bot answered meanwhile, and knows nothing of it.
                        await self._outbox.courtesy(
                            DeleteMessage(chat_id=chat_id, message_id=number)
                        )
                return
        await self._outbox.nicety_in_chat(
            chat_id, EditMessageText(chat_id=chat_id, message_id=self._placeholder, **content)
        )
