"""What this Telegram knows: people, their chats and messages; what people do in it.

What the bot does in it is in `bot_api`. Chats, messages and users are the Bot API's own JSON.
"""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from horoscope.demo.api_error import bad_request, forbidden
from horoscope.demo.parameters import Json, formatted
from horoscope.demo.trouble import Rates, Troubles
from horoscope.demo.updates import Updates

TOKEN = "7000000001:a-token-of-the-local-telegram"
BOT: Json = {
    "id": 7000000001,
    "is_bot": True,
    "first_name": "Звёзды",
    "username": "stars_bot",
    "can_join_groups": True,
    "can_read_all_group_messages": False,
    "supports_inline_queries": True,
}
FRIENDS = -1001000000001
FORUM = -1001000000002
TOPICS = {2: "Любовь и отношения", 3: "Работа и деньги"}
INLINE_QUERY_S = 10.0
CALLBACK_QUERY_S = 60.0


@dataclass
class Draft:
    """The text in a private chat that the bot is still writing."""

    id: int
    can_stop: bool
    keep_on_stop: bool
    stopped: bool = False


@dataclass
class Chat:
    """A chat with what was said in it."""

    info: Json
    topics: dict[int, str] = field(default_factory=dict)
    messages: dict[int, Json] = field(default_factory=dict)
    draft: Draft | None = None
    started: bool = True
    """Whether the bot may write here: a person wrote to it first."""
    blocked: bool = False

    @property
    def id(self) -> int:
        """The chat's number."""
        number: int = self.info["id"]
        return number

    @property
    def is_private(self) -> bool:
        """Whether it is one person's chat with the bot."""
        return self.id > 0


@dataclass
class Query:
    """A tap or an inline query that waits for the bot."""

    person_id: int
    until: float
    results: dict[str, Json] = field(default_factory=dict)


class Telegram:
    """A Telegram with one bot, one group and one forum."""

    def __init__(self, *, rates: bool = False) -> None:
        self.updates = Updates()
        self.troubles = Troubles()
        self.rates = Rates() if rates else None
        self.people: dict[int, Json] = {}
        self.chats: dict[int, Chat] = {
            FRIENDS: Chat({"id": FRIENDS, "type": "supergroup", "title": "Компания друзей"}),
            FORUM: Chat(
                {"id": FORUM, "type": "supergroup", "title": "Звёздный форум", "is_forum": True},
                dict(TOPICS),
            ),
        }
        self.commands: list[Json] = []
        self.queries: dict[str, Query] = {}
        self.calls: Counter[str] = Counter()
        """How often the bot called each method."""
        self.refused: Counter[str] = Counter()
        """How often a call was refused, and why; trouble on demand does not count."""
        self._watchers: dict[int, set[asyncio.Queue[Json]]] = defaultdict(set)
        # Private chats share one count of messages, groups have their own, as in Telegram.
        self._last_message: defaultdict[int, int] = defaultdict(int, {FORUM: 10})
        self._last_query = 0
        # What the bot remembers of people in earlier Telegrams is not of these.
        self._next_person = int(time.time())

    # What people do.

    def join(self, name: str, person_id: int | None = None) -> int:
        """A new person, or one who comes back from an earlier Telegram; their number."""
        if person_id is None:
            person_id = self._next_person
            self._next_person += 1
        self.people[person_id] = {"id": person_id, "is_bot": False, "first_name": name}
        self.chats[person_id] = Chat(
            {"id": person_id, "type": "private", "first_name": name}, started=False
        )
        return person_id

    def write(
        self,
        person_id: int,
        text: str,
        chat_id: int | None = None,
        thread_id: int | None = None,
        reply_to: int | None = None,
    ) -> Json:
        """A person writes: to the bot, or in a group. Raises ApiError."""
        chat = self._chat_of(person_id, person_id if chat_id is None else chat_id)
        message = self.new_message(chat, self.people[person_id], text, [], thread_id, reply_to)
        chat.started = True
        if self._reaches_bot(chat, message):
            self.updates.add("message", message)
        return message

    def edit(self, person_id: int, chat_id: int, message_id: int, text: str) -> Json:
        """A person edits what they wrote. Raises ApiError."""
        message = self.message(chat_id, message_id)
        if message["from"]["id"] != person_id:
            raise bad_request("message can't be edited")
        self.change_message(message, *formatted(text, []), message.get("reply_markup"))
        if self._reaches_bot(self.chat(chat_id), message):
            self.updates.add("edited_message", message)
        return message

    def tap(self, person_id: int, chat_id: int, message_id: int, data: str) -> str:
        """A person taps a button; the number of the query. Raises ApiError."""
        self._chat_of(person_id, chat_id)
        query_id = self._new_query(person_id, CALLBACK_QUERY_S)
        self.updates.add(
            "callback_query",
            {
                "id": query_id,
                "from": self.people[person_id],
                "message": dict(self.message(chat_id, message_id)),
                "chat_instance": str(chat_id),
                "data": data,
            },
        )
        return query_id

    def stop(self, person_id: int) -> None:
        """A person has read enough of what the bot is writing."""
        chat = self.chat(person_id)
        if chat.draft and chat.draft.can_stop and not chat.draft.stopped:
            chat.draft.stopped = True
            if not chat.draft.keep_on_stop:
                self.drop_draft(chat)
            self.updates.add(
                "stopped_message_generation", {"chat": chat.info, "draft_id": chat.draft.id}
            )

    def ask_inline(self, person_id: int, query: str, chat_id: int) -> str:
        """A person types the bot's name and a query in some chat; the number of the query."""
        query_id = self._new_query(person_id, INLINE_QUERY_S)
        self.updates.add(
            "inline_query",
            {
                "id": query_id,
                "from": self.people[person_id],
                "query": query,
                "offset": "",
                "chat_type": self.chat(chat_id).info["type"],
            },
        )
        return query_id

    def choose_inline(
        self, person_id: int, query_id: str, result_id: str, chat_id: int, thread_id: int | None
    ) -> Json:
        """A person sends one of the results that the bot offered. Raises ApiError."""
        try:
            result = self.queries[query_id].results[result_id]
        except KeyError:
            raise bad_request("RESULT_ID_INVALID") from None
        chat = self._chat_of(person_id, chat_id)
        text, entities = result["text"], result["entities"]
        message = self.new_message(chat, self.people[person_id], text, entities, thread_id)
        message["via_bot"] = BOT
        self.updates.add("message", message)
        return message

    def block(self, person_id: int, blocked: bool) -> None:
        """A person blocks the bot, or lets it write again."""
        chat = self.chat(person_id)
        chat.blocked = blocked
        old, new = ("member", "kicked") if blocked else ("kicked", "member")
        self.updates.add(
            "my_chat_member",
            {
                "chat": chat.info,
                "from": self.people[person_id],
                "date": int(time.time()),
                "old_chat_member": {"user": BOT, "status": old},
                "new_chat_member": {"user": BOT, "status": new, "until_date": 0},
            },
        )

    def _chat_of(self, person_id: int, chat_id: int) -> Chat:
        """A chat in which a person is. Raises ApiError."""
        chat = self.chat(chat_id)
        if chat.is_private and chat.id != person_id:
            raise bad_request("chat not found")
        return chat

    # What is there.

    def chat(self, chat_id: int) -> Chat:
        """A chat. Raises ApiError."""
        try:
            return self.chats[chat_id]
        except KeyError:
            raise bad_request("chat not found") from None

    def chat_for_bot(self, chat_id: int) -> Chat:
        """A chat in which the bot may speak. Raises ApiError."""
        chat = self.chat(chat_id)
        if chat.blocked:
            raise forbidden("bot was blocked by the user")
        if not chat.started:
            raise forbidden("bot can't initiate conversation with a user")
        return chat

    def message(self, chat_id: int, message_id: int) -> Json:
        """A message. Raises ApiError."""
        try:
            return self.chat(chat_id).messages[message_id]
        except KeyError:
            raise bad_request("message not found") from None

    def said_by_bot(self, chat_id: int) -> list[Json]:
        """What the bot wrote in a chat, in order."""
        messages = self.chat(chat_id).messages.values()
        return [message for message in messages if message["from"]["id"] == BOT["id"]]

    # What happens, told to who watches.

    def watch(self, person_id: int) -> "asyncio.Queue[Json]":
        """What happens from now on in the chats of a person."""
        queue: asyncio.Queue[Json] = asyncio.Queue()
        self._watchers[person_id].add(queue)
        return queue

    def unwatch(self, person_id: int, queue: "asyncio.Queue[Json]") -> None:
        """End a watch."""
        self._watchers[person_id].discard(queue)

    def tell(self, chat_id: int, event: Json) -> None:
        """Tell who is in a chat."""
        for member in [chat_id] if chat_id > 0 else list(self._watchers):
            for queue in self._watchers.get(member, ()):
                queue.put_nowait({"chat": chat_id, **event})

    def new_message(
        self,
        chat: Chat,
        author: Json,
        text: str,
        entities: list[Json],
        thread_id: int | None = None,
        reply_to: int | None = None,
        keyboard: Json | None = None,
    ) -> Json:
        """Put a message into a chat. Raises ApiError."""
        text, entities = formatted(text, entities)
        if thread_id is not None and thread_id not in chat.topics:
            raise bad_request("message thread not found")
        count = 0 if chat.is_private else chat.id
        self._last_message[count] += 1
        message: Json = {
            "message_id": self._last_message[count],
            "from": author,
            "chat": chat.info,
            "date": int(time.time()),
            "text": text,
        }
        if thread_id is not None:
            message |= {"message_thread_id": thread_id, "is_topic_message": True}
        if reply_to is not None:
            answered = dict(self.message(chat.id, reply_to))
            answered.pop("reply_to_message", None)
            message["reply_to_message"] = answered
        if entities:
            message["entities"] = entities
        if keyboard:
            message["reply_markup"] = keyboard
        chat.messages[message["message_id"]] = message
        self.tell(chat.id, {"kind": "message", "message": message})
        return message

    def change_message(
        self, message: Json, text: str, entities: list[Json], keyboard: Json | None
    ) -> None:
        """Change a message. Raises ApiError if that changes nothing."""
        content: Json = {"text": text}
        content |= {"entities": entities} if entities else {}
        content |= {"reply_markup": keyboard} if keyboard else {}
        kept = {name: message.pop(name, None) for name in ("text", "entities", "reply_markup")}
        message |= content
        if {name: value for name, value in kept.items() if value is not None} == content:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are"
                " exactly the same as a current content and reply markup of the message"
            )
        message["edit_date"] = int(time.time())
        self.tell(message["chat"]["id"], {"kind": "edited", "message": message})

    def delete_message(self, message: Json) -> None:
        """Take a message out of its chat."""
        chat_id, number = message["chat"]["id"], message["message_id"]
        del self.chats[chat_id].messages[number]
        self.tell(chat_id, {"kind": "deleted", "message": message})

    def drop_draft(self, chat: Chat) -> None:
        """A draft is over: the message is there, or nobody goes on with it."""
        if chat.draft:
            chat.draft = None
            self.tell(chat.id, {"kind": "draft_gone"})

    def _new_query(self, person_id: int, seconds: float) -> str:
        now = time.monotonic()
        self.queries = {key: q for key, q in self.queries.items() if q.until > now - 600}
        self._last_query += 1
        query_id = str(10**15 + self._last_query)
        self.queries[query_id] = Query(person_id, now + seconds)
        return query_id

    def _reaches_bot(self, chat: Chat, message: Json) -> bool:
        """Whether the bot hears a message; in groups it has Telegram's privacy mode.

        https://core.telegram.org/bots/features#privacy-mode
        """
        if chat.is_private:
            return not chat.blocked
        answered = message.get("reply_to_message", {}).get("from", {})
        return (
            message["text"].startswith("/")
            or f"@{BOT['username']}" in message["text"].lower()
            or answered.get("id") == BOT["id"]
        )
