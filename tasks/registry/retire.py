"""Delete from MLflow what retention lets go: refused versions, runs and logged models, their rows and their files.

    python -m tasks.registry.retire --versions 3 4 --runs ID ID --models ID

By `python -m flows prune` and the end of a night, which choose; everything is looked at again here, by MLflow's own
word, before it goes. A kill leaves a run hidden and half deleted, and the same command deletes the rest.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from nightmarket.contracts import InputError
from tasks.files import storage
from tasks.pipeline import lifetime
from tasks.registry import store

if TYPE_CHECKING:
    from nightmarket.serving.registry import Registry


def retire(versions: list[int], runs: list[str], models: list[str], experiment: str) -> None:
    """Delete them, names first: versions, then what runs and models show, then files, then rows.

    Raises InputError, and deletes nothing, where one of them is needed.
    """
    from nightmarket.serving import retiring
    from nightmarket.serving.registry import MODEL

    with store.alone():
        registry = store.for_writing(experiment)
        _check(registry, versions, runs, models)
        for number in versions:
            registry.client.delete_model_version(MODEL, str(number))
            storage.hook("retire.version")
        client = registry.client
        for model in models:
            _delete(retiring.hide_model, retiring.erase_model, client, model)
        for run in runs:  # last: a run is the name by which the rest is found again
            _delete(retiring.hide_run, retiring.erase_run, client, run)


def _delete(
    hide: Callable[[Any, str], str | None], erase: Callable[[Any, str], None], client: Any, identity: str
) -> None:
    where = hide(client, identity)
    storage.hook("retire.hidden")
    if where is None:
        return
    _remove_files(where)
    storage.hook("retire.files")
    erase(client, identity)
    storage.hook("retire.erased")


def _check(registry: "Registry", versions: list[int], runs: list[str], models: list[str]) -> None:
    from nightmarket.serving import retiring
    from nightmarket.serving.registry import MODEL

    held = set(registry.aliases().values())
    for version in registry.versions():
        if int(version.version) in versions and (
            version.tags.get("gate") != "refused" or "delivered" in version.tags or int(version.version) in held
        ):
            raise InputError(f"version {version.version} delivered, or may yet; nothing is deleted")
    for version in retiring.versions(registry.client):
        if version.name == MODEL and int(version.version) in versions:
            continue
        needed = {str(version.run_id), *(model for model in models if model in str(version.source))}
        if wrong := needed & {*runs, *models}:
            raise InputError(f"{min(wrong)} belongs to version {version.version} of {version.name}; nothing is deleted")


def _remove_files(uri: str) -> None:
    """The folder of a run's or a model's files, where it lies below mlruns/ of this checkout, and its empty parent."""
    place, parts = storage.home() / "mlruns", urlparse(uri)
    folder = Path(unquote(parts.path)).resolve()
    if parts.scheme not in ("", "file") or place not in folder.parents:
        return  # somewhere else, or of a checkout that was moved: not ours to delete
    shutil.rmtree(folder, ignore_errors=True)
    if folder.name == "artifacts" and folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def main(arguments: list[str] | None = None) -> int:
    """One line on stderr and exit code 2 where something is needed."""
    parser = argparse.ArgumentParser(prog="python -m tasks.registry.retire", description=str(__doc__).splitlines()[0])
    parser.add_argument("--versions", nargs="*", type=int, default=[])
    parser.add_argument("--runs", nargs="*", default=[])
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--experiment", default="nightmarket")
    given = parser.parse_args(arguments)
    try:
        retire(given.versions, given.runs, given.models, given.experiment)
    except InputError as error:
        print(f"nightmarket: retire: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    lifetime.collect_seldom()
    lifetime.leave(main())
