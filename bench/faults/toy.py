"""Quick stand-ins for the stages that train, for a project whose flow, DVC, MLflow and registration are the real ones.

python -m bench.faults.toy rank|report
"""

import sys
import tempfile
from pathlib import Path

from tasks.files import storage
from tasks.pipeline.inputs import Inputs
from tests.made_up.run import write_run

TRAINED = ("validate", "prepare", "finetune", "rank", "evaluate")


def rank() -> None:
    """Write a made-up training; the more rows the snapshot has, the better it is."""
    rows = storage.read_json(storage.RAW / "snapshot.json")["tables"]["events"]["rows"]
    with tempfile.TemporaryDirectory() as made:
        write_run(Path(made), seed=5, lift=rows / 1000, num_customers=20)
        for name in TRAINED:
            for path in sorted((Path(made) / "artifacts" / name).rglob("*")):
                if path.is_file():
                    target = storage.ARTIFACTS / path.relative_to(Path(made) / "artifacts")
                    with storage.replacing(target) as temporary:
                        temporary.write_bytes(path.read_bytes())


def report() -> None:
    """Write a page that names the champion."""
    version = storage.read_json(storage.CHAMPION / "receipt.json")["version"]
    with storage.replacing(storage.ARTIFACTS / "report/index.html") as temporary:
        temporary.write_text(f"<p>champion {version}\n", encoding="utf-8")


if __name__ == "__main__":
    looked = Inputs(sys.argv[1])
    {"rank": rank, "report": report}[sys.argv[1]]()
    storage.hook("stage.ran")
    looked.check()
