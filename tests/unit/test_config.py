from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from responder.config import ConfigError, Settings, load_settings, parse_settings, read_key, read_secret, read_text
from responder.core.actions import Mode

WHOLE = (Path(__file__).parents[2] / "config" / "responder.yaml").read_text(encoding="utf-8")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, "responder.yaml")
    return caught.value.problems


def test_an_empty_file_is_all_defaults_and_they_act_on_nothing() -> None:
    settings = parse_settings("", "responder.yaml")
    assert settings == Settings()
    assert settings.actions.mode is Mode.SHADOW


def test_values_are_read_in_the_units_that_people_write() -> None:
    settings = parse_settings(
        "recorder: {memory: 2GiB, running_limit: 1h30m}\nretention: {logs: 7d, size: 512KiB}\n", "responder.yaml"
    )
    assert (settings.recorder.memory, settings.recorder.running_limit) == (2 << 30, timedelta(minutes=90))
    assert (settings.retention.logs, settings.retention.size) == (timedelta(days=7), 512 << 10)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lissten: {}", "responder.yaml:1:1: lissten: unknown key, did you mean listen?"),
        ("actions:\n  mode: alive", "responder.yaml:2:9: actions.mode: expected 'shadow', 'approve' or 'live'"),
        ("recorder: {line: 16kb}", "responder.yaml:1:18: recorder.line: '16kb' is no size: write it like 512KiB,"),
        ("recorder: {line: 0B}", "responder.yaml:1:18: recorder.line: expected greater than or equal to 1"),
        ("recorder: {spill_every: 2}", "responder.yaml:1:25: recorder.spill_every: no duration: write it like 30s,"),
        ("recorder: {spill_every: 0s}", "responder.yaml:1:25: recorder.spill_every: expected more than 0s"),
        ("listen: {port: 70000}", "responder.yaml:1:16: listen.port: expected less than or equal to 65535"),
        ("listen: {url: 'javascript:alert(1)'}", "responder.yaml:1:15: listen.url: expected an address that begins"),
        (
            "store: {url: postgres://db}",
            "responder.yaml:1:14: store.url: expected sqlite:///absolute/path.db; other databases are not there yet",
        ),
        ("webhook: {token_files: [a, b, c]}", "responder.yaml:1:24: webhook.token_files: expected at most 2 items"),
        ("clusters: []", "responder.yaml:1:1: file: clusters: expected at least the one that Argo CD runs in"),
        ("clusters: [{name: a}, {name: a}]", "responder.yaml:1:1: file: clusters: two have the same name"),
        (
            "clusters: [{url: 'http://a', context: b}]",
            "responder.yaml:1:12: clusters.0: cluster in-cluster: url, or a kubeconfig and context: not both",
        ),
        (
            "clusters: [{token_file: t}]",
            "responder.yaml:1:12: clusters.0: cluster in-cluster: token_file goes with url; a kubeconfig has its own",
        ),
        (
            "receivers: [{name: a, type: slack}]",
            "responder.yaml:1:13: receivers.0: receiver a needs urls or url_file",
        ),
        ("receivers: [{name: A b, type: slack}]", "responder.yaml:1:20: receivers.0.name: a name is written with"),
        (
            "receivers: [{name: a, type: webhook, urls: ['alerts:9093']}]",
            "responder.yaml:1:45: receivers.0.urls.0: expected an address that begins with https:// or http://",
        ),
        (
            "receivers: [{name: a, type: pager, urls: ['http://a']}]",
            "responder.yaml:1:29: receivers.0.type: expected 'alertmanager', 'webhook' or 'slack'",
        ),
        (
            "routing: {default: [dba]}",
            "responder.yaml:1:1: file: routing names receivers that are not configured: dba",
        ),
        ("access: {static_tokens: [{name: a}]}", "responder.yaml:1:26: access.static_tokens.0.token_file: missing"),
        ("actions: {ceilings: {per_responder_hour: -1}}", "actions.ceilings.per_responder_hour: expected greater than"),
        ("listen: [1]", "responder.yaml:1:9: listen: expected a mapping"),
        ("- 1", "responder.yaml:1:1: file: expected a mapping"),
        ("listen: {port: 1, port: 2}", "responder.yaml:1:19: port: written twice"),
        ("listen: {", "responder.yaml:1:10: "),
    ],
)
def test_a_fault_is_told_with_its_place_and_what_would_be_right(text: str, told: str) -> None:
    (problem,) = problems(text)
    assert told in problem


def test_all_faults_are_told_at_once() -> None:
    assert problems("listen: {port: x}\nactions:\n  moode: live\nretention: {size: 1}\nstore: {url: x}\n") == [
        "responder.yaml:1:16: listen.port: expected a valid integer, unable to parse string as an integer",
        "responder.yaml:5:14: store.url: expected sqlite:///absolute/path.db; other databases are not there yet",
        "responder.yaml:3:3: actions.moode: unknown key, did you mean mode?",
    ]


def test_every_relative_path_stands_beside_the_file_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "responder.yaml"
    file.write_text(
        "rules: rules.yaml\nsignatures: [own/ledger.yaml]\nwebhook: {token_files: [token]}\n"
        "access: {static_tokens: [{name: a, token_file: /run/secrets/a}]}\n"
        "receivers: [{name: a, type: slack, url_file: slack-url, template: slack.j2}]\n"
    )
    settings = load_settings(file)
    assert settings.rules == tmp_path / "rules.yaml"
    assert settings.signatures == (tmp_path / "own" / "ledger.yaml",)
    assert settings.webhook.token_files == (tmp_path / "token",)
    assert settings.access.static_tokens[0].token_file == Path("/run/secrets/a")
    assert (settings.receivers[0].url_file, settings.receivers[0].template) == (
        tmp_path / "slack-url",
        tmp_path / "slack.j2",
    )


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///var/lib/responder.db", "/var/lib/responder.db"), ("sqlite://responder.db", "responder.db")],
)
def test_the_store_is_named_by_a_url(url: str, path: str) -> None:
    assert parse_settings(f"store: {{url: '{url}'}}", "responder.yaml").store.path == Path(path)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().actions.mode = Mode.LIVE


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, " cannot be read: No such file"), (b"a: b\n\xff\xfe", "2:1: is no UTF-8 text")],
)
def test_a_configuration_that_cannot_be_read_is_told_by_name(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "responder.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"responder\.yaml:{told}"):
        load_settings(file)


def test_a_secret_is_read_without_the_newline_of_an_editor(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    assert read_secret(tmp_path / "token") == "s3cret"


def test_a_key_may_be_any_bytes_as_head_of_urandom_gives_them(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\x00\n\xfe")
    assert read_key(tmp_path / "key") == b"\xff\x00\n\xfe"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "secret cannot be read: No such file"),
        (b"", "secret is empty"),
        (b" \n", "secret is empty"),
        (b"\xff", "secret is no UTF-8"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_never_shown(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"token: {told}"):
        read_secret(file)


def test_a_path_with_a_null_byte_is_told_like_any_other_fault() -> None:
    settings = parse_settings('rules: "a\\0b"', "responder.yaml")
    assert settings.rules is not None
    with pytest.raises(ConfigError, match="is no path"):
        read_text(settings.rules)
    with pytest.raises(ConfigError, match="is no path"):
        read_key(settings.rules)


PIECES = st.sampled_from(
    [
        *("listen", "rules", "signatures", "clusters", "store", "url", "sqlite://x", "10GiB", "5m", "2026-01-01"),
        *(": ", "\n", "\n  ", "- ", "[", "]", "{", "}", ",", "? ", "# ", "---\n", "%YAML 1.1\n", "<<: ", "'", '"', "|"),
        *("&a ", "*a", "!!python/object:os.system ", "!!binary ", "\\", "\x00", "\ufeff", "1e999", "0x7f", "~", "🙂"),
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join)))
@example("clusters: &a [*a]")
@example("a: " + "[" * 2000)
@example("listen: {port: " + "9" * 5000 + "}")
@example('listen: {url: "\\UFFFFFFFF"}')
def test_hostile_text_is_settings_or_a_told_fault_and_nothing_else(text: str) -> None:
    assert settings_or_faults(text)


@given(at=st.integers(0, len(WHOLE)), length=st.integers(0, 40), put=PIECES)
def test_a_mutated_real_configuration_is_settings_or_a_told_fault(at: int, length: int, put: str) -> None:
    assert settings_or_faults(WHOLE[:at] + put + WHOLE[at + length :])


def settings_or_faults(text: str) -> bool:
    try:
        return isinstance(parse_settings(text, "responder.yaml"), Settings)
    except ConfigError as error:
        return bool(error.problems) and all(p.startswith("responder.yaml:") for p in error.problems)


@pytest.mark.parametrize(
    ("clusters", "why"),
    [
        ("[{name: a, argocd_api: {url: 'https://a', token_file: t}, server: 'https://x'}]", "the first is the one"),
        ("[{name: a}, {name: b, argocd_api: {url: 'https://a', token_file: t}}]", "needs server"),
        (
            "[{name: a}, {name: b, server: 'https://x', context: c, argocd_api: {url: 'https://a', token_file: t}}]",
            "a cluster that we cannot reach",
        ),
    ],
)
def test_a_cluster_that_is_reached_by_argo_cd_alone_is_no_other(clusters: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_settings(f"clusters: {clusters}", "responder.yaml")
