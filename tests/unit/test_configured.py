"""Rules and signatures are read again when their files change; a bad file changes nothing."""

import asyncio
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from responder.config import ConfigError, Settings
from responder.configured import Configured
from responder.metrics import Metrics
from tests.contract.store.examples import NIGHT, StandingClock, after

ALERT = "version: 1\nrules:\n  - {name: RULE, when: {}, do: [{alert: {}}]}\n"
SIGNATURE = "signatures:\n  - {id: a, pattern: PATTERN, samples: [PATTERN], category: killed}\n"


class Place:
    """Files as a ConfigMap is mounted: links to a link to a folder, which is swapped at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.swap(ALERT.replace("RULE", "first"), SIGNATURE.replace("PATTERN", "gone"))
        for name in ("rules.yaml", "own.yaml"):
            (folder / name).symlink_to(f"..data/{name}")

    def swap(self, rules: str, own: str = SIGNATURE.replace("PATTERN", "gone")) -> None:
        self.count += 1
        version = self.folder / f"..{self.count}"
        version.mkdir()
        (version / "rules.yaml").write_text(rules)
        (version / "own.yaml").write_text(own)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self.folder / "..data")

    @property
    def rules(self) -> Path:
        return self.folder / "rules.yaml"

    def settings(self, *, own: bool = False) -> Settings:
        return Settings.model_validate({"rules": self.rules, "signatures": [self.folder / "own.yaml"] if own else []})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def configured(place: Place, clock: StandingClock, metrics: Metrics) -> Configured:
    return Configured(place.settings(), clock, metrics)


def names(configured: Configured) -> list[str]:
    return [rule.name for rule in configured.rules.rulebook.rules]


def success(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("responder_config_reload_success")


async def test_nothing_happens_while_nothing_changes(configured: Configured, metrics: Metrics) -> None:
    before = configured.rules
    assert not await configured.look()
    assert (configured.rules is before, success(metrics)) == (True, 1)


async def test_a_configmap_that_is_swapped_is_in_force(
    configured: Configured, place: Place, clock: StandingClock, metrics: Metrics
) -> None:
    place.swap(ALERT.replace("RULE", "second"))
    await clock.sleep(60)
    assert await configured.look()
    assert names(configured) == ["second"]
    assert (configured.in_force.loaded_at, configured.in_force.trouble) == (after(1), "")
    sample = {"rule": "second", "mode": "live"}
    assert metrics.registry.get_sample_value("responder_rule_matches_total", sample) == 0


async def test_a_bad_file_changes_nothing_and_is_told(
    configured: Configured, place: Place, clock: StandingClock, metrics: Metrics
) -> None:
    place.swap(ALERT.replace("alert", "alret"))
    await clock.sleep(60)
    assert not await configured.look()
    assert names(configured) == ["first"]
    assert (configured.in_force.loaded_at, configured.in_force.refused_at, success(metrics)) == (NIGHT, after(1), 0)
    assert configured.in_force.trouble == (
        "a changed configuration was refused, the one before stays in force: "
        f"{place.rules}:3:34: rules.0.do.0.alret: unknown key, did you mean alert?"
    )


async def test_when_it_is_mended_all_is_well_again(configured: Configured, place: Place, metrics: Metrics) -> None:
    place.swap("version: 2\n")
    await configured.look()
    place.swap(ALERT.replace("RULE", "third"))
    assert await configured.look()
    assert (names(configured), configured.in_force.problems, success(metrics)) == (["third"], (), 1)


async def test_a_file_that_is_gone_changes_nothing(configured: Configured, place: Place) -> None:
    (place.folder / "..data").unlink()
    assert not await configured.look()
    assert names(configured) == ["first"]
    assert configured.in_force.problems[0].endswith("cannot be read: No such file or directory")


async def test_a_file_that_is_edited_in_place_is_seen(configured: Configured, place: Place) -> None:
    place.rules.write_text(ALERT.replace("RULE", "fresh"))  # as long as before: its time of change tells
    os.utime(place.rules, ns=(1, 1))
    assert await configured.look()
    assert names(configured) == ["fresh"]


async def test_signatures_are_read_again_too(place: Place, clock: StandingClock, metrics: Metrics) -> None:
    configured = Configured(place.settings(own=True), clock, metrics)
    place.swap(ALERT.replace("RULE", "first"), SIGNATURE.replace("PATTERN", "lost at sea"))
    assert await configured.look()
    assert list(configured.rules.signatures.scan(b"lost at sea\n")) == [(0, 11)]


async def test_it_looks_by_itself_and_says_when_other_rules_are_in_force(
    place: Place, clock: StandingClock, metrics: Metrics
) -> None:
    configured = Configured(place.settings(), clock, metrics, every=0.01)
    changed = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(configured.run(changed.set))
        place.swap(ALERT.replace("RULE", "second"))
        await changed.wait()
        running.cancel()
    assert names(configured) == ["second"]


def test_it_does_not_start_with_a_bad_file(place: Place, clock: StandingClock, metrics: Metrics) -> None:
    place.swap("rules: []\n")
    with pytest.raises(ConfigError, match=r"rules.yaml:1:1: version: missing"):
        Configured(place.settings(), clock, metrics)


def test_without_files_there_are_no_rules(clock: StandingClock, metrics: Metrics) -> None:
    configured = Configured(Settings(), clock, metrics)
    assert (names(configured), configured.in_force.rules_file) == ([], "")


# Secrets, mounted in the same way.


async def test_a_secret_that_is_renewed_is_in_force(configured: Configured, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    token = configured.secret(tmp_path / "token")
    (tmp_path / "token").write_text("second\n")
    assert token() == "first"
    assert not await configured.look()  # other rules are not
    assert token() == "second"


async def test_a_secret_that_is_empty_leaves_the_last_one_and_is_told_once(
    configured: Configured, metrics: Metrics, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    token, again = configured.secret(tmp_path / "token"), configured.secret(tmp_path / "token")
    (tmp_path / "token").write_text("")
    for _ in range(3):
        await configured.look()
    assert (token(), again(), success(metrics)) == ("s3cret", "s3cret", 0)
    assert configured.in_force.trouble == ""  # everybody may read that one
    (told,) = caplog.records
    assert (told.levelname, vars(told)["detail"]) == ("WARNING", f"{tmp_path / 'token'}: secret is empty")
    (tmp_path / "token").write_text("other\n")
    await configured.look()
    assert (token(), success(metrics)) == ("other", 1)


def test_it_does_not_start_without_a_secret(configured: Configured, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gone: secret cannot be read"):
        configured.secret(tmp_path / "gone")
