"""Where tensors are computed, and in what precision: decided here and nowhere else."""

from typing import Literal

import torch

from nightmarket.contracts import InputError

Precision = Literal["auto", "float32", "bfloat16"]


def choose_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware (CUDA from Ampere on; CPUs with AVX512-bf16 or AMX)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if not onednn_bfloat16():
        return False
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return has_amx() or (check is not None and check())


def has_amx() -> bool:
    """Whether the CPU multiplies tiles of a matrix (Intel AMX)."""
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return check is not None and bool(check())


def onednn_bfloat16() -> bool:
    """Whether oneDNN takes bfloat16 on this CPU: it needs AVX-512, and may be held to less (ONEDNN_MAX_CPU_ISA)."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of matrix products. `auto` is bfloat16 where the device has it in hardware, else float32."""
    if precision == "auto":
        return torch.bfloat16 if fast_bfloat16(device) else torch.float32
    if precision not in ("float32", "bfloat16"):
        raise InputError(f"precision '{precision}' is unknown; choose auto, float32 or bfloat16")
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
