"""Writers side by side: what was told wrong never stays, whoever wrote it."""

from bench.copy import figures, local_server, made_briefs, misinformed
from nightmarket.copywriting.writers.server import ServerAddress, ServerWriter
from nightmarket.copywriting.writers.template import TemplateWriter


def test_what_a_writer_was_told_wrong_is_not_kept():
    briefs = made_briefs(24, seed=2)
    known = misinformed(briefs, seed=2)
    assert sum(known[brief.key] != brief.facts for brief in briefs) >= 5
    rows = [figures(TemplateWriter(2), briefs, known, 3, seed=2)]
    with local_server(known) as url:
        rows.append(figures(ServerWriter(ServerAddress(url, "m", per_minute=10**9), 2), briefs, known, 3, seed=2))
    for row in rows:
        assert row["true_of_written"] < 0.9
        assert row["entailment_precision"] == 1.0
        assert row["coverage"] > 0.8
    assert rows[0]["passed_of_true"] == 1.0
