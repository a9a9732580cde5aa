"""The small Open Bandit Data certifies nothing."""

import pytest

from bench import offpolicy as bench


@pytest.mark.slow
def test_no_policy_is_certified_on_the_small_open_bandit_data():
    pytest.importorskip("obp")
    folder = bench.open_bandit_folder()
    for path in (folder / "random" / "men" / "men.csv", folder / "bts" / "men" / "men.csv"):
        log = bench.open_bandit_log(path)
        assert log.reward.sum() in (46, 69)
        evaluations = bench.open_bandit_verdicts(log, 0)
        assert len(evaluations) == 12
        evaluations |= {f"{name}, overfitted": evaluation for name, evaluation in bench.overfitted(log, 0).items()}
        assert not [name for name, evaluation in evaluations.items() if evaluation.verdict == "certified better"]
        assert all(evaluation.refusals for name, evaluation in evaluations.items() if name.endswith("careless"))
