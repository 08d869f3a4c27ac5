from datetime import UTC, datetime

import msgspec
import pytest

from responder.core.hooks import JobCondition
from responder.core.hookwire import OperatedWire
from responder.core.operated import see_operated

AT = "2026-11-21T03:00:05Z"
READ_AT = datetime(2026, 11, 21, 3, 0, 5, tzinfo=UTC)
HOOK = {"argocd.argoproj.io/hook": "PreSync"}


def seen(status: object, **meta: object) -> tuple[JobCondition, ...] | None:
    body = {"metadata": {"name": "shop", "namespace": "shop", "annotations": HOOK, **meta}, "status": status}
    wire = msgspec.json.decode(msgspec.json.encode(body), type=OperatedWire)
    run = see_operated(wire, "AtlasMigration", "in-cluster", lambda text: text.replace("hunter2", "[redacted]")).run
    return run.conditions if run is not None else None


def ready(status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": AT}


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        (ready("True", "Applied"), JobCondition("Complete", "Applied", "", READ_AT)),
        (ready("False", "Reconciling", "x"), JobCondition("Waiting", "Reconciling", "x", READ_AT)),
        (ready("False", "GettingDevDB"), JobCondition("Waiting", "GettingDevDB", "", READ_AT)),
        (ready("False", "Migrating", "at db:hunter2"), JobCondition("Failed", "Migrating", "at db:[redacted]", None)),
    ],
)
def test_the_ready_condition_is_told_in_the_words_of_a_job(condition: object, told: JobCondition) -> None:
    assert seen({"conditions": [condition]}) == (told,)


def test_a_resource_of_which_its_operator_has_said_nothing_has_no_condition() -> None:
    assert seen(None) == ()
    assert seen({"conditions": None}) == ()
    assert seen({"conditions": [ready("True", "Applied")], "observedGeneration": 1}, generation=2) == ()


def test_one_without_the_mark_of_a_hook_is_none() -> None:
    assert seen({"conditions": [ready("False", "Migrating")]}, annotations={}) is None
