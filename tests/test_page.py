"""The chat page in a real browser, with the bot and the fast model behind it.

HOROSCOPE_SCREENSHOT=docs/images/chat.png writes the picture for the README.
"""

import os
import re
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from local_telegram import product_in
from playwright.async_api import Browser, Page, async_playwright, expect
from test_worker import Quill

from horoscope.demo.server import serving
from horoscope.demo.telegram import Telegram
from horoscope.generation.generator import HoroscopeGenerator

CHROMIUM = shutil.which("chromium")
# As root in a container, with no network: nothing of its own to look for out there.
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    assert CHROMIUM, "tests/install_servers.sh installs chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def person(browser: Browser, url: str, name: str, **device: Any) -> AsyncIterator[Page]:
    """A person in a tab, in which nothing goes wrong and nothing is asked of other hosts."""
    wrong: list[str] = []
    context = await browser.new_context(locale="ru", **device)
    page = await context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda r: None if r.url.startswith(url) else wrong.append(r.url))
    await page.goto(url)
    await page.get_by_label("Как вас зовут?").fill(name)
    await page.get_by_role("button", name="Войти").click()
    yield page
    assert not wrong
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide), "the page is wider than the screen"
    await context.close()


async def write(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Сообщение")
    await field.fill(text)
    await field.press("Enter")


def said(page: Page, text: str | re.Pattern[str]) -> Any:
    return page.get_by_role("log").locator(".message", has_text=text)


async def test_a_person_talks_with_the_bot(browser: Browser, tmp_path: Path) -> None:
    async with product_in(Telegram(rates=True), tmp_path, HoroscopeGenerator("fast")) as url:
        size = {"width": 1180, "height": 860}
        async with person(browser, url, "Аня", viewport=size, device_scale_factor=2) as anya:
            await anya.get_by_role("button", name="Начать").click()
            await said(anya, "Здравствуйте").get_by_role("button", name="Лев").click()
            answer = said(anya, re.compile("^Звёзды: ♌️ Лев"))
            await expect(answer).to_be_visible(timeout=30_000)
            await expect(anya.locator(".buttons .waiting")).to_have_count(0)
            if picture := os.environ.get("HOROSCOPE_SCREENSHOT"):
                await anya.screenshot(path=picture)
            await answer.get_by_role("button", name="Любовь").click()
            await expect(said(anya, "Лев · любовь")).to_be_visible(timeout=30_000)
            await write(anya, "/sign весы")
            await expect(said(anya, "Запомнил")).to_be_visible(timeout=30_000)
            await anya.get_by_role("button", name="Команды бота").click()
            await anya.get_by_role("menuitem", name="/today").click()
            await expect(said(anya, "Весы · ")).to_be_visible(timeout=30_000)
            await anya.reload()
            await expect(anya.locator("#me-name")).to_have_text("Аня")
            await expect(said(anya, "Весы · ")).to_be_visible()


async def test_a_text_grows_and_can_be_stopped(browser: Browser, tmp_path: Path) -> None:
    go_on = threading.Semaphore(0)
    writer = Quill(lambda index, sentence: go_on.acquire(timeout=20) and None)
    async with (
        product_in(Telegram(), tmp_path, writer) as url,
        person(browser, url, "Аня", **PHONE) as anya,
    ):
        await anya.get_by_role("button", name="Начать").click()
        await said(anya, "Здравствуйте").get_by_role("button", name="Рак").click()
        await expect(anya.get_by_role("status").first).to_have_text("печатает…")
        go_on.release()
        growing = anya.locator(".growing")
        await expect(growing).to_contain_text("0.")
        go_on.release()
        await expect(growing).to_contain_text("1.")
        await growing.get_by_role("button", name="Остановить").click()
        await expect(growing.get_by_role("button")).to_have_count(0)
        go_on.release(5)
        answer = said(anya, "♋️ Рак").last
        await expect(answer).to_be_visible(timeout=10_000)
        await expect(growing).to_have_count(0)


async def test_people_meet_in_a_group_and_send_what_the_bot_offers(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        product_in(Telegram(), tmp_path) as url,
        person(browser, url, "Аня", color_scheme="dark") as anya,
        person(browser, url, "Борис", **PHONE) as boris,
    ):
        await anya.get_by_role("button", name="Компания друзей").click()
        await boris.get_by_role("button", name="К списку чатов").click()
        await boris.get_by_role("button", name="Компания друзей").click()
        await write(boris, "Кто тут лев?")
        question = said(anya, "Кто тут лев?")
        await question.hover()
        await question.get_by_role("button", name="Ответить").click()
        await write(anya, "Я! <b>Не жирно</b>")
        await expect(said(boris, "Я! <b>Не жирно</b>")).to_contain_text("Кто тут лев?")
        await write(anya, "/generate лев")
        await expect(said(boris, re.compile("Звёзды.*♌️ Лев"))).to_be_visible()
        await boris.get_by_role("textbox").fill("@stars_bot рыбы")
        await boris.get_by_role("option", name="Рыбы").click()
        await expect(said(anya, "через @stars_bot")).to_contain_text("Рыбы")
        await said(anya, "Я!").hover()
        await said(anya, "Я!").get_by_role("button", name="Изменить").click()
        await write(anya, "Я, конечно")
        await expect(said(boris, "Я, конечно")).to_be_visible()
        assert await anya.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_troubles_begin_and_end_on_the_page(browser: Browser, tmp_path: Path) -> None:
    telegram = Telegram()
    async with product_in(telegram, tmp_path) as url, person(browser, url, "Аня") as anya:
        await anya.get_by_role("button", name="Настройки").click()
        await anya.get_by_text("Болеет").click()
        await expect(anya.get_by_label("Болеет")).to_be_checked()
        async with anya.expect_response("**/trouble"):
            await anya.get_by_text("Всё работает").click()
        await anya.get_by_text("Заблокировать бота").click()
        await anya.keyboard.press("Escape")
        await anya.get_by_role("button", name="Начать").click()
        await expect(said(anya, "/start")).to_be_visible()
        assert telegram.chats[min(telegram.people)].blocked


async def test_a_tab_comes_back_when_the_program_does(
    browser: Browser, unused_tcp_port: int
) -> None:
    page = await browser.new_page()
    first, second = Telegram(), Telegram()
    async with serving(first, unused_tcp_port) as url:
        await page.goto(url)
        await page.get_by_role("button", name="Войти").click()
        await expect(page.get_by_role("button", name="Начать")).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_visible()
    async with serving(second, unused_tcp_port):
        await expect(page.get_by_role("alert")).to_be_hidden(timeout=20_000)
        await page.get_by_role("button", name="Начать").click()
        await expect(said(page, "/start")).to_be_visible()
        assert second.people == first.people
