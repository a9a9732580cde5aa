"""prepare: the tables that everything later stands on."""

import hashlib
import json

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nightmarket.histories.calendar import NEVER
from nightmarket.histories.purchases import return_days
from tasks.__main__ import main
from tasks.files import catalogue


def frame(folder, name):
    return pq.read_table(folder / "artifacts" / "prepare" / f"{name}.parquet").to_pandas()


def change(folder, section, **values):
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params[section] |= values
    path.write_text(yaml.safe_dump(params))


def test_every_purchase_of_the_clean_events_is_a_line_on_its_local_day(whole_night):
    events = pq.read_table(whole_night / "artifacts/validate/clean/events.parquet").to_pandas()
    bought = events[(events.kind == "purchase") & (events.quantity > 0)]
    lines = frame(whole_night, "purchases")
    assert len(lines) == len(bought)
    local = bought.timestamp.dt.tz_localize("UTC").dt.tz_convert("Asia/Shanghai").dt.tz_localize(None)
    days = (local.dt.normalize() - pd.Timestamp("1970-01-01")).dt.days
    assert sorted(lines.day) == sorted(days)
    np.testing.assert_array_equal(lines.week, (lines.day - 4) // 7)


def test_lines_are_sorted_and_name_their_customer_and_product(whole_night):
    lines, customers, products = (frame(whole_night, name) for name in ("purchases", "customers", "products"))
    assert (lines.sort_values(["customer", "day"], kind="stable").index == lines.index).all()
    np.testing.assert_array_equal(customers.customer, np.arange(len(customers)))
    np.testing.assert_array_equal(products.item, np.arange(len(products)))
    events = pq.read_table(whole_night / "artifacts/validate/clean/events.parquet").to_pandas()
    spent = events[events.kind == "purchase"].groupby("customer_id").value.sum()
    ours = lines.groupby("customer").value.sum()
    ours.index = customers.customer_id.iloc[ours.index]
    np.testing.assert_allclose(ours.sort_index(), spent[ours.index].sort_index(), rtol=1e-4)


def test_first_days_are_those_of_the_lines_and_unsold_products_have_none(whole_night):
    lines, products = frame(whole_night, "purchases"), frame(whole_night, "products")
    first = lines.groupby("item").day.min()
    assert (products.first_day.iloc[first.index].to_numpy() == first.to_numpy()).all()
    assert (products.first_day.drop(first.index) == NEVER).all()


def test_each_distinct_text_stands_once(whole_night):
    texts, products = frame(whole_night, "texts"), frame(whole_night, "products")
    assert texts.text.is_unique
    assert set(products.text_id) == set(texts.text_id)


def test_the_key_of_the_hashes_changes_no_other_byte(copied_night):
    """Nothing may depend on the value of a customer id: another installation has other hashes."""

    def digests():
        names = ("purchases", "products", "texts", "promotions")
        return {
            n: hashlib.sha256((copied_night / f"artifacts/prepare/{n}.parquet").read_bytes()).hexdigest() for n in names
        }

    before = digests()
    clean = copied_night / "artifacts/validate/clean"
    for path in clean.glob("*.parquet"):
        table = pq.read_table(path).to_pandas()
        if "customer_id" in table:
            table["customer_id"] = [hashlib.md5(f"other{v}".encode()).hexdigest() for v in table["customer_id"]]
            table.to_parquet(path, index=False)
    assert main("prepare") == 0
    assert digests() == before


def test_leaving_everything_out_says_so(copied_night, capsys):
    change(copied_night, "prepare", min_category_levels=5)
    assert main("prepare") == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    assert "check prepare.exclude_*" in err


def test_a_window_that_does_not_end_on_a_monday_is_refused(copied_night, capsys):
    change(copied_night, "prepare", window_end="2026-01-01")
    assert main("prepare") == 2
    assert "prepare.window_end: 2026-01-01 is a Thursday; a window ends on the Monday" in capsys.readouterr().err


def test_windows_are_recorded(whole_night):
    windows = json.loads((whole_night / "artifacts/prepare/windows.json").read_text())
    assert windows["test"]["last_target"] - windows["test"]["cut"] == 21
    assert windows["test"]["last_target"] <= windows["last_day"]
    assert windows["deliver"]["cut"] == windows["last_day"] == frame(whole_night, "purchases").day.max()


def with_events(folder, monkeypatch, **changed):
    """The night's clean events with some columns changed, prepared anew: {column: values}."""
    monkeypatch.chdir(folder)
    path = folder / "artifacts/validate/clean/events.parquet"
    table = pq.read_table(path)
    frame_of = table.to_pandas().assign(**changed)
    path.unlink()
    pq.write_table(pa.Table.from_pandas(frame_of, table.schema, preserve_index=False), path)
    assert main("prepare") == 0
    return frame_of


def test_a_shop_that_records_views_alone_foretells_views_and_says_so(copied_night, monkeypatch, capfd):
    events = with_events(copied_night, monkeypatch, kind="view")
    lines = frame(copied_night, "purchases")
    assert len(lines) == len(events)
    assert (lines.quantity == 1).all()
    assert (lines.value == 0).all(), "what is looked at is not paid"
    assert len(frame(copied_night, "interactions")) == 0
    assert json.loads((copied_night / "artifacts/prepare/windows.json").read_text())["target"] == "view"
    assert "no purchase on record, so lists foretell events of the kind view" in capfd.readouterr().out


def test_what_lists_foretell_can_be_chosen_and_what_is_not_there_is_named(copied_night, monkeypatch, capfd):
    num = pq.read_metadata(copied_night / "artifacts/validate/clean/events.parquet").num_rows
    kinds = np.array(["view", "cart", "purchase"])[np.arange(num) % 3]
    change(copied_night, "prepare", target="any")
    with_events(copied_night, monkeypatch, kind=kinds)
    assert len(frame(copied_night, "purchases")) == num
    assert (frame(copied_night, "purchases").value > 0).mean() < 0.34
    change(copied_night, "prepare", target="cart")
    assert main("prepare") == 0
    assert len(frame(copied_night, "purchases")) == (kinds == "cart").sum()
    assert len(frame(copied_night, "interactions")) == num
    change(copied_night, "prepare", target="rating")
    assert main("prepare") == 2
    assert "events: no rating of a recommendable product" in capfd.readouterr().err


def test_prices_that_nobody_states_are_missing_and_not_zero(copied_night, monkeypatch):
    path = copied_night / "artifacts/validate/clean/products.parquet"
    products = pq.read_table(path)
    path.unlink()
    pq.write_table(products.drop_columns([name for name in ("price",) if name in products.column_names]), path)
    with_events(copied_night, monkeypatch, value=np.nan)
    assert frame(copied_night, "products").price.isna().all()
    assert (frame(copied_night, "purchases").value == 0).all()


def test_consent_reach_and_objections_come_along_and_nothing_of_them_where_a_shop_has_none(copied_night):
    usual = frame(copied_night, "customers").columns
    assert not {"birth_year", "objected"} & set(usual)
    assert not [name for name in usual if name.startswith(("consent_", "reachable_"))]
    clean = copied_night / "artifacts/validate/clean"
    customers = pq.read_table(clean / "customers.parquet").to_pandas()
    ids = customers.customer_id.tolist()
    told = {"consent_email": "yes", "reachable_sms": None, "birth_year": 1980}
    customers.assign(**told).to_parquet(clean / "customers.parquet")
    listed = {"customer_id": ids[:3], "channel": "email", "reason": ["Art. 21", "unsubscribed", None]}
    pd.DataFrame(listed).to_parquet(clean / "suppressions.parquet")
    assert main("prepare") == 0
    made = frame(copied_night, "customers")
    assert set(made.columns) == {*usual, *told, "objected"}
    assert made.customer_id[made.objected].tolist() == ids[:1]
    assert (made.consent_email == "yes").all()


def returns_of(events):
    """(customer, day) of what `return_days` reads off these events of one product."""
    table = pa.Table.from_pylist([{"product_id": "p", "quantity": 1.0, **event} for event in events])
    customers = ibis.memtable(pa.table({"customer_id": ["ann", "ben"], "customer": pa.array([0, 1], pa.int32())}))
    items = ibis.memtable(pa.table({"product_id": ["p"], "item": pa.array([0], pa.int32())}))
    back = return_days(ibis.memtable(table), customers, items).to_pyarrow()
    return list(zip(back["customer"].to_pylist(), back["day"].to_pylist(), strict=True))


def test_a_return_without_a_customer_is_of_the_one_whose_basket_it_names_and_else_of_nobody():
    bought = [{"kind": "purchase", "customer_id": who, "basket_id": basket, "day": 1}
              for who, basket in (("ann", "b1"), ("ben", "b2"), ("ann", "b3"), ("ben", "b3"))]  # fmt: skip
    back = [{"kind": "return", "customer_id": who, "basket_id": basket, "day": day}
            for who, basket, day in (("ben", "b1", 2), (None, "b1", 3), (None, "b3", 4), (None, "b9", 5),
                                     (None, None, 6))]  # fmt: skip
    # ben's own stays his; of basket b1 it is ann's; b3 has two owners, b9 none
    assert returns_of(bought + back) == [(0, 3), (1, 2)]


def test_a_service_is_not_recommended_and_its_lines_teach_nothing(copied_night):
    path = copied_night / "artifacts/validate/clean/products.parquet"
    products = pq.read_table(path).to_pandas()
    sold = frame(copied_night, "purchases")["item"].value_counts()
    often = frame(copied_night, "products")["product_id"].iloc[sold.index[0]]
    products["not_a_product"] = products["not_a_product"].astype("str").where(products["product_id"].ne(often), "fee")
    pq.write_table(pa.Table.from_pandas(products, schema=pq.read_schema(path), preserve_index=False), path)
    assert main("prepare") == 0
    after = frame(copied_night, "products").set_index("product_id")
    assert after.index[~after["recommendable"]].tolist() == [often]
    assert len(frame(copied_night, "purchases")) == sold.sum() - sold.iloc[0]


def test_the_shops_own_vectors_are_kept_by_their_main_directions_and_without_any_there_is_no_file(
    copied_night, monkeypatch
):
    monkeypatch.chdir(copied_night)
    kept = catalogue.VECTORS.path
    assert not kept.exists()
    path = copied_night / "artifacts/validate/clean/products.parquet"
    products = pq.read_table(path)
    written = [f"{row % 3} {row % 2} 1" if row else None for row in range(products.num_rows)]
    at = products.schema.get_field_index("vector")
    path.unlink()
    pq.write_table(products.set_column(at, products.schema.field(at), pa.array(written, pa.string())), path)
    assert main("prepare") == 0
    vectors = catalogue.VECTORS.read()["vectors"]
    assert vectors.shape == (products.num_rows, 3)
    assert not vectors[0].any()
    assert np.linalg.norm(vectors[1:], axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors[1] == pytest.approx(vectors[7], abs=1e-6)
    path.unlink()
    pq.write_table(products, path)
    assert main("prepare") == 0
    assert not kept.exists()
