"""By hand: plan and write the launch of new products, wait for a person's approval, export who gets what and when."""

import contextlib
from typing import Any

from prefect.client.schemas import State

from flows.campaign import check_segments, num_days, said
from flows.engine.approval import approval, contacts
from flows.engine.forms import campaign as fields
from flows.engine.forms import terminal
from flows.engine.forms.form import WaitMinutes
from flows.engine.reporting.outcome import one_line_flow
from flows.engine.run.run import open_run
from tasks.campaigns import export
from tasks.files import catalogue, storage


@one_line_flow("launch", "{name}")
async def launch(
    name: fields.CampaignName,
    products: fields.NewProducts,
    budget: fields.Budget,
    reach: fields.Reach = 0.5,
    goal: fields.Goal = "responses",
    start: fields.Day = "",
    end: fields.Day = "",
    segments: fields.Names = [],  # noqa: B006 - a parameter's default in the form
    holdout: fields.HoldoutShare = None,
    excel: bool = False,
    approval_minutes: fields.ApprovalMinutes = 480,
    wait_minutes: WaitMinutes = 240,
) -> State[contacts.Decided]:
    """Audience, hours, test and texts of a launch, shown for approval, then exported; nothing is trained.

    Args:
        name: Name of the launch and of its folder below exports/: letters, digits, - and _, no spaces.
        products: The new products: a product_id of the catalogue without sales, or title, category and price.
        budget: What the contacts may cost together, in the shop's currency.
        reach: Share of the expected buyers that the audience shall hold, 0 to 1; the likeliest customers come first.
        goal: responses: buyers, within the budget; profit: only contacts that are expected to pay for themselves.
        start: First day that contacts go out on, YYYY-MM-DD. Empty: the day that the last night prepared.
        end: Last day, YYYY-MM-DD, which needs a start too. Empty: as many days as params.yaml says (launch.days).
        segments: Whom to contact: numbers of segments, as the morning page shows them. Empty: everybody.
        holdout: Share of the audience kept back at random, .01 to .9. Empty: as params.yaml says.
        excel: Mark the CSV files as UTF-8 for Excel, which garbles Chinese otherwise. For mail tools leave it off.
        approval_minutes: How long the plan waits for a person; after that nothing is exported.
        wait_minutes: How long to wait while another run holds the lock.
    """
    home = storage.home()
    export.folder(home, name)
    check_segments(home, segments)
    changes: dict[str, Any] = {"launch.name": name, "launch.budget": budget, "launch.goal": goal}
    changes |= {"launch.start": start, "launch.days": num_days(start, end), "launch.holdout": holdout}
    changes |= {"launch.segments": segments, "launch.reach": reach}
    changes["launch.products"] = [product.model_dump(mode="json", exclude_defaults=True) for product in products]
    with contextlib.ExitStack() as stack:
        async with open_run(f"launch-{name}", changes=said(changes), wait_minutes=wait_minutes) as run:
            approval.bury(home)
            run.require_data()
            run.require_champion()
            await run.launch()
            held = stack.enter_context(approval.held(run, name, catalogue.LAUNCH.path, catalogue.LAUNCH / export.TEXTS))
        return await contacts.decide(held, minutes=approval_minutes, excel=excel)


if __name__ == "__main__":
    terminal.hand_over("launch")
