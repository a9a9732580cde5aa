"""An answer to a customer's message, in their language, from facts of the tables, each line checked by the guard."""

from collections.abc import Sequence
from dataclasses import dataclass

from nightmarket.copywriting.facts import SYMBOLS, CopyFacts, Locale, Product, spoken
from nightmarket.copywriting.guard.check import check
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.labels import customer_words
from nightmarket.copywriting.phrases import LANGUAGES

TOLD = 3
"""Products that an answer tells of."""
LINES: dict[Locale, dict[str, str]] = {
    "en": {
        "found": "Here is what we have for you:", "line": "{name}: {price}", "bare": "{name}",
        "greeting": "Hello! Tell us what you are looking for.",
        "person": "One of our people will answer this.",
    },
    "zh": {
        "found": "为您找到：", "line": "{name}：{price}", "bare": "{name}",
        "greeting": "您好！请告诉我们您想找什么。",
        "person": "这个问题请由我们的同事为您解答。",
    },
}  # fmt: skip
"""What an answer is made of besides facts."""
NO_NAMES = Lexicon(())


@dataclass(frozen=True)
class ShownFacts:
    """What the tables say of a product; price NaN where they say nothing."""

    product: str
    title: str
    brand: str
    kind: str
    price: float


def answer_text(products: Sequence[ShownFacts], language: Locale, currency: str) -> str:
    """The answer that tells of the first products; "" where the guard lets no line of it through."""
    lines = list(dict.fromkeys(line for facts in products if (line := _line(facts, language, currency))))[:TOLD]
    return "\n".join([LINES[language]["found"], *lines]) if lines else ""


def _line(facts: ShownFacts, language: Locale, currency: str) -> str:
    """A product's line; a name that is none, or a line that the guard refuses, is left out."""
    name = spoken(facts.title, customer_words(facts.kind), facts.brand)
    if not name:
        return ""
    price = facts.price if facts.price > 0 else None
    known = CopyFacts(language, "", currency, Product(name, facts.brand, customer_words(facts.kind), price))
    form = LINES[language]["line" if price is not None else "bare"]
    amount = LANGUAGES[language].amount(price, SYMBOLS.get(currency, f"{currency} "), currency) if price else ""
    text = form.format(name=name, price=amount)
    return "" if check(text, known, "body", NO_NAMES) else text
