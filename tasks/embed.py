"""Encode each distinct text with the frozen language model; texts that a former night encoded are not encoded again.

reads   artifacts/prepare/texts.parquet   one row per distinct text
        artifacts/pretrain                which model to take: a pre-trained one where the gate kept it
writes  artifacts/embed                   vectors (f16, unit norm) with the texts' hashes, and a manifest
keeps   .nightmarket/embeddings/          vectors of all texts ever seen, per model and settings
"""

import hashlib
import logging
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from nightmarket.encoding import PACKAGED, fingerprint, lookup, resolve_model, text_hashes
from tasks import storage
from tasks.settings import StageSettings

TEXTS = storage.ARTIFACTS / "prepare" / "texts.parquet"
PRETRAINED = storage.ARTIFACTS / "pretrain" / "manifest.json"
OUT = storage.ARTIFACTS / "embed"
log = logging.getLogger("nightmarket")


class Settings(StageSettings):
    """The frozen encoder."""

    model: str = Field(PACKAGED, description="a Hugging Face hub id, a model folder, or the packaged MiniLM")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of matrix products; auto: bfloat16 where the device has it in hardware, else float32"
    )


def run(settings: Settings) -> None:
    """Write artifacts/embed."""
    settings = settings.model_copy(update={"model": chosen(settings.model)})
    texts = storage.read_table(TEXTS, ["text"])["text"].to_pylist()
    hashes = text_hashes(texts)
    store = Store(store_folder(settings.model, settings.precision))
    stored = store.read()
    missing = lookup(hashes, *stored)[1] if stored is not None else np.arange(len(texts))
    log.info("embed: %s of %s texts are new", f"{len(missing):,}", f"{len(texts):,}")
    if len(missing) or stored is None:
        store.add(hashes[missing], encode([texts[row] for row in missing], settings))
        stored = store.read()
    if stored is None:
        raise RuntimeError("the embedding store lost what was just written")
    vectors, missing = lookup(hashes, *stored)
    if len(missing):
        raise RuntimeError(f"the embedding store lost {len(missing)} vectors that were just written")
    storage.write_tensors({"vectors": vectors, "hashes": hashes}, OUT / "vectors.safetensors")
    facts = {"num_texts": len(texts), "dim": int(vectors.shape[1]), "dtype": "float16", "unit_norm": True}
    storage.write_json(
        {"model": settings.model, "precision": settings.precision, **facts} | describe(settings), OUT / "manifest.json"
    )


def chosen(model: str) -> str:
    """The model to take: the pre-trained folder where stage `pretrain` kept one, else the one of the settings."""
    found = storage.read_json(PRETRAINED) if PRETRAINED.exists() else {"kept": False}
    return found["model"] if found["kept"] else model


def encode(texts: list[str], settings: Settings) -> np.ndarray:
    """Vectors float16 [T, d] by the frozen encoder, with progress in the log."""
    from nightmarket.encoding.encoder import Encoder, log_progress

    encoder = Encoder.load(settings.model, settings.precision)
    log.info("embed: %s on %s in %s", settings.model, encoder.device.type, str(encoder.dtype).removeprefix("torch."))
    return encoder.encode(texts, log_progress(log, "embed")).astype(np.float16)


def describe(settings: Settings) -> dict[str, str]:
    """What names the model's content in the manifest."""
    return {"model_fingerprint": fingerprint(resolve_model(settings.model))}


def store_folder(model: str, precision: str) -> Path:
    """Where vectors of this model in this precision are kept; a changed weight or setting has another folder."""
    name = hashlib.blake2b(f"{fingerprint(resolve_model(model))}|{precision}|1".encode(), digest_size=10).hexdigest()
    return storage.private("embeddings", name, "x").parent


class Store:
    """Shards of hashes and vectors, named after the SHA-256 of their content.

    A shard is written once, under its own name, and never changed: two writers cannot harm each other. One whose
    content does not match its name is deleted, and its texts are encoded again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Hashes uint8 [S, 16] and vectors float16 [S, d] of all good shards, or None where there is none."""
        from safetensors.numpy import load

        shards = []
        for path in sorted(self.folder.glob("*.safetensors")):
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != path.stem:
                log.warning("embed: a shard of the embedding store is damaged; its texts are encoded again")
                path.unlink(missing_ok=True)
                continue
            shards.append(load(content))
        if not shards:
            return None
        return np.concatenate([s["hashes"] for s in shards]), np.concatenate([s["vectors"] for s in shards])

    def add(self, hashes: np.ndarray, vectors: np.ndarray) -> None:
        """Keep vectors; a kill leaves either the whole shard or nothing."""
        from safetensors.numpy import save

        if not np.isfinite(vectors).all():
            raise RuntimeError("the encoder gave vectors that are not finite")
        content = save({"hashes": np.ascontiguousarray(hashes), "vectors": np.ascontiguousarray(vectors)})
        self.folder.mkdir(parents=True, exist_ok=True)
        with storage.replacing(self.folder / f"{hashlib.sha256(content).hexdigest()}.safetensors") as temporary:
            temporary.write_bytes(content)
