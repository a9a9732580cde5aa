"""bench.live: the servers of a small site answer whatever the load asks, and the plain table beside them."""

from pathlib import Path

import pytest

from bench.live.servers import measure

pytestmark = pytest.mark.slow


def test_the_servers_of_a_small_site_answer_every_request_of_each_load(tmp_path: Path) -> None:
    content, table = measure(tmp_path / "no bundle", workers=1, seconds=0.5, size=0.05)
    assert content["failed"] == 0
    for figure in ("full_rps", "list_rps", "events_rps", "plain_rps"):
        assert content[figure] > 0, table
        assert content["cpu_ms"][figure.split("_")[0]] > 0
    assert content["p99_ms_at_150"] >= content["p50_ms_at_150"] > 0
    assert 0.02 < content["worker_gb"] < 1
    assert "| re-ranked, at most |" in table
