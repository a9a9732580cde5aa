"""Two towers over text vectors: what a customer has bought, and what a product's text says, in one space.

Shapes: B customers, H recency bins, K learned half-lives, D width of a text vector, E width of the towers' space,
I items, C customers.
A customer is a set of purchases of different age. Each of K learned half-lives weighs them in its own way; a small
network turns the K weighted means into the customer's vector. Two intents share everything but one input of that
network: `repertoire` looks for products that are on sale, `launch` for products that nobody has bought yet.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nightmarket.contracts import ModelError
from nightmarket.contracts.arrays import Float32s, Int32s, Int64s
from nightmarket.histories.calendar import weeks_before
from nightmarket.histories.histories import Histories
from nightmarket.retrieval.recency import AGES, pooled, ranges

INTENTS = ("repertoire", "launch")
_CHUNK = 256


@dataclass(frozen=True)
class TowerConfig:
    """Sizes of a tower.

    text_dim    D, width of the text vectors
    dim         E, width of the space in which customers and items meet
    hidden      units of the hidden layer of either tower
    half_lives  weeks; where the K learned half-lives start
    """

    text_dim: int
    dim: int = 128
    hidden: int = 512
    half_lives: tuple[float, ...] = (2.0, 6.0, 18.0, 54.0)


class Tower(nn.Module):
    """Customer and item tower; see the module's text."""

    def __init__(self, config: TowerConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        wide = len(config.half_lives) * config.text_dim
        self.log_rate = nn.Parameter(torch.log(np.log(2) / torch.tensor(config.half_lives, dtype=torch.float32)))
        self.log_temperature = nn.Parameter(torch.tensor(np.log(0.06), dtype=torch.float32))
        self.centre = nn.Parameter(torch.zeros(config.text_dim), requires_grad=False)
        self.item_linear = nn.Linear(config.text_dim, config.dim)
        self.item_hidden = nn.Linear(config.text_dim, config.hidden)
        self.item_out = nn.Linear(config.hidden, config.dim)
        self.customer_linear = nn.Linear(wide, config.dim, bias=False)
        self.customer_hidden = nn.Linear(wide + 1 + len(INTENTS), config.hidden)
        self.customer_out = nn.Linear(config.hidden, config.dim)
        self._start(seed)

    def _start(self, seed: int) -> None:
        # Our own generator: nothing seeds globally. The non-linear branches start at zero.
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                bound = parameter.shape[1] ** -0.5
                with torch.no_grad():
                    parameter.uniform_(-bound, bound, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        nn.init.zeros_(self.item_out.weight)
        nn.init.zeros_(self.customer_out.weight)

    def embed_items(self, text_vectors: Tensor) -> Tensor:
        """Unit vectors [N, E] of text vectors [N, D]."""
        x = functional.normalize(text_vectors - self.centre, dim=-1)
        return functional.normalize(self.item_linear(x) + self.item_out(functional.gelu(self.item_hidden(x))), dim=-1)

    def embed_customers(self, sums_BHD: Tensor, counts_BH: Tensor, intent: int) -> Tensor:
        """Unit vectors [B, E].

        sums_BHD   sum of the text vectors of the purchases in each recency bin
        counts_BH  number of purchases in each bin
        """
        ages = torch.tensor(AGES, dtype=torch.float32, device=sums_BHD.device)
        weight_KH = torch.exp(-self.log_rate.exp()[:, None] * ages[None, :])
        total = (counts_BH @ weight_KH.T)[..., None]
        mean = torch.einsum("kh,bhd->bkd", weight_KH, sums_BHD) / total.clamp(min=1e-6)
        mean = functional.normalize(mean - self.centre * (total > 1e-6), dim=-1).flatten(1)
        flag = torch.zeros(len(mean), len(INTENTS), device=mean.device)
        flag[:, intent] = 1
        length = torch.log1p(counts_BH.sum(dim=1, keepdim=True)) / 8
        hidden = functional.gelu(self.customer_hidden(torch.cat([mean, length, flag], dim=1)))
        return functional.normalize(self.customer_linear(mean) + self.customer_out(hidden), dim=-1)

    @torch.no_grad()
    def items(self, item_vectors: NDArray) -> Float32s:
        """Unit vectors float32 [I, E] of the items' text vectors [I, D]; customers are scored by dot product."""
        device = self.log_rate.device
        out = np.empty((len(item_vectors), self.config.dim), dtype=np.float32)
        for start in range(0, len(out), 8192):
            rows = torch.from_numpy(item_vectors[start : start + 8192].astype(np.float32)).to(device)
            out[start : start + 8192] = self.embed_items(rows).cpu().numpy()
        return out

    @torch.no_grad()
    def customers(
        self,
        item_vectors: NDArray,
        histories: Histories,
        cut: int,
        intent: str = "repertoire",
        rows: Int64s | None = None,
    ) -> Float32s:
        """Unit vectors float32 [C, E] of all customers as they stood at the end of the day `cut`.

        item_vectors  [I, D]  text vectors of the items (not those of `items`)
        histories     later lines are ignored
        intent        "repertoire" for products that are on sale, "launch" for products that nobody has bought
        rows          customers to compute; the others are zero. None: all

        A customer without purchases gets the vector of an empty history.
        """
        known = histories.until(cut)
        ptr = known.indptr
        table = torch.from_numpy(np.ascontiguousarray(item_vectors, dtype=np.float32)).to(self.log_rate.device)
        out = np.zeros((histories.num_customers, self.config.dim), dtype=np.float32)
        wanted = np.arange(len(out)) if rows is None else rows
        for start in range(0, len(wanted), _CHUNK):
            chosen = wanted[start : start + _CHUNK]
            lines, owner = ranges(ptr[chosen], ptr[chosen + 1])
            age = weeks_before(known.day[lines], cut)
            sums, counts = pooled(table, known.item[lines], owner, age, len(chosen))
            out[chosen] = self.embed_customers(sums, counts, INTENTS.index(intent)).cpu().numpy()
        return out

    def save(self) -> tuple[dict[str, Float32s], dict[str, Any]]:
        """Tensors and a JSON-able configuration from which `load` rebuilds the tower."""
        tensors = {name: value.detach().cpu().numpy().copy() for name, value in self.state_dict().items()}
        config = asdict(self.config) | {"half_lives": list(self.config.half_lives)}
        return tensors, config

    @classmethod
    def load(cls, tensors: Mapping[str, NDArray], config: Mapping[str, Any]) -> Self:
        """Rebuild a tower. Raises ModelError when tensors are missing, of the wrong shape or not finite."""
        tower = cls(TowerConfig(**{**config, "half_lives": tuple(config["half_lives"])}))
        wanted = tower.state_dict()
        for name, value in wanted.items():
            tensor = tensors.get(name)
            if tensor is None or tensor.shape != tuple(value.shape) or not np.isfinite(tensor).all():
                raise ModelError(f"tower: tensor '{name}' is missing or damaged; restore the model's folder")
        tower.load_state_dict({name: torch.from_numpy(np.array(tensors[name])) for name in wanted})
        return tower.eval()


def item_matrix(text_vectors: NDArray, text_id: Int32s) -> Float32s:
    """Text vector of each item, float32 [I, D]; items of the same text share their vector."""
    return text_vectors[text_id].astype(np.float32)
