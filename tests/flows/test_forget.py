"""A customer leaves a small project with real git, DVC, Prefect and MLflow: cache, remote, exports, pages, records."""

import csv
import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightmarket.serving import set_environment

set_environment()
from mlflow import MlflowClient  # noqa: E402

ROOT = Path(__file__).parents[2]
HEAD = """
from pathlib import Path

import pyarrow as pa

from tasks.files import storage
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import StageSettings

STEP = Step("nothing but what a test needs")


class Settings(StageSettings):
    business_date: str | None = None


"""
STAGES = {
    "snapshot": HEAD
    + """
def run(settings):
    from tasks.privacy.pseudonyms import Pseudonyms, customer_keys, forgotten

    ids = pa.array((storage.home() / "source.csv").read_text().split())
    hashed = Pseudonyms(customer_keys(), forgotten())
    rows = pa.record_batch({"customer_id": hashed(ids), "spend": list(range(len(ids)))})
    table = pa.Table.from_batches([hashed.without_forgotten(rows, "customer_id")])
    storage.write_table(table, storage.RAW / "customers.parquet")
""",
    "validate": HEAD
    + """
def run(settings):
    table = storage.read_table(storage.RAW / "customers.parquet")
    storage.write_table(table, storage.ARTIFACTS / "validate/customers.parquet")
    storage.write_table(table.drop(["customer_id"]), storage.ARTIFACTS / "validate/by_number.parquet")
    Path("artifacts/validate/clean.csv").write_text("rows " + str(table.num_rows))
""",
    "report": HEAD
    + """
def run(settings):
    table = storage.read_table(storage.ARTIFACTS / "validate/customers.parquet")
    storage.write_table(table.add_column(0, "rank", table["spend"]), storage.ARTIFACTS / "report/lists.parquet")
""",
}
CUSTOMERS = [f"member-{number}" for number in range(40)]


def read(project, *what):
    done = project.command("-c", f"from tasks.privacy.pseudonyms import *\n{what[0]}", *what[1:])
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def shop(project):
    """Two nights with forty customers, one of them in an export, a page on record, Prefect's tables and a remote."""
    home = project.home
    for name, text in STAGES.items():
        (home / f"tasks/{name}.py").write_text(text)
    register = home / "tasks/register.py"
    register.write_text(register.read_text().replace('out(storage.home() / "mlruns/mlflow.db", "")', "pass"))
    remote = home.parent / "remote"
    (home / ".dvc/config").write_text((home / ".dvc/config").read_text() + f"['remote \"far\"']\n    url = {remote}\n")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "customers")
    for listed in (CUSTOMERS[:30], CUSTOMERS):
        (home / "source.csv").write_text("\n".join(listed))
        done = project.flow("nightly")
        assert done.returncode == 0, done.stdout + done.stderr
    done = project.command("-m", "dvc", "push", "--quiet", "--remote", "far")
    assert done.returncode == 0, done.stderr
    return project, remote


def objects(folder):
    return {path.parent.name + path.name for path in folder.glob("??/*")}


def test_nothing_names_a_forgotten_customer_and_the_others_stay(shop):
    project, remote = shop
    home = project.home
    cache = home / ".dvc/cache/files/md5"
    code = "for id in ('member-7', 'member-8'): print(Pseudonyms(customer_keys()).under_each_key(id)[-1])"
    theirs, other = read(project, code)
    (home / "exports/spring").mkdir(parents=True)
    sent = pa.table({"customer_id": [theirs, other], "day": ["1", "2"]})
    pq.write_table(sent, home / "exports/spring/send.parquet", write_page_checksum=True)
    for name, rows in (("send", [theirs, other]), ("send.identified", ["member-7", "member-8"])):
        path = home / f"exports/spring/{name}.csv"
        path.write_text("customer_id,day\n" + "".join(f'{row},"1, 2"\n' for row in rows), encoding="utf-8-sig")
        path.chmod(0o600)
    page = home / "mlruns/artifacts/1/page.html"
    page.parent.mkdir(parents=True)
    page.write_text(f"<p>{theirs[:8]}</p>")
    (home / ".prefect").mkdir(exist_ok=True)
    with sqlite3.connect(home / ".prefect/prefect.db") as base:
        base.execute("CREATE TABLE artifact (id TEXT, data TEXT)")
        base.executemany("INSERT INTO artifact VALUES (?, ?)", [("1", f"| {theirs} |"), ("2", f"| {other} |")])
    base.close()
    second = project.runs()[-1]
    (home / "mlruns/mlflow.db").unlink(missing_ok=True)
    client = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db", f"sqlite:///{home}/mlruns/mlflow.db")
    client.create_registered_model("nightmarket")
    client.create_model_version("nightmarket", "x", tags={"commit": project.git("rev-parse", second)})
    (home / "notes.txt").write_text("the user's own")
    assert project.command("-m", "dvc", "add", "--quiet", "notes.txt").returncode == 0
    own = (home / "notes.txt.dvc").read_text().split("md5: ")[1].split()[0]
    before = {"cache": objects(cache), "remote": objects(remote / "files/md5")}

    done = project.command("-m", "flows", "forget", "--customer", "nobody-at-all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert objects(remote / "files/md5") == before["remote"]
    assert project.command("-m", "dvc", "status", "--json").stdout.strip() == "{}"

    done = project.command("-m", "flows", "forget", "--customer", "member-7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing names the customer" in done.stdout
    assert "version 1 was trained on data with the customer" in done.stdout
    for text in (done.stdout, done.stderr):
        assert "member-7" not in text
        assert theirs not in text
    kept = pq.read_table(home / "artifacts/validate/customers.parquet")["customer_id"].to_pylist()
    assert len(kept) == 39
    assert other in kept
    assert theirs not in kept
    assert project.command("-m", "dvc", "status", "--json").stdout.strip() == "{}"
    assert not before["remote"] & objects(remote / "files/md5") & (before["cache"] - objects(cache))
    assert pq.read_table(home / "exports/spring/send.parquet")["customer_id"].to_pylist() == [other]
    for name, row in (("send", other), ("send.identified", "member-8")):
        path = home / f"exports/spring/{name}.csv"
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        with path.open(encoding="utf-8-sig", newline="") as file:
            assert list(csv.reader(file)) == [["customer_id", "day"], [row, "1, 2"]]
        assert path.stat().st_mode & 0o777 == 0o600
    assert not page.exists()
    with sqlite3.connect(home / ".prefect/prefect.db") as base:
        assert base.execute("SELECT id FROM artifact").fetchall() == [("2",)]
    base.close()
    assert "data_removed" in client.get_model_version("nightmarket", "1").tags
    naming = [path for path in home.rglob("*") if path.is_file() and theirs.encode() in path.read_bytes()]
    assert naming == []
    assert own in objects(cache)
    listed = json.loads(project.private("forgotten.json").read_text())["customers"]
    assert len(listed) == 2
    gone = project.git("show", f"{second}:data/raw.dvc")
    assert gone.split("md5: ")[1].split()[0] not in objects(cache)


def test_a_customer_is_named_and_not_left_out_of_the_line_of_command(project):
    done = project.command("-m", "flows", "forget", "--customer", "")
    assert (done.returncode, done.stderr) == (
        2,
        "nightmarket: forget: --customer: name the shop's own id of the customer\n",
    )
