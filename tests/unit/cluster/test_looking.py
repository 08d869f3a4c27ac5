"""What the doctor reads of a cluster, page by page."""

from responder.cluster.client import Kubernetes
from responder.cluster.looking import NamedRead, Reading
from tests.unit.cluster.fault_server import FaultServer, says


def page(name: str, token: str) -> dict[str, object]:
    return {"metadata": {"resourceVersion": "1", "continue": token}, "items": [{"metadata": {"name": name}}]}


async def test_a_list_is_read_to_its_last_page() -> None:
    async with FaultServer() as server, Kubernetes.from_url(server.url) as kubernetes:
        server.will("GET", says(200, page("a", "x+y/z==")), says(200, page("b", "")))
        found = await Reading(kubernetes).listed("Pods", "/api/v1/pods", NamedRead, [("labelSelector", "x=y")])
    assert [item.metadata.name for item in found or ()] == ["a", "b"]
    assert [dict(request.query) for request in server.requests] == [
        {"labelSelector": "x=y", "limit": "500"},
        {"labelSelector": "x=y", "limit": "500", "continue": "x+y/z=="},
    ]


async def test_what_cannot_be_listed_is_named() -> None:
    async with FaultServer() as server, Kubernetes.from_url(server.url) as kubernetes:
        server.will("GET", says(403, b"{}"), says(200, b"<html>"))
        reading = Reading(kubernetes)
        assert await reading.listed("Pods", "/api/v1/pods", NamedRead) is None
        assert await reading.listed("Jobs", "/apis/batch/v1/jobs", NamedRead) is None
    assert reading.unread[0] == "Pods: forbidden"
    assert reading.unread[1].startswith("Jobs: ")
