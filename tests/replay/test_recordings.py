"""What a real Argo CD did, played to the real responder: what comes out is what the recordings' notes say happened."""

import pytest

from tests.replay.recorded import EXPECTED, RECORDINGS, expected_gate, followed, play, told, when


def test_every_recording_has_an_expectation() -> None:
    assert sorted(EXPECTED) == sorted(folder.name for folder in RECORDINGS.iterdir() if folder.is_dir())


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_recording_gives_its_incident(name: str) -> None:
    expected = EXPECTED[name]

    played = await play(name)

    assert [told(incident, expected) for incident in played.incidents] == ([expected] if expected.state else [])
    assert played.gate == expected_gate(expected)
    assert {key: followed(name)[key] for key in played.logs} == played.logs
    for incident in played.incidents:
        stamps = [when(entry["at"]) for entry in incident["timeline"]]
        assert stamps == sorted(stamps)
