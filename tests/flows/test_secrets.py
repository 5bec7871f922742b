"""A secret is written as ${NAME}: in clear it is refused before anything is recorded, and nothing ever prints one."""

import traceback
from pathlib import Path

import pytest
import yaml

from flows import __main__ as command_line
from schemas.config import LedgerConfig
from schemas.errors import FenqunError
from schemas.secrets import no_secret, no_secrets, redact
from tasks.stores.ledger import Ledger

SECRET = "hunter2/x"
CONFIG = {
    "segmentation": "shop", "features": [{"kind": "behaviour"}],
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3]}}]},
}  # fmt: skip
SOURCES = {
    "url": {"events": {"sql": "SELECT 1", "url": f"postgresql://ann:{SECRET}@db/shop"}},
    "url's query": {"events": {"sql": "SELECT 1", "url": f"postgresql://db/shop?user=ann&password={SECRET}"}},
    "path": {"events": {"path": f"ftp://ann:{SECRET}@host/e.csv"}},
    "one of several paths": {"events": {"path": ["e.csv", f"https://host/e.csv?sig={SECRET}"]}},
    "storage": {"events": {"path": "s3://b/e.csv"}, "storage": {"key": "${KEY}", "secret": SECRET}},
    "storage's endpoint": {"events": {"path": "s3://b/e.csv"}, "storage": {"endpoint_url": f"http://a:{SECRET}@h"}},
}


@pytest.fixture
def fenqun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """The command line; afterwards nothing was recorded."""
    monkeypatch.setenv("FENQUN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(command_line, "environment", lambda debug: None)

    def call(*words: str) -> tuple[int, str]:
        code = command_line.main([*words])
        return code, "".join(capsys.readouterr())

    yield call
    assert not (tmp_path / "home").exists()


def written(folder: Path, **sections: object) -> str:
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **sections}))
    return str(path)


@pytest.mark.parametrize("case", SOURCES)
@pytest.mark.parametrize("command", ["check", "retrain", "assign"])
def test_a_secret_in_a_source_is_refused(fenqun, tmp_path, command, case):
    path = written(tmp_path, source={"kind": "tables", **SOURCES[case]})
    code, told = fenqun(command, "--config", path)
    assert (code, "${NAME}" in told, SECRET in told, told.count("\n")) == (2, True, False, 1), told
    assert "source.tables." in told


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "--segmentation", "shop", "--version", "1"),
        ("rollback", "--segmentation", "shop", "--author", "a", "--reason", "b"),
    ],
)
def test_a_secret_in_a_tracking_uri_is_refused(fenqun, words):
    code, told = fenqun(*words, "--tracking-uri", f"http://ann:{SECRET}@127.0.0.1:9")
    assert (code, SECRET in told) == (2, False)
    assert told.startswith("fenqun: ")


@pytest.mark.parametrize(
    "override",
    [
        f"ledger.tracking_uri=http://ann:{SECRET}@127.0.0.1:9",
        f"ledger.tracking_uri: http://ann:{SECRET}@127.0.0.1:9",
        f"segmentation.x=http://ann:{SECRET}@127.0.0.1:9",
        f"ledger.tracking_uri=[http://ann:{SECRET}@127.0.0.1:9",
    ],
)
def test_an_override_is_not_repeated_with_its_secret(fenqun, tmp_path, override):
    path = written(tmp_path, source={"kind": "synthetic"})
    code, told = fenqun("check", "--config", path, "--set", override)
    assert (code, SECRET in told) == (2, False), told


def test_a_file_that_is_not_yaml_is_not_quoted(fenqun, tmp_path):
    (tmp_path / "shop.yaml").write_text(f"source:\n  url: 'postgresql://ann:{SECRET}@db\n  x: y: z\n")
    code, told = fenqun("check", "--config", str(tmp_path / "shop.yaml"))
    assert (code, SECRET in told, "shop.yaml: not YAML: line" in told) == (2, False, True), told


def test_what_a_reference_stands_for_is_used_and_not_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("PASSWORD", SECRET)
    ledger = Ledger(LedgerConfig(tracking_uri="http://ann:${PASSWORD}@127.0.0.1:9"), str(tmp_path), "shop")
    assert SECRET in ledger.uri
    for ask in (lambda: ledger.experiment_id, lambda: ledger.version("1")):
        with pytest.raises(FenqunError) as caught:
            ask()
        assert SECRET not in "".join(traceback.format_exception(caught.value))  # what Prefect keeps of a failure
        assert "127.0.0.1:9" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann@db/shop", "postgresql://ann:${PASSWORD}@db", "s3://bucket/key", "sqlite:///a.db",
        "data/*.csv", "postgresql://db/shop?password=${PASSWORD}&sslmode=require", "http://127.0.0.1:5000", "a@b:c.csv",
    ],
)  # fmt: skip
def test_what_is_no_secret_is_taken(text):
    assert no_secret(text) == text


def test_options_that_are_no_secrets_are_taken():
    options = {"anon": "true", "token": "google_default", "key": "${KEY}", "endpoint_url": "http://h:9", "region": "eu"}
    assert no_secrets(options) == options
    for name in ("secret", "aws_secret_access_key", "account_key", "sas_token", "connection_string", "password"):
        with pytest.raises(ValueError, match=name):
            no_secrets({name: "hunter2"})


def test_one_helper_hides_every_kind():
    told = redact("http://a:b@h/x?token=c&y=1 postgresql://u:p/q@h password=d, api_key=e")
    assert told == "http://a:***@h/x?token=***&y=1 postgresql://u:***@h password=***, api_key=***"
