"""The cluster that ``python -m tests.cluster`` started. Every test here that needs it is marked ``real_cluster``."""

import os
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.git import Repository
from tests.cluster.kubernetes import Kubernetes, path
from tests.cluster.running import ABSENT, Running, find_running
from tests.cluster.story import Story


@pytest.fixture(scope="session")
def running() -> Running:
    if why := os.environ.get(ABSENT):
        pytest.skip(why)
    try:
        return find_running()
    except LookupError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
async def kubernetes(running: Running) -> AsyncIterator[Kubernetes]:
    async with running.kubernetes() as client:
        yield client


@pytest.fixture
def scenario(request: pytest.FixtureRequest) -> str:
    """A name for what this test alone has: its namespace, its repository."""
    told = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    return f"{told[:40].strip('-')}-{uuid.uuid4().hex[:6]}"


@pytest.fixture
async def namespace(kubernetes: Kubernetes, scenario: str) -> AsyncIterator[str]:
    """Gone after the test, with all that is in it."""
    await kubernetes.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scenario}})
    await kubernetes.until(path("v1", "ServiceAccount", scenario, "default"), bool)
    yield scenario
    await kubernetes.delete(path("v1", "Namespace", name=scenario))


@pytest.fixture
async def repository(running: Running, scenario: str) -> Repository:
    made = Repository(running.git_root, running.git_url, scenario)
    await made.create()
    return made


@pytest.fixture
async def story(running: Running, kubernetes: Kubernetes, namespace: str, tmp_path: Path) -> AsyncIterator[Story]:
    made = Story(running, kubernetes, namespace, tmp_path)
    try:
        yield made
        await made.check_lines()
    finally:
        await made.close()
