"""What Argo CD's notification says: where to look, or why it is not ours; whatever the bytes."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.argocd import AppKey
from responder.core.notification import Notification, Refusal, failed_by_text, parse_notification

RECORDINGS = Path(__file__).parents[2] / "recordings"
WHOLE = (RECORDINGS / "s02-fail-default-policy" / "webhook-body.raw.json").read_bytes()
OURS = b'{"app": {"metadata": {"name": "orders", "namespace": "argocd"}}, "trigger": "on-sync-failed"}'


def why(body: bytes) -> str:
    found = parse_notification(body)
    assert isinstance(found, Refusal)
    return found.reason


def test_a_whole_application_names_itself() -> None:
    told = json.loads(WHOLE)["metadata"]

    assert parse_notification(WHOLE) == Notification(AppKey(told["namespace"], told["name"]))


def test_our_template_names_the_application_and_its_trigger() -> None:
    assert parse_notification(OURS) == Notification(AppKey("argocd", "orders"), "on-sync-failed")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not our JSON: "),
        (b"The sync operation of application orders has failed", "not our JSON: "),
        (b"[]", "not our JSON: "),
        (b'{"app": 1}', "not our JSON: "),
        (b'{"metadata": {"name": "orders"}}', "it names no Application"),
        (b'{"app": {"metadata": {"name": "", "namespace": "argocd"}}}', "it names no Application"),
        (b'{"kind": "Pod", "metadata": {"name": "a", "namespace": "b"}}', "it is not an Application"),
        (b'{"metadata": {"name": "../../secrets", "namespace": "argocd"}}', "its metadata names no Kubernetes object"),
        (b'{"metadata": {"name": "-orders", "namespace": "argocd"}}', "its metadata names no Kubernetes object"),
        (b'{"metadata": {"name": "Orders", "namespace": "argocd"}}', "its metadata names no Kubernetes object"),
        (b'{"metadata": {"name": "' + b"a" * 254 + b'", "namespace": "b"}}', "its metadata names no Kubernetes object"),
        (b"[" * 100_000, "not our JSON: "),
        (b'{"metadata": "\xff\xfe"}', "not our JSON: "),
    ],
)
def test_what_is_not_ours_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    assert why(body).startswith(reason)


def test_a_refusal_tells_length_and_hash_and_never_the_body() -> None:
    body = b'{"metadata": {"name": "hunter2 is my password", "namespace": "argocd"}}'
    found = parse_notification(body)

    assert isinstance(found, Refusal)
    assert (found.length, found.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert "hunter2" not in str(found)


def test_a_trigger_that_cannot_be_printed_is_dropped_and_a_long_one_cut() -> None:
    def trigger(word: str) -> str:
        found = parse_notification(json.dumps({"metadata": {"name": "a", "namespace": "b"}, "trigger": word}).encode())
        assert isinstance(found, Notification)
        return found.trigger

    assert (trigger("a\nb"), trigger("x" * 100)) == ("", "x" * 64)


@given(st.binary())
def test_no_bytes_break_it(body: bytes) -> None:
    assert isinstance(parse_notification(body), Notification | Refusal)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["argocd", "orders", "Application"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "metadata", "app", "name", "namespace", "trigger", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_breaks_it_and_what_it_names_is_a_kubernetes_name(body: object) -> None:
    found = parse_notification(json.dumps(body).encode())

    if isinstance(found, Notification):
        assert found.app is not None
        assert set(found.app.name + found.app.namespace) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=3))
def test_a_real_body_that_was_damaged_is_refused_or_read(place: int, instead: bytes) -> None:
    damaged = WHOLE[:place] + instead + WHOLE[place + 1 :]

    assert isinstance(parse_notification(damaged), Notification | Refusal)
    assert isinstance(parse_notification(WHOLE[:place]), Refusal)


# The catalog's templates: text.


def test_the_catalogs_text_tells_whose_sync_failed() -> None:
    assert failed_by_text((RECORDINGS.parent / "data/webhooks/stock.txt").read_bytes()) == "s05b-retry-dirty-version"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"The sync operation of application orders has started at 2026-11-21T12:10:42Z.",
        b" Application orders has been successfully synced at 2026-11-21T12:10:42Z.",
        b"The sync operation of application ../orders has failed at 2026-11-21T12:10:42Z",
        b"The sync operation of application \xff\xfe has failed at 2026-11-21T12:10:42Z",
        b"The sync operation of application " + b"a" * 300 + b" has failed at 2026-11-21T12:10:42Z",
    ],
)
def test_another_text_tells_of_nobodys_failure(text: bytes) -> None:
    assert failed_by_text(text) == ""


@given(st.binary())
def test_whatever_the_text_it_is_read(text: bytes) -> None:
    assert isinstance(failed_by_text(text), str)
