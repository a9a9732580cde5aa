"""What the morning asks of whoever opens the page: what waits for a yes, what deserves a look, what is good to know."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from nightmarket.reporting import care, drift, groups, launches, plan, words
from nightmarket.reporting.night import Night

ASIDE = 0.01
"""Share of a table's rows from which what was set aside deserves a look."""
SHRUNK = 0.8
"""A table with less than this share of the rows that it had the night before deserves a look."""
Kind = Literal["do", "look", "know"]
KINDS: dict[Kind, str] = {"do": "waits for you", "look": "have a look", "know": "good to know"}


class Item(NamedTuple):
    """One line: what it is for, in which section it stands, what it says."""

    kind: Kind
    section: str
    text: str

    @property
    def word(self) -> str:
        """What stands before the line."""
        return KINDS[self.kind]


def view(night: Night) -> list[Item]:
    """The list, what waits for a person first."""
    items = [*_to_do(night), *_to_look_at(night), *_to_know(night)]
    order = list(KINDS)
    return sorted(items, key=lambda item: order.index(item.kind))


def _to_do(night: Night) -> Iterator[Item]:
    if night.plan is not None:
        sends = not night.plan.get("empty_because")
        yield Item("do" if sends else "know", "plan", f"Campaign plan: {plan.line(night)}")
    if night.copy is not None and night.copy["texts"]:
        yield Item("do", "copy", f"Texts to approve: {night.copy['summary']['words']}.")
    for experiment in (night.readout or {}).get("experiments") or ():
        if experiment["verdict"]["word"] in ("ship", "stop", "blocked"):
            yield Item("do", "readouts", f"Experiment “{experiment['name']}”: {experiment['verdict']['word']}.")


def _to_look_at(night: Night) -> Iterator[Item]:
    decision = night.decision
    if decision and not decision["opened"] and not decision.get("promoted"):
        yield Item("look", "gate", f"The gate refused version {decision['version']}: {_first(decision['reasons'])}")
    if night.validation is None:
        yield Item("look", "intake", "The validation report was not there.")
    else:
        yield from _tables(night.validation["tables"])
    for line in (drift.silence(night), drift.line(night)):
        if line:
            yield Item("look", "drift", line)
    if not night.metrics.all:
        yield Item("look", "quality", "Tonight’s model was not evaluated.")
    behind = groups.view(night)
    if behind is not None and behind.warnings:
        number = words.things(len(behind.warnings), "group")
        yield Item("look", "quality", f"{number} of customers would be better off with a simple rule.")


def _tables(tables: Any) -> Iterator[Item]:
    """What deserves a look, of tables and of what each source brought to them."""
    every = dict(tables)
    for name, table in tables.items():
        every |= {f"{name} of {source}": part for source, part in (table.get("sources") or {}).items()}
    for name, table in every.items():
        rows, aside, before = table["rows"], table["set_aside"], table.get("previous_rows")
        if aside and aside >= ASIDE * rows:
            text = f"{name}: {words.share(aside, rows)} of the rows were set aside, {words.count(aside)}."
            yield Item("look", "intake", text)
        if before and rows < SHRUNK * before:
            text = f"{name}: {words.count(rows)} rows, {words.share(before - rows, before)} fewer than last night."
            yield Item("look", "intake", text)


def _to_know(night: Night) -> Iterator[Item]:
    if said := launches.line(night):
        yield Item("know", "launches", f"Launches: {said}")
    if said := care.line(night):
        yield Item("know", "care", f"Customers: {said}")
    if night.summary and night.summary.get("num_customers"):
        customers = words.things(night.summary["num_customers"], "customer")
        yield Item("know", "people", f"Recommendations were made for {customers}.")


def _first(reasons: Any) -> str:
    return words.reason(reasons[0]) if reasons else "it gave no reason."
