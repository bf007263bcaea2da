// The chat: what the person of this tab does, and what happens around them.

import { Connection } from "./connection.js";
import { dotsView, draftView, emptyView, face, make, messageView, roomView } from "./view.js";

const NAMES = "Аня Борис Вера Гриша Даша Егор Женя Зоя Игорь Катя Лёша Марина Никита Оля".split(" ");
const TYPING = 5500; // a little longer than the indicator is promised to last
const DRAFT = 30000;
const INLINE_PAUSE = 300;
const TROUBLES = {
  slow: { status: 429, retry_after: 3, share: 0.33 },
  ill: { status: 502, share: 0.5 },
  cut: { share: 0.33 },
};

const $ = (id) => document.getElementById(id);
const state = {
  me: null, bot: null, commands: [],
  rooms: new Map(), // by "chat:topic"
  room: null, // the open one's key
  unread: new Map(),
  typing: new Map(), // timers, by room
  draft: null, // what the bot is writing, in the private chat
  draftEnd: null,
  context: null, // { kind: "reply" | "edit", message }
  waiting: new Map(), // buttons that were tapped, by query
  offers: null, // the inline query that is shown
};
let taps = 0;
const connection = new Connection(onEvent, (online) => { $("offline").hidden = online; });

// Entering. A tab is its person for as long as it lives.

const known = JSON.parse(sessionStorage.getItem("person") ?? "null");
$("enter-name").value = NAMES[Math.floor(Math.random() * NAMES.length)];
$("enter-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("enter-name").value.trim();
  if (name) enter(name);
});
if (known) enter(known.name, known.id);
else $("enter-name").select();

function enter(name, person) {
  $("enter").hidden = true;
  $("app").hidden = false;
  connection.open(name, person);
}

// What happens.

function onEvent(event) {
  const handlers = {
    welcome, message: onMessage, edited: onEdited, deleted: onDeleted, action: onAction, draft: onDraft,
    draft_gone: endDraft, toast: onToast, asked: onAsked, offers: onOffers, refused: onRefused,
    commands: ({ commands }) => { state.commands = commands; },
  };
  handlers[event.kind]?.(event);
}

function welcome({ me, bot, commands, blocked, chats }) {
  Object.assign(state, { me, bot, commands });
  sessionStorage.setItem("person", JSON.stringify({ id: me.id, name: me.first_name }));
  state.rooms = new Map(chats.flatMap(roomsOf).map((room) => [room.key, room]));
  face($("me-avatar"), me);
  $("me-name").textContent = me.first_name;
  $("block").checked = blocked;
  if (!state.rooms.has(keyFromAddress())) location.hash = keyOf(me.id);
  openRoom();
}

function roomsOf(chat) {
  const inGroup = chat.id < 0;
  const topics = chat.topics.length ? [{ id: null, title: "Общая тема" }, ...chat.topics] : [null];
  return topics.map((topic) => {
    const thread = topic?.id ?? null;
    const messages = chat.messages.filter((m) => (m.message_thread_id ?? null) === thread);
    return {
      key: keyOf(chat.id, thread), id: inGroup ? chat.id + 31 * (thread ?? 0) : state.bot.id,
      chat: chat.id, thread, inGroup, is_bot: !inGroup,
      title: topic?.title ?? chat.title,
      note: topic ? chat.title : inGroup ? "группа" : "бот",
      invitation: inGroup
        ? `Здесь разговаривают люди; бота зовут командой «/generate лев» или словом «@${state.bot.username}».`
        : "Пишет гороскопы: выберите знак или назовите день рождения.",
      messages: new Map(messages.map((message) => [message.message_id, message])),
    };
  });
}

const keyOf = (chat, thread) => `${chat}:${thread ?? 0}`;
const keyFromAddress = () => decodeURIComponent(location.hash.slice(1));
const roomOf = (message) => state.rooms.get(keyOf(message.chat.id, message.message_thread_id));
const current = () => state.rooms.get(state.room);

function onMessage({ message }) {
  const room = roomOf(message);
  room.messages.set(message.message_id, message);
  if (message.from.is_bot) endTyping(room.key);
  if (room.key === state.room && !document.hidden) show(message);
  else {
    state.unread.set(room.key, (state.unread.get(room.key) ?? 0) + 1);
    if (room.key === state.room) show(message);
  }
  showRooms();
  showFoot();
}

function onEdited({ message }) {
  const room = roomOf(message);
  room.messages.set(message.message_id, message);
  if (room.key === state.room) {
    const old = $("messages").querySelector(`[data-id="${message.message_id}"]`);
    if (old) {
      const fresh = viewOf(message);
      for (const name of ["first", "last"]) fresh.classList.toggle(name, old.classList.contains(name));
      keepingBottom(() => old.replaceWith(fresh));
    }
  }
  showRooms();
}

function onDeleted({ message }) {
  const room = roomOf(message);
  room.messages.delete(message.message_id);
  if (room.key === state.room) $("messages").querySelector(`[data-id="${message.message_id}"]`)?.remove();
  showRooms();
}

function onAction({ chat, thread }) {
  const key = keyOf(chat, thread);
  clearTimeout(state.typing.get(key));
  state.typing.set(key, setTimeout(() => endTyping(key), TYPING));
  showGrowing();
}

function endTyping(key) {
  clearTimeout(state.typing.get(key));
  state.typing.delete(key);
  showGrowing();
}

function onDraft(draft) {
  clearTimeout(state.draftEnd);
  state.draftEnd = setTimeout(endDraft, DRAFT);
  const before = state.draft?.draft_id === draft.draft_id ? state.draft.text : "";
  state.draft = draft;
  showGrowing(before);
}

function endDraft() {
  clearTimeout(state.draftEnd);
  state.draft = null;
  showGrowing();
}

function onAsked(event) {
  if (event.do === "inline") state.offers = event.query;
  const button = document.querySelector(`[data-tap="${event.tag}"]`);
  if (event.do === "tap" && button) {
    state.waiting.set(event.query, button);
    setTimeout(() => rest(event.query), 60000);
  }
}

function rest(query) {
  state.waiting.get(query)?.classList.remove("waiting");
  state.waiting.delete(query);
}

function onToast({ query, text }) {
  rest(query);
  if (text) toast(text);
}

function onRefused({ why }) {
  toast(`Телеграм не принял это: ${why}`);
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toast.end);
  toast.end = setTimeout(() => $("toast").classList.remove("shown"), 3500);
}

// The room.

addEventListener("hashchange", openRoom);
$("back").addEventListener("click", () => { location.hash = ""; });

function openRoom() {
  const room = state.rooms.get(keyFromAddress());
  $("app").classList.toggle("in-room", Boolean(room));
  if (room) {
    state.room = room.key;
    state.unread.delete(room.key);
    endContext();
    closeSheets();
    face($("room-avatar"), room);
    $("room-title").textContent = room.title;
    $("messages").replaceChildren();
    for (const message of room.messages.values()) show(message);
    if (!room.messages.size) $("messages").append(emptyView(room));
    toBottom();
    showGrowing();
  } else {
    state.room = null;
  }
  showRooms();
  showFoot();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  state.unread.delete(state.room);
  showRooms();
});

function showRooms() {
  const lines = [...state.rooms.values()].map((room) =>
    roomView(room, room.key === state.room, state.unread.get(room.key), () => {
      location.hash = room.key;
    }));
  const focused = [...$("rooms").children].indexOf(document.activeElement?.parentElement);
  $("rooms").replaceChildren(...lines);
  if (focused >= 0) lines[focused].firstElementChild.focus();
  const unread = [...state.unread.values()].reduce((sum, count) => sum + count, 0);
  document.title = `${unread ? `(${unread}) ` : ""}${state.me.first_name} — Звёзды`;
}

function show(message) {
  const list = $("messages");
  list.querySelector(".empty")?.remove();
  const view = viewOf(message);
  const previous = list.lastElementChild;
  const follows = previous?.dataset.from === view.dataset.from;
  view.classList.add("last");
  if (follows) previous.classList.remove("last");
  else view.classList.add("first");
  keepingBottom(() => list.append(view), message.from.id === state.me.id);
}

function viewOf(message) {
  const mine = message.from.id === state.me.id;
  const view = messageView(message, mine, roomOf(message).inGroup, {
    tap: (tapped, data, button) => {
      button.dataset.tap = ++taps;
      button.classList.add("waiting");
      connection.act("tap", { chat: tapped.chat.id, message: tapped.message_id, data, tag: taps });
    },
    reply: (answered) => beginContext("reply", answered),
    edit: (edited) => beginContext("edit", edited),
    find: (number) => {
      const found = $("messages").querySelector(`[data-id="${number}"]`);
      found?.scrollIntoView({ block: "center", behavior: "smooth" });
    },
    command: (command) => write(command),
  });
  view.dataset.from = message.from.id;
  return view;
}

function showGrowing(before = "") {
  const room = current();
  if (!room) return;
  const growing = $("growing");
  keepingBottom(() => {
    growing.replaceChildren();
    if (state.draft && !room.inGroup) {
      growing.append(draftView(state.draft, before, () => {
        connection.act("stop");
        state.draft.can_stop = false;
        showGrowing();
      }));
    } else if (state.typing.has(room.key)) growing.append(dotsView());
  });
  const busy = state.typing.has(room.key) || (state.draft && !room.inGroup);
  $("room-state").textContent = busy ? "печатает…" : room.note;
  $("room-state").classList.toggle("busy", Boolean(busy));
}

function keepingBottom(change, always = false) {
  const box = $("scroll");
  const near = box.scrollHeight - box.scrollTop - box.clientHeight < 120;
  change();
  if (near || always) toBottom();
}

function toBottom() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
}

function showFoot() {
  const room = current();
  const fresh = Boolean(room) && !room.inGroup && !room.messages.size;
  $("start").hidden = !fresh;
  $("composer").hidden = fresh;
  if (fresh) $("start").focus();
  if (room && !fresh && matchMedia("(hover: hover)").matches && document.activeElement === document.body) {
    $("text").focus();
  }
}

// Writing.

$("start").addEventListener("click", () => write("/start"));

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (text && send(text)) {
    $("text").value = "";
    endContext();
    closeSheets();
    fit();
  }
});

$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  } else if (event.key === "Escape") {
    endContext();
    closeSheets();
  }
});

$("text").addEventListener("input", () => {
  fit();
  const inline = $("text").value.match(new RegExp(`^@${state.bot.username}\\s(.*)$`, "is"));
  clearTimeout(fit.asking);
  if (inline) fit.asking = setTimeout(() => askInline(inline[1]), INLINE_PAUSE);
  else $("offers").hidden = true;
});

function fit() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight + 2}px`;
}

function send(text) {
  const { chat } = current();
  if (state.context?.kind === "edit") {
    return connection.act("edit", { chat, message: state.context.message.message_id, text });
  }
  return write(text, state.context?.message.message_id);
}

function write(text, replyTo) {
  const { chat, thread } = current();
  const sent = connection.act("write", { chat, thread, text, reply_to: replyTo });
  if (!sent) toast("Нет связи с программой.");
  return sent;
}

function beginContext(kind, message) {
  state.context = { kind, message };
  $("context").hidden = false;
  $("context-title").textContent = kind === "edit" ? "Изменить" : `Ответ: ${message.from.first_name}`;
  $("context-text").textContent = message.text;
  if (kind === "edit") $("text").value = message.text;
  fit();
  $("text").focus();
}

function endContext() {
  if (state.context?.kind === "edit") $("text").value = "";
  state.context = null;
  $("context").hidden = true;
}

$("context-end").addEventListener("click", endContext);

// The lists above the field: commands, and what the bot offers inline.

$("commands-button").addEventListener("click", () => {
  const opening = $("commands").hidden;
  closeSheets();
  if (!opening) return;
  const lines = state.commands.map(({ command, description }) =>
    sheetLine(`/${command}`, description, "menuitem", () => {
      closeSheets();
      write(`/${command}`);
    }));
  $("commands").replaceChildren(
    ...(lines.length ? lines : [make("p", "", "Бот ещё просыпается…")]));
  $("commands").hidden = false;
  $("commands-button").ariaExpanded = "true";
  lines[0]?.focus();
});

function closeSheets() {
  $("commands").hidden = $("offers").hidden = true;
  $("commands-button").ariaExpanded = "false";
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("commands").hidden) {
    closeSheets();
    $("commands-button").focus();
  }
});

function sheetLine(title, note, role, onClick) {
  const line = make("button");
  line.type = "button";
  line.setAttribute("role", role);
  line.append(make("strong", "", title), make("small", "", note));
  line.addEventListener("click", onClick);
  return line;
}

function askInline(text) {
  connection.act("inline", { chat: current().chat, text });
}

function onOffers({ query, results, button }) {
  const room = current();
  if (query !== state.offers || !room) return;
  const lines = results.map((result) =>
    sheetLine(result.title, result.description, "option", () => {
      connection.act("choose", {
        chat: room.chat, thread: room.thread, query, result: result.id,
      });
      $("text").value = "";
      fit();
      closeSheets();
    }));
  if (button) {
    lines.unshift(sheetLine(button.text, "в чате с ботом", "option", () => {
      $("text").value = "";
      closeSheets();
      location.hash = keyOf(state.me.id);
      openRoom();
      write(`/start ${button.start_parameter}`);
    }));
  }
  $("offers").replaceChildren(...(lines.length ? lines : [make("p", "", "Ничего не нашлось")]));
  $("offers").hidden = false;
}

// Settings.

$("block").addEventListener("change", () => connection.act("block", { blocked: $("block").checked }));

// Another tab may have changed it.
$("menu").addEventListener("toggle", async ({ newState }) => {
  if (newState !== "open") return;
  const [trouble] = await (await fetch("/trouble")).json();
  const name = Object.keys(TROUBLES).find((key) => TROUBLES[key].status === (trouble?.status ?? undefined));
  const chosen = trouble ? name : "none";
  for (const input of document.querySelectorAll("input[name=trouble]")) {
    input.checked = input.value === chosen;
  }
});

for (const input of document.querySelectorAll("input[name=trouble]")) {
  input.addEventListener("change", async () => {
    await fetch("/trouble", { method: "DELETE" });
    const trouble = TROUBLES[input.value];
    if (trouble) await fetch("/trouble", { method: "POST", body: JSON.stringify(trouble) });
  });
}
