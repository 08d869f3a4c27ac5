import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import unused_port

from responder.core.alert import Alert, AlertState, Severity
from responder.ports import ReceiverError
from responder.receivers.alertmanager import Alertmanager
from responder.receivers.http import Endpoint
from tests.unit.receivers.neighbours import ALERT, NOW, Neighbour, alert, neighbour

LABELS = {
    "alertname": "HookIncident",
    "incident": "i1",
    "project": "shop",
    "namespace": "argocd",
    "application": "orders",
    "owner": "orders-team",
    "severity": "warning",
}
LATER = NOW + timedelta(minutes=7)


@pytest.fixture
async def peers() -> AsyncIterator[list[Neighbour]]:
    async with neighbour() as one, neighbour() as two:
        yield [one, two]


@pytest.fixture
async def receiver(peers: list[Neighbour]) -> AsyncIterator[Alertmanager]:
    endpoints = [Endpoint(peer.url("/api/v2/alerts"), timeout=5) for peer in peers]
    found = Alertmanager("am", endpoints, repeat_every=60, now=lambda: LATER)
    yield found
    await found.close()


def sent(peer: Neighbour) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = msgspec.json.decode(peer.requests[-1].body)
    return entries


async def test_every_peer_is_told(receiver: Alertmanager, peers: list[Neighbour]) -> None:
    await receiver.send(ALERT, "")
    assert [peer.requests[0].path for peer in peers] == ["/api/v2/alerts", "/api/v2/alerts"]
    assert sent(peers[0]) == sent(peers[1])


async def test_labels_are_what_stays_the_same_and_the_rest_is_annotations(
    receiver: Alertmanager, peers: list[Neighbour]
) -> None:
    await receiver.send(ALERT, "")
    (entry,) = sent(peers[0])
    assert entry["labels"] == LABELS
    assert entry["annotations"] == {
        "summary": ALERT.title,
        "description": f"{ALERT.what}\n{ALERT.left}\n{ALERT.next}",
        "runbook_url": ALERT.runbook_url,
        "state": "firing",
        "details": "12: ERROR: relation exists\n13: at line 3",
        "category": "already-exists",
        "retry": "unsafe",
        "state_left": "partial",
    }
    assert entry["generatorURL"] == ALERT.incident_url


async def test_a_firing_alert_ends_well_after_its_next_repetition(
    receiver: Alertmanager, peers: list[Neighbour]
) -> None:
    await receiver.send(ALERT, "")
    assert (sent(peers[0])[0]["startsAt"], sent(peers[0])[0]["endsAt"]) == (
        "2026-03-01T03:00:00Z",
        "2026-03-01T03:12:00Z",  # 03:07 and five minutes
    )


async def test_a_resolved_alert_ended_when_the_incident_did(receiver: Alertmanager, peers: list[Neighbour]) -> None:
    reference = await receiver.send(ALERT, "")
    await receiver.send(alert(state=AlertState.RESOLVED, ends_at=NOW + timedelta(minutes=3)), reference)
    (entry,) = sent(peers[0])
    assert (entry["labels"], entry["endsAt"]) == (LABELS, "2026-03-01T03:03:00Z")


async def test_a_more_severe_alert_takes_the_place_of_the_one_before(
    receiver: Alertmanager, peers: list[Neighbour]
) -> None:
    reference = await receiver.send(ALERT, "")
    await receiver.send(alert(severity=Severity.CRITICAL), reference)
    before, now = sent(peers[0])
    assert (before["labels"]["severity"], before["endsAt"]) == ("warning", "2026-03-01T03:07:00Z")
    assert (now["labels"]["severity"], now["endsAt"]) == ("critical", "2026-03-01T03:12:00Z")


async def test_a_less_severe_alert_stays_the_same_alert(receiver: Alertmanager, peers: list[Neighbour]) -> None:
    reference = await receiver.send(alert(severity=Severity.CRITICAL), "")
    reference = await receiver.send(alert(severity=Severity.INFO), reference)
    await receiver.send(alert(severity=Severity.INFO, state=AlertState.RESOLVED), reference)
    assert [entry["labels"]["severity"] for entry in sent(peers[0])] == ["critical"]


async def test_one_peer_is_enough(peers: list[Neighbour], caplog: pytest.LogCaptureFixture) -> None:
    failures: list[int] = []
    endpoints = [Endpoint(f"http://127.0.0.1:{unused_port()}/x", timeout=5), Endpoint(peers[1].url(), timeout=5)]
    receiver = Alertmanager("am", endpoints, repeat_every=60, peer_failed=lambda: failures.append(1))
    with caplog.at_level(logging.WARNING):
        await receiver.send(ALERT, "")
    await receiver.close()
    assert len(peers[1].requests) == 1
    assert len(failures) == 1
    assert "an Alertmanager peer did not take an alert" in caplog.text


async def test_when_no_peer_took_it_the_most_hopeful_failure_counts(
    receiver: Alertmanager, peers: list[Neighbour]
) -> None:
    peers[0].always = (400, {}, "bad label")
    peers[1].always = (503, {"Retry-After": "9"}, "")
    with pytest.raises(ReceiverError) as caught:
        await receiver.send(ALERT, "")
    assert (caught.value.reason, caught.value.retry_after, caught.value.final) == ("server-error", 9, False)


async def test_a_reference_that_is_none_does_no_harm(receiver: Alertmanager, peers: list[Neighbour]) -> None:
    await receiver.send(ALERT, "not json")
    assert len(sent(peers[0])) == 1


async def test_empty_urls_are_left_out(receiver: Alertmanager, peers: list[Neighbour]) -> None:
    await receiver.send(alert(incident_url="", runbook_url=""), "")
    (entry,) = sent(peers[0])
    assert "generatorURL" not in entry
    assert "runbook_url" not in entry["annotations"]


class Peer:
    """A real Alertmanager on a port of loopback."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    async def alerts(self) -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v2/alerts") as response:
            assert response.status == 200
            found: list[dict[str, Any]] = await response.json()
            return found

    async def wait_ready(self) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    await self.alerts()
                except (aiohttp.ClientError, AssertionError):
                    await asyncio.sleep(0.05)
                else:
                    return


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    port = unused_port()
    process = await asyncio.create_subprocess_exec(
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        found = Peer(port)
        await found.wait_ready()
        yield found
    finally:
        process.terminate()
        await process.wait()


def at_present(**more: Any) -> Alert:
    return alert(starts_at=datetime.now(UTC) - timedelta(minutes=2), **more)


async def until(peer: Peer, severities: list[str]) -> list[dict[str, Any]]:
    """Its active alerts, when they are these: it takes in what it accepted a moment later."""
    async with asyncio.timeout(20):
        while True:
            found = await peer.alerts()
            if sorted(entry["labels"]["severity"] for entry in found) == severities:
                return found
            await asyncio.sleep(0.05)


@pytest.mark.peer
async def test_a_real_alertmanager_holds_renews_and_resolves_the_alert(peer: Peer) -> None:
    receiver = Alertmanager("am", [Endpoint(f"{peer.url}/api/v2/alerts", timeout=5)], repeat_every=60)
    try:
        firing = at_present()
        reference = await receiver.send(firing, "")
        (held,) = await until(peer, ["warning"])
        assert held["labels"] == LABELS
        assert held["status"]["state"] == "active"
        ends_at = datetime.fromisoformat(held["endsAt"])
        assert ends_at > datetime.now(UTC) + timedelta(minutes=4)

        reference = await receiver.send(firing, reference)
        (renewed,) = await until(peer, ["warning"])
        assert renewed["fingerprint"] == held["fingerprint"]
        assert datetime.fromisoformat(renewed["endsAt"]) > ends_at

        worse = msgspec.structs.replace(firing, severity=Severity.CRITICAL)
        reference = await receiver.send(worse, reference)
        await until(peer, ["critical"])

        over = msgspec.structs.replace(worse, state=AlertState.RESOLVED, ends_at=datetime.now(UTC))
        await receiver.send(over, reference)
        await until(peer, [])
    finally:
        await receiver.close()


@pytest.mark.peer
async def test_a_real_alertmanager_takes_hostile_text(peer: Peer) -> None:
    receiver = Alertmanager("am", [Endpoint(f"{peer.url}/api/v2/alerts", timeout=5)], repeat_every=60)
    try:
        labels = {**ALERT.labels, "application": "{{ evil }}", "owner": 'a"b\nc', "project": "日本", "x-y": "z"}
        await receiver.send(at_present(labels=labels, details=("\x00\x1b[31m",), incident_url="not a url"), "")
        await until(peer, ["warning"])
    finally:
        await receiver.close()
