"""Times as shops, spreadsheets and trackers write them, made ISO 8601; the whole column says which part is the day."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from nightmarket.intake.calendars import western
from nightmarket.intake.widths import narrow

DAY, MONTH, YEAR = "day first", "month first", "year first"
COMPACT, NAMED, EXCEL = "YYYYMMDD", "named months", "excel"
UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
MIXED = {DAY: "mixed, day first", MONTH: "mixed, month first"}
"""Several forms in one column, each of which can be read in one way once it is known which part is the day."""
NOTATIONS = (YEAR, DAY, MONTH, COMPACT, NAMED, *MIXED.values(), EXCEL, *UNITS)
_TEXTUAL = (YEAR, "parts", COMPACT, NAMED, "name first")
GENUINE = 0.3
"""Share of days above 12 among dates with the year first, below which a spreadsheet may have made them of others, with
day and month in each other's place: it turns round only those that it can read."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = (
    r"(?:[T ,]+(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2}))?(?:[:.](?P<second>\d{2})(?P<part>[.,]\d+)?)?"
    r" ?(?P<half>[AaPp]\.?[Mm]\.?|上午|下午)?)? ?(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?(?: ?\(?(?:UTC|GMT|Z)\)?)?$"
)
_DATE = {
    YEAR: r"^(?P<year>\d{4})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?" + _CLOCK,
    "parts": r"^(?P<first>\d{1,2})[-/.](?P<then>\d{1,2})[-/.](?P<year>\d{4}|\d{2})" + _CLOCK,
    COMPACT: r"^(?P<year>(?:19|20)\d{2})(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])"
    r"(?:[T ]?(?P<hour>[01]\d|2[0-3]):?(?P<minute>[0-5]\d)(?::?(?P<second>[0-5]\d)(?P<part>[.,]\d+)?)?)?"
    r"(?P<half>[AP]M)?(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?$",
    NAMED: r"^(?:[A-Za-z]{2,9}\.?,? )?(?P<day>\d{1,2})[-. ]+(?P<name>[A-Za-z]{3})[a-z]*[-.,]*[- ]*(?P<year>\d{4}|\d{2})"
    + _CLOCK,
    "name first": r"^(?:[A-Za-z]{2,9}\.?,? )?(?P<name>[A-Z][a-z]{2})[a-z]*\.?[ -](?P<day>\d{1,2})(?:st|nd|rd|th)?,?[ -]"
    r"(?P<year>\d{4}|\d{2}(?:$| \d{1,2}:)?)" + _CLOCK,
    EXCEL: r"^[1-7]\d{4}(?:\.\d+)?$",
    "seconds": r"^[1-9]\d{8,9}(?:\.\d+)?$",
    "milliseconds": r"^1\d{12}(?:\.\d+)?$",
    "microseconds": r"^1\d{15}$",
    "nanoseconds": r"^1\d{18}$",
}
"""Form → pattern; they exclude each other but for 8 to 14 digits, where the first that fits is meant."""
_STRICT = r"^\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?$"


@dataclass
class TimeSurvey:
    """Which forms the times of a column have; the most usual holds for all of it.

    forms      {form: values}
    above      of dates whose first two parts may be day or month: how many have a first, and a second, above 12
    dots       how many of these are written with dots, as in German
    late       dates with the year first whose day is above 12
    latest     the largest two-digit number in the place of the year
    """

    forms: Counter[str] = field(default_factory=Counter)
    above: tuple[int, int] = (0, 0)
    dots: int = 0
    late: int = 0
    short: tuple[int, int, int] = (0, 0, 0)
    zoned: Counter[bool] = field(default_factory=Counter)

    def __call__(self, values: pa.Array) -> None:
        """Count a batch of text."""
        values = _tidy(values.drop_null())
        strict = pc.match_substring_regex(values, _STRICT)
        self.forms[YEAR] += _num(strict)
        self.late += _num(pc.match_substring_regex(values, r"^\d{4}-\d\d-(1[3-9]|[23]\d)"))
        clock = pc.match_substring_regex(values, r"\d:\d\d")
        zone = pc.and_(clock, pc.match_substring_regex(values, r":\d\d.*([A-Z]{1,3}|[+-]\d\d(:?\d\d)?)\)?$"))
        zone = pc.and_(zone, pc.invert(pc.match_substring_regex(values, r"[AP]M$")))
        self.zoned[True] += _num(zone)
        self.zoned[False] += _num(clock) - _num(zone)
        rest = values.filter(pc.invert(strict))
        for form, pattern in _DATE.items():
            if not len(rest):
                return
            fits = pc.match_substring_regex(rest, pattern)
            num = _num(fits)
            if num and form == "parts":
                self._parts(rest.filter(fits))
            self.forms[form] += num
            rest = rest.filter(pc.invert(fits))

    def _parts(self, values: pa.Array) -> None:
        parts = pc.extract_regex(values, _DATE["parts"])
        first, then, year = (pc.struct_field(parts, name).cast(pa.int32()) for name in ("first", "then", "year"))
        self.above = (self.above[0] + _num(pc.greater(first, 12)), self.above[1] + _num(pc.greater(then, 12)))
        self.dots += _num(pc.match_substring_regex(values, r"^\d+\."))
        short = pc.less(year, 100)
        if pc.any(short).as_py():
            largest = (pc.max(part.filter(short)).as_py() for part in (first, then, year))
            self.short = tuple(max(pair) for pair in zip(self.short, largest, strict=True))

    def readings(self, today: date) -> list[str]:
        """The notations in which the column can be read: one, or several where nothing decides."""
        mixed = self._mixed(today)
        return [MIXED[mixed]] if mixed else self._pure(today)

    def _mixed(self, today: date) -> str | None:
        """Which part is the day in dates with the year behind, where there are several forms and each can be read in
        one way; else None."""
        there = {form: num for form, num in self.forms.items() if num}
        if len(there) < 2 or not {*there} <= {*_TEXTUAL}:
            return None
        if "parts" not in there:
            return DAY if {*there} != {NAMED, "name first"} else None
        parts = TimeSurvey(Counter(parts=there["parts"]), self.above, self.dots, self.late, self.short)
        known = [name for name in parts._pure(today) if name != YEAR]
        genuine = not there.get(YEAR) or self.late >= GENUINE * there[YEAR]
        return known[0] if len(known) == 1 and genuine else None

    def _pure(self, today: date) -> list[str]:
        form = max(self.forms, key=lambda name: self.forms[name]) if sum(self.forms.values()) else YEAR
        if form == "name first":
            return [NAMED]
        if form != "parts":
            return [form]
        if self.short[2]:
            first, then, last = self.short
            ends = today.year % 100 + 1
            fits = {DAY: then <= 12 and last <= ends, MONTH: first <= 12 and last <= ends,
                    YEAR: then <= 12 and last <= 31 and first <= ends}  # fmt: skip
            return [name for name, possible in fits.items() if possible] or [DAY]
        if min(self.above) > 0.01 * max(self.above):
            return [DAY, MONTH]
        if any(self.above):
            return [DAY if self.above[0] >= self.above[1] else MONTH]
        return [DAY] if self.dots == self.forms["parts"] else [DAY, MONTH]


def iso(values: pa.Array, notation: str) -> pa.Array:
    """Text as ISO 8601 where the notation explains it; other values stay as they are, for the caller to refuse."""
    values = _tidy(values)
    for order, mixed in MIXED.items():
        if notation == mixed:
            built = _built(values, _DATE["parts"], order, strict_too=True)
            for form in (YEAR, COMPACT, NAMED, "name first"):
                built = _built(built, _DATE[form], form)
            return built
    if notation in (DAY, MONTH):
        return _built(values, _DATE["parts"], notation)
    if notation == NAMED:
        return _built(_built(values, _DATE[NAMED], notation), _DATE["name first"], notation)
    if notation == YEAR and _num(pc.match_substring_regex(values, r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2}\b")):
        return _built(values, _DATE["parts"], notation)
    return _built(values, _DATE[COMPACT if notation == COMPACT else YEAR], notation)


def moments(values: pa.Array, notation: str) -> tuple[pa.Array, pa.Array]:
    """Numbers as timestamp[us], and whether each can be read: seconds and smaller in UTC, Excel's days local."""
    values = _tidy(values)
    fits = pc.fill_null(pc.match_substring_regex(values, _DATE[notation]), True)
    numbers = pc.if_else(fits, values, pa.scalar(None, pa.string()))
    if notation == EXCEL:
        micros = pc.multiply(
            pc.round(pc.multiply(pc.subtract(numbers.cast(pa.float64()), 25_569.0), 86_400_000.0)), 1_000.0
        )
        return micros.cast(pa.int64()).cast(pa.timestamp("us")), fits
    whole = pc.replace_substring_regex(numbers, r"\..*", "").cast(pa.int64())
    unit = UNITS[notation]
    micros = pc.divide(whole, unit // 1_000_000) if unit > 1_000_000 else pc.multiply(whole, 1_000_000 // unit)
    fraction = pc.replace_substring_regex(numbers, r"^\d+(\.|$)", "0.").cast(pa.float64())
    micros = pc.add(micros, pc.multiply(fraction, 1_000_000.0 / unit).cast(pa.int64(), safe=False))
    return micros.cast(pa.timestamp("us")), fits


def _tidy(values: pa.Array) -> pa.Array:
    return pc.utf8_trim_whitespace(western(narrow(values)))


def _built(values: pa.Array, pattern: str, notation: str, *, strict_too: bool = False) -> pa.Array:
    """ISO texts of the values that match, the others as they are.

    strict_too  what is written with the year first is meant so, in a column that has the day or the month first
    """
    strict = pc.match_substring_regex(values, _STRICT)
    refused = "first>" in pattern and notation != YEAR and not strict_too
    if pc.all(strict).as_py() is not False:
        return _marked(values, strict) if refused else values
    parts = pc.extract_regex(values, pattern)
    part = {name.name: pc.struct_field(parts, name.name) for name in parts.type}
    year = part["year"]
    if "first" in part:
        order = {DAY: ("year", "then", "first"), MONTH: ("year", "first", "then"), YEAR: ("first", "then", "year")}[
            notation
        ]
        year, month, day = (part[name] for name in order)
    elif "name" in part:
        month = pc.add(pc.index_in(pc.utf8_lower(part["name"]), value_set=pa.array(_MONTHS)), 1).cast(pa.string())
        day = part["day"]
    else:
        month, day = part["month"], part["day"]
    year = pc.if_else(pc.equal(pc.utf8_length(year), 2), pc.binary_join_element_wise("20", year, ""), year)
    text = pc.binary_join_element_wise(year, _two(month), _two(day), "-")
    clock = pc.binary_join_element_wise(
        _two(_hour(part["hour"], part["half"])), _two(part["minute"]), _two(part["second"]), ":"
    )
    fraction = pc.replace_substring(part["part"], ",", ".")
    zone = pc.replace_substring_regex(part["zone"], "^(UTC|GMT)$", "Z")
    timed = pc.not_equal(part["hour"], "")
    whole = pc.binary_join_element_wise(
        text, pc.if_else(timed, pc.binary_join_element_wise(" ", clock, fraction, zone, ""), ""), ""
    )
    return pc.coalesce(whole, _marked(values, strict) if refused else values)


def _marked(values: pa.Array, strict: pa.Array) -> pa.Array:
    """Other values than the column's notation explains cannot be read."""
    return pc.if_else(strict, pc.binary_join_element_wise("?", values, ""), values)


def _two(digits: pa.Array) -> pa.Array:
    return pc.utf8_lpad(digits, 2, "0")


def _hour(hour: pa.Array, half: pa.Array) -> pa.Array:
    """The hour of the day, of twelve hours and AM or PM."""
    number = pc.if_else(pc.equal(hour, ""), "0", hour).cast(pa.int32())
    letter = pc.utf8_lower(pc.utf8_slice_codeunits(half, 0, 1))
    after = pc.is_in(letter, value_set=pa.array(["p", "下"]))
    halved = pc.not_equal(half, "")
    base = pc.if_else(pc.and_(halved, pc.equal(number, 12)), 0, number)
    return pc.if_else(after, pc.add(base, 12), base).cast(pa.string())


def _num(mask: pa.Array) -> int:
    return pc.sum(mask).as_py() or 0
