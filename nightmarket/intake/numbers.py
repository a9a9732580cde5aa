"""Numbers as people and spreadsheets write them: which mark begins the decimals, and what is taken off."""

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.widths import narrow

POINT, COMMA = "decimal point", "decimal comma"
NOTATIONS = (POINT, COMMA)

STRICT = r"^[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|inf|Inf|infinity|nan|NaN)$"
_SIGN = (
    r"(?:[A-Z]{1,2})?\$|[€£¥￥₹₩₽฿₫₺₴₪₱₦]|kr\.?|zł|Kč|Ft|Rs\.?|R[Mp]\.?|[A-Z]{3}|TL|лв|руб\.?|元|円|원|บาท|[ردج]\.[سإم]"
)
_WHOLE = rf"^(?P<before>{_SIGN})?\s*(?P<minus>[+-]|\()?\s*(?P<sign>{_SIGN})?\s*(?P<body>[\d.,'’ ]*\d[.,]?)\s*"
_WHOLE += rf"(?P<after>{_SIGN})?\s*(?P<end>-|\))?\s*(?P<last>{_SIGN})?$"
_AMBIGUOUS_POINT, _AMBIGUOUS_COMMA = r"^[1-9]\d{0,2}\.\d{3}$", r"^[1-9]\d{0,2},\d{3}$"
_OF_POINT = r"^\d*\.\d*$|^\d{1,3}(,\d{2,3})*,\d{3}\.\d*$|^\d{1,3}(,\d{3}){2,}$|^\d{1,3}([ '’]\d{3})+\.\d*$"
_OF_COMMA = r"^\d*,\d*$|^\d{1,3}(\.\d{3})+,\d*$|^\d{1,3}(\.\d{3}){2,}$|^\d{1,3}([ '’]\d{3})+,\d*$"
_RIGHT = {
    POINT: r"^(\d+|\d{1,3}(,\d{2,3})*,\d{3}|\d{1,3}([ '’]\d{3})+)?(\.\d*)?$",
    COMMA: r"^(\d+|\d{1,3}(\.\d{3})+|\d{1,3}([ '’]\d{3})+)?(,\d*)?$",
}

PARTS = r"[.,](\d\d|[1-9]|\d{4,})$"


@dataclass
class NumberSurvey:
    """What the values of a whole column say about how it is written; values are counted, none is kept.

    point, comma  values that can only be read with this mark before the decimals
    either        values that can be read both ways, as 1.234 and as 1,234
    parts         values with parts of a unit, 12.5 or 12.00: the .0 of 12.0 comes from a program, not from a shop
    signs         {currency sign or code: values}
    """

    point: int = 0
    comma: int = 0
    parts: int = 0
    either: Counter[str] = field(default_factory=Counter)
    signs: Counter[str] = field(default_factory=Counter)

    def __call__(self, values: pa.Array) -> None:
        """Count a batch of text."""
        values = pc.utf8_trim_whitespace(values.drop_null())
        strict = pc.match_substring_regex(values, STRICT)
        if pc.all(strict).as_py() is not False:
            if self.point and not self.comma:
                return
            bodies = pc.utf8_ltrim(values, "+-")
        else:
            parts = _parts(values)
            bodies = pc.struct_field(parts, "body").drop_null()
            for name in ("before", "sign", "after", "last"):
                signs = pc.struct_field(parts, name).drop_null()
                counted = signs.filter(pc.not_equal(signs, "")).value_counts()
                self.signs.update(dict(zip(*(counted.field(i).to_pylist() for i in (0, 1)), strict=True)))
        self.parts += _num(_matches(bodies, PARTS))
        dots, commas = (_matches(bodies, pattern) for pattern in (_AMBIGUOUS_POINT, _AMBIGUOUS_COMMA))
        self.either["1.234"] += _num(dots)
        self.either["1,234"] += _num(commas)
        self.point += _num(pc.and_(_matches(bodies, _OF_POINT), pc.invert(dots)))
        self.comma += _num(pc.and_(_matches(bodies, _OF_COMMA), pc.invert(commas)))

    def notation(self) -> str | None:
        """POINT or COMMA, or None where both readings are possible."""
        if self.point or self.comma:
            return POINT if self.point >= self.comma else COMMA
        return None if sum(self.either.values()) else POINT


def plain(values: pa.Array, notation: str) -> pa.Array:
    """Text as STRICT has it where the notation explains it; other values stay as they are, for the caller to refuse."""
    values = pc.utf8_trim_whitespace(values)
    if notation == POINT and pc.all(pc.match_substring_regex(values, STRICT)).as_py() is not False:
        return values
    parts = _parts(values)
    body = pc.struct_field(parts, "body")
    right = pc.fill_null(_matches(body, _RIGHT[notation]), False)
    mark = "." if notation == POINT else ","
    digits = pc.replace_substring_regex(body, rf"[^\d{mark}]", "")
    digits = pc.replace_substring(digits, mark, ".")
    negative = pc.or_(
        pc.is_in(pc.struct_field(parts, "minus"), value_set=pa.array(["-", "("])),
        pc.is_in(pc.struct_field(parts, "end"), value_set=pa.array(["-", ")"])),
    )
    written = pc.binary_join_element_wise(pc.if_else(pc.fill_null(negative, False), "-", ""), digits, "")
    if notation == COMMA:
        return pc.if_else(
            right, written, pc.if_else(_matches(values, STRICT), pc.binary_join_element_wise("?", values, ""), values)
        )
    strict = pc.fill_null(_matches(values, STRICT), False)
    return pc.if_else(strict, values, pc.if_else(right, written, values))


def whole(values: pa.Array) -> pa.Array:
    """Text of whole numbers as ASCII digits; `1980.0`, as programs write them in a column with gaps, is 1980."""
    tidy = narrow(pc.utf8_trim_whitespace(values))
    return pc.replace_substring_regex(tidy, r"^([+-]?\d+)\.0+$", r"\1")


def _parts(values: pa.Array) -> pa.Array:
    tidy = pc.replace_substring_regex(narrow(values), "[\u00a0\u2007\u2009\u202f]", " ")
    tidy = pc.replace_substring_regex(tidy, "[\u2212\u2012\u2013]", "-")
    return pc.extract_regex(pc.replace_substring_regex(tidy, r"\s+", " "), _WHOLE)


def _matches(values: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(values, pattern)


def _num(mask: pa.Array) -> int:
    return pc.sum(mask).as_py() or 0
