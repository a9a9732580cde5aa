"""`python -m tasks STAGE`: run one stage on the files of the current folder."""

import importlib
import logging
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext

from nightmarket.contracts import InputError, NoRoomError
from tasks.files import storage
from tasks.pipeline import inputs, lifetime, outputs, processes, settings, unavailable

BAD_INPUT = 2
"""Exit code for a mistake in data or settings: the same input would fail again, so nobody retries it."""


def main(name: str) -> int:
    """Run the stage; one line on stderr and exit code 2 where its input is wrong."""
    # Libraries speak up only when something is wrong; the stage's own lines are its progress.
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout, force=True)
    logging.getLogger("nightmarket").setLevel(logging.INFO)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    known = (*settings.STAGES, *settings.STEPS)
    if name not in known:
        print(f"nightmarket: unknown stage '{name}'; there are {', '.join(known)}", file=sys.stderr)
        return BAD_INPUT
    started = time.perf_counter()
    try:
        if what := unavailable.read().get(name):
            unavailable.leave(what)
            return 0
        if not processes.enter(name):
            return 0
        settings.check_all(names=(name,), home=storage.home())
        num_processes = processes.wanted(name)
        if num_processes > 1:
            return processes.launch(name, num_processes)
        read = inputs.Inputs(name)
        storage.hook(f"{name}.begin")
        module = importlib.import_module(f"tasks.{name}")
        declared = getattr(module, "STAGE", None)
        with _one_thread_of_algebra() if declared is not None and declared.side else nullcontext():
            module.run(settings.load(name))
        storage.hook("stage.ran")
        storage.hook(f"{name}.ran", storage.ARTIFACTS / name)
        if declared is not None and declared.side:
            outputs.check((*declared.writes, *declared.metrics))
        read.check()
    except InputError as error:
        full = isinstance(error, NoRoomError) and inputs.last_size(name)
        more = f"; the last time {name} wrote {full:,} bytes in all" if full else ""
        processes.fail(BAD_INPUT, f"nightmarket: {name}: {error}{more}")
        return BAD_INPUT
    except Exception as error:
        if storage.is_full(error):
            place = {"snapshot": storage.RAW, "register": storage.home() / "mlruns"}
            full_disk = storage.no_room(place.get(name, storage.ARTIFACTS / name), inputs.last_size(name))
            processes.fail(BAD_INPUT, f"nightmarket: {name}: {full_disk}")
            return BAD_INPUT
        if processes.fail(1):
            raise
        return 1
    logging.getLogger("nightmarket").info("%s: done in %.1f s", name, time.perf_counter() - started)
    return 0


def _one_thread_of_algebra() -> AbstractContextManager[object]:
    """For side stages, whose systems are small and many: a second thread only waits, awake, and another stage beside it
    then takes up to ten times as long. Their last digits do not depend on the number of cores either."""
    import scipy.linalg  # noqa: F401  # with an OpenBLAS of its own, which has to be there to be told
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


if __name__ == "__main__":
    lifetime.collect_seldom()
    lifetime.leave(main(sys.argv[1] if len(sys.argv) > 1 else ""))
