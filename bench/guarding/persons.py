"""Texts word for word as people write them, each about one of these offers: one half to develop on, one held out.

Every text was written before the guard had seen any of them. The half is chosen by the text's hash; what is wrong with
the held-out half is never printed. A text is true when everything in it follows from the facts.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from bench.guarding import later_false, later_true, persons_false, persons_true, seen_false, seen_true
from bench.guarding.catalogue import names
from nightmarket.copywriting.facts import LIMITS, CopyFacts, CopyOffer, Product
from nightmarket.copywriting.guard.check import message_violations
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.phrases import vocabulary

TEA, BEANS = Product("Green tea", "Leafwell", "tea", 12.5), Product("Dark roast beans", "Harbour", "coffee", 18.0)
OAT, SCARF = Product("Oat cookies", "Milton", "biscuits", 4.5, is_new=True), Product("Wool scarf", "Nord", "scarves")
ZH_TEA, ZH_BEANS = Product("绿茶", "叶禾", "茶叶", 50.0), Product("深烘咖啡豆", "海港", "咖啡", 68.0)
ZH_OAT = Product("燕麦饼干", "米尔顿", "饼干", 18.5, is_new=True)
WINTER, AUTUMN = (date(2026, 12, 1), date(2026, 12, 9)), (date(2026, 11, 20), date(2026, 12, 3))
JUNE, FEBRUARY = (date(2026, 6, 1), date(2026, 6, 30)), (date(2027, 2, 1), date(2027, 2, 14))
SCHOOL, NOVEMBER = (date(2026, 9, 1), date(2026, 9, 15)), (date(2026, 11, 23), date(2026, 11, 30))
MARCH, YEAR_END = (date(2027, 3, 12), date(2027, 3, 28)), (date(2026, 12, 27), date(2026, 12, 31))
OCTOBER = (date(2026, 10, 5), date(2026, 10, 18))
EN, ZH = ("en", "Corner Market"), ("zh", "街角超市")
OFFERS: dict[str, CopyFacts] = {
    "en tea": CopyFacts(*EN, "USD", TEA, CopyOffer("discount", "tea", *WINTER, percent=20.0)),
    "en coffee": CopyFacts(*EN, "USD", BEANS, CopyOffer("discount", "coffee", *AUTUMN, amount=5.0)),
    "en cheese": CopyFacts(
        *EN,
        "GBP",
        Product("Farmhouse cheddar", "Dale", "cheese", 9.0),
        CopyOffer("threshold", "cheese", *OCTOBER, amount=10.0, threshold=60.0),
    ),
    "en skincare": CopyFacts(
        *EN,
        "USD",
        Product("Rose face cream", "Petal", "skincare", 24.0),
        CopyOffer("threshold", "skincare", *JUNE, percent=15.0, threshold=50.0),
    ),
    "en candles": CopyFacts(
        *EN,
        "USD",
        Product("Cedar soy candle", "Glow", "candles", 14.0),
        CopyOffer("gift", "candles", *FEBRUARY, gift="tote bag", threshold=40.0),
    ),
    "en notebooks": CopyFacts(
        *EN,
        "USD",
        Product("Dotted notebook", "Quill", "notebooks", 7.0),
        CopyOffer("gift", "notebooks", *SCHOOL, gift="enamel pin"),
    ),
    "en headphones": CopyFacts(
        *EN,
        "USD",
        Product("Wireless earbuds", "Tone", "headphones", 80.0),
        CopyOffer("coupon", "headphones", *NOVEMBER, percent=25.0, code="SPARK25"),
    ),
    "en cookware": CopyFacts(
        *EN,
        "EUR",
        Product("Steel pan", "Forge", "cookware", 45.0),
        CopyOffer("coupon", "cookware", *MARCH, amount=8.0, threshold=75.0, code="PAN8"),
    ),
    "en scarves": CopyFacts(*EN, "USD", SCARF, CopyOffer("discount", "scarves", *YEAR_END, percent=50.0)),
    "en cookies": CopyFacts(*EN, "USD", OAT),
    "en chocolate": CopyFacts(
        *EN,
        "USD",
        Product("Sea salt truffles", "Alder", "chocolate", 9.99),
        CopyOffer("discount", "chocolate", date(2027, 4, 1), date(2027, 4, 5), percent=30.0),
    ),
    "en socks": CopyFacts(
        *EN,
        "GBP",
        Product("Merino socks", "Fell", "socks", 11.0),
        CopyOffer("discount", "socks", date(2026, 8, 3), date(2026, 8, 16), amount=2.5),
    ),
    "en toys": CopyFacts(
        *EN,
        "USD",
        Product("Wooden train set", "Birch", "toys", 49.99),
        CopyOffer("threshold", "toys", date(2026, 11, 1), date(2026, 11, 30), amount=25.0, threshold=150.0),
    ),
    "zh tea": CopyFacts(*ZH, "CNY", ZH_TEA, CopyOffer("discount", "绿茶", *WINTER, percent=20.0)),
    "zh coffee": CopyFacts(*ZH, "CNY", ZH_BEANS, CopyOffer("discount", "咖啡", *AUTUMN, amount=5.0)),
    "zh hundred": CopyFacts(*ZH, "CNY", ZH_TEA, CopyOffer("threshold", "绿茶", *WINTER, amount=20.0, threshold=100.0)),
    "zh cream": CopyFacts(
        *ZH,
        "CNY",
        Product("玫瑰面霜", "花间", "面霜", 129.0),
        CopyOffer("threshold", "面霜", *JUNE, percent=15.0, threshold=199.0),
    ),
    "zh candles": CopyFacts(
        *ZH,
        "CNY",
        Product("雪松蜡烛", "微光", "香薰蜡烛", 59.0),
        CopyOffer("gift", "香薰蜡烛", *FEBRUARY, gift="帆布袋", threshold=99.0),
    ),
    "zh notebooks": CopyFacts(
        *ZH,
        "CNY",
        Product("点阵笔记本", "羽笔", "笔记本", 22.0),
        CopyOffer("gift", "笔记本", *SCHOOL, gift="钥匙扣"),
    ),
    "zh headphones": CopyFacts(
        *ZH,
        "CNY",
        Product("无线耳机", "乐音", "耳机", 299.0),
        CopyOffer("coupon", "耳机", *NOVEMBER, percent=25.0, code="SPARK25"),
    ),
    "zh cookware": CopyFacts(
        *ZH,
        "CNY",
        Product("不粘锅", "匠造", "厨具", 168.0),
        CopyOffer("coupon", "厨具", *MARCH, amount=50.0, threshold=300.0, code="PAN50"),
    ),
    "zh scarves": CopyFacts(
        *ZH,
        "CNY",
        Product("羊毛围巾", "北境", "围巾", 120.0),
        CopyOffer("discount", "围巾", *YEAR_END, percent=50.0),
    ),
    "zh cookies": CopyFacts(*ZH, "CNY", ZH_OAT),
    "zh shoes": CopyFacts(
        *ZH,
        "CNY",
        Product("轻羽跑鞋", "迅风", "运动鞋", 399.0),
        CopyOffer("discount", "运动鞋", date(2026, 8, 1), date(2026, 8, 20), percent=40.0),
    ),
    "zh milk": CopyFacts(
        *ZH,
        "CNY",
        Product("鲜牛奶", "草原", "牛奶", 12.0),
        CopyOffer("discount", "牛奶", date(2027, 4, 28), date(2027, 5, 5), amount=3.5),
    ),
    "zh books": CopyFacts(
        *ZH,
        "CNY",
        Product("山海旅记", "", "图书", 58.0),
        CopyOffer("threshold", "图书", date(2027, 4, 10), date(2027, 4, 23), amount=80.0, threshold=200.0),
    ),
}


Written = Sequence[tuple[bool, Mapping[str, Sequence[str]]]]
WRITTEN: Written = (
    (True, persons_true.TRUE),
    (False, persons_false.FALSE),
    (True, later_true.TRUE),
    (False, later_false.FALSE),
)


def held_out(text: str) -> bool:
    """Whether a text belongs to the half whose misses are never printed."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1


def texts() -> Iterator[tuple[bool, CopyFacts, str]]:
    """(whether it is true, facts, text)."""
    return _each(WRITTEN)


def seen() -> Iterator[tuple[bool, CopyFacts, str]]:
    """(whether it is true, facts, text) of those that were all seen while the guard was written."""
    return _each(((True, seen_true.TRUE), (False, seen_false.FALSE)))


def _each(collections: Written) -> Iterator[tuple[bool, CopyFacts, str]]:
    for is_true, by_offer in collections:
        for offer, written in by_offer.items():
            for text in written:
                yield is_true, OFFERS[offer], text


def lexicon() -> Lexicon:
    """The made-up catalogue, with what the offers are about."""
    products = [facts.product for facts in OFFERS.values()]
    own = [name for product in products for name in (product.name, product.brand, product.category)]
    return Lexicon([*names(), *own], vocabulary())


def broken(facts: CopyFacts, text: str, catalogue: Lexicon) -> list[str]:
    """The rules that a text breaks, as an SMS or, where it is too long for one, the body of an e-mail."""
    by_form = message_violations({"sms" if len(text) <= LIMITS["sms"] else "body": text}, facts, catalogue)
    return [f"{violation.rule}: {violation.what}" for violations in by_form.values() for violation in violations]


def measure(show: int = 0) -> dict[str, int]:
    """Print how many texts pass, by truth, language and half; return the counts.

    show  misses of the development half to print; -1: all
    """
    counts: Counter[str] = Counter()
    missed, catalogue = [], lexicon()
    for is_true, facts, text in texts():
        rules, held = broken(facts, text, catalogue), held_out(text)
        name = f"persons_{'true' if is_true else 'false'}_{facts.locale}{'_held_out' if held else ''}"
        counts.update({name: 1, f"{name}_passed": not rules})
        if is_true == bool(rules) and not held:
            missed.append(f"[{'true' if is_true else 'FALSE'} {facts.locale}] {text}  {rules}")
    for line in missed if show < 0 else missed[:show]:
        print(" ", line)
    for name in [name for name in counts if not name.endswith("_passed")]:
        print(f"{name:32s} {counts[f'{name}_passed']:4d} of {counts[name]:4d} pass")
    return dict(counts)
