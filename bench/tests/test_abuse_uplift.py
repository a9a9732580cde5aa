"""Campaigns without an experiment claim nothing, and experiments do."""

import pytest

from bench.abuse import uplift


@pytest.mark.slow
def test_every_figure_of_campaigns_under_abuse_holds():
    rows = list(uplift.figures(quick=True))
    assert len(rows) == len(uplift.NULLS) + 2
    assert [row.what for row in rows if not row.holds] == []
