"""inspect on exports of nobody in particular: what headers do not say is told by values, and a person is asked."""

import random
from datetime import datetime, timedelta

import openpyxl
import pytest

from nightmarket.contracts import InputError
from nightmarket.intake import kinds
from tests.tasks.exported import arrives, column, proposed, put, said

START = datetime(2024, 1, 1)


def lines(number, *made):
    """CSV lines of a header and rows; the makers get a row's number, product, customer and pieces."""
    dice = random.Random(7)
    header, *makers = zip(*made, strict=True)
    rows = []
    for row in range(number):
        product, customer, pieces = dice.randint(1, 40), dice.randint(1, 60), dice.randint(1, 5)
        rows.append(",".join(str(make(row, product, customer, pieces)) for make in makers[0]))
    return "\n".join([",".join(header), *rows]) + "\n"


def customer(row, product, customer, pieces):
    return f"c{customer}"


def product(row, product, customer, pieces):
    return f"p{product}"


def pieces(row, product, customer, pieces):
    return pieces


def total(row, product, customer, pieces):
    return f"{pieces * (10 + product):.2f}"


def price(row, product, customer, pieces):
    return f"{10 + product:.2f}"


def time(row, product, customer, pieces):
    return (START + timedelta(hours=row)).isoformat(" ")


def test_looks_carts_and_orders_in_files_of_their_own_are_one_table(folder, capsys):
    seen = lines(300, ("visitor", customer), ("item_id", product), ("viewed_at_time", time))
    put(
        folder,
        orders_csv=lines(80, ("user_id", customer), ("product_id", product), ("created_at", time), ("qty", pieces),
                         ("price", price)),
        page_views_csv=seen.replace("viewed_at_time", "date"),
        cart_adds_csv=lines(90, ("user_id", customer), ("product_id", product), ("created_at", time)),
    )  # fmt: skip
    section = proposed(folder, capsys)
    assert [source["file"] for source in section["tables"]["events"]["also"]] == ["page_views.csv", "cart_adds.csv"]
    rows = arrives(section)[0]["events"]
    counted = {kind: column(rows, "kind").count(kind) for kind in ("view", "cart", "purchase")}
    assert counted == {"view": 300, "cart": 90, "purchase": 80}
    assert None not in column(rows, "customer_id") + column(rows, "product_id") + column(rows, "timestamp")
    assert "taken from the files' names" in " ".join(said(folder, capsys).replace("#", "").split())


def test_a_file_of_clicks_is_not_one_of_purchases(folder, capsys):
    put(folder, clicks_2024_csv=lines(90, ("user_id", customer), ("item_id", product), ("ts", time)))
    assert {*column(arrives(proposed(folder, capsys))[0]["events"], "kind")} == {"click"}


def test_two_files_of_one_kind_are_not_both_read(folder, capsys):
    rows = lines(90, ("user_id", customer), ("item_id", product), ("ts", time))
    put(folder, orders_csv=rows, purchases_old_csv=rows)
    assert len(arrives(proposed(folder, capsys))[0]["events"]) == 90


@pytest.mark.parametrize(("name", "kind"), [
    ("page_views_2024.csv", "view"), ("yoochoose-clicks.dat", "click"), ("AddToCart.parquet", "cart"),
    ("加购记录.csv", "cart"), ("浏览.csv", "view"), ("order_items.csv", "purchase"), ("wish_list.csv", "wishlist"),
    ("returns.csv", "return"), ("events.csv", None), ("export-7.csv", None), ("sessions_start.csv", None),
    ("click_and_collect_orders.csv", "purchase"), ("order_returns.csv", "return"),
])  # fmt: skip
def test_a_files_name_tells_what_was_done_or_nothing(name, kind):
    assert kinds.of_file(name) == kind


@pytest.mark.parametrize(("header", "make", "worth"), [
    ("item-price", total, 1), ("line amount", total, 1), ("item-price", price, None), ("amount", price, None),
])  # fmt: skip
def test_an_amount_is_of_the_line_or_of_a_piece_as_the_rows_have_it(folder, capsys, header, make, worth):
    text = lines(200, ("buyer", customer), ("sku", product), ("date", time), ("quantity-purchased", pieces),
                 (header, make))  # fmt: skip
    put(folder, sold_csv=text)
    rows = arrives(proposed(folder, capsys))[0]["events"]
    wanted = [float(line.split(",")[4]) * (worth or float(line.split(",")[3])) for line in text.splitlines()[1:]]
    assert column(rows, "value") == pytest.approx(wanted)


def test_whole_numbers_that_another_column_grows_with_are_pieces(folder, capsys):
    text = lines(200, ("CUSTOMER_ID", customer), ("PRODUCT_ID", product), ("TRANSACTION_DT", time), ("AMOUNT", pieces),
                 ("ASSET", lambda *given: pieces(*given) * 3 * given[1]), ("SALES_PRICE", total))  # fmt: skip
    put(folder, all_months_csv=text)
    rows = arrives(proposed(folder, capsys))[0]["events"]
    assert column(rows, "quantity") == [float(line.split(",")[3]) for line in text.splitlines()[1:]]
    assert column(rows, "value") == [float(line.split(",")[5]) for line in text.splitlines()[1:]]


def test_orders_that_fell_through_are_left_out_and_a_person_is_asked(folder, capsys):
    states = ("Shipped", "Shipped", "Cancelled", "Pending Payment", "Delivered")
    text = lines(200, ("customer", customer), ("sku", product), ("date", time),
                 ("order status", lambda row, *_: states[row % 5]))  # fmt: skip
    put(folder, sold_csv=text)
    assert len(arrives(proposed(folder, capsys))[0]["events"]) == 120
    assert "Cancelled: 40, Pending Payment: 40" in " ".join(said(folder, capsys).replace("#", "").split())


def test_a_column_of_other_states_leaves_nothing_out(folder, capsys):
    text = lines(60, ("customer", customer), ("sku", product), ("date", time),
                 ("state", lambda row, *_: ("CA", "NY", "TX")[row % 3]))  # fmt: skip
    put(folder, sold_csv=text)
    assert len(arrives(proposed(folder, capsys))[0]["events"]) == 60


def test_products_are_called_by_the_words_that_tell_them_apart(folder, capsys):
    text = lines(200, ("KUNNR", customer), ("MATNR", product), ("ERDAT", time),
                 ("XTEXT", lambda row, product, *_: f"Bürostuhl Modell {product}"),
                 ("WERK", lambda row, *_: "Werk Nord"))  # fmt: skip
    put(folder, positionen_csv=text)
    assert {"Bürostuhl Modell 7"} < {*column(arrives(proposed(folder, capsys))[0]["products"], "title")}


def test_lines_above_the_names_of_columns_are_no_names(folder, capsys):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["导出时间：2024-05-01 10:00:00"])
    sheet.append([])
    sheet.append(["订单编号", "下单时间", "买家昵称", "商品编码", "商品名称", "购买数量", "实付金额", "订单状态"])
    for row in range(40):
        state = "交易关闭" if row % 4 == 0 else "交易成功"
        sheet.append(
            [f"A{row}", "2024/03/01 10:00", f"买家{row % 9}", f"S{row % 5}", f"龙井 {row % 5}", 2, "¥19.80", state]
        )
    book.save(folder / "订单明细.xlsx")
    rows = arrives(proposed(folder, capsys))[0]["events"]
    assert len(rows) == 30
    assert {*column(rows, "quantity", "value")} == {(2.0, 19.8)}


def test_headers_in_japanese_korean_and_russian_are_known(folder, capsys):
    for names in (("注文番号", "注文日", "会員ID", "商品番号", "個数", "単価"),
                  ("주문번호", "주문일시", "회원ID", "상품코드", "수량", "단가"),
                  ("номер заказа", "дата заказа", "клиент", "артикул", "количество", "цена")):  # fmt: skip
        made = zip(names, (lambda row, *_: row // 2, time, customer, product, pieces, price), strict=True)
        text = lines(80, *made)
        put(folder, sold_csv=text)
        rows = arrives(proposed(folder, capsys))[0]["events"]
        cells = [line.split(",") for line in text.splitlines()[1:]]
        assert column(rows, "value") == pytest.approx([float(row[4]) * float(row[5]) for row in cells])
        assert None not in column(rows, "basket_id")


@pytest.mark.parametrize(("name", "make", "said_of_it"), [
    ("value", price, "value does not grow with quantity"), ("price", total, "unit_price grows with quantity"),
    ("value", total, ""), ("price", price, ""), ("value", lambda row, *_: 5 + row * 7919 % 400, ""),
])  # fmt: skip
def test_a_night_refuses_amounts_that_grow_as_no_amounts_do(folder, name, make, said_of_it):
    put(folder, events_csv=lines(200, ("customer_id", customer), ("product_id", product), ("timestamp", time),
                                 ("quantity", pieces), (name, make)))  # fmt: skip
    put(folder, products_csv="product_id,title\n" + "".join(f"p{number},Thing {number}\n" for number in range(1, 41)))
    section = {"source": "folder", "folder": str(folder)}
    if said_of_it:
        with pytest.raises(InputError, match=said_of_it):
            arrives(section)
        section |= {"units": {"events": {"value": 1}}}
    assert len(arrives(section)[0]["events"]) == 200


def test_a_buyers_name_is_no_title_and_is_not_shown(folder, capsys):
    def name(row, product, customer, pieces):
        return f"Ada Person{customer}"

    put(folder, sold_csv=lines(300, ("CustomerName", name), ("Item", product), ("OrderDate", time), ("Ship to", name),
                               ("Units", pieces)))  # fmt: skip
    assert not any("Ada" in title for title in column(arrives(proposed(folder, capsys))[0]["products"], "title"))
    assert "Ada" not in said(folder, capsys)


def test_orders_with_a_status_are_no_list_of_whom_not_to_write_to(folder, capsys):
    put(folder, lines_csv=lines(200, ("Order #", lambda row, *_: row // 2), ("Article", product), ("Qty", pieces)))
    states = ["cancelled" if row % 8 == 0 else "paid" for row in range(100)]
    orders = [f"{row},2024-03-{row % 28 + 1:02d},C{row % 30},{state}\n" for row, state in enumerate(states)]
    put(folder, orders_csv="Order #,Placed,Client,Status\n" + "".join(orders))
    section = proposed(folder, capsys)
    assert {*section["tables"]} == {"events", "products"}
    assert len(arrives(section)[0]["events"]) == 174


@pytest.mark.parametrize("names", [
    ("Codice articolo", "Cliente", "Data", "Quantità", "Importo"),
    ("Référence", "N° client", "Date de commande", "Quantité", "Montant TTC"),
    ("Artikel-Nr", "Kundenkarte", "Datum", "Stück", "Betrag"),
    ("Kod produktu", "Klient", "Data sprzedaży", "Ilość", "Wartość"),
    ("Ürün kodu", "Müşteri", "Tarih", "Adet", "Tutar"),
])  # fmt: skip
def test_headers_with_accents_are_known_with_and_without(folder, capsys, names):
    made = zip(names, (product, customer, time, pieces, total), strict=True)
    text = lines(80, *made)
    put(folder, sold_csv=text)
    rows = arrives(proposed(folder, capsys))[0]["events"]
    cells = [line.split(",") for line in text.splitlines()[1:]]
    assert column(rows, "quantity", "value") == [(float(row[3]), float(row[4])) for row in cells]


def test_words_for_what_was_done_are_known_under_any_header(folder, capsys):
    put(folder, bons_csv=lines(100, ("Kunde", customer), ("Artikel", product), ("Datum", time),
                               ("Vorgang", lambda row, *_: "Retoure" if row % 10 == 0 else "Verkauf")))  # fmt: skip
    assert column(arrives(proposed(folder, capsys))[0]["events"], "kind").count("return") == 10


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_lines_above_a_table_of_text_are_passed_over_and_lines_are_told_as_they_stand(folder, capsys, encoding):
    head = "Umsätze\nErstellt: 2024-05-01, 10:00\n\n"
    text = head + lines(100, ("Order ID", lambda row, *_: row // 2), ("Order date", time), ("Customer", customer),
                        ("SKU", product), ("Qty", pieces), ("Line total", total))  # fmt: skip
    (folder / "report.csv").write_bytes(text.encode(encoding))
    section = proposed(folder, capsys)
    assert section["tables"]["events"]["above"] == 3
    assert len(arrives(section)[0]["events"]) == 100
    (folder / "report.csv").write_bytes((text + "7,2024-01-01\n").encode(encoding))
    with pytest.raises(InputError, match="line 105"):
        arrives(section)


def test_a_night_leaves_out_orders_that_fell_through_and_the_shop_may_keep_them(folder):
    states = ("Shipped", "Cancelled", "交易关闭", "Pending", "paid")
    put(folder, events_csv=lines(100, ("customer_id", customer), ("product_id", product), ("timestamp", time),
                                 ("Order Status", lambda row, *_: states[row % 5])))  # fmt: skip
    put(folder, products_csv="product_id,title\n" + "".join(f"p{number},Thing {number}\n" for number in range(1, 41)))
    section = {"source": "folder", "folder": str(folder)}
    tables, notes = arrives(section)
    assert len(tables["events"]) == 60
    assert [num for note, num in notes.items() if "fell through" in note] == [20, 20]
    kept = {"kinds": {"Cancelled": "purchase", "交易关闭": "purchase"}}
    assert len(arrives(section | kept)[0]["events"]) == 100


@pytest.mark.parametrize("first", ["公司订单编号", '"order\nid"'])
def test_a_header_is_not_cut_inside_a_letter_or_a_quoted_name(folder, capsys, first):
    text = lines(
        60, (first, lambda row, *_: row), ("customer", customer), ("sku", product), ("date", time), ("qty", pieces)
    )
    put(folder, orders_csv=text)
    section = proposed(folder, capsys)
    assert "above" not in section["tables"]["events"]
    assert len(arrives(section)[0]["events"]) == 60


def test_a_header_with_a_field_less_than_the_rows_is_no_title(folder, capsys):
    text = lines(60, ("customer", customer), ("sku", product), ("date", time))
    put(folder, orders_csv=text.replace("\n", ",\n").replace("date,\n", "date\n", 1))
    assert "line 2: 4 fields where the header has 3" in said(folder, capsys)
