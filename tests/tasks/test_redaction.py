import base64
import logging
from urllib.parse import quote

import pytest

from tasks.privacy import redaction


@pytest.fixture
def clean(tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".nightmarket").mkdir()
    (tmp_path / ".dvc/config.local").write_text(
        "['remote \"far\"']\n    url = https://ada:remote-pass-1@host/x\n    password = remote/pass+2\n"
        f"    keyfile = {tmp_path}/id_rsa\n    timeout = 1234567890\n"
    )
    (tmp_path / ".nightmarket/login").write_text("nightmarket:login-pass-3\n")
    (tmp_path / ".nightmarket/customer.key").write_text("ab" * 32 + "\n" + "cd" * 32 + "\n")
    (tmp_path / "service.json").write_text('{"private_key": "service-account-key-4", "type": "x"}')
    monkeypatch.setenv("NIGHTMARKET_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "service.json"))
    monkeypatch.setenv("NIGHTMARKET_WEBHOOK_URL", "https://hooks.example/services/T0123456789abcdefg")
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:proxy-pass-5@proxy.example:3128")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-6")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada Lovelace")
    monkeypatch.setenv("SOME_TOKEN", "true")
    redaction.redactor.cache_clear()
    yield redaction.redactor()
    redaction.redactor.cache_clear()


SECRETS = ("remote-pass-1", "remote/pass+2", "login-pass-3", "ab" * 32, "cd" * 32, "service-account-key-4",
           "T0123456789abcdefg", "proxy-pass-5", "sk-openai-6")  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_of_the_environment_and_of_files_are_blotted_out_in_every_form(clean, secret):
    for form in (secret, quote(secret, safe=""), f"https://x.example/?k={quote(secret)}", repr({"k": secret})):
        assert secret not in clean(f"failed: {form}!")
        assert form not in clean(f"failed: {form}!")
    for user in ("", "a:", "ab:"):
        coded = base64.b64encode(f"{user}{secret}".encode()).decode()
        assert coded not in clean(f"header {coded}")


def test_what_is_no_secret_stays(clean):
    said = "rank failed: true, 1234567890 rows; Basic authentication failed; https://hooks.example/a; Ada Lovelace"
    assert clean(said) == said
    assert clean("cannot reach https://someone:else@host/x") == "cannot reach https://[redacted]@host/x"


def test_a_record_of_logging_holds_none_in_its_words_and_in_its_traceback(clean, caplog):
    factory = logging.getLogRecordFactory()
    try:
        redaction.install()
        try:
            raise ValueError("refused: sk-openai-6")
        except ValueError:
            logging.getLogger("x").exception("key %s", "login-pass-3")
    finally:
        logging.setLogRecordFactory(factory)
    assert caplog.text.count("[redacted]") == 3
    assert "ValueError" in caplog.text
    assert "sk-openai" not in caplog.text


def test_an_error_keeps_its_kind(clean):
    error = ValueError("refused: sk-openai-6")
    assert repr(clean.of_error(error)) == "ValueError('refused: [redacted]')"
    plain = ValueError("refused")
    assert clean.of_error(plain) is plain


def test_a_line_that_does_not_fit_its_arguments_ends_nobody(monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    redaction.install()
    logging.getLogger("anybody").error("%d rows", "many")
