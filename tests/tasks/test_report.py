"""The page from files, opened in a real browser where there is one."""

import contextlib
import importlib
import json
import os
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nightmarket.contracts import InputError, Unavailable
from nightmarket.reporting.page import SECTIONS
from tasks import report
from tasks.files import catalogue, storage
from tasks.pipeline import settings
from tests.made_up.browser import CHROMIUM, Browser
from tests.made_up.run import HOSTILE, write_run

SIZES = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A checkout after a night: artifacts, and a champion with its receipt and the gate's word."""
    folder = tmp_path_factory.mktemp("night")
    write_run(folder)
    rows = [{"version": i, "as_of": f"2017-12-{29 + i}", "gate": "opened", "value": 0.4, "figures": {}} for i in (1, 2)]
    (folder / "data/raw/versions.json").write_text(json.dumps(rows))
    deliver(folder, decided=3, delivers=3)
    return folder


def deliver(folder, *, decided, delivers, opened=True):
    champion = folder / "data/champion"
    champion.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder / "artifacts/rank", champion / "rank", dirs_exist_ok=True)
    origin = {
        "as_of": "2018-01-01",
        "run_id": "r" * 32,
        "lock_hash": "1" * 64,
        "commit": "c" * 40,
        "params_sha256": "5" * 64,
    }
    said = {"opened": opened, "against": "version 2", "kind": "champion", "reasons": ["all ndcg@10 +.004 [.001, .007]"]}
    said["differences"] = {"all": {"value": 0.004, "low": 0.001, "high": 0.007}}
    (champion / "receipt.json").write_text(json.dumps({"version": delivers, **origin}))
    (champion / "decision.json").write_text(json.dumps({"version": decided, **origin, **said}))


def page(folder, monkeypatch, lacks=()):
    """The page, which goes without these sections."""
    monkeypatch.chdir(folder)
    report.run(report.Settings())
    assert set(catalogue.PAGE_LACKS.read()) == set(lacks)
    return (folder / report.OUT).read_text(encoding="utf-8")


def test_the_page_is_one_small_file_that_fetches_nothing(night, monkeypatch):
    html = page(night, monkeypatch)
    assert len(html.encode()) < 1_000_000, "the demo’s may have three times as much"
    assert "http://" not in html
    assert "https://" not in html
    assert "<script" not in html
    assert "default-src 'none'; style-src 'sha256-" in html.replace("&#39;", "'")


def test_titles_of_products_are_text_and_nothing_else(night, monkeypatch, tmp_path):
    folder = tmp_path / "night"
    shutil.copytree(night, folder)
    html = page(folder, monkeypatch)
    assert HOSTILE not in html
    assert "&lt;script&gt;alert(&#39;title&#39;)&lt;/script&gt; {{ 7 * 7 }}" in html
    assert "49" not in html.split("{{ 7 * 7 }}")[1][:20]


def test_the_same_files_give_the_same_page(night, monkeypatch):
    assert page(night, monkeypatch) == page(night, monkeypatch)


def test_customers_show_no_more_than_eight_characters_of_their_pseudonym(night, monkeypatch):
    html = page(night, monkeypatch)
    ids = pq.read_table(night / "artifacts/prepare/customers.parquet")["customer_id"].to_pylist()
    shown = [name for name in ids if name[:8] in html]
    assert len(shown) == 3
    assert not any(name[:9] in html for name in ids)


def test_the_page_says_who_delivers_when_the_challenger_was_refused(night, monkeypatch, tmp_path):
    folder = tmp_path / "night"
    shutil.copytree(night, folder)
    deliver(folder, decided=4, delivers=3, opened=False)
    html = page(folder, monkeypatch)
    assert "Version 3, made from the data up to 1 January 2018, still delivers." in html
    assert "Tonight’s model, version 4, was not let through." in html


OPTIONAL = {
    "artifacts/validate/report.json": "The validation report was not there.",
    "artifacts/evaluate/metrics.json": "The evaluation was not there.",
    "artifacts/finetune/history.json": "There was no fine-tuning to report.",
    "artifacts/score/recommendations.parquet": "there is nobody to show",
    "data/champion/decision.json": "the gate has not spoken",
    "data/champion/receipt.json": "No version delivers yet",
    "data/champion/rank/importance.json": "left no record of what moves its scores",
    "artifacts/validate/clean/snapshot.json": "came from “the source”",
    "artifacts/score/summary.json": "nightmarket",
    "artifacts/plan/summary.json": "No plan was made tonight.",
    "artifacts/respond/metrics.json": "No response model was made tonight.",
    "artifacts/respond/drivers.json": "Judged on the last 4 finished campaigns",
    "artifacts/respond/predictions.parquet": "Do its probabilities hold?",
    "artifacts/segment/segments.json": "No segments were made tonight.",
    "artifacts/reviews/topics.json": "Neither reviews nor baskets were read tonight.",
    "artifacts/reviews/products.parquet": "Praise by aspect",
    "artifacts/care/metrics.json": "Nothing was foretold of single customers tonight.",
    "artifacts/demand/metrics.json": "No demand was forecast tonight.",
    "artifacts/demand/forecast.parquet": "There is no forecast: no product type was sold.",
    "artifacts/demand/response.parquet": "The largest product types, the next 4 weeks",
    "artifacts/readout/readout.json": "Nothing was read out tonight.",
    "data/raw/versions.json": "No version is on record yet.",
    "dvc.yaml": "Where this comes from",
}


@pytest.mark.parametrize("missing", OPTIONAL)
def test_what_is_missing_becomes_a_sentence(night, monkeypatch, tmp_path, missing):
    folder = tmp_path / "night"
    shutil.copytree(night, folder)
    (folder / missing).unlink()
    assert OPTIONAL[missing] in page(folder, monkeypatch)


def test_figures_that_do_not_belong_are_refused_in_a_line(night, monkeypatch, tmp_path):
    folder = tmp_path / "night"
    shutil.copytree(night, folder)
    (folder / "artifacts/evaluate/metrics.json").write_text('{"all": {"nightmarket": {"ndcg@10": {"mean": 0.4}}}}')
    with pytest.raises(InputError, match=r"metrics.json: all.nightmarket.ndcg@10.mean: .*run the stage `evaluate`"):
        page(folder, monkeypatch)


def test_a_section_whose_files_are_damaged_costs_itself_alone(night, monkeypatch, tmp_path):
    folder = tmp_path / "night"
    shutil.copytree(night, folder)
    (folder / "artifacts/reviews/products.parquet").write_bytes(b"PAR1")
    (folder / "artifacts/readout/readout.json").write_text('{"experiments": 7}')
    html = page(folder, monkeypatch, lacks=("reviews", "readouts"))
    assert "This section could not be made (InputError)" in html.partition('<section id="reviews"')[2]
    assert html.count("<section") == html.count("</section>") == len(SECTIONS)


def test_a_side_stage_that_failed_is_on_top_of_the_page_and_in_its_section(night, monkeypatch, tmp_path):
    folder = tmp_path / "night"
    shutil.copytree(night, folder)
    shutil.rmtree(folder / "artifacts/segment")
    storage.write_unavailable(Unavailable("segment", "exit code 1, ValueError"), folder / "artifacts/segment")
    html = page(folder, monkeypatch)
    assert '<a href="#segments">Segment failed: exit code 1, ValueError.</a>' in html
    assert (
        "Unavailable tonight: segment failed: exit code 1, ValueError." in html.partition('<section id="segments"')[2]
    )


def test_a_page_without_anything_optional_still_stands(night, monkeypatch, tmp_path):
    folder = tmp_path / "night"
    shutil.copytree(night, folder)
    for missing in OPTIONAL:
        (folder / missing).unlink()
    html = page(folder, monkeypatch)
    assert "No version delivers yet: none has passed the gate." in html
    assert "No version is on record yet." in html


def test_new_products_are_told_with_the_lists_they_stand_on(night, monkeypatch):
    html = page(night, monkeypatch)
    assert "sold for the first time in the four weeks to" in html
    assert re.search(r"New products take [\d,]+ places? on tonight’s lists|No new product stands", html)


def test_the_stages_stand_on_the_page_as_dvc_has_them(night, monkeypatch):
    html = page(night, monkeypatch)
    for stage in (*settings.STAGES, "snapshot", "register"):
        assert f"<b>{stage}</b>" in html


def test_a_real_night_of_a_small_shop_has_every_section(copied_night):
    """The formats are those of the stages themselves, whatever they found in so small a shop."""
    for stage in ("score", "plan", "readout"):
        with contextlib.suppress(InputError):
            importlib.import_module(f"tasks.{stage}").run(settings.load(stage))
    report.run(report.Settings())
    html = report.OUT.read_text(encoding="utf-8")
    assert catalogue.PAGE_LACKS.read() == {}
    for missing in ("No response model was made", "No segments were made", "No demand was forecast"):
        assert missing not in html
    assert html.count("<section") == html.count("</section>") == len(SECTIONS)


OVERLAPS = """(() => {
    const found = [];
    for (const part of document.querySelectorAll("header.top, section")) {
        const boxes = [];
        const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const text = walker.currentNode, inside = text.parentElement;
            if (!text.data.trim() || inside.closest(".unseen, style")) continue;
            const range = document.createRange();
            range.selectNodeContents(text);
            for (const box of range.getClientRects())
                if (box.width > 1 && box.height > 1) boxes.push([box, text.data.trim().slice(0, 30)]);
        }
        for (let i = 0; i < boxes.length; i++)
            for (let j = i + 1; j < boxes.length; j++) {
                const [a, b] = [boxes[i][0], boxes[j][0]];
                const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                if (across > 2 && down > 6) found.push(`${part.id}: ${boxes[i][1]} | ${boxes[j][1]}`);
            }
    }
    return found;
})()"""
"""Pairs of texts of a section that lie on each other by more than 2 px across and 6 px down (line boxes touch)."""


FAINT = """(() => {
    const parts = text => text.match(/[\\d.]+/g).map(Number);
    const light = colour => {
        const [r, g, b] = colour.slice(0, 3).map(part => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        for (; element; element = element.parentElement) {
            const colour = parts(getComputedStyle(element).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const inside = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
        if (!text || !inside.checkVisibility()) continue;
        const style = getComputedStyle(inside);
        const ink = light(parts(inside.closest("svg") ? style.fill : style.color)), paper = light(behind(inside));
        const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${inside.className} ${text.slice(0, 30)}`);
    }
    return [...new Set(found)];
})()"""
"""Texts whose contrast with what lies behind them is below 4.5."""

UNTOLD = """[
    ...[...document.querySelectorAll("svg")].filter(one =>
        !one.closest("[aria-hidden=true]") && !(one.getAttribute("role") === "img" && one.getAttribute("aria-label"))),
    ...[...document.querySelectorAll("table")].filter(one => !one.caption || !one.caption.textContent.trim()),
    ...document.querySelectorAll("th:not([scope])"),
    ...[...document.querySelectorAll("main section")].filter(one =>
        !document.getElementById(one.getAttribute("aria-labelledby"))),
    ...[...document.querySelectorAll("a")].filter(one => !document.querySelector(one.getAttribute("href"))),
].map(one => one.outerHTML.slice(0, 80))"""
"""Pictures without a text, tables without a caption, headers without a scope, sections without a name, links to
nowhere."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine: the page was not opened in a browser")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def test_a_browser_shows_the_page_without_a_complaint_and_asks_nobody_for_anything(
    night, monkeypatch, browser, tmp_path
):
    page(night, monkeypatch)
    browser.open((night / report.OUT).as_uri())
    browser.value("document.querySelectorAll('details').forEach(part => part.open = true), 1")
    pictures = Path(os.environ.get("NIGHTMARKET_PICTURES", tmp_path))
    paper = set()
    for width, scheme in SIZES:
        browser.size(width, scheme)
        assert browser.value("document.documentElement.scrollWidth") <= width
        paper.add((scheme, browser.value("getComputedStyle(document.body).backgroundColor")))
        (pictures / f"report-{width}-{scheme}.png").write_bytes(browser.picture())
        overlaps = browser.value(OVERLAPS)
        assert overlaps == [], f"texts lie on each other at {width} px"
    assert len({colour for _, colour in paper}) == len(paper) == 2
    told = [event for event in browser.events if event["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled")]
    assert told == []
    asked = [
        event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert all(address.startswith("file:") for address in asked)


def shown(night, monkeypatch, browser, width=1280, scheme="light"):
    """The page in the browser, everything unfolded."""
    page(night, monkeypatch)
    browser.open((night / report.OUT).as_uri())
    browser.size(width, scheme)
    browser.value("document.querySelectorAll('details').forEach(part => part.open = true), 1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_lies_behind_it(night, monkeypatch, browser, scheme):
    shown(night, monkeypatch, browser, scheme=scheme)
    assert browser.value(FAINT) == []


def test_what_is_seen_is_told_to_a_screen_reader_too(night, monkeypatch, browser):
    shown(night, monkeypatch, browser)
    assert browser.value("document.querySelectorAll('svg').length") > 20
    assert browser.value(UNTOLD) == []
    count = "['header', 'nav', 'main', 'footer'].map(name => document.querySelectorAll('body ' + name).length)"
    assert browser.value(count) == [1, 1, 1, 1]
    assert browser.value("document.documentElement.lang") == "en"


def press(browser, key, code):
    for kind in ("keyDown", "keyUp"):
        text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
        browser.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)


def test_the_keyboard_alone_leads_through_the_page(night, monkeypatch, browser):
    shown(night, monkeypatch, browser)
    still = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.ask("Emulation.setEmulatedMedia", features=still)
    everything = browser.value("document.querySelectorAll('a, summary').length")
    focused = """(() => {
        const one = document.activeElement, box = one.getBoundingClientRect();
        return [one.tagName + one.className, getComputedStyle(one).outlineStyle !== "none",
                box.left >= 0 && box.right <= innerWidth && box.bottom > 0 && box.top < innerHeight];
    })()"""
    for number in range(everything):
        press(browser, "Tab", 9)
        name, outlined, inside = browser.value(focused)
        assert name.startswith(("A", "SUMMARY"))
        assert (outlined, inside) == (True, True), f"{name}, number {number}"
        if number == 0:
            assert name == "Askip"
    press(browser, "Tab", 9)
    assert browser.value(focused)[0] == "BODY", "every link and fold had its turn"


def test_the_skip_link_leads_past_the_contents(night, monkeypatch, browser):
    shown(night, monkeypatch, browser)
    press(browser, "Tab", 9)
    press(browser, "Enter", 13)
    assert browser.value("location.hash + ' ' + document.activeElement.id") == "#main main"


def test_on_paper_nothing_is_hidden_but_what_is_for_the_screen(night, monkeypatch, browser):
    page(night, monkeypatch)
    browser.open((night / report.OUT).as_uri())
    browser.size(794, "light")
    browser.ask("Emulation.setEmulatedMedia", media="print")
    hidden = "['nav', '.back', '.skip'].map(name => document.querySelector(name).checkVisibility())"
    assert browser.value(hidden) == [False, False, False]
    tables = "[...document.querySelectorAll('details table')].map(one => one.getBoundingClientRect().height)"
    assert min(browser.value(tables)) > 20, "what is folded is printed"
    assert browser.value("document.documentElement.scrollWidth") <= 794
    browser.ask("Emulation.setEmulatedMedia", media="")
