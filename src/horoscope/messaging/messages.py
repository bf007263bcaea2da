"""What bot and generator say to each other. Neither knows the other; both know these."""

from datetime import UTC, datetime
from datetime import date as Date
from enum import StrEnum
from typing import Annotated, ClassVar, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from horoscope.zodiac import Sign, Topic

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Message(BaseModel):
    """A message that a broker carries: immutable, strict, nothing unknown in it."""

    model_config = STRICT

    SCHEMA: ClassVar[str]
    """The schema's name, which travels beside the payload."""
    VERSION: ClassVar[int] = 1
    """The schema's version, which travels beside the payload."""
    DURABLE: ClassVar[bool] = True
    """Delivered at least once, to one subscriber; otherwise best effort, to every subscriber."""

    @property
    def key(self) -> str:
        """Messages of one key keep their order: those of one chat."""
        raise NotImplementedError


M = TypeVar("M", bound=Message)


class UnreadableError(ValueError):
    """What came is no message of today; says why."""


def read(kind: type[M], schema: str, version: str, body: str | bytes) -> M:
    """The message of a kind in `body`. Raises UnreadableError."""
    try:
        if (schema, version) != (kind.SCHEMA, str(kind.VERSION)):
            raise ValueError(f"schema {schema!r}, version {version!r}")
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise UnreadableError(f"not a {kind.SCHEMA} of today: {where}: {first['msg']}") from None
    except ValueError as error:
        raise UnreadableError(f"not a {kind.SCHEMA} of today: {error}") from None


class Address(BaseModel):
    """Where an answer goes. It travels with the message, so any bot can deliver any answer."""

    model_config = STRICT

    chat_id: int
    """Telegram's chat; below zero it is a group."""
    user_id: int | None = None
    """Who asked; limits count by person."""
    thread_id: int | None = None
    """The forum topic."""
    reply_to: int | None = None
    """The message that is answered, in groups."""
    draft_id: Annotated[int, Field(gt=0, lt=2**31)] | None = None
    """Names the draft in which the text grows; a StopRequest says it again."""
    inline_query_id: str | None = None
    """The inline query that is answered, instead of the chat."""


class HoroscopeRequest(Message):
    """A wish for one horoscope."""

    SCHEMA = "horoscope-request"

    id: Annotated[str, Field(min_length=1, max_length=128)]
    """Derived from the Telegram update: an update that comes twice is one request."""
    sign: Sign
    topic: Topic = Topic.GENERAL
    date: Date
    """The day it is for, where the asker's day begins and ends."""
    address: Address
    locale: str = "ru"
    """The language of the answer."""
    created_at: AwareDatetime
    expires_at: AwareDatetime
    """After that nobody waits for it: the answer is an apology."""
    seed: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    """With a seed the text is that of (sign, topic, date, seed); without, of the day."""
    stream: bool = False
    """Whether the bot wants to show the text as it grows."""

    @property
    def key(self) -> str:
        """The chat."""
        return str(self.address.chat_id)

    def expired(self, now: datetime | None = None) -> bool:
        """Whether nobody waits for the answer any more."""
        return (now or datetime.now(UTC)) >= self.expires_at


class ErrorCode(StrEnum):
    """Why there is no text."""

    EXPIRED = "expired"
    GENERATION_FAILED = "generation_failed"


class Timings(BaseModel):
    """Where a request's time went, in seconds."""

    model_config = STRICT

    queued: float
    """From the asking to the beginning of the writing."""
    generated: float
    """From there to the text."""


class HoroscopeReply(Message):
    """The answer to one request: a text, or the reason why there is none."""

    SCHEMA = "horoscope-reply"

    request: HoroscopeRequest
    """What was asked, whole: a bot that never saw the question can answer it and offer more."""
    text: str | None = None
    """The horoscope, without a title and without markup."""
    error: ErrorCode | None = None
    """Why there is no text; one of the two is there."""
    stopped: bool = False
    """Whether the person stopped the writing; the text is what there was by then."""
    model: str = ""
    """What the model calls itself."""
    tokens: int = 0
    """How many the model drew, also for sentences that were refused."""
    timings: Timings | None = None

    @property
    def key(self) -> str:
        """The chat."""
        return self.request.key


class HoroscopePart(Message):
    """The text so far, while it grows. Best effort: it may be late, skipped or lost."""

    SCHEMA = "horoscope-part"
    DURABLE = False

    request: HoroscopeRequest
    text: str
    """All of it so far."""

    @property
    def key(self) -> str:
        """The chat."""
        return self.request.key


class StopRequest(Message):
    """A person's wish that a text end where it is. Best effort, sent to every worker."""

    SCHEMA = "horoscope-stop"
    DURABLE = False

    chat_id: int
    draft_id: int
    """The draft that is stopped: the one of the request's address."""

    @property
    def key(self) -> str:
        """The chat."""
        return str(self.chat_id)
