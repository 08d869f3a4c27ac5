from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.alert import Alert, AlertState, Severity
from responder.ports import ReceiverError
from responder.receivers.http import Endpoint
from responder.receivers.slack import Slack, escape, fit, message
from responder.receivers.template import parse_template
from tests.unit.receivers.neighbours import ALERT, Neighbour, alert, neighbour


@pytest.fixture
async def hub() -> AsyncIterator[Neighbour]:
    async with neighbour() as one:
        yield one


def blocks(told: Alert) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = message(told)["attachments"][0]["blocks"]
    return found


def texts(told: Alert) -> list[str]:
    return [block["text"]["text"] for block in blocks(told) if block["type"] == "section"]


async def test_what_slack_gets_is_one_message_with_a_plain_fallback(hub: Neighbour) -> None:
    slack = Slack("chat", Endpoint(hub.url(), timeout=5))
    await slack.send(ALERT, "")
    await slack.close()
    body = msgspec.json.decode(hub.requests[0].body)
    assert body["text"] == "shop/orders: db-migrate already-exists"
    assert body["attachments"][0]["color"] == "#f9a825"


async def test_a_channel_that_is_archived_is_not_tried_again(hub: Neighbour) -> None:
    hub.always = (410, {}, "channel_is_archived")
    slack = Slack("chat", Endpoint(hub.url(), timeout=5))
    with pytest.raises(ReceiverError, match="HTTP 410: channel_is_archived") as caught:
        await slack.send(ALERT, "")
    await slack.close()
    assert caught.value.final


def test_what_cannot_be_shown_is_not_sent() -> None:
    told = alert("a\x00b", what="a\x1b[31mb\tc\nd", details=("\x07\r",))
    header, *_ = blocks(told)
    assert header["text"]["text"] == "a\ufffdb"
    assert (texts(told)[0], texts(told)[-1]) == ("a\ufffd[31mb\tc\nd", "```\ufffd\ufffd```")


def test_the_three_lines_come_first_then_links_then_the_log() -> None:
    assert texts(ALERT) == [ALERT.what, ALERT.left, "abc -&gt; def. Next: argocd app get orders",
        "```12: ERROR: relation exists\n13: at line 3```"]  # fmt: skip
    (context,) = [block for block in blocks(ALERT) if block["type"] == "context"]
    assert context["elements"][0]["text"] == (
        "<https://responder.example.com/incidents/i1|Incident> · "
        "<https://responder.example.com/runbooks/already-exists|Runbook>"
    )


@pytest.mark.parametrize(
    ("state", "severity", "title", "colour"),
    [
        (AlertState.FIRING, Severity.CRITICAL, "i1", "#c62828"),
        (AlertState.FIRING, Severity.WARNING, "i1", "#f9a825"),
        (AlertState.FIRING, Severity.INFO, "i1", "#1565c0"),
        (AlertState.ACKNOWLEDGED, Severity.CRITICAL, "Acknowledged: i1", "#c62828"),
        (AlertState.RESOLVED, Severity.CRITICAL, "Resolved: i1", "#2e7d32"),
    ],
)
def test_state_and_severity_are_seen_at_a_glance(
    state: AlertState, severity: Severity, title: str, colour: str
) -> None:
    told = message(alert(state=state, severity=severity))
    assert (told["text"], told["attachments"][0]["color"]) == (title, colour)


def test_a_log_can_neither_mention_people_nor_leave_its_code_block() -> None:
    told = alert(what="<!channel> & <@U123>", details=("```\n<!here>",))
    assert texts(told)[0] == "&lt;!channel&gt; &amp; &lt;@U123&gt;"
    assert texts(told)[-1].count("```") == 2
    assert "<!here>" not in texts(told)[-1]


def test_the_children_of_one_cause_are_listed() -> None:
    assert "2 affected: shop/a, shop/b" in texts(alert(children=("shop/a", "shop/b")))


def test_details_go_first_when_there_is_no_room() -> None:
    told = alert(details=tuple(f"{n}: {'x' * 900}" for n in range(500)))
    assert texts(told)[:3] == texts(ALERT)[:3]
    assert len(msgspec.json.encode(blocks(told))) <= 12_100


def test_a_users_wording_stands_for_the_three_lines_and_cannot_be_broken_out_of() -> None:
    wording = parse_template("*{{ alert.labels.application }}*: {{ alert.what }}", "t", escape)
    text = wording.render(alert(what="<!channel>"))
    sections = [b for b in message(alert(details=()), text)["attachments"][0]["blocks"] if b["type"] == "section"]
    assert [b["text"]["text"] for b in sections] == ["*orders*: &lt;!channel&gt;"]


hostile = st.text(alphabet=st.sampled_from("&<>`|a\n é😀\x00"), max_size=30).map(lambda text: text * 300)


@given(hostile, hostile, st.lists(hostile, max_size=4).map(tuple))
def test_no_alert_breaks_slacks_limits(title: str, line: str, details: tuple[str, ...]) -> None:
    told = message(alert(what=line, left=line, next=line, details=details, children=(line,)))
    found = told["attachments"][0]["blocks"]
    assert len(found) <= 50
    for block in found:
        if block["type"] == "header":
            assert 1 <= len(block["text"]["text"]) <= 150
        if block["type"] == "section":
            assert 1 <= len(block["text"]["text"]) <= 3000
    assert len(message(alert(title))["text"]) <= 1000


@given(st.text(alphabet="&<>ab", max_size=60), st.integers(min_value=6, max_value=40))
def test_what_is_cut_is_never_cut_inside_an_entity(text: str, limit: int) -> None:
    cut = fit(text, limit)
    assert len(cut) <= limit
    plain = cut.removesuffix("…").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    assert text.startswith(plain)
