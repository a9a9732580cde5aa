"""The pages of docs/reference that the code writes: `python -m docs.generate --write`.

With --check exit code 1 and one line where a page is not what the code says now. Modules are read, never imported,
where an import would take seconds or is not ours to make (flows, bench).
"""

import ast
import datetime
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from nightmarket.contracts.tables import CHANNEL_COLUMNS, TABLES, Column, Table
from nightmarket.delivery.rules.declared import VERBS, RuleAudience, Selection, ShopRule
from tasks.pipeline.settings import OF_NO_STAGE, STAGES, STEPS, settings_model

FOLDER = Path("docs/reference")
KINDS = {"id": "text", "text": "text", "category": "text", "number": "number", "count": "whole number"}
WORDS = {
    int: "whole number", float: "number", str: "text", bool: "true or false", NoneType: "null", dict: "mapping",
    tuple: "list", list: "list", datetime.date: "date",
}  # fmt: skip
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "pattern": "like"}
RATE, REAL, COUNT = "0 to 1", "any", "0 and up"
METRICS = (
    # name, formula, range, better, source, where
    ("NDCG@k", "Σ over hits of 1/log₂(1 + place), over the same sum for min(k, targets) hits at the top", RATE, "high",
     "Järvelin & Kekäläinen 2002", "nightmarket.evaluation.metrics.rank_metrics"),
    ("recall@k", "targets among the first k, over all targets of the customer", RATE, "high", "",
     "nightmarket.evaluation.metrics.rank_metrics"),
    ("hit@k", "1 where one of the first k is a target", "0 or 1", "high", "",
     "nightmarket.evaluation.metrics.rank_metrics"),
    ("MRR@k", "1 over the place of the first target, 0 beyond k", RATE, "high", "Voorhees 1999",
     "nightmarket.evaluation.metrics.rank_metrics"),
    ("coverage", "products in any customer's first k, over the catalogue", RATE, "", "",
     "nightmarket.evaluation.metrics.coverage"),
    ("novelty", "mean of −log₂(share of customers who bought the product) over what is shown, bits", COUNT, "",
     "Zhou et al. 2010", "nightmarket.evaluation.metrics.novelty"),
    ("95% interval", "2.5% and 97.5% quantiles of the mean over 1,000 resamples of customers", REAL, "", "Efron 1979",
     "nightmarket.evaluation.intervals.bootstrap"),
    ("paired difference", "mean over customers of ours minus theirs, with the same interval", REAL, "high", "",
     "nightmarket.evaluation.intervals.paired"),
    ("audience AUC", "chance that a buyer of a launch stands above another customer, mean over launches of five buyers",
     RATE, "high", "Hanley & McNeil 1982", "nightmarket.evaluation.metrics"),
    ("ECE", "mean over pairs of |mean probability − share that came true| in 15 bins of equal mass", RATE, "low",
     "Nguyen & O'Connor 2015", "nightmarket.evaluation.calibration.ece"),
    ("log-loss", "−mean of ln(probability given to what came true), nats", COUNT, "low", "Good 1952",
     "nightmarket.evaluation.calibration.calibration_figures"),
    ("Brier score", "mean of (probability − outcome)²", RATE, "low", "Brier 1950",
     "nightmarket.evaluation.calibration.calibration_figures"),
    ("WAPE", "Σ |forecast − units| over Σ units", COUNT, "low", "Kolassa & Schütz 2007", "nightmarket.demand"),
    ("ARI", "agreement of two divisions of the customers, 0 for chance", "−.5 to 1", "high", "Hubert & Arabie 1985",
     "nightmarket.segments"),
    ("PSI", "Σ (share now − share then) · ln(share now / share then) over bins", COUNT, "low", "Siddiqi 2006",
     "nightmarket.drift"),
    ("IPS", "mean of w r, w the target's over the logged probability", REAL, "high", "Horvitz & Thompson 1952",
     "nightmarket.evaluation.offpolicy.estimators.importance"),
    ("SNIPS", "Σ w r over Σ w", REAL, "high", "Swaminathan & Joachims 2015",
     "nightmarket.evaluation.offpolicy.estimators.self_normalised"),
    ("DM", "mean of Σₐ π(a) q(a), q the model of the reward", REAL, "high", "",
     "nightmarket.evaluation.offpolicy.estimators.direct"),
    ("DR", "DM + mean of w (r − q of the logged action)", REAL, "high", "Dudík, Langford & Li 2011",
     "nightmarket.evaluation.offpolicy.estimators.doubly_robust"),
    ("switch-DR", "DR, uncorrected where w > τ", REAL, "high", "Wang, Agarwal & Dudík 2017",
     "nightmarket.evaluation.offpolicy.estimators.switch_doubly_robust"),
    ("sample ratio", "p-value of Pearson's chi-square of the arms' customers against the planned shares", RATE, "high",
     "Fabijan et al. 2019", "nightmarket.evaluation.experiments.readout.sample_ratio"),
    ("always-valid p-value", "level at which the confidence sequence just leaves zero out", RATE, "low",
     "Waudby-Smith et al. 2024", "nightmarket.evaluation.experiments.sequence.p_value"),
    ("certificate.gap", "(dual bound − the plan's value) over the bound", RATE, "low", "Geoffrion 1974",
     "nightmarket.delivery"),
)  # fmt: skip


def pages() -> dict[str, str]:
    """Every generated page: file name to Markdown."""
    return {"parameters.md": parameters(), "tables.md": contract(), "stages.md": stages(), "commands.md": commands(),
            "metrics.md": metrics(), "rules.md": rules(), "api.md": api()}  # fmt: skip


def page(title: str, lead: str, lines: Iterable[str]) -> str:
    """A page with the note that it is generated."""
    note = "<!-- written by `python -m docs.generate --write` -->"
    return "\n".join([f"# {title}", "", note, "", lead, "", *lines]).rstrip("\n") + "\n"


def table(*head: str) -> list[str]:
    """The head of a Markdown table."""
    return [row(*head), "|" + "---|" * len(head)]


def row(*cells: Any) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split()) for cell in cells) + " |"


def contract() -> str:
    """Every table with its columns."""
    lead = (
        "The tables that a retailer brings, column by column; from `nightmarket/contracts`. How to bring them: "
        "[Bring your tables](../how-to/bring-your-tables.md)."
    )
    return page("Tables and columns", lead, [line for each in TABLES for line in _table(each)])


def _table(each: Table) -> Iterator[str]:
    notes = ["needed" if each.needed else "optional"]
    if each.key:
        notes.append(f"one row per {' and '.join(each.key)}")
    yield from (f"## {each.name}", "", f"{each.meaning[0].upper()}{each.meaning[1:]} ({'; '.join(notes)}).", "")
    yield from table("column", "kind", "", "meaning")
    for column in (*each.columns, *(CHANNEL_COLUMNS if each.by_channel else ())):
        needed = "**needed**" if column.required else "optional"
        yield row(f"`{column.name.format('CHANNEL')}`", KINDS.get(column.kind, column.kind), needed, _meaning(column))
    yield ""


def _meaning(column: Column) -> str:
    parts = [column.meaning + (f", in {column.unit}" if column.kind in ("number", "count") and column.unit else "")]
    if column.allowed:
        parts.append(f"one of {', '.join(column.allowed)}")
    if column.low is not None:
        parts.append(f"at least {column.low:g}")
    if column.high is not None:
        parts.append(f"at most {column.high:g}")
    if column.without:
        parts.append(f"needed but for {', '.join(column.without)}")
    if column.refers_to:
        parts.append(f"must be in `{column.refers_to}`")
    if not column.nullable:
        parts.append("never empty")
    return "; ".join(parts)


def parameters() -> str:
    """Every section and key of params.yaml with its type, default, limits and what it does."""
    lines: list[str] = []
    for name in (*OF_NO_STAGE, "snapshot", *(stage for stage in (*STAGES, *STEPS) if stage != "snapshot")):
        lines += [f"## {name}", "", *table("key", "type", "default", "meaning")]
        lines += _parameters(settings_model(name))
        lines.append("")
    lead = "The keys of `params.yaml`, one section per stage; a typo fails by name. From the settings of each stage."
    return page("Parameters", lead, lines)


def _parameters(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for key, field in model.model_fields.items():
        yield _parameter(prefix + key, field)
        for nested in (field.annotation, *get_args(field.annotation)):
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                many = "NAME." if get_origin(field.annotation) is dict else ""
                yield from _parameters(nested, f"{prefix}{key}.{many}")


def _parameter(key: str, field: FieldInfo) -> str:
    default = "needed" if field.is_required() else f"`{_yaml(field.get_default(call_default_factory=True))}`"
    limits = [f"{LIMITS[name]} {value}" for item in field.metadata for name, value in _limits(item)]
    return row(f"`{key}`", _type(field.annotation), default, "; ".join([field.description or "", *limits]))


def _yaml(value: Any) -> str:
    """A default as it would stand in params.yaml."""
    text = yaml.safe_dump(to_jsonable_python(value), default_flow_style=True, width=1000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _limits(item: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(item, name)) for name in LIMITS if getattr(item, name, None) is not None]


def _type(annotation: Any) -> str:
    """A type as params.yaml's reader sees it: `number or null`, `one of a, b`."""
    if get_origin(annotation) is Literal:
        values = [str(value) for value in get_args(annotation)]
        return f"one of {', '.join(values)}" if len(values) > 1 else values[0]
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(map(_type, get_args(annotation)))
    return WORDS.get(get_origin(annotation) or annotation, "section")


def rules() -> str:
    """Every rule of rules.yaml with its keys."""
    lines: list[str] = []
    for verb, model in VERBS.items():
        own = [_parameter(key, field) for key, field in model.model_fields.items() if key not in ShopRule.model_fields]
        about = " ".join((model.__doc__ or "").split())
        lines += [f"## {verb}", "", about, "", *table("key", "type", "default", "meaning"), *own, ""]
    for title, part in (("Products", Selection), ("Audience", RuleAudience)):
        fields = part.model_fields.items()
        lines += [f"## {title}", "", *table("key", "type", "default", "meaning"),
                  *(_parameter(key, field) for key, field in fields), ""]  # fmt: skip
    beside = [_parameter(key, field) for key, field in ShopRule.model_fields.items() if key != "audience"]
    lines += ["## Every rule", "", *table("key", "type", "default", "meaning"), *beside, ""]
    lead = (
        "What an entry of `rules.yaml` may say. How to use it: "
        "[Keep lists to your shop's rules](../how-to/shop-rules.md)."
    )
    return page("Rules", lead, lines)


def stages(path: Path = Path("dvc.yaml")) -> str:
    """What each stage reads and writes, from the DAG."""
    lines = table("stage", "what it does", "reads", "writes", "parameters", "pool", "time-out, s", "retries", "side")
    for name, stage in yaml.safe_load(path.read_text(encoding="utf-8"))["stages"].items():
        reads = [f"`{item}`" for item in stage.get("deps", [])
                 if str(item).startswith(("data/", "artifacts/", "rules.yaml"))]  # fmt: skip
        outputs = [item if isinstance(item, str) else next(iter(item))
                   for kind in ("outs", "metrics", "plots") for item in stage.get(kind, [])]  # fmt: skip
        meta = stage.get("meta", {})
        sections = sorted({item.partition(".")[0] for item in stage.get("params", []) if isinstance(item, str)})
        lines.append(row(f"`{name}`", stage.get("desc", ""), ", ".join(reads), ", ".join(f"`{i}`" for i in outputs),
                         ", ".join(sections), meta.get("pool", ""), meta.get("timeout_s", ""),
                         meta.get("retries", ""), "side" if meta.get("side") else ""))  # fmt: skip
    lead = (
        "The DAG, in order; `dvc.yaml` is where Prefect reads it. `python -m tasks STAGE` runs one by hand. Steps "
        f"touch the world outside their files, so a flow runs them: {', '.join(f'`{step}`' for step in STEPS)}. A "
        "*side* stage may fail alone: [An incomplete night](../how-to/operate.md)."
    )
    return page("Stages", lead, lines)


def commands() -> str:
    """Everything that can be typed, from the Makefile and from modules' docstrings."""
    lines = ["## make", "", *table("command", "")]
    targets = re.findall(r"^([\w-]+):[^#\n]*## *(.*)$", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    lines += [row(f"`make {name}`", meaning) for name, meaning in targets]
    lines += ["", "## Flows", "", "`python -m flows NAME`, and the same fields as a form in the Prefect UI.", ""]
    for path in sorted(Path("flows").glob("*.py")):
        lines += _flow(path)
    for title, text, folders in (
        ("Tools", "What people call by hand besides.", ("tasks/*", "tasks", "apps/*")),
        ("Measurements", "Each figure of these pages is made by one of them.", ("bench", "bench/*")),
    ):
        lines += [f"## {title}", "", text, "", *table("command", "")]
        paths = sorted({path for folder in folders for path in Path().glob(f"{folder}/*.py")})
        lines += [row(f"`python -m {_module(path)}`", _summary(ast.parse(path.read_text(encoding="utf-8"))))
                  for path in paths if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")]  # fmt: skip
        lines.append("")
    return page("Commands", "Every command runs in the folder of the checkout.", lines)


def _module(path: Path) -> str:
    return ".".join(part for part in path.with_suffix("").parts if part != "__main__")


def _summary(node: ast.Module | ast.AsyncFunctionDef) -> str:
    """The first sentence of a docstring, without the command that it may begin with."""
    first = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return re.sub(r"^`?python -m [^:]*:\s*", "", " ".join(first.split()))


def _flow(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AsyncFunctionDef) and "flow(" in "".join(map(ast.unparse, node.decorator_list)):
            yield from _fields(node.name, _summary(node), node)
        elif isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("phase_flow("):
            assert isinstance(node.value, ast.Call)  # by its form
            name, about = map(ast.literal_eval, node.value.args)
            tree = ast.parse(Path("flows/engine/run/phase_flow.py").read_text(encoding="utf-8"))
            made = next(inner for inner in ast.walk(tree) if isinstance(inner, ast.AsyncFunctionDef))
            yield from _fields(name, about, made)


def _fields(name: str, summary: str, node: ast.AsyncFunctionDef) -> Iterator[str]:
    described = (ast.get_docstring(node) or "").partition("Args:\n")[2]
    yield from (f"### {name}", "", summary, "", *table("field", "default", "meaning"))
    defaults = [None] * (len(node.args.args) - len(node.args.defaults)) + [*node.args.defaults]
    for argument, default in zip(node.args.args, defaults, strict=True):
        meaning = re.search(rf"^\s*{argument.arg}: (.*(?:\n\s{{8,}}.*)*)", described, re.MULTILINE)
        shown = f"`{ast.unparse(default)}`" if default else "needed"
        yield row(f"`{argument.arg}`", shown, meaning[1] if meaning else "")
    yield ""


def metrics() -> str:
    """Each metric with formula, range and source."""
    lines = table("metric", "formula", "range", "better", "source", "code")
    lines += [row(name, formula, span, better, source, f"`{where}`")
              for name, formula, span, better, source, where in METRICS]  # fmt: skip
    lead = "Places count from 1; a target is a product that the customer bought in the window that is judged."
    return page("Metrics", lead, lines)


def api() -> str:
    """The live site's addresses, from its OpenAPI document."""
    from apps.api.application import openapi
    from apps.api.problems import PREFIX, TYPES

    document = openapi()
    lines: list[str] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            about = f"{operation['summary']}. {operation.get('description', '')}".strip()
            lines += [f"## {method.upper()} {path}", "", about, "", *_operation(operation)]
    lines += ["## Fields", ""]
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema:
            lines += _schema(name, schema)
    lines += ["## Problems", "", f"`type` is `{PREFIX}` and one of these.", "", *table("type", "status", "what")]
    lines += [row(f"`{kind}`", status, title) for kind, (status, title) in TYPES.items()]
    lead = (
        "What the live site's servers answer; from their OpenAPI document, which they serve as `/openapi.json`. How to "
        "run them: [Serve the site](../how-to/serve-the-site.md)."
    )
    return page("The API", lead, lines)


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    if parameters := [f"`{each['name']}`" for each in operation.get("parameters", ())]:
        yield from (f"Parameters: {', '.join(parameters)}.", "")
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    for example in content.get("examples", {}).values():
        yield from ("```json", json.dumps(example["value"]), "```", "")
    answer = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
    taken = content.get("schema", {})
    names = [_kind(each) for each in (*taken.get("oneOf", [taken]), answer) if "$ref" in each]
    if names:
        yield from (f"{' or '.join(names[:-1])}{' → ' if names[1:] else ''}{names[-1]}.", "")


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "", " ".join(schema.get("description", "").split()), "", *table("field", "", "meaning"))
    for field, about in schema["properties"].items():
        kinds = [_kind(each) for each in about.get("anyOf", [about]) if each.get("type") != "null"]
        needed = ", needed" if field in schema.get("required", ()) else ""
        yield row(f"`{field}`", " or ".join(dict.fromkeys(kinds)) + needed, about.get("description", ""))
    yield ""


def _kind(about: dict[str, Any]) -> str:
    if "$ref" in about:
        name = about["$ref"].rpartition("/")[2]
        return f"`{name}`"
    if "enum" in about:
        return f"one of {', '.join(map(str, about['enum']))}"
    if about.get("type") == "array":
        return f"list of {_kind(about['items'])}"
    return str(about.get("format") or about.get("type", "any"))


def main(write: bool) -> int:
    """Write the pages, or say which of them is not what the code says."""
    made = pages()
    for name, text in made.items():
        if write:
            (FOLDER / name).write_text(text, encoding="utf-8")
        elif not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != text:
            print(f"{FOLDER / name} is out of date; run python -m docs.generate --write", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv))
