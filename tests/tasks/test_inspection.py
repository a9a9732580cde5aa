"""inspect: the proposal, pasted into params.yaml, reads the export with the right numbers; nobody's data is printed."""

import json
import os
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.__main__ import main as run_stage
from tasks.files import catalogue
from tasks.inspection.__main__ import main
from tests.tasks.exported import arrives, column, proposed, put, said

ROOT = Path(__file__).parents[2]

SHOPIFY = """\
Name,Email,Financial Status,Paid at,Currency,Subtotal,Total,Discount Code,Discount Amount,Created at,Lineitem quantity,\
Lineitem name,Lineitem price,Lineitem sku,Billing Name,Billing Phone,Cancelled at,Vendor,Source,Lineitem discount
#1001,Anna.Smith@example.org,paid,2025-01-06 10:00:05 +0100,EUR,55.00,59.90,,0,2025-01-06 10:00:00 +0100,2,\
Shirt - Red / M,20.00,SH-R-M,Anna Smith,+49301234567,,Weaver,web,0.00
#1001,Anna.Smith@example.org,,,,,,,,2025-01-06 10:00:00 +0100,1,Mug,15.00,,,,,Potter,,0.00
#1002,bo@example.org,refunded,2025-01-07 12:00:00 +0100,EUR,20.00,20.00,,0,2025-01-07 12:00:00 +0100,1,Shirt - Red / M,\
20.00,SH-R-M,Bo Li,,,Weaver,web,0.00
#1003,bo@example.org,paid,2025-01-08 09:30:00 +0100,EUR,38.00,38.00,,0,2025-01-08 09:30:00 +0100,2,Shirt - Red / L,\
20.00,SH-R-L,Bo Li,,,Weaver,pos,2.00
#1004,cy@example.org,voided,,EUR,15.00,15.00,,0,2025-01-09 09:30:00 +0100,1,Mug,15.00,,Cy,,2025-01-09 10:00:00 +0100,\
Potter,web,0.00
"""
SHOPIFY_PRODUCTS = """\
Handle,Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src,Status
shirt,Shirt,<p>Cotton &amp; linen</p>,Weaver,Clothes,Size,M,SH-R-M,20.00,a.jpg,active
shirt,,,,,,L,SH-R-L,20.00,,
shirt,,,,,,,,,b.jpg,
Mug,Mug,,Potter,Kitchen,Title,Default Title,,15.00,c.jpg,active
"""


def test_orders_of_shopify_are_read_line_by_line_without_what_was_cancelled_or_refunded(folder, capsys):
    put(folder, orders_export_1_csv=SHOPIFY, products_export_csv=SHOPIFY_PRODUCTS)
    section = proposed(folder, capsys)
    assert section["profile"] == "shopify"
    assert section["currency"] == "EUR"
    tables, notes = arrives(section)
    events = tables["events"]
    assert column(events, "basket_id", "product_id", "quantity", "value") == [
        ("#1001", "SH-R-M", 2.0, 40.0), ("#1001", "Mug", 1.0, 15.0), ("#1003", "SH-R-L", 2.0, 38.0)]  # fmt: skip
    assert column(events, "channel") == ["web", "web", "pos"]
    assert events[0]["timestamp"] == events[1]["timestamp"] == datetime(2025, 1, 6, 9)
    assert len(set(column(events, "customer_id"))) == 2
    assert notes == {"events that say nothing about products, left out": 1,
                     "rows with a value in Cancelled at, left out": 1}  # fmt: skip
    assert column(tables["products"], "product_id", "title", "brand", "category", "price") == [
        ("SH-R-M", "Shirt", "Weaver", "Clothes", 20.0), ("SH-R-L", "Shirt", "Weaver", "Clothes", 20.0),
        ("Mug", "Mug", "Potter", "Kitchen", 15.0)]  # fmt: skip
    assert tables["products"][0]["description"] == "Cotton & linen"
    assert column(tables["products"], "group_id") == ["shirt", "shirt", "Mug"]


SHOPIFY_CUSTOMERS = """\
Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address City,Phone,Accepts SMS Marketing,\
Total Orders
'1,Anna,Smith,anna.smith@example.org,yes,Springfield,+49301234567,no,3
'2,Bo,Li,bo@example.org,no,Springfield,,no,2
'3,Di,Doe,,yes,Springfield,,no,0
"""


def test_shopifys_customers_bring_their_consent_and_are_asked_about(folder, capsys):
    put(
        folder,
        orders_export_1_csv=SHOPIFY,
        products_export_csv=SHOPIFY_PRODUCTS,
        customers_export_csv=SHOPIFY_CUSTOMERS,
    )
    page = said(folder, capsys)
    assert "# CHECK: 'Accepts Email Marketing' is taken for consent_email" in page
    assert "springfield" not in page.lower()
    assert "yes  consent to contacts" in page
    tables, _ = arrives(proposed(folder, capsys))
    assert column(tables["customers"], "consent_email", "consent_sms") == [("yes", "no"), ("no", "no")]
    assert "attr_customer_id" not in tables["customers"][0]
    assert {*column(tables["customers"], "customer_id")} == {*column(tables["events"], "customer_id")}


def test_a_profile_alone_reads_the_same(folder, capsys):
    put(folder, orders_export_1_csv=SHOPIFY, products_export_csv=SHOPIFY_PRODUCTS)
    whole, _ = arrives(proposed(folder, capsys))
    alone, _ = arrives({"source": "folder", "folder": str(folder), "profile": "shopify"})
    assert alone == whole


def test_products_are_made_of_the_order_lines_where_no_table_has_them(folder, capsys):
    put(folder, orders_export_1_csv=SHOPIFY)
    tables, _ = arrives(proposed(folder, capsys))
    assert column(tables["products"], "product_id", "title", "brand", "price") == [
        ("SH-R-M", "Shirt - Red / M", "Weaver", 20.0), ("Mug", "Mug", "Potter", 15.0),
        ("SH-R-L", "Shirt - Red / L", "Weaver", 20.0)]  # fmt: skip


def test_a_catalogue_that_does_not_know_what_was_sold_is_not_taken(folder, capsys):
    other = SHOPIFY_PRODUCTS.replace("SH-R-M", "0001").replace("SH-R-L", "0002").replace("Mug,Mug", "x,x")
    put(folder, orders_export_1_csv=SHOPIFY, products_export_csv=other)
    assert "the events name other ids (0% of theirs are there): made of the events" in said(folder, capsys)
    tables, _ = arrives(proposed(folder, capsys))
    assert column(tables["products"], "product_id") == ["SH-R-M", "Mug", "SH-R-L"]


WOO = """\
Order Number,Order Status,Order Date,First Name (Billing),Email (Billing),Order Currency,SKU,Item #,Item Name,\
Quantity (- Refund),Item Cost
11,Completed,2025-01-06 10:30,Anna,a@example.org,GBP,TEE-1,1,Tee - Blue,3,4.50
11,,,,,,CAP,2,Cap,1,9.00
12,Cancelled,2025-01-07 10:30,Bo,b@example.org,GBP,CAP,1,Cap,1,9.00
13,Processing,2025-01-08 08:00,Bo,b@example.org,GBP,,1,Sticker,2,1.25
"""
WOO_PRODUCTS = """\
ID,Type,SKU,Name,Published,Short description,Categories,Sale price,Regular price,Parent
7,variable,TEE,Tee,1,Soft,"Clothing > Tees, New",,,
8,variation,TEE-1,Tee - Blue,1,,"Clothing > Tees, New",,5.00,TEE
9,simple,CAP,Cap,1,,Clothing,8.00,9.00,
"""


def test_orders_of_woocommerce_are_read_and_variants_stand_for_their_parent(folder, capsys):
    put(folder, orders_csv=WOO, wc_products_csv=WOO_PRODUCTS)
    section = proposed(folder, capsys)
    assert section["profile"] == "woocommerce"
    tables, notes = arrives(section)
    assert column(tables["events"], "basket_id", "product_id", "quantity", "value") == [
        ("11", "TEE-1", 3.0, 13.5), ("11", "CAP", 1.0, 9.0), ("13", "Sticker", 2.0, 2.5)]  # fmt: skip
    assert [moment.day for moment in column(tables["events"], "timestamp")] == [6, 6, 8]
    assert notes == {"events that say nothing about products, left out": 1}
    assert column(tables["products"], "product_id", "category", "price") == [
        ("TEE-1", "Clothing > Tees", 5.0), ("CAP", "Clothing", 8.0)]  # fmt: skip
    assert column(tables["products"], "group_id") == ["TEE", "CAP"]


MAGENTO_ORDERS = """\
entity_id,increment_id,status,store_id,customer_id,customer_email,order_currency_code,created_at
1,000000001,complete,1,5,a@example.org,USD,2025-01-06 10:00:00
2,000000002,canceled,1,,b@example.org,USD,2025-01-07 10:00:00
3,000000003,processing,1,,b@example.org,USD,2025-01-08 10:00:00
"""
MAGENTO_ITEMS = """\
item_id,order_id,parent_item_id,product_id,sku,name,product_type,qty_ordered,price,row_total,discount_amount,created_at
1,1,,31,MH01-S,Hoodie,configurable,2.0000,25.0000,50.0000,5.0000,2025-01-06 10:00:00
2,1,1,32,MH01-S,Hoodie-S,simple,2.0000,0.0000,0.0000,0.0000,2025-01-06 10:00:00
3,2,,40,BAG,Bag,simple,1.0000,30.0000,30.0000,0.0000,2025-01-07 10:00:00
4,3,,40,BAG,Bag,simple,1.0000,30.0000,30.0000,0.0000,2025-01-08 10:00:00
"""
MAGENTO_PRODUCTS = """\
sku,store_view_code,attribute_set_code,product_type,categories,name,price,configurable_variations
MH01-S,,Top,simple,"Default Category/Men,Default Category/Men/Tops",Hoodie-S,25,
MH01,,Top,configurable,"Default Category/Men",Hoodie,25,"sku=MH01-S,size=S"
BAG,,Bag,simple,Default Category/Gear,Bag,30,
BAG,de,,,,Tasche,,
"""


def test_orders_of_magento_are_joined_and_a_configurable_product_counts_once(folder, capsys):
    put(folder, sales_order_csv=MAGENTO_ORDERS, sales_order_item_csv=MAGENTO_ITEMS, catalog_csv=MAGENTO_PRODUCTS)
    section = proposed(folder, capsys)
    assert section["profile"] == "magento"
    tables, notes = arrives(section)
    assert column(tables["events"], "basket_id", "product_id", "quantity", "value", "discount") == [
        ("1", "MH01-S", 2.0, 50.0, 5.0), ("3", "BAG", 1.0, 30.0, 0.0)]  # fmt: skip
    assert None not in column(tables["events"], "customer_id")
    assert notes["rows with a value in parent_item_id, left out"] == 1
    assert column(tables["products"], "product_id", "title", "category") == [
        ("MH01-S", "Hoodie-S", "Default Category > Men > Tops"), ("BAG", "Bag", "Default Category > Gear")]  # fmt: skip
    assert column(tables["products"], "group_id") == ["MH01", "BAG"]


def ga4_week(rows=700, seed=5):
    """A week of GA4's BigQuery export: `events_YYYYMMDD` with nested items and parameters, times in microseconds."""
    rng = random.Random(seed)
    begin = datetime(2025, 3, 3, tzinfo=UTC)
    days = {}
    for number in range(rows):
        moment = begin + timedelta(seconds=rng.randrange(7 * 86_400))
        name = rng.choice(["session_start", "page_view", "view_item", "view_item", "add_to_cart", "purchase"])
        items = [
            {
                "item_id": f"SKU{place}", "item_name": f"Thing {place}", "item_brand": "(not set)",
                "item_category": "Home", "item_category2": f"Room {place % 3}", "price": 2.5 + place,
                "quantity": rng.randrange(1, 4) if name == "purchase" else None,
                "item_revenue": None, "item_list_name": "(not set)",
            }
            for place in rng.sample(range(40), rng.randrange(1, 4))
        ] if name in ("view_item", "add_to_cart", "purchase") else []  # fmt: skip
        visitor = rng.randrange(60)
        event = {
            "event_date": moment.strftime("%Y%m%d"),
            "event_timestamp": str(int(moment.timestamp() * 1e6)),
            "event_name": name,
            "event_params": [
                {"key": "ga_session_id", "value": {"string_value": None, "int_value": str(1000 + visitor)}},
                {"key": "page_location", "value": {"string_value": "https://example.org/", "int_value": None}},
            ],
            "user_id": None,
            "user_pseudo_id": f"{1000 + visitor}.{visitor}",
            "user_properties": [],
            "device": {"category": "mobile", "web_info": {"browser": "Chrome"}},
            "geo": {"country": "Germany", "city": "Berlin"},
            "ecommerce": {"transaction_id": f"T{number}" if name == "purchase" else "(not set)"},
            "items": items,
        }
        days.setdefault(moment.strftime("%Y%m%d"), []).append(event)
    return days


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json", "parquet"])
def test_a_week_of_ga4_is_read_with_its_items_sessions_and_transactions(folder, capsys, form):
    week = ga4_week()
    for day, events in week.items():
        if form == "json":
            text = "\n".join(json.dumps(event) for event in events)
            (folder / f"events_{day}.json").write_text(text, encoding="utf-8")
        else:
            pq.write_table(pa.Table.from_pylist(events), folder / f"events_{day}.parquet")
    section = proposed(folder, capsys)
    assert section["profile"] == "ga4"
    tables, notes = arrives(section)
    flat = [event for day in sorted(week) for event in week[day] if event["event_name"] != "session_start"]
    wanted = [(event, item) for event in flat for item in event["items"] or [{}]]
    events = tables["events"]
    assert column(events, "product_id") == [item.get("item_id") for _, item in wanted]
    kinds = {"page_view": "view", "view_item": "view", "add_to_cart": "cart", "purchase": "purchase"}
    assert column(events, "kind") == [kinds[event["event_name"]] for event, _ in wanted]
    baskets = [event["ecommerce"]["transaction_id"] if event["event_name"] == "purchase"
               else event["user_pseudo_id"].partition(".")[0] for event, _ in wanted]  # fmt: skip
    assert column(events, "basket_id") == baskets
    bought = [(item["quantity"] * item["price"], event) for event, item in wanted if event["event_name"] == "purchase"]
    assert [row["value"] for row in events if row["kind"] == "purchase"] == pytest.approx([paid for paid, _ in bought])
    assert all(quantity >= 1 for quantity in column(events, "quantity"))
    first = datetime.fromtimestamp(int(wanted[0][0]["event_timestamp"]) / 1e6, UTC).replace(tzinfo=None)
    assert abs(events[0]["timestamp"] - first) < timedelta(milliseconds=1)
    assert len(set(column(events, "customer_id"))) == 60
    assert notes["events that say nothing about products, left out"] == sum(
        event["event_name"] == "session_start" for day in week.values() for event in day
    )
    products = {row["product_id"]: row for row in tables["products"]}
    assert products["SKU7"]["title"] == "Thing 7"
    assert products["SKU7"]["category"] == "Home > Room 1"
    assert products["SKU7"]["price"] == 9.5
    assert products["SKU7"]["brand"] is None


@pytest.mark.slow
def test_the_proposal_pasted_goes_through_snapshot_validate_and_prepare_with_every_purchase(folder, capsys):
    week = ga4_week()
    for day, events in week.items():
        (folder / f"events_{day}.json").write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    begin, end = text.index("snapshot:\n"), text.index("\nvalidate:")
    assert main([str(folder), "--yaml"]) == 0
    Path("params.yaml").write_text(text[:begin] + capsys.readouterr().out + text[end:], encoding="utf-8")
    assert [run_stage(name) for name in ("snapshot", "validate", "prepare")] == [0, 0, 0]
    report = json.loads(Path("artifacts/validate/report.json").read_text())
    assert {name: table["set_aside"] for name, table in report["tables"].items()} == {"events": 0, "products": 0}
    bought = [item for day in week.values() for event in day if event["event_name"] == "purchase"
              for item in event["items"]]  # fmt: skip
    lines = catalogue.PURCHASES.read(["quantity", "value"])
    assert lines.num_rows == len(bought)
    assert sum(lines["value"].to_pylist()) == pytest.approx(sum(item["price"] * item["quantity"] for item in bought))


def test_orders_and_their_lines_are_joined_whatever_they_are_called(folder, capsys):
    put(
        folder,
        ventas_csv="id;cliente_id;fecha;total\n1;c1;06.01.2025 10:00;11,25\n2;c2;14.01.2025 11:00;4,50\n",
        detalle_csv="order_id;sku;cantidad;importe\n2;a;1;4,50\n1;a;2;9,00\n1;b;1;2,25\n",
        catalog_csv="sku;nombre;precio\na;Apple;4,50\nb;Bread;2,25\n",
    )
    section = proposed(folder, capsys)
    assert section["tables"]["events"]["join"] == {"file": "ventas.csv", "by": "order_id", "to": "id"}
    tables, _ = arrives(section)
    assert column(tables["events"], "basket_id", "product_id", "quantity", "value") == [
        ("2", "a", 1.0, 4.5), ("1", "a", 2.0, 9.0), ("1", "b", 1.0, 2.25)]  # fmt: skip
    assert [moment.day for moment in column(tables["events"], "timestamp")] == [14, 6, 6]
    assert column(tables["products"], "title", "price") == [("Apple", 4.5), ("Bread", 2.25)]


def test_the_pair_of_sap_is_joined_and_its_commas_are_read_as_the_other_amounts_are(folder, capsys):
    put(
        folder,
        vbak_csv="VBELN;ERDAT;KUNNR;WAERK\n0000000001;20250106;0000000017;EUR\n0000000002;20250114;0000000018;EUR\n",
        vbap_csv="VBELN;POSNR;MATNR;KWMENG;NETWR\n0000000001;10;M-1;2,000;9,50\n0000000002;10;M-2;1,000;4,25\n",
    )
    assert "# CHECK: events.quantity can be read as decimal comma or as decimal point" in said(folder, capsys)
    tables, _ = arrives(proposed(folder, capsys))
    assert column(tables["events"], "basket_id", "product_id", "quantity", "value") == [
        ("0000000001", "M-1", 2.0, 9.5), ("0000000002", "M-2", 1.0, 4.25)]  # fmt: skip
    assert [moment.day for moment in column(tables["events"], "timestamp")] == [6, 14]


def test_columns_without_names_are_told_by_what_they_hold_and_asked_about(folder, capsys):
    rows = [
        (1 + at % 30, 900 + at % 17, 5, ("pv", "cart", "fav", "buy")[at % 4], 1511544070 + 60 * at) for at in range(200)
    ]
    put(folder, UserBehavior_csv="".join(",".join(map(str, row)) + "\n" for row in rows))
    assert "# CHECK: the first line is a row: columns are named by what they hold" in said(folder, capsys)
    tables, _ = arrives(proposed(folder, capsys))
    assert len(tables["events"]) == 200
    assert column(tables["events"], "product_id", "kind")[:4] == [
        ("900", "view"), ("901", "cart"), ("902", "wishlist"), ("903", "purchase")]  # fmt: skip
    assert len(set(column(tables["events"], "customer_id"))) == 30
    assert tables["events"][0]["timestamp"] == datetime(2017, 11, 24, 17, 21, 10)


def test_products_nested_in_the_properties_of_an_event_are_opened(folder, capsys):
    products = [{"product_id": "a", "name": "Apple", "price": 1.5, "quantity": 2}, {"product_id": "b", "name": "Bread",
                "price": 3.0, "quantity": 1}]  # fmt: skip
    events = [
        {"event": "Order Completed", "userId": "u1", "timestamp": "2025-02-01T10:00:00.000Z",
         "properties": {"order_id": "o1", "currency": "USD", "products": products}},
        {"event": "Product Viewed", "userId": "u2", "timestamp": "2025-02-02T10:00:00.000Z",
         "properties": {"order_id": None, "currency": "USD", "products": products[:1]}},
    ]  # fmt: skip
    put(folder, track_jsonl="\n".join(map(json.dumps, events)))
    section = proposed(folder, capsys)
    assert section["tables"]["events"]["items"] == "properties.products"
    tables, _ = arrives(section)
    assert column(tables["events"], "kind", "product_id", "basket_id", "value") == [
        ("purchase", "a", "o1", 3.0), ("purchase", "b", "o1", 3.0), ("view", "a", None, 3.0)]  # fmt: skip
    assert column(tables["products"], "product_id", "title", "price") == [("a", "Apple", 1.5), ("b", "Bread", 3.0)]


def test_a_list_of_orders_in_one_object_is_opened(folder, capsys):
    orders = [{"customer_id": "c1", "sku": "a", "paid_at": "2025-02-01T10:00:00Z", "total": 2.5},
              {"customer_id": "c2", "sku": "b", "paid_at": "2025-02-02T10:00:00Z", "total": 3.5}]  # fmt: skip
    put(folder, dump_json=json.dumps({"orders": orders}, indent=2))
    tables, _ = arrives(proposed(folder, capsys))
    assert column(tables["events"], "product_id", "value") == [("a", 2.5), ("b", 3.5)]
    assert tables["events"][0]["timestamp"] == datetime(2025, 2, 1, 10)


def test_reviews_alone_are_ratings_and_their_titles_are_no_products_names(folder, capsys):
    reviews = [{"rating": 5.0, "title": "good", "text": "nice", "asin": f"B{at % 3}", "user_id": f"u{at % 7}",
                "timestamp": 1588687728923 + at * 86_400_000} for at in range(21)]  # fmt: skip
    put(folder, reviews_jsonl="\n".join(map(json.dumps, reviews)))
    tables, _ = arrives(proposed(folder, capsys))
    assert {*column(tables["events"], "kind")} == {"rating"}
    assert len(tables["events"]) == len(tables["reviews"]) == 21
    assert column(tables["products"], "product_id", "title") == [("B0", "B0"), ("B1", "B1"), ("B2", "B2")]


def test_an_invoice_a_line_is_read_with_its_returns(folder, capsys):
    lines = "".join(f"5363{65 + at},8512{at % 4}A,LANTERN {at % 4},6,12/{1 + at}/2010 8:26,2.55,1785{at % 9}.0,UK\n"
                    for at in range(28))  # fmt: skip
    head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    put(folder, Online_Retail_csv=f"{head}{lines}C536399,85120A,LANTERN 0,-1,12/30/2010 9:00,2.55,17850.0,UK\n")
    tables, notes = arrives(proposed(folder, capsys))
    assert column(tables["events"], "kind", "quantity", "value")[-2:] == [
        ("purchase", 6.0, 15.3),
        ("return", 1.0, 2.55),
    ]
    assert tables["events"][-1]["timestamp"] == datetime(2010, 12, 30, 9)
    assert notes["negative lines, taken as returns"] == 1
    assert column(tables["products"], "title")[:2] == ["LANTERN 0", "LANTERN 1"]


def test_a_folder_without_times_is_told_what_it_lacks(folder, capsys):
    put(folder, orders_csv="order_id,user_id,order_dow\n1,1,2\n2,1,3\n", lines_csv="order_id,product_id\n1,7\n2,8\n")
    assert main([str(folder)]) == 2
    out, err = capsys.readouterr()
    assert "orders.csv: no table that is known; for events it lacks timestamp, product_id" in out
    assert err.startswith("nightmarket: inspect: ")


INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
MOVIES = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "242\tKolya\t1996\tComedy\n302\tL.A.\t1997\tDrama\n"
)


def test_movielens_is_read_as_recbole_gives_it(folder, capsys):
    (folder / "ml-100k.inter").write_text(INTER + "196\t242\t3\t881250949\n186\t302\t3\t891717742\n", encoding="utf-8")
    (folder / "ml-100k.item").write_text(MOVIES, encoding="utf-8")
    (folder / "ml-100k.user").write_text(
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n196\t24\tM\tnurse\t85711\n"
        "186\t53\tF\tother\t94043\n", encoding="utf-8")  # fmt: skip
    section = proposed(folder, capsys)
    assert section["profile"] == "movielens"
    tables, _ = arrives(section)
    assert column(tables["events"], "kind", "product_id") == [("rating", "242"), ("rating", "302")]
    assert tables["events"][0]["timestamp"] == datetime(1997, 12, 4, 15, 55, 49)
    assert column(tables["products"], "title", "category") == [("Kolya", "Comedy"), ("L.A.", "Drama")]
    assert column(tables["customers"], "attr_age", "attr_occupation") == [("24", "nurse"), ("53", "other")]


@pytest.mark.parametrize("form", ["dat", "csv", "data"])
def test_movielens_is_read_as_grouplens_gives_it(folder, capsys, form):
    rows = [(1, 10, 5, 978300760), (1, 20, 3, 978302109), (2, 10, 4, 978301968)]
    rows += [(3 + at % 7, 10 + 10 * (at % 2), 1 + at % 5, 978301968 + at) for at in range(40)]
    if form == "csv":
        put(
            folder,
            ratings_csv="userId,movieId,rating,timestamp\n" + "".join(",".join(map(str, row)) + "\n" for row in rows),
        )
        put(folder, movies_csv="movieId,title,genres\n10,Toy Story (1995),Comedy|Fantasy\n20,Heat (1995),Action\n")
    else:
        apart = "::" if form == "dat" else "\t"
        text = "".join(apart.join(map(str, row)) + "\n" for row in rows)
        (folder / f"ratings.{form}").write_text(text, encoding="utf-8")
    tables, _ = arrives(proposed(folder, capsys))
    assert column(tables["events"], "product_id", "kind")[:3] == [("10", "rating"), ("20", "rating"), ("10", "rating")]
    assert tables["events"][0]["timestamp"] == datetime(2000, 12, 31, 22, 12, 40)
    assert len(tables["products"]) == 2
    assert len(set(column(tables["events"], "customer_id"))) == 9


CDNOW = """\
 00001 19970101  1   11.77\r
 00002 19970112  1   12.00\r
 00002 19970112  5   77.00\r
 00003 19970102  2   20.76\r
"""
HEADER = " customer_id  date number_of_cds  dollar_value\r\n"


@pytest.mark.parametrize("header", [HEADER, ""])
def test_cdnow_is_one_product_or_one_for_each_price(folder, capsys, header):
    (folder / "CDNOW_master.txt").write_bytes((header + CDNOW).encode())
    tables, _ = arrives(proposed(folder, capsys))
    assert column(tables["events"], "quantity", "value") == [(1.0, 11.77), (1.0, 12.0), (5.0, 77.0), (2.0, 20.76)]
    assert [moment.day for moment in column(tables["events"], "timestamp")] == [1, 12, 12, 2]
    assert len(set(column(tables["events"], "customer_id"))) == 3
    assert len(tables["products"]) == 1
    assert len(set(column(tables["events"], "product_id"))) == 1
    tables, _ = arrives(proposed(folder, capsys, "--products", "prices"))
    assert column(tables["events"], "product_id") == ["11.77", "12", "15.4", "10.38"]
    assert column(tables["products"], "product_id", "price") == [
        ("11.77", 11.77), ("12", 12.0), ("15.4", 15.4), ("10.38", 10.38)]  # fmt: skip


def test_a_workbook_of_a_whole_shop_is_read_sheet_by_sheet(folder, capsys):
    book = openpyxl.Workbook()
    sales, products, notes = book.active, book.create_sheet("Artikel"), book.create_sheet("Notizen")
    sales.title = "Verkäufe"
    for line in [["Kundennr", "Artikelnr", "Datum", "Menge", "Betrag"],
                 ["0017", "007", datetime(2025, 1, 6, 10, 30), 2, 9.5],
                 ["0018", "008", datetime(2025, 1, 7), 1, 3]]:  # fmt: skip
        sales.append(line)
    for line in [["Artikelnr", "Bezeichnung", "Preis"], ["007", "Apfel", 4.75], ["008", "Brot", 3]]:
        products.append(line)
    notes.append(["nur ein Text"])
    book.save(folder / "laden.xlsx")
    tables, _ = arrives(proposed(folder, capsys))
    assert column(tables["events"], "product_id", "quantity", "value") == [("007", 2.0, 9.5), ("008", 1.0, 3.0)]
    assert tables["events"][0]["timestamp"] == datetime(2025, 1, 6, 10, 30)
    assert column(tables["products"], "product_id", "title", "price") == [("007", "Apfel", 4.75), ("008", "Brot", 3.0)]


PLAIN = "customer_id,product_id,timestamp,value\nc1,a,{},2\nc2,a,{},3\nc1,b,{},4\n"


def test_dates_that_can_be_read_in_two_ways_are_asked_about(folder, capsys):
    put(
        folder,
        events_csv=PLAIN.format("01/02/2025", "03/04/2025", "05/06/2025"),
        products_csv="product_id,title\na,A\nb,B\n",
    )
    assert "# CHECK: events.timestamp can be read as day first or as month first" in said(folder, capsys)
    section = proposed(folder, capsys)
    assert section["formats"] == {"events": {"timestamp": "day first"}}
    assert arrives(section)[0]["events"][0]["timestamp"] == datetime(2025, 2, 1)


def test_amounts_in_cents_are_noticed_and_the_setting_that_fixes_them_is_proposed(folder, capsys):
    lines = "".join(f"c{at},p{at % 5},2025-01-{1 + at % 28:02},{1000 + at}\n" for at in range(60))
    prices = "".join(f"p{at},T{at},10\n" for at in range(5))
    put(
        folder,
        events_csv="customer_id,product_id,timestamp,value\n" + lines,
        products_csv="product_id,title,price\n" + prices,
    )
    section = proposed(folder, capsys)
    assert section["units"] == {"events": {"value": 0.01}}
    assert arrives(section)[0]["events"][0]["value"] == 10.0


def test_kinds_that_nobody_knows_are_named_and_left_out(folder, capsys):
    text = "customer_id,product_id,timestamp,event\nc1,a,2025-01-06,purchase\nc2,a,2025-01-07,wobble\n"
    put(folder, events_csv=text, products_csv="product_id,title\na,A\n")
    section = proposed(folder, capsys)
    assert section["kinds"] == {"wobble": "ignore"}
    assert len(arrives(section)[0]["events"]) == 1


def test_what_would_be_set_aside_is_counted_with_its_reason(folder, capsys):
    rows = "".join(f"c{at},a,2025-01-{1 + at % 28:02},3\n" for at in range(200))
    text = "customer_id,product_id,timestamp,value\n" + rows + "c1,a,,3\nc2,,2025-01-06,3\n"
    put(folder, events_csv=text, products_csv="product_id,title\na,A\na,A\nb,B\n")
    page = said(folder, capsys)
    assert "set aside: timestamp is missing: 1" in page
    assert "set aside: product_id is missing: 1" in page
    assert "set aside: an exact copy of an earlier row: 1" in page
    assert "launches: 1 products that nobody bought yet" in page
    assert "consent to contacts: customers.consent_email and the like bring it" in page
    assert page.count("Next: ") == 1


def test_no_customers_id_name_or_address_is_printed(folder, capsys):
    put(folder, orders_export_1_csv=SHOPIFY)
    put(
        folder,
        customers_csv="customer_id,name,phone,city\nanna.smith@example.org,Anna Smith,+49301234567,Springfield\n",
    )
    page = said(folder, capsys)
    for secret in ("anna", "smith", "49301234567", "bo@", "#1001", "example.org"):
        assert secret not in page.lower()
    assert "xxxx.xxxxx@xxxxxxx.xxx → (a keyed hash)" in page


def test_nothing_is_written_and_a_second_look_says_the_same(folder, capsys, tmp_path):
    put(folder, orders_export_1_csv=SHOPIFY)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    first = said(folder, capsys)
    assert said(folder, capsys) == first
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_files_that_are_no_tables_or_broken_are_said_and_the_others_are_read(folder, capsys):
    put(
        folder,
        events_csv=PLAIN.format("2025-01-06", "2025-01-07", "2025-01-08"),
        products_csv="product_id,title\na,A\nb,B\n",
    )
    (folder / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    (folder / "broken.parquet").write_bytes(b"PAR1 and no more")
    (folder / "null.json").write_text("null", encoding="utf-8")
    (folder / "empty.csv").write_bytes(b"")
    (folder / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "cut.csv.gz").write_bytes(b"\x1f\x8b\x08\x00 cut")
    os.symlink("/etc/hostname", folder / "link.csv")
    page = said(folder, capsys)
    for line in ("photo.png: no table: not text", "broken.parquet: ", "null.json: ", "empty.csv: empty",
                 "old.xls: an old", "cut.csv.gz: cannot be read", "events        events.csv, 3 rows"):  # fmt: skip
        assert line in page
    assert "link.csv" not in page


@pytest.mark.parametrize("seed", range(25))
def test_folders_of_nonsense_get_one_line_and_no_traceback(folder, capsys, seed):
    rng = random.Random(seed)
    for number in range(8):
        end = rng.choice([".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".xlsx", ".csv.gz", ".dat", ""])
        text = "".join(rng.choice("abc12,;\t|\"' \n\r{}[]:é漢.-/") for _ in range(rng.choice([3, 300, 4000])))
        content = rng.choice([rng.randbytes(rng.choice([1, 100, 5000])), text.encode(), text.encode("utf-16")])
        (folder / f"file{number}{end}").write_bytes(content)
    assert main([str(folder)]) in (0, 2)
    assert "Traceback" not in "".join(capsys.readouterr())


SPOILT = {"orders_export_1.csv": SHOPIFY, "products_export.csv": SHOPIFY_PRODUCTS, "orders.csv": WOO,
          "wc.csv": WOO_PRODUCTS, "sales_order.csv": MAGENTO_ORDERS, "items.csv": MAGENTO_ITEMS,
          "catalog.csv": MAGENTO_PRODUCTS,
          "ml.item": MOVIES, "CDNOW.txt": HEADER + CDNOW, "customers.csv": SHOPIFY_CUSTOMERS,
          "events.csv": PLAIN.format("01/02/2025", "03/04/2025", "05/06/2025")}  # fmt: skip


def spoilt(rng, text):
    """The text with one thing wrong."""
    lines = text.split("\n")
    apart = max(",;\t", key=lines[0].count)
    gone = rng.randrange(lines[0].count(apart) + 1)
    words = ["", "NULL", "1", "-1", "x", "2025-01-01", "1e9", "nan", "9" * 21]
    ways = [
        lambda: "\n".join(
            apart.join(part for at, part in enumerate(line.split(apart)) if at != gone) for line in lines
        ),
        lambda: "\n".join(rng.sample(lines, len(lines))),
        lambda: text[: rng.randrange(len(text))],
        lambda: "".join(sign if rng.random() > 0.02 else rng.choice('x,;"\n1é\t ') for sign in text),
        lambda: lines[0] + "\n",
        lambda: "\n".join(lines[1:]),
        lambda: "\n".join(
            [lines[0], *(apart.join(rng.choices(words, k=lines[0].count(apart) + 1)) for _ in range(20))]
        ),
    ]
    return rng.choice(ways)()


@pytest.mark.slow
@pytest.mark.parametrize("begin", [0, 1000])
def test_exports_that_are_spoilt_by_chance_are_looked_at_without_a_surprise(folder, capsys, begin):
    for seed in range(begin, begin + 40):
        rng = random.Random(seed)
        for path in folder.iterdir():
            path.unlink()
        for name in rng.sample(sorted(SPOILT), rng.randrange(1, 5)):
            encoding = rng.choice(["utf-8", "utf-8", "utf-16", "cp1252"])
            (folder / name).write_bytes(spoilt(rng, SPOILT[name]).encode(encoding, errors="replace"))
        assert main([str(folder)]) in (0, 2)
        assert "did not expect" not in capsys.readouterr().err, seed


def test_a_folder_that_is_not_there_or_not_named_is_one_line(folder, capsys):
    for name, words in (
        ("", "which folder?"),
        (str(folder / "no"), "there is no such folder"),
        (__file__, "is a file"),
    ):
        assert main([name]) == 2
        assert re.fullmatch(r"nightmarket: inspect: .*\n", err := capsys.readouterr().err), err
        assert words in err


def test_a_large_file_is_sampled_and_said_to_be(folder, capsys, monkeypatch):
    from tasks.inspection import trial
    from tasks.intake import table_files

    monkeypatch.setattr(trial, "HEAD", 2_000)
    rows = "".join(f"c{at % 50},a,2025-01-{1 + at % 28:02},3\n" for at in range(2_000))
    put(folder, events_csv="customer_id,product_id,timestamp,value\n" + rows, products_csv="product_id,title\na,A\n")
    monkeypatch.setattr(table_files, "LEAST_HEAD", 1_000)
    page = said(folder, capsys)
    read, about = re.search(r"events\.csv, (\d+) of about ([\d,]+) rows read: a sample, the first of", page).groups()
    assert 80 < int(read) < 200
    assert 1_800 < int(about.replace(",", "")) < 2_200
    assert len(arrives(proposed(folder, capsys))[0]["events"]) == 2_000


def test_it_speaks_when_it_takes_long(folder, capsys, monkeypatch):
    from tasks.inspection import __main__ as command

    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(command.time, "monotonic", lambda: next(clock))
    put(
        folder,
        events_csv=PLAIN.format("2025-01-06", "2025-01-07", "2025-01-08"),
        products_csv="product_id,title\na,A\nb,B\n",
    )
    main([str(folder)])
    assert "inspect: reading events.csv …" in capsys.readouterr().err
