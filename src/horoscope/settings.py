"""Every setting of the programs, read from the environment and `.env`, in one typed object."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
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
        env_prefix="HOROSCOPE_",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        use_attribute_docstrings=True,
    )

    telegram_token: SecretStr | None = None
    """The bot's token from @BotFather."""

    telegram_api_url: str = "https://api.telegram.org"
    """Where the Bot API answers; another address is a local Bot API server or `horoscope demo`."""

    model: Path | None = None
    """`best`, which reads best; `fast`, for many people on a small machine; or a directory made by
    `horoscope export`. Default: `best`."""

    data: Path = Field(default_factory=_data_directory)
    """A directory for what must survive a restart: the queue, and what the bot remembers; below
    `$XDG_DATA_HOME`, if that is set. One bot, one directory."""

    timezone: str = "Europe/Moscow"
    """Where a day begins and ends for the horoscope of the day."""

    updates: Literal["polling", "webhook"] = "polling"
    """How updates come: the bot asks Telegram, or Telegram calls the bot."""

    webhook_url: str | None = None
    """The public address that Telegram calls; its path is the path we listen on."""

    webhook_host: str = "0.0.0.0"
    """The interface on which to listen for Telegram's calls."""

    webhook_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """The port on which to listen for Telegram's calls, behind your TLS proxy."""

    webhook_secret: SecretStr | None = None
    """What Telegram shows with each call (1-256 letters, digits, `_`, `-`); without it, one is
    derived from the token."""

    answer_within: Annotated[int, Field(ge=10)] = 600
    """Seconds after which a question is too old to answer; its asker gets an apology."""

    person_limit: Annotated[int, Field(ge=1)] = 10
    """Horoscopes a minute for one person. One is written at a time in any case."""

    group_limit: Annotated[int, Field(ge=1)] = 15
    """Horoscopes a minute for one group; Telegram lets a bot say 20 things a minute there."""

    calls_per_second: Annotated[int, Field(ge=1)] = 30
    """Calls to Telegram a second, of all bots on one token together: each takes its share."""

    kafka_bootstrap_servers: str | None = None
    """Kafka's addresses, `host:port` with commas between. `horoscope bot` and `horoscope worker`
    need one; `horoscope run` needs no Kafka."""

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How Kafka is spoken to: encrypted (SSL) or not, with a login (SASL) or without."""

    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How the login is proved."""

    kafka_sasl_username: str | None = None
    """The login's name."""

    kafka_sasl_password: SecretStr | None = None
    """The login's password."""

    kafka_ssl_ca: Path | None = None
    """A PEM file with the authority that signed Kafka's certificate; without it, the system's."""

    kafka_ssl_certificate: Path | None = None
    """A PEM file with our own certificate, where Kafka asks for one."""

    kafka_ssl_key: Path | None = None
    """A PEM file with the key of our own certificate."""

    kafka_topic_prefix: str = "horoscope."
    """What the names of all topics begin with."""

    kafka_group_prefix: str = "horoscope-"
    """What the names of the consumer groups begin with."""

    kafka_partitions: Annotated[int, Field(ge=1)] = 12
    """Partitions of a topic that is made: so many workers, and bots, can share its work."""

    kafka_replication: Annotated[int, Field(ge=1)] = 1
    """Copies of a topic that is made; 3 where Kafka has three brokers."""

    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name`, for what several bots remember together; without it,
    `memory.sqlite` in `HOROSCOPE_DATA`."""

    http_host: str = "0.0.0.0"
    """The interface on which `bot` and `worker` tell how they are."""

    http_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """The port on which they do (GET /live, /ready, /metrics); without it, they do not."""

    log_format: Literal["text", "json"] = "text"
    """Lines of the log for people, or one JSON object a line for machines."""

    tracing_url: str | None = None
    """Where spans go (OTLP over HTTP: http://collector:4318/v1/traces); without it, nowhere."""

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone is called {name!r}; try Europe/Moscow") from None
        return name

    @field_validator("telegram_api_url", "webhook_url", "tracing_url")
    @classmethod
    def _web_address(cls, url: str | None) -> str | None:
        if url and not urlsplit(url).netloc:
            raise ValueError("it is no web address: https://host/path")
        return url

    @model_validator(mode="after")
    def _login_is_whole(self) -> "Settings":
        login = (self.kafka_sasl_username, self.kafka_sasl_password)
        if self.kafka_security_protocol.startswith("SASL") and None in login:
            raise ValueError("set HOROSCOPE_KAFKA_SASL_USERNAME and HOROSCOPE_KAFKA_SASL_PASSWORD")
        return self

    @model_validator(mode="after")
    def _webhook_has_an_address(self) -> "Settings":
        if self.updates == "webhook" and not self.webhook_url:
            raise ValueError("set HOROSCOPE_WEBHOOK_URL, or HOROSCOPE_UPDATES=polling")
        return self


def load_settings(**given: Any) -> Settings:
    """Read the settings, but for those that are given here.

    Raises InputError with the variable's name if one cannot be used.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise InputError(f"The settings do not fit together: {said}.") from None
        name = "HOROSCOPE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"The setting {name} cannot be used: {said}.") from None
