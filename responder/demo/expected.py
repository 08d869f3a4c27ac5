"""What must come out of the demo's story, written by hand from what happens in it; and whether it did.

The five that lose one database: while it is away one of them is run again and fails; when the cooldown of that try is
over it is back, another canary does well, two follow, then the last two, and the first one again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from responder.demo.script import BILLING, MAILER, SEARCH, SERVICES, SHOP, WAREHOUSE, Service

Json = Mapping[str, Any]


class Expected(msgspec.Struct, frozen=True):
    """One incident. ``decisions``: verdict and outcome by action; ``attempts``, over all of its operations: any of."""

    application: str
    category: str
    retry: str
    state_left: str
    state: str
    attempts: tuple[int, ...]
    decisions: dict[str, tuple[str, str]]
    paged: str = ""  # severity; empty: nobody is woken for it alone
    child: bool = False
    approved: str = ""  # by whom


PERSON = "demo"  # who has the demo's token


def expectations() -> tuple[Expected, ...]:
    return (
        Expected(
            WAREHOUSE.application, "lock-timeout", "safe", "none", "resolved", (2,),
            {"resync": ("allowed", "succeeded")},
        ),
        Expected(
            BILLING.application, "constraint-violation", "unsafe", "partial", "firing", (1,),
            {"stop-retries": ("allowed", "succeeded"), "block": ("allowed", "")}, paged="critical",
        ),
        Expected(
            MAILER.application, "missing-reference", "futile", "none", "firing", (1,),
            {"terminate": ("allowed", "succeeded")}, paged="warning", approved=PERSON,
        ),
        Expected(
            SEARCH.application, "missing-object", "futile", "none", "firing", (1,),
            {"stop-retries": ("denied", "")}, paged="warning",
        ),
        *(
            Expected(
                service.application, "connection-refused", "safe", "none", "resolved", (2, 3),
                {"resync": ("allowed", "succeeded")}, child=True,
            )
            for service in SHOP
        ),
    )  # fmt: skip


PARENT_PAGED = "critical"  # the five that lost one database
PAGES = 4
WAVES = [1, 1, 2, 2, 4, 4]  # size of the wave in which each of our resyncs for that database began

# What the gate says of each new version in its own environment, and of the half applied one in the next.
GATES: tuple[tuple[Service, str, str], ...] = (
    *((s, s.environment, "success") for s in (WAREHOUSE, *SHOP)),
    *((s, s.environment, "failure") for s in (BILLING, MAILER, SEARCH)),
    (BILLING, "production", "failure"),
)


def differences(incidents: Sequence[Json], pages: Mapping[str, str], gates: Mapping[tuple[str, str], str]) -> list[str]:
    """``incidents`` as the API gives them; ``pages``: severity by incident id; ``gates``: (service, environment)."""
    found = {i["application"]["name"]: i for i in incidents if not i["children"]}
    parents = [i for i in incidents if i["children"]]
    wrong = []
    for expected in expectations():
        incident = found.pop(expected.application, None)
        if incident is None:
            wrong.append(f"{expected.application}: no incident")
        else:
            wrong += [f"{expected.application}: {text}" for text in _compare(expected, incident, pages)]
    wrong += [f"{name}: an incident that nobody expected" for name in found]
    wrong += _compare_parents(parents, pages)
    if len(pages) != PAGES:
        wrong.append(f"{len(pages)} pages instead of {PAGES}")
    for service, environment, result in GATES:
        answered = gates.get((service.name, environment))
        if answered != result:
            wrong.append(f"gate for {service.name} in {environment}: {answered} instead of {result}")
    return wrong


def _compare(expected: Expected, incident: Json, pages: Mapping[str, str]) -> list[str]:
    diagnosis = incident["diagnosis"] or {}
    attempts = [a for o in incident["operations"] for a in o["attempts"]]
    containers = [c for a in attempts for h in a["hooks"] for p in h["pods"] for c in p["containers"]]
    started = [c for c in containers if c["started_at"]]
    gaps = sum(len(o["gaps"]) for o in incident["operations"])
    decided = {d["action"]: (d["verdict"]["result"], (d["outcome"] or {}).get("result", "")) for d in _last(incident)}
    approved = [d["approved_by"] for d in incident["decisions"] if d.get("approved_by")]
    seen: list[tuple[str, object, object]] = [
        ("category", diagnosis.get("category"), expected.category),
        ("retry", diagnosis.get("retry"), expected.retry),
        ("state left", diagnosis.get("state_left"), expected.state_left),
        ("state", incident["state"], expected.state),
        ("attempts", len(attempts) if len(attempts) not in expected.attempts else "as expected", "as expected"),
        ("approved by", ", ".join(approved), expected.approved),
        ("decisions", decided, expected.decisions),
        ("page", pages.get(incident["id"], ""), expected.paged),
        ("child of a common cause", incident["parent"] is not None, expected.child),
        ("gaps in its evidence", gaps, 0),
        ("containers without their whole log", sum(1 for c in started if not _whole(c)), 0),
    ]
    return [f"{name}: {is_now!r} instead of {wanted!r}" for name, is_now, wanted in seen if is_now != wanted]


def _last(incident: Json) -> list[Json]:
    """The decisions in the order in which they were made: the newest of an action counts."""
    return sorted(incident["decisions"], key=lambda d: d["decided_at"])


def _whole(container: Json) -> bool:
    log = container["log"]
    return bool(log and log["lines"] and log["complete"] and not log["dropped"])


def _compare_parents(parents: Sequence[Json], pages: Mapping[str, str]) -> list[str]:
    if len(parents) != 1:
        return [f"{len(parents)} common causes instead of 1"]
    (parent,) = parents
    seen = [
        ("children", len(parent["children"]), len(SHOP)),
        ("state", parent["state"], "resolved"),
        ("page", pages.get(parent["id"], ""), PARENT_PAGED),
        ("waves", [_wave(e["what"]) for e in parent["timeline"] if " begun" in e["what"]], WAVES),
    ]
    return [
        f"common cause: {name}: {is_now!r} instead of {wanted!r}" for name, is_now, wanted in seen if is_now != wanted
    ]


def _wave(told: str) -> int:
    return 1 if told.endswith("as the canary") else int(told.rpartition(" ")[2])


def asked() -> tuple[tuple[str, str, str], ...]:
    """Service, environment and Application whose new revision the gate is asked about."""
    by_name = {service.name: service for service in SERVICES}
    return tuple((s.name, environment, by_name[s.name].application) for s, environment, _ in GATES)
