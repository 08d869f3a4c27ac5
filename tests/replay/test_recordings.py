"""What a real Argo CD did, played to the real responder: what comes out is what the recordings' notes say happened."""

import pytest

from tests.replay.recorded import EXPECTED, RECORDINGS, expected_gate, followed, lasting, play, told, when

# Each way an incident opens and ends; all of them compared whole would say no more.
COMPARED_WHOLE = (
    "s03-fail-hookfailed-policy",
    "s05b-retry-dirty-version",
    "s05c-retry-recovers-third",
    "s07b-sync-timeout",
    "s14c-operation-patch-while-running-cleared",
    "s21-bad-manifest-and-unknown",
)


def test_every_recording_has_an_expectation() -> None:
    assert sorted(EXPECTED) == sorted(folder.name for folder in RECORDINGS.iterdir() if folder.is_dir())


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_recording_gives_its_incident_with_webhooks_and_without(name: str) -> None:
    """The cluster tells us, webhooks only wake us."""
    expected = EXPECTED[name]

    woken, watched = await play(name), await play(name, webhooks=False)

    for played in (woken, watched):
        assert [told(incident, expected) for incident in played.incidents] == ([expected] if expected.state else [])
        assert played.gate == expected_gate(expected)
        assert {key: followed(name)[key] for key in played.logs} == played.logs
        for incident in played.incidents:
            stamps = [when(entry["at"]) for entry in incident["timeline"]]
            assert stamps == sorted(stamps)
    if name in COMPARED_WHOLE:
        assert lasting(woken.incidents) == lasting(watched.incidents)
        assert woken.logs == watched.logs


async def test_what_is_denied_is_denied_with_every_reason_in_words() -> None:
    [incident] = (await play("s05c-retry-recovers-third")).incidents

    [decision] = incident["decisions"]
    assert decision["verdict"]["reasons"] == [
        "read-only: RBAC does not allow it (the actuator role is not bound)",
        "an operation is requested or runs",
        "a person started it (responder)",
        "the Application has no auto-sync and is not opted in",
        "hook db-migrate is not known to be idempotent",
    ]
