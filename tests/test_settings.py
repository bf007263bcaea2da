"""The settings and the page that lists them."""

import subprocess
import sys
from pathlib import Path

from horoscope.settings import Settings

ROOT = Path(__file__).parent.parent


def test_the_page_of_settings_is_what_the_settings_say_today() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_settings.py"], check=True, capture_output=True
    )
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == made.stdout.decode(), "run `make settings`"


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
