"""A model's folder: its network and tokenizer, and the settings that sentence-transformers keeps beside them."""

import json
from pathlib import Path
from typing import Any, Literal

import torch

from nightmarket.contracts import InputError

Pooling = Literal["mean", "cls"]
MAX_LENGTH = 512


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
    # A tensor that the file lacks is filled with noise without a word; a pooler is not used here.
    lacking = [name for name in info["missing_keys"] if not name.startswith("pooler.")]
    if lacking:
        raise InputError(f"model '{asked}' lacks {len(lacking)} of its tensors, first '{min(lacking)}'; fetch it again")
    for name, value in network.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"model '{asked}' holds values that are not finite, first in '{name}'; fetch it again")
    return network, tokenizer


def read_settings(where: str, tokenizer: Any, config: Any) -> tuple[Pooling, int, str]:
    """Pooling, greatest length in tokens, and default prompt of a model; InputError where it does what we cannot."""
    modules = _read(where, "modules.json") or []
    strange = [m["type"].rsplit(".", 1)[-1] for m in modules]
    strange = [kind for kind in strange if kind not in ("Transformer", "Pooling", "Normalize")]
    if strange:
        raise InputError(f"model '{where}' has a module '{strange[0]}' that is not supported; choose another model")
    pooling = _read(where, "1_Pooling/config.json") or {"pooling_mode_mean_tokens": True}
    modes = sorted(name for name, on in pooling.items() if name.startswith("pooling_mode_") and on is True)
    known: dict[tuple[str, ...], Pooling] = {
        ("pooling_mode_mean_tokens",): "mean",
        ("pooling_mode_cls_token",): "cls",
    }
    if tuple(modes) not in known:
        raise InputError(f"model '{where}' pools with {', '.join(modes) or 'nothing'}; only mean and CLS are supported")
    lengths = [(_read(where, "sentence_bert_config.json") or {}).get("max_seq_length"), tokenizer.model_max_length]
    lengths.append(getattr(config, "max_position_embeddings", None))
    max_length = min([MAX_LENGTH, *(int(length) for length in lengths if length)])
    prompts = _read(where, "config_sentence_transformers.json") or {}
    prompt = (prompts.get("prompts") or {}).get(prompts.get("default_prompt_name") or "", "")
    return known[tuple(modes)], max_length, prompt


def write_settings(folder: Path, pooling: Pooling, max_length: int, dim: int, prompt: str) -> None:
    """Write beside a saved network what `read_settings` and sentence-transformers read."""
    _forget_loading(folder / "tokenizer_config.json")
    mean = pooling == "mean"
    modes = {"pooling_mode_cls_token": not mean, "pooling_mode_mean_tokens": mean}
    modules = (("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize"))
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": dim, **modes})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    _write(
        folder / "modules.json",
        [
            {"idx": i, "name": name, "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (name, path, kind) in enumerate(modules)
        ],
    )
    (folder / "2_Normalize").mkdir(exist_ok=True)
    if prompt:
        prompts = {"prompts": {"document": prompt}, "default_prompt_name": "document"}
        _write(folder / "config_sentence_transformers.json", prompts)


def _read(where: str, name: str) -> Any:
    path = Path(where) / name
    if not Path(where).is_dir():
        from transformers.utils.hub import cached_file

        found = cached_file(where, name, _raise_exceptions_for_missing_entries=False)
        if found is None:
            return None
        path = Path(found)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _forget_loading(config: Path) -> None:
    """Drop what transformers notes about how it was loaded here: the same model must give the same bytes anywhere."""
    content = json.loads(config.read_text(encoding="utf-8"))
    _write(config, {key: value for key, value in content.items() if key not in ("is_local", "local_files_only")})


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
