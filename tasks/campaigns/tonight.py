"""What may be delivered to whom tonight, from the tables that `prepare` wrote."""

from datetime import date

from nightmarket.delivery.deliverable import Deliverable
from tasks.files.prepared import Prepared


def deliverable(data: Prepared) -> Deliverable:
    """By tonight's stock, markets and ages, and by what came back."""
    windows = data.windows
    today = date.fromisoformat(windows.as_of)
    return Deliverable.of(data.products, data.customers, data.catalogue, data.histories, windows.deliver.cut, today)
