from typing import Any

import pytest

from tests.cluster.kubelet.scheduler import why_not

NODE = {
    "metadata": {"name": "node-1", "labels": {"disk": "hdd", "cores": "8"}},
    "spec": {},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}},
}
WRONG_NODE = "1 node(s) didn't match Pod's node affinity/selector"


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main"}]} | spec}


def asking(**requests: str) -> dict[str, Any]:
    return {"name": "main", "resources": {"requests": requests}}


def affine(operator: str, *values: str, key: str = "disk") -> dict[str, Any]:
    rule = {"key": key, "operator": operator, "values": list(values)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def test_a_pod_without_wishes_fits() -> None:
    assert why_not(pod(), NODE) == ""


@pytest.mark.parametrize(("disk", "reason"), [("hdd", ""), ("ssd", WRONG_NODE)])
def test_a_node_selector_must_match(disk: str, reason: str) -> None:
    assert why_not(pod(nodeSelector={"disk": disk}), NODE) == reason


@pytest.mark.parametrize(
    ("affinity", "fits"),
    [
        (affine("In", "ssd", "hdd"), True),
        (affine("In", "ssd"), False),
        (affine("NotIn", "hdd"), False),
        (affine("Exists"), True),
        (affine("DoesNotExist"), False),
        (affine("Gt", "4", key="cores"), True),
        (affine("Lt", "4", key="cores"), False),
    ],
)
def test_a_required_affinity_must_be_met(affinity: dict[str, Any], fits: bool) -> None:
    assert why_not(pod(affinity=affinity), NODE) == ("" if fits else WRONG_NODE)


def test_requests_must_fit_the_node() -> None:
    assert why_not(pod(containers=[asking(cpu="3900m", memory="8Gi")]), NODE) == ""
    assert why_not(pod(containers=[asking(cpu="2500m"), asking(cpu="2")]), NODE) == "1 Insufficient cpu"
    big = asking(cpu="5", memory="9G")
    assert why_not(pod(initContainers=[big]), NODE) == "1 Insufficient cpu, 1 Insufficient memory"


def test_a_taint_must_be_tolerated() -> None:
    taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}
    node = NODE | {"spec": {"taints": [taint]}}
    assert why_not(pod(), node) == "1 node(s) had untolerated taint(s) {node.kubernetes.io/unreachable: }"
    only_running = {"key": taint["key"], "operator": "Exists", "effect": "NoExecute"}
    assert why_not(pod(tolerations=[only_running]), node) != ""
    assert why_not(pod(tolerations=[{"operator": "Exists"}]), node) == ""


def test_a_cordoned_node_takes_none() -> None:
    assert why_not(pod(), NODE | {"spec": {"unschedulable": True}}) == "1 node(s) were unschedulable"
