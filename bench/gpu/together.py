"""The step `ranks`: a process per GPU over NCCL, two over gloo in a dry run, beside what one process does.

torchrun … -m bench.gpu.together FOLDER FILES OUT [--dry]
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from bench.gpu.world import World
from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.ranks import ALONE, Ranks, encode_shared

DRY_PROCESSES = 2
MEGABYTES = 256


def ranks(world: World) -> None:
    """Start them, and compare what the first wrote with what one process does."""
    number = DRY_PROCESSES if world.dry else torch.cuda.device_count()
    out = world.folder / "together.npz"
    starter = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    own = ["-m", "bench.gpu.together", str(world.folder), str(world.files or ""), str(out)]
    done = subprocess.run([*starter, *own, *(["--dry"] if world.dry else [])], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{number} processes ended with exit code {done.returncode}: {done.stderr.strip()[-400:]}")
    gradient = learned(ALONE)
    vectors = Encoder.load(world.encoder(), "float32").encode(world.texts()[: world.sizes.num_equal])
    with np.load(out) as shared:
        apart = float(np.abs(shared["gradient"] - gradient).max())
        cosine = float((shared["vectors"] * vectors).sum(axis=1).min())
        world.tell(
            processes=number,
            backend=str(shared["backend"]),
            all_reduce_gb_per_s=round(float(shared["speed"]), 2),
            sums_right=bool(shared["sums_right"]),
            largest_gradient_difference=apart,
            min_cosine=round(cosine, 6),
            equal=apart < 1e-4 and cosine > 0.9999 and bool(shared["sums_right"]),
        )


def learned(group: Ranks) -> np.ndarray:
    """The gradient of rows against the rows of all, by shares."""
    device = group.device
    weight = torch.nn.Parameter(torch.arange(12.0, device=device).reshape(4, 3).cos())
    own = group.share(8)
    rows = torch.arange(32.0, device=device).reshape(8, 4).sin()[own] @ weight
    scores = rows @ group.all_gather(rows).T
    target = torch.arange(own.start, own.stop, device=device)
    torch.nn.functional.cross_entropy(scores, target).backward()
    group.average_gradients([weight])
    assert weight.grad is not None
    return weight.grad.cpu().numpy()


def work(world: World, out: Path) -> None:
    """What each process does; the first writes. 8 rows are shared, so that 1, 2, 4 or 8 have equal shares."""
    group = Ranks.current()
    if group.size == 1:  # alone, a group is joined only to have NCCL run
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    device = group.device
    values = torch.full((MEGABYTES // (64 if world.dry else 1) * 250_000,), float(group.rank + 1), device=device)
    dist.all_reduce(values)
    right = float(values[0]) == group.size * (group.size + 1) / 2
    started = time.perf_counter()
    dist.all_reduce(values)
    float(values[0])
    speed = values.numel() * 4 / 1e9 / (time.perf_counter() - started)
    gradient = learned(group)
    vectors = encode_shared(Encoder.load(world.encoder(), "float32"), world.texts()[: world.sizes.num_equal], group)
    if group.first and vectors is not None:
        backend = dist.get_backend() if device.type == "cpu" else "nccl"
        np.savez(out, gradient=gradient, vectors=vectors, speed=speed, sums_right=right, backend=backend)
    dist.barrier()


if __name__ == "__main__":
    place, files, target = sys.argv[1:4]
    work(World("ranks", Path(place), Path(files) if files else None, "--dry" in sys.argv), Path(target))
