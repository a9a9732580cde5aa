"""Writers of promotion copy side by side: how much of what they write is true, how varied it is, and what it costs.

python -m bench.copy [--briefs 120] [--num 6] [--seed 0] [--model FOLDER_OR_HUB_ID] [--url URL/v1 --name MODEL]

Every writer gets briefs of made-up shops in English and Chinese: offers of every kind, products alone, new products,
praise. Every third time a writer is told wrong terms (another price, share, day, gift or code), so that a known part of
what it writes is false; the guard knows the right ones. The terms are ones that every text has to state, so a message
is true where the writer was told the right ones. Entailment precision: the share of kept messages that are true.

No large language model was at hand. Without --model a GPT-2 of two layers is made and taught texts of eight briefs by
heart; without --url a server in this process answers with true sentences that were written apart from the guard, amid
chatter, 429 and 500. Their figures tell of the guard and the plumbing, not of language models. A model that is given
(--model, --url) writes from the right terms alone: what it keeps has no labels, so its precision is left out.
"""

import argparse
import json
import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from bench.guarding.blind_false import changed
from bench.guarding.blind_true import patterns, say, signature
from bench.guarding.catalogue import draw_facts, names
from bench.machine import machine
from nightmarket.copywriting.composing import compose
from nightmarket.copywriting.facts import CHANNELS, LIMITS, CopyFacts, Form
from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.phrases import vocabulary
from nightmarket.copywriting.variety import distinct, self_bleu, tokens
from nightmarket.copywriting.writers import prompt
from nightmarket.copywriting.writers.prompt import Brief, Message, Writer
from nightmarket.copywriting.writers.template import TemplateWriter

PRAISE = {"en": ("freshness", "taste"), "zh": ("新鲜", "口感")}
LEARNT = 8
"""Briefs that the small model learns by heart."""
log = logging.getLogger(__name__)


Told = dict[str, CopyFacts]
"""What a writer is told of each brief, by its key."""
STATED = ("amount", "code", "gift", "last day", "least spend", "percentage")
"""Terms that every text has to state: what is said of a wrong one is false."""


class Misinformed:
    """A writer that is told other facts than the guard knows, and how much of what it writes is true."""

    def __init__(self, writer: Writer, told: Told) -> None:
        self.writer, self.name, self.told = writer, writer.name, told
        self.written = self.true = 0

    def write(self, briefs: Sequence[Brief], num: int) -> list[list[Message]]:
        """What the writer gives for what it is told."""
        by_brief = self.writer.write([replace(asked, facts=self.told[asked.key]) for asked in briefs], num)
        for brief, messages in zip(briefs, by_brief, strict=True):
            self.written += len(messages)
            self.true += len(messages) * (self.told[brief.key] == brief.facts)
        return by_brief


def made_briefs(num: int, seed: int) -> list[Brief]:
    """Briefs of every channel in both languages: three in four with an offer, the rest old and new products."""
    draw, briefs = Random(f"{seed}|briefs"), []
    for at in range(num):
        locale = "en" if at % 2 else "zh"
        facts = draw_facts(locale, draw, offer=at % 8 < 6)
        if facts.offer is None and at % 8 == 6:
            facts = replace(facts, product=replace(facts.product, is_new=True))
        elif at % 3 == 0:
            facts = replace(facts, praise=PRAISE[locale][: draw.randint(1, 2)])
        angle = draw.choice(("saving", "quality", "routine", "plain"))
        briefs.append(Brief(f"{at}", list(CHANNELS)[at // 2 % len(CHANNELS)], replace(facts, angle=angle)))
    return briefs


def misinformed(briefs: Sequence[Brief], seed: int) -> Told:
    """The briefs' facts; every third that has an offer has a wrong term."""
    draw, facts = Random(f"{seed}|told"), {}
    for at, brief in enumerate(briefs):
        facts[brief.key] = brief.facts
        if at % 3 == 2 and brief.facts.offer is not None:
            ways = {name: different for name, different in changed(brief.facts, draw).items() if name in STATED}
            facts[brief.key] = ways[draw.choice(sorted(ways))]
    return facts


def free_text(facts: CopyFacts, form: Form, draw: Random) -> str:
    """A sentence of `bench.guarding.blind_true` in this form; "" where none fits."""
    plain = "new" if facts.product.is_new else "plain"
    need = signature(facts) if facts.offer is not None else plain
    some = [at for kind, at in patterns(facts.locale) if kind == need]
    for at in draw.sample(some, len(some)):
        text = list(say(facts, need, at, str(draw.random())).values())[-1]
        if len(text) <= LIMITS[form] and (facts.reason or not text.startswith((":", "，"))):
            return text
    return ""


class Chat(BaseHTTPRequestHandler):
    """A chat completions server that misbehaves now and then."""

    server: Any

    def do_POST(self) -> None:
        """Answer, or refuse: every eleventh request 429, every thirteenth 500."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        with self.server.lock:
            self.server.count += 1
            number = self.server.count
        system, user = (message["content"] for message in body["messages"])
        if number % 11 == 0 or number % 13 == 0:
            return self._send(429 if number % 11 == 0 else 500, {"error": "later"})
        facts = self.server.known[user]
        form = next(form for form, word in prompt.FORMS.items() if f"Write one {word}" in system)
        draw = Random(f"{user}|{form}")
        texts = [free_text(facts, form, draw) for _ in range(body.get("n", 1))]
        chatter = ("", "", "", 'Text: "{}"', "Sure, here is a text: {}", "{} (58 characters)")
        texts = [(draw.choice(chatter) or "{}").replace("{}", text) for text in texts]
        return self._send(200, {"choices": [{"message": {"role": "assistant", "content": choice}} for choice in texts]})

    def _send(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@contextmanager
def local_server(known: Told) -> Iterator[str]:
    """A server of this process on loopback; yields its address."""
    http: Any = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    http.daemon_threads, http.block_on_close, http.count, http.lock = True, False, 0, threading.Lock()
    http.known = {prompt.chat(facts, "sms")[1]["content"]: facts for facts in known.values()}
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()


def small_model(folder: Path, briefs: Sequence[Brief], known: Told, num: int, seed: int) -> str:
    """A GPT-2 of two layers, fitted to answer each brief's prompt with a template's text about what it is told."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    pairs = []
    for brief in briefs:
        informed = replace(brief, facts=known[brief.key])
        for message in TemplateWriter(seed).write([informed], num)[0]:
            pairs += [(prompt.plain(informed.facts, form), text) for form, text in message.items()]
    split = pre_tokenizers.Split(Regex(r" ?[^\s\u4e00-\u9fff]+|[\u4e00-\u9fff]|\s"), "isolated")
    words = sorted({word for pair in pairs for text in pair for word, _ in split.pre_tokenize_str(text)})
    tokenizer = Tokenizer(models.WordLevel({w: at for at, w in enumerate(["<end>", "<new>", *words])}, "<new>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoders.Fuse()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", unk_token="<new>")
    rows = [(wrapped(asked)["input_ids"], [*wrapped(text)["input_ids"], 0]) for asked, text in pairs]
    longest = max(len(asked) + len(text) for asked, text in rows)
    torch.manual_seed(seed)
    sizes = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": longest + 320}
    drop = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    network = GPT2LMHeadModel(GPT2Config(vocab_size=len(wrapped), bos_token_id=0, eos_token_id=0, **sizes, **drop))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    draw = Random(seed)
    for step in range(300):
        some = draw.sample(rows, min(12, len(rows)))
        width = max(len(asked) + len(text) for asked, text in some)
        ids = torch.tensor([[*a, *t, *[0] * (width - len(a) - len(t))] for a, t in some])
        labels = torch.tensor([[*[-100] * len(a), *t, *[-100] * (width - len(a) - len(t))] for a, t in some])
        loss = network(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 49:
            log.info("small model: step %d, loss %.2f", step + 1, float(loss))
    wrapped.save_pretrained(folder)
    network.save_pretrained(folder)
    return str(folder)


def figures(writer: Writer, briefs: Sequence[Brief], known: Told | None, num: int, seed: int) -> dict[str, Any]:
    """The row of one writer. known: what it is told and its labels; None: nothing is known of its texts."""
    lexicon = Lexicon(names(), vocabulary())
    asked = Misinformed(writer, known) if known is not None else None
    started = time.perf_counter()
    composed, record = compose(briefs, asked or writer, lexicon, num, seed)
    seconds = time.perf_counter() - started
    own = [decision for decision in record if decision.writer == writer.name]
    fates = {
        fate: sum(decision.fate == fate for decision in own) / max(len(own), 1)
        for fate in ("passed", "repaired", "stopped")
    }
    kept = [[text for message in copy.messages for text in message.values()] for copy in composed]
    texts = [text for some in kept for text in some]
    told_words = sum(len(tokens(prompt.plain(b.facts, form))) for b in briefs for form in CHANNELS[b.channel])
    right = [copy for copy in composed if known is None or known[copy.brief.key] == copy.brief.facts]
    row: dict[str, Any] = {
        "messages": len(own),
        "kept_texts": len(texts),
        **{name: round(share, 4) for name, share in fates.items()},
        "briefs_replaced": sum(copy.writer != writer.name and bool(copy.messages) for copy in composed),
        "coverage": round(fmean(bool(copy.messages) for copy in right), 4),
        "distinct_1": round(distinct(texts, 1), 4),
        "distinct_2": round(distinct(texts, 2), 4),
        "self_bleu": round(self_bleu(texts[:1000]), 4),
        "self_bleu_per_brief": round(fmean([self_bleu(some) for some in kept if len(some) > 1] or [0.0]), 4),
        "seconds_per_thousand": round(seconds * 1000 / max(len(texts), 1), 2),
    }
    if writer.name != "template":
        row["prompt_words_per_thousand"] = round(told_words * 1000 / max(len(texts), 1))
    if asked is not None and known is not None:
        labels = [
            copy.writer != writer.name or known[copy.brief.key] == copy.brief.facts
            for copy in composed
            for _ in copy.messages
        ]
        wrong = {brief.key for brief in briefs if known[brief.key] != brief.facts}
        honest = [decision for decision in own if decision.brief not in wrong]
        row["passed_of_true"] = round(sum(decision.fate == "passed" for decision in honest) / max(len(honest), 1), 4)
        row["true_of_written"] = round(asked.true / max(asked.written, 1), 4)
        row["entailment_precision"] = round(sum(labels) / max(len(labels), 1), 4)
    return row


def main() -> None:
    """Print the table and, last, one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--briefs", type=int, default=120)
    parser.add_argument("--num", type=int, default=6, help="messages asked for per brief")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="folder or hub id of a causal language model")
    parser.add_argument("--url", help="an OpenAI-compatible server, up to /v1")
    parser.add_argument("--name", default="", help="the model's name there")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    rows = measured(given.briefs, given.num, given.seed, given.model, given.url, given.name)
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    print(f"{'':28s}" + "".join(f"{name:>16s}" for name in rows))
    for key in keys:
        print(f"{key:28s}" + "".join(f"{row.get(key, '–')!s:>16s}" for row in rows.values()))
    print(json.dumps({"writers": rows, "seed": given.seed, "machine": machine(("torch", "transformers", "httpx"))}))


def measured(
    num_briefs: int, num: int, seed: int, model: str | None = None, url: str | None = None, name: str = ""
) -> dict[str, dict[str, Any]]:
    """Figures by writer."""
    from nightmarket.copywriting.writers.local import LocalWriter
    from nightmarket.copywriting.writers.server import ServerAddress, ServerWriter

    briefs = made_briefs(num_briefs, seed)
    rows = {}
    known = misinformed(briefs, seed)
    rows["template"] = figures(TemplateWriter(seed), briefs, known, num, seed)
    with ExitStack() as stack:
        if model:
            rows["transformers"] = figures(LocalWriter(model, seed), briefs, None, num, seed)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            few = briefs[:LEARNT]
            path = small_model(folder, few, known, num, seed)
            rows["transformers"] = figures(LocalWriter(path, seed), few, known, num, seed)
        if url:
            writer = ServerWriter(ServerAddress(url, name), seed)
            rows["openai"] = figures(writer, briefs, None, num, seed)
        else:
            address = stack.enter_context(local_server(known))
            writer = ServerWriter(ServerAddress(address, "local", per_minute=10**9), seed)
            rows["openai"] = figures(writer, briefs, known, num, seed)
    return rows


if __name__ == "__main__":
    main()
