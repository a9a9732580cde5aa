"""By hand: train and evaluate on the last snapshot, and let the gate decide."""

from prefect import flow

from flows.engine.forms import terminal
from flows.engine.forms.form import Force, Overrides, WaitMinutes
from flows.engine.reporting.outcome import Outcome, in_one_line, post_failure, show
from flows.engine.run.run import open_run


@flow(name="retrain", persist_result=False, on_failure=[post_failure], on_crashed=[post_failure])
@in_one_line
async def retrain(
    force: Force = [],  # noqa: B006 - a parameter's default in the form
    overrides: Overrides = {},  # noqa: B006
    wait_minutes: WaitMinutes = 240,
) -> Outcome:
    """Validate … register, on the snapshot that is there.

    Args:
        force: Run these stages even if nothing that they depend on has changed.
        overrides: Values of params.yaml for this run only, as {"rank.seed": 18}; it is kept as a commit, not published.
        wait_minutes: How long to wait while another run holds the lock.
    """
    async with open_run("retrain", force=force, changes=overrides, wait_minutes=wait_minutes) as run:
        run.require_data()
        await run.phase("retrain")
        await run.register()
        outcome = run.finish("retrain")
        await show(run.tree, outcome)
        return outcome


if __name__ == "__main__":
    terminal.hand_over("retrain")
