"""snapshot.source: live: what a site logged makes the same night as the same events in a file."""

import json
import os
import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.testing.shop import make_shop
from tasks.__main__ import main
from tasks.files import manifest
from tasks.live import forgetting
from tasks.live.log import EventRow, ListRow, LiveLog
from tasks.live.products import ProductRow
from tasks.live.visitors import Visitors
from tasks.privacy import pseudonyms

SHOP = make_shop(num_customers=40, num_products=60, num_weeks=20)
DAY = "2024-05-20"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    (tmp_path / "tables").mkdir()
    for name in ("customers", "products"):
        pq.write_table(SHOP[name], tmp_path / "tables" / f"{name}.parquet")
    return tmp_path


def snapshot(source):
    section = {"source": source, "folder": "tables", "business_date": DAY}
    Path("params.yaml").write_text(yaml.safe_dump({"snapshot": section}))
    return main("snapshot")


def micro(moment):
    return round(moment.replace(tzinfo=UTC).timestamp() * 1_000_000)


def logged(events, visitors=None):
    """Rows of the log, in the order of the table."""
    visitors = visitors or Visitors()
    return [
        EventRow(
            visitors.event(f"e{number}"), visitors.customer(row["customer_id"]).present, None, row["product_id"],
            micro(row["timestamp"]), row["kind"], row["quantity"], row["value"], row["discount"], None,
            row["basket_id"], row["channel"], visitors.generation,
        )
        for number, row in enumerate(events.to_pylist())
    ]  # fmt: skip


def append(rows, lists=()):
    with closing(LiveLog()) as log:
        for start in range(0, len(rows), 500):
            log.append(rows[start : start + 500])
        log.append(rows[:700], lists)  # sent again


def files(folder="data/raw"):
    return {path.name: manifest.digest(path) for path in Path(folder).glob("*.parquet")}


@pytest.mark.slow
def test_the_log_makes_the_same_bytes_as_the_same_events_in_a_file_and_so_do_both_together(place):
    pq.write_table(SHOP["events"], place / "tables/events.parquet")
    assert snapshot("folder") == 0
    wanted = files()
    assert {"events.parquet", "products.parquet", "customers.parquet"} <= wanted.keys()
    for stage in ("validate", "prepare"):
        assert main(stage) == 0
    prepared = files("artifacts/prepare")
    for in_file in (0, 2000):  # the log alone, and beside a file with what came before it
        shutil.rmtree(".nightmarket/live", ignore_errors=True)
        (place / "tables/events.parquet").unlink()
        if in_file:
            pq.write_table(SHOP["events"][:in_file], place / "tables/events.parquet")
        append(logged(SHOP["events"][in_file:]))
        shutil.rmtree("data/raw")
        assert snapshot("live") == 0
        assert files() == wanted
        if not in_file:
            for stage in ("validate", "prepare"):
                assert main(stage) == 0
            assert files("artifacts/prepare") == prepared
        pq.write_table(SHOP["events"], place / "tables/events.parquet")


def test_the_same_log_leaves_the_snapshot_alone_and_more_events_are_taken_once(place, capsys):
    rows = logged(SHOP["events"])
    append(rows[:1000])
    assert snapshot("live") == 0
    assert snapshot("live") == 0
    assert "snapshot: unchanged" in capsys.readouterr().out
    append(rows)
    assert snapshot("live") == 0
    assert pq.read_table("data/raw/events.parquet").num_rows == len(rows)


@pytest.mark.slow
def test_lists_that_were_shown_are_exposures_that_validate_and_are_no_contacts(place):
    visitors = Visitors()
    ada = visitors.customer(SHOP["customers"]["customer_id"][0].as_py()).present
    first, second = SHOP["products"]["product_id"].to_pylist()[:2]
    at, shown = micro(datetime(2024, 5, 1)), json.dumps([[first, 0.5], [second, None]])
    lists = [ListRow("r1", ada, None, at, "3", "reranked", None, shown, 1),
             ListRow("r2", None, "a guest", at, "3", "popular", None, shown, 1)]  # fmt: skip
    append(logged(SHOP["events"]), lists)
    assert snapshot("live") == 0
    assert main("validate") == 0
    rows = pq.read_table("artifacts/validate/clean/exposures.parquet").to_pylist()
    assert [row["product_id"] for row in rows] == [first, second]
    assert [row["position"] for row in rows] == [1, 2]
    assert [row["propensity"] for row in rows] == [0.5, None]
    assert {(row["customer_id"], row["campaign_id"], row["request_id"], row["version"]) for row in rows} == {
        (ada, None, "r1", "3")
    }


def test_what_a_guest_did_is_that_of_the_customer_who_logged_in_unless_there_were_two(place):
    visitors = Visitors()
    rows = logged(SHOP["events"])
    names = [visitors.customer(SHOP["customers"]["customer_id"][row].as_py()).present for row in (0, 1)]

    def seen(name, session, customer):
        return rows[0]._replace(id=visitors.event(name), session=session, customer=customer, basket=name)

    append(rows)
    append([seen("a", "s1", None), seen("b", "s1", names[0]), seen("c", "s2", None), seen("d", "s2", names[0]),
            seen("e", "s2", names[1]), seen("f", "s3", None)])  # fmt: skip
    assert snapshot("live") == 0
    table = pq.read_table("data/raw/events.parquet").to_pylist()
    of = {row["basket_id"]: row["customer_id"] for row in table}
    assert of["a"] == of["b"] == names[0]
    assert of["c"] is None
    assert of["f"] is None


def test_after_a_new_key_the_log_speaks_of_the_same_customers_and_the_forgotten_are_left_out(place):
    append(logged(SHOP["events"]))
    pseudonyms.add_key()
    ids = SHOP["events"]["customer_id"].to_pylist()
    pseudonyms.forget(Visitors().customer(ids[0]).every, "2024-05-20")
    assert snapshot("live") == 0
    new = Visitors()
    names = pa.array([new.customer(name).present for name in ids if name != ids[0]])
    assert pq.read_table("data/raw/events.parquet")["customer_id"].combine_chunks() == names


def test_without_a_log_it_is_one_line_that_says_what_to_run(place, capsys):
    assert snapshot("live") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "run `make serve` first" in line


def test_after_a_leak_the_log_holds_no_name_of_an_older_key(place):
    rows = logged(SHOP["events"][:200])
    append(rows)
    pseudonyms.add_key()
    assert forgetting.carry_over(pseudonyms.customer_keys()) == 200
    content = b"".join(path.read_bytes() for path in Path(".nightmarket/live").glob("log.db*"))
    assert not [row.customer for row in rows if row.customer.encode() in content]
    assert Visitors().customer(SHOP["events"]["customer_id"][0].as_py()).present.encode() in content
    assert forgetting.carry_over(pseudonyms.customer_keys()) == 0


PUT = '{"category": "shoes > boots", "price": 9.5, "title": "新靴子", "available_from": 1717200000000000}'


def test_products_that_were_put_are_the_nights_and_of_a_product_in_both_the_later_word_holds(place):
    path = place / "tables/products.parquet"
    before = pq.read_table(path).to_pylist()
    known = before[3]["product_id"]
    at = path.stat().st_mtime_ns // 1000
    with closing(LiveLog()) as log:
        log.append(logged(SHOP["events"].slice(0, 50)))
        rows = [ProductRow("n-1", PUT, at - 10), ProductRow(known, PUT, at + 10), ProductRow("n-1", PUT, at - 9)]
        log.append([], products=rows)
    assert snapshot("live") == 0
    now = {row["product_id"]: row for row in pq.read_table("data/raw/products.parquet").to_pylist()}
    assert now.keys() == {row["product_id"] for row in before} | {"n-1"}
    for product in ("n-1", known):
        assert (now[product]["title"], now[product]["price"], now[product]["brand"]) == ("新靴子", 9.5, None)
        assert now[product]["available_from"] == datetime(2024, 6, 1)
    fingerprint = json.loads(Path("data/raw/snapshot.json").read_text())["fingerprint"]
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))  # written after all that
    assert snapshot("live") == 0
    now = {row["product_id"]: row for row in pq.read_table("data/raw/products.parquet").to_pylist()}
    assert now[known]["title"] == before[3]["title"]
    assert now["n-1"]["title"] == "新靴子"
    assert json.loads(Path("data/raw/snapshot.json").read_text())["fingerprint"] != fingerprint
