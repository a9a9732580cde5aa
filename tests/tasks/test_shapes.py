"""Exports as shops have them: each is read with the right numbers, or refused because it can be read in two ways."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.intake.ended import ended_products
from tasks.intake.oddities import odd_rows
from tests.made_up.exports import CUSTOMERS, LINES, PRODUCTS, Shop, arrives, notes, refused


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A shop to spoil, and an empty checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTMARKET_HOME", raising=False)
    return Shop()


def odd():
    """How many rows validation sets aside as nobody's doing."""
    path = Path("data/raw/events.parquet")
    return {reason: len(rows) for reason, rows in odd_rows(path, pq.read_schema(path).names).items()}


@pytest.mark.parametrize("word", ["", "NULL", "guest", "Anonymous", "(not set)", "游客", "  "])
def test_guests_are_kept_without_a_name_and_counted(shop, word):
    guest = shop.some(0.4)
    shop.events.loc[guest, "customer_id"] = word
    events = arrives(shop)
    assert events["customer_id"].isna().tolist() == guest.tolist()
    assert notes()["rows without a customer, kept as sessions of guests"] == guest.sum()


@pytest.mark.parametrize("word", ["0", "-1", "99999", "walk-in customer", "TEST"])
def test_an_id_that_looks_like_a_placeholder_is_a_guest_where_it_has_more_than_a_persons_share(shop, word):
    guest = shop.some(0.4)
    shop.events.loc[guest, "customer_id"] = word
    assert arrives(shop)["customer_id"].isna().tolist() == guest.tolist()


def test_the_same_id_is_a_person_where_it_buys_like_one(shop):
    shop.events.loc[shop.events["customer_id"] == "c7", "customer_id"] = "0"
    events = arrives(shop)
    assert events["customer_id"].notna().all()
    assert events["customer_id"].nunique() == CUSTOMERS


@pytest.mark.parametrize("columns", [["quantity", "value"], ["quantity"], ["value"]])
def test_negative_lines_are_returns(shop, columns):
    back = shop.some(0.05)
    value = shop.events["value"].tolist()
    for column in columns:
        shop.events.loc[back, column] *= -1
    events = arrives(shop)
    assert (events["kind"] == "return").tolist() == back.tolist()
    assert events["quantity"].eq(1).all()
    assert events["value"].tolist() == value
    assert notes() == {"negative lines, taken as returns": back.sum()}


def test_a_table_of_negative_sales_alone_is_refused(shop):
    shop.events["quantity"] = -1
    assert "quantity or value is below 0 in 1,500 of 1,500 purchases, first in row 1," in refused(shop)


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["page_view", "view_item", "add_to_cart", "refund"], ["view", "view", "cart", "return"]),
        (["Product Viewed", "Product Added", "Order Completed"], ["view", "cart", "purchase"]),
        (["product_viewed", "product_added_to_cart", "checkout_completed"], ["view", "cart", "purchase"]),
        (["pv", "fav", "cart", "buy"], ["view", "wishlist", "cart", "purchase"]),
        (["VIEW", "AddToCart", "Purchase"], ["view", "cart", "purchase"]),
    ],
)
def test_kinds_of_events_are_known_by_the_names_of_trackers(shop, names, kinds):
    chosen = shop.rng.integers(0, len(names), LINES)
    shop.events["kind"] = np.array(names)[chosen]
    assert arrives(shop)["kind"].tolist() == np.array(kinds)[chosen].tolist()


def test_kinds_of_ones_own_are_named_by_a_setting_and_what_says_nothing_is_left_out(shop):
    shop.events["kind"] = np.resize(["Kassenbon", "scroll", "ping", "Regal"], LINES)
    shop.settings = {"kinds": {"kassenbon": "purchase", "Regal": "view"}}
    events = arrives(shop)
    assert events["kind"].value_counts().to_dict() == {"purchase": 375, "view": 375}
    assert notes() == {"events that say nothing about products, left out": 750}


def test_a_search_needs_no_product_and_a_purchase_does(shop):
    shop.events.loc[:99, "kind"] = "search"
    shop.events.loc[:109, "product_id"] = ""
    arrives(shop)
    assert notes() == {"looks and searches without a product, kept": 100}


def test_products_that_are_gone_from_the_catalogue_have_ended(shop):
    shop.products = shop.products[~shop.products["product_id"].isin(["p3", "p18"])]
    events = arrives(shop)
    known = pq.read_table("data/raw/products.parquet")["product_id"].combine_chunks()
    ended = ended_products(Path("data/raw/events.parquet"), np.array([], np.int64), known)
    gone = events["product_id"].isin(["p3", "p18"])
    assert ended.rows == gone.sum()
    assert set(ended.table["product_id"].to_pylist()) == {"p3", "p18"}
    assert pd.Series(ended.table["last"].to_pylist()).max() == events.loc[gone, "timestamp"].max()


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda ids: ids.str.replace("p", "00"), "without leading zeros"),
        (lambda ids: ids.str.upper(), "in small letters"),
        (lambda ids: ids.str.replace("p", "p-"), "without blanks, dashes and other signs"),
    ],
)
def test_ids_that_differ_in_how_they_are_written_are_named_with_their_remedy(shop, spoil, cause):
    if cause == "without leading zeros":
        shop.products["product_id"] = shop.products["product_id"].str.removeprefix("p")
    shop.events["product_id"] = spoil(shop.events["product_id"])
    line = refused(shop)
    assert "events.csv: product_id: 0 of 40 ids are in products.csv, from row 1 on (" in line
    assert f"40 of 40 fit {cause})" in line
    shop.settings = {"ids": [line.rpartition("[")[2].rstrip("]")]}
    assert arrives(shop)["product_id"].isin(pq.read_table("data/raw/products.parquet")["product_id"].to_pylist()).all()


def test_blanks_around_ids_and_the_decimals_of_a_column_with_gaps_mean_nothing(shop):
    shop.products["product_id"] = shop.products["product_id"].str.removeprefix("p")
    shop.events["product_id"] = shop.events["product_id"].str.removeprefix("p") + ".0"
    shop.events["customer_id"] = " " + shop.events["customer_id"] + "  "
    events = arrives(shop)
    assert events["product_id"].isin(shop.products["product_id"]).all()
    assert events["customer_id"].nunique() == CUSTOMERS


def test_one_customer_by_two_spellings_of_an_address_is_one(shop):
    shop.events["customer_id"] += np.where(shop.some(0.5), "@Example.org ", "@example.org")
    assert arrives(shop)["customer_id"].nunique() == CUSTOMERS
    assert notes() == {"spellings of customers' ids that differ in capitals or blanks alone, joined": CUSTOMERS}


def test_addresses_that_differ_in_capitals_are_one_customer_in_all_tables(shop):
    shop.events["customer_id"] += "@Example.org"
    people = [f"c{number}@example.ORG " for number in range(CUSTOMERS)]
    shop.others["customers"] = pd.DataFrame({"customer_id": people, "user_id": range(CUSTOMERS), "size": "M"})
    events = arrives(shop)
    customers = pq.read_table("data/raw/customers.parquet").to_pandas()
    assert events["customer_id"].isin(customers["customer_id"]).all()
    assert [name for name in customers.columns if name.startswith("attr_")] == ["attr_size"]


def campaigns(shop, prefix):
    """Four campaigns, and exposures of customers whose ids have this prefix."""
    months = [f"2025-0{month}" for month in (1, 2, 3, 4)]
    ids = [f"k{number}" for number in range(4)]
    shop.others["campaigns"] = pd.DataFrame(
        {"campaign_id": ids, "kind": "coupon", "start": [f"{m}-01" for m in months], "end": [f"{m}-14" for m in months]}
    )
    people = [f"{prefix}{number}" for number in range(50)]
    shop.others["exposures"] = pd.DataFrame({"customer_id": people * 4, "campaign_id": np.repeat(ids, 50)})


def test_exposures_of_other_peoples_ids_are_an_error_and_of_the_shops_customers_fine(shop):
    campaigns(shop, "crm-")
    assert "exposures.csv: customer_id: 0 of 50 ids are in events.csv" in refused(shop)
    campaigns(shop, "C")
    assert "50 of 50 fit in small letters); export both alike, or set snapshot.ids to [case]" in refused(shop)
    campaigns(shop, "c")
    assert len(arrives(shop)) == LINES


def test_words_for_nothing_are_nothing_and_counted(shop):
    without = shop.some(0.3)
    shop.events.loc[without, "basket_id"] = "NULL"
    shop.products.loc[::3, "category"] = "\\N"
    shop.products.loc[1::7, "title"] = "N/A"
    shop.products.loc[2::7, "title"] = "k.A."
    shop.settings = {"missing": ["k.A."]}
    assert arrives(shop)["basket_id"].isna().tolist() == without.tolist()
    products = pq.read_table("data/raw/products.parquet").to_pandas()
    assert products["category"].isna().sum() == 14
    assert products["title"].isna().sum() == 12
    assert notes("products") == {"category: words that mean missing": 14, "title: words that mean missing": 12}


def test_several_currencies_are_converted_by_a_table_or_refused(shop):
    yen, euros = shop.some(0.3), shop.events["value"].to_numpy()
    shop.events["Currency"] = np.where(yen, "JPY", "eur")
    shop.events["value"] = np.where(yen, euros * 160, euros).round(2)
    line = refused(shop)
    assert f"column 'Currency' names 2 currencies (EUR {(~yen).sum():,}, JPY {yen.sum():,} rows)" in line
    shop.settings = {"currency": "EUR", "rates": {"USD": 0.9}}
    assert "set snapshot.rates to what 1 JPY is worth in EUR" in refused(shop)
    shop.settings = {"currency": "EUR", "rates": {"JPY": 1 / 160}}
    assert arrives(shop)["value"].to_numpy() == pytest.approx(euros, abs=0.001)
    assert notes() == {"amounts converted to EUR": yen.sum()}


def test_one_currency_needs_no_table(shop):
    shop.events["currency"] = "USD"
    assert arrives(shop)["value"].tolist() == shop.events["value"].tolist()


@pytest.mark.parametrize("factor", [100, 1000, 160])
def test_amounts_in_other_units_than_the_list_prices_are_refused_until_the_shop_names_the_unit(shop, factor):
    shop.products["price"] = 15.0
    euros = shop.events["value"].to_numpy()
    shop.events["value"] = (euros * factor).round()
    assert "value of one unit is" in refused(shop)
    shop.settings = {"units": {"events": {"value": 1 / factor}}}
    assert arrives(shop)["value"].to_numpy() == pytest.approx(euros, abs=0.01)


@pytest.mark.parametrize("name", ["lineitem_price", "UnitPrice", "Unit Price", "price"])
def test_an_amount_is_quantity_times_the_price_of_one(shop, name):
    shop.events["quantity"] = shop.rng.integers(1, 6, LINES)
    amount = (shop.events["quantity"] * shop.events["value"]).to_numpy()
    shop.events = shop.events.rename(columns={"value": name})
    assert arrives(shop)["value"].to_numpy() == pytest.approx(amount)
    assert notes() == {"rows whose value is quantity × price": LINES}


def test_a_value_that_is_the_list_price_at_every_quantity_can_be_read_in_two_ways(shop):
    shop.events["quantity"] = shop.rng.integers(1, 6, LINES)
    shop.events["value"] = 10.0
    line = refused(shop)
    assert "set snapshot.mapping.events.unit_price to its column" in line
    assert "set snapshot.units to events: {value: 1}" in line
    shop.settings = {"mapping": {"events": {"unit_price": "value"}}}
    assert arrives(shop)["value"].tolist() == (10.0 * shop.events["quantity"]).tolist()
    shop.settings = {"units": {"events": {"value": 1}}}
    assert arrives(shop)["value"].eq(10.0).all()


def test_columns_are_found_in_any_case_and_with_blanks(shop):
    shop.events.columns = ["CustomerID", "Product Id", " TIMESTAMP", "Kind", "QUANTITY", "Value ", "basket-id"]
    shop.products.columns = [name.upper() for name in shop.products.columns]
    assert arrives(shop)["value"].sum() == pytest.approx(shop.events["Value "].sum())


def test_two_columns_that_may_be_meant_are_refused_by_name(shop):
    shop.events["Customer ID"] = "x"
    shop.events = shop.events.rename(columns={"customer_id": "CUSTOMER_ID"})
    assert "CUSTOMER_ID and Customer ID may both be events.customer_id" in refused(shop)


def test_order_fields_that_stand_in_the_first_line_alone_hold_for_the_order(shop):
    whole = shop.events.copy()
    later = whole["basket_id"].eq(whole["basket_id"].shift())
    shop.events.loc[later, ["customer_id", "timestamp"]] = ""
    events = arrives(shop)
    assert notes() == {"lines that take customer and time from the first line of their order": later.sum()}
    assert events["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S").tolist() == whole["timestamp"].tolist()
    assert events["customer_id"].nunique() == CUSTOMERS
    assert events.groupby("customer_id").size().sort_values().tolist() == sorted(whole.groupby("customer_id").size())


def test_a_machine_is_left_out_and_named(shop):
    ids = [f"p{number}" for number in shop.rng.integers(0, PRODUCTS, 6_000)]
    machine = pd.DataFrame({"customer_id": "bot", "product_id": ids, "timestamp": "2025-02-01 03:00:00", "quantity": 1})
    shop.events = pd.concat([shop.events, machine.assign(kind="purchase", value=1.0, basket_id="bb")])
    arrives(shop)
    assert odd() == {"the customer behaves like no person": 6_000}


def test_a_crawler_that_never_sleeps_is_left_out(shop):
    when = pd.date_range("2025-02-01", periods=1_000, freq="5min").strftime("%Y-%m-%d %H:%M:%S")
    crawler = pd.DataFrame({"customer_id": "c-x", "product_id": "p1", "timestamp": when, "kind": "view", "quantity": 1})
    shop.events = pd.concat([shop.events, crawler])
    arrives(shop)
    assert odd() == {"the customer behaves like no person": 1_000}


@pytest.mark.parametrize("order", ["appended", "by time", "shuffled"])
def test_a_part_of_the_export_that_came_twice_counts_once(shop, order):
    again = shop.events[shop.events["timestamp"] >= "2025-02-17"]
    shop.events = pd.concat([shop.events, again], ignore_index=True)
    if order == "by time":
        shop.events = shop.events.sort_values("timestamp", kind="stable")
    elif order == "shuffled":
        shop.events = shop.events.sample(frac=1.0, random_state=1)
    arrives(shop)
    assert odd() == {"exported twice: a copy of a row from another part of the export": len(again)}


def test_two_of_a_thing_on_two_lines_of_one_basket_are_no_copy(shop):
    twins = shop.events[shop.some(0.1)]
    shop.events = pd.concat([shop.events, twins]).sort_index(kind="stable")
    arrives(shop)
    assert odd() == {}


@pytest.mark.parametrize("moment", ["1970-01-01 00:00:00", "1980-01-01 00:00:00", "2009-01-01 12:00:00"])
def test_clocks_that_were_never_set_make_no_history(shop, moment):
    shop.events.loc[[5, 90, 400], "timestamp"] = moment
    shop.events.loc[[5, 90, 400], "basket_id"] = ""
    arrives(shop)
    assert odd() == {"timestamp lies long before all the others": 3}


def thousands(value):
    return f"{value * 100:,.2f}"


@pytest.mark.parametrize(
    ("written", "factor"),
    [
        (lambda value: f"{value:.2f}".replace(".", ","), 1),
        (lambda value: f"${value:.2f}", 1),
        (lambda value: f"{value:.2f} €".replace(".", ","), 1),
        (thousands, 100),
        (lambda value: thousands(value).translate(str.maketrans(",.", ".,")), 100),
    ],
)
def test_numbers_are_read_as_they_are_written(shop, written, factor):
    euros = shop.events["value"].to_numpy()
    shop.events["value"] = [written(value) for value in euros]
    assert arrives(shop)["value"].to_numpy() == pytest.approx(euros * factor)


@pytest.mark.parametrize("mark", [".", ","])
def test_a_number_that_can_be_read_in_two_ways_is_refused_with_both_and_read_as_the_setting_says(shop, mark):
    shop.events["value"] = f"1{mark}234"
    shop.products = shop.products.drop(columns="price")
    assert "can be read as decimal point or as decimal comma, in 1,500 values" in refused(shop)
    small, large = ("decimal point", "decimal comma") if mark == "." else ("decimal comma", "decimal point")
    for notation, value in ((small, 1.234), (large, 1234)):
        shop.settings = {"formats": {"events": {"value": notation}}}
        assert arrives(shop)["value"].eq(value).all()


FORMS = ("%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y%m%d%H%M%S", "%d %b %Y %H:%M:%S")


@pytest.mark.parametrize("form", FORMS)
def test_dates_are_read_as_they_are_written(shop, form):
    when = pd.to_datetime(shop.events["timestamp"])
    shop.events["timestamp"] = when.dt.strftime(form)
    assert arrives(shop)["timestamp"].tolist() == when.tolist()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "excel", "UTC", "+0200"])
def test_moments_are_read_as_they_are_counted(shop, unit):
    when = pd.to_datetime(shop.events["timestamp"])
    if unit == "excel":
        written = ((when - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)).map("{:.8f}".format)
    elif unit in ("UTC", "+0200"):
        written = when.dt.strftime(f"%Y-%m-%d %H:%M:%S {unit}")
        when -= pd.Timedelta(hours=2 * (unit == "+0200"))
    else:
        written = when.astype(f"datetime64[{unit}]").astype("int64")
    shop.events["timestamp"] = written
    assert arrives(shop)["timestamp"].dt.floor("s").tolist() == when.tolist()


def test_a_date_that_can_be_read_in_two_ways_is_refused_with_both(shop):
    shop.events["timestamp"] = "01/02/2025"
    assert "can be read as day first or as month first, in 1,500 values" in refused(shop)
    shop.settings = {"formats": {"events": {"timestamp": "month first"}}}
    assert arrives(shop)["timestamp"].eq(pd.Timestamp("2025-01-02")).all()


def test_times_with_and_without_a_zone_are_counted(shop):
    shop.events.loc[:499, "timestamp"] += "Z"
    arrives(shop)
    assert notes() == {
        "timestamp: times with a zone": 500,
        "timestamp: times without a zone, taken as the shop's": LINES - 500,
    }


def test_json_lines_keep_the_zone_of_a_time(shop):
    shop.settings = {"time_zone": "Asia/Tokyo"}
    shop.events["timestamp"] = np.resize(
        ["2025-02-01T10:00:00Z", "2025-02-01T10:00:00", "2025-02-01T10:00:00+02:00"], LINES
    )
    shop.raw = {"events.csv": None, "events.jsonl": shop.events.to_json(orient="records", lines=True).encode()}
    assert arrives(shop)["timestamp"].dt.hour.tolist()[:3] == [10, 1, 8]


def test_markup_in_titles_is_undone(shop):
    shop.products["title"] = "A &amp; <b>caf&eacute;</b>\u202e"
    arrives(shop)
    assert set(pq.read_table("data/raw/products.parquet")["title"].to_pylist()) == {"A & café"}


TITLES = {
    "big5": ["有機紅蘿蔔", "新鮮牛奶", "烏龍茶葉", "黑糖餅乾", "手工麵條", "海鹽洋芋片"],
    "gb18030": ["有机胡萝卜", "新鲜牛奶", "乌龙茶叶", "黑糖饼干", "手工面条", "海盐薯片"],
    "shift_jis": ["有機にんじん", "牛乳 1リットル", "ウーロン茶", "黒糖クッキー", "手打ち麺"],
    "euc_kr": ["유기농 당근", "신선한 우유", "우롱차 잎", "흑설탕 과자", "수제 국수"],
    "cp1252": ["5 € für Müller", "Café crème", "Jalapeño", "Fußmatte groß"],
    "cp1251": ["Молоко свежее", "Хлеб ржаной", "Чай чёрный"],
    "utf-16": ["有機紅蘿蔔", "Café"],
}


@pytest.mark.parametrize("encoding", TITLES)
def test_titles_arrive_in_the_encoding_that_their_characters_tell(shop, encoding):
    titles = np.resize(TITLES[encoding], PRODUCTS).tolist()
    shop.products["title"] = titles
    shop.raw = {"products.csv": shop.products.to_csv(index=False).encode(encoding)}
    arrives(shop)
    assert pq.read_table("data/raw/products.parquet")["title"].to_pylist() == titles


def test_bytes_that_fit_two_encodings_are_refused_with_both(shop):
    shop.products["title"] = "x"
    shop.products.loc[0, "title"] = "우유"
    shop.raw = {"products.csv": shop.products.to_csv(index=False).encode("euc_kr")}
    assert "may be in gb18030 or big5 or euc_kr" in refused(shop)
    shop.settings = {"encodings": {"products": "euc_kr"}}
    arrives(shop)
    assert pq.read_table("data/raw/products.parquet")["title"][0].as_py() == "우유"


@pytest.mark.parametrize("form", ["monthly", "hive", "gz", "zst", "tsv", "jsonl", "copied"])
def test_a_table_lies_in_files_of_many_kinds(shop, form):
    whole = shop.events.to_csv(index=False).encode()
    parts = shop.events.groupby(shop.events["timestamp"].str[:7])
    months = {month: part.to_csv(index=False).encode() for month, part in parts}
    shop.raw = {"events.csv": None} | {
        "monthly": {f"events-{month}.csv": content for month, content in months.items()},
        "hive": {f"events/month={month}/part-0.csv": content for month, content in months.items()},
        "gz": {"events.csv.gz": pa.compress(whole, "gzip", asbytes=True)},
        "zst": {"events.csv.zst": pa.compress(whole, "zstd", asbytes=True)},
        "tsv": {"events.tsv": shop.events.to_csv(index=False, sep="\t").encode()},
        "jsonl": {"events.jsonl": shop.events.to_json(orient="records", lines=True).encode()},
        "copied": {"events.csv": whole, "events (1).csv": whole},
    }[form]
    events = arrives(shop)
    assert len(events) == LINES
    assert events["value"].tolist() == shop.events["value"].tolist()


def test_a_shop_without_categories_is_read(shop):
    shop.products = shop.products.drop(columns="category")
    arrives(shop)
    assert pq.read_table("data/raw/products.parquet")["category"].null_count == PRODUCTS
