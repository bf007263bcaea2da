"""Telegram's rates: how many calls a second in all, and how many messages in one chat."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import floor

MESSAGE_GAP_S = 1.0  # in one chat
GROUP_MESSAGES = 20  # in one group ...
GROUP_WINDOW_S = 60.0  # ... in this time


class Turns:
    """Calls take turns, so that Telegram sees `per_second` of them at most in any second.

    A turn is free again a second after its call ended, not after it began: then it holds
    whatever the network did in between.

    A turn begins once the one before it ended, if that is soon: where Telegram is near, hardly
    more than one call is on its way at a time, and so hardly more than one answer is in doubt
    when the process is killed.
    """

    def __init__(self, per_second: int) -> None:
        self.share: Callable[[], float] = lambda: 1.0
        """The part of all turns that is ours, from 0 to 1; other programs have the rest."""
        self._per_second = per_second
        self._taken = 0
        self._begun = 0
        self._one_is_young = False
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._waiting_behind: deque[asyncio.Future[int]] = deque()

    @property
    def roomy(self) -> bool:
        """Whether more than half of the turns are left: time for what is merely nice."""
        return 2 * (self._size - self._taken - len(self._waiting)) > self._size

    @property
    def _size(self) -> int:
        # With no share at all there is still something to say, to people who wait.
        return max(1, floor(self._per_second * self.share() + 1e-9))

    @asynccontextmanager
    async def turn(self, *, behind: bool = False) -> AsyncIterator[None]:
        """Wait for a turn, and take it; `behind` those who do not wait behind."""
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[int] = loop.create_future()
        (self._waiting_behind if behind else self._waiting).append(mine)
        self._next()
        try:
            number = await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # the turn came together with the cancellation
                self._grow_old(mine.result())
                self._give_back()
            raise
        loop.call_later(1 / self._size, self._grow_old, number)
        try:
            yield
        finally:
            self._grow_old(number)
            loop.call_later(1.0, self._give_back)

    def _grow_old(self, number: int) -> None:
        if number == self._begun:
            self._one_is_young = False
            self._next()

    def _give_back(self) -> None:
        self._taken -= 1
        self._next()

    def _next(self) -> None:
        """Begin the turn of whoever is next, if one can begin."""
        for queue in (self._waiting, self._waiting_behind):
            while queue and self._taken < self._size and not self._one_is_young:
                next_one = queue.popleft()
                if not next_one.done():
                    self._taken += 1
                    self._begun += 1
                    self._one_is_young = True
                    next_one.set_result(self._begun)


class ChatPace:
    """What was said in one chat, and how long to wait before more may be said."""

    def __init__(self, chat_id: int) -> None:
        self._is_group = chat_id < 0
        self._said: deque[float] = deque(maxlen=GROUP_MESSAGES)

    @property
    def is_forgettable(self) -> bool:
        """Whether nothing here limits anything any more."""
        window = GROUP_WINDOW_S if self._is_group else MESSAGE_GAP_S
        return not self._said or self._now() - self._said[-1] > window

    @property
    def is_roomy(self) -> bool:
        """Whether something may be said at once, and much more after it."""
        recent = [when for when in self._said if self._now() - when < GROUP_WINDOW_S]
        return self.wait_s <= 0 and (not self._is_group or 2 * len(recent) < GROUP_MESSAGES)

    @property
    def wait_s(self) -> float:
        """Seconds until something may be said; not positive if now."""
        if not self._said:
            return 0.0
        until = self._said[-1] + MESSAGE_GAP_S
        if self._is_group and len(self._said) == GROUP_MESSAGES:
            until = max(until, self._said[0] + GROUP_WINDOW_S)
        return until - self._now()

    def said(self) -> None:
        """Note that something was said now."""
        self._said.append(self._now())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
