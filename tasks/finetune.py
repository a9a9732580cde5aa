"""Fine-tune the text encoder together with a customer tower on what customers bought next.

What is written holds the vectors of all texts, and a history with quality before and after. A killed run goes on from
.nightmarket/checkpoints/, which are kept until the run ends.
"""

import hashlib
import logging
import shutil
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.encoding.device import Precision, choose_device, choose_dtype
from nightmarket.encoding.encoder import Encoder, log_progress
from nightmarket.encoding.hashes import lookup, text_hashes
from nightmarket.encoding.layers import TopLayers
from nightmarket.encoding.loading import load_encoder
from nightmarket.encoding.ranks import Ranks
from nightmarket.retrieval.fitting import History, fit
from nightmarket.retrieval.quality import TASKS, Evaluator, before_after
from nightmarket.retrieval.samples import Sampler
from nightmarket.retrieval.tower import Tower, TowerConfig
from nightmarket.retrieval.training import Trainer, TrainingConfig
from tasks.files import catalogue, storage
from tasks.files.checkpoints import Checkpoint
from tasks.files.prepared import Prepared
from tasks.models import pairs, warm_start
from tasks.models.pairs import PairSettings
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings

OUT = catalogue.FINETUNE.path
Kept = tuple[Encoder, np.ndarray]
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "fine-tune the text encoder with a customer tower",
    reads=(catalogue.WARM, catalogue.PREPARE, catalogue.PRETRAIN, catalogue.EMBED),
    writes=(catalogue.FINETUNE,),
    pool="gpu",
    timeout_s=7_200,
)


class Settings(StageSettings):
    """How long and how fast to learn; the budget is counted in steps, so that a result can be reproduced."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the weights' start, the batches and the intervals")
    precision: Precision = Field("auto", description="of matrix products; auto: bfloat16 where it is in hardware")
    max_steps: int = Field(300, ge=0, le=1_000_000, description="training steps; 0 keeps everything untrained")
    method: Literal["layers", "full", "lora"] = Field(
        "layers",
        description="what of the encoder learns: its top layers with the towers, or, on pairs of texts before the "
        "towers, all of it or low-rank adapters",
    )
    trained_layers: int = Field(
        2, ge=0, le=48, description="layers: top layers of the encoder that learn; 0: the towers alone"
    )
    pairs: PairSettings = Field(PairSettings(), description="full, lora: training on pairs of texts")
    batch_size: int = Field(192, ge=1, le=65536, description="customers (each at some past week) per step")
    live_texts: int = Field(
        256, ge=2, le=65536, description="candidates of such a step, all encoded anew, with gradient"
    )
    live_every: int = Field(3, ge=1, description="steps from one in which the encoder learns to the next")
    encoder_share: float = Field(
        0.6, gt=0, le=1, description="share of the steps after which the encoder stays and the towers settle on it"
    )
    random_texts: int = Field(2048, ge=1, description="texts drawn evenly as negatives, beside those of the batch")
    learning_rate: float = Field(2e-3, gt=0, description="of the towers")
    encoder_learning_rate: float = Field(1e-4, gt=0, description="of the encoder's layers")
    weight_decay: float = Field(1e-2, ge=0, description="of AdamW")
    warmup_share: float = Field(0.1, ge=0, le=1, description="share of the steps in which the rates rise from zero")
    clip_norm: float = Field(1.0, gt=0, description="greatest norm of the gradient")
    repeat_weight: float = Field(0.1, ge=0, description="weight of a target that was bought before, against a new one")
    launch_weight: float = Field(1.0, ge=0, description="weight of the loss of products that nobody had bought before")
    dim: int = Field(128, ge=2, le=4096, description="width of the space in which customers and products meet")
    hidden: int = Field(512, ge=2, le=65536, description="units of the hidden layer of either tower")
    min_history: int = Field(8, ge=1, description="weeks of data before the first week that is learned from")
    validate_every: int = Field(80, ge=1, description="steps between validations on the finetune window")
    validate_customers: int = Field(2000, ge=1, description="customers of a validation, drawn once")
    patience: int = Field(3, ge=1, description="validations without a better one after which training stops")
    checkpoint_every: int = Field(80, ge=1, description="steps between checkpoints")
    warm_start: bool = Field(False, description="start from the champion's weights where they fit; else from none")
    warm_steps: int = Field(120, ge=0, le=1_000_000, description="training steps of a warm start, for max_steps")
    warm_rate: float = Field(0.2, gt=0, le=1, description="share of both learning rates that a warm start uses")


def run(settings: Settings) -> None:
    """Write artifacts/finetune."""
    data = Prepared()
    ranks = Ranks.current()
    device = choose_device()
    dtype = choose_dtype(settings.precision, device)
    frozen = _frozen_vectors(data)
    key = _key(settings, data, ranks)
    log.info("finetune: on %s in %s", device.type, str(dtype).removeprefix("torch."))
    encoder, vectors, paired = _learn_pairs(settings, data, frozen, dtype, f"{key}-pairs", ranks)
    if not ranks.first:  # the towers take a minute: one process trains them and writes
        return
    window, test = data.windows.finetune, data.windows.test
    evaluator = Evaluator(data.histories, data.text_id, data.recommendable, window)
    past = data.histories.until(window.cut)
    sampler = Sampler(past, data.text_id, window.cut, window.days, settings.min_history, data.recommendable)
    sizes = TowerConfig(frozen.shape[1], settings.dim, settings.hidden)
    start = _start(settings, sizes, encoder, data)
    if isinstance(start, warm_start.Start):
        bank, tower, encoder = start.bank(data.texts), start.tower, start.encoder
        on_record: dict[str, Any] = {"version": start.version, "trained_until": start.trained_until}
    else:
        bank, tower = frozen if vectors is None else vectors, Tower(sizes, settings.seed)
        on_record = {"version": None, "why": start}
    warm = isinstance(start, warm_start.Start)
    config = _training(settings, warm)
    top = hidden = None
    if settings.method == "layers" and settings.trained_layers and config.max_steps and sampler.usable:
        top = TopLayers(encoder, settings.trained_layers)
        hidden = top.hidden(data.texts, log_progress(log, "finetune: frozen layers"))
    trainer = Trainer(config, tower, sampler, bank, device, dtype, top, hidden, centred=warm)
    checkpoint = Checkpoint("finetune", key)
    history = _train(settings, trainer, evaluator, checkpoint)
    encoder, vectors = _keep(trainer, encoder, bank, history, settings, start)
    history["encoder"] = "untouched" if np.array_equal(vectors, frozen) else "trained"
    history |= {"start": on_record, "method": settings.method} | paired
    history |= {"device": device.type, "precision": str(dtype).removeprefix("torch."), "seed": settings.seed}
    history["trained_until"] = window.cut
    plain, tuned = evaluator.plain(frozen), evaluator.towers(trainer.tower, vectors)
    history |= before_after(plain, tuned, evaluator, settings.seed)
    if paired:
        history["plain"] = before_after(plain, evaluator.plain(vectors), evaluator, settings.seed)
    evaluator = Evaluator(data.histories, data.text_id, data.recommendable, test)
    plain, tuned = evaluator.plain(frozen), evaluator.towers(trainer.tower, vectors)
    history["test"] = before_after(plain, tuned, evaluator, settings.seed) | {"cut": test.cut}
    _tell(history["test"])
    _write(trainer.tower, encoder, vectors, data, history)
    for done in (checkpoint, Checkpoint("finetune", f"{key}-pairs")):
        done.remove()


def _tell(measured: dict[str, Any]) -> None:
    for task in TASKS:
        was, now = (measured[when][task]["ndcg@10"]["value"] for when in ("before", "after"))
        if was is None or now is None:
            log.info("finetune: test window, %s: no figure, for nobody there can be judged", task)
        else:
            log.info("finetune: test window, %s: ndcg@10 %.4f before, %.4f after", task, was, now)


def _start(settings: Settings, sizes: TowerConfig, encoder: Encoder, data: Prepared) -> warm_start.Start | str:
    """The champion's weights, or why the night begins without; said in one line where they were asked for."""
    if not settings.warm_start:
        return "finetune.warm_start is off"
    if settings.method != "layers":
        return f"finetune.method is {settings.method}, which starts from the encoder of embed"
    cut = data.windows.finetune.cut
    start = warm_start.start(sizes, encoder, settings.trained_layers, settings.precision, cut)
    if isinstance(start, warm_start.Start):
        log.info("finetune: starting from version %s, %s steps", start.version, settings.warm_steps)
    else:
        log.info("finetune: starting cold: %s", start)
    return start


def _training(settings: Settings, is_warm: bool) -> TrainingConfig:
    config = TrainingConfig(**{name: getattr(settings, name) for name in TrainingConfig.__dataclass_fields__})
    if not is_warm:
        return config
    return replace(
        config,
        max_steps=settings.warm_steps,
        learning_rate=settings.warm_rate * config.learning_rate,
        encoder_learning_rate=settings.warm_rate * config.encoder_learning_rate,
    )


def _load_encoder(precision: str) -> Encoder:
    encoder = load_encoder(**catalogue.EMBEDDED.read()["encoder"], precision=precision)
    if not isinstance(encoder, Encoder):
        raise InputError(
            "finetune: the model of embed is a static embedding, which has no layers; choose a transformer"
        )
    return encoder


def _learn_pairs(
    settings: Settings, data: Prepared, frozen: np.ndarray, dtype: torch.dtype, key: str, ranks: Ranks
) -> tuple[Encoder, np.ndarray | None, dict[str, Any]]:
    """The encoder that the towers are trained on, its vectors where they are new, and what history says of it."""
    if settings.method == "layers":
        return _load_encoder(settings.precision), None, {}
    start, checkpoint = _load_encoder("float32"), Checkpoint("finetune", key)
    trained, vectors, history = pairs.learn(settings, start, frozen, dtype, data, checkpoint, ranks)
    if trained is None:
        return _load_encoder(settings.precision), None, {"pairs": history}
    return trained, vectors, {"pairs": history}


def _frozen_vectors(data: Prepared) -> np.ndarray:
    stored = catalogue.EMBEDDINGS.read()
    vectors, missing = lookup(text_hashes(data.texts), stored["hashes"], stored["vectors"])
    if len(missing):
        raise InputError(f"{catalogue.EMBED}: {len(missing)} texts have no vector, first row {missing[0]}; run embed")
    return vectors.astype(np.float32)


def _key(settings: Settings, data: Prepared, ranks: Ranks) -> str:
    """A digest of everything that the run depends on."""
    window = data.windows.finetune
    past = data.histories.until(window.last_target)
    whole = hashlib.sha256(f"{settings.model_dump_json()}|{window}|{torch.__version__}".encode())
    whole.update(f"{choose_device().type}|{torch.get_num_threads()}|{ranks.size}".encode())
    for artifact in (catalogue.EMBEDDED, catalogue.EMBEDDINGS):
        whole.update(artifact.path.read_bytes())
    for path in (warm_start.FOLDER / warm_start.ABOUT, warm_start.FOLDER / "tower.safetensors"):
        whole.update(path.read_bytes() if settings.warm_start and path.exists() else b"")
    arrays = (past.customer, past.item, past.day, data.text_id, data.text_kinds, data.recommendable)
    for array in (*arrays, text_hashes(data.texts)):
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()[:20]


def _train(settings: Settings, trainer: Trainer, evaluator: Evaluator, checkpoint: Checkpoint) -> History:
    if not trainer.sampler.usable:
        log.info("finetune: no texts to tell apart or no purchases to learn from before the cut; nothing is trained")
        return {"records": [], "validation": [], "num_steps": 0, "best_step": 0, "note": "nothing to learn from"}
    try:
        return fit(
            trainer,
            evaluator,
            evaluator.sample(settings.validate_customers, settings.seed),
            validate_every=settings.validate_every,
            checkpoint_every=settings.checkpoint_every,
            patience=settings.patience,
            save=lambda *state: pairs.save(checkpoint, state),
            progress=log_progress(log, "finetune: trained layers"),
            resumed=pairs.load(checkpoint),
        )
    except InputError:
        checkpoint.remove()
        raise


def _keep(
    trainer: Trainer,
    encoder: Encoder,
    bank: np.ndarray,
    history: History,
    settings: Settings,
    start: warm_start.Start | str,
) -> Kept:
    """The encoder that is kept and its vectors of all texts: the trained one, or the one that training began with."""
    if trainer.top is None:
        return encoder, bank
    if history["best_step"] > 0:
        return trainer.top.merged(), trainer.bank.cpu().numpy()
    if isinstance(start, warm_start.Start):
        return Encoder.load(str(warm_start.FOLDER / "encoder"), settings.precision), bank
    return _load_encoder(settings.precision), bank


def _write(tower: Tower, encoder: Encoder, vectors: np.ndarray, data: Prepared, history: History) -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    tensors, config = tower.save()
    storage.write_tensors(tensors, OUT / "tower.safetensors")
    storage.write_json(config, OUT / "tower.json")
    kept = {"vectors": vectors.astype(np.float16), "hashes": text_hashes(data.texts)}
    storage.write_tensors(kept, OUT / "text_vectors.safetensors")
    encoder.save(catalogue.ENCODER.path)
    catalogue.FINETUNE_HISTORY.write(history)
