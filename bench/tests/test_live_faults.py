"""bench.live: nothing acknowledged is lost, and every answer comes, in a small form of its kills and changes."""

from pathlib import Path

import pytest

from bench.live import faults, fuzz

pytestmark = pytest.mark.slow


def test_no_acknowledged_event_is_lost_or_doubled_and_no_answer_fails_when_champions_change(tmp_path: Path) -> None:
    content, table = faults.measure(tmp_path / "none", kills=2, champions=2, frozen_s=1.0, size=0.05)
    assert set(content) == {"kills", "champions", "frozen"}
    for fault, said in content.items():
        assert (said["lost"], said["doubled"]) == (0, 0), table
        assert said["acknowledged"] > 20, fault
        assert said["answers"] > 20
    assert content["champions"]["failed"] == 0
    assert content["frozen"]["failed"] == 0


def test_fuzzed_requests_bring_no_error_of_ours(tmp_path: Path) -> None:
    content, line = fuzz.measure(tmp_path / "none", 800, size=0.05)
    assert (content["errors_of_ours"], content["tracebacks"], content["errors_logged"]) == (0, 0, 0), line
    assert content["statuses"]["200"] > 50
    assert content["statuses"]["422"] > 50
