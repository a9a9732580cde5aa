"""Lines of orders that are no product: gift cards, shipping, fees, tips and discounts, by what they are called.

A name counts where it says nothing else: `Gift Card $50` is one, `Gift card holder` is a product.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from nightmarket.contracts.tables import NO_PRODUCT, PRODUCT
from nightmarket.intake.headers import plain
from nightmarket.intake.widths import narrow

DISCOUNT = "discount"
_CONTENT = yaml.safe_load(files("nightmarket.intake").joinpath("services.yaml").read_text(encoding="utf-8"))
_CJK = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_AMOUNT = re.compile(r"\d+(?:[.,']\d+)*")
_SPLIT_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _phrases(lines: list[str] | str) -> list[str]:
    whole = lines if isinstance(lines, str) else ", ".join(lines)
    return [phrase.strip() for phrase in whole.split(",") if phrase.strip()]


def _joined(phrase: str) -> str:
    return phrase.replace(" ", "")


_BELOW_ZERO = frozenset(map(_joined, _phrases(_CONTENT["below zero"])))
_BESIDE = frozenset(_phrases(_CONTENT["beside"]))
PHRASES: dict[str, str] = {}
"""A phrase without blanks, whole and without the words of `beside` → what it names."""
for _kind in NO_PRODUCT:
    for _phrase in _phrases(_CONTENT[_kind]):
        PHRASES.setdefault(_joined(_phrase), _kind)
        if _short := "".join(word for word in _phrase.split() if word not in _BESIDE):
            PHRASES.setdefault(_short, _kind)
_BESIDE_CJK = re.compile("|".join(_CONTENT["beside_cjk"]))
_JOINS = frozenset(_phrases(_CONTENT["joins"]))
_CATEGORY = re.compile(_CONTENT["category"])
_LONG = frozenset(
    _joined(phrase) for phrase in _phrases(_CONTENT["gift card"]) if _joined(phrase) not in ("voucher", "gutschein")
)
"""Names of gift cards before which a brand may stand; what a `Spa voucher` is for is a product."""

SUSPICIOUS = r"(?i)" + "|".join(
    sorted({re.escape(max(phrase.split(), key=len)) for kind in NO_PRODUCT for phrase in _phrases(_CONTENT[kind])})
)
"""Texts without any of these words are no service; RE2."""

MAX_SHARE, MIN_OF_SHARE = 0.2, 5
"""A shop whose catalogue has more than this share of one kind, and so many, sells them: vouchers for experiences."""


def kind_of(text: str, *, negative: bool = False) -> str:
    """What a name or an id names: one of NO_PRODUCT, "" for a product.

    negative  it is of a line whose amount is below 0: a voucher that was redeemed, not one that was sold
    """
    tidy = unicodedata.normalize("NFKC", text)
    words, code = _words(tidy)
    phrase = "".join(words)
    kind = _plain_kind(phrase) or (_with_a_brand(words, phrase) if not negative else _discount(words, tidy))
    if kind == "gift card" and negative and phrase in _BELOW_ZERO:
        return DISCOUNT
    if kind in ("tip", "fee") and code and phrase in ("tip", "tips", "fee", "fees"):
        return ""  # TIP-05 is an article's number
    return kind


def _words(text: str) -> tuple[list[str], bool]:
    """Words that say something, and whether some stand together with digits, as in an article's number."""
    spaced = re.sub(r"[\W_]+", " ", _AMOUNT.sub(" ", _SPLIT_CASE.sub(" ", text))).casefold()
    if _CJK.search(spaced):
        return [word for word in [_BESIDE_CJK.sub("", spaced).replace(" ", "")] if word], False
    words = [word for word in spaced.split() if word not in _BESIDE]
    attached = bool(re.search(r"[A-Za-z][-_]?\d", text))
    coded = {
        word for token in re.findall(r"\S*\d\S*", text) for word in re.sub(r"[\W\d_]+", " ", token).casefold().split()
    }
    if len(words) > 1 and PHRASES.get("".join(rest := [word for word in words if word not in coded])):
        words = rest  # a code like SUMMER10 beside it
    return words or spaced.split(), attached


def _plain_kind(phrase: str) -> str:
    return PHRASES.get(phrase) or PHRASES.get(phrase.removesuffix("s")) or ""


def _with_a_brand(words: list[str], phrase: str) -> str:
    """A gift card with up to two words of whose it is before it."""
    if len(words) == 1 and _CJK.search(phrase):
        ends = [name for name in _LONG if _CJK.search(name) and phrase.endswith(name)]
        before = phrase[: -max(map(len, ends))] if ends else ""
        return "gift card" if before and len(before) <= 4 and not (set(before) & _JOINS) else ""
    for num in (1, 2):
        rest = "".join(words[num:])
        if rest and (rest in _LONG or rest.removesuffix("s") in _LONG) and not set(words[:num]) & _JOINS:
            return "gift card"
    return ""


def _discount(words: list[str], text: str) -> str:
    """A line below 0 that ends with a word for a discount, as `Summer Discount`, or begins with one and a colon."""
    head = "".join(_words(re.split(r"[:(\"'„“-]", text, maxsplit=1)[0])[0])
    for phrase in (head, *("".join(words[num:]) for num in range(1, min(len(words), 4)))):
        if _plain_kind(phrase) == DISCOUNT or phrase in _BELOW_ZERO:
            return DISCOUNT
    return ""


def kind_of_category(path: str) -> str:
    """What a category's path names at one of its levels; only what is no shelf of products anywhere."""
    for level in path.split(" > "):
        kind = kind_of(level)
        if kind and kind != DISCOUNT and _CATEGORY.search(unicodedata.normalize("NFKC", level).casefold()):
            return kind
    return ""


@dataclass
class Services:
    """What is no product in a shop.

    own    the shop's say: {product id, title, category or kind: one of NO_PRODUCT, or `product`}
    kinds  {product id: one of NO_PRODUCT} of the catalogue
    """

    own: Mapping[str, str]
    kinds: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._own = {plain(name): "" if kind == PRODUCT else kind for name, kind in self.own.items()}

    def of_product(self, product_id: str, title: str, category: str, sort: str) -> str:
        """What a product of the catalogue is; "" for a product.

        sort  what the shop's system calls its type; "" where it says nothing
        """
        for name in (product_id, title, *category.split(" > ")):
            if name and plain(name) in self._own:
                return self._own[plain(name)]
        kind = kind_of(sort) or kind_of(title) or kind_of_category(category)
        if not kind and (not title or not re.search(r"\d", product_id)):
            kind = kind_of(product_id)
        return self._own.get(plain(kind), kind) if kind else ""

    def of_line(self, product_id: str, title: str, *, negative: bool) -> str:
        """What a line of an order is whose product the catalogue does not have."""
        for name in (product_id, title):
            if name and plain(name) in self._own:
                return self._own[plain(name)]
        kind = kind_of(title, negative=negative) or kind_of(product_id, negative=negative)
        return self._own.get(plain(kind), kind) if kind else ""


def suspicious(*texts: pa.Array) -> pa.Array:
    """(N,) where one of the texts holds a word of a service; bool, never null."""
    where = pa.repeat(pa.scalar(False), len(texts[0]))
    for values in texts:
        coded = values.dictionary_encode()  # a line says what many others say
        known = pc.match_substring_regex(narrow(coded.dictionary), SUSPICIOUS).take(coded.indices)
        where = pc.or_(where, pc.fill_null(known, False))
    return where
