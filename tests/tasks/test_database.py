"""Tables in a real Postgres and in DuckDB files: one state, only what is new, and one line for what is wrong."""

import hashlib
import logging
import os
import threading
import time

import duckdb
import pyarrow.parquet as pq
import pytest

from nightmarket.contracts import InputError
from nightmarket.testing import postgres
from nightmarket.testing.shop import write_shop
from tasks import snapshot
from tasks.files.storage import private
from tasks.intake.database import connector

adbc = pytest.importorskip("adbc_driver_postgresql.dbapi")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(postgres.programs() is None, reason="no Postgres on this machine")]
EVENTS = '"events of ours"'


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_shop(folder, num_customers=40, num_products=60, num_weeks=12, seed=5)
    read = {path.stem: duckdb.sql(f"SELECT * FROM '{path}'").to_arrow_table() for path in sorted(folder.iterdir())}
    return {name: read[name] for name in ("customers", "products", "events", "reviews")}


@pytest.fixture(scope="module")
def server():
    with postgres.postgres() as running:
        yield running


@pytest.fixture
def shop(server, tables, tmp_path, monkeypatch):
    """A database of its own, the checkout's folder and the settings that read the one into the other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    name = f"shop_{time.time_ns()}"
    with adbc.connect(server.url(), autocommit=True) as connection:
        run(connection, f"CREATE DATABASE {name}")
    monkeypatch.setenv("NIGHTMARKET_DATABASE", server.url(name))
    with adbc.connect(server.url(name), autocommit=True) as connection:
        for table, rows in tables.items():
            with connection.cursor() as cursor:
                cursor.adbc_ingest(f"{table} of ours", rows, mode="create")
        yield connection


def run(connection, command):
    with connection.cursor() as cursor:
        cursor.execute(command)


def settings(**events):
    there = {name: {"table": f"public.{name} of ours"} for name in ("customers", "products", "reviews")}
    there["events"] = {"table": "events of ours", "watermark": "timestamp"} | events
    return snapshot.Settings(source="sql", database={"tables": there})


def taken(what=None):
    snapshot.run(what or settings())
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(snapshot.RAW.glob("*.parquet"))}


def said(caplog, word):
    return [record.getMessage() for record in caplog.records if word in record.getMessage()]


def test_one_state_gives_the_same_bytes_however_it_came_and_whatever_order_its_rows_lie_in(shop, tables, caplog):
    caplog.set_level(logging.INFO, logger="nightmarket")
    first = taken()
    assert pq.read_metadata(snapshot.RAW / "events.parquet").num_rows == tables["events"].num_rows
    run(shop, f"CREATE TABLE moved AS SELECT * FROM {EVENTS} ORDER BY random()")
    run(shop, f"DROP TABLE {EVENTS}")
    run(shop, f"ALTER TABLE moved RENAME TO {EVENTS}")
    assert taken() == first
    assert said(caplog, "events: 0 rows read from the database")
    connector.remove()
    assert taken() == first
    kept = {path.name for path in private("database").rglob("*.parquet")}
    assert all(name.startswith("20") for name in kept)  # days; customers do not stay
    assert {path.name for path in private("database/parts").iterdir()} == {"events"}


def test_a_night_reads_what_is_new_and_notices_what_came_late_what_went_and_what_changed(shop, caplog):
    caplog.set_level(logging.INFO, logger="nightmarket")
    taken()
    run(shop, f"INSERT INTO {EVENTS} SELECT * FROM {EVENTS} WHERE timestamp = (SELECT min(timestamp) FROM {EVENTS})")
    run(shop, f"DELETE FROM {EVENTS} WHERE ctid = (SELECT ctid FROM {EVENTS} ORDER BY timestamp DESC LIMIT 1)")
    # on one day a row goes and another comes: as many rows as before
    third = f"SELECT ctid FROM {EVENTS} WHERE timestamp::time < '12:00' ORDER BY timestamp LIMIT 1 OFFSET 300"
    run(shop, f"UPDATE {EVENTS} SET timestamp = timestamp + interval '1 second' WHERE ctid = ({third})")
    caplog.clear()
    late = taken()
    [line] = said(caplog, "parts changed or gone")
    assert "3 parts changed or gone since the last time" in line
    assert 0 < int(line.split("events: ")[1].split(" rows")[0].replace(",", "")) < 400
    connector.remove()
    assert taken() == late


def test_a_new_column_reads_the_table_anew_and_says_so(shop, caplog):
    before = taken()
    run(shop, f"ALTER TABLE {EVENTS} ADD COLUMN shade text")
    assert taken() == before
    assert said(caplog, "events: new columns shade; all of it is read anew")


def test_all_tables_are_of_one_moment(shop, monkeypatch):
    """A shop writes while it is read: what is new after the first query is of the next night."""
    read = connector._Whole.read

    def and_then_the_shop_writes(self, target):
        read(self, target)
        run(shop, f"INSERT INTO {EVENTS} SELECT * FROM {EVENTS} LIMIT 1")

    before = taken()
    connector.remove()
    monkeypatch.setattr(connector._Whole, "read", and_then_the_shop_writes)
    assert taken()["events"] == before["events"]


def test_a_server_that_is_killed_in_the_middle_is_asked_again_and_nothing_is_lost(server, shop, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="nightmarket")
    whole = taken()
    connector.remove()
    monkeypatch.setattr(connector, "RUN_ROWS", 50)
    save, runs = connector._save, []

    def killed_in_the_third(batches, queries, path, name):
        runs.append(name)
        if name == "events" and runs.count("events") == 3:
            server.kill()
            threading.Thread(target=server.start).start()
        return save(batches, queries, path, name)

    monkeypatch.setattr(connector, "_save", killed_in_the_third)
    assert taken() == whole
    assert said(caplog, "the database went away, or nobody answers at its address; begun again in 1 s")
    kept = int(said(caplog, " kept")[-1].split("database, ")[1].split(" kept")[0].replace(",", ""))
    assert kept > 0  # what was read before the kill was not read again


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ({"table": "nowhere"}, 'tables.events: the database has no table "nowhere"; write its schema before it'),
        ({"watermark": "nix"}, "tables.events: watermark: there is no column 'nix'; there are customer_id, product_id"),
        ({"watermark": "kind"}, "tables.events: watermark: 'kind' holds string; name a column of moments"),
        ({"table": "", "query": "SELECT nix FROM reviews"}, "tables.events: the database has no "),
    ],
)
def test_what_the_database_does_not_have_is_one_line_before_any_row_is_read(shop, caplog, events, line):
    caplog.set_level(logging.INFO, logger="nightmarket")
    with pytest.raises(InputError) as error:
        snapshot.run(settings(**events))
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert not said(caplog, "rows read")


def test_no_right_no_name_and_no_address_are_one_line_without_the_address(server, shop, monkeypatch):
    run(shop, "DROP ROLE IF EXISTS guest")
    run(shop, "CREATE ROLE guest LOGIN")
    name = os.environ["NIGHTMARKET_DATABASE"].rsplit("/", 1)[1]
    monkeypatch.setenv("NIGHTMARKET_DATABASE", server.url(name, "guest"))
    with pytest.raises(InputError, match=r"lets this user not read .*GRANT SELECT ON it"):
        snapshot.run(settings())
    monkeypatch.setenv("NIGHTMARKET_DATABASE", server.url(name, "nobody:secret"))
    with pytest.raises(InputError, match="lets nobody in with this name, password or database") as nobody:
        snapshot.run(settings())
    assert "secret" not in str(nobody.value)
    monkeypatch.delenv("NIGHTMARKET_DATABASE")
    with pytest.raises(InputError, match="NIGHTMARKET_DATABASE is not set; export it with the database's address"):
        snapshot.run(settings())


def test_rows_that_are_counted_and_do_not_come_are_refused_and_not_lost(shop):
    run(shop, f"CREATE TABLE numbered AS SELECT *, row_number() OVER () - 5 AS number FROM {EVENTS}")
    with pytest.raises(InputError, match=r"watermark: of 1,\d+ rows from 0 to 0 1,\d+ came; 'number' has values"):
        snapshot.run(settings(table="numbered", watermark="number"))


def test_names_and_values_never_become_sql(shop):
    odd = 'odd\'; DROP TABLE "customers of ours"; --'
    quoted = '"' + odd.replace('"', '""') + '"'
    run(shop, f"CREATE TABLE {quoted} AS SELECT * FROM {EVENTS}")
    run(shop, f'ALTER TABLE {quoted} RENAME COLUMN timestamp TO "when; --"')
    plain = taken()
    there = settings(table=odd, watermark="when; --")
    assert (
        taken(there.model_copy(update={"mapping": {"events": {"timestamp": "when; --"}}}))["events"] == plain["events"]
    )


def test_money_in_exact_numbers_ids_of_their_own_kind_and_times_of_a_zone_are_read(shop):
    columns = "customer_id, product_id, kind, value::numeric(12, 2) AS value, quantity, "
    columns += "timestamp AT TIME ZONE 'UTC' AS timestamp, md5(basket_id)::uuid AS basket_id"
    run(shop, f"CREATE TABLE exact AS SELECT {columns} FROM {EVENTS}")
    taken()
    wanted = pq.read_table(snapshot.RAW / "events.parquet")
    taken(settings(table="exact"))
    exact = pq.read_table(snapshot.RAW / "events.parquet")
    rounded = [None if value is None else round(value, 2) for value in wanted["value"].to_pylist()]
    assert sorted(map(str, exact["value"].to_pylist())) == sorted(map(str, rounded))
    assert sorted(exact["timestamp"].to_pylist()) == sorted(wanted["timestamp"].to_pylist())
    assert len(set(exact["basket_id"].to_pylist())) == len(set(wanted["basket_id"].to_pylist()))


def test_a_duckdb_file_is_read_alike(shop, tables, tmp_path, monkeypatch):
    from_postgres = taken()
    file = tmp_path / "shop.duckdb"
    with duckdb.connect(str(file)) as database:
        for name, rows in tables.items():
            database.register("rows_of_ours", rows)
            database.execute(f'CREATE TABLE "{name} of ours" AS SELECT * FROM rows_of_ours')
    monkeypatch.setenv("NIGHTMARKET_DATABASE", f"duckdb:///{file}")
    there = {name: {"table": f"main.{name} of ours"} for name in tables}
    there["events"]["watermark"] = "timestamp"
    assert taken(snapshot.Settings(source="sql", database={"tables": there})) == from_postgres
    monkeypatch.setenv("NIGHTMARKET_DATABASE", f"duckdb:///{tmp_path}/nothing.duckdb")
    with pytest.raises(InputError, match="the DuckDB file cannot be opened"):
        snapshot.run(settings())


@pytest.mark.parametrize(
    ("database", "line"),
    [
        (None, "source is sql, and tables names no products"),
        ({"tables": {"products": {"table": "p"}}}, "tables names no events; say where it lies"),
        ({"tables": {"events": {"table": "e", "query": "SELECT 1"}}}, "table, query: name one of them"),
        ({"tables": {"events": {"query": "DELETE FROM e"}}}, "query: it must be one SELECT"),
        ({"tables": {"events": {"query": "SELECT 1; DROP TABLE e"}}}, "query: it cannot be read as one SELECT"),
        ({"tables": {"event": {"table": "e"}}}, "there is no table 'event'"),
    ],
)
def test_settings_that_name_no_tables_or_change_some_are_refused(database, line):
    with pytest.raises(ValueError, match=line):
        snapshot.Settings(source="sql", database=database)
