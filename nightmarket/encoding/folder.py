"""A model's folder: its network and tokenizer, and the settings that sentence-transformers keeps beside them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from nightmarket.contracts import InputError

Pooling = Literal["mean", "cls", "last"]
Role = Literal["document", "query"]
MAX_LENGTH = 512

_POOLING_FLAGS: dict[Pooling, str] = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "last": "pooling_mode_lasttoken",
}
_POOLINGS: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_ROLES: dict[Role, tuple[str, ...]] = {"document": ("document", "passage", "corpus"), "query": ("query",)}


@dataclass(frozen=True)
class ModelSettings:
    """What a model's folder says beside its network.

    pooling       how token states become a vector
    max_length    tokens of a text that are read, special ones included
    prompt        text before each document;  query_prompt  text before each query
    cut           first numbers of a vector that are kept; None: all
    """

    pooling: Pooling
    max_length: int
    prompt: str = ""
    query_prompt: str = ""
    cut: int | None = None


def load_parts(where: str, asked: str) -> tuple[Any, Any]:
    """Network in float32 and tokenizer of a folder or hub id; `asked` is what a message calls it.

    Raises InputError where it cannot be loaded, or its weights are incomplete or not finite.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    talk: Any = transformers_logging
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        network, info = AutoModel.from_pretrained(where, dtype=torch.float32, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(where)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise InputError(
            f"model '{asked}' cannot be loaded ({reason}); name a folder, a hub id that is in the local cache or "
            "reachable (HF_HUB_OFFLINE=0), or the packaged MiniLM"
        ) from None
    if getattr(network.config, "use_cache", False) and not hasattr(network.config, "is_decoder"):
        network.config.use_cache = False  # a decoder would keep keys and values of every layer for a next token
    if getattr(network.config, "is_encoder_decoder", False):
        raise InputError(f"model '{asked}' has a decoder behind its encoder (T5, BART); choose an encoder or a decoder")
    if (read_json(where, "sentence_bert_config.json") or {}).get("do_lower_case"):
        _lower(tokenizer)
    # A tensor that the file lacks is filled with noise without a word; a pooler is not used here.
    lacking = [name for name in info["missing_keys"] if not name.startswith("pooler.")]
    if lacking:
        raise InputError(f"model '{asked}' lacks {len(lacking)} of its tensors, first '{min(lacking)}'; fetch it again")
    for name, value in network.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"model '{asked}' holds values that are not finite, first in '{name}'; fetch it again")
    return network, tokenizer


def _lower(tokenizer: Any) -> None:
    """Have the tokenizer itself lower its texts, so that a saved one does so too."""
    from tokenizers import normalizers

    own = tokenizer.backend_tokenizer.normalizer
    if own is None or own.normalize_str("A") != "a":
        parts = [normalizers.Lowercase(), *([] if own is None else [own])]
        tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(parts)


def read_settings(where: str, tokenizer: Any, config: Any) -> ModelSettings:
    """Settings of a model's folder or hub id; InputError where it does what we cannot."""
    modules = read_json(where, "modules.json") or []
    strange = [m["type"].rsplit(".", 1)[-1] for m in modules]
    strange = [kind for kind in strange if kind not in ("Transformer", "Pooling", "Normalize")]
    if strange:
        raise InputError(f"model '{where}' has a module '{strange[0]}' that is not supported; choose another model")
    lengths = [(read_json(where, "sentence_bert_config.json") or {}).get("max_seq_length"), tokenizer.model_max_length]
    lengths.append(getattr(config, "max_position_embeddings", None))
    max_length = min([MAX_LENGTH, *(int(length) for length in lengths if length)])
    said = read_json(where, "config_sentence_transformers.json") or {}
    cut = kept_numbers(said.get("truncate_dim"), int(config.hidden_size))
    return ModelSettings(_pooling(where), max_length, prompt_for("document", said), prompt_for("query", said), cut)


def _pooling(where: str) -> Pooling:
    content = read_json(where, "1_Pooling/config.json") or {"pooling_mode": "mean"}
    if "pooling_mode" in content:  # sentence-transformers 6
        asked = content["pooling_mode"]
        modes = [asked] if isinstance(asked, str) else list(asked)
        known = [_POOLINGS.get(mode) for mode in modes]
    else:
        modes = sorted(name for name, on in content.items() if name.startswith("pooling_mode_") and on is True)
        known = [next((pooling for pooling, flag in _POOLING_FLAGS.items() if flag == mode), None) for mode in modes]
    if len(known) != 1 or known[0] is None:
        raise InputError(
            f"model '{where}' pools with {', '.join(modes) or 'nothing'}; only one of mean, CLS and last token is "
            "supported"
        )
    if content.get("include_prompt") is False:
        raise InputError(f"model '{where}' leaves its prompt out of the mean (include_prompt); that is not supported")
    return known[0]


def prompt_for(role: Role, said: dict[str, Any]) -> str:
    """The text before each document or query, by a config_sentence_transformers.json; "" where it names none."""
    prompts = said.get("prompts") or {}
    names = (*_ROLES[role], said.get("default_prompt_name"))
    return next((str(prompts[name]) for name in names if prompts.get(name) is not None), "")


def kept_numbers(cut: int | None, width: int) -> int | None:
    """How many numbers of a vector are kept, None for all; a cut beyond the width cuts nothing."""
    return None if cut is None or int(cut) >= width else int(cut)


def write_settings(folder: Path, settings: ModelSettings, width: int) -> None:
    """Write beside a saved network what `read_settings` and sentence-transformers read; `width` of a hidden state."""
    _forget_loading(folder / "tokenizer_config.json")
    modes = {flag: pooling == settings.pooling for pooling, flag in sorted(_POOLING_FLAGS.items())}
    modules = (("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize"))
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **modes})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": settings.max_length, "do_lower_case": False})
    write_json(
        folder / "modules.json",
        [
            {"idx": i, "name": name, "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (name, path, kind) in enumerate(modules)
        ],
    )
    (folder / "2_Normalize").mkdir(exist_ok=True)
    write_prompts(folder, settings)


def write_prompts(folder: Path, settings: ModelSettings) -> None:
    """Write prompts and truncation, where there are any; a plain `encode` then takes the texts for documents."""
    if not (settings.prompt or settings.query_prompt or settings.cut):
        return
    said: dict[str, Any] = {"prompts": {"document": settings.prompt, "query": settings.query_prompt}}
    said["default_prompt_name"] = "document" if settings.prompt else None
    if settings.cut:
        said["truncate_dim"] = settings.cut
    write_json(folder / "config_sentence_transformers.json", said)


def find_file(where: str, name: str) -> Path | None:
    """A file of a model's folder or hub id, or None where it has no such file."""
    if Path(where).is_dir():
        path = Path(where) / name
        return path if path.is_file() else None
    from transformers.utils.hub import cached_file

    cached = cached_file(where, name, _raise_exceptions_for_missing_entries=False)
    return None if cached is None else Path(cached)


def read_json(where: str, name: str) -> Any:
    """A JSON file of a model's folder or hub id, or None where it has no such file."""
    path = find_file(where, name)
    return None if path is None else json.loads(path.read_text(encoding="utf-8"))


def _forget_loading(config: Path) -> None:
    """Drop what transformers notes about how it was loaded here: the same model must give the same bytes anywhere."""
    content = json.loads(config.read_text(encoding="utf-8"))
    write_json(config, {key: value for key, value in content.items() if key not in ("is_local", "local_files_only")})


def write_json(path: Path, content: Any) -> None:
    """Write one of a folder's JSON files, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
