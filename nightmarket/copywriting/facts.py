"""What a promotion text may say: everything in it must follow from these facts, and nothing else is known."""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from nightmarket.copywriting.orders import ORDERS


@dataclass(frozen=True)
class Violation:
    """A rule that a text breaks, and what in it; `what` quotes the text, never a customer's data."""

    rule: str
    what: str


Locale = Literal["en", "zh"]
Form = Literal["push", "sms", "subject", "body", "banner"]
Angle = Literal["saving", "quality", "routine", "plain"]
Kind = Literal["discount", "threshold", "gift", "coupon"]

LIMITS: dict[Form, int] = {"push": 60, "sms": 140, "subject": 70, "body": 600, "banner": 40}
"""Greatest length of each form of text, characters."""
CHANNELS: dict[str, tuple[Form, ...]] = {
    "push": ("push",),
    "sms": ("sms",),
    "email": ("subject", "body"),
    "banner": ("banner",),
}
"""The forms that a channel is made of; any other channel is written to like a push message."""
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "¥"}


@dataclass(frozen=True)
class Product:
    """A product as a customer may see it.

    name       what it is called; see `spoken`
    brand      "" where there is none worth saying
    category   its kind, as people call it
    price      usual price, currency; None: no text may name one
    is_new     whether nobody has bought it yet
    """

    name: str
    brand: str = ""
    category: str = ""
    price: float | None = None
    is_new: bool = False


@dataclass(frozen=True)
class CopyOffer:
    """The terms of an offer; a term that is None is not known, and no text may state one.

    scope      what it applies to, as people call it
    percent    share of the price that is waived, percent, in (0, 100)
    amount     waived amount, currency
    threshold  spend from which it holds, currency
    gift       what is given
    code       what has to be typed in
    """

    kind: Kind
    scope: str
    start: date
    end: date
    percent: float | None = None
    amount: float | None = None
    threshold: float | None = None
    gift: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class CopyFacts:
    """All that a writer knows.

    currency    ISO code
    offer       None for a text about a product alone
    reason      a measured sentence about the product that may be quoted as it stands
    praise      what reviews measurably praise about it
    angle       what matters to the people written to; it chooses among phrases and is never stated
    readers     what marks them, in words without a figure; a writer may be guided by it and is never to state it
    """

    locale: Locale
    shop: str
    currency: str
    product: Product
    offer: CopyOffer | None = None
    reason: str = ""
    praise: tuple[str, ...] = ()
    angle: Angle = "plain"
    readers: tuple[str, ...] = ()
    names: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        offer, product = self.offer, self.product
        texts = [product.name, product.brand, product.category, self.shop, self.reason, *self.praise]
        if offer is not None:
            texts += [offer.scope, offer.gift or "", offer.code or "", *_numbers(offer.scope)]
        texts += _numbers(product.category)
        names = {folded(name) for name in texts if name and name.strip()}
        object.__setattr__(self, "names", tuple(sorted(names, key=lambda name: (-len(name), name))))

    @property
    def subjects(self) -> list[str]:
        """What a text may name so that it is clear what it is about: the product, or what the offer applies to."""
        scope = self.offer.scope if self.offer is not None else ""
        return [folded(name) for name in (self.product.name, scope, *_numbers(scope)) if name.strip()]

    @property
    def symbol(self) -> str:
        """Sign before an amount; the ISO code where the currency has no sign of its own."""
        return SYMBOLS.get(self.currency, f"{self.currency} ")


def _numbers(kind: str) -> list[str]:
    """An English kind of products in the other number: "teas" for "tea", "candle" for "candles"."""
    if not re.search("[A-Za-z]{3}$", kind):
        return []
    if kind.endswith(("s", "S")):
        shorter = {"ies": "y", "ves": "f"}.get(kind[-3:].lower())
        return [kind[:-1]] if shorter is None else [kind[:-1], kind[:-3] + shorter]
    return [f"{kind}s"]


_HOSTILE = re.compile(
    r"[<>{}\[\]|`\\]|https?:|www\.|@|[%％$€£¥￥]|\d\s*折|\b(?:ignore|instruction|instructions|system|assistant|prompt|"
    r"free|guarantee|guaranteed|best|cheapest|cure|cures)\b|免费|忽略|指令|提示词|系统|最|第一|赠|治|\n",
    re.IGNORECASE,
)


def spoken(title: str | None, category: str, brand: str = "") -> str:
    """What a product is called in a text: its title, or its brand and kind where the title is no plain name.

    A title is data that came from outside: one with mark-up, a link, a price, a claim or an instruction in it is not
    repeated to customers.
    """
    name = folded(title or "").split(", ")[0].strip(" ,;.")
    if name and len(name) <= 60 and not _HOSTILE.search(name) and not ORDERS.search(name):
        return name
    fallback = [folded(part) for part in (brand, category) if part and not _HOSTILE.search(folded(part))]
    return " ".join(fallback)[:60]


_LANGUAGES: dict[Locale, tuple[str, ...]] = {
    "en": ("en", "eng", "english", "englisch", "anglais", "ingles", "英语", "英文"),
    "zh": (
        "zh",
        "chi",
        "zho",
        "cn",
        "chinese",
        "chinesisch",
        "chinois",
        "mandarin",
        "中文",
        "汉语",
        "普通话",
        "简体中文",
    ),
}


def locale_of(text: object) -> Locale | None:
    """The locale of a language as tables write it ("en-GB", "Chinese", "zh_CN"); None for one without texts."""
    name = folded(text).casefold() if isinstance(text, str) else ""
    first = re.split(r"[-_ (,;]", name)[0]
    return next((locale for locale, names in _LANGUAGES.items() if name in names or first in names), None)


def folded(text: str) -> str:
    """One way to write a text: compatibility forms resolved (full-width digits become ASCII), spaces single."""
    return " ".join(unicodedata.normalize("NFKC", text).split())
