"""How a night grows: every stage on made-up shops of 1e6, 1e7 and 1e8 events, with its time and memory.

    python -m bench.scale --events 1e6 1e7 1e8 --folder /path/with/room

Stage by stage and resumable: Ctrl-C, and the same command goes on after the last stage that had finished. The last
line is one JSON object: peak_gb (of the worst stage), growth (per decade of events, of the worst stage's seconds on
all cores), hours_1e8 (all stages together, null where 1e8 was not run), quality_ratio (NDCG@10 over that of the truth
at the largest size, over the same at the smallest).
"""

import argparse
import json
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.machine import machine
from bench.scale import measured
from bench.scale.shop import ScaledShop, over_truth
from tasks.files import catalogue, manifest, storage
from tasks.pipeline import settings
from tasks.registry import lineage

ROOT = Path(__file__).parents[2]
LONG_S = 10.0
"""A stage counts towards `growth` where it takes longer at the larger of two sizes; imports alone take seconds."""
LEFT_OUT = ("report", "readout", "compose", "plan", "respond", "find", "launch", "shrink")
"""Stages that need campaigns, which the shop has none of, and the page of all."""

SIDES = {
    name
    for name, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items()
    if lineage.is_side(entry)
}
"""Stages without which the lists are made all the same."""


class SizedNight:
    """One size in its folder; `state.json` holds what has finished."""

    def __init__(self, shop: ScaledShop, folder: Path, params: Mapping[str, Any]) -> None:
        self.shop, self.folder, self.params = shop, folder, params
        self._state = folder / "state.json"
        folder.mkdir(parents=True, exist_ok=True)
        known = json.loads(self._state.read_text(encoding="utf-8")) if self._state.exists() else {}
        self.facts: dict[str, Any] = known or {"events": shop.events, "stages": {}}

    def _keep(self, **facts: Any) -> None:
        self.facts |= facts
        storage.write_json(self.facts, self._state)

    def go_on(self) -> None:
        """Whatever has not finished, in order. Raises SystemExit where a stage that all others need fails."""
        self._make_shop()
        for stage in ("snapshot", *settings.STAGES):
            if stage in LEFT_OUT or stage in self.facts["stages"]:
                continue
            if stage == "score":
                self._crown()
            cost = self._run([sys.executable, "-m", "tasks", stage], stage)
            self._keep(stages=self.facts["stages"] | {stage: cost})
            print(f"{self.shop.events:.0e} {stage:10} {json.dumps(cost)}", flush=True)
            if cost["code"] and stage not in SIDES:
                raise SystemExit(f"bench.scale: {stage} failed: see {self.folder / stage}.log")
        if "quality" not in self.facts:
            self._keep(quality=self._quality())

    def _run(self, command: Sequence[str], name: str) -> dict[str, float]:
        env = {"NIGHTMARKET_HOME": str(self.folder), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        return measured.run(command, self.folder, env, self.folder / f"{name}.log")

    def _make_shop(self) -> None:
        tables = self.folder / "tables"
        if "shop" in self.facts:
            return
        tables.mkdir(exist_ok=True)
        wanted = {"events": self.shop.events, "products": self.shop.products, "crowd_events": self.shop.crowd_events}
        options = [part for name, value in wanted.items() for part in (f"--{name}", str(value))]
        costs = []
        for number in range(self.shop.num_crowds):
            if not (tables / "parts" / f"{number:04}.parquet").exists():
                own = ["-m", "bench.scale.shop", str(tables), *options, "--number", str(number)]
                costs.append(self._run([sys.executable, *own], "shop"))
                if costs[-1]["code"]:
                    raise SystemExit(f"bench.scale: the shop was not made: see {self.folder / 'shop.log'}")
                print(f"{self.shop.events:.0e} crowd {number + 1} of {self.shop.num_crowds}", flush=True)
        num_events = self.shop.join(tables)
        source = {"snapshot": {"source": "folder", "folder": str(tables.resolve())}}
        (self.folder / "params.yaml").write_text(yaml.safe_dump({**self.params, **source}), encoding="utf-8")
        profile = self.shop.profile
        facts = {"events": num_events, "customers": profile.num_customers * self.shop.num_crowds}
        facts |= {"products": profile.num_products, "wall_s": round(sum(cost["wall_s"] for cost in costs), 1)}
        self._keep(shop=facts)

    def _crown(self) -> None:
        """Tonight's model delivers."""
        champion = self.folder / "data/champion"
        shutil.rmtree(champion, ignore_errors=True)
        for part in ("rank", "finetune"):
            shutil.copytree(self.folder / "artifacts" / part, champion / part)
        ranker = storage.read_json(champion / "rank/ranker.json")
        predictions = catalogue.PREDICTIONS.at(self.folder)
        receipt = {"version": 1, "trained_until": ranker["trained_until"]}
        receipt |= {"predictions": predictions.read() if predictions.exists() else None}
        storage.write_json(receipt, champion / "receipt.json")
        manifest.write(champion)

    def _quality(self) -> dict[str, Any]:
        metrics = storage.read_json(self.folder / "artifacts/evaluate/metrics.json")
        value = metrics["all"]["nightmarket"]["ndcg@10"]["value"]
        if value is None:
            return {"over_truth": None, "why": "nobody bought anything in the test window"}
        return over_truth(self.folder, value)


def summary(nights: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON object of sizes in ascending order, as `SizedNight.facts`."""
    stages = [{name: cost for name, cost in night["stages"].items() if not cost["code"]} for night in nights]
    peaks = {name: cost["peak_gb"] for costs in stages for name, cost in costs.items()}
    peaks = {name: max(costs[name]["peak_gb"] for costs in stages if name in costs) for name in peaks}
    growths = [
        ((larger[name]["cpu_s"] / smaller[name]["cpu_s"]) ** (1 / math.log10(more["events"] / less["events"])), name)
        for less, more, smaller, larger in zip(nights, nights[1:], stages, stages[1:], strict=False)
        for name in smaller.keys() & larger.keys()
        if larger[name]["cpu_s"] >= LONG_S
    ]
    over = [night.get("quality", {}).get("over_truth") for night in nights]
    full = next((costs for night, costs in zip(nights, stages, strict=True) if night["events"] == 10**8), None)
    worst = max(growths, default=(None, None))
    return {
        "peak_gb": max(peaks.values(), default=None),
        "peak_stage": max(peaks, key=lambda name: peaks[name], default=None),
        "growth": None if worst[0] is None else round(worst[0], 2),
        "growth_stage": worst[1],
        "hours_1e8": round(sum(cost["wall_s"] for cost in full.values()) / 3600, 2) if full else None,
        "quality_ratio": round(over[-1] / over[0], 4) if len(over) > 1 and over[0] and over[-1] else None,
        "why": None if len(over) > 1 and over[0] and over[-1] else "a ratio of quality needs two sizes with figures",
        "sizes": list(nights),
    }


def main(words: list[str] | None = None, params: Mapping[str, Any] | None = None) -> int:
    """Go on where it stopped, then print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=lambda text: int(float(text)), nargs="+", default=[10**6, 10**7, 10**8])
    parser.add_argument("--folder", type=Path, default=Path(".nightmarket/bench-scale"))
    parser.add_argument("--products", type=int, default=0, help="at every size; 0: one per 200 events")
    parser.add_argument("--crowd-events", type=int, default=1_000_000, help="of the customers made at a time")
    given = parser.parse_args(words)
    nights = []
    try:
        for number in sorted(given.events):
            shop = ScaledShop(number, given.products, given.crowd_events)
            night = SizedNight(shop, given.folder.resolve() / f"{number:.0e}", params or {})
            nights.append(night.facts)
            night.go_on()
    except KeyboardInterrupt:
        print("bench.scale: stopped; the same command goes on after the last stage that finished", file=sys.stderr)
        return 130
    finally:
        print(json.dumps(summary(nights) | {"machine": machine()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
