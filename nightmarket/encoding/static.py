"""A static embedding as an encoder: one vector per token, and a text is the mean of its tokens' vectors.

No network runs, so it is hundreds of times as fast as a transformer; word order is lost. The folder is that of
sentence-transformers' StaticEmbedding: `tokenizer.json`, and one matrix `embedding.weight` in `model.safetensors`.
Shapes: T texts, V tokens of the vocabulary, W width, D = W or the cut.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np
import torch

from nightmarket.contracts import InputError
from nightmarket.contracts.arrays import Float32s
from nightmarket.encoding.encoder import Progress, Ticker
from nightmarket.encoding.folder import (
    ModelSettings,
    Role,
    find_file,
    kept_numbers,
    prompt_for,
    read_json,
    write_json,
    write_prompts,
)
from nightmarket.encoding.models import resolve_model

_CHUNK = 4096


def is_static(where: str) -> bool:
    """Whether a model's folder holds a static embedding, perhaps followed by a normalisation."""
    modules = read_json(where, "modules.json") or []
    return bool(modules) and str(modules[0]["type"]).endswith(".StaticEmbedding")


class StaticEncoder:
    """Tokenizer and matrix, with the interface of `Encoder` as far as texts go in and vectors come out.

    tokenizer   a `tokenizers.Tokenizer`;  weights  float32 [V, W];  the rest as in `Encoder`
    """

    def __init__(
        self, tokenizer: Any, weights: torch.Tensor, prompt: str = "", query_prompt: str = "", cut: int | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.weights = weights.detach().float().contiguous()
        self.prompt, self.query_prompt, self.cut = prompt, query_prompt, cut

    @classmethod
    def load(cls, model: str) -> Self:
        """Load a folder or hub id; InputError where it is incomplete, not finite, or holds further modules."""
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        where = resolve_model(model)
        modules = read_json(where, "modules.json") or []
        further = [str(m["type"]).rsplit(".", 1)[-1] for m in modules[1:]]
        if any(kind != "Normalize" for kind in further):
            raise InputError(f"model '{model}' has a module '{further[0]}' that is not supported; choose another model")
        root = PurePosixPath(str(modules[0]["path"]))
        paths = [find_file(where, str(root / name)) for name in ("model.safetensors", "tokenizer.json")]
        if paths[0] is None or paths[1] is None:
            raise InputError(f"model '{model}' lacks its model.safetensors or tokenizer.json; fetch it again")
        weights = load_file(paths[0]).get("embedding.weight", torch.empty(0))
        tokenizer = Tokenizer.from_file(str(paths[1]))
        if weights.ndim != 2 or len(weights) < tokenizer.get_vocab_size() or not bool(torch.isfinite(weights).all()):
            raise InputError(f"model '{model}': its matrix lacks some tokens or is not finite; fetch it again")
        said = read_json(where, "config_sentence_transformers.json") or {}
        cut = kept_numbers(said.get("truncate_dim"), int(weights.shape[1]))
        return cls(tokenizer, weights, prompt_for("document", said), prompt_for("query", said), cut)

    @property
    def device(self) -> torch.device:
        """Where the matrix lies: always the CPU."""
        return self.weights.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the matrix."""
        return self.weights.dtype

    @property
    def width(self) -> int:
        """Length of a token's vector."""
        return int(self.weights.shape[1])

    @property
    def dim(self) -> int:
        """Length of a text's vector."""
        return self.cut or self.width

    def tokenize(self, texts: Sequence[str], role: Role = "document") -> list[list[int]]:
        """Token ids of each text, without special tokens, of any length; an empty text has none."""
        prompt = self.query_prompt if role == "query" else self.prompt
        encodings = self.tokenizer.encode_batch([prompt + text for text in texts], add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def encode(self, texts: Sequence[str], progress: Progress | None = None, role: Role = "document") -> Float32s:
        """Unit vectors float32 [T, D], in the order of the texts; zero for a text without a token."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        ticker = Ticker(len(texts), progress)
        for start in range(0, len(texts), _CHUNK):
            ids = self.tokenize(texts[start : start + _CHUNK], role)
            offsets = torch.from_numpy(np.cumsum([0, *(len(row) for row in ids[:-1])]))
            flat = torch.tensor([token for row in ids for token in row], dtype=torch.long)
            with torch.inference_mode():
                mean = torch.nn.functional.embedding_bag(flat, self.weights[:, : self.cut], offsets, mode="mean")
                vectors[start : start + len(ids)] = torch.nn.functional.normalize(mean, dim=-1).numpy()
            ticker.add(len(ids))
        return vectors

    def save(self, folder: Path) -> None:
        """Write a folder that `load` and sentence-transformers read."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({"embedding.weight": self.weights}, folder / "model.safetensors")
        self.tokenizer.save(str(folder / "tokenizer.json"))
        modules = (("", "StaticEmbedding"), ("1_Normalize", "Normalize"))
        write_json(
            folder / "modules.json",
            [
                {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for i, (path, kind) in enumerate(modules)
            ],
        )
        (folder / "1_Normalize").mkdir(exist_ok=True)
        write_prompts(folder, ModelSettings("mean", 0, self.prompt, self.query_prompt, self.cut))
