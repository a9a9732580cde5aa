"""An exported campaign on its way out: files for mail tools, posted contacts, and taking it back."""

import threading
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from apps.desk import campaigns
from apps.desk.visit import OfVisit
from nightmarket.contracts import InputError
from tasks.campaigns import handover, mailing, stopping
from tasks.campaigns.mailing import MailTool
from tasks.pipeline import settings

router = APIRouter()
Channel = Annotated[str, Query(max_length=60)]


@router.get("/campaigns/{run}/mail")
def ask_mail(visit: OfVisit, run: str, channel: Channel, done: str = "") -> Response:
    """What would go out on a channel at this moment, what falls and why, and the files of each tool."""
    folder = campaigns.files_of(visit, run)
    made = mailing.mailing(visit.home, folder.name, _channel(folder, channel))
    own = settings.desk(visit.home / settings.PARAMS)
    return visit.page(
        "mail.html",
        run=run,
        name=folder.name,
        made=made,
        tools=mailing.TOOLS,
        handover=own.handover,
        taken=len(handover.taken(visit.home, folder.name, channel) & {contact.key for contact in made.contacts}),
        done=done,
    )


@router.get("/campaigns/{run}/mail/file")
def download_mail(
    visit: OfVisit,
    run: str,
    channel: Channel,
    tool: MailTool,
    wave: Annotated[int, Query(ge=1, le=20)] = 1,
    excel: str = "",
) -> Response:
    """The file that a tool imports. Its addresses are kept nowhere; who took it is on record."""
    folder = campaigns.files_of(visit, run)
    made = mailing.mailing(visit.home, folder.name, _channel(folder, channel))
    content = mailing.lines(made, tool, wave, bool(excel))
    rows = content.count(b"\r\n") - 1
    about = {"addresses": made.addressed, "left_out": made.left_out.total(), "contacts": rows}
    visit.note("downloaded", run=run, name=folder.name, file=f"{channel}-{tool}-{wave}.csv", **about)
    names = {"content-disposition": f"attachment; filename*=UTF-8''{quote(f'{folder.name}-{channel}-{tool}.csv')}"}
    return Response(content, media_type="text/csv; charset=utf-8", headers=names)


@router.post("/campaigns/{run}/handover")
def hand_over(visit: OfVisit, run: str, channel: Annotated[str, Form(max_length=60)]) -> Response:
    """Post it to the mail tool, in the background; how far it is stands on the page."""
    folder = campaigns.files_of(visit, run)
    url = handover.address(settings.desk(visit.home / settings.PARAMS).handover)
    made = mailing.mailing(visit.home, folder.name, _channel(folder, channel))
    visit.note("handing over", run=run, name=folder.name, channel=channel, contacts=len(made.contacts))

    def work() -> None:
        try:
            came = handover.hand_over(visit.home, folder.name, made, url, visit.who)
        except InputError as error:
            came = handover.HandedOver(0, 0, str(error))
        about = {"contacts": came.now, "before": came.before, "why": came.why}
        visit.note("handed over", run=run, name=folder.name, channel=channel, **about)

    threading.Thread(target=work, name=f"handover {folder.name}", daemon=True).start()
    return visit.to(f"/campaigns/{run}/mail?channel={quote(channel)}&done=handover")


@router.post("/campaigns/{run}/stop")
def take_back(visit: OfVisit, run: str, why: Annotated[str, Form(max_length=500)]) -> Response:
    """It goes no further."""
    folder = campaigns.files_of(visit, run)
    stopping.stop(visit.home, folder.name, visit.who, why)
    visit.note("taken back", run=run, name=folder.name, why=" ".join(why.split()))
    return visit.to(f"/campaigns/{run}")


def _channel(folder: Path, channel: str) -> str:
    if channel not in mailing.channels(folder):
        raise HTTPException(404)
    return channel
