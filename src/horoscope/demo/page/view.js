// What is seen of a message, a draft, a room.

import { hueOf, initials, timeOf, wordsOf } from "./words.js";

const REPLY = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M10 6L4 12l6 6M4 12h9a7 7 0 0 1 7 7"/></svg>';
const EDIT = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 20l1-5L16 4l4 4L9 19z"/></svg>';

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Give an avatar its face: the bot's, or a person's initials. */
export function face(avatar, user) {
  avatar.classList.toggle("bot", Boolean(user.is_bot));
  avatar.textContent = user.is_bot ? "" : initials(user.title ?? user.first_name);
  avatar.style.setProperty("--hue", hueOf(user.id));
  avatar.setAttribute("aria-hidden", "true");
}

/** One message. `on` says what happens when one taps, replies, edits, or clicks a command. */
export function messageView(message, mine, inGroup, on) {
  const item = make("li", mine ? "message mine" : "message");
  item.dataset.id = message.message_id;
  if (inGroup && !mine) {
    const avatar = make("span", "avatar");
    face(avatar, message.from);
    item.append(avatar);
  }
  const column = make("div", "column");
  const bubble = make("div", "bubble");
  if (inGroup && !mine) {
    const author = make("span", "author", message.from.first_name);
    author.style.setProperty("--hue", hueOf(message.from.id));
    bubble.append(author);
  } else if (!inGroup) {
    bubble.append(make("span", "for-ears", mine ? "Вы: " : `${message.from.first_name}: `));
  }
  if (message.via_bot) bubble.append(make("span", "via", `через @${message.via_bot.username}`));
  if (message.reply_to_message) bubble.append(answered(message.reply_to_message, on));
  bubble.append(wordsOf(message.text, message.entities, on.command));
  const edited = message.edit_date && mine ? "изменено " : "";
  bubble.lastElementChild.append(make("span", "when", edited + timeOf(message.date)));
  column.append(bubble);
  const rows = message.reply_markup?.inline_keyboard;
  if (rows) column.append(buttons(rows, message, on));
  const acts = make("span", "acts");
  if (inGroup) acts.append(act("Ответить", REPLY, () => on.reply(message)));
  if (mine && !message.via_bot) acts.append(act("Изменить", EDIT, () => on.edit(message)));
  if (mine) item.append(acts, column);
  else item.append(column, acts);
  return item;
}

function answered(message, on) {
  const quote = make("button", "answered");
  quote.type = "button";
  quote.append(make("strong", "", message.from.first_name), make("span", "", message.text));
  quote.addEventListener("click", () => on.find(message.message_id));
  return quote;
}

function buttons(rows, message, on) {
  const board = make("div", "buttons");
  for (const row of rows) {
    const line = make("div");
    for (const { text, callback_data: data } of row) {
      const button = make("button", "", text);
      button.type = "button";
      button.addEventListener("click", () => on.tap(message, data, button));
      line.append(button);
    }
    board.append(line);
  }
  return board;
}

function act(label, picture, onClick) {
  const button = make("button", "icon");
  button.type = "button";
  button.ariaLabel = button.title = label;
  button.innerHTML = picture; // one of the constants above
  button.addEventListener("click", onClick);
  return button;
}

/** The text that the bot is writing, with the part that is new in it. */
export function draftView(draft, before, onStop) {
  const column = make("div", "column growing");
  const bubble = make("div", "bubble");
  const entities = [...draft.entities];
  if (before && draft.text.startsWith(before) && draft.text.length > before.length) {
    const length = draft.text.length - before.length;
    entities.push({ type: "fresh", offset: before.length, length });
  }
  bubble.append(wordsOf(draft.text, entities));
  column.append(bubble);
  if (draft.can_stop) {
    const stop = make("button", "stop", "Остановить");
    stop.type = "button";
    stop.addEventListener("click", onStop);
    column.append(stop);
  }
  return column;
}

/** Three dots: somebody is writing. */
export function dotsView() {
  const bubble = make("div", "bubble dots");
  bubble.append(make("i"), make("i"), make("i"));
  bubble.setAttribute("aria-hidden", "true");
  const column = make("div", "column");
  column.append(bubble);
  return column;
}

/** A line of the list of rooms. */
export function roomView(room, current, unread, onOpen) {
  const item = make("li");
  const button = make("button");
  button.type = "button";
  if (current) button.setAttribute("aria-current", "true");
  const avatar = make("span", "avatar");
  face(avatar, room);
  const who = make("span", "who");
  who.append(make("strong", "", room.title), make("small", "", lastLine(room)));
  button.append(avatar, who);
  if (unread) {
    const badge = make("span", "badge", unread);
    badge.ariaLabel = `непрочитанных: ${unread}`;
    button.append(badge);
  }
  button.addEventListener("click", onOpen);
  item.append(button);
  return item;
}

function lastLine(room) {
  const last = [...room.messages.values()].at(-1);
  if (!last) return room.note;
  const author = room.inGroup ? `${last.from.first_name}: ` : "";
  return author + last.text.replaceAll("\n", " ");
}

/** What stands in a room where nobody has said anything yet. */
export function emptyView(room) {
  const box = make("li", "empty");
  const avatar = make("div", "avatar");
  face(avatar, room);
  box.append(avatar, make("h2", "", room.title), make("p", "", room.invitation));
  return box;
}
