"""The shop window in a real browser: be a visitor, look around, and see the lists change."""

import re
import time

import httpx
import pytest

from tests.apps.small import PRODUCTS, write_bundle
from tests.made_up.browser import CHROMIUM, Browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
KNOWN = "0" * 31 + "1"


@pytest.fixture
def window(serve, tmp_path):
    """The address of the page, with its key."""
    write_bundle(tmp_path, lists={KNOWN: ["p20", "p21"]})
    served = serve(module="tests.apps.small_shop", workers=1)
    return served, re.findall(r"serving on (http://\S+)", served.said())[-1]


@pytest.fixture
def browser(tmp_path):
    chromium = Browser(tmp_path / "profile")
    yield chromium
    chromium.close()


def turned(browser, act, turns=1):
    """Do something in the page and wait until it has answered."""
    before = int(browser.value("document.body.dataset.turn || 0"))
    browser.value(act)
    until(browser, f"Number(document.body.dataset.turn || 0) >= {before + turns}")


def until(browser, condition):
    deadline = time.monotonic() + 60
    while not browser.value(condition):
        assert time.monotonic() < deadline, browser.value("document.body.innerText")
        time.sleep(0.05)


def shown(browser, place="list"):
    items = f"[...document.querySelectorAll('#{place} li')]"
    return browser.value(f"{items}.map(li => li.dataset.product).join()").split(",")


def test_a_visitor_looks_around_and_the_lists_change_at_once(window, browser):
    served, address = window
    browser.ask("Page.enable")
    browser.ask("Log.enable")
    browser.ask("Page.navigate", url=address)
    until(browser, "document.querySelectorAll('#list li').length === 12")
    assert shown(browser) == PRODUCTS[:12]
    assert "Title of p3" in browser.value("document.getElementById('list').innerText")
    turned(browser, "document.querySelector('li[data-product=p7] [data-kind=view]').click()")
    assert shown(browser)[0] == "p7"
    assert shown(browser, "seen") == ["p7"]
    turned(browser, "document.querySelector('li[data-product=p5] [data-kind=cart]').click()")
    assert shown(browser)[:2] == ["p5", "p7"]
    assert shown(browser, "basket") == ["p5"]
    assert "of version 1" in browser.value("document.getElementById('list').innerText")
    turned(browser, "(v => { v.selectedIndex = 1; v.onchange(); })(document.getElementById('visitor'))")
    assert shown(browser)[:3] == ["p20", "p21", "p0"]
    assert shown(browser, "basket") == [""]
    turned(browser, "document.getElementById('language').click()")
    assert "为你推荐" in browser.value("document.body.innerText")
    assert browser.value("document.documentElement.lang") == "zh"
    wrong = [event for event in browser.events if event["method"] == "Log.entryAdded"
             and event["params"]["entry"]["level"] == "error" and "favicon" not in str(event)]  # fmt: skip
    assert not wrong
    assert httpx.get(f"{served.url}/shop/visitors").status_code == 401


def test_without_the_key_the_page_shows_nothing_of_anybody(window, browser):
    _, address = window
    browser.ask("Page.navigate", url=address.partition("#")[0])
    until(browser, "document.getElementById('said') && document.getElementById('said').textContent.includes('401')")
    assert shown(browser) == [""]
