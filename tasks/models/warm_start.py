"""The weights that tonight's fine-tuning may start from: the champion's, pinned beside the snapshot.

The champion changes when a night ends, so a stage that read data/champion would train again on the night after,
though nothing new was bought. The snapshot therefore keeps a copy of the champion's finetune folder in data/raw/warm,
made anew only with the snapshot itself, and every stage stays a function of versioned inputs.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.histories.calendar import date_of
from tasks.files import catalogue, storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightmarket.encoding.encoder import Encoder
    from nightmarket.retrieval.tower import Tower, TowerConfig

FOLDER = catalogue.WARM.path
ABOUT = "start.json"
_SAME = ("pooling", "max_length", "prompt", "query_prompt", "cut")  # of two encoders, beside their weights
log = logging.getLogger("nightmarket")


def pin(folder: Path, *, wanted: bool) -> None:
    """Write the folder: a copy of the champion's towers and encoder, or a note that says why there is none."""
    from tasks.files import manifest

    folder.mkdir(parents=True)
    about: dict[str, Any] = {"version": None, "why": "finetune.warm_start was off when the snapshot was taken"}
    if wanted:
        try:
            if not storage.CHAMPION.exists():
                raise InputError("there was no champion when the snapshot was taken")
            manifest.verify(storage.CHAMPION)
            receipt = catalogue.CHAMPION_RECEIPT.read()
            history = storage.read_json(catalogue.CHAMPION_FINETUNE / "history.json")
            shutil.copytree(catalogue.CHAMPION_FINETUNE.path, folder, dirs_exist_ok=True)
            about = {"version": int(receipt["version"]), "run_id": receipt["run_id"]}
            about["trained_until"] = history["trained_until"]
        except InputError as error:
            about["why"] = str(error)
        weights = "none: " + about["why"] if about["version"] is None else f"those of version {about['version']}"
        log.info("snapshot: starting weights: %s", weights)
    storage.write_json(about, folder / ABOUT)


@dataclass(frozen=True)
class Start:
    """The champion's towers, its encoder, and its vectors of the texts that it knew.

    hashes   uint8 [S, 16];  vectors  float16 [S, D]
    """

    version: int
    trained_until: int
    tower: "Tower"
    encoder: "Encoder"
    hashes: "NDArray[np.uint8]"
    vectors: "NDArray[np.float16]"

    def bank(self, texts: list[str]) -> "NDArray[np.float32]":
        """float32 [T, D] vectors of tonight's texts by the champion's encoder; new texts are encoded."""
        from nightmarket.encoding.hashes import lookup, text_hashes

        vectors, missing = lookup(text_hashes(texts), self.hashes, self.vectors)
        if missing.size:
            log.info("finetune: encoding %s texts that version %s has not seen", f"{missing.size:,}", self.version)
            vectors[missing] = self.encoder.encode([texts[i] for i in missing])
        return vectors.astype(np.float32)


def start(config: "TowerConfig", encoder: "Encoder", trained_layers: int, precision: Any, cut: int) -> Start | str:
    """The pinned start, or in a few words why tonight begins cold.

    config     sizes of tonight's towers
    encoder    tonight's untouched encoder: all but its `trained_layers` top layers must equal the champion's
    cut        last day that tonight's fine-tuning learns from; a champion that knew later days would leak them
    """
    from nightmarket.encoding.encoder import Encoder
    from nightmarket.retrieval.tower import Tower

    if not (FOLDER / ABOUT).exists():
        return f"{FOLDER} holds no weights; the next snapshot pins them"
    about = storage.read_json(FOLDER / ABOUT)
    if about["version"] is None:
        return str(about["why"])
    name = f"version {about['version']}"
    if "trained_until" not in about:
        return f"{name} is of an older version, which counted in weeks"
    if int(about["trained_until"]) > cut:
        return f"{name} learned until {date_of(about['trained_until'])}, after tonight's cut at {date_of(cut)}"
    tower = Tower.load(storage.read_tensors(FOLDER / "tower.safetensors"), storage.read_json(FOLDER / "tower.json"))
    if tower.config != config:
        return f"the towers of {name} have other sizes"
    theirs = Encoder.load(str(FOLDER / "encoder"), precision)
    if not _same_below(encoder, theirs, trained_layers):
        return f"the encoder of {name} is another one, or had more layers trained"
    stored = storage.read_tensors(FOLDER / "text_vectors.safetensors")
    tower.train()
    return Start(int(about["version"]), int(about["trained_until"]), tower, theirs, stored["hashes"], stored["vectors"])


def _same_below(mine: "Encoder", theirs: "Encoder", trained_layers: int) -> bool:
    """Whether two encoders differ at most in their top layers: then one's lower layers can stand for the other's."""
    if any(getattr(mine, name) != getattr(theirs, name) for name in _SAME):
        return False
    ours, his = mine.model.state_dict(), theirs.model.state_dict()
    top = len(mine.model.encoder.layer) - trained_layers if trained_layers else None
    for name, value in ours.items():
        parts = name.split(".")
        if name.startswith("pooler.") or (
            top is not None and parts[:2] == ["encoder", "layer"] and int(parts[2]) >= top
        ):
            continue
        if name not in his or his[name].shape != value.shape or not bool((his[name] == value).all()):
            return False
    return ours.keys() - his.keys() <= {name for name in ours if name.startswith("pooler.")}
