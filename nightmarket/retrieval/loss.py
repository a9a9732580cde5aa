"""The contrastive loss: a sampled softmax, corrected for how likely each negative was to be sampled.

Shapes: B customers, S sampled candidates, E width of the towers' space, P positive pairs.
"""

from torch import Tensor


def contrastive_loss(
    customers_BE: Tensor,
    items_SE: Tensor,
    log_q_S: Tensor,
    temperature: Tensor,
    row_P: Tensor,
    column_P: Tensor,
    weight_P: Tensor,
    offset_BS: Tensor | None = None,
) -> Tensor:
    """Weighted mean of -log softmax over the candidates, with the logQ correction.

        logit(b, s) = <customer b, item s> / temperature + offset(b, s)
        loss(b, p)  = log sum_s exp(logit(b, s) - log_q(s)) - logit(b, p)

    log_q_S   log probability that the candidate came into the sample; 0 for all is the full softmax
    row_P, column_P, weight_P   positive pairs: customer, candidate, weight above 0
    offset_BS log of the number of products that a candidate text stands for; -inf takes it out for that customer

    Popular products turn up as negatives of others more often than they are sold to them; without the correction they
    are pushed away for being popular (Yi et al., 2019, "Sampling-bias-corrected neural modeling"). The sum over the
    sample, each term divided by its chance to be in it, is an unbiased estimate of the sum over the catalogue
    (Horvitz & Thompson, 1952).
    """
    logits = (customers_BE @ items_SE.T).float() / temperature
    corrected = logits - log_q_S
    if offset_BS is not None:
        corrected = corrected + offset_BS
    missed = corrected.logsumexp(dim=1)[row_P] - logits[row_P, column_P]
    return (missed * weight_P).sum() / weight_P.sum()
