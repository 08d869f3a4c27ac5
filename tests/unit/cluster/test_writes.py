"""Only the actuator (and the lease) change the cluster; access reviews ask by a POST that stores nothing."""

import ast
from pathlib import Path

RESPONDER = Path(__file__).parents[3] / "responder"
VERBS = {"merge_patch", "delete", "create", "replace"}
MAY = {
    "cluster/actuator.py": {"merge_patch", "delete"},
    "cluster/lease.py": {"merge_patch", "create", "replace"},
    "cluster/reviews.py": {"create"},
}
# What stands on the other side: the demo's own API server, web routes, receivers of alerts, dictionaries of ours.
ELSEWHERE = ("demo/", "web/", "receivers/", "asking.py")


def awaited(tree: ast.AST) -> set[str]:
    """Names of methods whose call is awaited, or entered: what goes over a wire does not answer at once."""
    calls = [n.value for n in ast.walk(tree) if isinstance(n, ast.Await)]
    calls += [i.context_expr for n in ast.walk(tree) if isinstance(n, ast.AsyncWith) for i in n.items]
    return {c.func.attr for c in calls if isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute)}


def written() -> dict[str, set[str]]:
    files = {path.relative_to(RESPONDER).as_posix(): path for path in RESPONDER.rglob("*.py")}
    found = {name: awaited(ast.parse(p.read_text(encoding="utf-8"))) & VERBS for name, p in files.items()}
    return {name: verbs for name, verbs in found.items() if verbs and not name.startswith(ELSEWHERE)}


def test_write_verbs_occur_where_they_may_and_nowhere_else() -> None:
    found = written()

    assert {name: verbs - MAY.get(name, set()) for name, verbs in found.items() if verbs - MAY.get(name, set())} == {}
    assert found["cluster/actuator.py"] == {"merge_patch", "delete"}


def test_the_reader_sees_a_write_that_is_hidden_in_an_expression() -> None:
    hidden = "async def f(api):\n    return [await api.delete('/x') for _ in range(2)]"

    assert awaited(ast.parse(hidden)) == {"delete"}


def test_nobody_else_speaks_to_the_client_of_kubernetes_for_writing() -> None:
    """The client's own low-level call with a writing method is made by the client alone."""
    writing = ('"PATCH"', '"PUT"', '"DELETE"', '"POST"')
    texts = {path.name: path.read_text(encoding="utf-8") for path in (RESPONDER / "cluster").glob("*.py")}

    assert [name for name, text in texts.items() if any(word in text for word in writing)] == ["client.py"]
