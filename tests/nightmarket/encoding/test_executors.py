import threading

import pytest
import torch

from nightmarket.encoding import executors
from nightmarket.encoding.encoder import Encoder

EXECUTORS = [executors.on_threads, executors.one_by_one]


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_results_come_in_the_order_of_the_batches_and_without_gradients(executor, threads):
    results = list(executor(lambda number: torch.full((2,), float(number)), range(40)))
    assert [(batch, result[0].item()) for batch, result in results] == [(number, number) for number in range(40)]
    assert all(result.is_inference() for _, result in results)
    assert torch.get_num_threads() == threads


def test_each_batch_runs_on_one_core_and_batches_are_taken_only_a_few_ahead(threads):
    taken, inside = [], []

    def batches():
        for number in range(50):
            taken.append(number)
            yield number

    def work(number):
        inside.append((torch.get_num_threads(), threading.current_thread().name))
        return torch.zeros(1)

    for number, _ in executors.on_threads(work, batches()):
        assert len(taken) <= number + threads + 5
    assert {used for used, _ in inside} == {1}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_in_a_batch_reaches_the_caller_and_threads_are_put_back(executor, threads):
    def work(number):
        if number == 7:
            raise RuntimeError("batch 7")
        return torch.zeros(1)

    with pytest.raises(RuntimeError, match="batch 7"):
        list(executor(work, range(30)))
    assert torch.get_num_threads() == threads


def test_a_caller_that_stops_early_leaves_nothing_running(threads):
    running = executors.on_threads(lambda number: torch.zeros(1), range(1000))
    next(running)
    running.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("encode")]
    assert torch.get_num_threads() == threads


def test_vectors_are_the_same_bits_on_any_number_of_threads(tiny_bert, threads):
    encoder = Encoder.load(str(tiny_bert), "float32")
    words = ["whole", "milk", "rye", "bread", "green", "tea"]
    texts = [f"{a} {b} {c}"[: 5 + 3 * i] for i, (a, b, c) in enumerate(zip(words, words[1:], words[2:], strict=False))]
    vectors = encoder.encode(texts)
    torch.set_num_threads(1)
    assert (vectors == encoder.encode(texts)).all()
