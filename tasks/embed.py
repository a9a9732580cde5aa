"""Encode each distinct text with the frozen language model; texts that an earlier night encoded are not encoded again.

The model is the pre-trained one where its gate kept it. Vectors are float16 with unit norm, beside the texts' hashes;
.nightmarket/embeddings/ keeps those of all texts of the last weeks, per model and settings.
"""

import hashlib
import logging
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from nightmarket.encoding.hashes import lookup, text_hashes
from nightmarket.encoding.models import PACKAGED, cached_folder, fingerprint, resolve_model
from nightmarket.encoding.ranks import Ranks, encode_shared
from tasks.files import catalogue, storage
from tasks.models.vectors import Store, prune
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

TEXTS = catalogue.TEXTS.path
OUT = catalogue.EMBED.path
VERSION = 2
"""Raised when the same model and settings come to give other vectors, so that none of before is used."""
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "encode each distinct text with the frozen language model",
    reads=(catalogue.TEXTS, catalogue.PRETRAIN),
    writes=(catalogue.EMBED,),
    pool="gpu",
    timeout_s=3_600,
)


class Settings(StageSettings):
    """The frozen encoder."""

    model: str = Field(PACKAGED, description="a Hugging Face hub id, a model folder, or the packaged MiniLM")
    precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto",
        description="of matrix products; auto: bfloat16 where the device has it in hardware, else float32; bfloat16: "
        "of the weights alone on a CPU without AVX-512, which multiplies in float32; int8: 8 bits on a CPU, faster and "
        "slightly less exact",
    )
    document_prompt: str | None = Field(
        None, description="text before each product text, as 'passage: ' for E5; null: what the model's folder says"
    )
    query_prompt: str | None = Field(
        None, description="text before each search query, as 'query: '; null: what the model's folder says"
    )
    dim: int | None = Field(
        None, ge=1, description="first numbers of a vector that are kept, for models trained so (Matryoshka); null: all"
    )
    keep_days: int = Field(30, ge=1, description="days without use after which a kept vector is dropped")

    @property
    def encoder(self) -> dict[str, Any]:
        """What `load_encoder` takes beside the precision."""
        return self.model_dump(include={"model", "document_prompt", "query_prompt", "dim"})


def run(settings: Settings) -> None:
    """Write artifacts/embed."""
    settings = settings.model_copy(update={"model": chosen(settings.model)})
    started, ranks = time.perf_counter(), Ranks.current()
    texts = catalogue.TEXTS.read(["text"])["text"].to_pylist()
    hashes = text_hashes(texts)
    content = _content(settings)
    store = Store(store_folder(settings, content), today(), settings.keep_days)
    stored = store.read() if ranks.first else None
    missing = np.arange(len(texts)) if stored is None else lookup(hashes, stored.hashes, stored.vectors)[1]
    missing = ranks.agree(missing)  # another night may add some at this moment
    log.info("embed: %s of %s texts are new", f"{len(missing):,}", f"{len(texts):,}")
    if len(missing) or not len(texts):
        fresh = encode([texts[row] for row in missing], settings)
        if fresh is not None:
            store.add(hashes[missing], fresh)
    if not ranks.first:
        return
    if store.entries is None:
        raise RuntimeError("the embedding store lost what was just written")
    vectors, lost = lookup(hashes, store.entries.hashes, store.entries.vectors)
    if len(lost):
        raise RuntimeError(f"the embedding store lost {len(lost)} vectors that were just written")
    catalogue.EMBEDDINGS.write({"vectors": vectors, "hashes": hashes})
    facts = {"num_texts": len(texts), "dim": int(vectors.shape[1]), "dtype": "float16", "unit_norm": True}
    about = {"model": settings.model, "precision": settings.precision, "model_fingerprint": content}
    catalogue.EMBEDDED.write(about | facts | {"encoder": settings.encoder})
    store.tidy(hashes)
    prune(store.folder.parent, today(), settings.keep_days)
    log.info("embed: %s vectors written after %.2f s", f"{len(texts):,}", time.perf_counter() - started)


def chosen(model: str) -> str:
    """The model to take: the pre-trained folder where stage `pretrain` kept one, else the one of the settings."""
    decision: dict[str, Any] = catalogue.PRETRAINED.read() if catalogue.PRETRAINED.exists() else {"kept": False}
    return decision["model"] if decision["kept"] else model


def encode(texts: list[str], settings: Settings) -> np.ndarray | None:
    """Vectors float16 [T, d] by the frozen encoder, with progress in the log; None on all processes but the first."""
    from nightmarket.encoding.encoder import log_progress
    from nightmarket.encoding.loading import load_encoder

    encoder = load_encoder(**settings.encoder, precision=settings.precision)
    log.info("embed: %s on %s in %s", settings.model, encoder.device.type, str(encoder.dtype).removeprefix("torch."))
    vectors = encode_shared(encoder, texts, Ranks.current(), log_progress(log, "embed"))
    return None if vectors is None else vectors.astype(np.float16)


def today() -> date:
    """The day that vectors are used on, UTC."""
    return datetime.now(UTC).date()


def store_folder(settings: Settings, content: str) -> Path:
    """Where vectors of these settings are kept; `content` is the model's fingerprint. A change has another folder."""
    key = "|".join([content, settings.precision, repr(settings.document_prompt), str(settings.dim), str(VERSION)])
    return storage.private("embeddings", hashlib.blake2b(key.encode(), digest_size=10).hexdigest(), "x").parent


def _content(settings: Settings) -> str:
    """The model's fingerprint; a hub model is fetched first, where that is allowed, to be known by its content."""
    where = resolve_model(settings.model)
    if cached_folder(where) is None:
        from nightmarket.encoding.loading import load_encoder

        load_encoder(**settings.encoder, precision=settings.precision)
    return fingerprint(where)
