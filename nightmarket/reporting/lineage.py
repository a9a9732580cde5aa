"""Where it all comes from: the card of the version that delivers, and how the stages make tonight's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nightmarket.evaluation.figures import METRIC
from nightmarket.reporting import pictures, words
from nightmarket.reporting.night import Content, Night

STEPS = {"data/raw": "snapshot", "data/champion": "register"}
"""What the two folders that no stage writes are made by."""


@dataclass(frozen=True)
class CardRow:
    """One line of a card; a code is meant to be copied."""

    label: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class LineageTable:
    """One source table behind the version: rows, what was set aside, SHA-256; "–" where it is not on record."""

    name: str
    rows: str
    set_aside: str
    sha256: str


@dataclass(frozen=True)
class LineageView:
    """The section.

    again   the command that makes the delivering version again
    """

    title: str
    again: str
    card: tuple[CardRow, ...]
    made_on: tuple[CardRow, ...]
    packages: tuple[tuple[str, str], ...]
    tables: tuple[LineageTable, ...]
    tonight: tuple[CardRow, ...]
    stages: tuple[tuple[str, str], ...]
    arcs: Markup | None


def view(night: Night) -> LineageView:
    """The section; what is not in the receipt is left out."""
    receipt: Content = night.receipt or {}
    version = receipt.get("version")
    made_on: Content = receipt.get("environment") or {}
    edges = reduced(night.stages)
    number = {name: i for i, name in enumerate(stage["name"] for stage in night.stages)}
    pairs = [(number[above], number[name]) for name, takes in edges.items() for above in takes]
    return LineageView(
        title=f"Version {version}, which delivers" if receipt else "",
        again=f"make reproduce VERSION={version}" if receipt else "",
        card=tuple(_card(receipt)),
        made_on=tuple(
            CardRow(label, str(made_on[name]), name.endswith("sha256"))
            for name, label in words.WORDING["environment"].items()
            if made_on.get(name) not in (None, "")
        ),
        packages=tuple((str(name), str(value)) for name, value in sorted((made_on.get("packages") or {}).items())),
        tables=tuple(_tables(receipt)),
        tonight=tuple(_tonight(night)),
        stages=tuple((stage["name"], stage["desc"]) for stage in night.stages),
        arcs=pictures.arcs(pairs, len(number), _said(edges)) if pairs else None,
    )


def _card(receipt: Content) -> list[CardRow]:
    """The facts of the version, in the order in which somebody asks for them."""
    if not receipt:
        return []
    gate: Content = receipt.get("gate") or {}
    rows = [CardRow("Data up to", words.day(receipt["as_of"]))]
    if receipt.get("registered_at"):
        rows.append(CardRow("Registered", f"{str(receipt['registered_at'])[:16].replace('T', ' ')} UTC"))
    for task, (title, _) in words.TASKS.items():
        figure = (receipt.get("metrics") or {}).get(task, {}).get(METRIC)
        if words.known(figure):
            rows.append(CardRow(f"{title}, NDCG@10", words.interval(figure)))
    if gate.get("reasons"):
        rows.append(CardRow("Why the gate opened", words.reason(gate["reasons"][0])))
    return rows + _codes(receipt)


def _codes(content: Content) -> list[CardRow]:
    return [
        CardRow(label, str(content[name]), True) for name, label in words.WORDING["codes"].items() if content.get(name)
    ]


def _tables(receipt: Content) -> list[LineageTable]:
    data: Mapping[str, Any] = receipt.get("data") or {}
    checked: Mapping[str, Any] = receipt.get("validation") or {}
    rows = []
    for name in sorted({*data, *checked}):
        table, seen = data.get(name, {}), checked.get(name, {})
        numbers = table.get("rows", seen.get("rows")), seen.get("set_aside")
        num_rows, aside = ("–" if number is None else words.count(number) for number in numbers)
        rows.append(LineageTable(name, num_rows, aside, str(table.get("sha256", "–"))))
    return rows


def _tonight(night: Night) -> list[CardRow]:
    """What this page was made from, where it is not the delivering version's."""
    rows = []
    decision, receipt = night.decision, night.receipt
    if decision and decision["version"] != (receipt or {}).get("version"):
        rows += [CardRow("Tonight’s version", str(decision["version"])), *_codes(decision)]
    elif night.snapshot and night.snapshot.get("fingerprint"):
        rows.append(CardRow("Data, fingerprint", night.snapshot["fingerprint"], True))
    if night.window:
        span = words.day_span(night.window.first_target, night.window.last_target)
        rows.append(CardRow("Judged on purchases of", span))
    if night.summary:
        scored = words.things(night.summary.get("num_customers", 0), "customer")
        products = night.summary.get("num_products")
        more = f", out of {words.things(products, 'product')}" if products else ""
        rows.append(CardRow("Recommended for", scored + more))
    return rows


def graph(dag: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The stages of dvc.yaml with the steps between them, for `Night.stages`: name, desc, and `after`, what each takes.

    dag   dvc.yaml's `stages`, in their order: desc, deps, outs, metrics, plots, meta.phase
    """
    made = {path: name for name, stage in dag.items() for path in _outs(stage)} | STEPS
    stages = [{"name": "snapshot", "desc": "fetch the source tables", "after": []}]
    trained = [name for name, stage in dag.items() if (stage.get("meta") or {}).get("phase") != "deliver"]
    for name, stage in dag.items():
        takes = {made[path] for path in made for dep in stage.get("deps", ()) if _meet(path, dep)} - {name}
        stages.append({"name": name, "desc": stage.get("desc", ""), "after": sorted(takes)})
    register = {"name": "register", "desc": "let the gate decide which model delivers", "after": trained[-1:]}
    stages.insert(1 + len(trained), register)
    return stages


def _outs(stage: Mapping[str, Any]) -> list[str]:
    listed = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, ())]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in listed]


def _meet(path: str, dep: str) -> bool:
    return path == dep or path.startswith(f"{dep}/") or dep.startswith(f"{path}/")


def reduced(stages: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """What each stage takes from, without what reaches it through another stage anyway (transitive reduction)."""
    above: dict[str, set[str]] = {}
    kept = {}
    for stage in stages:
        after = [name for name in stage["after"] if name in above]
        through = set().union(*(above[name] for name in after)) if after else set()
        above[stage["name"]] = through | set(after)
        kept[stage["name"]] = tuple(name for name in above if name in after and name not in through)
    return kept


def _said(edges: Mapping[str, Sequence[str]]) -> str:
    clauses = [f"{name} takes from {words.listed(list(takes))}" for name, takes in edges.items() if takes]
    return f"How the stages hang together: {'; '.join(clauses)}"
