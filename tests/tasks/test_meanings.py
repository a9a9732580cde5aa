"""What rows mean that are no plain purchase: each is read as what it is, counted, and said."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from nightmarket.intake.services import kind_of, kind_of_category
from tests.made_up.exports import CUSTOMERS, LINES, Shop, arrives, notes, refused


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
    assert pq.read_schema("data/raw/customers.parquet").names == [
        "customer_id",
        "text",
        "birth_year",
        "market",
        "language",
    ]
    (note,) = notes("customers")
    assert note == (
        f"rows with `{column}`, which names no channel and is not used; if it is of e-mail, set "
        f"snapshot.mapping.customers to {{{meant}: {column}}}"
    )
    shop.settings = {"mapping": {"customers": {meant: column}}}
    arrives(shop)
    assert pq.read_schema("data/raw/customers.parquet").names[5:] == [meant]
    assert notes("customers") == {}


SERVICES = {
    "gift card": "Gift Card|Acme Gift Card|Gift Card - $25.00|E-Gift Card|Geschenkgutschein 50 €|Gutschein über 50 €|"
    "Carte cadeau 30€|礼品卡 100元|京东礼品卡|GIFTCARD-50|giftCard|Dotcomgiftshop Gift Voucher £20.00|ギフトカード",
    "shipping": "Shipping|Standard Shipping|DHL Versand|Versandkosten|Shipping & Handling|Express delivery|POSTAGE|"
    "DOTCOM POSTAGE|Frais de port|Frais de livraison|Gastos de envío|运费|送料|shipping_fee|SHIPPING|Versand (DHL)",
    "fee": "Service fee|Bank Charges|AMAZON FEE|Bearbeitungsgebühr|Pfand 0,25 €|手续费|服务费|Donation",
    "tip": "Tip|Tips|Gratuity|Trinkgeld|Pourboire|Propina|小费|driver_tip",
    "discount": "Discount|Rabatt 10%|Coupon WELCOME10|优惠券|Remise|DISCOUNT10|Rabattcode SOMMER10|Ｒａｂａｔｔ",
}
PRODUCTS_AND_NO_SERVICES = (
    "Gift card holder|Gift Card Envelope|Holder for gift card|Shipping box for moving|shipping labels|tip pen|"
    "Felt tip pen|Versandtasche|Versandkarton|Fountain pen tip|Geschenkpapier|Coupon organizer|COUPON BOOK|Tip jar|"
    "Discount Store Game|Delivery truck|Port wine|Tip 0.5 mm|TIP-05|Gutscheinheft|礼品卡包装盒|礼品盒|Trinkgeldkasse|"
    "Spa voucher|Postage stamps|Handling gloves|Service bell|Q-tips|Deposit box|Wing tips|Vatican|小费盒|Feed"
)


@pytest.mark.parametrize("kind", SERVICES)
def test_what_is_no_product_is_known_by_its_name_in_several_languages(kind):
    assert {name: kind_of(name) for name in SERVICES[kind].split("|")} == dict.fromkeys(SERVICES[kind].split("|"), kind)


def test_products_whose_names_hold_such_a_word_stay_products():
    assert [name for name in PRODUCTS_AND_NO_SERVICES.split("|") if kind_of(name)] == []


def test_a_category_names_services_where_it_is_no_shelf_of_products():
    shelves = ("Shipping", "Office > Shipping", "Discount", "Nails > Tips", "优惠", "Coupons")
    assert [kind_of_category(path) for path in shelves] == [""] * len(shelves)
    paths = ("Presents > Gift Cards", "Versandkosten", "Fees", "礼品卡", "Trinkgeld")
    assert [kind_of_category(path) for path in paths] == ["gift card", "shipping", "fee", "gift card", "tip"]


def add_lines(shop, product, value, num):
    """Lines of a product into the first baskets; their number."""
    lines = shop.events.head(num).assign(product_id=product, value=value)
    shop.events = pd.concat([shop.events, lines], ignore_index=True)


def products_by_service():
    """{product: what it is that is no product}"""
    table = pq.read_table("data/raw/products.parquet").to_pandas().set_index("product_id")["not_a_product"]
    return table.dropna().to_dict()


def test_services_of_the_catalogue_teach_nothing_and_are_named(shop):
    shop.products.loc[3, "title"] = "Geschenkgutschein 25 €"
    shop.products.loc[5, ["title", "category"]] = ["Aufladung", "Gutscheine"]
    shop.products.loc[7, ["title", "type"]] = ["Something", "gift_card"]
    shop.products.loc[9, "title"] = "Gift card holder"
    services = ["p3", "p5", "p7"]
    kept = shop.events[~shop.events["product_id"].isin(services)]
    assert len(arrives(shop)) == len(kept)
    assert products_by_service() == dict.fromkeys(services, "gift card")
    assert notes("products") == {
        "products taken as gift card (Geschenkgutschein 25 €, Aufladung, Something): not learned from, not "
        "recommended; otherwise set services: {gift card: product}": 3
    }
    assert notes() == {
        "lines of the kind gift card, left out; otherwise set services: {gift card: product}": LINES - len(kept)
    }


def test_shopifys_flag_of_gift_cards_is_read(shop):
    shop.products["Gift Card"] = "FALSE"
    shop.products.loc[4, "Gift Card"] = "TRUE"
    arrives(shop)
    assert products_by_service() == {"p4": "gift card"}


def test_lines_of_services_that_the_catalogue_lacks_are_left_out_by_kind_and_a_discount_is_no_return(shop):
    whole = shop.events["value"].sum()
    for product, value, num in (("SHIPPING", 4.9, 300), ("Trinkgeld", 2, 50), ("giftcard-50", 50, 20),
                                ("DISCOUNT", -3, 400), ("RABATT-10", -1, 600), ("GUTSCHEIN", -20, 90)):  # fmt: skip
        add_lines(shop, product, value, num)
    events = arrives(shop)
    assert len(events) == LINES
    assert events["value"].sum() == pytest.approx(whole)
    assert set(events["kind"]) == {"purchase"}
    assert notes() == {
        f"lines of the kind {kind}, left out; otherwise set services: {{{kind}: product}}": num
        for kind, num in (("shipping", 300), ("tip", 50), ("gift card", 20), ("discount", 1090))
    }


def test_what_a_line_itself_calls_its_product_tells_a_service(shop):
    shop.events["Lineitem name"] = "Thing"
    add_lines(shop, "4711", -3, 40)
    shop.events.loc[LINES:, "Lineitem name"] = "Black Friday Rabatt"
    add_lines(shop, "", 4.9, 60)
    shop.events.loc[LINES + 40 :, "Lineitem name"] = "Versandkosten DHL"
    assert len(arrives(shop)) == LINES
    assert sorted(notes().values()) == [40, 60]


def test_a_setting_says_what_a_service_is_and_what_is_none(shop):
    shop.products.loc[3, "title"] = "Gift card"
    shop.products.loc[5, "title"] = "Voucher"
    shop.products.loc[6, "title"] = "Kitting"
    shop.settings = {"services": {"p3": "product", "Kitting": "fee", "gift card": "product"}}
    arrives(shop)
    assert products_by_service() == {"p6": "fee"}
    shop.settings = {"services": {"Voucher": "product"}}
    arrives(shop)
    assert products_by_service() == {"p3": "gift card"}


def test_a_column_of_ones_own_says_it_too(shop):
    shop.products["not_a_product"] = ""
    shop.products.loc[2, "not_a_product"] = "fee"
    shop.products.loc[3, ["title", "not_a_product"]] = ["Gift card", "no"]
    events = arrives(shop)
    assert products_by_service() == {"p2": "fee", "p3": "no"}
    assert "p3" in set(events["product_id"])
    assert "p2" not in set(events["product_id"])


def test_a_shop_that_sells_nothing_but_vouchers_keeps_them_and_says_so(shop):
    shop.products["title"] = [f"Acme gift voucher {number}" for number in range(len(shop.products))]
    assert len(arrives(shop)) == LINES
    assert products_by_service() == {}
    (note,) = notes("products")
    assert note.startswith("products that are called like gift card (Acme gift voucher 0, ")
    assert note.endswith("), kept as products because they are so many of all")


def test_returns_of_services_and_of_guests_are_counted_as_what_they_are(shop):
    shop.events.loc[:4, ["quantity", "value", "customer_id"]] = [-1, -10.0, ""]
    add_lines(shop, "SHIPPING", -4.9, 30)
    events = arrives(shop)
    assert (events["kind"] == "return").sum() == 5
    assert events.loc[events["kind"] == "return", "customer_id"].isna().all()


def test_stock_ages_and_groups_are_read_as_shops_write_them(shop):
    shop.products["Stock"] = np.resize(["12", "0", "-3", "Sold out", "in stock", "ausverkauft", "1,5", ""], 40)
    shop.products["min_age"] = np.resize(["18+", "FSK 16", "ab 12 Jahren", "6", ""], 40)
    shop.products["group_id"] = "007"
    shop.products["markets"] = "DE; AT"
    people = [f"c{number}" for number in range(CUSTOMERS)]
    shop.others["customers"] = pd.DataFrame({"customer_id": people, "market": "DE"})
    arrives(shop)
    products = pq.read_table("data/raw/products.parquet").to_pydict()
    assert products["stock"][:8] == [12, 0, -3, 0, 1, 0, 1.5, None]
    assert products["min_age"][:5] == [18, 16, 12, 6, None]
    assert products["group_id"][0] == "007"
    assert products["markets"][0] == "DE; AT"
    assert pq.read_table("data/raw/customers.parquet")["market"][0].as_py() == "DE"


def test_a_file_that_is_not_in_the_encoding_that_its_owner_names_is_refused_in_one_line(shop):
    shop.products["title"] = "Müller 5 €"
    whole = shop.products.to_csv(index=False).encode("cp1252")
    shop.raw = {"products.csv": whole.replace(b"p39,M", b"p39,\x90\x81M")}
    shop.settings = {"encodings": {"products": "cp1252"}}
    assert refused(shop).startswith(
        "products.csv is not all in cp1252, as snapshot.encodings says; the first sign that"
    )


def test_json_lines_that_are_not_utf8_are_refused_in_one_line(shop):
    rows = shop.products.to_json(orient="records", lines=True).encode()
    shop.raw = {"products.csv": None, "products.jsonl": rows.replace(b"title", b"ti\xfble")}
    assert refused(shop) == "products.jsonl cannot be read as JSON lines, one object on each line; export it again"
