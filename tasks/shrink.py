"""Smaller encoders of the one that a night uses: an int8 grid, fewer layers, a distilled student, a static one.

A step: it runs by hand alone. Each folder is one that `embed.model` and plain sentence-transformers load.

reads   artifacts/prepare/texts.parquet, and the encoder: the champion's, artifacts/finetune's, or any model
writes  exports/encoder/NAME/KIND   safetensors, tokenizer, settings, and manifest.json: what it came from, what it
                                    lost and won, SHA-256 of every file

NAME appears whole or not at all, and nothing is written over.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.encoding.models import PACKAGED, fingerprint, resolve_model
from tasks.files import catalogue, manifest, storage
from tasks.pipeline.settings import StageSettings

if TYPE_CHECKING:
    from nightmarket.encoding.encoder import Encoder
    from nightmarket.encoding.loading import AnyEncoder

SAMPLE = 500
"""Texts that the choice of layers looks at."""
MIN_TEXTS = 50
Kind = Literal["int8", "pruned", "distilled", "static"]
log = logging.getLogger("nightmarket")


class Settings(StageSettings):
    """Which smaller encoders to make, of what."""

    name: str = Field("small", pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,59}$", description="folder below exports/encoder")
    source: str = Field(
        "champion", description=f"champion, finetune (tonight's), or a model as in embed.model, such as {PACKAGED}"
    )
    kinds: tuple[Kind, ...] = Field(
        ("int8", "pruned", "distilled", "static"),
        min_length=1,
        description="which students: docs/how-to/smaller-encoders.md",
    )
    layers: int = Field(3, ge=1, le=96, description="layers of the pruned and the distilled student")
    steps: int = Field(400, ge=0, le=1_000_000, description="training steps of the distilled student")
    batch_size: int = Field(192, ge=1, le=65536, description="texts of a training step")
    learning_rate: float = Field(3e-4, gt=0, description="of the distilled student, at its highest")
    held_out: int = Field(2000, ge=1, description="texts that no student learns from, a tenth of all at most")
    seed: int = Field(17, ge=0, lt=2**31, description="of the texts held out and of the training batches")


@dataclass(frozen=True)
class Lesson:
    """What students learn from: texts with the teacher's vectors, and texts kept from them."""

    texts: list[str]
    vectors: NDArray[np.float32]
    held_texts: list[str]
    held_vectors: NDArray[np.float32]


def run(settings: Settings) -> None:
    """Write exports/encoder/NAME."""
    from nightmarket.encoding.compression.measure import compare
    from nightmarket.encoding.encoder import Encoder, log_progress
    from nightmarket.encoding.loading import load_encoder

    target = storage.home() / "exports" / "encoder" / settings.name
    if target.exists():
        raise InputError(f"exports/encoder/{settings.name} is there already; remove it or choose another shrink.name")
    model = teacher_model(settings.source)
    texts = catalogue.TEXTS.read(["text"])["text"].to_pylist()
    if len(texts) < MIN_TEXTS:
        raise InputError(
            f"{catalogue.TEXTS} holds {len(texts)} texts; a student needs {MIN_TEXTS} or more to learn from"
        )
    fast = load_encoder(model)
    if not isinstance(fast, Encoder):
        raise InputError(f"shrink.source '{settings.source}' is a static encoder already; nothing is smaller")
    lesson = _lesson(texts, fast.encode(texts, log_progress(log, "shrink: teacher encoded")), settings)
    teacher = Encoder.load(model, "float32")
    with storage.whole_folder(target) as draft:
        encoders: dict[str, AnyEncoder] = {"teacher": fast}
        for kind, student in students(teacher, lesson, settings):
            save(student, draft / kind)
            encoders[kind] = load_encoder(str(draft / kind))
        comparison = compare(encoders, lesson.held_texts, lesson.held_vectors)
        origin = {"source": settings.source, "fingerprint": fingerprint(resolve_model(model))}
        for kind in settings.kinds:
            size = (draft / kind / "model.safetensors").stat().st_size
            measured: dict[str, Any] = {**comparison[kind], "num_held_out": len(lesson.held_texts), "bytes": size}
            line = f"cosine {measured['mean_cosine']:.4f}, {measured['speed']:.1f} times as fast, {size / 1e6:.0f} MB"
            log.info("shrink: %s: %s", kind, line)
            about = {"kind": kind, "from": origin, "settings": settings.model_dump(mode="json"), "measured": measured}
            storage.write_json(about | {"files": manifest.build(draft / kind)}, draft / kind / manifest.NAME)


def teacher_model(name: str) -> str:
    """The model that shrink.source names; a champion is checked against its manifest first."""
    if name == "champion":
        manifest.verify(storage.CHAMPION)
        return str(catalogue.CHAMPION_ENCODER.path)
    return resolve_model(str(catalogue.ENCODER.path) if name == "finetune" else name)


def students(teacher: "Encoder", lesson: Lesson, settings: Settings) -> "Iterator[tuple[Kind, AnyEncoder]]":
    """The students that the settings ask for, one after another."""
    from nightmarket.encoding.compression import distil, grid, prune, tokens
    from nightmarket.encoding.encoder import log_progress

    if "int8" in settings.kinds:
        yield "int8", grid.on_grid(teacher)
    if "static" in settings.kinds:
        seen = log_progress(log, "shrink: tokens encoded")
        yield "static", tokens.static(teacher, lesson.texts, lesson.vectors, progress=seen, tell=_log_line)
    if "pruned" in settings.kinds or "distilled" in settings.kinds:
        ids = teacher.tokenize(lesson.texts)
        few = slice(SAMPLE)  # the lesson is in random order
        layers = prune.greedy(teacher, ids[few], lesson.vectors[few], settings.layers, _log_line)
        start = prune.pruned(teacher, layers)
        if "pruned" in settings.kinds:
            yield "pruned", start
        if "distilled" in settings.kinds:
            schedule = distil.Schedule(settings.steps, settings.batch_size, settings.learning_rate, seed=settings.seed)
            seen = log_progress(log, "shrink: student learned from")
            yield "distilled", distil.distil(start, ids, lesson.vectors, schedule, seen)[0]


def save(student: "AnyEncoder", folder: Path) -> None:
    """Write a student; a network's weights as float16, which every library computes in float32 again."""
    from nightmarket.encoding.encoder import Encoder

    if not isinstance(student, Encoder):
        student.save(folder)
        return
    student.model.half()
    student.save(folder)
    student.model.float()
    config = storage.read_json(folder / "config.json")
    storage.write_json(config | {"dtype": "float32"}, folder / "config.json")


def _lesson(texts: Sequence[str], vectors: NDArray[np.float32], settings: Settings) -> Lesson:
    order = np.random.default_rng(settings.seed).permutation(len(texts))
    held = min(settings.held_out, len(texts) // 10)
    parts = [([texts[row] for row in rows], vectors[rows]) for rows in (order[held:], order[:held])]
    return Lesson(*parts[0], *parts[1])


def _log_line(line: str) -> None:
    log.info("shrink: %s", line)
