"""What would falsify units, money or people is understood as it is meant, or refused."""

import json

import pytest

from nightmarket.contracts import InputError
from tests.tasks.exported import arrives, column, proposed, put, said
from tests.tasks.test_layouts import HEADER, LINES, PRICE, PRODUCTS, right, text

CATALOGUE = text(["product_id", "title"], [(product, f"Thing {product}") for product in PRODUCTS])
OURS = ["basket_id", "customer_id", "timestamp", "product_id", "quantity", "value"]
BACK = {*range(4, len(LINES), 9)}


def shop(folder, header=OURS, rows=LINES):
    """The section of a folder with our names."""
    put(folder, events_csv=text(header, rows), products_csv=CATALOGUE)
    return {"source": "folder", "folder": str(folder)}


def lines(rows):
    return column(rows, "timestamp", "product_id", "quantity", "value")


@pytest.mark.parametrize(("header", "yes", "no"), [
    ("returned", "yes", "no"), ("Is Refunded", "1", "0"), ("status", "Returned", "Delivered"),
    ("状态", "已退货", "交易成功"),
])  # fmt: skip
def test_lines_that_came_back_as_they_say_themselves_are_no_purchases(folder, header, yes, no):
    rows = [(*line, yes if at in BACK else no) for at, line in enumerate(LINES)]
    tables, notes = arrives(shop(folder, [*OURS, header], rows))
    assert lines(tables["events"]) == [line for at, line in enumerate(right()) if at not in BACK]
    assert len(BACK) in notes.values()


def test_pieces_that_came_back_are_taken_off_with_their_share_of_the_amount(folder):
    rows = [(*line, 1 if at in BACK else 0) for at, line in enumerate(LINES)]
    arrived = lines(arrives(shop(folder, [*OURS, "qty_refunded"], rows))[0]["events"])
    kept = [
        (moment, product, pieces - (at in BACK), pytest.approx(value - PRICE[product] * (at in BACK)))
        for at, (moment, product, pieces, value) in enumerate(right())
        if pieces > 1 or at not in BACK
    ]
    assert arrived == kept


def test_a_column_of_amounts_that_were_refunded_is_none_of_flags(folder):
    rows = [(*line, 2.5 if at in BACK else 0) for at, line in enumerate(LINES)]
    assert lines(arrives(shop(folder, [*OURS, "refunded"], rows))[0]["events"]) == right()


@pytest.mark.parametrize("with_customer", [True, False])
def test_a_file_of_refunds_brings_their_units_and_money(folder, capsys, with_customer):
    header = ["order_id", *(["customer_id"] if with_customer else []), "refund_date", "sku", "quantity", "amount"]
    rows = [(line[0], *([line[1]] if with_customer else []), *line[2:]) for at, line in enumerate(LINES) if at in BACK]
    put(folder, orders_csv=text(HEADER, LINES), refunds_csv=text(header, rows))
    events = arrives(proposed(folder, capsys))[0]["events"]
    assert lines([row for row in events if row["kind"] == "purchase"]) == right()
    assert lines([row for row in events if row["kind"] == "return"]) == [right()[at] for at in sorted(BACK)]


@pytest.mark.parametrize("dearer", [
    lambda at, line: at % 2, lambda at, line: at > 90, lambda at, line: int(line[0]) % 4 == 0,
])  # fmt: skip
def test_amounts_of_one_product_on_two_scales_are_refused(folder, dearer):
    rows = [(*line[:5], line[5] * (160 if dearer(at, line) else 1)) for at, line in enumerate(LINES)]
    section = shop(folder, rows=rows)
    with pytest.raises(InputError, match="several currencies or units"):
        arrives(section)
    assert len(arrives(section | {"units": {"events": {"value": 1}}})[0]["events"]) == len(LINES)


def test_a_few_things_that_are_nearly_given_away_are_no_second_scale(folder):
    rows = [(*line[:5], 0.01 if at % 40 == 0 else line[5]) for at, line in enumerate(LINES)]
    assert len(arrives(shop(folder, rows=rows))[0]["events"]) == len(LINES)


def test_customers_in_two_spellings_are_refused_and_one_after_the_setting(folder, capsys):
    rows = [(line[0], line[1].lower() if at % 2 else line[1], *line[2:]) for at, line in enumerate(LINES)]
    section = shop(folder, rows=rows)
    with pytest.raises(InputError, match=r"ids differ from another in capitals alone.*set snapshot.ids to \[case\]"):
        arrives(section)
    assert len({*column(arrives(section | {"ids": ["case"]})[0]["events"], "customer_id")}) == 23
    assert len({*column(arrives(section | {"ids": ["as written"]})[0]["events"], "customer_id")}) > 40
    assert proposed(folder, capsys)["ids"] == ["case"]


def test_products_in_full_width_are_those_in_narrow_letters_where_the_shop_says_so(folder, capsys):
    rows = [(*line[:3], line[3].replace("S", "Ｓ") if at % 2 else line[3], *line[4:]) for at, line in enumerate(LINES)]
    section = shop(folder, rows=rows)
    with pytest.raises(InputError, match=r"set snapshot.ids to \[width\]"):
        arrives(section)
    assert {*column(arrives(section | {"ids": ["width"]})[0]["events"], "product_id")} == {*PRODUCTS}
    assert proposed(folder, capsys)["ids"] == ["width"]


def test_addresses_in_capitals_blanks_and_full_width_are_one_customer(folder):
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    ways = (str.lower, str.upper, lambda name: f" {name} ", lambda name: name.translate(wide))
    rows = [(line[0], ways[at % 4](f"{line[1]}@x.io"), *line[2:]) for at, line in enumerate(LINES)]
    assert len({*column(arrives(shop(folder, rows=rows))[0]["events"], "customer_id")}) == 23


def test_a_product_in_several_warehouses_is_one_with_all_of_its_stock(folder, capsys):
    header = ["sku", "name", "price", "warehouse", "stock"]
    rows = [(p, f"Thing {p}", PRICE[p], place, at % num) for at, p in enumerate(PRODUCTS) for place, num in
            (("Hamburg", 4), ("München", 3))]  # fmt: skip
    put(folder, orders_csv=text(HEADER, LINES), products_csv=text(header, rows))
    products = arrives(proposed(folder, capsys))[0]["products"]
    assert sorted(column(products, "product_id", "stock")) == [(p, at % 4 + at % 3) for at, p in enumerate(PRODUCTS)]
    assert "'stock' is added up" in " ".join(said(folder, capsys).replace("#", "").split())


def test_of_a_products_prices_the_last_counts(folder, capsys):
    rows = [(p, f"Thing {p}", PRICE[p] * part, day) for part, day in ((0.9, "2023-01-01"), (1, "2024-01-01"))
            for p in PRODUCTS]  # fmt: skip
    put(folder, orders_csv=text(HEADER, LINES), price_list_csv=text(["sku", "name", "price", "valid_from"], rows))
    products = arrives(proposed(folder, capsys))[0]["products"]
    assert {row["product_id"]: row["price"] for row in products} == PRICE


def test_lines_of_shipping_and_tax_are_known_by_what_the_line_is_called(folder):
    rows = [("product", *line) for line in LINES]
    rows += [(kind, *line[:3], "", 1, 4.9) for line in LINES[::3] for kind in ("Shipping", "tax")]
    arrived = arrives(shop(folder, ["Line Type", *OURS], rows))[0]["events"]
    assert lines(arrived) == right()


def test_a_list_of_whom_not_to_write_to_needs_no_second_column(folder, capsys):
    gone = sorted({line[1] for line in LINES})[::4]
    put(folder, orders_csv=text(HEADER, LINES), suppression_list_csv=text(["customer_id"], [[name] for name in gone]))
    assert len(arrives(proposed(folder, capsys))[0]["suppressions"]) == len(gone)


def test_subscriptions_are_no_table_of_customers(folder, capsys):
    people = sorted({line[1] for line in LINES})
    rows = [(name, PRODUCTS[at % 5], "2024-01-01", "active") for at, name in enumerate(people)]
    header = ["customer_id", "product_id", "start", "status"]
    put(folder, orders_csv=text(HEADER, LINES), subscriptions_csv=text(header, rows))
    assert {*arrives(proposed(folder, capsys))[0]} == {"events", "products"}


def test_amounts_that_their_header_says_to_be_cents_are_a_hundredth(folder, capsys):
    rows = [(*line[:5], round(line[5] * 100)) for line in LINES]
    put(folder, orders_csv=text([*HEADER[:5], "amount_cents"], rows))
    arrived = lines(arrives(proposed(folder, capsys))[0]["events"])
    assert arrived == [(*line[:3], pytest.approx(line[3])) for line in right()]


def test_receipts_whose_numbers_begin_again_each_day_are_as_many_as_there_were(folder, capsys):
    numbers: dict[str, dict[str, int]] = {}
    rows = []
    for order, customer, moment, product, pieces, value in LINES:
        today = numbers.setdefault(f"{moment:%d.%m.%Y}", {})
        bon = today.setdefault(order, len(today) + 1)
        rows.append((f"{moment:%d.%m.%Y}", f"{moment:%H:%M:%S}", bon, customer, product, pieces, value))
    put(folder, kasse_csv=text(["Datum", "Uhrzeit", "Bon-Nr", "Kunde", "Artikelnr", "Menge", "Betrag"], rows))
    events = arrives(proposed(folder, capsys))[0]["events"]
    assert lines(events) == right()
    assert len({*column(events, "basket_id")}) == len({line[0] for line in LINES})


def test_customers_are_known_by_the_column_whose_ids_the_events_have(folder, capsys):
    people = sorted({line[1] for line in LINES})
    rows = [(line[0], f"{line[1]}@X.io", *line[2:]) for line in LINES]
    known = [(at + 1, f"{name.lower()}@x.io", "yes" if at % 2 else "no") for at, name in enumerate(people)]
    put(folder, orders_csv=text(["order_id", "email", *HEADER[2:]], rows),
        customers_csv=text(["customer_id", "email", "newsletter"], known))  # fmt: skip
    tables = arrives(proposed(folder, capsys))[0]
    assert {*column(tables["customers"], "customer_id")} == {*column(tables["events"], "customer_id")}
    assert column(tables["customers"], "consent_email").count("yes") == len(people) // 2


@pytest.mark.parametrize("contradicts", [False, True])
def test_a_customer_with_several_addresses_is_one_unless_consent_is_given_and_not(folder, capsys, contradicts):
    people = sorted({line[1] for line in LINES})
    known = [(name, "yes", "home") for name in people] + [
        (name, "no" if contradicts else "yes", "office") for name in people[::4]
    ]
    put(folder, orders_csv=text(HEADER, LINES), customers_csv=text(["customer_id", "newsletter", "kind"], known))
    rows = arrives(proposed(folder, capsys))[0]["customers"]
    assert len(rows) == (len(known) if contradicts else len(people))


def test_sessions_without_customers_are_guests(folder, capsys):
    rows = [(line[0], line[2], line[3]) for line in LINES]
    put(folder, clicks_csv=text(["session_id", "timestamp", "item_id"], rows))
    events = arrives(proposed(folder, capsys))[0]["events"]
    assert column(events, "customer_id", "basket_id", "product_id", "kind") == [
        (None, line[0], line[3], "click") for line in LINES
    ]


def test_a_feed_says_with_words_what_is_in_stock(folder, capsys):
    rows = [(p, f"Thing {p}", f"{PRICE[p]} EUR", "out of stock" if at % 5 == 0 else "in stock")
            for at, p in enumerate(PRODUCTS)]  # fmt: skip
    put(folder, orders_csv=text(HEADER, LINES), feed_txt=text(["id", "title", "price", "availability"], rows, "\t"))
    products = arrives(proposed(folder, capsys))[0]["products"]
    assert column(products, "price", "stock") == [(PRICE[p], float(at % 5 > 0)) for at, p in enumerate(PRODUCTS)]


def test_views_beside_orders_with_items_name_their_product_themselves(folder, capsys):
    tracked = [
        {"event": "Order Completed", "userId": line[1], "timestamp": f"{line[2].isoformat()}Z",
         "properties": {"order_id": line[0], "total": 99, "products": [{"product_id": line[3], "price": PRICE[line[3]],
                                                                        "quantity": line[4]}]}}
        for line in LINES
    ]  # fmt: skip
    tracked += [{**each, "event": "Product Viewed", "properties": {"product_id": line[3], "price": PRICE[line[3]]}}
                for each, line in zip(tracked, LINES, strict=True)]  # fmt: skip
    (folder / "track.jsonl").write_text("\n".join(map(json.dumps, tracked)))
    events = arrives(proposed(folder, capsys))[0]["events"]
    assert lines(events[: len(LINES)]) == right()
    assert column(events[len(LINES) :], "kind", "product_id") == [("view", line[3]) for line in LINES]


@pytest.mark.parametrize(("header", "off", "share"), [
    ("discount", lambda at, line: round(line[5] * 0.1, 2) if at % 3 == 0 else 0, None),
    ("discount_amount", lambda at, line: -round(line[5] * 0.1, 2) if at % 3 == 0 else 0, None),
    ("Discount", lambda at, line: 0.25 if at % 3 == 0 else 0, 0.25),
])  # fmt: skip
def test_discounts_of_lines_are_no_money_that_was_paid(folder, capsys, header, off, share):
    rows = [(*line[:5], PRICE[line[3]], off(at, line)) for at, line in enumerate(LINES)]
    put(folder, orders_csv=text([*HEADER[:5], "unit_price", header], rows))
    events = arrives(proposed(folder, capsys))[0]["events"]
    taken = [abs(off(at, line)) if share is None else line[5] * off(at, line) for at, line in enumerate(LINES)]
    assert column(events, "discount") == pytest.approx(taken)
    assert column(events, "value") == pytest.approx([line[5] - less for line, less in zip(LINES, taken, strict=True)])


def test_events_are_of_the_products_and_customers_that_their_tables_know(folder, capsys):
    people = sorted({line[1] for line in LINES})
    rows = [(line[0], at % 9, f"{line[1]}@X.io", line[2], "77", *line[3:]) for at, line in enumerate(LINES)]
    known = [(f"{name.lower()}@x.io", "yes") for name in people]
    header = ["order_id", "customer_id", "email", "order_date", "product_id", "sku", "quantity", "line_total"]
    put(folder, orders_csv=text(header, rows),
        products_csv=text(["sku", "name"], [(p, f"Thing {p}") for p in PRODUCTS]),
        customers_csv=text(["Email Address", "newsletter"], known))  # fmt: skip
    tables = arrives(proposed(folder, capsys))[0]
    assert lines(tables["events"]) == right()
    assert {*column(tables["customers"], "customer_id")} == {*column(tables["events"], "customer_id")}


@pytest.mark.parametrize("again", [0, 20])
def test_orders_of_another_time_in_another_layout_are_read_too(folder, capsys, again):
    old, new = LINES[: 60 + again], LINES[60:]
    put(folder, orders_old_csv=text(["Order", "Client", "Date", "Article", "Pieces", "Amount"], old),
        orders_new_csv=text(HEADER, new))  # fmt: skip
    arrived = lines(arrives(proposed(folder, capsys))[0]["events"])
    assert sorted(arrived) == sorted(right()) if not again else len(arrived) < len(LINES)
