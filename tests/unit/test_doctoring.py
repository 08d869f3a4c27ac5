"""``responder doctor`` as it is run: exit codes, the report, and what is wrong with ourselves."""

import json
import socket
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from responder.config import Settings
from responder.core.checkup import Finding, Severity
from responder.doctoring import Visit, _connects, look, report, told, told_as_json
from tests.unit.cluster.clinic import Clinic, clinic


@pytest.fixture
async def it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clinic]:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        port.listen()
        async with clinic(tmp_path) as it:
            url = f"http://127.0.0.1:{port.getsockname()[1]}"
            told = it.settings.model_dump() | {"receivers": [{"name": "pager", "type": "webhook", "urls": [url]}]}
            it.settings = Settings.model_validate(told)
            it.settle(listen={"port": 1})  # nobody listens there: the service does not run
            yield it


async def ids(it: Clinic, **how: Any) -> list[str]:
    return [finding.id for finding in (await look(Visit(it.settings, **how)))[0]]


async def test_where_all_is_well_it_says_so_and_ends_with_0(it: Clinic) -> None:
    findings, reached = await look(Visit(it.settings))

    assert [finding.id for finding in findings] == ["service-not-reached"]
    assert reached
    stream = StringIO()
    assert report(findings, reached, as_json=False, stream=stream) == 0
    assert stream.getvalue().endswith("\n\n1 note\n")


async def test_what_is_to_be_mended_ends_with_1_and_a_server_that_is_away_with_4(it: Clinic) -> None:
    it.secret("another")
    findings, reached = await look(Visit(it.settings))
    assert report(findings, reached, as_json=False, stream=StringIO()) == 1

    await it.server.away()
    findings, reached = await look(Visit(it.settings))
    assert findings[0].id == "unreachable"
    assert report(findings, reached, as_json=False, stream=StringIO()) == 4


async def test_a_receiver_that_does_not_answer(it: Clinic) -> None:
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{port.getsockname()[1]}/secret-path"
        told = it.settings.model_dump() | {"receivers": [{"name": "pager", "type": "webhook", "urls": [url]}]}
        it.settings = Settings.model_validate(told)

        findings, _ = await look(Visit(it.settings))
    (finding,) = [finding for finding in findings if finding.severity is Severity.WARNING]
    assert finding.id == "receiver-unreachable"
    assert "secret-path" not in str(finding)


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://alerts:99999/", "https://alerts..example/", f"https://{'a' * 64}/"]
)
async def test_a_url_that_is_none_is_a_finding_and_no_traceback(url: str) -> None:
    assert await _connects(url) == "its URL is none"


async def test_a_store_that_is_not_there_and_a_secret_that_cannot_be_read(it: Clinic, tmp_path: Path) -> None:
    it.settle(
        store={"url": f"sqlite://{tmp_path / 'nowhere' / 'responder.db'}"},
        webhook={"token_files": (tmp_path / "no-such-token",)},
    )

    assert await ids(it) == ["secrets", "store", "service-not-reached"]


async def test_from_outside_the_pod_its_files_are_not_looked_at(it: Clinic, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": it.server.url}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "x"}}
    kinds = {"apiVersion": "v1", "kind": "Config", "current-context": "c"}
    kubeconfig.write_text(json.dumps({**kinds, "clusters": [cluster], "contexts": [context], "users": [user]}))
    it.settle(store={"url": "sqlite:///nowhere/responder.db"})

    assert await ids(it, kubeconfig=kubeconfig) == []


async def test_a_cluster_that_is_seen_through_argo_cd_alone_is_told_as_such(it: Clinic, tmp_path: Path) -> None:
    api = {"url": it.server.url, "token_file": tmp_path / "webhook-token"}
    far = {"name": "far", "server": "https://far", "argocd_api": api}
    told = it.settings.model_dump() | {"clusters": [*it.settings.model_dump()["clusters"], far]}
    it.settings = Settings.model_validate(told)
    assert await ids(it) == ["logs-alone", "service-not-reached"]

    api["url"] = "http://127.0.0.1:1"
    it.settings = Settings.model_validate(told)
    assert await ids(it) == ["argocd-api", "service-not-reached"]


def test_the_report_reads_like_one_and_shows_no_escape_sequence_of_strangers() -> None:
    found = [
        Finding("rbac-reader", Severity.CRITICAL, "it may not read", ("list jobs.batch",), "kubectl apply\nor else"),
        Finding("namespaced", Severity.NOTE, "only \x1b[31mshop"),
    ]

    assert told(found, colours=False) == (
        "CRITICAL  it may not read  [rbac-reader]\n"
        "          - list jobs.batch\n"
        "          > kubectl apply\n"
        "          > or else\n"
        "NOTE      only \ufffd[31mshop  [namespaced]\n"
        "\n"
        "1 critical, 1 note\n"
    )
    assert told(found, colours=True).startswith("\x1b[1;31mCRITICAL\x1b[0m  it may not read")


def test_as_json_each_finding_is_one_line() -> None:
    line = told_as_json([Finding("disk", Severity.WARNING, "nearly full", ("1 GiB",), "a larger volume")])

    assert json.loads(line) == {
        "id": "disk",
        "severity": "warning",
        "title": "nearly full",
        "details": ["1 GiB"],
        "remedy": "a larger volume",
    }
