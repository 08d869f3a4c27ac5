from pathlib import Path

import pytest

from responder.core.signaturefile import SignatureError
from responder.shipped import signatures, snippet

ROOT = Path(__file__).parents[2]


def test_every_shipped_file_is_read() -> None:
    tools = signatures().tools
    assert {"django", "laravel", "alembic", "flyway", "golang-migrate"} <= set(tools)


def test_every_shipped_sample_matches_its_signature() -> None:
    assert len(signatures(check_samples=True).signatures) > 200


def test_a_user_s_own_file_stands_beside_them_and_may_speak_of_their_tools(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "signatures: [{id: own-lock, pattern: 'ledger held', samples: [ledger held], tool: flyway, category: killed}]"
    )
    (match,) = [m for m in signatures([file]).matches("the ledger held") if m.signature.id == "own-lock"]
    assert match.signature.tool == "flyway"


def test_a_user_s_file_with_the_name_of_a_shipped_one_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flyway.yaml").write_text("signatures: [{id: own, pattern: 'abc', samples: [abc], category: killed}]")
    known = signatures([Path("flyway.yaml")])
    assert set(known.tools) == set(signatures().tools)
    assert len(known.signatures) == len(signatures().signatures) + 1


def test_a_user_s_samples_are_checked_at_every_start(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("signatures:\n  - {id: own, pattern: 'abc', samples: [xyz], category: killed}\n")
    with pytest.raises(SignatureError, match=r"own\.yaml:2:40: own: the sample 'xyz' does not match"):
        signatures([file])


def test_a_user_s_id_that_we_ship_already_is_refused(tmp_path: Path) -> None:
    taken = signatures().signatures[0].id
    file = tmp_path / "own.yaml"
    file.write_text(f"signatures:\n  - {{id: {taken}, pattern: 'abc', samples: [abc], category: killed}}\n")
    with pytest.raises(SignatureError, match=r"own\.yaml:2:10: .*there is a signature of this id already"):
        signatures([file])


def test_the_snippet_for_argo_cd_is_the_file_that_deploy_ships() -> None:
    assert snippet("argocd") == (ROOT / "deploy/argocd/argocd-notifications-cm.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("pattern: 'ERROR:', samples: ['ERROR: closed'], category: deadlock", "which does not: narrow it"),
        ("pattern: 'ERROR:', samples: ['ERROR: x'], category: read-only, passes: true", "which does not: narrow it"),
        ("pattern: 'ERROR:', samples: ['ERROR: closed'], category: read-only", ""),
        ("pattern: 'ledger \\w+ is closed', samples: ['ledger a is closed'], category: read-only, passes: true", ""),
    ],
)
def test_a_pattern_that_passes_may_not_take_in_what_does_not(tmp_path: Path, signature: str, reason: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"signatures: [{{id: own, {signature}}}]")
    if not reason:
        assert signatures([file]).signatures[-1].id == "own"
        return
    with pytest.raises(SignatureError, match=reason):
        signatures([file])


def test_a_code_table_of_ours_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("tables:\n  sqlstate:\n    deadlock: ['23']\n")
    with pytest.raises(SignatureError, match=r"own\.yaml:2:3: sqlstate: there is a code table of this name already"):
        signatures([file])
