"""A writer that is a causal language model on this machine: any Hugging Face folder or hub id."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from nightmarket.contracts import InputError
from nightmarket.copywriting.facts import CHANNELS, Form
from nightmarket.copywriting.writers import prompt
from nightmarket.copywriting.writers.prompt import Brief, Message

log = logging.getLogger("nightmarket")
_MOST_TOKENS: dict[Form, int] = {"push": 48, "sms": 96, "subject": 48, "body": 320, "banner": 32}


class LocalWriter:
    """Texts by `transformers`, sampled in batches, on a GPU where there is one.

    batch   requests that are written at once
    seed    each batch draws from its own stream: the same model, seed and machine give the same texts
    """

    name = "transformers"

    def __init__(self, model: str, seed: int = 0, batch: int = 8) -> None:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.seed, self.batch = seed, batch
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(model, padding_side="left", trust_remote_code=False)
            network: Any = AutoModelForCausalLM.from_pretrained(model, dtype="auto", trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            reason = _first_line(error)
            raise InputError(
                f"compose.model '{model}' cannot be loaded ({reason}); name a folder with a causal language model, or "
                "a hub id that is in the local cache or reachable (HF_HUB_OFFLINE=0)"
            ) from None
        self.model = network.to(self.device).eval()
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        if self.tokenizer.pad_token_id is None:
            raise InputError(f"compose.model '{model}' has neither a padding nor an end token; choose another")
        if len(self.tokenizer) > network.get_input_embeddings().num_embeddings:
            raise InputError(f"compose.model '{model}' has fewer vectors than its tokenizer has tokens; choose another")
        # None: a model without positions, which reads texts of any length
        self.most_tokens: int | None = getattr(network.config.get_text_config(), "max_position_embeddings", None)
        self.folder = model

    def write(self, briefs: Sequence[Brief], num: int) -> list[list[Message]]:
        """Up to `num` messages per brief; none where the prompt is longer than the model reads.

        InputError where the model fails while it writes, as for lack of memory.
        """
        wanted = [(brief, form) for brief in briefs for form in CHANNELS.get(brief.channel, ("push",))]
        texts: dict[tuple[str, Form], list[str]] = {}
        started = logged = time.monotonic()
        too_long = 0
        for form in dict.fromkeys(form for _, form in wanted):
            of_form = [(brief, self._asked(brief, form)) for brief, other in wanted if other == form]
            fitting = [(brief, asked) for brief, asked in of_form if self._fits(asked, form)]
            too_long += len(of_form) - len(fitting)
            texts |= {(brief.key, form): [] for brief, _ in of_form}
            for start in range(0, len(fitting), self.batch):
                some = fitting[start : start + self.batch]
                written = self._texts([asked for _, asked in some], form, num, start)
                for (brief, _), drafts in zip(some, written, strict=True):
                    texts[brief.key, form] = drafts
                if time.monotonic() - logged > 5:
                    logged = time.monotonic()
                    log.info("compose: %d of %d texts, %.0f s", len(texts), len(wanted), logged - started)
        if too_long:
            log.warning(
                "compose: %d of %d prompts are longer than the model reads (%d tokens with the answer); the template "
                "writes those",
                too_long,
                len(wanted),
                self.most_tokens,
            )
        found_all = []
        for brief in briefs:
            forms = CHANNELS.get(brief.channel, ("push",))
            rows = zip(*(texts[brief.key, form] for form in forms), strict=False)
            found_all.append([dict(zip(forms, row, strict=True)) for row in rows])
        return found_all

    def _texts(self, asked: Sequence[str], form: Form, num: int, place: int) -> list[list[str]]:
        import torch

        inputs = self.tokenizer(list(asked), return_tensors="pt", padding=True, add_special_tokens=not self._chats())
        inputs = {key: value.to(self.device) for key, value in inputs.items() if key in ("input_ids", "attention_mask")}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(self.seed * 1_000_003 + place)
            try:
                out = self.model.generate(
                    **inputs,
                    do_sample=True,
                    temperature=0.8,
                    top_p=0.95,
                    num_return_sequences=num,
                    max_new_tokens=_MOST_TOKENS[form],
                    pad_token_id=self.tokenizer.pad_token_id,
                )
            except RuntimeError as error:
                raise InputError(
                    f"compose.model '{self.folder}' fails while it writes ({_first_line(error)}); choose another"
                ) from None
        written = self.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        texts = [prompt.answer(text, form) for text in written]
        groups = [texts[at * num : (at + 1) * num] for at in range(len(asked))]
        return [[text for text in dict.fromkeys(group) if text] for group in groups]

    def _fits(self, asked: str, form: Form) -> bool:
        if self.most_tokens is None:
            return True
        ids = self.tokenizer(asked, add_special_tokens=not self._chats(), verbose=False)["input_ids"]
        return len(ids) + _MOST_TOKENS[form] <= self.most_tokens

    def _asked(self, brief: Brief, form: Form) -> str:
        if not self._chats():
            return prompt.plain(brief.facts, form)
        from jinja2 import TemplateError

        chat = prompt.chat(brief.facts, form)
        settings: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
        try:
            return str(self.tokenizer.apply_chat_template(chat, **settings))
        except TemplateError:  # some know no system's part
            alone = [{"role": "user", "content": "\n\n".join(message["content"] for message in chat)}]
            return str(self.tokenizer.apply_chat_template(alone, **settings))

    def _chats(self) -> bool:
        return bool(getattr(self.tokenizer, "chat_template", None))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
