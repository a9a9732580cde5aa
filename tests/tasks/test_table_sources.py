"""snapshot.tables: a table is read out of the files as they lie there, with the right numbers."""

import json
from datetime import datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightmarket.contracts import InputError
from tasks import snapshot
from tests.tasks.exported import column

PRODUCTS = "product_id,title\na,Apple\nb,Bread\n"


@pytest.fixture
def folder(folder):
    """The same with two products."""
    (folder / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    return folder


def arrives(folder, *, table="events", **settings):
    """Rows of the table after the snapshot."""
    given = {"source": "folder", "folder": str(folder), **settings}
    snapshot.run(snapshot.Settings.model_validate(given))
    return pq.read_table(f"data/raw/{table}.parquet").to_pylist()


def refused(folder, **settings):
    """The line with which it is refused."""
    with pytest.raises(InputError) as error:
        arrives(folder, **settings)
    return str(error.value)


def notes():
    """What the snapshot says of the events."""
    return json.loads(Path("data/raw/snapshot.json").read_text()).get("notes", {}).get("events", {})


def test_a_file_without_a_header_whose_fields_stand_apart_by_blanks_is_read_with_the_names_given(folder):
    (folder / "CDNOW.txt").write_bytes(b" 00001 19970101  1   11.77\r\n 00002 19970112  12 144.00\r\n")
    source = {"file": "CDNOW.txt", "apart": "blanks", "names": ["id", "date", "n", "paid"], "constants": {"cd": "a"}}
    mapping = {"customer_id": "id", "timestamp": "date", "quantity": "n", "value": "paid", "product_id": "cd"}
    rows = arrives(folder, tables={"events": source}, mapping={"events": mapping})
    assert column(rows, "product_id", "quantity", "value") == [("a", 1.0, 11.77), ("a", 12.0, 144.0)]
    assert column(rows, "timestamp") == [datetime(1997, 1, 1), datetime(1997, 1, 12)]


def test_too_few_names_for_the_fields_of_a_line_are_refused(folder):
    (folder / "x.txt").write_text("c1 a 2025-01-01 3\n", encoding="utf-8")
    source = {"file": "x.txt", "apart": "blanks", "names": ["id", "what", "when"]}
    assert refused(folder, tables={"events": source}) == "x.txt, line 1: 4 fields, and 3 names are given for them"


def test_fields_apart_by_two_colons_are_read(folder):
    (folder / "ratings.dat").write_text("1::a::5::978300760\n2::b::3::978302109\n", encoding="utf-8")
    source = {"file": "ratings.dat", "apart": "::", "names": ["customer_id", "product_id", "stars", "timestamp"]}
    rows = arrives(folder, tables={"events": source | {"constants": {"kind": "rating"}}})
    assert column(rows, "product_id", "kind") == [("a", "rating"), ("b", "rating")]
    assert column(rows, "timestamp")[0] == datetime(2000, 12, 31, 22, 12, 40)


ORDERS = "id,client,paid at\n1,c1,2025-01-06 10:00\n2,c2,2025-01-07 11:00\n"
LINES = "order,sku,pieces,sum\n2,a,1,4.5\n1,a,2,9\n1,b,1,2.25\n"
JOIN = {"file": "lines.csv", "join": {"file": "orders.csv", "by": "order", "to": "id"}}
JOINED = {"customer_id": "client", "timestamp": "paid at", "product_id": "sku", "quantity": "pieces", "value": "sum",
          "basket_id": "order"}  # fmt: skip


def test_orders_are_joined_to_their_lines(folder):
    (folder / "orders.csv").write_text(ORDERS, encoding="utf-8")
    (folder / "lines.csv").write_text(LINES, encoding="utf-8")
    rows = arrives(folder, tables={"events": JOIN}, mapping={"events": JOINED})
    assert column(rows, "basket_id", "product_id", "value") == [("2", "a", 4.5), ("1", "a", 9.0), ("1", "b", 2.25)]
    days = [moment.day for moment in column(rows, "timestamp")]
    assert days == [7, 6, 6]
    customers = column(rows, "customer_id")
    assert customers[1] == customers[2] != customers[0]


def test_orders_that_are_there_twice_would_double_their_lines_and_are_refused(folder):
    (folder / "orders.csv").write_text(ORDERS + "2,c2,2025-01-08 11:00\n", encoding="utf-8")
    (folder / "lines.csv").write_text(LINES, encoding="utf-8")
    words = refused(folder, tables={"events": JOIN}, mapping={"events": JOINED})
    assert words.startswith("orders.csv: column 'id' must name each row once, and 1 of 3 rows repeat it")


def test_lines_that_have_no_order_are_counted_and_most_of_them_are_refused(folder):
    (folder / "orders.csv").write_text(ORDERS, encoding="utf-8")
    (folder / "lines.csv").write_text(LINES + "3,b,1,1\n", encoding="utf-8")
    rows = arrives(folder, tables={"events": JOIN}, mapping={"events": JOINED})
    assert column(rows, "timestamp")[-1] is None
    assert notes()["lines whose order is not in orders.csv"] == 1
    (folder / "lines.csv").write_text(LINES.replace("\n1,", "\nA1,").replace("\n2,", "\nA2,"), encoding="utf-8")
    assert "3 of 3 lines have no row in orders.csv" in refused(
        folder, tables={"events": JOIN}, mapping={"events": JOINED}
    )


def test_fields_of_the_first_line_hold_for_its_order_and_no_other_field_is_filled(folder):
    text = (
        "Name,Created at,Email,Lineitem sku,Note\n"
        "#1,2025-01-06 10:00:00,x@y.org,a,gift\n#1,,,b,\n#2,2025-01-07,z@y.org,a,\n#2,,,,\n"
    )
    (folder / "orders.csv").write_text(text, encoding="utf-8")
    source = {"file": "orders.csv", "first_line": {"Name": ["Created at", "Email"]}, "only": ["Lineitem sku"]}
    mapping = {"customer_id": "Email", "timestamp": "Created at", "product_id": "Lineitem sku", "channel": "Note"}
    rows = arrives(folder, tables={"events": source}, mapping={"events": mapping})
    assert column(rows, "product_id", "channel") == [("a", "gift"), ("b", None), ("a", None)]
    assert [moment.day for moment in column(rows, "timestamp")] == [6, 6, 7]
    assert notes()["rows without Lineitem sku, left out"] == 1


def test_columns_are_computed_and_products_are_made_of_the_lines(folder):
    (folder / "products.csv").unlink()
    text = (
        "who,sku,name,when,n,price,off\n"
        "c1,a,Apple,2025-01-06,3,2.5,0.5\n"
        "c2,,Bread,2025-01-07,1,4,\n"
        "c1,a,Red apple,2025-01-08,2,2,\n"
    )
    (folder / "sold.csv").write_text(text, encoding="utf-8")
    product = {"file": "sold.csv", "first_of": {"product": ["sku", "name"]}}
    tables = {
        "events": product | {"computed": {"paid": "[n] * [price] - [off]", "half": "[price] / 2"}},
        "products": product | {"distinct": "product"},
    }
    events = {"customer_id": "who", "product_id": "product", "timestamp": "when", "quantity": "n", "value": "paid",
              "discount": "half"}  # fmt: skip
    products = {"product_id": "product", "title": "name", "price": "price"}
    rows = arrives(folder, tables=tables, mapping={"events": events, "products": products})
    assert column(rows, "product_id", "value") == [("a", 7.0), ("Bread", 4.0), ("a", 4.0)]
    assert column(rows, "discount") == [1.25, 2.0, 1.0]
    made = pq.read_table("data/raw/products.parquet").to_pylist()
    assert column(made, "product_id", "title", "price") == [("a", "Red apple", 2.0), ("Bread", "Bread", 4.0)]


def test_rows_are_left_out_by_what_they_hold_and_counted(folder):
    rows = "c1,a,2025-01-06,Done,\nc2,a,2025-01-07,ON HOLD,\nc3,b,2025-01-08,Done,7\n"
    text = f"customer_id,product_id,timestamp,state,parent\n{rows}"
    (folder / "sold.csv").write_text(text, encoding="utf-8")
    source = {"file": "sold.csv", "leave_out": {"state": ["on-hold"]}, "without": ["parent"]}
    for _ in range(2):
        assert [moment.day for moment in column(arrives(folder, tables={"events": source}), "timestamp")] == [6]
    assert notes() == {
        "rows with a value in parent, left out": 1,
        "rows whose state is on-hold, left out": 1,
    }


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("Default/Gear,Default/Gear/Bags", "Default > Gear > Bags"),
        ("Clothing > T-shirts, Sale", "Clothing > T-shirts"),
        ("Toys, Games", "Toys, Games"),
        ("N/A", None),
    ],
)
def test_a_categorys_path_is_read_as_it_is_written(folder, written, path):
    (folder / "products.csv").write_text(f'product_id,title,kind\na,Apple,"{written}"\n', encoding="utf-8")
    (folder / "events.csv").write_text("customer_id,product_id,timestamp\nc1,a,2025-01-06\n", encoding="utf-8")
    source = {"file": "products.csv", "path_of": {"category": ["kind"]}}
    assert column(arrives(folder, table="products", tables={"products": source}), "category") == [path]


def test_levels_in_columns_of_their_own_make_a_path(folder):
    text = "product_id,title,one,two,three\na,Apple,Food,Fruit,\nb,Bread,Food,N/A,Rolls\n"
    (folder / "products.csv").write_text(text, encoding="utf-8")
    (folder / "events.csv").write_text("customer_id,product_id,timestamp\nc1,a,2025-01-06\n", encoding="utf-8")
    source = {"file": "products.csv", "path_of": {"category": ["one", "two", "three"]}}
    rows = arrives(folder, table="products", tables={"products": source})
    assert column(rows, "category") == ["Food > Fruit", "Food > Rolls"]


def test_amounts_are_computed_of_numbers_as_the_shop_writes_them(folder):
    text = "customer_id;product_id;timestamp;n;each\nc1;a;2025-01-06;2;1.234,50 €\nc2;a;2025-01-07;3;0,75\n"
    (folder / "sold.csv").write_text(text, encoding="utf-8")
    source = {"file": "sold.csv", "computed": {"value": "[n] * [each]"}}
    assert column(arrives(folder, tables={"events": source}), "value") == [2469.0, 2.25]
    (folder / "sold.csv").write_text(text.replace("1.234,50 €", "1,234").replace("0,75", "2,345"), encoding="utf-8")
    assert "column 'each' can be read as decimal point or as decimal comma" in refused(
        folder, tables={"events": source}
    )


def test_a_formula_that_is_none_and_text_where_a_number_must_be_are_refused(folder):
    (folder / "sold.csv").write_text("customer_id,product_id,timestamp,n\nc1,a,2025-01-06,three\n", encoding="utf-8")
    for formula, words in (("[n] * * 2", "must be like '[Quantity] * [Price]'"), ("[n] * 2", "1 values that are no")):
        assert words in refused(folder, tables={"events": {"file": "sold.csv", "computed": {"value": formula}}})


GA4 = [
    {"event_timestamp": "1736157600000000", "event_name": "view_item", "user_pseudo_id": "1.1",
     "event_params": [{"key": "ga_session_id", "value": {"int_value": "77"}}],
     "ecommerce": None, "items": [{"item_id": "a", "price": 2.5, "quantity": None}]},
    {"event_timestamp": "1736157660000000", "event_name": "page_view", "user_pseudo_id": "1.2",
     "event_params": [{"key": "page_location", "value": {"string_value": "x"}}], "ecommerce": None, "items": []},
    {"event_timestamp": "1736157720000000", "event_name": "purchase", "user_pseudo_id": "1.1",
     "event_params": [{"key": "ga_session_id", "value": {"int_value": "77"}}],
     "ecommerce": {"transaction_id": "T1"},
     "items": [{"item_id": "a", "price": 2.5, "quantity": "2"}, {"item_id": "b", "price": 1.0, "quantity": "1"}]},
]  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_each_entry_of_a_nested_list_is_a_row_and_keys_become_columns(folder, form):
    lines = "\n".join(json.dumps(event) for event in GA4)
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(GA4), folder / "ga4.parquet")
    else:
        (folder / f"ga4.{form}").write_text(lines if form == "jsonl" else json.dumps(GA4), encoding="utf-8")
    source = {"file": f"ga4.{form}", "items": "items", "keys": {"event_params": ["ga_session_id"]},
              "first_of": {"basket": ["ecommerce.transaction_id", "event_params.ga_session_id"]}}  # fmt: skip
    mapping = {"customer_id": "user_pseudo_id", "product_id": "items.item_id", "timestamp": "event_timestamp",
               "kind": "event_name", "quantity": "items.quantity", "unit_price": "items.price",
               "basket_id": "basket"}  # fmt: skip
    rows = arrives(folder, tables={"events": source}, mapping={"events": mapping})
    assert column(rows, "kind", "product_id", "basket_id") == [
        ("view", "a", "77"), ("view", None, None), ("purchase", "a", "T1"), ("purchase", "b", "T1")]  # fmt: skip
    assert column(rows, "value")[2:] == [5.0, 1.0]
    assert column(rows, "timestamp")[2] == datetime(2025, 1, 6, 10, 2)


def workbook(path, **sheets):
    """Write a workbook; a sheet is a list of lines."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, lines in sheets.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    book.save(path)
    return book


EXCEL = [
    ["customer_id", "product_id", "timestamp", "value"],
    ["007", "a", datetime(2025, 1, 6, 10, 30), 2.5],
    [],
    [12, "b", datetime(2025, 1, 7), 3],
]


def test_a_workbook_is_a_table_with_its_dates_and_leading_zeros_kept(folder):
    workbook(folder / "events.xlsx", Sheet1=EXCEL, Sheet2=[])
    (folder / "products.csv").unlink()
    workbook(folder / "products.xlsx", Tabelle=[["product_id", "title"], ["a", "Apple"], ["b", "Bread"]])
    (folder / "customers.csv").write_text("customer_id,size\n007,S\n12,M\n", encoding="utf-8")
    rows = arrives(folder)
    assert column(rows, "timestamp") == [datetime(2025, 1, 6, 10, 30), datetime(2025, 1, 7)]
    assert column(rows, "value") == [2.5, 3.0]
    customers = pq.read_table("data/raw/customers.parquet").to_pylist()
    assert column(rows, "customer_id") == column(customers, "customer_id")


def test_a_number_that_is_shown_with_zeros_before_it_keeps_them(folder):
    book = workbook(folder / "events.xlsx", Sheet1=EXCEL)
    book["Sheet1"]["A4"].number_format = "000000"
    book.save(folder / "events.xlsx")
    (folder / "customers.csv").write_text("customer_id,size\n007,S\n000012,M\n", encoding="utf-8")
    rows = arrives(folder)
    customers = pq.read_table("data/raw/customers.parquet").to_pylist()
    assert column(rows, "customer_id") == column(customers, "customer_id")


def test_several_sheets_are_said_and_the_one_that_is_named_is_read(folder):
    workbook(folder / "shop.xlsx", Ventas=EXCEL, Notas=[["x"], [1]])
    source = {"file": "shop.xlsx"}
    words = refused(folder, tables={"events": source})
    assert words.startswith(
        "shop.xlsx has 2 sheets (Ventas, Notas), and a sheet is a table: call one 'events', or name"
    )
    rows = arrives(folder, tables={"events": source | {"sheet": "Ventas"}})
    assert column(rows, "value") == [2.5, 3.0]


def test_what_is_no_workbook_is_refused_in_one_line(folder):
    (folder / "events.xlsx").write_bytes(b"PK\x03\x04 no zip at all")
    assert refused(folder).startswith("events.xlsx cannot be read as an Excel workbook: it is damaged, protected")


def test_a_file_that_is_not_there_or_lies_outside_is_refused(folder):
    assert "snapshot.tables.events.file: " in refused(folder, tables={"events": {"file": "sales_*.csv"}})
    with pytest.raises(ValueError, match="must lie in the folder"):
        snapshot.Settings.model_validate({"tables": {"events": {"file": "../x.csv"}}})
    with pytest.raises(ValueError, match="there is no table 'sales'"):
        snapshot.Settings.model_validate({"tables": {"sales": {"file": "x.csv"}}})
