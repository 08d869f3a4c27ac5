"""Argo CD's notifications config as we ship it, broken in one place at a time."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.checkup import Document, Fingerprint, Fingerprints, Severity
from responder.core.notifysetup import Setup, notifications
from responder.shipped import snippet

SHIPPED: dict[str, str] = yaml.safe_load(snippet("argocd"))["data"]
TOKEN = sha256(b"token").hexdigest()
STOCK = {
    "trigger.on-sync-failed": "- when: app.status.operationState.phase in ['Failed']\n  send: [app-sync-failed]",
    "template.app-sync-failed": "message: The sync operation of application {{.app.metadata.name}} has failed",
}


def setup(changes: Mapping[str, str | None] | None = None, **more: Any) -> Setup:
    """As shipped, with these keys; None takes one out."""
    data = {key: value for key, value in {**SHIPPED, **(changes or {})}.items() if value is not None}
    secret = Fingerprints({"hook-responder-token": Fingerprint(TOKEN, TOKEN)})
    return msgspec.structs.replace(Setup(Document(data), secret, SHIPPED, tokens=frozenset({TOKEN})), **more)


def ids(given_setup: Setup) -> list[str]:
    return [finding.id for finding in notifications(given_setup)]


def test_what_we_ship_is_well() -> None:
    assert notifications(setup()) == []


def test_what_could_not_be_read_is_not_judged() -> None:
    assert notifications(setup(config=Document(trouble="403 Forbidden"))) == []
    assert notifications(setup(secret=Fingerprints(trouble="403 Forbidden"))) == []
    assert notifications(setup(tokens=None)) == []


def test_a_config_without_a_service_of_ours_is_one_finding() -> None:
    assert ids(setup({"service.webhook.hook-responder": None})) == ["notifications-service"]
    assert ids(setup(config=Document({}))) == ["notifications-config"]
    assert ids(setup(config=Document())) == ["notifications-config"]


def test_a_service_of_another_name_is_ours_by_its_address() -> None:
    renamed = {
        key.replace("hook-responder", "migrations") if key.startswith("service") else key: value.replace(
            "recipients: [hook-responder]", "recipients: [migrations]"
        ).replace("\n  hook-responder:", "\n  migrations:")
        for key, value in SHIPPED.items()
    }
    assert notifications(setup(config=Document(renamed))) == []


def test_triggers_and_templates_that_are_missing_are_named() -> None:
    found = notifications(
        setup({"trigger.hook-responder-success": None, "template.hook-responder-attempt-failed": None})
    )

    assert [(finding.id, finding.details) for finding in found] == [
        ("notifications-triggers", ("trigger.hook-responder-success",)),
        ("notifications-templates", ("template.hook-responder-attempt-failed",)),
    ]


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ("url: http://hook-responder.hook-responder.svc:8080", "notifications-token"),
        (
            "url: http://hook-responder:8080\nheaders: [{name: authorization, value: Bearer $another}]",
            "notifications-token-missing",
        ),
        ("url: http://hook-responder:8080\nbasicAuth: {username: x, password: $hook-responder-token}", ""),
    ],
)
def test_the_token_is_looked_for_where_the_service_takes_it_from(service: str, found: str) -> None:
    assert ids(setup({"service.webhook.hook-responder": service})) == ([found] if found else [])


def test_stock_templates_that_are_sent_to_us_are_text_by_get() -> None:
    subscribed = "- {recipients: [hook-responder], triggers: [on-sync-failed, hook-responder-final-failure]}"
    (finding,) = notifications(setup({**STOCK, "subscriptions": subscribed}))

    assert finding.id == "notifications-text"
    assert finding.details == ("trigger on-sync-failed, template app-sync-failed",)


def test_a_subscription_by_annotation_counts_like_one_in_the_config() -> None:
    nobody = {"subscriptions": "- {recipients: [slack:ops], triggers: [hook-responder-success]}"}
    annotation = "notifications.argoproj.io/subscribe.hook-responder-final-failure.hook-responder"

    assert ids(setup(nobody)) == ["notifications-subscriptions"]
    assert ids(setup(nobody, annotations=(annotation,))) == []


def test_a_subscription_to_a_trigger_that_is_not_there_is_named() -> None:
    subscribed = "- {recipients: [hook-responder], triggers: [on-sync-faild, hook-responder-final-failure]}"
    annotation = "notifications.argoproj.io/subscribe.on-sync-lost.hook-responder"
    (finding,) = notifications(setup({"subscriptions": subscribed}, annotations=(annotation,)))

    assert finding.id == "notifications-unknown-trigger"
    assert finding.details == ("trigger.on-sync-faild", "trigger.on-sync-lost")


def test_one_of_ours_that_is_not_there_is_told_once() -> None:
    assert ids(setup({"trigger.hook-responder-success": None})) == ["notifications-triggers"]


def test_what_others_are_subscribed_to_is_not_our_matter() -> None:
    theirs, ours = "{recipients: [slack:ops], triggers: [nowhere]}", "{recipients: [hook-responder], triggers: [x]}"
    found = notifications(setup({"subscriptions": f"- {theirs}\n- {ours.replace('x', 'hook-responder-success')}"}))
    assert found == []


def test_default_triggers_count_where_a_subscription_names_none() -> None:
    bare = {"subscriptions": "- recipients: [hook-responder]"}

    assert ids(setup(bare)) == ["notifications-subscriptions"]
    assert ids(setup({**bare, "defaultTriggers.hook-responder": "- hook-responder-final-failure"})) == []
    assert ids(setup({**bare, **STOCK, "defaultTriggers": "- on-sync-failed"})) == ["notifications-text"]


@pytest.mark.parametrize(
    ("key", "text", "detail"),
    [
        ("template.theirs", "message: {{.app", "template.theirs: is no YAML"),
        (
            "service.webhook.theirs",
            "url: http://example.com\nretryWaitMin: 1s",
            "service.webhook.theirs: retryWaitMin must be whole nanoseconds, like 1000000000",
        ),
    ],
)
def test_one_faulty_key_silences_everybody_and_is_critical(key: str, text: str, detail: str) -> None:
    (finding,) = notifications(setup({key: text}))

    assert (finding.id, finding.severity, finding.details) == ("notifications-faulty", Severity.CRITICAL, (detail,))


_KEYS = st.sampled_from(sorted(SHIPPED))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            _KEYS
            | st.sampled_from(
                [
                    "url",
                    "headers",
                    "name",
                    "value",
                    "when",
                    "send",
                    "recipients",
                    "triggers",
                    "webhook",
                    "method",
                    "basicAuth",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.dictionaries(_KEYS, _VALUES.map(yaml.safe_dump) | st.text(max_size=20), max_size=4))
def test_whatever_stands_there_is_judged_without_an_error(changes: dict[str, str]) -> None:
    for finding in notifications(setup(dict(changes))):
        assert finding.id.startswith("notifications-")
        assert finding.title
