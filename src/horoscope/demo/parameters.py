"""The parameters of a Bot API call, as they come over HTTP, and what Telegram demands of them.

Limits are those of https://core.telegram.org/bots/api; the words of refusals are those that bots
see in practice.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from horoscope.demo.api_error import bad_request

LONGEST_TEXT = 4096
LONGEST_TOAST = 200
LONGEST_CALLBACK_DATA = 64  # bytes
MOST_BUTTONS = 100
MOST_INLINE_RESULTS = 50
START_PARAMETER = re.compile(r"[A-Za-z0-9_-]{1,64}")
ENTITY_TYPES = frozenset(
    "mention hashtag cashtag bot_command url email phone_number bold italic underline "
    "strikethrough spoiler blockquote expandable_blockquote code pre text_link text_mention "
    "custom_emoji date_time".split()
)
CHAT_ACTIONS = frozenset(
    "typing upload_photo record_video upload_video record_voice upload_voice upload_document "
    "choose_sticker find_location record_video_note upload_video_note".split()
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_FOUND = re.compile(
    r"(?<![\w/@])(?:(?P<bot_command>/\w{1,64}(?:@[A-Za-z]\w{3,31})?)"
    r"|(?P<mention>@[A-Za-z]\w{3,31}))\b(?!/)"
)

Json = dict[str, Any]


class Parameters:
    """One call's parameters: strings of a form, or values of a JSON body."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {
            name: value for name, value in values.items() if value is not None and value != ""
        }

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """A string; "" if it is not there."""
        return encodable(str(self._values.get(name, "")))

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number."""
        value = self._values.get(name, default)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise bad_request(f"invalid {name} specified") from None

    def flag(self, name: str) -> bool:
        """A yes or no."""
        return str(self._values.get(name, "")).lower() in {"true", "yes", "1"}

    def json(self, name: str, kind: type) -> Any:
        """An object or array; None if it is not there."""
        value = self._values.get(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise bad_request(f"can't parse {name} JSON object") from None
        if value is not None and not isinstance(value, kind):
            raise bad_request(f"can't parse {name}: {kind.__name__} expected")
        return value

    def formatted(self, name: str = "text", least: int = 1) -> tuple[str, list[Json]]:
        """A text with its entities."""
        if "parse_mode" in self:
            # The bot writes no markup: what it says is text with entities beside it.
            raise bad_request("unsupported parse_mode")
        return formatted(self.text(name), self.json("entities", list) or [], least)

    def keyboard(self) -> Json | None:
        """The buttons under a message."""
        markup = self.json("reply_markup", dict)
        return None if markup is None else checked_keyboard(markup)


def formatted(text: str, entities: list[Any], least: int = 1) -> tuple[str, list[Json]]:
    """A message's text as it arrives, with its entities. Raises ApiError."""
    text = _CONTROL.sub(" ", encodable(text)).rstrip()
    if len(text) < least:
        raise bad_request("message text is empty")
    if len(text) > LONGEST_TEXT:
        raise bad_request("message is too long")
    checked = [_entity(entity, text) for entity in entities]
    return text, _with_found(text, checked)


def _entity(entity: Any, text: str) -> Json:
    if not isinstance(entity, dict):
        raise bad_request("can't parse MessageEntity: expected an Object")
    offset, length = entity.get("offset"), entity.get("length")
    if not isinstance(offset, int) or not isinstance(length, int) or length < 0 or offset < 0:
        raise bad_request('can\'t parse MessageEntity: field "offset" or "length" is wrong')
    if entity.get("type") not in ENTITY_TYPES:
        raise bad_request("can't parse MessageEntity: unsupported entity type specified")
    if offset + length > utf16_length(text):
        raise bad_request(
            f"entity beginning at UTF-16 offset {offset} ends after the end of the text"
            f" at UTF-16 offset {offset + length}"
        )
    encoded = text.encode("utf-16-le")
    try:
        for border in (offset, offset + length):
            encoded[: 2 * border].decode("utf-16-le")
    except UnicodeDecodeError:
        raise bad_request(
            f"entity beginning at UTF-16 offset {offset} begins or ends in a middle of"
            " a UTF-16 symbol"
        ) from None
    return entity


def _with_found(text: str, entities: list[Json]) -> list[Json]:
    """With the commands and mentions that Telegram finds by itself."""
    found = [
        {
            "type": match.lastgroup,
            "offset": utf16_length(text[: match.start()]),
            "length": utf16_length(match.group()),
        }
        for match in _FOUND.finditer(text)
    ]
    taken = {(entity["type"], entity["offset"]) for entity in entities}
    entities = entities + [e for e in found if (e["type"], e["offset"]) not in taken]
    return sorted(entities, key=lambda entity: (entity["offset"], -entity["length"]))


def checked_keyboard(markup: Json) -> Json:
    """An inline keyboard as Telegram takes it. Raises ApiError."""
    rows = markup.get("inline_keyboard")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("inline keyboard expected")
    buttons = [button for row in rows for button in row]
    if len(buttons) > MOST_BUTTONS:
        raise bad_request("REPLY_MARKUP_TOO_LONG")
    for button in buttons:
        if not isinstance(button, dict) or not isinstance(button.get("text"), str):
            raise bad_request(
                "can't parse inline keyboard button: InlineKeyboardButton must be an Object"
            )
        if not button["text"].strip():
            raise bad_request("can't parse inline keyboard button: Text must be non-empty")
        data = button.get("callback_data")
        if data is None:
            raise bad_request(
                "can't parse inline keyboard button:"
                " Text buttons are unallowed in the inline keyboard"
            )
        if not 1 <= len(str(data).encode()) <= LONGEST_CALLBACK_DATA:
            raise bad_request("BUTTON_DATA_INVALID")
    return {"inline_keyboard": [row for row in rows if row]}


def checked_inline_results(results: list[Any]) -> list[Json]:
    """What a bot offers inline. Raises ApiError."""
    if len(results) > MOST_INLINE_RESULTS:
        raise bad_request("RESULTS_TOO_MUCH")
    checked = []
    for result in results:
        if not isinstance(result, dict) or result.get("type") != "article":
            raise bad_request("can't parse inline query result: unsupported type")
        if not 1 <= len(str(result.get("id", "")).encode()) <= 64:
            raise bad_request("RESULT_ID_INVALID")
        if not str(result.get("title") or "").strip():
            raise bad_request("ARTICLE_TITLE_EMPTY")
        content = result.get("input_message_content")
        if not isinstance(content, dict) or content.get("parse_mode"):
            raise bad_request("can't parse inline query result: no message content")
        text, entities = formatted(
            str(content.get("message_text", "")), content.get("entities") or []
        )
        checked.append(result | {"text": text, "entities": entities})
    if len({result["id"] for result in checked}) < len(checked):
        raise bad_request("RESULT_ID_DUPLICATE")
    return checked


def checked_inline_button(button: Json | None) -> Json | None:
    """The button above what is offered inline. Raises ApiError."""
    if button is not None and not (
        button.get("text") and START_PARAMETER.fullmatch(str(button.get("start_parameter", "")))
    ):
        raise bad_request("can't parse button: START_PARAM_INVALID")
    return button


def encodable(text: str) -> str:
    """The text, if it is one: JSON may hold half a character. Raises ApiError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise bad_request("strings must be encoded in UTF-8") from None
    return text


def utf16_length(text: str) -> int:
    """The length as Telegram counts it in entities."""
    return len(text.encode("utf-16-le")) // 2
