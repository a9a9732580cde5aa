"""Inputs that nobody would think of, into everything that reads what people write; in this process."""

import json
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.faults.children import contents
from flows.engine.forms import campaign, form
from flows.engine.run import lock, overrides
from nightmarket.contracts import InputError
from tasks.campaigns import export
from tasks.files import manifest, storage
from tasks.intake.text_files import TextFile
from tasks.pipeline import settings

HANG_S = 20
ODD = (
    "", " ", "\0", "\n", "..", "../../etc/passwd", "/etc/passwd", "a/../../b", "~", "$(id)", "`id`", "; rm -rf x",
    "NaN", "inf", "-1", "1e999", "0x41", "null", "true", "[]", "{}", "[[[", "!!python/object/apply:os.system [id]",
    "&a *a", "=1+1", "@SUM(1)", "<script>", "%s%n", "{{7*7}}", "'; drop table runs; --", "\u202e", "\ufeff", "😀" * 9,
    "中文", "a" * 5000, "9" * 400, "\ud800", "-", "--set", "con", "0", "01", "2024-02-30", "9999-12-31",
)  # fmt: skip


@dataclass
class Fuzzed:
    """How many inputs of each kind, and those that ended in anything but a result or one line."""

    inputs: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All kinds together."""
        return sum(self.inputs.values())


def text(draw: random.Random) -> str:
    """Something odd, or several of them, or noise."""
    kind = draw.random()
    if kind < 0.4:
        return draw.choice(ODD)
    if kind < 0.7:
        return "".join(draw.choices(ODD[:30], k=draw.randint(1, 3)))[:300]
    return "".join(
        chr(draw.choice((draw.randint(0, 127), draw.randint(0, 0x2FFF)))) for _ in range(draw.randint(0, 20))
    )


def value(draw: random.Random, depth: int = 0) -> Any:
    """A value as YAML or JSON may carry it."""
    kind = draw.randrange(9 if depth < 3 else 6)
    if kind < 6:
        numbers = (draw.randint(-(10**20), 10**20), draw.gauss(0, 1e9), float("nan"), float("inf"), -0.0, 2**63)
        return (text(draw), draw.choice(numbers), None, draw.random() < 0.5, text(draw), draw.randint(-3, 300))[kind]
    if kind == 6:
        return [value(draw, depth + 1) for _ in range(draw.randint(0, 3))]
    return {text(draw): value(draw, depth + 1) for _ in range(draw.randint(0, 3))}


def fuzz(folder: Path, seed: int, wanted: int, say: Callable[[str], None]) -> Fuzzed:
    """So many inputs, shared out among the doors; what lies beside the folder must stay as it was."""
    inside = folder / "project"
    inside.mkdir(parents=True, exist_ok=True)
    (folder / "sentinel").write_text("outside")
    os.chdir(inside)
    os.environ["NIGHTMARKET_HOME"] = str(inside)
    before, fuzzed, draw = contents(folder, ("project",)), Fuzzed(), random.Random(seed)
    doors: list[tuple[str, float, Callable[[random.Random], Any]]] = [
        ("settings", 0.25, _settings),
        ("params.yaml", 0.05, _params),
        ("overrides", 0.15, _override),
        ("names and paths", 0.2, _name),
        ("form fields", 0.2, _form),
        ("CSV", 0.08, _csv),
        ("JSON", 0.04, _json),
        ("parquet and weights", 0.03, _binary),
    ]
    signal.signal(signal.SIGALRM, _hung)
    for door, share, enter in doors:
        for number in range(round(share * wanted)):
            fuzzed.inputs[door] = fuzzed.inputs.get(door, 0) + 1
            signal.alarm(HANG_S)
            try:
                enter(draw)
            except (InputError, ValidationError):
                pass
            except BaseException as error:
                fuzzed.wrong.append(f"--seed {seed}, {door} {number}: {type(error).__name__}: {str(error)[:200]!r}")
            signal.alarm(0)
        say(f"{fuzzed.total:,} odd inputs ({door}), {len(fuzzed.wrong)} that ended in more than a line")
    if contents(folder, ("project",)) != before:
        fuzzed.wrong.append(f"--seed {seed}: something was written outside the project")
    return fuzzed


def _hung(*_: Any) -> None:
    raise TimeoutError("hung")


def _settings(draw: random.Random) -> Any:
    section = draw.choice((*settings.STAGES, *settings.STEPS, settings.MACHINE, settings.RETENTION))
    known = list(settings.settings_model(section).model_fields)
    content = {draw.choice([*known, text(draw)]): value(draw) for _ in range(draw.randint(1, 3))}
    return settings.check({section: content}, section)


def _params(draw: random.Random) -> Any:
    path = Path("params.yaml")
    lines = [f"{draw.choice(settings.STAGES)}:", f"  {text(draw)}: {text(draw)}", text(draw)]
    path.write_text("\n".join(lines[: draw.randint(1, 3)]), encoding="utf-8", errors="replace")
    return settings.check_all(path)


def _override(draw: random.Random) -> Any:
    return overrides.parse(f"{text(draw)}={text(draw)}" if draw.random() < 0.9 else text(draw))


def _name(draw: random.Random) -> Any:
    """A name that is taken leads into exports/ and nowhere else."""
    name = text(draw)
    target = export.folder(Path.cwd(), name)
    if target.parent != Path.cwd() / "exports" or target.resolve() != target:
        raise AssertionError(f"{name!r} leads to {target}")
    return target


FIELDS = [
    TypeAdapter(kind)
    for kind in (
        form.BusinessDate, form.NumTrials, form.Metric, form.Windows, form.Minutes, form.Seed, form.SearchName,
        form.WaitMinutes, form.Version, form.Reason, form.Who, campaign.CampaignName, campaign.Budget, campaign.Day,
        campaign.Names, campaign.NewProducts, campaign.Reach,
        campaign.Count, campaign.HoldoutShare, campaign.ApprovalMinutes,
    )
]  # fmt: skip


def _form(draw: random.Random) -> Any:
    return draw.choice(FIELDS).validate_python(value(draw))


def _csv(draw: random.Random) -> Any:
    path = Path("events.csv")
    good = b"customer_id,product_id,timestamp\n" + b"a,1,2024-01-01\n" * draw.randint(0, 5)
    kind = draw.random()
    if kind < 0.3:
        content = draw.randbytes(draw.randint(0, 200))
    elif kind < 0.6:
        at = draw.randrange(len(good))
        content = good[:at] + draw.randbytes(draw.randint(1, 6)) + good[at:]
    else:
        content = good + text(draw).encode("utf-8", "replace") + b"\n" + b'"' * draw.randint(0, 3)
    path.write_bytes(content)
    file = TextFile(path)
    names = list(file.types())
    return [batch.num_rows for batch in file.batches(names[:2])]


def _json(draw: random.Random) -> Any:
    path = Path("about.json")
    content = json.dumps(value(draw), ensure_ascii=True)[: draw.randint(0, 300)]
    path.write_text(content, encoding="utf-8", errors="replace")
    lock.holder(path)
    (Path("model")).mkdir(exist_ok=True)
    (Path("model") / manifest.NAME).write_text(content, encoding="utf-8", errors="replace")
    if draw.random() < 0.5:
        return manifest.verify(Path("model"))
    return storage.read_json(path)


def _binary(draw: random.Random) -> Any:
    path = Path("x.parquet" if draw.random() < 0.5 else "x.safetensors")
    start = b"PAR1" if path.suffix == ".parquet" else draw.randint(0, 300).to_bytes(8, "little")
    path.write_bytes(start + draw.randbytes(draw.randint(0, 300)) + (b"PAR1" if draw.random() < 0.5 else b""))
    return storage.read_table(path) if path.suffix == ".parquet" else storage.read_tensors(path)
