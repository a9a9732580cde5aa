"""The processes that share one stage's work: torchrun starts them, each takes its share, the first one writes.

    ranks = Ranks.current()                      # of torchrun's environment; one process where there is none
    mine = ranks.share(len(rows))                # a slice of the rows; the shares of all ranks are the whole, in order
    rows = ranks.gather(encode(rows[mine]))      # the rows of all ranks in order on rank 0, None on the others

and in training, where each rank's loss is the mean over its own rows against everybody's candidates:

    candidates = ranks.all_gather(mine)          # [R * N, D] with gradient: what another rank's loss asks of my rows
    loss.backward()                              # arrives here
    ranks.average_gradients(parameters)          # the mean over ranks: the gradient of the mean of the losses

Every rank must make the same calls in the same order. With one process every call gives back what it was given:
nothing is started, copied or imported. Tensors on a GPU travel by NCCL, everything else by gloo.
Shapes: R ranks, N rows, D width.
"""

import atexit
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from nightmarket.encoding.encoder import Encoder, Progress
    from nightmarket.encoding.static import StaticEncoder

PIECE = 1 << 26
"""Bytes that travel at a time."""

Array = TypeVar("Array", bound=NDArray[Any])


@dataclass(frozen=True)
class Ranks:
    """This process's place (`rank` of `size`, from 0) among those that do the work together."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> Self:
        """The place that torchrun's environment gives; the first call of a process joins the others.

        Raises InputError where a machine with GPUs has fewer of them than processes.
        """
        size = int(os.environ.get("WORLD_SIZE") or 1)
        if size > 1:
            _join()
        return cls(int(os.environ.get("RANK") or 0) if size > 1 else 0, size)

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    @property
    def device(self) -> "torch.device":
        """The rank's own GPU where there are any, else the CPU."""
        import torch

        return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")

    def share(self, num: int) -> slice:
        """This rank's rows of `num`: contiguous, sizes differ by at most one, larger ones first."""
        size, more = divmod(num, self.size)
        start = self.rank * size + min(self.rank, more)
        return slice(start, start + size + (self.rank < more))

    def gather(self, rows: Array) -> Array | None:
        """Rows of all ranks in rank order on rank 0, None elsewhere; number of rows may differ, dtype and width not.

        rows  (N, ...) of numbers; nothing but the result and one piece is held in memory
        """
        if self.size == 1:
            return rows
        import torch.distributed as dist

        rows = np.ascontiguousarray(rows)  # type: ignore[assignment]
        counts = self.counts(len(rows))
        if not self.first:
            for piece in _pieces(rows):
                dist.send(piece, 0)
            return None
        whole = np.empty((sum(counts), *rows.shape[1:]), rows.dtype)
        start = counts[0]
        whole[:start] = rows
        for rank, count in enumerate(counts[1:], start=1):
            for piece in _pieces(whole[start : start + count]):
                dist.recv(piece, rank)
            start += count
        return whole  # type: ignore[return-value]

    def agree(self, values: Array) -> Array:
        """Rank 0's array on every rank; dtype and width are the same on all, the number of rows may differ."""
        if self.size == 1:
            return values
        import torch.distributed as dist

        count = self.counts(len(values))[0]
        agreed = np.ascontiguousarray(values) if self.first else np.empty((count, *values.shape[1:]), values.dtype)
        for piece in _pieces(agreed):
            dist.broadcast(piece, 0)
        return agreed  # type: ignore[return-value]

    def counts(self, number: int) -> list[int]:
        """Everybody's number, on every rank."""
        if self.size == 1:
            return [number]
        import torch
        import torch.distributed as dist

        numbers = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(numbers, torch.tensor([number], dtype=torch.int64))
        return [int(count) for count in numbers]

    def all_gather(self, rows: "Tensor") -> "Tensor":
        """[R * N, D] of each rank's rows [N, D] in rank order, on every rank; N must be the same on all.

        The gradient that reaches a rank's rows is the sum of what all ranks' losses ask of them.
        """
        if self.size == 1:
            return rows
        from nightmarket.encoding.training import all_gather

        return all_gather(rows, self.rank, self.size)

    def average_gradients(self, parameters: Iterable["Tensor"]) -> None:
        """Replace each gradient by its mean over the ranks, the same bits on every rank.

        What has no gradient on a rank counts as zero there; what has none on any keeps none. Where shares differ,
        scale a rank's loss by `size` times its part of the rows first.
        """
        if self.size == 1:
            return
        import torch
        import torch.distributed as dist

        weights = [p for p in parameters if p.requires_grad]
        if not weights:
            return
        flags = torch.tensor([float(p.grad is not None) for p in weights], device=weights[0].device)
        dist.all_reduce(flags)
        chosen = [p for p, has in zip(weights, flags.tolist(), strict=True) if has]
        for bucket in _buckets(chosen):
            parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in bucket]
            flat = torch.cat([part.detach().reshape(-1) for part in parts])
            dist.all_reduce(flat)
            flat /= self.size
            for weight, mean in zip(bucket, torch.split(flat, [p.numel() for p in bucket]), strict=True):
                weight.grad = mean.view_as(weight).clone()

    def mean(self, value: float) -> float:
        """The mean of everybody's number, as a loss to be logged."""
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        total = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(total)
        return float(total[0]) / self.size

    def broadcast(self, tensors: Sequence["Tensor"]) -> None:
        """Write rank 0's values into the same tensors of all ranks."""
        if self.size == 1:
            return
        import torch.distributed as dist

        for tensor in tensors:
            dist.broadcast(tensor.data, 0)


ALONE = Ranks()
"""One process."""


def encode_shared(
    encoder: "Encoder | StaticEncoder", texts: Sequence[str], ranks: Ranks, progress: "Progress | None" = None
) -> Float32s | None:
    """`encoder.encode(texts)` by all ranks together: float32 [T, D] in the texts' order on rank 0, None elsewhere.

    Texts are dealt out by their length, so every rank has as much to do, of each length. A vector does not depend on
    the texts beside it, so the result has the same bytes as one process's.
    """
    if ranks.size == 1:
        return encoder.encode(texts, progress)
    order = np.argsort([len(text) for text in texts], kind="stable")

    def tell(done: int, _: int, seconds: float) -> None:
        if progress is not None and ranks.first:
            progress(min(done * ranks.size, len(texts)), len(texts), seconds)

    encoded = ranks.gather(encoder.encode([texts[row] for row in order[ranks.rank :: ranks.size]], tell))
    if encoded is None:
        return None
    vectors = np.empty_like(encoded)
    vectors[np.concatenate([order[rank :: ranks.size] for rank in range(ranks.size)])] = encoded
    return vectors


def _join() -> None:
    """Join the group once; this process's GPU becomes its current one."""
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        return
    backend = "gloo"
    if torch.cuda.is_available():
        local, needed = int(os.environ.get("LOCAL_RANK") or 0), int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
        if torch.cuda.device_count() < needed:
            raise InputError(
                f"{needed} processes and {torch.cuda.device_count()} GPUs on this machine; give every process its own "
                "GPU (machine.processes: auto), or hide them (CUDA_VISIBLE_DEVICES=)"
            )
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=timedelta(hours=2))  # the first may be long at what it does alone
    if backend == "gloo":
        atexit.register(_leave)


def _leave() -> None:
    """Leave the group while Python still stands, without waiting for anybody.

    A thread of gloo's may hold the last call's tensor for a moment after the call; letting it go when Python is already
    ending aborts the process. NCCL is left alone: its farewell waits for ranks that may be gone.
    """
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def _pieces(rows: NDArray[Any]) -> "Iterable[Tensor]":
    """Views of an array's bytes, `PIECE` at a time."""
    import torch

    content = torch.from_numpy(rows.reshape(-1).view(np.uint8))
    return torch.split(content, PIECE) if len(content) else ()


def _buckets(weights: Sequence["Tensor"]) -> "Iterable[list[Tensor]]":
    """Weights of one dtype, about `PIECE` bytes at a time."""
    bucket: list[Tensor] = []
    size = 0
    for weight in weights:
        if bucket and (size > PIECE or weight.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(weight)
        size += weight.numel() * weight.element_size()
    if bucket:
        yield bucket
