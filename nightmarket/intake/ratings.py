"""Stars as people and sites write them, made numbers."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.widths import narrow

_FULL, _EMPTY = "★⭐✭✮🌟", "☆✩"
_SIGNS = re.compile(rf"^(?:[{_FULL}{_EMPTY}]\ufe0f?\s*)+$")
_OF = re.compile(
    r"^(\d+(?:[.,]\d+)?)\s*(?:/|of|out of|von|sur|de|su|di|van|av|из|z)\s*(\d+)"
    r"(?:\s*(?:stars?|sternen?|étoiles?|etoiles?|estrellas?|estrelas?|stelle|sterren|звёзд|звезд))?$",
    re.IGNORECASE,
)
_OF_BEFORE = re.compile(r"^(?:5つ星のうち|星5つ中の?)\s*(\d(?:[.,]\d+)?)(?:つ)?$")
_WITH_WORD = re.compile(
    r"^(\d+(?:[.,]\d+)?)\s*(?:-?\s*stars?|sterne?|étoiles?|etoiles?|estrellas?|estrelas?|stell[ae]|sterren"
    r"|星|颗星|顆星|점|点|★|⭐)\ufe0f?$",
    re.IGNORECASE,
)
STARS = r"^[★⭐✭✮🌟☆✩\x{fe0f}\s]+$|"
STARS += r"(?i:^\d+([.,]\d+)?\s*(/|of|out of|von|sur|de|su|di|van|av|из|z)\s*\d+(\s*\pL+)?$)|"
STARS += r"^5つ星のうち|^星5つ中|"
STARS += r"(?i:^\d+([.,]\d+)?\s*(-?\s*stars?|sterne?|étoiles?|etoiles?|estrell?as?|stell[ae]|sterren)$)|"
STARS += r"^\d+([.,]\d+)?\s*(星|颗星|顆星|점|点|★|⭐)\x{fe0f}?$"
"""What may be stars beside plain numbers; RE2."""
SCALE = 5
"""Stars of another scale, as 8/10, are made stars of this one."""


def stars(values: pa.Array) -> pa.Array:
    """Text of ratings with their number alone, of `4/5`, `★★★★☆`, `4.0 out of 5 stars`; numbers stay as they are."""
    coded = values.dictionary_encode()
    written = pc.fill_null(pc.match_substring_regex(narrow(coded.dictionary), STARS), False)
    if not pc.any(written).as_py():
        return values
    pairs = zip(narrow(coded.dictionary).to_pylist(), written.to_pylist(), strict=True)
    texts = [_of(text) if odd else text for text, odd in pairs]
    return pa.array(texts, pa.string()).take(coded.indices)


def _of(text: str) -> str:
    tidy = text.strip()
    if _SIGNS.match(tidy):
        return str(sum(sign in _FULL for sign in tidy))
    if share := _OF.match(tidy):
        number, scale = float(share[1].replace(",", ".")), int(share[2])
        return f"{number if scale == SCALE else number * SCALE / scale:g}" if scale > 0 and number <= scale else text
    said = _OF_BEFORE.match(tidy) or _WITH_WORD.match(tidy)
    return said[1].replace(",", ".") if said else text
