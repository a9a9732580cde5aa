"""The tutorials' own commands, in order, in a checkout whose shop is small: `bash` blocks are run, `yaml` ones go into
params.yaml, and lines of `text` blocks without an ellipsis must have been said."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

from nightmarket.testing.shop import write_shop

pytestmark = [pytest.mark.slow, pytest.mark.prefect, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
LESSONS = ("first-night", "your-own-tables", "first-campaign")
SMALL = {
    "snapshot": {"source": "folder", "folder": "my-shop", "time_zone": "Asia/Shanghai"},
    "finetune": {"max_steps": 6, "validate_every": 3, "validate_customers": 20, "random_texts": 64, "hidden": 16},
    "rank": {"num_trees": 12, "launch_trees": 6, "num_leaves": 7},
    "respond": {"num_resamples": 200},
    "evaluate": {"num_resamples": 200},
}
"""A night of a minute or two; the shop is the one that the second lesson makes, so no stage runs twice."""


class Checkout:
    """A clone with the small shop, and what its terminal said lesson by lesson."""

    def __init__(self, home: Path) -> None:
        self.home, self.said = home, {}
        files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in files.splitlines():
            if not name.startswith(("tests/", "docs/", ".venv")) and (ROOT / name).exists():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, home / name)
        (home / ".venv").symlink_to(ROOT / ".venv")
        self.merge(SMALL)
        git = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost")
        for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "the project"]):
            subprocess.run([*git, *arguments], cwd=home, check=True)
        write_shop(home / "my-shop", num_customers=120, num_products=150, num_weeks=30, fmt="csv")

    def merge(self, values: dict) -> None:
        path = self.home / "params.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for section, keys in values.items():
            content.setdefault(section, {}).update(keys)
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")

    def learn(self, lesson: str) -> str:
        """Take the lessons up to this one, each once; what the terminal said in it."""
        for name in LESSONS[: LESSONS.index(lesson) + 1]:
            if name not in self.said:
                page = (ROOT / f"docs/tutorials/{name}.md").read_text(encoding="utf-8")
                self.said[name] = "".join(map(self._do, re.findall(r"^```(\w+)\n(.*?)^```", page, re.M | re.S)))
                for language, block in re.findall(r"^```(\w+)\n(.*?)^```", page, re.M | re.S):
                    for line in block.splitlines() if language == "text" else ():
                        assert "…" in line or line.strip() in self.said[name], line
        return self.said[lesson]

    def _do(self, fence: tuple[str, str]) -> str:
        language, block = fence
        if language == "yaml":
            self.merge(yaml.safe_load(block))
        if language != "bash":
            return ""
        env = {
            key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PREFECT_", "NIGHTMARKET_"))
        }
        env |= {"OMP_NUM_THREADS": "1", "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"}
        env.pop("PYTHONPATH", None)
        done = subprocess.run(["bash", "-ec", block], cwd=self.home, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("lesson") / "nightmarket")


def test_the_first_night_ends_with_a_page_a_card_and_products_that_were_found(checkout):
    said = checkout.learn("first-night")
    first, again = said.split("nightly done", 1)
    assert "version 1 became champion" in first
    assert "rank: done" not in again.partition("nightly done")[0]
    assert (checkout.home / "artifacts/report/index.html").read_text(encoding="utf-8").count("<section")
    assert "version 1" in again
    assert "milk" in again.rpartition("version 1")[2].lower()


def test_own_tables_bring_a_night_and_a_bad_row_is_set_aside_with_its_reason(checkout):
    checkout.learn("your-own-tables")
    assert yaml.safe_load((checkout.home / "params.yaml").read_text())["snapshot"]["folder"] == "my-shop"
    set_aside = checkout.home / "artifacts/validate/quarantine/events.parquet"
    assert len(pyarrow.parquet.read_table(set_aside)) == 1
    assert "no-such-product" not in (checkout.home / "my-shop/events.csv").read_text()


def test_the_first_campaign_is_approved_exported_and_on_record(checkout):
    said = checkout.learn("first-campaign")
    decision = json.loads(said.strip().splitlines()[-1])
    assert (decision["name"], decision["decision"], decision["who"]) == ("spring", "exported", "Ann")
    sent = pyarrow.csv.read_csv(checkout.home / "exports/spring/send.csv")
    kept_back = pyarrow.csv.read_csv(checkout.home / "exports/spring/holdout.csv")
    assert set(sent["channel"].to_pylist()) == {"email"}
    assert not set(sent["customer_id"].to_pylist()) & set(kept_back["customer_id"].to_pylist())
