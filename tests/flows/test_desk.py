"""A day at the desk in a real browser, on real servers: a marketer, who approves, an engineer and an auditor."""

import contextlib
import re
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml

from nightmarket.copywriting.facts import CopyFacts, Product
from nightmarket.copywriting.writers.prompt import as_data
from tasks.desk import accounts
from tasks.files import catalogue
from tests.flows.test_campaign import PLAN
from tests.made_up.browser import CHROMIUM, Browser

pytestmark = [pytest.mark.browser, pytest.mark.prefect]
PASSWORD = "four words of one's own"
FACTS = as_data(CopyFacts("en", "Corner Market", "USD", Product("Bananas", category="bananas")))
COMPOSE = f"""
import pyarrow as pa

from tasks.files import storage
from tasks.pipeline.settings import StageSettings


class Settings(StageSettings):
    pass


def run(settings):
    row = {{"brief": "1|o|sms|en", "segment": "1", "offer": "o", "channel": "sms", "locale": "en", "form": "sms"}}
    rows = [row | {{"place": 1, "text": "Bananas. Corner Market", "writer": "template"}}]
    storage.write_table(pa.Table.from_pylist(rows), storage.ARTIFACTS / "compose/copy.parquet")
    storage.write_json({{"facts": {{"1|o|sms|en": {FACTS!r}}}}}, storage.ARTIFACTS / "compose/summary.json")
"""
SNAPSHOT = """
from tasks.pipeline.settings import StageSettings


class Settings(StageSettings):
    source: str = "demo"
    folders: tuple[dict, ...] = ()
    zone: str = "UTC"
    ids: tuple[str, ...] = ()
"""
MORE = """    name: str = "campaign"
    kind: str | None = None
    currency: str = "USD"
    max_per_customer: int = 2
    holdout: float = 0.1
"""
UNNAMED = """
[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]
    .filter(e => !e.labels.length && !e.ariaLabel).map(e => e.name).join()
"""


@pytest.fixture
def planning_shop(shop):
    """The project with two versions, and a plan and texts on top of them."""
    plan = PLAN.replace('    name: str = "campaign"\n', MORE)
    plan = plan.replace("dict[str, dict[str, float]]", "dict[str, dict[str, float | None]]")
    plan = plan.replace('{"cost": 0.01}', '{"cost": 0.01, "capacity": 500}')
    plan = plan.replace('{"cost": 0.05}', '{"cost": 0.05, "capacity": None}')
    (shop.home / "tasks/plan.py").write_text(plan)
    (shop.home / "tasks/compose.py").write_text(COMPOSE)
    (shop.home / "tasks/snapshot.py").write_text(SNAPSHOT)
    dag = yaml.safe_load((shop.home / "dvc.yaml").read_text())
    for name, deps in (("plan", ["artifacts/rank"]), ("compose", ["artifacts/plan"])):
        dag["stages"][name] = {
            "cmd": f"python -m tasks {name}", "deps": [*deps, f"tasks/{name}.py"], "outs": [f"artifacts/{name}"],
            "meta": {"phase": "deliver"}, **({"params": ["plan"]} if name == "plan" else {}),
        }  # fmt: skip
    (shop.home / "dvc.yaml").write_text(yaml.safe_dump(dag, sort_keys=False))
    params = yaml.safe_load((shop.home / "params.yaml").read_text())
    params |= {"plan": {"budget": 0}, "desk": {"second_person_above": 1}}
    (shop.home / "params.yaml").write_text(yaml.safe_dump(params))
    with (shop.home / ".gitignore").open("a") as file:
        file.write("/exports/\n")
    shop.git("add", "--all")
    shop.git("commit", "--quiet", "--message", "a plan")
    kinds = {name: ["Bananas"] for name in ("product_id", "title", "brand", "type", "category", "department")}
    catalogue.PRODUCTS.at(shop.home).write(pd.DataFrame(kinds | {"item": [0]}))
    for name, role in (("Li", "marketer"), ("Wang", "marketer"), ("Chen", "engineer"), ("Zhao", "auditor")):
        accounts.invite(shop.home, name, [role])
    return shop


@pytest.fixture
def desk(planning_shop, prefect_tables):
    """`make ui` in the project; the project, and the link for the first account."""
    prefect_tables(planning_shop.home)
    env = {key: value for key, value in planning_shop.env.items() if not key.startswith("PREFECT_API_")}
    with subprocess.Popen(
        [sys.executable, "-m", "flows.ui"], cwd=planning_shop.home, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield planning_shop, re.search(r"http://\S+/invitation\?secret=\S+", "".join(said))[0]
        process.terminate()
        process.stdout.read()


class Person:
    """Somebody at a browser, whose clicks are counted; every page that they come to is looked at."""

    def __init__(self, browser, address, pictures):
        self.browser, self.address, self.pictures, self.clicks = browser, address, pictures, 0

    def value(self, expression):
        """What it gives; asked again where the page loaded itself anew meanwhile."""
        for _ in range(5):
            with contextlib.suppress(AssertionError):
                return self.browser.value(expression)
        return self.browser.value(expression)

    def open(self, path):
        self.browser.ask("Page.navigate", url=path if "://" in path else self.address + path)
        self.until("document.readyState === 'complete' && document.querySelectorAll('h1').length === 1")
        self.look()

    def until(self, condition):
        deadline = time.monotonic() + 240
        while not self.value(condition):
            assert time.monotonic() < deadline, self.value("document.body.innerText")
            time.sleep(0.1)

    def look(self):
        """A picture on a phone and on a desk; nothing is wider than the phone, every field has a name."""
        title = re.sub(r"\W+", "-", self.value("document.title"))
        for width, scheme in ((390, "dark"), (1200, "light")):
            self.browser.size(width, scheme)
            assert self.value("document.documentElement.scrollWidth") <= width, title
            (self.pictures / f"{title}{width}.png").write_bytes(self.browser.picture())
        assert self.value(UNNAMED) == "", title

    def fill(self, **fields):
        for name, value in fields.items():
            self.value(f"document.querySelector('main [name={name}]').value = {value!r}")

    def click(self, text, count=True):
        """On the link or button that bears this text."""
        self.clicks += count
        self.value("window.before = true")
        which = "[...document.querySelectorAll('a, button')]"
        there = f"{which}.find(e => e.textContent.replace(/\\s+/g, ' ').trim() === {text!r})"
        assert self.value(f"!!{there}"), self.value("document.body.innerText")
        self.value(f"{there}.click()")
        self.until("!window.before && document.readyState === 'complete' && !!document.querySelector('h1')")
        self.look()

    def log_in(self, name):
        self.clicks = 0
        self.open("/login")
        self.fill(name=name, password=PASSWORD)
        self.click("Log in")

    def sees(self, text):
        self.until(f"!!document.body && document.body.innerText.includes({text!r})")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.timeout(900)
def test_a_day_at_the_desk(desk, tmp_path):
    shop, link = desk
    browser, pictures, downloads = Browser(tmp_path / "profile"), tmp_path / "pictures", tmp_path / "downloads"
    pictures.mkdir()
    try:
        for domain in ("Page", "Log", "Network"):
            browser.ask(f"{domain}.enable")
        browser.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        person = Person(browser, link.partition("/invitation")[0], pictures)
        person.open(link)
        person.fill(name="Ada", password=PASSWORD, again=PASSWORD)
        person.click("Set the password")
        person.sees("Nothing waits.")
        for name in ("Li", "Wang", "Chen", "Zhao"):  # whose links Ada would hand over
            secret = accounts.invite(shop.home, name, accounts.read(shop.home)[name]["roles"])
            accounts.accept(shop.home, secret, "", PASSWORD)
        person.click("Log out")
        a_campaign(person, shop, downloads)
        a_rollback(person)
        person.log_in("Zhao")
        person.click("On record")
        person.fill(text="spring")
        person.click("Search")
        person.sees("campaign spring: exported")
        person.click("campaign spring: exported")
        person.sees("approved by Wang")
        person.sees("refs/runs/campaign-spring-")
        assert person.clicks <= 6
        asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
        assert {url for url in asked if not url.startswith((person.address, "data:"))} == set()
        errors = [event for event in browser.events if event["method"] == "Log.entryAdded"
                  and event["params"]["entry"]["level"] == "error" and "favicon" not in str(event)]  # fmt: skip
        assert not [event for event in errors if "422" not in str(event)]
    finally:
        browser.close()


def a_campaign(person, shop, downloads):
    """One plans and edits, another approves and downloads."""
    person.log_in("Li")
    person.click("Campaigns")
    person.click("Plan a campaign")
    person.fill(name="spring", budget="8", start="2018-01-02", end="2018-01-05")
    person.click("Make the plan")
    person.sees("waiting for approval")
    person.click("spring")
    person.sees("a second person approves; you planned it")
    person.click("Edit 1|o|sms|en")
    person.fill(**{"text-sms": "Bananas are free. Corner Market"})
    person.click("Check and keep")
    person.sees("Not kept")
    person.fill(**{"text-sms": "Bananas for you. Corner Market"})
    person.click("Check and keep")
    person.sees("The text was checked and kept.")
    person.click("Log out")
    so_far = person.clicks
    person.log_in("Wang")
    person.click("Look and decide: spring")
    person.sees("Bananas for you")
    person.click("Approve and export")
    person.sees("Download send.csv")
    assert so_far + person.clicks <= 12
    person.value("document.querySelector('a[href$=\"send.csv\"]').click()")
    file = downloads / "spring-send.csv"
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert file.read_text().startswith('"customer_id","channel","day"')
    assert "Bananas for you. Corner Market" in (shop.home / "exports/spring/copy.csv").read_text()
    person.click("Log out")


def a_rollback(person):
    """Two versions are compared, and the one before is brought back."""
    person.log_in("Chen")
    person.click("Nights and models")
    person.click("Compare A and B")
    person.sees("Parameters that differ")
    person.click("Nights and models")
    person.fill(reason="worse in practice")
    person.click("Bring version 1 back")
    person.sees("rollback: version 1")
    person.sees("Chen: worse in practice")
    assert person.clicks <= 10
    person.click("Log out")
