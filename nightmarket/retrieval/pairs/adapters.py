"""Trainable weights of an encoder: all of them, or low-rank adapters (LoRA) on its linear layers.

Low-rank adaptation (Hu et al., 2021, "LoRA"): each weight W becomes W + (alpha / rank) B A, and only A and B learn.
What is handed on is always the plain network with the adapters merged in.
"""

import copy
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nightmarket.contracts import InputError
from nightmarket.encoding.encoder import Encoder

Method = Literal["full", "lora"]
_UNUSED = "pooler."  # the head of a BERT that takes no part in a vector


class Learner:
    """An encoder whose weights learn, in float32; the encoder that was given is not changed.

    dtype       precision of the encoders that are handed on
    encoder     float32 copy to train through: its network holds the adapters, if any
    parameters  those that learn, by name
    """

    def __init__(
        self, encoder: Encoder, method: Method, dtype: torch.dtype, rank: int = 16, alpha: int = 32, seed: int = 0
    ) -> None:
        self.dtype = dtype
        self._network = copy.deepcopy(encoder.model).float()
        self._network.requires_grad_(method == "full")
        self._adapters: Any = None
        if method == "lora":
            self._adapters = _adapted(self._network, rank, alpha, seed)
        self.encoder = with_network(encoder, self._network)
        self.parameters = {
            name: parameter
            for name, parameter in self._network.named_parameters()
            if parameter.requires_grad and not name.startswith(_UNUSED)
        }

    def weights(self) -> dict[str, NDArray]:
        """Copies of the parameters."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.parameters.items()}

    def load(self, weights: Mapping[str, NDArray]) -> None:
        """Put back what `weights` gave."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.from_numpy(np.array(weights[name])))

    def plain(self, weights: Mapping[str, NDArray]) -> Encoder:
        """A plain encoder of these weights, adapters merged."""
        kept = self.weights()
        self.load(weights)
        whole = copy.deepcopy(self._network if self._adapters is None else self._adapters)
        self.load(kept)
        network = whole if self._adapters is None else whole.merge_and_unload()
        return with_network(self.encoder, network.to(self.dtype))


def with_network(encoder: Encoder, network: nn.Module) -> Encoder:
    """The encoder's tokenizer and settings with another network."""
    prompts = (encoder.prompt, encoder.query_prompt)
    return Encoder(network, encoder.tokenizer, encoder.pooling, encoder.max_length, *prompts, cut=encoder.cut)


def _adapted(network: nn.Module, rank: int, alpha: int, seed: int) -> Any:
    """Adapters put into the network's linear layers, their start drawn from the seed."""
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    linear = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    linear = [name for name in linear if not name.startswith(_UNUSED)]
    if not linear:
        raise InputError("finetune.method is lora, but this encoder has no linear layer to adapt; use full")
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear, lora_dropout=0.0, bias="none")
    with torch.random.fork_rng(devices=[]):  # peft draws from the global generator; what it drew is replaced below
        adapters = LoraModel(network, {"default": config}, "default")
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if "lora_A" in name:
            bound = parameter.shape[1] ** -0.5
            start = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
            with torch.no_grad():
                parameter.copy_(start)
    return adapters
