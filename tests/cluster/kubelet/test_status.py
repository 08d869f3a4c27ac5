from typing import Any

import pytest

from tests.cluster.kubelet.status import STATUS_UNKNOWN, Situation, conditions, pod_phase, render

Json = dict[str, Any]
WAITING: Json = {"state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}}
RUNNING: Json = {"state": {"running": {}}, "lastState": {}}
CRASHED: Json = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}


def ended(code: int) -> Json:
    return {"state": {"terminated": {"exitCode": code}}, "lastState": {}}


def situation(
    *mains: Json, inits: tuple[Json, ...] = (), sidecars: int = 0, policy: str = "Never", **more: Any
) -> Situation:
    """The first of ``inits`` are sidecars, as many as said."""
    specs = [{"name": f"i{number}"} for number in range(len(inits))]
    for spec in specs[:sidecars]:
        spec["restartPolicy"] = "Always"
    pod = {"metadata": {"generation": 1}, "spec": {"restartPolicy": policy, "initContainers": specs}}

    def named(letter: str, states: tuple[Json, ...]) -> list[Json]:
        return [
            {
                "name": f"{letter}{number}",
                "ready": "running" in one["state"] or one == ended(0),
                "started": one is RUNNING,
            }
            | one
            for number, one in enumerate(states)
        ]

    more = {"sandbox": True, "over": False} | more
    return Situation(pod=pod, inits=named("i", inits), mains=named("m", mains), **more)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (situation(WAITING), "Pending"),
        (situation(RUNNING), "Running"),
        (situation(RUNNING, WAITING), "Pending"),
        (situation(ended(0), RUNNING), "Running"),
        (situation(CRASHED, policy="OnFailure"), "Running"),
        (situation(WAITING, inits=(RUNNING,)), "Pending"),
        (situation(WAITING, inits=(CRASHED,), policy="OnFailure"), "Pending"),
        (situation(RUNNING, inits=(RUNNING,), sidecars=1), "Running"),
        (situation(ended(0), over=True), "Succeeded"),
        (situation(ended(0), ended(2), over=True), "Failed"),
        (situation(WAITING, inits=(ended(1),), over=True), "Failed"),
        (situation(ended(0), inits=(ended(143),), sidecars=1, over=True), "Succeeded"),  # nobody asks a sidecar
        (situation(ended(0), over=True, failed_reason="Evicted"), "Failed"),
        (situation(WAITING, over=True), "Failed"),
    ],
)
def test_the_phase_follows_from_the_containers(now: Situation, expected: str) -> None:
    assert pod_phase(now) == expected


def test_containers_that_never_ran_are_told_as_lost_when_the_pod_has_ended() -> None:
    told = render(situation(WAITING, over=True), "2026-01-01T00:00:00Z", "127.0.0.2")
    assert told["containerStatuses"][0]["state"] == {"terminated": STATUS_UNKNOWN}

    not_initialized = render(situation(WAITING, inits=(ended(1),), over=True), "2026-01-01T00:00:00Z", "127.0.0.2")
    assert not_initialized["containerStatuses"][0]["state"] == WAITING["state"]


def test_conditions_of_a_pod_that_initializes() -> None:
    now = situation(WAITING, inits=(RUNNING, WAITING), sidecars=1)

    told = {one["type"]: one for one in conditions(now, "Pending")}

    assert told["Initialized"]["message"] == "containers with incomplete status: [i1]"
    assert told["Ready"]["message"] == "containers with unready status: [m0]"
    assert told["PodReadyToStartContainers"]["status"] == "True"


def test_conditions_of_a_pod_that_has_succeeded() -> None:
    told = {one["type"]: one for one in conditions(situation(ended(0), over=True), "Succeeded")}

    assert {kind: (one["status"], one.get("reason")) for kind, one in told.items()} == {
        "PodReadyToStartContainers": ("False", None),
        "Initialized": ("True", "PodCompleted"),
        "Ready": ("False", "PodCompleted"),
        "ContainersReady": ("False", "PodCompleted"),
        "PodScheduled": ("True", None),
    }
