"""Whether a package can serve: every weight there and finite, and scored by this code, before anybody delivers from it.

A registry takes any package. A tensor that is not finite, a forest with a NaN leaf or a feature that this code no
longer makes would show only in what customers get.
"""

import logging
from pathlib import Path

import numpy as np

from nightmarket.contracts import InputError
from nightmarket.ranking.model import Model
from tasks.files import catalogue, storage
from tasks.files.prepared import Prepared
from tasks.models import recommender

log = logging.getLogger("nightmarket")


def check(package: Path, name: str) -> None:
    """Load everything, and score the first customers of the prepared tables, where there are any.

    name  of the version, as it stands in a message. Raises InputError, in one line, for what cannot serve.
    """
    try:
        _weights(package)
        model = recommender.load(package / "rank")
        _score(model, package, name)
    except Exception as error:
        what = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{name} cannot be scored by this code ({' '.join(what.split())[:300]})") from None


def _weights(package: Path) -> None:
    from safetensors.torch import load_file

    from nightmarket.encoding.encoder import Encoder
    from nightmarket.retrieval.tower import Tower

    for path in sorted(package.rglob("*.safetensors")):
        for tensor_name, tensor in load_file(path).items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise InputError(f"{path.relative_to(package)}: tensor '{tensor_name}' is not finite")
    finetune = package / "finetune"
    Tower.load(storage.read_tensors(finetune / "tower.safetensors"), storage.read_json(finetune / "tower.json"))
    Encoder.load(str(finetune / "encoder"), "auto")
    for path in sorted((package / "rank").glob("*.txt")):
        leaves = (line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("leaf_value="))
        if not all(np.isfinite(np.fromstring(line.partition("=")[2], sep=" ")).all() for line in leaves):
            raise InputError(f"{path.relative_to(package)}: a leaf is not finite")


def _score(model: Model, package: Path, name: str) -> None:
    if not catalogue.WINDOWS.exists():
        log.info("%s: no prepared tables here, so nothing was scored on trial", name)
        return
    data = Prepared()
    candidate_set = recommender.candidate_set(model, data, package / "finetune", data.windows.test)
    batch = next(iter(candidate_set.batches()), None)
    if batch is None:
        return
    scores = model.forests.on_sale(False).score(batch.features, candidate_set.features)
    if not np.isfinite(scores).all():
        raise InputError("its scores are not finite")
    log.info("%s: scored %s candidates on trial", name, f"{scores.size:,}")
