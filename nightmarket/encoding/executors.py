"""Batches go through a forward pass in order, and the next are prepared while some are computed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

Batch = TypeVar("Batch")

_AHEAD = 3  # batches that wait beside those being computed


def on_threads(work: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    """(batch, work(batch)) in order, each batch on one core and as many batches at a time as torch has threads.

    Two cores on two batches never wait for each other, as they would on one, and a result does not depend on how many
    there are. The caller's thread meanwhile takes the next batches from the iterator: tokenisation runs there.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from ((batch, _inferred(work, batch)) for batch in batches)
        return
    pending: deque[tuple[Batch, Future[Tensor]]] = deque()
    with ThreadPoolExecutor(threads, "encode", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for batch in batches:
                pending.append((batch, pool.submit(_inferred, work, batch)))
                if len(pending) > threads + _AHEAD:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # a thread's own setting reaches what is global in MKL


def on_stream(work: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    """(batch, work(batch) on the CPU) in order: CUDA computes while results travel and batches are prepared."""
    pending: deque[tuple[Batch, Tensor, torch.cuda.Event]] = deque()

    def finished() -> tuple[Batch, Tensor]:
        batch, result, arrived = pending.popleft()
        arrived.synchronize()
        return batch, result

    for batch in batches:
        result = _inferred(work, batch)
        landing = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
        landing.copy_(result, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        pending.append((batch, landing, arrived))
        if len(pending) > _AHEAD:
            yield finished()
    while pending:
        yield finished()


def uploaded(ids: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Token ids [B, L] of equal length on a device, without waiting for the copy."""
    tokens = torch.tensor(ids)
    return tokens.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tokens.to(device)


def one_by_one(work: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    """(batch, work(batch)) in order, on all of torch's threads."""
    yield from ((batch, _inferred(work, batch)) for batch in batches)


def _inferred(work: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
    with torch.inference_mode():
        return work(batch)
