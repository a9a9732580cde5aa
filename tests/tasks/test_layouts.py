"""inspect on rows that lie otherwise than one to a line: lists, a column for each product, times of day, sums."""

import csv
import gzip
import io
import json
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from nightmarket.contracts import InputError
from tasks.intake import day_times
from tests.tasks.exported import arrives, column, proposed, put, said

START = datetime(2024, 3, 5, 8, 15, 30)
PRODUCTS = [f"SKU-{number}" for number in range(10, 22)]
ORDERS = [
    (
        f"{5000 + order}",
        f"C{order * 7 % 23}",
        START + timedelta(hours=5 * order),
        {PRODUCTS[(order * step + step) % 12]: 1 + (order + step) % 3 for step in range(1, 2 + order % 3)},
    )
    for order in range(90)
]
PRICE = {product: 3.5 + 2.25 * at for at, product in enumerate(PRODUCTS)}
LINES = [
    (order, customer, moment, product, pieces, round(pieces * PRICE[product], 2))
    for order, customer, moment, basket in ORDERS
    for product, pieces in basket.items()
]
HEADER = ["order_id", "customer_id", "order_date", "sku", "quantity", "line_total"]


def text(header, rows, delimiter=","):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerows([header, *rows])
    return file.getvalue()


def total(basket):
    return round(sum(pieces * PRICE[product] for product, pieces in basket.items()) + 4.9, 2)


def bought(folder, capsys):
    """(moment, product, pieces, value) of what arrives, and what a person is asked."""
    rows = arrives(proposed(folder, capsys))[0]["events"]
    return column(rows, "timestamp", "product_id", "quantity", "value"), " ".join(
        said(folder, capsys).replace("#", "").split()
    )


def right(money=True, moment=lambda moment: moment):
    return [(moment(line[2]), line[3], float(line[4]), line[5] if money else None) for line in LINES]


@pytest.mark.parametrize(("header", "field"), [
    ("product_ids", lambda basket: ";".join(p for p, n in basket.items() for _ in range(n))),
    ("items", lambda basket: json.dumps([p for p, n in basket.items() for _ in range(n)])),
    ("skus", lambda basket: ", ".join(f"{p} x{n}" for p, n in basket.items())),
    ("line_items", lambda basket: "|".join(f"{p}:{n}" for p, n in basket.items())),
    ("sku", lambda basket: ",".join(p for p, n in basket.items() for _ in range(n))),
])  # fmt: skip
def test_a_list_of_products_in_a_field_is_a_row_for_each(folder, capsys, header, field):
    rows = [(*order[:3], field(order[3]), total(order[3])) for order in ORDERS]
    put(folder, orders_csv=text(["order_id", "customer_id", "created_at", header, "total"], rows))
    arrived, asked = bought(folder, capsys)
    assert arrived == right(money=False)
    assert f"'{header}' lists several products: a row is made of each; 'total' is of the whole order" in asked


def test_objects_in_a_field_bring_their_pieces_and_prices(folder, capsys):
    rows = [
        (*order[:3], json.dumps([{"sku": p, "qty": n, "price": PRICE[p]} for p, n in order[3].items()]))
        for order in ORDERS
    ]
    put(folder, orders_csv=text(["order_id", "customer_id", "created_at", "items"], rows))
    assert bought(folder, capsys)[0] == right()


@pytest.mark.parametrize("wrap", [
    lambda orders: "\n".join(map(json.dumps, orders)),
    lambda orders: json.dumps({"orders": orders, "count": len(orders)}),
    lambda orders: json.dumps(orders, indent=1),
])  # fmt: skip
def test_the_total_of_an_order_is_no_amount_of_its_items(folder, capsys, wrap):
    orders = [
        {"id": order, "created_at": moment.isoformat() + "Z", "customer": {"id": customer},
         "total_price": total(basket),
         "line_items": [{"sku": p, "quantity": n, "price": str(PRICE[p])} for p, n in basket.items()]}
        for order, customer, moment, basket in ORDERS
    ]  # fmt: skip
    (folder / "orders.json").write_text(wrap(orders))
    assert bought(folder, capsys)[0] == right()


def test_the_total_of_an_order_that_all_lines_repeat_is_no_amount_of_a_line(folder, capsys):
    whole = {order[0]: total(order[3]) for order in ORDERS}
    rows = [(*line[:5], PRICE[line[3]], whole[line[0]]) for line in LINES]
    put(folder, orders_csv=text([*HEADER[:5], "price", "total"], rows))
    arrived, asked = bought(folder, capsys)
    assert arrived == right()
    assert "'total' is the same in all lines of an order" in asked


def test_a_night_refuses_totals_of_orders_in_place_of_amounts_of_lines(folder):
    whole = {order[0]: total(order[3]) for order in ORDERS}
    rows = [(*line[:5], whole[line[0]]) for line in LINES]
    put(folder, events_csv=text(["basket_id", "customer_id", "timestamp", "product_id", "quantity", "value"], rows),
        products_csv=text(["product_id", "title"], [(p, f"Thing {p}") for p in PRODUCTS]))  # fmt: skip
    section = {"source": "folder", "folder": str(folder)}
    with pytest.raises(InputError, match="value is the same in all lines of 53 of 53 orders with several products"):
        arrives(section)
    assert len(arrives(section | {"units": {"events": {"value": 1}}})[0]["events"]) == len(LINES)


@pytest.mark.parametrize("nothing", ["", "0"])
def test_a_column_for_each_product_is_a_row_for_each_that_was_bought(folder, capsys, nothing):
    rows = [(*order[:3], *(order[3].get(product, nothing) for product in PRODUCTS)) for order in ORDERS]
    put(folder, orders_csv=text(["order_id", "customer_id", "date", *PRODUCTS], rows))
    arrived, asked = bought(folder, capsys)
    assert sorted(row[:3] for row in arrived) == sorted(row[:3] for row in right())
    assert "12 columns (SKU-10, SKU-11, SKU-12 …) are taken for a product each" in asked


@pytest.mark.parametrize(("headers", "day", "clock"), [
    (("Bestelldatum", "Uhrzeit"), "%d.%m.%Y", "%H:%M:%S"), (("Date", "Time"), "%m/%d/%Y", "%I:%M:%S %p"),
    (("ERDAT", "ERZET"), "%Y%m%d", "%H%M%S"), (("日期", "时间"), "%Y-%m-%d 00:00:00", "%H:%M:%S"),
    (("Date de commande", "Heure"), "%d/%m/%Y", "%Hh%M:%S"),
])  # fmt: skip
def test_a_time_of_day_in_a_column_of_its_own_is_not_lost(folder, capsys, headers, day, clock):
    rows = [(line[0], line[1], f"{line[2]:{day}}", f"{line[2]:{clock}}", *line[3:]) for line in LINES]
    put(folder, sales_csv=text([*HEADER[:2], *headers, *HEADER[3:]], rows, ";"))
    arrived, asked = bought(folder, capsys)
    assert arrived == right()
    assert f"the time of day is taken from '{headers[1]}'" in asked


def test_hours_and_minutes_as_a_number_are_a_time_of_day(folder, capsys):
    rows = [(line[0], line[1], f"{line[2]:%Y-%m-%d}", int(f"{line[2]:%H%M}"), *line[3:]) for line in LINES]
    put(folder, sales_csv=text([*HEADER[:3], "TRANS_TIME", *HEADER[3:]], rows))
    assert bought(folder, capsys)[0] == right(moment=lambda moment: moment.replace(second=0))


@pytest.mark.parametrize("sums", [
    [("Total", "", "", "", 999, 9999.5)], [("", "", "合计", "", 999, 9999.5)], [("", "", "", "", "", "")] * 30,
    [("Zwischensumme", "", "2024-03-09", "", 9, 99.5)] * 20,
])  # fmt: skip
def test_lines_that_sum_up_others_or_are_empty_are_no_events(folder, capsys, sums):
    rows = [*LINES[:50], *sums, *LINES[50:], *sums]
    put(folder, sales_csv=text(HEADER, rows))
    tables, notes = arrives(proposed(folder, capsys))
    assert column(tables["events"], "timestamp", "product_id", "quantity", "value") == right()
    assert notes == {"lines that are empty, or sum up others, left out": 2 * len(sums)}


def test_files_that_were_put_together_name_their_columns_again(folder, capsys):
    parts = [text(HEADER, LINES[start : start + 60]) for start in range(0, len(LINES), 60)]
    put(folder, sales_csv="\ufeff" + "\ufeff".join(parts))
    section = proposed(folder, capsys)
    assert column(arrives(section)[0]["events"], "basket_id") == [line[0] for line in LINES]
    put(folder, sales_csv="\ufeff" + "\ufeff".join([*parts, text(HEADER, [("7", "C1", "soon", "SKU-10", 1, 1)])]))
    with pytest.raises(InputError, match=f"first in line {len(LINES) + len(parts) + 2}"):
        arrives(section)


def test_a_file_that_is_packed_and_not_named_so_is_read(folder, capsys):
    (folder / "orders.csv").write_bytes(gzip.compress(text(HEADER, LINES).encode()))
    assert bought(folder, capsys)[0] == right()


def test_a_delimiter_behind_each_line_is_a_column_without_a_name(folder, capsys):
    put(folder, orders_csv=text(HEADER, LINES).replace("\n", ",\n"))
    assert bought(folder, capsys)[0] == right()


def test_columns_with_one_name_do_no_harm_where_they_are_not_needed_and_are_refused_where_they_are(folder, capsys):
    put(folder, orders_csv=text([*HEADER, "note", "note"], [(*line, "", "x") for line in LINES]))
    assert bought(folder, capsys)[0] == right()
    put(folder, orders_csv="", events_csv=text(["customer_id", "product_id", "timestamp", "value", "value"], [
        (line[1], line[3], line[2], line[5], 1) for line in LINES]),
        products_csv=text(["product_id", "title"], [(p, p) for p in PRODUCTS]))  # fmt: skip
    with pytest.raises(InputError, match=r"value \(1\) and value \(2\) may both be events.value"):
        arrives({"source": "folder", "folder": str(folder)})


def test_what_keeps_a_spreadsheet_from_changing_numbers_is_no_part_of_them(folder, capsys):
    rows = [f'="{line[0]}",="{line[1]}",{line[2]},="{line[3]}",{line[4]},{line[5]}' for line in LINES]
    put(folder, orders_csv="\n".join([",".join(HEADER), *rows, ""]))
    assert bought(folder, capsys)[0] == right()


def test_a_column_of_prices_is_no_time_of_day():
    for texts in (["4.99", "9.59", "12.29"], ["12:75", "9:30"], ["31:10", "9:30"]):
        assert not day_times.are_clocks(pa.array(texts), digits=False)
    assert day_times.are_clocks(pa.array(["9.30", "17.05"]), digits=True)
    assert day_times.are_clocks(pa.array(["9:30", "17h05", "5:07:12 PM"]), digits=False)
