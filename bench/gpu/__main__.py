"""Everything that a GPU does for a night, tried within minutes on a bare machine; one JSON object at the end.

python -m bench.gpu --pack /tmp/gpu-files       # here: an encoder in bf16 and a made-up night, at most 64 MB
python -m bench.gpu --files /tmp/gpu-files      # there: eight minutes, with whatever torch and transformers it has
python -m bench.gpu --dry                       # the same paths on a CPU

Each step runs in a process of its own until its time is up; what it had told by then stays. A package that a step
needs and the machine lacks is named; the other steps run.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.gpu.plan import FIRST, PLAN, PlannedStep, missing, seconds_until

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Exit code 0 where every step was done, 1 where one was not, 2 where none could begin."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="that all of it may take")
    parser.add_argument("--dry", action="store_true", help="on the CPU, with tiny models")
    parser.add_argument("--files", type=Path, help="what --pack wrote")
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="write what travels, and end")
    parser.add_argument("--night", type=Path, help="with --pack: a checkout after its night; without: a made-up shop")
    parser.add_argument("--only", nargs="+", choices=[step.name for step in PLAN], metavar="STEP")
    parser.add_argument("--out", type=Path, help="a file that has the JSON object after every step")
    given = parser.parse_args()
    if lacking := missing(FIRST):
        print(f"bench.gpu: {', '.join(lacking)} is missing here; install it and begin again", file=sys.stderr)
        return 2
    if given.pack:
        from bench.gpu.night import pack

        print(f"{given.pack}: {pack(given.pack, given.night):,} bytes")
        return 0
    if not given.dry and not _has_gpu():
        print("bench.gpu: no GPU is at hand; --dry runs the same paths on the CPU", file=sys.stderr)
        return 2
    results = Results(given.minutes, given.dry, given.out)
    with tempfile.TemporaryDirectory(prefix="nightmarket-gpu-") as folder:
        try:
            run_all(results, Path(folder), given.files, given.only)
        except KeyboardInterrupt:
            results.write()
    print(results.write())
    return 0 if results.complete else 1


class Results:
    """What was measured so far."""

    def __init__(self, minutes: float, dry: bool, out: Path | None) -> None:
        self.minutes, self.dry, self._out = minutes, dry, out
        self.steps: dict[str, dict[str, Any]] = {}
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    @property
    def complete(self) -> bool:
        """Whether every step that began was done."""
        return bool(self.steps) and all(step["status"] == "done" for step in self.steps.values())

    def write(self) -> str:
        """The JSON object; kept in the file, too."""
        facts = {"minutes": self.minutes, "dry": self.dry, "seconds": round(self.seconds, 1), "complete": self.complete}
        text = json.dumps(facts | {"steps": self.steps})
        if self._out is not None:
            self._out.write_text(text + "\n", encoding="utf-8")
        return text


def run_all(results: Results, folder: Path, files: Path | None, only: list[str] | None) -> None:
    """Every step of the plan in order."""
    ends = seconds_until(results.minutes)
    for step in PLAN:
        if only and step.name not in only:
            continue
        lacking = missing(step.needs)
        if lacking:
            results.steps[step.name] = {"status": "missing", "packages": lacking}
        else:
            results.steps[step.name] = _run(step, ends[step.name] - results.seconds, folder, files, results.dry)
        results.write()
        told = {name: value for name, value in results.steps[step.name].items() if name != "log"}
        print(f"{results.seconds:6.1f} s  {step.name}: {json.dumps(told)}", flush=True)


def _run(step: PlannedStep, limit_s: float, folder: Path, files: Path | None, dry: bool) -> dict[str, Any]:
    """The step in a process of its own, which ends with all that it started when the time is up."""
    command = [sys.executable, "-m", "bench.gpu.step", step.name, str(folder)]
    command += (["--files", str(files.resolve())] if files else []) + (["--dry"] if dry else [])
    log, started = folder / f"{step.name}.log", time.monotonic()
    with log.open("w", encoding="utf-8") as said:
        child = subprocess.Popen(
            command, cwd=ROOT, env=_environment(dry), stdout=said, stderr=said, start_new_session=True
        )
        try:
            code: int | None = child.wait(max(limit_s, 1.0))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    facts: dict[str, Any] = {"status": "time" if code is None else "failed" if code else "done"}
    facts["seconds"] = round(time.monotonic() - started, 1)
    told = folder / f"{step.name}.jsonl"
    for line in told.read_text(encoding="utf-8").splitlines() if told.exists() else ():
        facts |= json.loads(line)
    if code:
        facts["why"] = (log.read_text(encoding="utf-8").strip().splitlines() or ["it said nothing"])[-1]
    return facts


def _environment(dry: bool) -> Mapping[str, str]:
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if dry else {}
    return {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true", "PYTHONPATH": str(ROOT)} | hidden


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
