"""Nights in a real Postgres: whole or not at all, in the shop's own ids, and without whom it forgot."""

import datetime
import json
import threading
import time

import pyarrow as pa
import pytest

from nightmarket.contracts import InputError
from nightmarket.testing import postgres
from tasks import sink
from tasks.files import catalogue
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys, forget

adbc = pytest.importorskip("adbc_driver_postgresql.dbapi")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(postgres.programs() is None, reason="no Postgres on this machine")]
CUSTOMERS = [f"c{number}" for number in range(40)]


@pytest.fixture(scope="module")
def server():
    with postgres.postgres() as running:
        yield running


@pytest.fixture
def url(server, tmp_path, monkeypatch):
    """A database of its own; the current folder is a checkout's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    name = f"sink_{time.time_ns()}"
    with adbc.connect(server.url(), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    monkeypatch.setenv("SHOP", server.url(name))
    return server.url(name)


def asked(url, query):
    with adbc.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def a_night(day, word, lists=3):
    hashed = Pseudonyms(customer_keys())
    names = [next(iter(hashed.under_each_key(customer, ""))) for customer in CUSTOMERS]
    rows = {
        "customer_id": [name for name in names for _ in range(lists)],
        "rank": pa.array([rank for _ in names for rank in range(lists)], pa.int32()),
        "product_id": [f"p{rank}" for _ in names for rank in range(lists)],
        "title": [word] * (lists * len(names)),
        "score": pa.array([0.5] * (lists * len(names)), pa.float32()),
        "probability": pa.array([float("nan")] * (lists * len(names)), pa.float32()),
        "reason": ["绿茶 'and' \"more\""] * (lists * len(names)),
        "reason_kind": [None] * (lists * len(names)),
    }
    types = dict(part.split() for part in catalogue.RECOMMENDATIONS.columns.split(", "))
    catalogue.RECOMMENDATIONS.path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {"string": pa.string(), "int32": pa.int32(), "float32": pa.float32()}
    catalogue.RECOMMENDATIONS.write(pa.table({name: pa.array(rows[name], kinds[types[name]]) for name in types}))
    catalogue.SNAPSHOT.path.parent.mkdir(parents=True, exist_ok=True)
    catalogue.SNAPSHOT.path.write_text(json.dumps({"as_of": day}))


def test_a_night_is_there_with_its_view_and_the_same_night_again_takes_its_own_place(url):
    a_night("2026-01-05", "first")
    sink.run(sink.Settings(database="SHOP"))
    a_night("2026-01-05", "second", lists=2)
    sink.run(sink.Settings(database="SHOP"))
    assert asked(url, "SELECT count(*), min(title), max(title) FROM nightmarket.recommendations") == [
        (80, "second", "second")
    ]
    a_night("2026-01-06", "third")
    sink.run(sink.Settings(database="SHOP"))
    counted = "count(*), min(title), max(night), count(probability), max(reason)"
    assert asked(url, f"SELECT {counted} FROM nightmarket.current_recommendations") == [
        (120, "third", datetime.date(2026, 1, 6), 0, "绿茶 'and' \"more\"")
    ]
    assert asked(url, "SELECT count(*) FROM nightmarket.recommendations") == [(200,)]
    sink.run(sink.Settings(database="SHOP", nights=1))
    assert asked(url, "SELECT count(*) FROM nightmarket.recommendations") == [(120,)]
    assert asked(url, "SELECT night FROM nightmarket.nights") == [(datetime.date(2026, 1, 6),)]


def test_readers_see_the_old_night_or_the_new_and_never_a_mix(url):
    a_night("2026-01-05", "night 0")
    sink.run(sink.Settings(database="SHOP"))
    seen, stop, wrong = set(), threading.Event(), []
    query = "SELECT count(*), count(DISTINCT title), min(title) FROM nightmarket.current_recommendations"

    def read():
        with adbc.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute(query)
                count, titles, title = cursor.fetchone()
                seen.add(title)
                if (count, titles) != (120, 1):
                    wrong.append((count, titles, title))

    readers = [threading.Thread(target=read) for _ in range(20)]
    for reader in readers:
        reader.start()
    for number in range(1, 6):
        a_night(f"2026-01-{5 + number % 3:02}", f"night {number}")
        sink.run(sink.Settings(database="SHOP"))
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert len(seen) > 1


def test_a_publication_that_fails_in_the_middle_leaves_the_night_before(url, monkeypatch):
    from tasks.files.published import Publication

    a_night("2026-01-05", "first")
    sink.run(sink.Settings(database="SHOP"))
    a_night("2026-01-06", "second")

    def killed(self, night):
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(Publication, "note", killed)
        with pytest.raises(RuntimeError, match="killed here"):
            sink.run(sink.Settings(database="SHOP"))
    assert asked(url, "SELECT DISTINCT title FROM nightmarket.recommendations") == [("first",)]


def test_rows_bear_the_shops_own_ids_and_nobody_whom_it_forgot_or_does_not_list(url, tmp_path):
    listed = ", ".join(f"('{customer}')" for customer in CUSTOMERS[:30])
    asked(url, "CREATE TABLE people (id text)")
    asked(url, f"INSERT INTO people VALUES {listed}")
    settings = sink.Settings(database="SHOP", customers={"table": "public.people", "column": "id"})
    a_night("2026-01-05", "first")
    sink.run(settings)
    names = [row[0] for row in asked(url, "SELECT DISTINCT customer_id FROM nightmarket.recommendations ORDER BY 1")]
    assert names == sorted(CUSTOMERS[:30])
    forget(Pseudonyms(customer_keys()).under_each_key("c7", ""), "2026-01-06")
    a_night("2026-01-06", "second")
    sink.run(settings)
    assert ("c7",) not in asked(url, "SELECT customer_id FROM nightmarket.recommendations WHERE night = '2026-01-05'")
    assert ("c8",) in asked(url, "SELECT customer_id FROM nightmarket.recommendations WHERE night = '2026-01-05'")
    # a table that no stage made tonight keeps neither whom the shop forgot nor a night that went
    asked(url, "CREATE TABLE nightmarket.segments AS SELECT night, customer_id FROM nightmarket.recommendations")
    asked(url, "INSERT INTO nightmarket.segments VALUES ('2026-01-05', 'c7')")
    sink.run(settings.model_copy(update={"nights": 1}))
    kept = "SELECT DISTINCT night, customer_id = 'c7' FROM nightmarket.segments"
    assert asked(url, kept) == [(datetime.date(2026, 1, 6), False)]


def test_columns_that_are_new_come_to_table_and_view(url):
    a_night("2026-01-05", "first")
    sink.run(sink.Settings(database="SHOP"))
    asked(url, "DROP VIEW nightmarket.current_recommendations")
    asked(url, "ALTER TABLE nightmarket.recommendations DROP COLUMN reason_kind")
    sink.run(sink.Settings(database="SHOP"))
    assert asked(url, "SELECT count(*), count(reason_kind) FROM nightmarket.current_recommendations") == [(120, 0)]


def test_what_cannot_be_published_is_one_line(url, server, monkeypatch):
    a_night("2026-01-05", "first")
    sink.run(sink.Settings())  # no database is named: nothing happens
    asked(url, "DROP ROLE IF EXISTS reader")
    asked(url, "CREATE ROLE reader LOGIN")
    monkeypatch.setenv("SHOP", url.replace("shop@", "reader@"))
    with pytest.raises(InputError, match="lets this user not write: GRANT CREATE"):
        sink.run(sink.Settings(database="SHOP"))
    monkeypatch.setenv("SHOP", "postgresql://shop:secret@127.0.0.1:1/shop")
    with pytest.raises(InputError, match="nobody answers or lets us in") as error:
        sink.run(sink.Settings(database="SHOP"))
    assert "secret" not in str(error.value)
    monkeypatch.setenv("SHOP", "mysql://shop@127.0.0.1/shop")
    with pytest.raises(InputError, match="published in Postgres alone"):
        sink.run(sink.Settings(database="SHOP"))
    monkeypatch.delenv("SHOP")
    with pytest.raises(InputError, match="SHOP is not set; export it"):
        sink.run(sink.Settings(database="SHOP"))
