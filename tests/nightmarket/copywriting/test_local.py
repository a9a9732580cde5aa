"""The writer that is a local language model: tiny ones that the tests make, one that babbles and one that learned."""

import json
import logging

import pytest

from nightmarket.contracts import InputError
from nightmarket.copywriting.composing import compose
from nightmarket.copywriting.facts import CopyFacts
from nightmarket.copywriting.writers import prompt
from nightmarket.copywriting.writers.local import LocalWriter
from nightmarket.copywriting.writers.prompt import Brief
from nightmarket.testing.models import gpt, save_gpt, words_tokenizer
from tests.made_up.copy import english, offer

TENTH = english(offer(percent=20.0))
TRUE = ("20% off coffee, until 14 Jan", "Coffee: 20% off. Ends 14 Jan", "Save 20% on coffee until 14 Jan")
CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHAT


def asked(facts=TENTH, form="push"):
    return prompt.plain(facts, form)


@pytest.fixture(scope="module")
def babbler(tmp_path_factory):
    """A folder with a random model: it writes words of the prompt in any order."""
    tokenizer = words_tokenizer([asked(), *TRUE])
    return save_gpt(tmp_path_factory.mktemp("babbler"), tokenizer, gpt(len(tokenizer)))


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A folder with a model that was fitted to answer the prompt with one of three true texts."""
    import torch

    tokenizer = words_tokenizer([asked(), *TRUE])
    model = gpt(len(tokenizer))
    start = tokenizer(asked())["input_ids"]
    answers = [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in TRUE]
    longest = max(map(len, answers))
    ids = torch.tensor([start + answer + [0] * (longest - len(answer)) for answer in answers])
    labels = torch.tensor([[-100] * len(start) + answer + [-100] * (longest - len(answer)) for answer in answers])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(120):
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return save_gpt(tmp_path_factory.mktemp("learned"), tokenizer, model)


def briefs_of(num, facts: CopyFacts = TENTH, channel="push"):
    return [Brief(f"b{number}", channel, facts) for number in range(num)]


def test_a_model_that_learned_to_tell_the_offer_is_not_replaced(learned, lexicon):
    copies, record = compose(briefs_of(3), LocalWriter(learned, seed=1), lexicon, 6, seed=1)
    own = [message["push"] for copy in copies if copy.writer == "transformers" for message in copy.messages]
    assert [copy.writer for copy in copies] == ["transformers"] * 3
    assert len(set(own) & set(TRUE)) >= 2
    assert {decision.writer for decision in record} == {"transformers"}
    assert sum(decision.fate == "passed" for decision in record) >= 5  # it sometimes leaves out what is reduced


def test_a_model_that_babbles_is_stopped_and_the_template_writes(babbler, lexicon):
    copies, record = compose(briefs_of(2), LocalWriter(babbler, seed=1), lexicon, 3, seed=1)
    assert [copy.writer for copy in copies] == ["template"] * 2
    assert all(copy.messages for copy in copies)
    stopped = [decision for decision in record if decision.writer == "transformers"]
    assert len(stopped) >= 2
    assert all(decision.fate == "stopped" and decision.rules for decision in stopped)


def test_the_seed_decides_what_is_written(babbler):
    first = LocalWriter(babbler, seed=1).write(briefs_of(5), 2)
    assert LocalWriter(babbler, seed=1).write(briefs_of(5), 2) == first
    assert LocalWriter(babbler, seed=2).write(briefs_of(5), 2) != first


def test_writing_leaves_the_random_numbers_of_others_alone(babbler):
    import torch

    writer = LocalWriter(babbler, seed=1)
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    writer.write(briefs_of(1), 1)
    assert torch.equal(torch.rand(3), expected)


def test_batches_of_any_size_serve_every_brief_in_its_place(learned):
    other = english(offer(percent=20.0, scope="Roast coffee"))
    briefs = [*briefs_of(3), *briefs_of(1, channel="email"), Brief("last", "push", other)]
    for batch in (1, 2, 8):
        by_brief = LocalWriter(learned, seed=1, batch=batch).write(briefs, 2)
        assert len(by_brief) == 5
        assert all({"push"} == set(message) for messages in by_brief[:3] for message in messages)
        assert all(any(message["push"] in TRUE for message in messages) for messages in by_brief[:3])
        assert all({"subject", "body"} == set(message) for message in by_brief[3])


@pytest.mark.parametrize("chat", [CHAT, NO_SYSTEM])
def test_a_chat_template_is_used_where_there_is_one(tmp_path, chat):
    tokenizer = words_tokenizer([asked(), "assistant: user: system:", *TRUE], chat)
    writer = LocalWriter(save_gpt(tmp_path, tokenizer, gpt(len(tokenizer))), seed=1)
    text = writer._asked(briefs_of(1)[0], "push")
    assert text.endswith("assistant: ")
    assert ("system:" in text) == (chat == CHAT)
    assert json.dumps("Roast coffee") in text
    assert "Write one push notification" in text
    assert len(writer.write(briefs_of(1), 1)) == 1


def test_a_prompt_longer_than_the_model_reads_gets_no_text_and_a_line_says_so(tmp_path, lexicon, caplog):
    tokenizer = words_tokenizer([asked(), *TRUE])
    writer = LocalWriter(save_gpt(tmp_path, tokenizer, gpt(len(tokenizer), positions=64)), seed=1)
    with caplog.at_level(logging.WARNING, "nightmarket"):
        copies, record = compose(briefs_of(3), writer, lexicon, 2, seed=1)
    assert [copy.writer for copy in copies] == ["template"] * 3
    assert {decision.writer for decision in record} == {"template"}
    [line] = [text for text in caplog.messages if "longer" in text]
    assert "3 of 3 prompts are longer than the model reads (64 tokens" in line


def test_a_folder_that_is_no_model_is_told_in_one_line(tmp_path):
    tokenizer = words_tokenizer(TRUE)
    save_gpt(tmp_path / "few", tokenizer, gpt(len(tokenizer) - 3))
    save_gpt(tmp_path / "cut", tokenizer, gpt(len(tokenizer)))
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    (tmp_path / "empty").mkdir()
    for name, said in (("few", "fewer vectors"), ("cut", "cannot be loaded"), ("empty", "cannot be loaded")):
        with pytest.raises(InputError, match=said) as told:
            LocalWriter(str(tmp_path / name))
        assert "\n" not in str(told.value)
