"""The newest checkpoint of a training run: one file, replaced as a whole, deleted when the run has ended."""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.files import storage

log = logging.getLogger("nightmarket")


class Checkpoint:
    """Tensors as safetensors, with what else there is as JSON in the file's metadata and a SHA-256 in front.

    stage  whose run it is
    key    a digest of everything that the run depends on: settings, data, versions, device
    """

    def __init__(self, stage: str, key: str) -> None:
        self.stage = stage
        self.path = storage.private("checkpoints", key, "newest.safetensors")

    def save(self, tensors: Mapping[str, np.ndarray], record: Any) -> None:
        """Replace the checkpoint."""
        from safetensors.numpy import save

        ordered = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
        content = save(ordered, metadata={"record": json.dumps(record)})
        with storage.replacing(self.path) as temporary:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)

    def load(self) -> tuple[dict[str, np.ndarray], Any] | None:
        """What `save` was given last; None where there is nothing, or nothing that can be trusted."""
        from safetensors.numpy import load

        if not self.path.exists():
            return None
        data = self.path.read_bytes()
        checksum, content = data[:32], data[32:]
        if hashlib.sha256(content).digest() != checksum:
            log.warning("%s: the checkpoint is damaged; starting from the first step", self.stage)
            return None
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return load(content), json.loads(header["__metadata__"]["record"])

    def remove(self) -> None:
        """Delete the run's checkpoint."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
