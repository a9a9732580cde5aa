"""Made-up shops that speak: the same tables under a shop's own column names, in its language and its money."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from nightmarket.contracts.tables import BY_NAME
from nightmarket.testing.words import ADJECTIVES, ADJECTIVES_ZH, SIZES, TYPES

PATHS = {
    "GROCERY": "食品", "DAIRY": "乳制品", "MILK": "牛奶", "YOGURT": "酸奶", "CHEESE": "奶酪", "BREAD": "面包",
    "LOAVES": "吐司", "DRINKS": "饮料", "COFFEE": "咖啡", "TEA": "茶", "SNACKS": "零食", "CHOCOLATE": "巧克力",
    "STAPLES": "主食", "RICE": "大米", "PRODUCE": "生鲜", "FRUIT": "水果", "CITRUS": "柑橘", "VEGETABLES": "蔬菜",
    "LEAVES": "叶菜", "DRUG": "个护", "HAIR CARE": "护发", "SHAMPOO": "洗发水", "PAPER": "纸品", "TISSUES": "纸巾",
    "FUEL": "燃油", "GASOLINE": "汽油",
}  # fmt: skip
"""Levels of the category path."""


@dataclass(frozen=True)
class Dialect:
    """How a shop writes.

    columns  table → {our column: its column}
    worth    units of its currency for one of the tables'
    rate     of its currency in pounds, for params.yaml; made up like everything here
    """

    chinese: bool
    time_zone: str
    currency: str
    worth: float
    rate: float
    columns: dict[str, dict[str, str]]


ENGLISH = Dialect(
    chinese=False,
    time_zone="Europe/London",
    currency="GBP",
    worth=1.0,
    rate=1.0,
    columns={
        "customers": {"customer_id": "member"},
        "products": {"product_id": "sku", "title": "name", "category": "range"},
        "events": {"customer_id": "member", "product_id": "sku", "timestamp": "paid_at", "value": "amount"},
        "promotions": {"product_id": "sku", "channel": "store"},
    },
)
CHINESE = Dialect(
    chinese=True,
    time_zone="Asia/Shanghai",
    currency="CNY",
    worth=9.0,
    rate=0.11,
    columns={
        "customers": {"customer_id": "会员号", "age": "年龄", "country": "国家"},
        "products": {"product_id": "商品编码", "title": "品名", "category": "类目", "brand": "品牌", "price": "标价"},
        "events": {
            "customer_id": "会员号",
            "product_id": "商品编码",
            "timestamp": "下单时间",
            "quantity": "数量",
            "value": "实付金额",
            "discount": "优惠金额",
            "basket_id": "订单号",
            "channel": "门店",
        },
        "reviews": {
            "customer_id": "会员号",
            "product_id": "商品编码",
            "timestamp": "时间",
            "text": "评价",
            "rating": "星级",
        },
    },
)
DIALECTS = {"english": ENGLISH, "chinese": CHINESE}


def speak(tables: dict[str, pa.Table], dialect: Dialect) -> dict[str, pa.Table]:
    """The shop's tables as it would write them; tables that it has no names for stay at home."""
    return {name: _written(tables[name], name, dialect) for name in dialect.columns}


def entry(folder: Path, dialect: Dialect) -> str:
    """The shop's lines for params.yaml: snapshot.folders."""
    mapping = {
        table: {_contract(table, ours): theirs for ours, theirs in columns.items()}
        for table, columns in dialect.columns.items()
    }
    lines: dict[str, Any] = {"name": folder.name, "folder": str(folder), "time_zone": dialect.time_zone}
    lines |= {"currency": dialect.currency} | ({} if dialect.rate == 1 else {"rate": dialect.rate})
    return yaml.safe_dump([lines | {"mapping": mapping}], allow_unicode=True, sort_keys=False, default_flow_style=None)


def _contract(table: str, column: str) -> str:
    known = {one.name for one in BY_NAME[table].columns}
    return column if column in known else f"attr_{column}"


def _written(table: pa.Table, name: str, dialect: Dialect) -> pa.Table:
    money = [column.name for column in BY_NAME[name].columns if column.unit == "currency"]
    columns = {}
    for ours in table.column_names:
        values = table[ours]
        if ours in money:
            values = pc.round(pc.multiply(values, dialect.worth), 2)
        elif name == "products" and ours in ("title", "category"):
            values = pa.array([_said(text, ours, chinese=dialect.chinese) for text in values.to_pylist()])
        columns[dialect.columns[name].get(ours, ours)] = values
    return pa.table(columns)


def _titles() -> dict[str, str]:
    """English title without its size → Chinese."""
    pairs = {
        f"{english.capitalize()} {noun}": f"{chinese}{other}"
        for (english, chinese), (_, nouns, others, _) in product(zip(ADJECTIVES, ADJECTIVES_ZH, strict=True), TYPES)
        for noun, other in zip(nouns, others, strict=True)
    }
    return pairs | {"Gasoline": "汽油"}


TITLES = _titles()
BACK = {chinese: english for english, chinese in TITLES.items()}


def _said(text: str, column: str, *, chinese: bool) -> str:
    if column == "category":
        return " > ".join(PATHS[level] for level in text.split(" > ")) if chinese else text
    size = next((size for size in SIZES if text.endswith(f" {size}")), "")
    words = text.removesuffix(f" {size}")
    words = (TITLES if chinese else BACK).get(words, words)
    return f"{words} {size}".strip()
