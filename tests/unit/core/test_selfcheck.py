from responder.core.checkup import Finding, Severity, a_few, count, in_order
from responder.core.selfcheck import Place, receivers, store, webhooks

GIB = 1 << 30


def counted(**results: int) -> str:
    return "".join(
        f'responder_webhooks_total{{result="{name.replace("_", "-")}"}} {n}.0\n' for name, n in results.items()
    )


def ids(found: list[Finding]) -> list[str]:
    return [finding.id for finding in found]


def test_a_store_that_cannot_be_written_is_critical() -> None:
    (finding,) = store(Place("/var/lib/responder/responder.db", trouble="read-only file system"))

    assert (finding.id, finding.severity, finding.details) == ("store", Severity.CRITICAL, ("read-only file system",))


def test_a_disk_is_nearly_full_below_a_tenth_and_too_small_below_what_may_be_kept() -> None:
    assert ids(store(Place("x", free=GIB, total=20 * GIB, wanted=GIB))) == ["disk"]
    assert ids(store(Place("x", free=5 * GIB, total=20 * GIB, store=4 * GIB, wanted=10 * GIB))) == ["retention"]
    assert store(Place("x", free=6 * GIB, total=20 * GIB, store=4 * GIB, wanted=10 * GIB)) == []


def test_receivers_that_do_not_answer_are_named_with_the_command_that_tries_them() -> None:
    (finding,) = receivers(2, {"dba": "hooks.example:443: Connection refused"})

    assert finding.details == ("dba: hooks.example:443: Connection refused",)
    assert finding.remedy == "responder receivers test dba --config FILE"
    assert ids(receivers(0, {})) == ["no-receivers"]
    assert receivers(1, {}) == []


def test_what_came_to_our_webhook_tells_what_is_wrong_with_it() -> None:
    assert ids(webhooks(0, counted(accepted=1))) == ["webhook-no-token"]
    assert ids(webhooks(1, None)) == ["service-not-reached"]
    assert ids(webhooks(1, counted(accepted=0, unauthorized=0, stock_template=0))) == ["webhook-never"]
    assert ids(webhooks(1, counted(accepted=0, unauthorized=4))) == ["webhook-refused"]
    assert ids(webhooks(1, counted(accepted=3, stock_template=1))) == ["webhook-text"]
    assert webhooks(1, counted(accepted=3, unauthorized=1)) == []


def test_the_worst_stands_first_and_many_are_summed_up() -> None:
    found = [Finding("c", Severity.NOTE, ""), Finding("b", Severity.WARNING, ""), Finding("a", Severity.CRITICAL, "")]

    assert ids(in_order(found)) == ["a", "b", "c"]
    assert count(found) == "1 critical, 1 warning, 1 note"
    assert count([*found, *found]) == "2 critical, 2 warnings, 2 notes"
    assert count([]) == "nothing to mend"
    assert a_few([str(n) for n in range(10)]) == ("0", "1", "2", "3", "4", "5", "6", "7", "and 2 more")
