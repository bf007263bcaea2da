"""Everything the bot says."""

from datetime import date as Date

from aiogram.utils.formatting import Bold, Text

from horoscope.messaging.messages import ErrorCode, HoroscopeReply, HoroscopeRequest
from horoscope.zodiac import Sign, Topic

LONGEST_BODY = 3500  # UTF-16 units; Telegram takes 4096, the title and a wide margin included
MONTHS = "января февраля марта апреля мая июня июля августа сентября октября ноября декабря".split()

COMMANDS = {
    "generate": "новый гороскоп: /generate лев любовь",
    "today": "гороскоп на сегодня",
    "sign": "запомнить мой знак",
    "forget": "забыть обо мне всё",
    "help": "что я умею",
}

START = (
    "Здравствуйте! Я пишу гороскопы ✨\n\n"
    "Выберите свой знак — или просто напишите его: «лев», ♌️ или день рождения, «5 августа».\n\n"
    "Только не принимайте меня слишком всерьёз: тексты придумывает небольшая нейросеть, "
    "и звёзды за них не отвечают. Это для улыбки."
)
HELP = (
    "Что я умею:\n\n"
    "/generate лев — новый гороскоп; можно добавить тему: «лев любовь» или «лев работа»\n"
    "/today — гороскоп на сегодня, один на всех с вашим знаком\n"
    "/sign лев — запомню ваш знак, и дальше его можно не называть\n"
    "/forget — забуду всё, что о вас помню\n\n"
    "Команды необязательны: напишите знак или день рождения словами или цифрами. "
    "А в любом другом чате наберите @{username} и знак — я предложу гороскоп дня.\n\n"
    "Честно: гороскопы пишет машина, небольшая нейросеть, и только для развлечения. "
    "Важные решения принимайте сами 🙂"
)
CHOOSE = "Для какого знака написать?"
CHOOSE_TODAY = "Для какого знака показать гороскоп на сегодня?"
CHOOSE_OWN = "Какой знак ваш? Я запомню."
MISSPELT = "Такого знака не знаю. Может быть, этот?"
UNSURE = "Кажется, я понял не всё. Вам гороскоп для этого знака?"
NOT_UNDERSTOOD = "Не понял, какой вам нужен знак. Выберите, пожалуйста:"
ONLY_WORDS = "Такое я читать не умею, только слова. Напишите свой знак или выберите его:"
UNKNOWN_COMMAND = "Такой команды я не знаю. Список того, что я умею: /help"
FORGOTTEN = "Готово: я забыл о вас всё, что помнил."
OLD_BUTTON = "Эта кнопка устарела. Напишите /start — пришлю новые."

BUSY = "Ваш прошлый гороскоп ещё пишется, секунду…"
PERSON_LIMIT = "Так быстро звёзды не успевают. Подождите, пожалуйста, минуту."
GROUP_LIMIT = "В этом чате сейчас много желающих. Подождите, пожалуйста, минуту."
LATER = "Простите, у меня неполадки. Я запомнил вашу просьбу и отвечу чуть позже."
MISSED = "Простите, меня какое-то время не было на связи. Если ещё интересно, спросите снова."
ERRORS = {
    ErrorCode.EXPIRED: "Простите, я не успел вовремя. Если ещё интересно, попробуем снова?",
    ErrorCode.GENERATION_FAILED: (
        "Простите, в этот раз у меня ничего хорошего не написалось. Попробуем ещё раз?"
    ),
}

ANOTHER_BUTTON = "🔄 Ещё один"
OTHER_SIGN_BUTTON = "♈️ Другой знак"
TODAY_BUTTON = "☀️ На сегодня"
FRESH_BUTTON = "✨ Новый"
TOPIC_BUTTONS = {
    Topic.GENERAL: "✨ Общий",
    Topic.LOVE: "❤️ Любовь",
    Topic.BUSINESS: "💼 Работа",
}
INLINE_BUTTON = "Выбрать свой знак"


def sign_name(sign: Sign) -> str:
    """«♌️ Лев»."""
    return f"{sign.emoji} {sign.russian}"


def remembered(sign: Sign) -> str:
    """The sign is remembered."""
    return f"Запомнил: {sign_name(sign)}. Теперь достаточно /generate или /today."


def your_sign(sign: Sign) -> str:
    """The sign that is remembered, and may be changed."""
    return f"Ваш знак — {sign_name(sign)}. Если это не так, выберите другой:"


def title(request: HoroscopeRequest) -> str:
    """«♌️ Лев · любовь», or of the day «♌️ Лев · 5 августа»."""
    parts = [sign_name(request.sign)]
    if request.topic is not Topic.GENERAL:
        parts.append(request.topic.russian.lower())
    if request.seed is None:
        parts.append(_day(request.date))
    return " · ".join(parts)


def horoscope(request: HoroscopeRequest, text: str) -> Text:
    """The answer. Its markup is entities beside the text, so nothing in the text can break it."""
    return Text(Bold(title(request)), "\n\n", _within_limit(text))


def answer(reply: HoroscopeReply) -> Text:
    """What a person gets for a request: the horoscope, or an apology."""
    if reply.text:
        return horoscope(reply.request, reply.text)
    return Text(ERRORS[reply.error or ErrorCode.GENERATION_FAILED])


def _within_limit(text: str) -> str:
    encoded = text.encode("utf-16-le")
    if len(encoded) <= 2 * LONGEST_BODY:
        return text
    return encoded[: 2 * LONGEST_BODY].decode("utf-16-le", "ignore") + "…"


def _day(date: Date) -> str:
    return f"{date.day} {MONTHS[date.month - 1]}"
