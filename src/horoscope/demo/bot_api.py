"""The methods of the Bot API that the bot uses, checked as Telegram checks them.

https://core.telegram.org/bots/api (10.3). A call that Telegram would refuse raises ApiError.
"""

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from horoscope.demo.api_error import ApiError, bad_request
from horoscope.demo.parameters import (
    CHAT_ACTIONS,
    LONGEST_TOAST,
    Json,
    Parameters,
    checked_inline_button,
    checked_inline_results,
)
from horoscope.demo.telegram import BOT, FRIENDS, Chat, Draft, Query, Telegram
from horoscope.demo.updates import MOST_AT_ONCE, Webhook, checked_webhook_url

COMMAND = re.compile(r"[a-z0-9_]{1,32}")
SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")
MOST_CONNECTIONS = 100


class BotApi:
    """What a bot may call."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self.methods: dict[str, Callable[[Parameters], Awaitable[Any]]] = {
            "getMe": self._get_me,
            "setMyCommands": self._set_my_commands,
            "getUpdates": self._get_updates,
            "setWebhook": self._set_webhook,
            "deleteWebhook": self._delete_webhook,
            "getWebhookInfo": self._get_webhook_info,
            "sendMessage": self._send_message,
            "editMessageText": self._edit_message_text,
            "editMessageReplyMarkup": self._edit_message_reply_markup,
            "deleteMessage": self._delete_message,
            "sendMessageDraft": self._send_message_draft,
            "sendChatAction": self._send_chat_action,
            "answerCallbackQuery": self._answer_callback_query,
            "answerInlineQuery": self._answer_inline_query,
        }
        """By their names, which are the documented ones."""
        self._names = {name.lower(): name for name in self.methods}

    def name(self, called: str) -> str:
        """A method's name as documented. Raises ApiError if there is no such method."""
        try:
            return self._names[called.lower()]
        except KeyError:
            raise ApiError(404, "Not Found: method not found") from None

    async def call(self, method: str, parameters: Parameters) -> Any:
        """The result of a call. Raises ApiError."""
        return await self.methods[method](parameters)

    async def _get_me(self, p: Parameters) -> Json:
        return BOT

    async def _set_my_commands(self, p: Parameters) -> bool:
        commands = p.json("commands", list) or []
        for command in commands:
            if not isinstance(command, dict):
                raise bad_request("can't parse BotCommand: expected an Object")
            if not COMMAND.fullmatch(str(command.get("command", ""))):
                raise bad_request("BOT_COMMAND_INVALID")
            if not 1 <= len(str(command.get("description", ""))) <= 256:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        if len(commands) > 100:
            raise bad_request("BOT_COMMANDS_TOO_MUCH")
        self._telegram.commands = commands
        self._telegram.tell(FRIENDS, {"kind": "commands", "commands": commands})
        return True

    async def _get_updates(self, p: Parameters) -> list[Json]:
        limit = p.integer("limit", MOST_AT_ONCE)
        return await self._telegram.updates.poll(
            p.integer("offset"),
            limit if 1 <= limit <= MOST_AT_ONCE else MOST_AT_ONCE,
            p.integer("timeout"),
            p.json("allowed_updates", list),
        )

    async def _set_webhook(self, p: Parameters) -> bool:
        url, secret = p.text("url"), p.text("secret_token")
        if not SECRET.fullmatch(secret):
            raise bad_request("secret token contains unallowed characters")
        connections = p.integer("max_connections", 40)
        if not 1 <= connections <= MOST_CONNECTIONS:
            connections = 40
        updates = self._telegram.updates
        if (allowed := p.json("allowed_updates", list)) is not None:
            updates.allowed = allowed
        webhook = None
        if url:
            webhook = Webhook(updates, checked_webhook_url(url), secret, connections)
        await updates.set_webhook(webhook, drop_pending=p.flag("drop_pending_updates"))
        return True

    async def _delete_webhook(self, p: Parameters) -> bool:
        await self._telegram.updates.set_webhook(None, drop_pending=p.flag("drop_pending_updates"))
        return True

    async def _get_webhook_info(self, p: Parameters) -> Json:
        updates = self._telegram.updates
        return {
            "url": updates.webhook.url if updates.webhook else "",
            "has_custom_certificate": False,
            "pending_update_count": len(updates.pending),
            "last_error_message": updates.webhook.last_error if updates.webhook else "",
            "allowed_updates": updates.allowed,
        }

    async def _send_message(self, p: Parameters) -> Json:
        chat = self._chat(p)
        text, entities = p.formatted()
        keyboard = p.keyboard()
        thread_id = self._thread(p, chat)
        reply_to = self._replied(p, chat)
        self._count(chat)
        message = self._telegram.new_message(
            chat, BOT, text, entities, thread_id, reply_to, keyboard
        )
        self._telegram.drop_draft(chat)
        return message

    async def _edit_message_text(self, p: Parameters) -> Json:
        message = self._own_message(p)
        text, entities = p.formatted()
        keyboard = p.keyboard()
        self._count(self._telegram.chat(message["chat"]["id"]))
        self._telegram.change_message(message, text, entities, keyboard)
        return message

    async def _edit_message_reply_markup(self, p: Parameters) -> Json:
        message = self._own_message(p)
        keyboard = p.keyboard()
        self._count(self._telegram.chat(message["chat"]["id"]))
        self._telegram.change_message(
            message, message["text"], message.get("entities", []), keyboard
        )
        return message

    async def _delete_message(self, p: Parameters) -> bool:
        self._telegram.delete_message(self._own_message(p, "delete"))
        return True

    async def _send_message_draft(self, p: Parameters) -> bool:
        chat = self._chat(p)
        if not chat.is_private:
            raise bad_request("message drafts can be sent only to private chats")
        draft_id = p.integer("draft_id")
        if not draft_id:
            raise bad_request("invalid draft identifier specified")
        self._thread(p, chat)
        text, entities = p.formatted(least=0)
        if chat.draft and chat.draft.id == draft_id and chat.draft.stopped:
            return True  # its reader wants no more of it
        chat.draft = Draft(draft_id, p.flag("can_stop"), p.flag("keep_on_stop"))
        event = {"kind": "draft", "draft_id": draft_id, "text": text, "entities": entities}
        self._telegram.tell(chat.id, event | {"can_stop": chat.draft.can_stop})
        return True

    async def _send_chat_action(self, p: Parameters) -> bool:
        chat = self._chat(p)
        action, thread_id = p.text("action"), self._thread(p, chat)
        if action not in CHAT_ACTIONS:
            raise bad_request("wrong parameter action in request")
        self._telegram.tell(chat.id, {"kind": "action", "action": action, "thread": thread_id})
        return True

    async def _answer_callback_query(self, p: Parameters) -> bool:
        query_id, text = p.text("callback_query_id"), p.text("text")
        query = self._query(query_id)
        if len(text) > LONGEST_TOAST:
            raise bad_request("MESSAGE_TOO_LONG")
        event = {"kind": "toast", "query": query_id, "text": text, "alert": p.flag("show_alert")}
        self._telegram.tell(query.person_id, event)
        return True

    async def _answer_inline_query(self, p: Parameters) -> bool:
        query_id = p.text("inline_query_id")
        query = self._query(query_id)
        results = p.json("results", list)
        if results is None:
            raise bad_request('can\'t find field "results"')
        query.results = {result["id"]: result for result in checked_inline_results(results)}
        shown = [
            {name: result.get(name, "") for name in ("id", "title", "description")}
            for result in query.results.values()
        ]
        button = checked_inline_button(p.json("button", dict))
        event = {"kind": "offers", "query": query_id, "results": shown, "button": button}
        self._telegram.tell(query.person_id, event)
        return True

    def _chat(self, p: Parameters) -> Chat:
        if "chat_id" not in p:
            raise bad_request("chat_id is empty")
        try:
            chat_id = p.integer("chat_id")
        except ApiError:
            raise bad_request("chat not found") from None
        return self._telegram.chat_for_bot(chat_id)

    def _thread(self, p: Parameters, chat: Chat) -> int | None:
        thread_id = p.integer("message_thread_id")
        if thread_id and thread_id not in chat.topics:
            raise bad_request("message thread not found")
        return thread_id or None

    def _replied(self, p: Parameters, chat: Chat) -> int | None:
        wanted = p.json("reply_parameters", dict)
        if wanted is None:
            return None
        message_id = wanted.get("message_id")
        if isinstance(message_id, int) and message_id in chat.messages:
            return message_id
        if not wanted.get("allow_sending_without_reply"):
            raise bad_request("message to be replied not found")
        return None

    def _own_message(self, p: Parameters, wish: str = "edit") -> Json:
        chat = self._chat(p)
        if "message_id" not in p:
            raise bad_request("message identifier is not specified")
        message = chat.messages.get(p.integer("message_id"))
        if message is None:
            raise bad_request(f"message to {wish} not found")
        if message["from"]["id"] != BOT["id"]:
            raise bad_request(f"message can't be {wish.rstrip('e')}ed")
        return message

    def _query(self, query_id: str) -> Query:
        query = self._telegram.queries.get(query_id)
        if query is None or query.until < time.monotonic():
            raise bad_request(
                "query is too old and response timeout expired or query ID is invalid"
            )
        return query

    def _count(self, chat: Chat) -> None:
        if self._telegram.rates:
            self._telegram.rates.count(chat.id)
