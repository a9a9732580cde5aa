"""Two real processes over gloo do together what one does alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nightmarket.encoding.encoder import Encoder
from nightmarket.encoding.ranks import ALONE, Ranks, encode_shared

ROOT = Path(__file__).parents[3]
WORDS = ("whole", "milk", "rye", "bread", "green", "tea", "dark", "chocolate", "of", "the")
TEXTS = [" ".join(WORDS[i % 10 : i % 10 + 1 + i % 4] + WORDS[i % 3 : 2 + i % 7]) for i in range(37)]
TOGETHER = """
import sys
import numpy as np, torch
sys.path.insert(0, {tests!r})
from test_ranks import TEXTS, network, loss
from nightmarket.encoding import ranks as module
from nightmarket.encoding.encoder import Encoder
module.PIECE = 16  # everything travels in many pieces
ranks = module.Ranks.current()
found = {{"rank": ranks.gather(np.full((3 - ranks.rank, 2), ranks.rank, np.int16))}}
found["agreed"] = ranks.agree(np.arange(5) if ranks.first else np.zeros(0, np.int64))
found["nothing"] = ranks.gather(np.zeros((0, 4), np.float32))
weights = network()
own = ranks.share(6)
loss(weights, own, ranks).backward()
ranks.average_gradients(weights.values())
found |= {{f"gradient.{{name}}": p.grad.numpy() for name, p in weights.items() if p.grad is not None}}
found["unused"] = np.array(weights["unused"].grad is None)
found["mean"] = np.array(ranks.mean(float(ranks.rank)))
same = torch.full((3,), float(ranks.rank))
ranks.broadcast([same])
ranks.counts(0)
found["same"] = ranks.gather(same.numpy())
told = []
found["vectors"] = module.encode_shared(Encoder.load({model!r}), TEXTS, ranks, lambda *done: told.append(done[:2]))
if ranks.first:
    assert told[-1] == (len(TEXTS), len(TEXTS))
    np.savez({out!r}, **found)
"""


def network() -> dict[str, torch.nn.Parameter]:
    """A layer, a weight that only the last rows use, and one that nobody uses."""
    start = {"layer": torch.arange(12.0).reshape(4, 3).cos(), "late": torch.ones(1), "unused": torch.ones(2)}
    return {name: torch.nn.Parameter(value) for name, value in start.items()}


def loss(weights: dict[str, torch.nn.Parameter], own: slice, ranks: Ranks) -> torch.Tensor:
    """Each row against the rows of all ranks: cross-entropy, the mean over the own rows."""
    vectors = torch.arange(24.0).reshape(6, 4).sin()[own] @ weights["layer"]
    if own.stop == 6:
        vectors = torch.cat([vectors[:-1], vectors[-1:] * weights["late"]])
    scores = vectors @ ranks.all_gather(vectors).T
    return torch.nn.functional.cross_entropy(scores, torch.arange(own.start, own.stop))


@pytest.fixture(scope="module")
def together(tiny_bert, tmp_path_factory) -> dict[str, np.ndarray]:
    """What two processes found, from rank 0."""
    folder = tmp_path_factory.mktemp("ranks")
    script, out = folder / "together.py", folder / "found.npz"
    script.write_text(TOGETHER.format(tests=str(Path(__file__).parent), model=str(tiny_bert), out=str(out)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(out))


def test_rows_come_in_the_order_of_the_ranks_however_many_each_has(together):
    assert together["rank"].tolist() == [[0, 0]] * 3 + [[1, 1]] * 2
    assert together["rank"].dtype == np.int16
    assert together["nothing"].shape == (0, 4)


def test_all_agree_on_what_the_first_has(together):
    assert together["agreed"].tolist() == [0, 1, 2, 3, 4]
    assert together["same"].tolist() == [0.0] * 6
    assert together["mean"] == 0.5


def test_a_gradient_through_everybodys_rows_is_that_of_one_process(together):
    weights = network()
    loss(weights, slice(0, 6), ALONE).backward()
    for name in ("layer", "late"):
        assert np.allclose(together[f"gradient.{name}"], weights[name].grad.numpy(), rtol=1e-5, atol=1e-7)
    assert np.abs(together["gradient.late"]).max() > 1e-3
    assert together["unused"]  # no gradient is not a gradient of zero, which a decay would act upon


def test_texts_encoded_together_have_the_bytes_of_one_process(together, tiny_bert):
    assert together["vectors"].tobytes() == Encoder.load(str(tiny_bert)).encode(TEXTS).tobytes()


@pytest.mark.parametrize(("num", "size"), [(7, 3), (2, 3), (0, 2), (6, 2)])
def test_shares_are_the_whole_in_order(num, size):
    shares = [Ranks(rank, size).share(num) for rank in range(size)]
    assert [row for share in shares for row in range(num)[share]] == list(range(num))
    assert max(len(range(num)[share]) for share in shares) - min(len(range(num)[share]) for share in shares) <= 1


def test_alone_nothing_is_copied():
    rows = np.ones((2, 3))
    assert ALONE.gather(rows) is ALONE.agree(rows) is rows
    vectors = torch.ones(2, 3)
    assert ALONE.all_gather(vectors) is vectors
    assert Ranks.current() == ALONE


def test_alone_the_encoder_is_called_as_ever(tiny_bert):
    encoder = Encoder.load(str(tiny_bert))
    assert encode_shared(encoder, TEXTS, ALONE).tobytes() == encoder.encode(TEXTS).tobytes()


def test_without_others_torch_is_not_imported():
    code = "import sys; from nightmarket.encoding.ranks import Ranks; Ranks.current(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
