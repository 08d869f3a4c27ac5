"""The cases run on the in-memory API server, or on a real one when RESPONDER_TEST_KUBERNETES_URL names it.

A real one needs the Application CRD of Argo CD, the garbage collector, and a node that starts Pods;
RESPONDER_TEST_KUBERNETES_TOKEN is an administrator's token, RESPONDER_TEST_KUBERNETES_CA its CA file. They are marked
``real_cluster`` then; `make test-cluster` sets all three.
"""

import os
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.clock import FastClock
from responder.demo.objects import Objects
from tests.contract.kubernetes.cluster import Cluster
from tests.contract.kubernetes.pods import Pods, PodsInMemory, PodsOnNodes

HERE = Path(__file__).parent
URL = os.environ.get("RESPONDER_TEST_KUBERNETES_URL", "")
TOKEN = os.environ.get("RESPONDER_TEST_KUBERNETES_TOKEN", "in-memory")
CA = os.environ.get("RESPONDER_TEST_KUBERNETES_CA")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if URL and item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.real_cluster)


@pytest.fixture
def objects() -> Objects:
    return Objects(FastClock(10))  # what ends by time ends soon


@pytest.fixture
async def cluster(objects: Objects) -> AsyncIterator[Cluster]:
    namespace = f"contract-{uuid.uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        url = URL
        if not url:
            url = (await stack.enter_async_context(ApiServer(Api(objects, tokens={TOKEN: "admin"})))).url
        tls = ssl.create_default_context(cafile=CA)
        connector = aiohttp.TCPConnector(ssl=tls if CA else True)
        session = aiohttp.ClientSession(url, connector=connector)
        cluster = Cluster(await stack.enter_async_context(session), namespace, TOKEN)
        await cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        if URL:
            await cluster.there("serviceaccounts", "default")  # without it no Pod is let in
        yield cluster
        await cluster.call("DELETE", f"/api/v1/namespaces/{namespace}")


@pytest.fixture
def pods(cluster: Cluster, objects: Objects) -> Pods:
    return PodsOnNodes(cluster) if URL else PodsInMemory(cluster, objects)
