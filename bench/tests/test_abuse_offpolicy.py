"""Spoiled logs certify nothing, and true ones are judged."""

import pytest

from bench.abuse import offpolicy


@pytest.mark.slow
def test_every_figure_of_logs_under_abuse_holds():
    rows = list(offpolicy.figures(quick=True))
    assert len(rows) == len(offpolicy.SABOTAGE) + len(offpolicy.TRUE) + 2
    assert [row.what for row in rows if not row.holds] == []
