"""What goes wrong on demand, and Telegram's rates."""

import asyncio
import math
import random
from collections import defaultdict, deque
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from horoscope.demo.api_error import ApiError, too_many_requests

# https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
MESSAGES_PER_SECOND = 30
CHAT_GAP_S = 1.0
GROUP_MESSAGES = 20
GROUP_WINDOW_S = 60.0
TOLERANCE_S = 0.05  # two clocks, and what lies between them


class Trouble(BaseModel):
    """One way in which calls fail, until it is over."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[int, Field(ge=400, le=599)] | None = None
    """What the server says; without it, it breaks the connection."""
    retry_after: Annotated[int, Field(ge=1)] = 1
    """Seconds, told with 429."""
    methods: frozenset[str] = frozenset()
    """Which methods fail; without any, all but getUpdates."""
    chat_id: int | None = None
    """Only calls for this chat fail."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How many of the calls fail."""
    times: Annotated[int, Field(ge=1)] | None = None
    """How many calls fail before it is over."""
    taken: bool = False
    """Whether the call does what it should, and only its answer is lost."""

    def matches(self, method: str, chat_id: int | None) -> bool:
        """Whether this is a call that fails."""
        wanted = method in self.methods if self.methods else method != "getUpdates"
        return wanted and self.chat_id in {None, chat_id}

    def error(self) -> ApiError:
        """What the server says."""
        if self.status == 429:
            return too_many_requests(self.retry_after)
        return ApiError(self.status or 500, f"Trouble on demand: {self.status}")


class Troubles:
    """All that goes wrong now."""

    def __init__(self) -> None:
        self.all: list[Trouble] = []
        self._random = random.Random(0)

    def strike(self, method: str, chat_id: int | None) -> Trouble | None:
        """The trouble that a call gets into, if any."""
        for trouble in self.all:
            if trouble.matches(method, chat_id) and self._random.random() < trouble.share:
                if trouble.times is not None:
                    trouble.times -= 1
                    if not trouble.times:
                        self.all.remove(trouble)
                return trouble
        return None


class Rates:
    """Refuses what a bot says beyond Telegram's rates; what was refused does not count."""

    def __init__(self) -> None:
        self._all: deque[float] = deque()
        self._chats: defaultdict[int, deque[float]] = defaultdict(
            lambda: deque(maxlen=GROUP_MESSAGES)
        )

    def count(self, chat_id: int) -> None:
        """Count a message for a chat. Raises ApiError 429."""
        now = asyncio.get_running_loop().time()
        while self._all and self._all[0] <= now - 1 + TOLERANCE_S:
            self._all.popleft()
        if len(self._all) >= MESSAGES_PER_SECOND:
            raise too_many_requests(1)
        said = self._chats[chat_id]
        wait = said[-1] + CHAT_GAP_S - now if said else 0.0
        if chat_id < 0 and len(said) == GROUP_MESSAGES:
            wait = max(wait, said[0] + GROUP_WINDOW_S - now)
        if wait > TOLERANCE_S:
            raise too_many_requests(math.ceil(wait))
        said.append(now)
        self._all.append(now)
