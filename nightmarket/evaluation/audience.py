"""How well one product's audience is ranked across customers."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def audience_auc(scores: NDArray[np.float64], bought: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(L,) area under the ROC curve per product: the chance that a buyer stands above a customer who did not buy.

    scores  (C, L)  comparable across customers; ties count half (Mann & Whitney, 1947)
    bought  (C, L)

    NaN for a product that nobody, or everybody, bought.
    """
    ranks = stats.rankdata(scores, axis=0)
    buyers = bought.sum(axis=0).astype(np.float64)
    others = bought.shape[0] - buyers
    with np.errstate(divide="ignore", invalid="ignore"):
        area: NDArray[np.float64] = ((ranks * bought).sum(axis=0) - buyers * (buyers + 1) / 2) / (buyers * others)
    return np.where((buyers > 0) & (others > 0), area, np.nan)
