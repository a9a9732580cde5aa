"""Settings that are right each for itself and cannot hold together, and files that they name and that are not there.

What belongs to one section stands as a rule in its settings; here is what needs two of them, or the disk. Nothing here
needs the shop's data, so that it is known before a night begins.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from nightmarket.contracts import InputError
from tasks.pipeline.excerpt import excerpt

Contradiction = tuple[tuple[str | int, ...], str]
"""The path of a key, and what is wrong."""


def between(loaded: Mapping[str, Any]) -> Iterator[Contradiction]:
    """What two sections ask for that cannot both be."""
    prepare, snapshot = loaded.get("prepare"), loaded.get("snapshot")
    end, prepared = getattr(prepare, "window_end", None), getattr(snapshot, "business_date", None)
    if end and prepared and str(end) > str(prepared):
        words = f"the window ends on {end}, after snapshot.business_date, {prepared}, from which on there are no data"
        yield ("prepare", "window_end"), f"{words}; name a Monday up to then"
    if getattr(prepare, "target_days", None) and getattr(snapshot, "source", "") == "demo":
        yield from _within_the_demo(prepare, min(filter(None, (end, prepared)), default=None))


def _within_the_demo(prepare: Any, before: date | None) -> Iterator[Contradiction]:
    """Windows that the demo is too short for; how long a shop's own tables are is seen when they are read."""
    first, last = (excerpt("tasks.intake.demo", name) for name in ("FIRST_DAY", "LAST_DAY"))
    need = prepare.target_days * (prepare.origins + 2)
    have = (min(before or last, last) - first).days + 1
    if need > have:
        words = f"prepare.origins asks for {prepare.origins + 2} windows, which makes {need} days, and the demo has"
        yield ("prepare", "target_days"), f"{words} {have} up to then; lower one of them"


def missing(loaded: Mapping[str, Any], names: Collection[str], root: Path, home: Path) -> Iterator[Contradiction]:
    """What these sections name and the disk does not hold, and what they ask of an encoder that it cannot give.

    root  where a relative folder of a model begins: the folder in which stages run
    home  where a relative folder of tables begins: the main checkout
    """
    if "snapshot" in names:
        yield from _tables(loaded.get("snapshot"), home)
    compose, shrink = loaded.get("compose"), loaded.get("shrink")
    if "compose" in names and getattr(compose, "writer", "") == "transformers":
        yield from _model(("compose", "model"), str(compose.model), root)  # type: ignore[union-attr]
    if "shrink" in names and getattr(shrink, "source", "champion") not in ("champion", "finetune"):
        yield from _model(("shrink", "source"), shrink.source, root)  # type: ignore[union-attr]
    if "embed" in names and hasattr(loaded.get("embed"), "model"):
        absent = list(_model(("embed", "model"), loaded["embed"].model, root))
        yield from absent or _beyond_the_encoder(loaded, root)


def _tables(snapshot: Any, home: Path) -> Iterator[Contradiction]:
    named: list[tuple[tuple[str | int, ...], str]] = []
    if getattr(snapshot, "source", "demo") in ("folder", "live"):
        named = [(("snapshot", "folder"), snapshot.folder)]
    elif getattr(snapshot, "source", "demo") == "folders":
        named = [(("snapshot", "folders", at, "folder"), shop.folder) for at, shop in enumerate(snapshot.folders)]
    for key, name in named:
        folder = home / Path(name).expanduser()
        if not folder.is_dir():
            yield key, f"there is no folder {folder}; put your tables there or name another"


def _model(key: tuple[str, ...], name: str, root: Path) -> Iterator[Contradiction]:
    """Nothing where the model's files are on this machine, or may be fetched."""
    try:
        folder = _folder(name, root)
    except InputError as error:
        yield key, str(error)
        return
    if folder is None and os.environ.get("HF_HUB_OFFLINE", "1") != "0":
        fetch = f"HF_HUB_OFFLINE=0 python -m tasks {key[0]}"
        yield key, f"'{name}' is neither a folder here nor a hub model that was fetched; name another, or run `{fetch}`"


def _folder(name: str, root: Path) -> Path | None:
    """Where a model's files lie on this machine."""
    models = "nightmarket.encoding.models"
    relative = root / name if name and (root / name).is_dir() else name
    return excerpt(models, "cached_folder")(excerpt(models, "resolve_model")(str(relative)))


def _beyond_the_encoder(loaded: Mapping[str, Any], root: Path) -> Iterator[Contradiction]:
    """More than the encoder has: numbers of a vector, layers, or layers at all."""
    embed, finetune, pretrain = (loaded.get(name) for name in ("embed", "finetune", "pretrain"))
    folder = _folder(embed.model, root)  # type: ignore[union-attr]
    modules, config = (_json(folder, name) for name in ("modules.json", "config.json"))
    if modules and str(modules[0].get("type", "")).endswith(".StaticEmbedding"):
        if getattr(pretrain, "steps", 0):
            yield ("pretrain", "steps"), "embed.model is a static embedding, which cannot be pre-trained; set it to 0"
        if finetune is not None:
            yield ("embed", "model"), "it is a static embedding, which `finetune` cannot train; name a transformer"
        return
    width, layers = config.get("hidden_size"), config.get("num_hidden_layers")
    if isinstance(width, int) and (getattr(embed, "dim", None) or 0) > width:
        yield ("embed", "dim"), f"vectors of embed.model have {width} numbers; lower it"
    trains = getattr(finetune, "method", "") == "layers" and getattr(finetune, "max_steps", 0)
    if isinstance(layers, int) and trains and finetune.trained_layers > layers:  # type: ignore[union-attr]
        yield ("finetune", "trained_layers"), f"the encoder of embed.model has {layers} layers; lower it"


def _json(folder: Path | None, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
