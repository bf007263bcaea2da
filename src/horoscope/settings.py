"""Every setting of the programs, read from the environment and `.env`, in one typed object."""

from pathlib import Path

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from horoscope.errors import InputError


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


def load_settings() -> Settings:
    """Read the settings. Raises InputError with the variable's name if one cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "HOROSCOPE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"The setting {name} cannot be used: {first['msg']}.") from None
