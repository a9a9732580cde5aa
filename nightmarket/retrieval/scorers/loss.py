"""Losses of the scorers, over two kinds of candidates: all of the customer's own items, and a sample of the others.

Shapes: B customers, S sampled items, P (customer, item) pairs of the histories, R positives bought before, N new ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Logits:
    """Scores of a batch.

    shared  (B, S)  sampled items; -inf where the item is the customer's own
    log_q   (S,)    log probability that the item came into the sample
    own     (P,)    items bought before, with owners own_row (P,)
    """

    shared: Tensor
    log_q: Tensor
    own: Tensor
    own_row: Tensor


@dataclass(frozen=True)
class Wanted:
    """Positives: again (R,) places among the P pairs; new_row, new_column (N,) places in `shared`; weights above 0."""

    again: Tensor
    again_weight: Tensor
    new_row: Tensor
    new_column: Tensor
    new_weight: Tensor


Loss = Callable[[Logits, Wanted], Tensor]


def by_owner(values_P: Tensor, row_P: Tensor, num: int) -> Tensor:
    """(B,) log of the sum of exponentials of each customer's values; about -69 where there are none."""
    most = values_P.new_full((num,), -1e30).scatter_reduce(0, row_P, values_P.detach(), "amax").clamp(min=-1e4)
    total = values_P.new_zeros(num).index_add(0, row_P, (values_P - most.index_select(0, row_P)).exp())
    return total.clamp(min=1e-30).log() + most


def softmax_of_new(shared_BS: Tensor, log_q_S: Tensor, row_N: Tensor, column_N: Tensor) -> Tensor:
    """Mean of -log softmax over the sampled items with the logQ correction; every customer with n positives counts as
    sqrt(n) with one."""
    others = (shared_BS - log_q_S).logsumexp(dim=1)
    missed = others[row_N] - shared_BS[row_N, column_N]
    number = shared_BS.new_zeros(len(shared_BS)).index_add(0, row_N, shared_BS.new_ones(len(row_N)))
    weight = number[row_N].rsqrt()
    return (missed * weight).sum() / weight.sum()


def sampled_softmax(logits: Logits, wanted: Wanted) -> Tensor:
    """Weighted mean of -log softmax, with the logQ correction.

        z_other(b) = log sum over sampled items that are not b's own of exp(logit - log_q)
        z_all(b)   = log (exp z_other(b) + sum over b's own items of exp logit)
        loss       = z_all - logit     for an item bought before
                     z_other - logit   for a new one

    The own items are few and known, so they enter exactly; of the others each sampled one, divided by its chance to be
    sampled, stands for those that are not (Horvitz & Thompson, 1952; Yi et al., 2019). A new item competes with other
    new ones alone: its scorer start over what the customer buys anyway is nothing that one wants to learn.
    """
    others = (logits.shared - logits.log_q).logsumexp(dim=1)
    own = by_owner(logits.own, logits.own_row, len(others))
    row = logits.own_row[wanted.again]
    again = others.logaddexp(own)[row] - logits.own[wanted.again]
    new = others[wanted.new_row] - logits.shared[wanted.new_row, wanted.new_column]
    total = wanted.again_weight.sum() + wanted.new_weight.sum()
    return ((again * wanted.again_weight).sum() + (new * wanted.new_weight).sum()) / total.clamp(min=1e-9)


def negative_sampling(logits: Logits, wanted: Wanted) -> Tensor:
    """Binary cross-entropy of every (customer, item) pair, estimated from the sample; mean per customer.

        loss = sum over positives of softplus(-logit) - softplus(logit)
               + sum over own items of softplus(logit) + sum over sampled others of softplus(logit) / q

    Each sampled item stands for 1 / q items, so that the sigmoid is a probability over the whole catalogue and not over
    the sample. Weights of the positives are not used: they would bias that probability.
    """
    share = (-logits.log_q).exp()
    others = (functional.softplus(logits.shared) * share).sum()
    own = functional.softplus(logits.own).sum()
    again = logits.own[wanted.again]
    new = logits.shared[wanted.new_row, wanted.new_column]
    # softplus(-z) - softplus(z) = -z: a positive's term in the sums above is exchanged for its own.
    return (others + own - again.sum() - new.sum()) / len(logits.shared)
