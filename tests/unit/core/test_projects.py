"""Where an AppProject lets its Applications deploy."""

import msgspec
import pytest

from responder.core.projects import Destination, Project, ProjectWire, permits, project

IN_CLUSTER = "https://kubernetes.default.svc"
OTHER = "https://10.0.0.1:6443"


def held(*destinations: tuple[str, str]) -> Project:
    """Each is (server, namespace)."""
    return Project("argocd", "shop", destinations=tuple(Destination(server=s, namespace=n) for s, n in destinations))


@pytest.mark.parametrize(
    ("destinations", "namespace", "allowed"),
    [
        ([], "shop", False),
        ([("*", "*")], "shop", True),
        ([(IN_CLUSTER, "shop-*")], "shop-prod", True),
        ([(IN_CLUSTER, "shop-*")], "kube-system", False),
        ([(OTHER, "*")], "shop", False),
        ([("*", "!kube-system"), ("*", "*")], "shop", True),
        ([("*", "!kube-system"), ("*", "*")], "kube-system", False),
        ([("*", "*"), ("*", "!kube-system")], "kube-system", False),
        ([("*", "!kube-system")], "shop", True),
        ([("!" + IN_CLUSTER, "*"), ("*", "*")], "shop", False),
        ([("!" + OTHER, "*")], "shop", True),
    ],
)
def test_destinations(destinations: list[tuple[str, str]], namespace: str, allowed: bool) -> None:
    assert permits(held(*destinations), IN_CLUSTER, "", namespace) is allowed


def test_argo_cds_own_cluster_is_known_by_name_and_by_server() -> None:
    by_name = Project("argocd", "shop", destinations=(Destination(name="in-cluster", namespace="*"),))

    assert permits(by_name, IN_CLUSTER, "", "shop")
    assert permits(held((IN_CLUSTER, "*")), "", "in-cluster", "shop")
    assert not permits(by_name, OTHER, "", "shop")


def test_a_project_is_decoded_with_its_windows_and_annotations() -> None:
    raw = msgspec.json.encode(
        {
            "metadata": {
                "name": "shop",
                "namespace": "argocd",
                "resourceVersion": "3",
                "annotations": {"hook-responder.io/owner": "team-a", "kubectl.kubernetes.io/last-applied": "{}"},
            },
            "spec": {
                "destinations": [{"server": "*", "namespace": "shop"}],
                "syncWindows": [
                    {"kind": "deny", "schedule": "0 3 * * *", "duration": "1h", "timeZone": "Europe/Berlin"}
                ],
                "sourceRepos": ["*"],
            },
        }
    )
    decoded = project(msgspec.json.decode(raw, type=ProjectWire))

    assert decoded.annotations == (("hook-responder.io/owner", "team-a"),)
    assert decoded.annotation("hook-responder.io/owner") == "team-a"
    (window,) = decoded.windows
    assert (window.allow, window.schedule, window.zone) == (False, "0 3 * * *", "Europe/Berlin")
