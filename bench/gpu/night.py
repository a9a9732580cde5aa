"""The step `night`: pretrain, embed and finetune of a small shop, as a night runs them; and what it starts from.

Stages before them need more than a bare machine has, so they run where the files are packed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.gpu.world import NIGHT, WEIGHTS, World

BEFORE, STAGES = ("snapshot", "validate", "prepare"), ("pretrain", "embed", "finetune")
NEEDED = ("data/raw", "artifacts/validate", "artifacts/prepare")
SHORT = {
    "max_steps": 6,
    "validate_every": 3,
    "validate_customers": 20,
    "random_texts": 64,
    "hidden": 16,
    "trained_layers": 1,
}
MOST_BYTES = 64 * 2**20


def night(world: World) -> None:
    """Each stage with its seconds; then what `finetune` says of itself."""
    import yaml

    from tasks.__main__ import main

    if world.files is None or not (world.files / NIGHT).is_dir():
        raise RuntimeError("no night was packed: python -m bench.gpu --pack FOLDER here, then --files FOLDER there")
    place = world.folder / NIGHT
    for name in (*NEEDED, "params.yaml"):
        source, target = world.files / NIGHT / name, place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
    params: dict[str, Any] = yaml.safe_load((place / "params.yaml").read_text(encoding="utf-8"))
    params["embed"] = {"model": str(Path(world.encoder()).resolve())}
    params["pretrain"] = {"steps": 4 if world.dry else 60, "head_steps": 2 if world.dry else 20, "batch_size": 16}
    params["finetune"] = SHORT if world.dry else {"max_steps": 150}
    (place / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    os.environ["NIGHTMARKET_HOME"] = str(place)
    for stage in STAGES:
        started = time.perf_counter()
        with contextlib.chdir(place):
            if code := main(stage):
                raise RuntimeError(f"{stage} ended with exit code {code}: see what it said above")
        world.tell(**{stage: {"seconds": round(time.perf_counter() - started, 1)}})
    history = json.loads((place / "artifacts/finetune/history.json").read_text(encoding="utf-8"))
    told = {name: history[name] for name in ("device", "precision", "best_step", "encoder")}
    told["ndcg"] = {when: history["test"][when]["all"]["ndcg@10"]["value"] for when in ("before", "after")}
    world.tell(history=told)


def pack(folder: Path, night: Path | None = None) -> int:
    """Write an encoder in bf16 and a shop's night up to `prepare`; returns the bytes.

    night  a checkout after its night; None: a made-up shop's, whose first stages run now

    Raises ValueError where they are more than may travel.
    """
    import torch

    from nightmarket.encoding.encoder import Encoder
    from nightmarket.encoding.models import PACKAGED, resolve_model

    encoder = Encoder.load(resolve_model(PACKAGED), "float32")
    encoder.model = encoder.model.to(torch.bfloat16).cpu()
    encoder.save(folder / WEIGHTS)
    with tempfile.TemporaryDirectory() as made:
        source = _made_up(Path(made)) if night is None else night
        for name in NEEDED:
            shutil.copytree(source / name, folder / NIGHT / name, ignore=shutil.ignore_patterns("data_docs", "warm"))
        shutil.copyfile(source / "params.yaml", folder / NIGHT / "params.yaml")
    num_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if num_bytes > MOST_BYTES:
        raise ValueError(f"{folder} has {num_bytes:,} bytes, more than the {MOST_BYTES:,} that may travel; pack less")
    return num_bytes


def _made_up(place: Path) -> Path:
    import yaml

    from nightmarket.testing.shop import write_shop

    write_shop(place / "tables", num_customers=1500, num_products=2500, num_weeks=60, seed=11)
    source = {"snapshot": {"source": "folder", "folder": "tables"}}
    (place / "params.yaml").write_text(yaml.safe_dump(source), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "NIGHTMARKET_HOME": str(place)}
    for stage in BEFORE:
        subprocess.run([sys.executable, "-m", "tasks", stage], cwd=place, env=env, check=True)
    return place
