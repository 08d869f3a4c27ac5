import base64
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from responder.config import ConfigError, ReceiverConfig
from responder.metrics import Metrics
from responder.receivers.alertmanager import Alertmanager
from responder.receivers.build import build_receivers
from responder.receivers.slack import Slack
from responder.receivers.webhook import Webhook

URL = "https://hooks.example.com/T0KEN-in-the-path"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text(f"whsec_{base64.b64encode(bytes(32)).decode()}\n")
    (tmp_path / "url").write_text(f"{URL}\n")
    (tmp_path / "no-url").write_text("hooks.example.com/T0KEN-in-the-path\n")
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "short").write_text("whsec_c2hvcnQ=\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "wording.j2").write_text("{{ alert.title }}")
    (tmp_path / "broken.j2").write_text("{{ alert.titel }}")
    return tmp_path


def test_each_type_is_built_under_its_name(secrets: Path) -> None:
    built = build_receivers(
        (
            ReceiverConfig(name="am", type="alertmanager", urls=("http://a:9093", "http://b:9093/prefix/")),
            ReceiverConfig(name="hub", type="webhook", urls=(URL,), secret_file=secrets / "key"),
            ReceiverConfig(name="chat", type="slack", url_file=secrets / "url", template=secrets / "wording.j2"),
        ),
        Metrics(CollectorRegistry()),
    )
    assert {name: type(receiver.built.value) for name, receiver in built.items()} == {
        "am": Alertmanager, "hub": Webhook, "chat": Slack,
    }  # fmt: skip
    assert [built[name].repeat_every for name in built] == [60, None, None]


def test_none_configured_is_none_built() -> None:
    assert build_receivers(()) == {}


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"type": "webhook", "urls": [URL]}, "secret_file is missing: webhooks are signed"),
        (
            {"type": "webhook", "urls": [URL], "secret_file": "short"},
            "short: a signing secret is whsec_ and the base64",
        ),
        ({"type": "webhook", "urls": [URL], "secret_file": "gone"}, "gone: secret cannot be read: No such file"),
        (
            {"type": "webhook", "urls": [URL], "secret_file": "key", "template": "wording.j2"},
            "a webhook's body is a fixed",
        ),
        ({"type": "slack", "urls": [URL, URL]}, "type slack takes one URL: make a receiver of each"),
        ({"type": "slack", "url_file": "empty"}, "empty: secret is empty"),
        ({"type": "slack", "url_file": "no-url"}, "a URL starts with https:// or http://"),
        ({"type": "slack", "urls": [URL], "template": "broken.j2"}, "broken.j2:1:1: fails on a sample alert"),
        ({"type": "slack", "urls": [URL], "template": "gone.j2"}, "gone.j2: cannot be read"),
        ({"type": "alertmanager", "urls": [URL], "token_file": "empty"}, "empty: secret is empty"),
    ],
)
def test_a_fault_is_told_with_the_receivers_name_and_without_secrets(
    secrets: Path, config: dict[str, object], problem: str
) -> None:
    files = {key: secrets / str(value) for key, value in config.items() if key.endswith("_file") or key == "template"}
    with pytest.raises(ConfigError) as caught:
        build_receivers((ReceiverConfig.model_validate({"name": "one", **config, **files}),))
    (told,) = caught.value.problems
    assert told.startswith("receiver one: ")
    assert problem in told
    assert "T0KEN" not in told


def test_the_faults_of_all_receivers_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build_receivers(
            (
                ReceiverConfig(name="a", type="webhook", urls=(URL,)),
                ReceiverConfig(name="b", type="slack", urls=(URL, URL)),
            )
        )
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["receiver a", "receiver b"]
