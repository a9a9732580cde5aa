"""What rows mean that are no plain purchase: each is read as what it is, counted, and said."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.made_up.exports import CUSTOMERS, LINES, Shop, arrives, notes


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A shop to spoil, and an empty checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    return Shop()


BERLIN = {"time_zone": "Europe/Berlin"}


def test_hours_that_the_clocks_make_twice_or_skip_are_counted_and_none_of_their_rows_is_lost(shop):
    shop.events.loc[:9, "timestamp"] = [f"2024-10-27 02:{minute:02}:00" for minute in range(10)]
    shop.events.loc[10:29, "timestamp"] = [f"2024-03-31 02:{minute:02}:00" for minute in range(20)]
    shop.events.loc[30:31, "timestamp"] = "2024-10-27T02:30:00+01:00"
    shop.settings = BERLIN
    when = arrives(shop)["timestamp"].tolist()
    assert len(when) == LINES
    assert when[:10] == [pd.Timestamp("2024-10-27 00:00") + pd.Timedelta(minutes=minute) for minute in range(10)]
    assert when[10:30] == [pd.Timestamp("2024-03-31 01:00") + pd.Timedelta(minutes=minute) for minute in range(20)]
    assert when[30] == pd.Timestamp("2024-10-27 01:30")
    assert notes() == {
        "timestamp: times in an hour that the clocks made twice, taken as the first": 10,
        "timestamp: times in an hour that the clocks skipped, taken as that much later": 20,
        "timestamp: times with a zone": 2,
        "timestamp: times without a zone, taken as the shop's": LINES - 2,
    }


WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def test_digits_and_letters_in_full_width_read_like_their_plain_forms(shop):
    plain = shop.events.copy()
    guest = shop.some(0.2)
    shop.events["kind"] = "Ｐｕｒｃｈａｓｅ"
    for column in ("timestamp", "value", "quantity"):
        shop.events[column] = shop.events[column].astype(str).str.translate(WIDE)
    shop.events.loc[guest, "customer_id"] = "ｇｕｅｓｔ"
    shop.others["customers"] = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in range(CUSTOMERS)],
            "birth_year": "１９８０",
            "consent_email": np.resize(["ＹＥＳ", "ｎｏ", "Ｎ／Ａ", "１"], CUSTOMERS),
        }
    )
    events = arrives(shop)
    assert events["kind"].eq("purchase").all()
    assert events["value"].tolist() == plain["value"].tolist()
    assert events["quantity"].eq(1).all()
    assert events["timestamp"].tolist() == pd.to_datetime(plain["timestamp"]).tolist()
    assert events["customer_id"].isna().tolist() == guest.tolist()
    customers = pq.read_table("data/raw/customers.parquet").to_pydict()
    assert customers["birth_year"] == [1980] * CUSTOMERS
    assert customers["consent_email"][:4] == ["yes", "no", None, "yes"]


@pytest.mark.parametrize(
    ("column", "meant"),
    [
        ("consent_given", "consent_email"),
        ("consent_opt_in", "consent_email"),
        ("consent_date", "consent_email_at"),
        ("consent_email_date", "consent_email_at"),
        ("Consent Status", "consent_email"),
    ],
)
def test_a_column_of_consent_that_names_no_channel_is_named_with_the_mapping_that_makes_it_one(shop, column, meant):
    answers = "2024-01-01" if meant.endswith("_at") else "yes"
    ids = [f"c{number}" for number in range(CUSTOMERS)]
    shop.others["customers"] = pd.DataFrame({"customer_id": ids, column: answers})
    arrives(shop)
    assert pq.read_schema("data/raw/customers.parquet").names == ["customer_id", "text", "birth_year"]
    (note,) = notes("customers")
    assert note == (
        f"rows with `{column}`, which names no channel and is not used; if it is of e-mail, set "
        f"snapshot.mapping.customers to {{{meant}: {column}}}"
    )
    shop.settings = {"mapping": {"customers": {meant: column}}}
    arrives(shop)
    assert pq.read_schema("data/raw/customers.parquet").names[3:] == [meant]
    assert notes("customers") == {}
