"""One step in this process: python -m bench.gpu.step NAME FOLDER [--files FOLDER] [--dry]."""

import argparse
import importlib
import logging
import sys
from pathlib import Path

from bench.gpu.world import World

WHERE = {
    "machine": "inference.about_machine",
    "encode": "inference.encode",
    "peers": "inference.peers",
    "pairs": "learning.pairs",
    "towers": "learning.towers",
    "resume": "learning.resume",
    "ranks": "together.ranks",
    "night": "night.night",
}


def main() -> int:
    """Exit code 1, and the reason in a line, where the step failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=WHERE)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--dry", action="store_true")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    module, _, function = WHERE[given.name].partition(".")
    try:
        world = World(given.name, given.folder, given.files, given.dry)
        getattr(importlib.import_module(f"bench.gpu.{module}"), function)(world)
    except Exception as error:
        logging.getLogger("bench.gpu").exception("%s failed", given.name)
        print(f"{type(error).__name__}: {' '.join(str(error).split())}"[:500], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
