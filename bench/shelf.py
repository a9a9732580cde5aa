"""What the made-up retailer sells: types, titles, prices and the week in which each product came on sale."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

START = datetime(2024, 1, 1)
"""A Monday. Times are local to the shop."""

TYPES = (
    # department > category > type, nouns in English, nouns in Chinese, usual price
    ("GROCERY > DAIRY > MILK", ("whole milk", "skimmed milk", "oat drink"), ("全脂牛奶", "脱脂牛奶", "燕麦奶"), 1.6),
    ("GROCERY > DAIRY > YOGURT", ("greek yogurt", "fruit yogurt"), ("希腊酸奶", "水果酸奶"), 2.4),
    ("GROCERY > DAIRY > CHEESE", ("cheddar cheese", "goat cheese"), ("切达奶酪", "山羊奶酪"), 4.5),
    ("GROCERY > BREAD > LOAVES", ("rye bread", "white bread"), ("黑麦面包", "白面包"), 2.2),
    ("GROCERY > DRINKS > COFFEE", ("ground coffee", "coffee beans"), ("咖啡粉", "咖啡豆"), 6.9),
    ("GROCERY > DRINKS > TEA", ("green tea", "black tea", "oolong tea"), ("绿茶", "红茶", "乌龙茶"), 3.8),
    ("GROCERY > SNACKS > CHOCOLATE", ("dark chocolate", "milk chocolate"), ("黑巧克力", "牛奶巧克力"), 2.1),
    ("GROCERY > STAPLES > RICE", ("jasmine rice", "brown rice"), ("茉莉香米", "糙米"), 5.2),
    ("PRODUCE > FRUIT > CITRUS", ("navel oranges", "lemons"), ("脐橙", "柠檬"), 2.9),
    ("PRODUCE > VEGETABLES > LEAVES", ("baby spinach", "romaine lettuce"), ("小菠菜", "长叶生菜"), 2.0),
    ("DRUG > HAIR CARE > SHAMPOO", ("repair shampoo", "baby shampoo"), ("修护洗发水", "婴儿洗发水"), 7.5),
    ("DRUG > PAPER > TISSUES", ("soft tissues", "kitchen roll"), ("柔软纸巾", "厨房卷纸"), 3.3),
)
ADJECTIVES = ("organic", "classic", "family", "light", "premium", "farm", "value", "fresh")
ADJECTIVES_ZH = ("有机", "经典", "家庭装", "轻享", "优选", "农场", "实惠", "新鲜")
SIZES = ("250 G", "500 G", "1 KG", "6 CT", "1 L", "330 ML")


@dataclass(frozen=True)
class Shelf:
    """What the shop sells, as arrays over products, sorted by type; the last product is fuel."""

    type_of: np.ndarray
    """int (P,), index into TYPES; fuel has len(TYPES)"""
    launch: np.ndarray
    """int (P,), week of the first day on sale, from 0"""
    appeal: np.ndarray
    """float (P,), relative popularity"""
    price: np.ndarray
    """float (P,), list price"""


def make_shelf(rng: np.random.Generator, num_products: int, num_weeks: int) -> Shelf:
    """A shelf of products, a quarter of them launched in the course of the weeks."""
    type_of = np.sort(rng.integers(0, len(TYPES), num_products))
    type_of[-1] = len(TYPES)
    launch = np.where(rng.random(num_products) < 0.25, rng.integers(1, max(num_weeks, 2), num_products), 0)
    launch[-1] = 0
    appeal = rng.lognormal(0, 1, num_products)
    usual = np.array([kind[3] for kind in TYPES] + [1.4])[type_of]
    return Shelf(type_of, launch, appeal, np.round(usual * rng.lognormal(0, 0.25, num_products), 2))


def times(seconds: np.ndarray) -> pa.Array:
    """Seconds since START as timestamps without zone."""
    return pa.array(np.datetime64(START, "us") + seconds.astype("timedelta64[s]"), type=pa.timestamp("us"))


def products(rng: np.random.Generator, shelf: Shelf, product_ids: pa.Array) -> pa.Table:
    """The products table; about every seventh title is Chinese."""
    titles, categories, sizes = [], [], []
    for kind in shelf.type_of:
        size = SIZES[rng.integers(len(SIZES))]
        adjective, noun, chinese = rng.integers(len(ADJECTIVES)), rng.integers(6), rng.random() < 0.15
        if kind == len(TYPES):
            titles.append("Gasoline")
            categories.append("FUEL > GASOLINE")
        else:
            path, english, mandarin, _ = TYPES[kind]
            titles.append(
                f"{ADJECTIVES_ZH[adjective]}{mandarin[noun % len(mandarin)]} {size}"
                if chinese
                else f"{ADJECTIVES[adjective].capitalize()} {english[noun % len(english)]} {size}"
            )
            categories.append(path)
        sizes.append(size)
    num = len(shelf.type_of)
    return pa.table(
        {
            "product_id": product_ids,
            "title": titles,
            "brand": rng.choice(["National", "Private"], num, p=[0.7, 0.3]).tolist(),
            "maker": [f"M{number:02d}" for number in rng.integers(0, 25, num)],
            "category": categories,
            "size": sizes,
            "price": shelf.price,
            "available_from": times(shelf.launch * 7 * 86400),
        }
    )
