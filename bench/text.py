"""What text buys: frozen, domain-pretrained, fine-tuned, and fine-tuned on pre-trained, by task and for search.

    python -m bench.text [--only NAME ...] [--keep FOLDER] [--steps 300] [--set finetune.method=full ...]

NDCG@10 on *all*, *new* and *debut*, by text alone (the plain mean of what a customer bought) and through the towers,
which are trained on that encoder's vectors; and for search queries: names of product types, asked of texts without any
word of the name, by cosine. On the finetune window, where choices are made, and on the test window; half of the queries
stands beside either. Each variant's figures stay in FOLDER/NAME.json, and its stages' files in FOLDER/NAME, so that one
can be made alone and the table from all that are there. Reads artifacts/validate and artifacts/prepare of the checkout
(run `make nightly` first). The last line is one JSON object.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench.machine import machine
from nightmarket.evaluation.intervals import bootstrap, paired
from nightmarket.retrieval.tower import Tower
from tasks import pretrain
from tasks.__main__ import main as run_stage
from tasks.files import storage
from tasks.pipeline.settings import sections

SEED = 17
TASKS = ("all", "new", "debut")
COLUMNS = (*(f"{kind} {task}" for kind in ("plain", "towers") for task in TASKS), "search")
VARIANTS = {
    "frozen": (False, {"trained_layers": 0}),
    "pre-trained": (True, {"trained_layers": 0}),
    "fine-tuned": (False, {}),
    "fine-tuned on pre-trained": (True, {}),
    "pair-trained": (False, {"method": "full", "pairs": {"steps": 300, "batch_size": 64, "epoch": 100}}),
}
"""Name -> whether the encoder reads on first, and what the stage `finetune` is told beside params.yaml."""
Figures = dict[str, dict[str, list[float | None]]]


def measure(name: str, checkout: Path, keep: Path, steps: int, overrides: dict[str, Any]) -> None:
    """Run one variant's stages in keep/NAME and leave its figures in keep/NAME.json."""
    reads_on, told = VARIANTS[name]
    params = sections(checkout / "params.yaml")
    params["pretrain"] = {"seed": SEED, "steps": steps}
    params["finetune"] |= {"warm_start": False} | told
    for key, value in overrides.items():
        section, field = key.split(".", 1)
        params[section][field] = value
    folder = keep / name.replace(" ", "-")
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        for stage in ("validate", "prepare"):
            link = Path("artifacts", stage)
            link.unlink(missing_ok=True)
            link.symlink_to(checkout / "artifacts" / stage)
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        started = time.process_time()
        exam = pretrain.Exam()
        if reads_on:
            shared = read_on(keep, exam, params)
            Path("artifacts/pretrain").mkdir(exist_ok=True)
            about = {"kept": True, "model": str(shared / "encoder"), "why": "the benchmark looks at it in any case"}
            storage.write_json(about, Path("artifacts/pretrain/manifest.json"))
        for stage in ("embed", "finetune"):
            if run_stage(stage):
                raise SystemExit(f"{stage} failed for '{name}'")
        by_window = figures(exam)
        about = {"cpu_seconds": round(time.process_time() - started, 1), "params": params["finetune"]}
    kept = {
        window: {c: [None if np.isnan(v) else round(float(v), 6) for v in values] for c, values in columns.items()}
        for window, columns in by_window.items()
    }
    storage.write_json({"figures": kept} | about, keep / f"{name.replace(' ', '-')}.json")


def read_on(keep: Path, exam: pretrain.Exam, params: dict[str, Any]) -> Path:
    """The folder of the pre-trained encoder, made where it is not there yet for these settings."""
    settings, folder = pretrain.Settings(**params["pretrain"]), keep / "pretrained"
    report = folder / "training.json"
    if report.exists() and storage.read_json(report)["settings"] == settings.model_dump():
        return folder
    started = time.process_time()
    history, encoder = pretrain.read_on(dict(params["embed"]), exam.shop.texts, settings)
    encoder.save(folder / "encoder")
    cost = {"cpu_seconds": round(time.process_time() - started, 1), "settings": settings.model_dump()}
    storage.write_json(history | cost, report)
    return folder


def figures(exam: pretrain.Exam) -> dict[str, dict[str, np.ndarray]]:
    """Window -> column -> NDCG@10 per customer or query, by what `finetune` left in the current folder."""
    from nightmarket.encoding.encoder import Encoder

    out = Path("artifacts/finetune")
    vectors = storage.read_tensors(out / "text_vectors.safetensors")["vectors"].astype(np.float32)
    tower = Tower.load(storage.read_tensors(out / "tower.safetensors"), storage.read_json(out / "tower.json"))
    by_window: dict[str, dict[str, np.ndarray]] = {}
    for window in ("finetune", "test"):
        evaluate = exam.shop.evaluate(window)
        plain, towers = evaluate.plain(vectors), evaluate.towers(tower, vectors)
        by_window[window] = {f"plain {task}": plain[task] for task in TASKS}
        by_window[window] |= {f"towers {task}": towers[task] for task in TASKS}
    return pretrain.searched(by_window, exam.searches(Encoder.load(str(out / "encoder"))), exam.questions.chosen_on)


def compared(kept: dict[str, Figures]) -> dict[str, Any]:
    """Window -> variant -> column -> value with interval, and the paired difference to frozen."""
    by_window: dict[str, Any] = {}
    for window in ("finetune", "test"):
        values = {
            name: {column: np.array(numbers, dtype=np.float64) for column, numbers in of[window].items()}
            for name, of in kept.items()
        }
        by_window[window] = {}
        for name, of_variant in values.items():
            by_window[window][name] = {c: {"ndcg@10": bootstrap(of_variant[c], SEED)._asdict()} for c in COLUMNS}
            if name == "frozen" or "frozen" not in values:
                continue
            for column in COLUMNS:
                gain = paired(of_variant[column], values["frozen"][column], SEED)
                by_window[window][name][column]["minus_frozen"] = gain._asdict()
    return by_window


def table(of_window: dict[str, Any]) -> str:
    """One window as Markdown."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, columns in of_window.items():
        cells = []
        for column in COLUMNS:
            value, gain = columns[column]["ndcg@10"], columns[column].get("minus_frozen")
            cell = f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"
            cells.append(cell + (f"<br>{gain['value']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]" if gain else ""))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the variants that were asked for, and print the table of all that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=tuple(VARIANTS), default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--keep", type=Path, default=Path(".nightmarket/bench-text"), metavar="FOLDER")
    parser.add_argument(
        "--steps", type=int, default=300, help="masked-language-model steps of the pre-trained variants"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", dest="overrides")
    args = parser.parse_args()
    checkout, keep = Path.cwd(), args.keep.resolve()
    keep.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("NIGHTMARKET_HOME", str(checkout))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    overrides = {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in args.overrides)}
    for name in args.only:
        measure(name, checkout, keep, args.steps, overrides)
    files = {name: keep / f"{name.replace(' ', '-')}.json" for name in VARIANTS}
    by_variant = {name: storage.read_json(path) for name, path in files.items() if path.exists()}
    windows = compared({name: of["figures"] for name, of in by_variant.items()})
    for window, of_window in windows.items():
        print(f"\n{window} window\n\n{table(of_window)}", flush=True)
    run: dict[str, Any] = {"cpu_seconds": {name: of["cpu_seconds"] for name, of in by_variant.items()}, "seed": SEED}
    if {"frozen", "pre-trained"} <= by_variant.keys():
        told = storage.read_json(keep / "pretrained" / "training.json")
        run["pretraining"] = {key: value for key, value in told.items() if key != "records"}
        gains = {c.removeprefix("plain "): of for c, of in windows["finetune"]["pre-trained"].items()}
        kept, why = pretrain.gate({name: {"paired": gains[name]["minus_frozen"]} for name in pretrain.FIGURES})
        run["gate"] = {"kept": kept, "why": why}
    print(json.dumps({"windows": windows} | run | {"machine": machine(("numpy", "torch", "transformers"))}))


if __name__ == "__main__":
    sys.exit(main())
