"""The only module that uses Great Expectations: validate folded frames, render the Data Docs."""

import logging
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from nightmarket.contracts.refusals import Refusals
from nightmarket.contracts.sources import never_filled

LOGO = r"https://great-expectations-web-assets[^\"]*logo-long\.png[^\"]*"
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:1.5rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:left;vertical-align:top}
footer,.sticky>.card:has(.btn-group){display:none}nav,.card{height:auto!important;max-height:none!important}ol{padding-left:1rem}
.fa-check-circle::before{content:"\\2713";color:#176f2c}.fa-times::before{content:"\\2717";color:#b3261e}
.fas{font-style:normal}
"""
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _library() -> Any:
    """Great Expectations, quiet. Importing it takes seconds."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations

    return great_expectations


class Expectations:
    """An ephemeral context that validates one frame after another and remembers what the Data Docs need."""

    def __init__(self) -> None:
        self._gx = _library()
        from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

        stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
        config = DataContextConfig(store_backend_defaults=stores, analytics_enabled=False)
        self._context = self._gx.get_context(mode="ephemeral", project_config=config)
        self._context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        self._source = self._context.data_sources.add_pandas("snapshot")
        self._results: dict[str, Any] = {}
        self.num_expectations = 0

    def validate(self, suite: dict[str, Any], frame: pd.DataFrame) -> list[tuple[dict[str, Any], bool, list[int]]]:
        """Per expectation its meta, whether it holds, and the frame's rows that break it.

        Raises RuntimeError where an expectation could not be evaluated: that is our bug, and never "no bad rows".
        """
        name = suite["name"]
        if name not in self._results:
            self._context.suites.add(self._gx.ExpectationSuite(**suite))
            self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("snapshot")
            self.num_expectations += len(suite["expectations"])
        definition = self._source.get_asset(name).get_batch_definition("snapshot")
        result = definition.get_batch({"dataframe": frame}).validate(
            self._context.suites.get(name), result_format={"result_format": "COMPLETE"}
        )
        self._results.setdefault(name, result)
        return [self._outcome(name, outcome) for outcome in result.results]

    @staticmethod
    def _outcome(name: str, outcome: Any) -> tuple[dict[str, Any], bool, list[int]]:
        config = outcome.expectation_config
        if not outcome.success and not outcome.result:
            raise RuntimeError(f"{name}: {config.type} could not be evaluated: {outcome.exception_info}")
        return config.meta, bool(outcome.success), list(outcome.result.get("unexpected_index_list") or ())

    def write_docs(self, verdicts: list[Refusals], folder: Path, about: dict[str, Any]) -> None:
        """Data Docs as HTML, one page per table. They count rows of the table and quote no value.

        Dated with the business date, so that the same snapshot gives the same pages.
        """
        from great_expectations.core.run_identifier import RunIdentifier
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        as_of = about["as_of"]
        run = RunIdentifier(run_name=as_of, run_time=datetime.fromisoformat(as_of).replace(tzinfo=UTC))
        self._context.add_data_docs_site("nightmarket", _site(folder))
        for verdict in verdicts:
            result = self._results.get(verdict.table.name)
            if result is None:
                continue
            _count(result, verdict)
            result.meta = {
                "run_id": run,
                "great_expectations_version": self._gx.__version__,
                "batch_spec": {"data_asset_name": verdict.table.name},
            }
            key = ValidationResultIdentifier(ExpectationSuiteIdentifier(verdict.table.name), run, verdict.table.name)
            self._context.validation_results_store.set(key, result)
        self._context.build_data_docs(site_names=["nightmarket"])
        pages = {page.stem: page.relative_to(folder) for page in folder.glob("validations/**/*.html")}
        if set(pages) != set(self._results):
            raise RuntimeError(f"Data Docs: pages are missing: {sorted(set(self._results) - set(pages))}")
        for page in folder.rglob("*.html"):
            page.write_text(_still(page.read_text(encoding="utf-8"), page.relative_to(folder)), encoding="utf-8")
        (folder / "index.html").write_text(_index(verdicts, pages, about), encoding="utf-8")


def _site(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


def _still(html: str, page: Path) -> str:
    """The page on its own: no hour, no random ids, nothing fetched from elsewhere (styles, scripts, a logo).

    So it looks the same without a network, and the same snapshot gives the same bytes.
    """
    root = "../" * (len(page.parts) - 1)
    html = re.sub(LOGO, f"{root}static/images/logo-long.png", html)
    html = re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)
    html = re.sub(r'<link\b[^>]*href="https?://[^>]*>', "", html)
    html = html.replace("</head>", f"<style>{STYLE}</style></head>", 1)
    numbers: dict[str, str] = {}
    return re.sub(UUID, lambda match: numbers.setdefault(match[0], f"id-{len(numbers)}"), html)


def _index(verdicts: list[Refusals], pages: dict[str, Path], about: dict[str, Any]) -> str:
    """The first page: what came in, from whom, and what was set aside, with a link to each table's checks."""
    as_of = about["as_of"]
    rows = []
    for verdict in verdicts:
        name = verdict.table.name
        rows.append(_row(verdict, f'<a href="{pages[name].as_posix()}">{name}</a>' if name in pages else name))
        blank = never_filled(about, name)
        for source, part in verdict.parts().items():
            rows.append(_row(part, f"{name} of {escape(source)}", blank[source]))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Checked {as_of}</title>'
        f"<style>{STYLE}</style></head><body><h1>Checked tables, {as_of}</h1>"
        "<table><tr><th>table<th>rows<th>set aside<th>why</tr>" + "".join(rows) + "</table></body></html>\n"
    )


def _row(verdict: Refusals, name: str, blank: Sequence[str] = ()) -> str:
    why = [f"{escape(reason)}: {len(rows):,}" for reason, rows in verdict.refused.items()]
    why += [f"never filled: {', '.join(blank)}"] if blank else []
    return f"<tr><td>{name}<td>{verdict.num_rows:,}<td>{len(verdict.bad()):,}<td>{'; '.join(why)}</tr>"


def _count(result: Any, verdict: Refusals) -> None:
    """Replace counts of distinct values by counts of the table's rows, and drop every value."""
    for outcome in result.results:
        meta = outcome.expectation_config.meta
        if meta["scope"] == "table":
            outcome.success = True  # or the run would have stopped
            outcome.result = _of_table(outcome, verdict.num_rows)
            continue
        num_bad = len(verdict.refused.get(meta["reason"], ()))
        outcome.success = num_bad == 0
        outcome.result = {
            "element_count": verdict.num_rows,
            "unexpected_count": num_bad,
            "unexpected_percent": 100 * num_bad / verdict.num_rows,
            "partial_unexpected_list": [],
        }
    num_good = sum(bool(outcome.success) for outcome in result.results)
    num_all = len(result.results)
    result.success = num_good == num_all
    result.statistics = {
        "evaluated_expectations": num_all,
        "successful_expectations": num_good,
        "unsuccessful_expectations": num_all - num_good,
        "success_percent": 100 * num_good / num_all,
    }


def _of_table(outcome: Any, num_rows: int) -> dict[str, Any]:
    """What a check of the whole table saw: its rows, its columns or a type, which the folded frame has as they are."""
    if "row_count" in outcome.expectation_config.type:
        return {"observed_value": num_rows}
    if "proportion" in outcome.expectation_config.type:
        return {"observed_value": "some" if outcome.success else "none"}
    return {"observed_value": outcome.result["observed_value"]}
