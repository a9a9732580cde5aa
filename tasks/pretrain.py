"""Continue the encoder's pre-training on the retailer's own texts; keep it only where that pays. Off by default.

The manifest says which model `embed` takes and why. A killed run goes on from .nightmarket/checkpoints/, which are kept
until the run ends.

The gate: the encoder is kept where, on the finetune window and by text alone, the paired interval of NDCG@10 on `new`
lies above zero, and that of no other task, search queries about names held out of their texts included, lies below. The
test window is only reported.
"""

import hashlib
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from nightmarket.contracts import InputError
from nightmarket.encoding.hashes import text_hashes
from nightmarket.encoding.models import PACKAGED, fingerprint, resolve_model
from tasks.files import catalogue, storage
from tasks.files.checkpoints import Checkpoint
from tasks.pipeline.declaration import Stage
from tasks.pipeline.settings import StageSettings, sections

if TYPE_CHECKING:
    from nightmarket.encoding.encoder import Encoder
    from nightmarket.retrieval.quality import Evaluator

OUT = catalogue.PRETRAIN.path
CRITERION = "new"
FIGURES = ("all", "new", "debut", "search")
Values = dict[str, np.ndarray]
log = logging.getLogger("nightmarket")
STAGE = Stage(
    "let the encoder read on, on the retailer's own texts; kept only where it pays",
    reads=(catalogue.PREPARE, catalogue.CLEAN_PRODUCTS),
    writes=(catalogue.PRETRAIN,),
    sections=("embed",),
    pool="gpu",
    timeout_s=14_400,
)


class Settings(StageSettings):
    """How long and how fast to train; the budget is counted in steps, so that a result can be reproduced."""

    seed: int = Field(17, ge=0, lt=2**31, description="seed of the order, the masks and the intervals")
    steps: int = Field(0, ge=0, le=10_000_000, description="further training steps; 0: the encoder stays as it is")
    head_steps: int = Field(40, ge=0, le=1_000_000, description="steps before these, of the masked-token head alone")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of matrix products in training; weights are float32"
    )
    batch_size: int = Field(128, ge=1, le=65536, description="texts per step")
    masked_share: float = Field(0.15, gt=0, lt=1, description="share of the tokens that are masked")
    learning_rate: float = Field(1e-4, gt=0, description="of the encoder")
    head_learning_rate: float = Field(3e-3, gt=0, description="of the head")
    weight_decay: float = Field(1e-2, ge=0, description="of AdamW")
    warmup_share: float = Field(0.1, ge=0, le=1, description="share of the steps in which the rates rise from zero")
    clip_norm: float = Field(1.0, gt=0, description="greatest norm of the gradient")
    checkpoint_every: int = Field(40, ge=1, description="steps between checkpoints")


def run(settings: Settings) -> None:
    """Write artifacts/pretrain."""
    base = {"model": PACKAGED} | (sections(Path("params.yaml")).get("embed") or {})
    if not settings.steps:
        _write({"kept": False, "model": base["model"], "why": "pretrain.steps is 0"}, None)
        log.info("pretrain: off; embed takes %s as it is", base["model"])
        return
    from nightmarket.encoding.encoder import log_progress

    exam = Exam()
    history, trained = read_on(base, exam.data.texts, settings)
    tell = log_progress(log, "pretrain: measuring")
    before, after = (exam.figures(encoder, tell) for encoder in (_load(base, settings.precision), trained))
    report = {name: compared(before[name], after[name], settings.seed) for name in ("finetune", "test")}
    kept, why = gate(report["finetune"])
    log.info("pretrain: %s: %s", "kept" if kept else "not kept", why)
    model = (OUT / "encoder").as_posix() if kept else base["model"]
    manifest = {"kept": kept, "model": model, "base": base["model"], "why": why}
    _write(manifest, trained if kept else None, report | {"training": history})
    _checkpoint(base, exam.data.texts, settings).remove()


def _load(base: dict[str, Any], precision: str) -> "Encoder":
    from nightmarket.encoding.encoder import Encoder
    from nightmarket.encoding.loading import load_encoder

    named = {key: base[key] for key in ("document_prompt", "query_prompt", "dim") if key in base}
    encoder = load_encoder(base["model"], precision, **named)
    if not isinstance(encoder, Encoder):
        raise InputError("a static embedding reads no context, so it cannot be pre-trained; set pretrain.steps to 0")
    return encoder


def read_on(base: dict[str, Any], texts: list[str], settings: Settings) -> tuple[dict[str, Any], "Encoder"]:
    """Train, from the checkpoint where there is one: history with the held-out losses, and the encoder.

    base  the section `embed`: which model, and with which prompts

    The encoder is rounded to the precision in which stages use it, after its whole training in float32.
    """
    from nightmarket.encoding.device import choose_dtype
    from nightmarket.encoding.masked import MaskingConfig, Pretrainer, pretrain

    checkpoint = _checkpoint(base, texts, settings)
    config = MaskingConfig(**{name: getattr(settings, name) for name in MaskingConfig.__dataclass_fields__})
    trainer = Pretrainer(_load(base, "float32"), texts, config, settings.precision)
    try:
        every = settings.checkpoint_every
        history = pretrain(trainer, checkpoint_every=every, save=checkpoint.save, resumed=checkpoint.load())
    except InputError:
        checkpoint.remove()
        raise
    trained = trainer.trained()
    trained.model.to(choose_dtype(settings.precision, trained.device))
    return history, trained


def _checkpoint(base: dict[str, Any], texts: list[str], settings: Settings) -> Checkpoint:
    import torch

    content = fingerprint(resolve_model(base["model"]))
    whole = hashlib.sha256(f"pretrain|{settings.model_dump_json()}|{content}|{sorted(base.items())}".encode())
    whole.update(f"{torch.__version__}|{torch.cuda.is_available()}|{torch.get_num_threads()}".encode())
    whole.update(np.ascontiguousarray(text_hashes(texts)).tobytes())
    return Checkpoint("pretrain", whole.hexdigest()[:20])


class Exam:
    """What an encoder is asked: products by text alone on two windows, and search queries; nothing is trained.

    A search query is the name of a product type; no text of such a product holds a word of it (`search.held_out`).
    One half of the queries counts as the finetune window's, the other as the test window's.
    """

    def __init__(self) -> None:
        from nightmarket.retrieval.search.quality import held_out
        from tasks.files.prepared import Prepared

        self.data = Prepared()
        ids = self.data.products[["product_id"]]
        clean = catalogue.CLEAN_PRODUCTS.read().to_pandas()
        named = ids.merge(clean, on="product_id", how="left", validate="one_to_one")
        self.questions = held_out(named, "type", "words", self.data.recommendable)

    def figures(self, encoder: "Encoder", progress: Any = None) -> dict[str, Values]:
        """NDCG@10 per window: per task by customer (C,), and `search` by query (Q,), NaN where not concerned."""
        vectors = encoder.encode(self.data.texts, progress)
        by_window = {window: self._evaluator(window).plain(vectors) for window in ("finetune", "test")}
        return searched(by_window, self.searches(encoder, progress), self.questions.chosen_on)

    def _evaluator(self, window: str) -> "Evaluator":
        from nightmarket.retrieval.quality import Evaluator

        data = self.data
        return Evaluator(data.histories, data.text_id, data.recommendable, getattr(data.windows, window))

    def searches(self, encoder: "Encoder", progress: Any = None) -> np.ndarray:
        """NDCG@10 of each search query, by cosine over all texts; of equal products the popular one first."""
        from nightmarket.retrieval.search.quality import search_quality

        asked = self.questions
        if not asked.queries:
            return np.zeros(0)
        popularity = self._evaluator("finetune").popularity
        texts, queries = encoder.encode(asked.texts, progress), encoder.encode(asked.queries, role="query")
        return search_quality(texts, queries, asked.relevant, asked.text_id, popularity)["ndcg@10"]


def searched(by_window: dict[str, Values], values: np.ndarray, chosen_on: np.ndarray) -> dict[str, Values]:
    """The windows' figures with those of the search queries: one half beside either window."""
    chosen_on = np.asarray(chosen_on, dtype=bool)
    halves = {"finetune": chosen_on, "test": ~chosen_on}
    return {window: tasks | {"search": np.where(halves[window], values, np.nan)} for window, tasks in by_window.items()}


def compared(before: Values, after: Values, seed: int) -> dict[str, Any]:
    """Per figure: before, after, their paired difference, each with a 95% interval, and how many were asked."""
    from nightmarket.evaluation.intervals import bootstrap, paired

    def rounded(interval: Any) -> dict[str, float | None]:
        return {name: None if value is None else round(value, 6) for name, value in interval.content().items()}

    return {
        name: {
            "before": rounded(bootstrap(before[name], seed)),
            "after": rounded(bootstrap(after[name], seed)),
            "paired": rounded(paired(after[name], before[name], seed)),
            "num": int((~np.isnan(before[name])).sum()),
        }
        for name in FIGURES
    }


def gate(figures: dict[str, Any]) -> tuple[bool, str]:
    """Whether the trained encoder is kept, and why, in one sentence."""
    worse = [name for name in FIGURES if (figures[name]["paired"]["high"] or 0.0) < 0]
    gain = figures[CRITERION]["paired"]
    if gain["value"] is None:
        return False, f"nobody on the finetune window has a target for {CRITERION}, so nothing can be compared"
    interval = f"{CRITERION} {gain['value']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
    if gain["low"] <= 0:
        return False, f"on the finetune window the interval does not lie above zero: {interval}"
    if worse:
        return False, f"it is worse on {', '.join(worse)}, though better on {interval}"
    return True, f"on the finetune window the interval lies above zero: {interval}"


def _write(manifest: dict[str, Any], encoder: "Encoder | None", report: dict[str, Any] | None = None) -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    if encoder is not None:
        encoder.save(OUT / "encoder")
    if report is not None:
        storage.write_json(report, OUT / "report.json")
    catalogue.PRETRAINED.write(manifest)
