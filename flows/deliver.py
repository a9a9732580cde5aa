"""By hand: score and report again, from the current champion."""

from prefect import flow

from flows.engine.forms import terminal
from flows.engine.forms.form import Force, Overrides, WaitMinutes
from flows.engine.reporting import alerts
from flows.engine.reporting.outcome import Outcome, in_one_line, post_failure, show
from flows.engine.run.run import open_run


@flow(name="deliver", persist_result=False, on_failure=[post_failure], on_crashed=[post_failure])
@in_one_line
async def deliver(
    force: Force = [],  # noqa: B006 - a parameter's default in the form
    overrides: Overrides = {},  # noqa: B006
    wait_minutes: WaitMinutes = 240,
) -> Outcome:
    """Score … report, from the champion that is there.

    Args:
        force: Run these stages even if nothing that they depend on has changed.
        overrides: Values of params.yaml for this run only, as {"rank.seed": 18}; it is kept as a commit, not published.
        wait_minutes: How long to wait while another run holds the lock.
    """
    async with open_run("deliver", force=force, changes=overrides, wait_minutes=wait_minutes) as run:
        run.require_data()
        run.require_champion()
        await run.phase("deliver")
        outcome = run.finish("deliver")
        await show(run.tree, outcome)
        await alerts.tell("deliver", run, outcome)
        return outcome


if __name__ == "__main__":
    terminal.hand_over("deliver")
