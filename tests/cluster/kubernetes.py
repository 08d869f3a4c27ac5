"""The API of the cluster under test, by plain HTTP: nothing of the responder's stands between it and the tests."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

from tests.contract.kubernetes.cluster import hang_up

Json = dict[str, Any]
_TIMEOUT = aiohttp.ClientTimeout(total=30)
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
_CLUSTERED = {
    "Namespace",
    "Node",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


class RefusedError(Exception):
    def __init__(self, request: str, status: int, text: str) -> None:
        super().__init__(f"{request}: {status} {text}")
        self.status = status


class Kubernetes:
    def __init__(self, url: str, token: str, ca: Path) -> None:
        tls = ssl.create_default_context(cafile=str(ca))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(ssl=tls)
        self.session = aiohttp.ClientSession(url, headers=headers, connector=connector, timeout=_TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def call(self, method: str, where: str, body: object = None, *, kind: str = "application/json") -> Json:
        """Raises RefusedError. ``kind`` is the body's content type."""
        data = None if body is None else json.dumps(body)
        headers = {} if data is None else {"Content-Type": kind}
        async with self.session.request(method, where, data=data, headers=headers) as response:
            text = await response.text()
            if response.status >= 400:
                raise RefusedError(f"{method} {where}", response.status, text)
        answer: Json = json.loads(text) if text else {}
        return answer

    async def get(self, where: str) -> Json | None:
        """None when it is not there."""
        try:
            return await self.call("GET", where)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    async def apply(self, item: Json, namespace: str = "") -> Json:
        """Makes it so, whether it was there or not; ``namespace`` where the item names none."""
        meta = item["metadata"]
        where = path(item["apiVersion"], item["kind"], meta.get("namespace", namespace), meta["name"])
        return await self.call("PATCH", f"{where}?fieldManager=cluster-tests&force=true", item, kind=APPLY)

    async def patch(self, where: str, change: Json) -> Json:
        return await self.call("PATCH", where, change, kind=MERGE)

    async def delete(self, where: str) -> None:
        """Nothing happens when it is gone already."""
        try:
            await self.call("DELETE", where, {"propagationPolicy": "Background"})
        except RefusedError as error:
            if error.status != 404:
                raise

    async def until(self, where: str, true: Callable[[Json], object], *, within: float = 30) -> Json:
        """The object as it was when this was first true of it. ``within`` is seconds."""
        seen: Json | None = None
        try:
            async with asyncio.timeout(within):
                while (seen := await self.get(where)) is None or not true(seen):  # noqa: ASYNC110 - no event to await
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{where} was not so within {within:.0f} s: {json.dumps(seen)[:4000]}") from None
        return seen

    async def until_gone(self, where: str, *, within: float = 30) -> None:
        """``within`` is seconds."""
        try:
            async with asyncio.timeout(within):
                while await self.get(where) is not None:  # noqa: ASYNC110 - no event to await
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{where} was not gone within {within:.0f} s") from None

    @asynccontextmanager
    async def follow_log(self, namespace: str, pod: str, **query: str) -> AsyncIterator[aiohttp.StreamReader]:
        where = path("v1", "Pod", namespace, pod) + "/log"
        endless = aiohttp.ClientTimeout(total=None)
        async with self.session.get(where, params={"follow": "true", **query}, timeout=endless) as response:
            assert response.status == 200, await response.text()
            try:
                yield response.content
            finally:
                hang_up(response)


def path(api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
    """``path("batch/v1", "Job", "shop", "migrate")``; without a name of the whole list."""
    root = "/apis" if "/" in api_version else "/api"
    place = f"/namespaces/{namespace}" if namespace and kind not in _CLUSTERED else ""
    return f"{root}/{api_version}{place}/{_plural(kind)}" + (f"/{name}" if name else "")


def _plural(kind: str) -> str:
    lower = kind.lower()
    return lower[:-1] + "ies" if lower.endswith("y") else lower + "es" if lower.endswith("ss") else lower + "s"


def read_manifests(*files: Path) -> list[Json]:
    documents = (one for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8")))
    return [document for document in documents if document]


def write_kubeconfig(file: Path, url: str, ca: Path, token: str, namespace: str = "default") -> Path:
    cluster: Mapping[str, str] = {"server": url, "certificate-authority": str(ca)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": dict(cluster)}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "user", "namespace": namespace}}],
        "current-context": "tests",
    }
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file
