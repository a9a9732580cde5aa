"""What was registered last, so that a night on which nothing changed need not ask MLflow, which takes seconds."""

from pathlib import Path

from nightmarket.contracts import InputError
from tasks.files import manifest, storage
from tasks.registry import lineage


def known(home: Path, tree: Path) -> bool:
    """Whether MLflow has seen this very model, and the champion of `tree` is whole."""
    try:
        if storage.read_json(_note(home)) != _now(home, tree):
            return False
        if (tree / f"{storage.CHAMPION}.dvc").exists():
            manifest.verify(tree / storage.CHAMPION)
    except (InputError, OSError):
        return False
    return True


def note(home: Path, tree: Path) -> None:
    """Keep what MLflow and the checkout hold now."""
    if _database(home).exists():
        storage.write_json(_now(home, tree), _note(home))


def _now(home: Path, tree: Path) -> dict[str, str]:
    champion, database = tree / f"{storage.CHAMPION}.dvc", _database(home).stat()
    return {
        "lock_hash": lineage.lock_hash(tree / "dvc.lock"),
        "champion": champion.read_text(encoding="utf-8") if champion.exists() else "",
        "database": f"{database.st_size} {database.st_mtime_ns}",
    }


def _note(home: Path) -> Path:
    return home / ".nightmarket" / "registered.json"


def _database(home: Path) -> Path:
    return home / "mlruns" / "mlflow.db"
