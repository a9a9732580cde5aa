import csv

import pyarrow as pa
import pytest

from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.privacy import identify
from tasks.privacy.pseudonyms import Pseudonyms, customer_keys


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An export of customers 007, =1+1 and 9, whose ids are hashes."""
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    hashes = Pseudonyms(customer_keys())(pa.array(["007", "=1+1", "9"])).cast(pa.string())
    table = pa.table({"customer_id": hashes, "offer": ["a", "b", "c"], "channel": ["sms"] * len(hashes)})
    storage.write_table(table, tmp_path / "exports/spring/send.parquet")
    said = {"known": False, "listed": False, "ground": "told at purchase", "min_age": 18, "channels": ["sms"]}
    storage.write_json({"consent": said}, tmp_path / "exports/spring/summary.json")
    (tmp_path / "params.yaml").write_text("snapshot: {source: demo}")
    (tmp_path / "members.csv").write_text("会员号,name\n007,x\n=1+1,y\n7,z\n")
    return tmp_path


def test_the_shops_own_ids_come_back_and_who_is_not_listed_is_left_out_and_counted(home, capsys):
    assert identify.main(["spring", str(home / "members.csv"), "--column", "会员号"]) == 0
    assert "1 customers are not in the list" in capsys.readouterr().out
    path = home / "exports/spring/send.identified.csv"
    with path.open(encoding="utf-8", newline="") as file:
        assert [(row["customer_id"], row["offer"]) for row in csv.DictReader(file)] == [("007", "a"), ("'=1+1", "b")]
    assert path.stat().st_mode & 0o077 == 0


def test_who_unsubscribed_since_the_export_is_left_out_and_counted(home, capsys):
    (home / ".nightmarket/suppressions.csv").write_text("customer_id\n007\n")
    assert identify.main(["spring", str(home / "members.csv"), "--column", "会员号"]) == 0
    assert "1 customers may no longer be contacted" in capsys.readouterr().out
    assert "007" not in (home / "exports/spring/send.identified.csv").read_text()


def test_the_wrong_column_or_key_is_said_in_one_line(home):
    with pytest.raises(InputError, match="none of the 3 ids in column 'name'"):
        identify.identify(home, "spring", home / "members.csv", "name")
    with pytest.raises(InputError, match="no column 'id'"):
        identify.identify(home, "spring", home / "members.csv", "id")
    with pytest.raises(InputError, match=r"send.parquet is missing"):
        identify.identify(home, "autumn", home / "members.csv", "name")


def test_a_shops_own_customers_are_found_by_its_name(home):
    hashes = Pseudonyms(customer_keys())(pa.array(["007", "8"]), "shanghai:").cast(pa.string())
    table = pa.table({"customer_id": hashes, "offer": ["a", "b"], "channel": ["sms"] * len(hashes)})
    storage.write_table(table, home / "exports/spring/send.parquet")
    with pytest.raises(InputError, match="none of the 3 ids"):
        identify.identify(home, "spring", home / "members.csv", "会员号")
    path, missing, _ = identify.identify(home, "spring", home / "members.csv", "会员号", shop="shanghai")
    assert (path.name, missing) == ("send.identified.shanghai.csv", 1)
    with pytest.raises(InputError, match="letters or digits"):
        identify.identify(home, "spring", home / "members.csv", "会员号", shop="../x")
