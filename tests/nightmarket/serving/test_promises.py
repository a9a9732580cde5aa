from nightmarket.serving.promises import delivered, row

FIGURE = {"value": 0.4, "low": 0.3, "high": 0.5}


def test_a_row_has_the_figures_of_the_three_tasks_with_intervals():
    metrics = {"all": {"ndcg@10": FIGURE, "mrr@10": FIGURE}, "launch": {"ndcg@10": FIGURE}, "rare": {"ndcg@10": FIGURE}}
    promise = row(3, "refused", {"as_of": "2018-01-01", "metrics": metrics, "against": "version 2"})
    assert promise["figures"] == {"all": FIGURE, "launch": FIGURE}
    assert (promise["value"], promise["difference"]) == (0.4, None)


def test_a_version_without_spans_on_record_delivered_until_the_next_one_began():
    hand = [{"since": "2026-01-05", "until": None, "by": "promote"}]
    versions = [
        (1, "2026-01-01", "opened", None),
        (2, "2026-01-02", "refused", None),
        (3, "2026-01-03", "opened", None),
        (4, "2026-01-04", "refused", hand),
        (5, "2026-01-06", "pending", None),
    ]
    assert delivered(versions) == {
        1: [{"since": "2026-01-01", "until": "2026-01-03", "by": "gate"}],
        3: [{"since": "2026-01-03", "until": "2026-01-05", "by": "gate"}],
        4: hand,
    }
