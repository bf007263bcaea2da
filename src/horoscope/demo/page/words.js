// A message's words: text with entities, turned into elements. Never into markup.

const TAGS = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote",
};

/** The text of a message as elements; `onCommand` is called with a command that is clicked. */
export function wordsOf(text, entities = [], onCommand = null) {
  const words = document.createElement("div");
  words.className = "words";
  words.dir = "auto";
  words.append(...pieces(text, entities, 0, text.length, onCommand));
  return words;
}

function pieces(text, entities, from, to, onCommand) {
  const nodes = [];
  let at = from;
  let rest = entities;
  while (rest.length) {
    const [entity, ...others] = rest;
    const end = Math.min(entity.offset + entity.length, to);
    if (entity.offset < at || end <= entity.offset) { rest = others; continue; }
    nodes.push(text.slice(at, entity.offset));
    const inner = others.filter((other) => other.offset < end);
    const element = elementFor(entity, text.slice(entity.offset, end), onCommand);
    element.append(...pieces(text, inner, entity.offset, end, onCommand));
    nodes.push(element);
    at = end;
    rest = others.filter((other) => other.offset >= end);
  }
  nodes.push(text.slice(at, to));
  return nodes.filter((node) => node !== "");
}

function elementFor(entity, words, onCommand) {
  if (entity.type === "bot_command" && onCommand) {
    const button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", () => onCommand(words));
    return button;
  }
  const element = document.createElement(TAGS[entity.type] ?? "span");
  element.className = entity.type;
  return element;
}

/** Initials for an avatar. */
export function initials(name) {
  const parts = name.trim().split(/\s+/);
  return parts.slice(0, 2).map((part) => [...part][0] ?? "").join("").toUpperCase();
}

/** A hue that belongs to a number for ever. */
export const hueOf = (number) => Math.abs(number * 79) % 360;

export function timeOf(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("ru", { hour: "2-digit", minute: "2-digit" });
}
