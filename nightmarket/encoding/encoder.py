"""A Hugging Face encoder as a function from texts to unit vectors.

Shapes: B texts of a batch, L tokens of a text, D width of the model.
Texts of equal length form a batch, so that there is no padding: nothing is computed for nothing, attention needs no
mask, and on a CPU a text's vector does not depend on its companions.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from nightmarket.contracts.arrays import Float32s, Int64s
from nightmarket.encoding import executors
from nightmarket.encoding.device import choose_device, choose_dtype
from nightmarket.encoding.folder import ModelSettings, Pooling, Role, load_parts, read_settings, write_settings
from nightmarket.encoding.forward import Forward, Quickest
from nightmarket.encoding.fused import Fused
from nightmarket.encoding.models import resolve_model

Progress = Callable[[int, int, float], None]

Batch = tuple[Int64s, list[Sequence[int]]]
"""Rows of texts of equal length, and their token ids."""

TOKENS_PER_BATCH = 1024
"""On a CPU: what lies between two products then stays in its cache."""

TOKENS_PER_BATCH_CUDA = 65536

_TEXTS_AHEAD = 2048  # tokenised at a time, while others are encoded


class Encoder:
    """Tokenizer, transformer and pooling of one model folder.

    model         transformer that gives `last_hidden_state` [B, L, D]
    pooling       "mean" over tokens, the first token ("cls"), or the last
    prompt        text that the model wants before each document; mostly empty
    query_prompt  the same before a query
    cut           first numbers of a vector that are kept, of a model trained for it (Matryoshka); None: all
    int8          matrix products in 8 bits, where the model is of BERT's family and runs on a CPU
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        pooling: Pooling,
        max_length: int,
        prompt: str = "",
        query_prompt: str = "",
        cut: int | None = None,
        int8: bool = False,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.max_length = max_length
        self.prompt = prompt
        self.query_prompt = query_prompt
        self.cut = cut
        self._quickest = Quickest(int8)

    @classmethod
    def load(cls, model: str, precision: str = "auto") -> Self:
        """Load a folder, a hub id or the packaged MiniLM.

        precision  "auto", "float32" or "bfloat16" of the weights; "int8": that of auto, with products in 8 bits

        Raises InputError for a model that cannot be found, whose pooling is none of mean, CLS and last token, or whose
        weights are incomplete or not finite.
        """
        device = choose_device()
        where = resolve_model(model)
        int8 = precision == "int8"
        dtype = choose_dtype("auto" if int8 else precision, device)
        network, tokenizer = load_parts(where, model)
        settings = read_settings(where, tokenizer, network.config)
        network = network.to(device=device, dtype=dtype)
        prompts = (settings.prompt, settings.query_prompt)
        return cls(network, tokenizer, settings.pooling, settings.max_length, *prompts, cut=settings.cut, int8=int8)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def width(self) -> int:
        """Length of a hidden state."""
        return int(self.model.config.hidden_size)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.cut or self.width

    def tokenize(self, texts: Sequence[str], role: Role = "document") -> list[list[int]]:
        """Token ids of each text with the model's special tokens, cut to its greatest length."""
        if not len(texts):
            return []
        prompt = self.query_prompt if role == "query" else self.prompt
        wanted = [prompt + text for text in texts]
        ids = self._token_ids(wanted)
        # Without special tokens an empty text has no token at all.
        return [list(row) or [self.tokenizer.pad_token_id or 0] for row in ids]

    def encode(self, texts: Sequence[str], progress: Progress | None = None, role: Role = "document") -> Float32s:
        """Unit vectors float32 [T, D], in the order of the texts.

        role      whether the texts are documents or queries: it chooses the prompt
        progress  called as (texts done, texts in all, seconds) every two seconds or so, and at the end
        """
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        ticker = Ticker(len(texts), progress)
        forward = self._quickest.of(self.model)

        def work(batch: Batch) -> Tensor:
            return pool(forward(executors.uploaded(batch[1], self.device)), self.pooling, cut=self.cut)

        batches = self._batches(texts, role)
        if self.device.type == "cpu" and role == "document" and not isinstance(forward, Fused):
            batches = map(self._filled, batches)
        for (rows, _), encoded in self._executor(forward, back=True)(work, batches):
            vectors[rows] = encoded[: len(rows)].numpy()
            ticker.add(len(rows))
        return vectors

    def hidden_states(
        self, ids: Sequence[Sequence[int]], progress: Progress | None = None
    ) -> Iterator[tuple[Int64s, Tensor]]:
        """Batches of (rows, last hidden states [B, L, D]) until every text had its turn."""
        ticker = Ticker(len(ids), progress)
        forward = self._quickest.of(self.model)

        def work(batch: Batch) -> Tensor:
            return forward(executors.uploaded(batch[1], self.device))

        batches = ((rows, [ids[row] for row in rows]) for rows in equal_length_batches(ids, self.tokens_per_batch))
        for (rows, _), hidden in self._executor(forward)(work, batches):
            yield rows, hidden
            ticker.add(len(rows))

    @property
    def tokens_per_batch(self) -> int:
        """Tokens that go through together: few on a CPU, whose caches are small, many on CUDA."""
        return TOKENS_PER_BATCH_CUDA if self.device.type == "cuda" else TOKENS_PER_BATCH

    def _executor(self, forward: Forward, back: bool = False) -> Callable[..., Iterator[tuple[Batch, Tensor]]]:
        """How batches go through; `back`: to the CPU."""
        if self.device.type == "cuda" and back:
            return executors.on_stream
        return executors.on_threads if isinstance(forward, Fused) else executors.one_by_one

    def _batches(self, texts: Sequence[str], role: Role) -> Iterator[Batch]:
        """Full batches as soon as enough texts of a length are tokenised, the rest at the end.

        So there are at most two shapes per length, for each of which oneDNN builds its kernels once. Texts come in
        their alphabetical order: batches follow from the set of texts.
        """
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)
        waiting: defaultdict[int, list[tuple[int, Sequence[int]]]] = defaultdict(list)
        for start in range(0, len(order), _TEXTS_AHEAD):
            some = order[start : start + _TEXTS_AHEAD]
            for row, ids in zip(some, self.tokenize([texts[row] for row in some], role), strict=True):
                same = waiting[len(ids)]
                same.append((row, ids))
                if (len(same) + 1) * len(ids) > self.tokens_per_batch:
                    yield _batch(waiting.pop(len(ids)))
        for length in sorted(waiting, reverse=True):
            yield _batch(waiting[length])

    def _filled(self, batch: Batch) -> Batch:
        """A batch with as many texts as any of its length, the last one repeated: kernels differ by the shape they get,
        and in their last bits.
        """
        rows, ids = batch
        return rows, [*ids, *[ids[-1]] * (self.tokens_per_batch // len(ids[0]) - len(ids))]

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        def usual(some: list[str]) -> list[list[int]]:
            tokenized = self.tokenizer(some, truncation=True, max_length=self.max_length, padding=False)
            return [list(row) for row in tokenized["input_ids"]]

        if not getattr(self.tokenizer, "is_fast", False) or len(texts) < 2:
            return usual(texts)
        usual(texts[:1])  # sets truncation and padding; ids without offsets and masks then take half the time
        return [encoding.ids for encoding in self.tokenizer.backend_tokenizer.encode_batch_fast(texts)]

    def save(self, folder: Path) -> None:
        """Write a Hugging Face folder (safetensors, tokenizer) that `load` and sentence-transformers read."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        settings = ModelSettings(self.pooling, self.max_length, self.prompt, self.query_prompt, self.cut)
        write_settings(folder, settings, self.width)


def pool(hidden: Tensor, pooling: Pooling, mask: Tensor | None = None, cut: int | None = None) -> Tensor:
    """Unit vectors float32 [B, D] from hidden states [B, L, D]; mask [B, L] is 1 on tokens, None where all are.

    The mask's zeros stand on the right. With `cut`, the vectors' first numbers alone are kept, [B, cut].
    """
    hidden = hidden[..., :cut].float()
    if pooling == "cls":
        vectors = hidden[:, 0]
    elif pooling == "last":
        at = mask.sum(dim=1) - 1 if mask is not None else torch.full_like(hidden[:, 0, 0], -1)
        vectors = hidden[torch.arange(len(hidden), device=hidden.device), at.long()]
    elif mask is None:
        vectors = hidden.mean(dim=1)
    else:
        weight = mask.to(hidden.dtype).unsqueeze(-1)
        vectors = (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
    return torch.nn.functional.normalize(vectors, dim=-1)


def equal_length_batches(ids: Sequence[Sequence[int]], budget: int = TOKENS_PER_BATCH) -> Iterator[Int64s]:
    """Rows of equal length, at most `budget` tokens at a time, long ones first.

    The composition follows from the texts alone, not from the order they come in: within a length, rows are sorted by
    their tokens.
    """
    order = sorted(range(len(ids)), key=lambda row: (-len(ids[row]), ids[row]))
    start = 0
    while start < len(order):
        length = len(ids[order[start]])
        end, most = start, max(1, budget // max(1, length))
        while end < len(order) and end - start < most and len(ids[order[end]]) == length:
            end += 1
        yield np.array(order[start:end], dtype=np.int64)
        start = end


def _batch(texts: list[tuple[int, Sequence[int]]]) -> Batch:
    rows, ids = zip(*texts, strict=True)
    return np.array(rows, dtype=np.int64), list(ids)


class Ticker:
    """Counts texts and calls `progress` every two seconds, and at the end."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.progress, self.done = total, progress, 0
        self.started = self.reported = time.perf_counter()

    def add(self, number: int) -> None:
        """So many more are done."""
        self.done += number
        now = time.perf_counter()
        if self.progress is not None and (now - self.reported > 2 or self.done == self.total):
            self.reported = now
            self.progress(self.done, self.total, now - self.started)


def log_progress(logger: logging.Logger, stage: str) -> Progress:
    """A progress callback that logs counted lines."""

    def tell(done: int, total: int, seconds: float) -> None:
        logger.info("%s: %s of %s texts, %.0f/s", stage, f"{done:,}", f"{total:,}", done / max(seconds, 1e-9))

    return tell
