"""The log on standard error: lines for people, or JSON for machines.

A line about one wish carries its number, from the update in Telegram to the answer. What a person
wrote is in no line.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal


def start_logging(form: Literal["text", "json"]) -> None:
    """Have the program's log written."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    # Libraries tell of every update, and of every file that they load.
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("horoscope").setLevel(logging.INFO)


def about(request: str) -> dict[str, str]:
    """What to give a log call as `extra` to name the request that it is about."""
    return {"request": request}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the request if it is about one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := getattr(record, "request", None):
            line["request"] = request
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
