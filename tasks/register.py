"""Register tonight's model; the gate decides whether it delivers.

reads   params.yaml, dvc.lock, data/raw/snapshot.json, data/champion, artifacts of prepare, finetune, rank, evaluate
writes  MLflow (one run, one model version), data/champion when the gate opens

A step, not a stage: it acts outside its files. It does nothing twice for the same training (the same lock hash).
"""

from pydantic import Field

from tasks.files import storage
from tasks.pipeline.declaration import Step
from tasks.pipeline.settings import StageSettings
from tasks.registry import store
from tasks.registry.service import RegistryService

STEP = Step("register the trained model; the gate decides whether it delivers")


class Settings(StageSettings):
    """How a training is put on record."""

    experiment: str = Field(default="nightmarket", min_length=1, description="MLflow experiment of the runs")
    min_difference: float = Field(
        default=0.0, ge=0.0, le=1.0, description="least mean NDCG@10 on `all` above the champion's"
    )
    seed: int = Field(default=17, ge=0, lt=2**31, description="seed of the bootstrap behind the gate's intervals")


def run(settings: Settings) -> None:
    """Register, decide, and make the challenger champion if the gate opens."""
    with store.alone():
        storage.hook("register.locked")
        registry = store.for_writing(settings.experiment)
        storage.hook("register.opened")
        RegistryService(registry).register(seed=settings.seed, min_difference=settings.min_difference)
