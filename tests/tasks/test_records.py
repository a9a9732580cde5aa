"""Records that only grow: half a line stops nobody, and writers at once lose nothing."""

import json
import subprocess
import sys

import pytest

from tasks.files import records

MANY = """
import sys
from pathlib import Path
from tasks.files import records
for number in range(200):
    records.append(Path(sys.argv[1]), {"who": sys.argv[2], "number": number, "why": "因为 " * 200})
"""


def test_lines_come_back_in_order_and_are_the_owners_alone(tmp_path):
    path = tmp_path / "new" / "record.jsonl"
    assert records.rows(path) == []
    rows = [{"name": "春节", "folder": "exports/spring"}, {"name": "second", "note": "two\u2028lines\x85 or\nmore"}]
    for row in rows:
        records.append(path, row)
    assert records.rows(path) == rows
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", ['{"name": "to', "[1, 2]\n", "\n", '{"name": "\udcff"}'])
def test_half_a_line_is_passed_over_and_closed(tmp_path, torn):
    path = tmp_path / "record.jsonl"
    records.append(path, {"name": "before"})
    with path.open("ab") as file:
        file.write(torn.encode(errors="surrogateescape"))
    assert records.rows(path)[0] == {"name": "before"}
    records.append(path, {"name": "after"})
    assert records.rows(path)[-1] == {"name": "after"}
    assert path.read_text(errors="replace").splitlines()[0] == json.dumps({"name": "before"})


def test_a_number_that_json_does_not_know_leaves_the_record_as_it_was(tmp_path):
    path = tmp_path / "record.jsonl"
    records.append(path, {"gain": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        records.append(path, {"gain": float("nan")})
    assert records.rows(path) == [{"gain": 1.0}]


def test_writers_at_once_lose_no_line(tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_text('{"torn')
    writers = [subprocess.Popen([sys.executable, "-c", MANY, str(path), who]) for who in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    rows = records.rows(path)
    for who in "ab":
        assert [row["number"] for row in rows if row["who"] == who] == list(range(200))
    assert len(path.read_text().splitlines()) == 401
