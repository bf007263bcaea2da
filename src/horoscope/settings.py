"""Every setting of the programs, read from the environment and `.env`, in one typed object."""

import os
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from horoscope.errors import InputError


def _data_directory() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "horoscope"


class Settings(BaseSettings):
    """The settings; each is the environment variable HOROSCOPE_<NAME>, or a line in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="HOROSCOPE_", env_file=".env", env_file_encoding="utf-8", extra="ignore"
    )

    telegram_token: SecretStr | None = None
    """The bot's token from @BotFather."""

    telegram_api_url: str = "https://api.telegram.org"
    """Where the Bot API answers; another address is a local Bot API server or `horoscope demo`."""

    model: Path | None = None
    """A model directory made by `horoscope export`; without it the embedded model writes."""

    data: Path = Field(default_factory=_data_directory)
    """A directory for what must survive a restart: the queue, and what the bot remembers."""

    timezone: str = "Europe/Moscow"
    """Where a day begins and ends for the horoscope of the day."""

    updates: Literal["polling", "webhook"] = "polling"
    """How updates come: the bot asks Telegram, or Telegram calls the bot."""

    webhook_url: str | None = None
    """The public address that Telegram calls; its path is the path we listen on."""

    webhook_host: str = "0.0.0.0"
    """The interface on which to listen for Telegram's calls."""

    webhook_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """The port on which to listen for Telegram's calls."""

    webhook_secret: SecretStr | None = None
    """What Telegram shows us with each call; without it, one is derived from the token."""

    answer_within: Annotated[int, Field(ge=10)] = 600
    """Seconds after which a question is too old to answer; its asker gets an apology."""

    person_limit: Annotated[int, Field(ge=1)] = 10
    """Horoscopes a minute for one person."""

    group_limit: Annotated[int, Field(ge=1)] = 15
    """Horoscopes a minute for one group; Telegram lets a bot say 20 things a minute there."""

    calls_per_second: Annotated[int, Field(ge=1)] = 30
    """Calls to Telegram a second; several bots on one token share Telegram's 30."""

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone is called {name!r}; try Europe/Moscow") from None
        return name

    @model_validator(mode="after")
    def _webhook_has_an_address(self) -> "Settings":
        if self.updates == "webhook" and not self.webhook_url:
            raise ValueError("set HOROSCOPE_WEBHOOK_URL, or HOROSCOPE_UPDATES=polling")
        return self


def load_settings() -> Settings:
    """Read the settings. Raises InputError with the variable's name if one cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise InputError(f"The settings do not fit together: {said}.") from None
        name = "HOROSCOPE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"The setting {name} cannot be used: {said}.") from None
