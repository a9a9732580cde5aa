"""Numbers and dates as people read them."""

import math
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from importlib.resources import files
from typing import Any, Literal

import yaml

FIRST_MONDAY = date(1970, 1, 5)
"""Week 0 starts here."""

Standing = Literal["better", "worse", "level"]

WORDING: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("wording.yaml").read_text(encoding="utf-8"))
TASKS: dict[str, tuple[str, str]] = {task: (title, meaning) for task, (title, meaning) in WORDING["tasks"].items()}
"""Per task its title, and what it asks."""
EVENTS: dict[str, str] = WORDING["events"]
"""What lists foretell, by target."""


def called(kind: str, name: str) -> str:
    """What the page calls a thing, by `kind`, a list of wording.yaml; else its own name with spaces."""
    return str(WORDING[kind].get(name, name.replace("_", " ")))


def model(name: str) -> str:
    """A model's name as the page writes it."""
    return called("models", name)


def count(number: float) -> str:
    """1469307 → "1,469,307"."""
    return f"{int(number):,}"


def whole(number: float) -> str:
    """995.96 → "996", -12.3 → "−12"."""
    text = f"{abs(number):,.0f}"
    return f"−{text}" if number < 0 and text != "0" else text


def known(figure: Any) -> bool:
    """Whether a figure has a finite value, low and high."""
    if not isinstance(figure, Mapping):
        return False
    numbers = [figure.get(part) for part in ("value", "low", "high")]
    return all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)


def fraction(number: float) -> str:
    """0.4371 → ".437"; small numbers keep a fourth place; one and above keep their whole part."""
    text = f"{abs(number):.4f}" if abs(number) < 0.0995 else f"{abs(number):.3f}"
    text = text.removeprefix("0")
    return f"−{text}" if number < 0 and text.strip(".0") else text


def signed(number: float) -> str:
    """0.004 → "+.0040"; zero has no sign."""
    text = fraction(number)
    return f"+{text}" if number > 0 and text.strip(".0") else text


def interval(figure: Mapping[str, float], plus: bool = False) -> str:
    """{value, low, high} → ".437 [.422, .450]"; "–" where nobody could be judged."""
    if not known(figure):
        return "–"
    value = signed(figure["value"]) if plus else fraction(figure["value"])
    return f"{value} {reach(figure)}"


def reach(figure: Mapping[str, float], write: Callable[[float], str] = fraction) -> str:
    """The interval alone: "[.422, .450]"."""
    return f"[{write(figure['low'])}, {write(figure['high'])}]"


def standing(difference: Mapping[str, float]) -> Standing:
    """What a paired difference says: its interval lies above zero, below zero, or holds it, as one of nobody does."""
    if difference["low"] is None or difference["high"] is None:
        return "level"
    if difference["low"] > 0:
        return "better"
    return "worse" if difference["high"] < 0 else "level"


def day(moment: str | date) -> str:
    """ "2018-01-01" → "1 January 2018"."""
    moment = date.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{moment.day} {moment:%B %Y}"


def short_day(moment: str | date) -> str:
    """ "2018-01-01" → "1 Jan 2018"."""
    moment = date.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{moment.day} {moment:%b %Y}"


def brief_day(moment: date) -> str:
    """31 December 2017 → "31 Dec"."""
    return f"{moment.day} {moment:%b}"


def monday(week: int) -> date:
    """The first day of a week, counted from Monday 1970-01-05."""
    return FIRST_MONDAY + timedelta(weeks=week)


def sunday(week: int) -> date:
    """Its last day."""
    return monday(week) + timedelta(days=6)


def weekday(moment: str) -> str:
    """ "2018-01-01" → "Monday"."""
    return f"{date.fromisoformat(moment):%A}"


def local_day(number: int) -> date:
    """Days since 1970-01-01 as a date."""
    return date(1970, 1, 1) + timedelta(days=int(number))


def day_span(first: int, last: int) -> str:
    """Days 17497 to 17524 → "27 November to 24 December 2017"."""
    start, end = local_day(first), local_day(last)
    opening = f"{start.day} {start:%B}" if start.year == end.year else day(start)
    return f"{opening} to {day(end)}"


def percent(share: float) -> str:
    """0.1234 → "12.3%", 0.00123 → "0.12%"."""
    return f"{100 * share:.1f}%" if share >= 0.01 or share == 0 else f"{100 * share:.2f}%"


def percents(figure: Mapping[str, float], value: str = "value") -> str:
    """{value, low, high} → "20.0% [17.1%, 23.3%]"."""
    return f"{percent(figure[value])} {reach(figure, percent)}"


def change(share: float) -> str:
    """-0.123 → "−12.3%"; 0.05 → "+5.0%"; nothing that can be shown has no sign."""
    text = f"{abs(100 * share):.1f}%"
    sign = "" if text == "0.0%" else "+" if share > 0 else "−"
    return f"{sign}{text}"


def money(amount: float, currency: str = "") -> str:
    """1234.5 → "1,234"; below a hundred with two places; the currency behind it."""
    text = f"{abs(amount):,.0f}" if abs(amount) >= 99.995 else f"{abs(amount):,.2f}"
    sign = "−" if amount < 0 and text.strip("0.,") else ""
    return f"{sign}{text} {currency}".rstrip()


def things(number: float, noun: str) -> str:
    """3, "offer" → "3 offers"; 1, "offer" → "1 offer"; 2, "launch" → "2 launches"."""
    plural = "es" if noun.endswith(("ch", "sh", "s", "x")) else "s"
    return f"{count(number)} {noun}{'' if number == 1 else plural}"


def share(part: float, whole: float) -> str:
    """3 of 1000 → "0.3%"; one decimal from 1% on; below a hundredth of a percent → "under 0.01%"."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.01:
        return "under 0.01%"
    return (f"{percent:.1f}" if percent >= 1 else f"{percent:.2f}").rstrip("0").rstrip(".") + "%"


def listed(words: list[str]) -> str:
    """["a", "b", "c"] → "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def reason(said: str) -> str:
    """A gate's reason as a sentence, tasks by their titles."""
    for task, (title, _) in TASKS.items():
        said = said.replace(f"{task} ndcg@10", f"{title}: NDCG@10")
    return sentence(said)


def sentence(said: str) -> str:
    """A clause as a sentence: its first letter large, a full stop after it."""
    return f"{said[:1].upper()}{said[1:]}."
