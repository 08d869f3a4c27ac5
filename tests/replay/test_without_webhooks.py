"""The cluster tells us, webhooks only wake us: without any of them the same incidents come out."""

import pytest

from tests.replay.recorded import EXPECTED, expected_gate, lasting, play, told

# Each way an incident opens and ends; all 41 with and without would say no more.
COMPARED_WHOLE = (
    "s03-fail-hookfailed-policy",
    "s05b-retry-dirty-version",
    "s05c-retry-recovers-third",
    "s07b-sync-timeout",
    "s14c-operation-patch-while-running-cleared",
    "s21-bad-manifest-and-unknown",
)


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_recording_gives_its_incident_without_webhooks(name: str) -> None:
    expected = EXPECTED[name]

    played = await play(name, webhooks=False)

    assert [told(incident, expected) for incident in played.incidents] == ([expected] if expected.state else [])
    assert played.gate == expected_gate(expected)


@pytest.mark.parametrize("name", COMPARED_WHOLE)
async def test_webhooks_change_nothing_of_what_is_reported(name: str) -> None:
    woken, watched = await play(name), await play(name, webhooks=False)

    assert lasting(woken.incidents) == lasting(watched.incidents)
    assert woken.logs == watched.logs
