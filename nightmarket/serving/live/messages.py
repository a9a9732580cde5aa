"""What a customer's message asks for: intent, price, brand, category and size named in it, in English and Chinese.

A message is data: it is looked through for names that the shop has and for turns of speech that are listed here, and
nothing in it is done. What is not understood is a person's matter.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from nightmarket.copywriting.facts import Locale, folded
from nightmarket.copywriting.guard.wording import EN
from nightmarket.copywriting.orders import ORDERS
from nightmarket.copywriting.reading import HAN, WORD, number
from nightmarket.encoding.terms import words

Intent = Literal["find", "greeting", "person"]
MOST_TOKENS, MOST_HAN = 5, 12
"""Words, and Chinese characters, of the longest name that is looked for."""
AROUND = 0.2
"""Of a price: `about 50` is 40 to 60."""


@dataclass(frozen=True)
class Understood:
    """What a message says.

    language  None: neither English nor Chinese
    brand, category  as the shop writes them
    query     what is left of it, for a search by words; "" where nothing is
    """

    language: Locale | None
    intent: Intent
    price_from: float | None = None
    price_to: float | None = None
    brand: str | None = None
    category: str | None = None
    size: str | None = None
    query: str = ""


class ShopNames:
    """Brands and categories of a shop, by how customers may write them."""

    def __init__(self, brands: Iterable[str], categories: Mapping[str, str]) -> None:
        """categories: name of a level → the path that stands for it"""
        self._brands = {key: name for name in brands if (key := _key(name)) and len(key) > 1}
        self._categories = {key: path for name, path in categories.items() if (key := _key(name)) and len(key) > 1}

    def brand(self, text: str) -> tuple[str, str] | None:
        """The longest brand in a text, as the shop writes it and as it stands there. One that is an ordinary word
        counts where it stands with a capital or after `by`."""
        for said in _runs(text):
            name = self._brands.get(_key(said))
            ordinary = said.isascii() and all(word in EN for word in words(said))
            if name and (not ordinary or re.search(rf"\b(?:by|brand|from) {re.escape(said)}\b", text, re.IGNORECASE)
                         or re.search(rf"(?<=\w ){re.escape(name)}\b", text)):  # fmt: skip
                return name, said
        return None

    def category(self, text: str) -> tuple[str, str] | None:
        """The longest category in a text: its path, and as it stands there."""
        for said in _runs(text):
            path = self._categories.get(_key(said))
            if path:
                return path, said
        return None


def _key(name: str) -> str:
    """One form of a name: folded, and each English word without its plural."""
    return " ".join(_singular(word) for word in re.findall(r"[^\W_]+", folded(name).casefold()))


def _singular(word: str) -> str:
    if not word.isascii() or len(word) < 4 or word.endswith("ss"):
        return word
    for end, shorter in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("s", "")):
        if word.endswith(end):
            return word.removesuffix(end) + shorter
    return word


def _runs(text: str) -> Iterator[str]:
    """Parts of a text that may be a name, the longest first."""
    spans = [match.span() for match in re.finditer(r"[^\W_\u3400-\u9fff]+(?:['’&-][^\W_\u3400-\u9fff]+)*", text)]
    for length in range(min(MOST_TOKENS, len(spans)), 0, -1):
        for at in range(len(spans) - length + 1):
            yield text[spans[at][0] : spans[at + length - 1][1]]
    for run in re.findall("[\u3400-\u9fff]+", text):
        for length in range(min(MOST_HAN, len(run)), 1, -1):
            yield from (run[at : at + length] for at in range(len(run) - length + 1))


_WORDS = rf"(?:{WORD[3:-1]}|thousand)"
_AMOUNT = (
    rf"(?:(?<![\d.,])\d[\d,]{{,15}}(?:\.\d{{1,9}})?[{HAN[-3:]}]?|(?<![{HAN}])[{HAN}]{{1,12}}"
    rf"|\b(?:an? )?{_WORDS}(?:(?:[ -]|(?<=hundred) and |(?<=thousand) and ){_WORDS}){{,7}})"
)
_SIGN = r"(?:US\$|[$€£¥￥]|usd|eur|gbp|cny|rmb)?\s*"
_UNIT = r"\s*(?:dollars?|bucks|euros?|pounds?|quid|yuan|usd|eur|gbp|cny|rmb|[$€£¥￥]|元钱?|块钱?|刀|美元|欧元|英镑)?"
_MONEY = rf"{_SIGN}(?P<a>{_AMOUNT}){_UNIT}"
_AND = rf"{_SIGN}(?P<b>{_AMOUNT}){_UNIT}"
_PRICES: tuple[tuple[Literal["range", "to", "from", "around"], str], ...] = (
    ("range", rf"(?:between|from) {_MONEY} (?:and|to) {_AND}"),
    ("range", rf"{_MONEY}\s*(?:-|–|—|~|到|至|to)\s*{_AND}(?=\D|$)"),
    ("to", rf"(?:under|below|less than|cheaper than|up to|at most|no more than|not more than|maximum|max\.?|within|"
           rf"budget(?: is| of)?:?) {_MONEY}"),
    ("to", rf"(?:不超过|不高于|低于|少于|小于|最多|预算(?:是|为|在)?)\s*{_MONEY}(?:以内|以下|之内|之下|内)?"),
    ("to", rf"{_MONEY}\s*(?:以内|以下|之内|之下|封顶|内)"),
    ("to", rf"{_MONEY} (?:or less|max(?:imum)?|at most)\b"),
    ("from", rf"(?:over|above|more than|at least|minimum|from) {_MONEY}"),
    ("from", rf"(?:高于|超过|多于|大于|至少|不低于)\s*{_MONEY}"),
    ("from", rf"{_MONEY}\s*(?:以上|之上|起)"),
    ("from", rf"{_MONEY} (?:or more|and up)\b"),
    ("around", rf"(?:around|about|roughly) {_MONEY}"),
    ("around", rf"{_MONEY}\s*(?:左右|上下)"),
)  # fmt: skip
_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PRICES)
_SIZES = tuple(re.compile(pattern, re.IGNORECASE) for pattern in (
    r"\b(?:in )?(?:a )?size:? (?P<size>(?:\d?x{0,3}[sml]|\d{1,3}(?:[.,]5)?))\b",
    r"(?:尺码|尺寸|码数)\s*(?:是|为|:|：)?\s*(?P<size>\d?[xX]{0,3}[smlSML]|\d{1,3}(?:\.5)?)\s*[码号]?",
    r"(?<![A-Za-z\d])(?P<size>\d?[xX]{0,3}[smlSML]|\d{2,3}(?:\.5)?)\s*(?:码|号)",
    r"\b(?P<size>[2-6]?x{1,4}[sl])\b",
))  # fmt: skip
_PERSON = re.compile(
    r"\b(?:complain\w*|refunds?|money back|return(?:ed|ing)? (?:it|this|my|the|an?)|my (?:order|parcel|package|account|"
    r"delivery|invoice|password|data|address)|order (?:number|no|#)|track(?:ing)?|where is|late|broken|damaged|"
    r"defective|wrong (?:item|size|product)|lawyer|cancel|human|agent|speak (?:to|with)|talk (?:to|with)|manager|"
    r"allerg\w*|medical|pregnan\w*|warranty|deliver\w*|shipping|payment|credit card|charged)\b"
    r"|投诉|退款|退货|换货|退换|人工|客服|我的(?:订单|包裹|快递|账户|账号|地址|密码|资料)|订单号|物流|发货|没收到|"
    r"坏了|破损|质量问题|发票|取消|律师|过敏|怀孕|孕妇|保修|运费|付款|支付|扣款|经理",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|thanks?(?: you)?|你好|您好|谢谢|在吗)(?: there)?\W*",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"\b(?:i(?:'m| am)?|we|you|me|my|please|looking|look|searching|search|find|want|wants|need|needs|would|like|show|"
    r"buy|get|have|has|do|does|for|a|an|the|some|any|is|are|there|in|of|with|to|from|by|can|could|something|size|under|"
    r"and|or|your|it|that|this|what|which|hi|hello|hey|thanks?|cost|costs|price|priced|cheap|brand)\b"
    r"|请问|请|我想要|我想买|我想|我要|想要|想买|帮我|帮忙|给我|推荐|找|有没有|有|一[下件条双个些部台]|什么|哪些|吗|呢|吧|"
    r"的|价格|你好|您好|谢谢|买|看看|品牌|价位|左右",
    re.IGNORECASE,
)
_OTHER_SCRIPTS = re.compile(r"[\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]")


def understood(message: str, shop: ShopNames) -> Understood:
    """What a message says, with the names that the shop has."""
    text = folded(message)
    language = _language(text)
    if language is None or _PERSON.search(text) or ORDERS.search(text):
        return Understood(language, "person")
    if _GREETING.fullmatch(text):
        return Understood(language, "greeting")
    made = Understood(language, "find")
    size = next((match for pattern in _SIZES if (match := pattern.search(text))), None)
    if size:
        made, text = replace(made, size=size["size"].upper()), text.replace(size[0], " ", 1)
    made, text = _priced(made, text)
    brand = shop.brand(text)
    if brand:
        made, text = replace(made, brand=brand[0]), text.replace(brand[1], " ", 1)
    category = shop.category(text)
    if category:
        made = replace(made, category=category[0])
    query = " ".join(_FILLER.sub(" ", text).split())
    made = replace(made, query=query if words(query) else "")
    nothing = (made.query, made.brand, made.category) == ("", None, None)
    return Understood(language, "person") if nothing and made.price_to is None else made


def _language(text: str) -> Locale | None:
    if _OTHER_SCRIPTS.search(text):
        return None
    if re.search("[\u3400-\u9fff]", text):
        return "zh"
    return "en" if re.search("[A-Za-z]", text) else None


def _priced(made: Understood, text: str) -> tuple[Understood, str]:
    """With the limits of price, which are taken out of the text."""
    for kind, pattern in _PATTERNS:
        match = pattern.search(text)
        if match is None:
            continue
        first = amount(match["a"])
        if first <= 0:
            continue
        if kind == "range":
            low, high = sorted((first, amount(match["b"])))
            made = replace(made, price_from=low, price_to=high)
        elif kind == "around":
            made = replace(made, price_from=first * (1 - AROUND), price_to=first * (1 + AROUND))
        else:
            made = replace(made, price_to=first) if kind == "to" else replace(made, price_from=first)
        text = f"{text[: match.start()]} {text[match.end() :]}"
        if kind in ("range", "around"):
            break
    if made.price_from is not None and made.price_to is not None and made.price_from > made.price_to:
        made = replace(made, price_from=made.price_to, price_to=made.price_from)
    return made, text


def amount(text: str) -> float:
    """The value of figures or words, at most 1e12: `1,000.50`, `2百`, `一千二` (1,200), `two thousand and fifty`."""
    scale = {"百": 100, "千": 1000, "万": 10_000}
    if text[0].isdigit():
        times = scale.get(text[-1], 1)
        return min(number(text.rstrip("百千万").rstrip(",.")) * times, 1e12)
    if text[0].isascii():
        thousands, _, rest = re.sub(r"\b(?:an?|and)\b", " ", text.lower()).partition("thousand")
        parts = [" ".join(part.replace("-", " ").split()) for part in (thousands, rest)]
        if "thousand" not in text.lower():
            return number(parts[0])
        return 1000 * (number(parts[0]) if parts[0] else 1) + (number(parts[1]) if parts[1] else 0)
    short = re.fullmatch(r"(.*)([百千万])([一二三四五六七八九])", text)  # spoken: 一千二 is 1,200
    if short:
        return min(number(short[1] + short[2]) + number(short[3]) * scale[short[2]] / 10, 1e12)
    return min(number(text), 1e12)
