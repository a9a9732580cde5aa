"""Optuna behind the few words that a search needs: a study that survives a kill and is gone on with by its name."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.engine.tuning.space import SearchPlan
from nightmarket.contracts import InputError

STARTUP_TRIALS = 4
"""Finished trials before one may be pruned, and before the sampler stops drawing at random."""

ENDED = ("COMPLETE", "PRUNED", "FAIL")


@dataclasses.dataclass(frozen=True)
class Ended:
    """A trial that is over; `figures` per window that was judged, `mean` over all windows where it finished."""

    number: int
    state: str
    values: dict[str, Any]
    figures: tuple[float, ...]
    mean: float | None
    is_baseline: bool


class Study:
    """The trials of one search, kept in mlruns/search.db."""

    def __init__(self, folder: Path, name: str, plan: SearchPlan) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.plan, self.name = plan, name
        self.optuna = optuna
        storage = f"sqlite:///{folder / 'search.db'}"
        self.study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        known = self.study.user_attrs.get("digest")
        if known is None:
            self.study.set_user_attr("digest", plan.digest)
            if all(dimension.holds(plan.baseline[dimension.key]) for dimension in plan.space):
                self.study.enqueue_trial(plan.baseline, user_attrs={"baseline": True})
        elif known != plan.digest:
            raise InputError(
                f"the search '{name}' has another space, metric, seed, other windows, parameters or data, so their "
                "figures cannot be compared; choose another name"
            )
        self._bring_back()
        drawn = len(self.study.get_trials(deepcopy=False))  # the same draws again would bring nothing after a kill
        startup = max(STARTUP_TRIALS, 2 * len(plan.space))
        self.study.sampler = optuna.samplers.TPESampler(seed=plan.seed + drawn, n_startup_trials=startup)
        self.study.pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)

    @property
    def parent(self) -> str | None:
        """The MLflow run of the search, when it has one."""
        return self.study.user_attrs.get("mlflow_run")

    @parent.setter
    def parent(self, run: str) -> None:
        self.study.set_user_attr("mlflow_run", run)

    def _bring_back(self) -> None:
        """Trials that a kill left open are closed, and their values come again first."""
        for trial in self.study.get_trials(deepcopy=False, states=(self.optuna.trial.TrialState.RUNNING,)):
            self.study.set_user_attr(f"killed {trial.number}", True)
            self.study.tell(trial.number, state=self.optuna.trial.TrialState.FAIL)
            if trial.params:
                kept = {"baseline": True} if trial.user_attrs.get("baseline") else None
                self.study.enqueue_trial(trial.params, user_attrs=kept)

    def ended(self) -> list[Ended]:
        """Trials that are over, in the order they began; those that a kill ended are not among them."""
        ended: list[Ended] = []
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.name in ENDED and not self.study.user_attrs.get(f"killed {trial.number}"):
                ended.append(self._ended(len(ended) + 1, trial))
        return ended

    def _ended(self, number: int, trial: Any) -> Ended:
        figures = tuple(value for _, value in sorted(trial.intermediate_values.items()))
        mean = trial.value if trial.state.name == "COMPLETE" else None
        values = trial.user_attrs.get("values", trial.params)
        return Ended(number, trial.state.name, values, figures, mean, bool(trial.user_attrs.get("baseline")))

    def best(self) -> Ended | None:
        """The finished trial with the highest mean; of equals the first."""
        finished = [trial for trial in self.ended() if trial.mean is not None]
        return max(finished, key=lambda trial: (trial.mean, -trial.number), default=None)

    @contextlib.contextmanager
    def trial(self) -> Iterator["Open"]:
        """Ask for the next trial; it is reported to the study as COMPLETE, PRUNED or FAIL when the block ends."""
        asked = self.study.ask()
        values = {dimension.key: dimension.suggest(asked) for dimension in self.plan.space}
        asked.set_user_attr("values", values)
        opened = Open(asked, values, len(self.ended()) + 1)
        yield opened  # what is not caught in the block leaves the trial open: it comes again
        state = getattr(self.optuna.trial.TrialState, opened.state)
        self.study.tell(asked, opened.mean, state=state)


class Open:
    """A trial under way."""

    def __init__(self, trial: Any, values: dict[str, Any], number: int) -> None:
        self.values, self.number = values, number
        self.figures: list[float] = []
        self.mean: float | None = None
        self.state = "FAIL"
        self._trial = trial

    def report(self, figure: float) -> None:
        """A window's figure."""
        self._trial.report(figure, len(self.figures))
        self.figures.append(figure)

    def hopeless(self) -> bool:
        """Whether the windows so far lie below the median of the other trials."""
        return bool(self._trial.should_prune())

    def prune(self) -> None:
        """Give it up."""
        self.state = "PRUNED"

    def finish(self) -> None:
        """All windows are judged."""
        self.state, self.mean = "COMPLETE", sum(self.figures) / len(self.figures)
