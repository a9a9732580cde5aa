"""What is planted in a small shop is found nowhere that it does not belong, by a search that finds what is there."""

import base64
import gzip
import sqlite3
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.faults import planted, traces

SECRET, ID = "zQ9plant00_0123456789", "会员植入00003"


@pytest.fixture
def wanted():
    return traces.Wanted({"secret": SECRET, "customer": ID}, ["zQ9plant", "会员植入"])


def write(folder, name, content):
    (folder / name).write_bytes(content)


PLACES = {
    "a log": lambda f: write(f, "x.log", f"failed: {SECRET}\n".encode()),
    "an address": lambda f: write(f, "x.txt", b"?id=%E4%BC%9A%E5%91%98%E6%A4%8D%E5%85%A500003"),
    "JSON": lambda f: write(f, "x.json", b'{"id": "\\u4f1a\\u5458\\u690d\\u516500003"}'),
    "base64": lambda f: write(f, "x.json", base64.b64encode(f"ab{SECRET}".encode())),
    "a packed file": lambda f: write(f, "x.gz", gzip.compress(SECRET.encode())),
    "a file's name": lambda f: write(f, f"{SECRET}.txt", b""),
    "parquet": lambda f: pq.write_table(pa.table({"a": pa.array([ID, "x"]).dictionary_encode()}), f / "x.parquet"),
    "parquet's description": lambda f: pq.write_table(
        pa.table({"a": [1]}).replace_schema_metadata({"by": SECRET}), f / "x.parquet"
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_the_search_finds_what_is_there(tmp_path, wanted, name):
    PLACES[name](tmp_path)
    by_file, files = traces.folder(tmp_path, wanted, lambda _: False)
    assert files == 1
    assert len(by_file) == 1
    assert by_file.popitem()[1] & {"secret", "customer"}


def test_the_search_reads_databases_with_their_logs_and_git_with_what_nothing_names(tmp_path, wanted):
    base = sqlite3.connect(tmp_path / "x.db")
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("CREATE TABLE log (said BLOB)")
    base.execute("INSERT INTO log VALUES (?)", [ID.encode()])
    base.commit()
    by_file, _ = traces.folder(tmp_path, wanted, lambda path: path.suffix != ".db")
    base.close()
    assert by_file == {"x.db": {"customer"}}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert traces.git(tmp_path, wanted) == set()
    subprocess.run(["git", "hash-object", "-w", "--stdin"], cwd=tmp_path, input=SECRET.encode(), check=True)
    assert traces.git(tmp_path, wanted) == {"secret"}


@pytest.mark.slow
@pytest.mark.prefect
def test_nothing_planted_is_found_though_a_stage_quotes_every_secret(tmp_path, monkeypatch):
    for name in ("PREFECT_HOME", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        for name in (*planted.credentials.PLAIN, *planted.credentials.ADDRESSES, "HOME", "NO_PROXY", "no_proxy"):
            patch.setenv(name, "x")  # and back again afterwards
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "x")
        result = planted.search_all(tmp_path, 7, small=True, say=print)
    assert (result["secrets"], result["customers"]) == (50, 500)
    assert result["files"] > 300
    assert result["wrong"] == []
