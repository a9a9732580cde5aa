"""A model folder (rank/ and finetune/) brought to life on prepared tables.

Training, evaluation, the gate and delivery all look at a cut in time through here, so that a champion is judged and
served by the same code that trained it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd

from nightmarket.contracts import InputError, ModelError
from nightmarket.contracts.arrays import Float32s
from nightmarket.encoding.hashes import lookup
from nightmarket.evaluation.figures import customer_scores
from nightmarket.evaluation.protocol import Window, targets
from nightmarket.ranking.calibration import Calibration
from nightmarket.ranking.candidate_set import Budget, CandidateSet, TextScores
from nightmarket.ranking.impersonal import SPAN
from nightmarket.ranking.model import Forests, Model, recommend
from nightmarket.ranking.point_in_time import PointInTimeStatistics
from nightmarket.ranking.ranker import Ranker
from tasks.files import storage
from tasks.files.prepared import Prepared

log = logging.getLogger("nightmarket")
_FACTS = {"forests", "calibration", "budget", "target_days", "promotion_plan", "use_text", "trained_until", "recipe"}


def statistics(data: Prepared, window: Window) -> PointInTimeStatistics:
    """What was known at the end of the day `window.cut`. On sale is what comes on sale on one of the target days; in a
    delivery, which has none, on the day after the cut."""
    cut = window.cut
    events = data.interactions
    terms = data.terms if len(events) else None
    return PointInTimeStatistics(
        data.histories.until(cut),
        data.catalogue,
        cut,
        data.promotions,
        events.until(cut),
        terms,
        max(window.days, 1),
        data.vectors if len(events) else None,
        data.described if len(events) else None,
    )


def text_scores(finetune: Path, data: Prepared, cut: int) -> TextScores:
    """The towers' vectors of a finetune folder for all customers as they stood at the cut, and all products."""
    from nightmarket.retrieval.tower import Tower  # with torch, which takes a second, and few models have text

    with _of_model():
        tensors = storage.read_tensors(finetune / "tower.safetensors")
        tower = Tower.load(tensors, storage.read_json(finetune / "tower.json"))
    vectors = text_vectors(finetune, data)
    # Products of one text share its vector, so the towers see texts, of which there are fewer.
    past = data.histories.until(cut)
    by_text = replace(past, item=data.text_id[past.item], num_items=len(vectors))
    return TextScores(
        customers=tower.customers(vectors, by_text, cut, "repertoire"),
        launch_customers=tower.customers(vectors, by_text, cut, "launch"),
        items=tower.items(vectors)[data.text_id],
    )


def text_vectors(finetune: Path, data: Prepared) -> Float32s:
    """(T, D) vectors of tonight's texts by the folder's encoder; texts that it has not seen are encoded now."""
    from nightmarket.encoding.encoder import Encoder
    from nightmarket.encoding.hashes import text_hashes

    with _of_model():
        stored = storage.read_tensors(finetune / "text_vectors.safetensors")
    vectors, missing = lookup(text_hashes(data.texts), stored["hashes"], stored["vectors"])
    if missing.size:
        log.info("encoding %s texts that the model has not seen", f"{missing.size:,}")
        encoder = Encoder.load(str(finetune / "encoder"), "auto")
        vectors[missing] = encoder.encode([data.texts[i] for i in missing])
    return vectors


def load(rank: Path) -> Model:
    """Read a rank folder. Raises ModelError where another version wrote it or it is damaged."""
    with _of_model():
        facts = storage.read_json(rank / "ranker.json")
        lacking = sorted(_FACTS - facts.keys())
        other = sorted(facts.get("budget", {}).keys() ^ {field.name for field in fields(Budget)})
        other += sorted(facts.get("forests", {}).keys() - {field.name for field in fields(Forests)})
        if lacking or other:
            raise ModelError(
                f"{rank}: written by an older version ({', '.join(lacking or other)}); run `make nightly`, which "
                "trains and registers anew"
            )
        forests = {name: Ranker.load(_text(rank / f"{name}.txt")) for name in facts["forests"]}
        calibration = Calibration.from_json(facts["calibration"]) if facts["calibration"] else None
    return Model(
        forests=Forests(**forests),
        calibration=calibration,
        budget=Budget(**facts["budget"]),
        target_days=facts["target_days"],
        promotion_plan=facts["promotion_plan"],
        use_text=facts["use_text"],
        trained_until=facts["trained_until"],
        recipe={task: choice["order"] for task, choice in facts["recipe"].items()},
        popular_span=facts.get("popular_span", SPAN),
    )


def _text(path: Path) -> str:
    if not path.exists():
        raise ModelError(f"{path} is missing; restore the model's folder")
    return path.read_text(encoding="utf-8")


@contextmanager
def _of_model() -> Iterator[None]:
    """What is wrong with a model's own files is a ModelError."""
    try:
        yield
    except InputError as error:
        raise ModelError(str(error)) from error


def candidate_set(model: Model, data: Prepared, finetune: Path, window: Window) -> CandidateSet:
    """Candidates with features at the window's cut; with the promotion plan where there is one and it was trained."""
    text = text_scores(finetune, data, window.cut) if model.use_text else None
    plan = model.knows_plan(data.promotions, window.cut)
    launching = data.launching(window)
    return CandidateSet(statistics(data, window), model.budget, text, launching, model.target_days, plan)


def window_scores(folder: Path) -> pd.DataFrame:
    """NDCG@10 per customer and task of a model folder on the current test window: customer, task, ndcg@10."""
    data, model = Prepared(), load(folder / "rank")
    window = data.windows.test
    candidates = candidate_set(model, data, folder / "finetune", window)
    return customer_scores(recommend(model, candidates)[False], targets(data.histories, window, candidates.launched))
