"""Names of columns as people write them."""

import re
import unicodedata
from collections.abc import Sequence


def plain(name: str) -> str:
    """Letters and digits alone, small and narrow: `Customer ID`, `customer_id` and `CUSTOMER-ID` are one name."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def folded(name: str) -> str:
    """The same without accents: `Quantité` and `quantite`, `Größe` and `grosse` are one name."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return plain(unicodedata.normalize("NFC", "".join(sign for sign in letters if not unicodedata.combining(sign)))
                 if letters.isascii() or _is_latin(letters) else name)  # fmt: skip


def _is_latin(letters: str) -> bool:
    return all(sign < "\u0370" or not sign.isalpha() for sign in letters)


def words(name: str) -> list[str]:
    """Its words without accents: `orderStatus` and `Order Status` have two."""
    split = re.split(r"[\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name))
    return [word for word in map(folded, split) if word]


def alike(name: str, there: Sequence[str]) -> list[str]:
    """The names in `there` that are `name` itself, or else those that only differ in how they are written."""
    return [name] if name in there else [other for other in there if plain(other) == plain(name)]


def snake(name: str) -> str:
    """Small letters, digits and _ alone: `Consent Email` is consent_email."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", name).casefold()).strip("_")
