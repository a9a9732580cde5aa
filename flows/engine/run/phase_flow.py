"""The flows that run one phase of dvc.yaml by hand, `retrain` and `deliver`, from one definition."""

from typing import Any

from prefect import Flow

from flows.engine.forms.form import Force, Overrides, WaitMinutes
from flows.engine.reporting import alerts
from flows.engine.reporting.outcome import RunOutcome, one_line_flow, show
from flows.engine.run.run import open_run


def phase_flow(phase: str, about: str) -> Flow[..., Any]:
    """The flow of the phase's name, on the snapshot that is there.

    Training ends with the gate's word; delivery needs a champion, and people hear of it.

    about  what the flow does, in a sentence
    """

    async def run_phase(
        force: Force = [],  # noqa: B006 - a parameter's default in the form
        overrides: Overrides = {},  # noqa: B006
        wait_minutes: WaitMinutes = 240,
        strict: bool = False,
    ) -> RunOutcome:
        """ABOUT

        Args:
            force: Run these stages even if nothing that they depend on has changed.
            overrides: Values of params.yaml for this run only, as {"rank.seed": 18}; it is kept as a commit, not published.
            wait_minutes: How long to wait while another run holds the lock.
            strict: End the run where a stage fails that nothing which serves customers needs, and publish nothing.
        """  # noqa: E501
        async with open_run(phase, force=force, changes=overrides, wait_minutes=wait_minutes, strict=strict) as run:
            run.require_data()
            if phase == "deliver":
                run.require_champion()
            await run.phase(phase)
            if phase == "retrain":
                await run.register()
            outcome = run.finish(phase)
            outcome = await run.sink(outcome) if phase == "deliver" else outcome
            await show(run.tree, outcome)
            await (alerts.tell if phase == "deliver" else alerts.tell_incomplete)(phase, run, outcome)
            return outcome

    run_phase.__name__, run_phase.__doc__ = phase, str(run_phase.__doc__).replace("ABOUT", about)
    return one_line_flow(phase)(run_phase)
