"""What people write in manifests: references, quantities, image names, faults."""

from decimal import Decimal

import pytest

from tests.cluster.kubelet.environment import command_of, expand
from tests.cluster.kubelet.faults import parse_faults
from tests.cluster.kubelet.images import Image, Images, PullError, full_name, read_images
from tests.cluster.kubelet.quantity import read_quantity


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)/$(B)", "1/two"),
        ("$(NOBODY) $A ${A} $", "$(NOBODY) $A ${A} $"),
        ("$$(A) $$", "$(A) $"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
    ],
)
def test_references_in_values_and_arguments(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "two"}) == expanded


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", "0.5"), ("2", "2"), ("1.5Gi", str(3 << 29)), ("2k", "2000"), ("128Mi", str(128 << 20)), ("1e3", "1000")],
)
def test_quantities(text: str, value: str) -> None:
    assert read_quantity(text) == Decimal(value)


def test_a_command_replaces_what_the_image_brings_and_arguments_replace_its_command_only() -> None:
    image = Image(entrypoint=("migrate",), command=("--help",))
    assert command_of({}, image, {}) == ["migrate", "--help"]
    assert command_of({"args": ["up", "$(N)"]}, image, {"N": "1"}) == ["migrate", "up", "1"]
    assert command_of({"command": ["sh"], "args": ["-c"]}, image, {}) == ["sh", "-c"]
    assert command_of({"command": ["sh"]}, image, {}) == ["sh"]


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("app", "docker.io/library/app:latest"),
        ("team/app:2", "docker.io/team/app:2"),
        ("registry.test:5000/app", "registry.test:5000/app:latest"),
        ("ghcr.io/a/b:v1", "ghcr.io/a/b:v1"),
    ],
)
def test_full_names_of_images(name: str, full: str) -> None:
    assert full_name(name) == full


def test_a_table_says_what_an_image_brings_along_and_the_longest_name_counts() -> None:
    table = read_images(b'{"migrate/": {"user": 7}, "migrate/migrate:": {"entrypoint": ["/bin/migrate"]}}')
    images = Images(table)
    assert images.find("migrate/migrate:v4").entrypoint == ("/bin/migrate",)
    assert images.find("migrate/other").user == 7
    assert images.find("python:3.12") == Image()


def test_an_image_cannot_be_pulled_until_it_is_pushed() -> None:
    images = Images({})
    with pytest.raises(PullError, match=r'failed to pull and unpack image "docker.io/library/does-not-exist:1"'):
        images.find("does-not-exist:1")
    images.pushed.add("does-not-exist:1")
    assert images.find("does-not-exist:1") == Image()
    with pytest.raises(PullError, match="invalid reference format") as caught:
        images.find("invalid//name")
    assert caught.value.reason == "InvalidImageName"


def test_faults_are_a_list() -> None:
    assert parse_faults("oom=copying rows, log-refused") == {"oom": "copying rows", "log-refused": ""}
    assert parse_faults("") == {}


@pytest.mark.parametrize("text", ["omo", "log-slow", "log-rotate=-1", "log-slow=soon"])
def test_a_fault_that_would_do_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown fault|needs a number|to float"):
        parse_faults(text)
