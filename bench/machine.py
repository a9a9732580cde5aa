"""What a figure was measured on: it stands in the last line of every benchmark."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

BFLOAT16_PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "A10": 125e12}
BFLOAT16_PEAKS["4090"] = 165e12
"""Dense bf16 operations per second that the makers state; the longer name of two that begin alike comes first."""
PACKAGES = ("numpy", "scikit-learn", "lightgbm", "torch", "transformers")


def machine(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Processor, cores that this process may use, memory in GiB, GPU if any, and versions of Python and `packages`."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": _gpu(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def gpu_peak() -> float | None:
    """Stated dense bf16 operations per second of the GPU at hand; None without one, or for one that is not listed."""
    name = _gpu() or ""
    return next((peak for key, peak in BFLOAT16_PEAKS.items() if key in name), None)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
