"""The top layers of an encoder, ready to be trained on what the frozen layers below give.

Shapes: N texts, B texts of a batch, L tokens, D width. The frozen layers never change, so their output is computed once
per text and kept; training and re-encoding then run the top layers only.
"""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s, Int64s
from nightmarket.encoding.encoder import Encoder, Progress, Ticker, equal_length_batches, pool

_CHUNK = 64


@dataclass(frozen=True)
class Hidden:
    """Token states below the top layers: states [sum of lengths, D], text n has rows start[n] .. start[n + 1]."""

    states: Tensor
    start: Int64s

    def padded(self, rows: Int64s, device: torch.device) -> tuple[Tensor, Tensor]:
        """States [B, L, D] of some texts, zero beyond a text's end, and their mask [B, L]."""
        length = self.start[rows + 1] - self.start[rows]
        place = np.arange(int(length.max()))[None, :]
        mask = place < length[:, None]
        index = np.where(mask, self.start[rows][:, None] + place, 0)
        mask_BL = torch.from_numpy(mask).to(device)
        return self.states[torch.from_numpy(index)].to(device) * mask_BL[..., None], mask_BL


class TopLayers(nn.Module):
    """The last `num_layers` layers and the pooling of an encoder, in float32 masters; the encoder is not changed.

    Raises InputError for a network whose layers cannot be run one by one, or that has fewer layers.
    """

    def __init__(self, encoder: Encoder, num_layers: int) -> None:
        super().__init__()
        stack = getattr(getattr(encoder.model, "encoder", None), "layer", None)
        if not isinstance(stack, nn.ModuleList) or not 0 < num_layers <= len(stack):
            have = len(stack) if isinstance(stack, nn.ModuleList) else 0
            raise InputError(
                f"finetune.trained_layers is {num_layers}, but {have} layers of this encoder can be trained one by "
                "one; lower it (0 trains the towers alone and works with any encoder)"
            )
        self.num_frozen = len(stack) - num_layers
        self.pooling, self.cut = encoder.pooling, encoder.cut
        self._encoder = [encoder]  # in a list: not a part of this module
        with torch.no_grad():
            self.layers = nn.ModuleList(_copied(layer) for layer in stack[self.num_frozen :])
        self._check()

    def hidden(self, texts: Sequence[str], progress: Progress | None = None) -> Hidden:
        """What the frozen layers give for each text, in the encoder's precision."""
        encoder = self._encoder[0]
        ids = encoder.tokenize(texts)
        start = np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int64)
        states = torch.empty(int(start[-1]), encoder.width, dtype=encoder.dtype)
        stack = encoder.model.encoder.layer
        try:
            encoder.model.encoder.layer = stack[: self.num_frozen]
            for rows, batch in encoder.hidden_states(ids, progress):
                place = start[rows][:, None] + np.arange(batch.shape[1])[None, :]
                states[torch.from_numpy(place.ravel())] = batch.reshape(-1, batch.shape[2]).cpu()
        finally:
            encoder.model.encoder.layer = stack
        return Hidden(states, start)

    def forward(self, states_BLD: Tensor, mask_BL: Tensor | None) -> Tensor:
        """Unit vectors float32 [B, D]; differentiable."""
        attention = None if mask_BL is None else mask_BL[:, None, None, :]
        states = states_BLD
        for layer in self.layers:
            out = layer(states, attention_mask=attention)
            states = out[0] if isinstance(out, tuple) else out
        return pool(states, self.pooling, mask_BL, self.cut)

    def encode(self, hidden: Hidden, rows: Int64s, device: torch.device) -> Tensor:
        """Vectors [B, D] of some texts, in the order of `rows`; similar lengths go through together."""
        order = np.argsort(hidden.start[rows + 1] - hidden.start[rows], kind="stable")
        chunk = _CHUNK if device.type == "cpu" else len(rows)
        # On the CPU, attention by plain matrix products: its fused kernel takes half of the time in the backward pass.
        with sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext():
            parts = [
                self(*hidden.padded(rows[order[i : i + chunk]], device)) for i in range(0, len(order), max(chunk, 1))
            ]
        back = torch.from_numpy(np.argsort(order, kind="stable")).to(device)
        return torch.cat(parts)[back]

    def merged(self) -> Encoder:
        """The encoder with these layers in place of its own."""
        encoder = self._encoder[0]
        stack = encoder.model.encoder.layer
        for own, trained in zip(stack[self.num_frozen :], self.layers, strict=True):
            own.load_state_dict({name: value.to(encoder.dtype) for name, value in trained.state_dict().items()})
        return encoder

    def _check(self) -> None:
        probe = ["a probe of the layers", "milk"]
        encoder = self._encoder[0]
        with torch.no_grad(), torch.autocast(encoder.device.type, encoder.dtype, encoder.dtype != torch.float32):
            rows = np.arange(len(probe))
            split = self.encode(self.hidden(probe), rows, encoder.device).float().cpu().numpy()
        if not (split * encoder.encode(probe)).sum(axis=1).min() > 0.999:
            raise InputError("the layers of this encoder cannot be run one by one; set finetune.trained_layers to 0")


def re_encode(encoder: Encoder, hidden: Hidden, num_frozen: int, progress: Progress | None = None) -> Float32s:
    """Vectors [N, D] that `encoder.encode` would give, from kept states of its first `num_frozen` layers."""
    lengths = np.diff(hidden.start)
    vectors = np.zeros((len(lengths), encoder.dim), dtype=np.float32)
    ticker = Ticker(len(lengths), progress)
    with torch.inference_mode():
        for rows in equal_length_batches([range(length) for length in lengths], encoder.tokens_per_batch):
            states, _ = hidden.padded(rows, encoder.device)
            for layer in encoder.model.encoder.layer[num_frozen:]:
                out = layer(states)
                states = out[0] if isinstance(out, tuple) else out
            vectors[rows] = pool(states, encoder.pooling, cut=encoder.cut).cpu().numpy()
            ticker.add(len(rows))
    return vectors


def _copied(layer: nn.Module) -> nn.Module:
    twin = copy.deepcopy(layer).float().eval()
    for parameter in twin.parameters():
        parameter.requires_grad_(True)
    return twin
