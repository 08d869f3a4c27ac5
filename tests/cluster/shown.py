"""Parts of an incident as ``GET /v1/incidents/{id}`` shows it."""

from collections.abc import Callable

from tests.cluster.kubernetes import Json


def attempts(incident: Json) -> list[Json]:
    return [attempt for operation in incident["operations"] for attempt in operation["attempts"]]


def hooks(incident: Json) -> list[Json]:
    """In the order of their attempts."""
    return [hook for attempt in attempts(incident) for hook in attempt["hooks"]]


def containers(incident: Json) -> list[Json]:
    """Every run of every container."""
    return [one for hook in hooks(incident) for pod in hook["pods"] for one in pod["containers"]]


def gaps(incident: Json) -> set[tuple[str, str]]:
    """The kind of place (a container's name, or ``pod``, ``job``), and the reason."""
    told = (gap for operation in incident["operations"] for gap in operation["gaps"])
    return {(gap["source"].rpartition("/")[2], gap["reason"]) for gap in told}


def phases(incident: Json) -> list[str]:
    """How each of its operations stands."""
    return [operation["operation_phase"] for operation in incident["operations"]]


def resolved(incident: Json) -> bool:
    """And its last operation is known to have ended well."""
    return bool(incident["state"] == "resolved" and phases(incident)[-1] == "Succeeded")


def ended(category: str, *operation_phases: str) -> Callable[[Json], bool]:
    """It has this cause, and its operations ended so, in this order."""
    return lambda incident: bool(
        phases(incident) == list(operation_phases)
        and incident["diagnosis"]
        and incident["diagnosis"]["category"] == category
    )


def read_to_their_end(incident: Json) -> bool:
    """The logs of all its containers."""
    return all(one["log"] and one["log"]["complete"] for one in containers(incident))
