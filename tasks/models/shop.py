"""What `prepare` wrote, as the arrays that learning from texts needs."""

import numpy as np

from nightmarket.histories import Histories, Window
from nightmarket.retrieval.quality import Judge
from nightmarket.retrieval.samples import Sampler
from tasks.files import storage

PREPARED = storage.ARTIFACTS / "prepare"


class Shop:
    """Histories, texts and windows.

    texts  T texts;  text_id (I,) text of each item;  kind (T,) number of the product type that a text is of, its own
    number where its products have none
    """

    def __init__(self) -> None:
        self.windows = storage.read_json(PREPARED / "windows.json")
        self.texts: list[str] = storage.read_table(PREPARED / "texts.parquet", ["text"])["text"].to_pylist()
        items = storage.read_table(PREPARED / "products.parquet")
        self.text_id = items["text_id"].to_numpy()
        self.first_week = items["first_week"].to_numpy()
        self.recommendable = np.asarray(items["recommendable"].to_pylist(), dtype=bool)
        types = items["type"].to_pylist() if "type" in items.column_names else [None] * len(self.text_id)
        self.kind = np.arange(len(self.texts), dtype=np.int64)
        number: dict[str, int] = {}
        for text, kind in zip(self.text_id.tolist(), types, strict=True):
            if kind:
                self.kind[text] = number.setdefault(kind, len(self.texts) + len(number))
        num_customers = storage.read_table(PREPARED / "customers.parquet", ["customer"]).num_rows
        lines = storage.read_table(PREPARED / "purchases.parquet")
        columns = {name: lines[name].to_numpy() for name in lines.column_names}
        self.histories = Histories(**columns, num_customers=num_customers, num_items=len(self.text_id))

    def window(self, name: str) -> Window:
        """One window of windows.json."""
        return Window(**self.windows[name])

    def judge(self, name: str) -> Judge:
        """Histories up to a window's cut, and its targets."""
        return Judge(self.histories, self.text_id, self.first_week, self.recommendable, self.window(name))

    def sampler(self, min_history: int) -> Sampler:
        """Training samples of the weeks up to the finetune window's cut."""
        window = self.window("finetune")
        past = self.histories.until(window.fit_until)
        return Sampler(past, self.text_id, window.fit_until, horizon(window), min_history, self.recommendable)


def horizon(window: Window) -> int:
    """Target weeks of a window."""
    return window.last_target - window.first_target + 1
