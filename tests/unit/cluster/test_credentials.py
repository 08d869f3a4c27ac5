"""Logins that are static, rotate or run out, with real files and processes."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kubernetes_asyncio.client import Configuration

from responder.cluster.client import Kubernetes, Unauthorized
from responder.cluster.credentials import CredentialError, KubeConfig
from tests.unit.cluster.authority import write_authority
from tests.unit.cluster.fault_server import FaultServer, says

JOB = "/apis/batch/v1/namespaces/shop/jobs/migrate"


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server


def write_kubeconfig(folder: Path, url: str, user: dict[str, object]) -> str:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(document))  # JSON is YAML
    return str(path)


def write_plugin(folder: Path, body: str) -> dict[str, object]:
    plugin = folder / "plugin"
    plugin.write_text(f"#!{sys.executable}\n{body}")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "args": ["7"]}}


# counts its runs beside itself; each run gives the next token, good for ``LIFETIME`` seconds
COUNTING = """
import datetime, json, os, pathlib, sys
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
runs = pathlib.Path(__file__).with_name("runs")
run = int(runs.read_text()) + 1 if runs.exists() else 1
runs.write_text(str(run))
status = {"token": f"token-{run}-{sys.argv[1]}\\n"}
if LIFETIME:
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=LIFETIME)
    status["expirationTimestamp"] = end.isoformat()
print(json.dumps({"apiVersion": asked["apiVersion"], "kind": asked["kind"], "status": status}))
"""


class TestKubeconfig:
    async def test_a_static_token_is_stripped(self, server: FaultServer, tmp_path: Path) -> None:
        server.will("GET", says(200, b"{}"))
        path = write_kubeconfig(tmp_path, server.url, {"token": "abc\n"})
        async with await Kubernetes.from_kubeconfig(path) as kubernetes:
            await kubernetes.get(JOB)
        assert server.requests[0].headers["Authorization"] == "Bearer abc"

    async def test_an_exec_token_is_kept_until_it_ends_and_then_fetched_anew(
        self, server: FaultServer, tmp_path: Path
    ) -> None:
        server.will("GET", says(200, b"{}"))
        user = write_plugin(tmp_path, COUNTING.replace("LIFETIME", "1.5"))
        async with await Kubernetes.from_kubeconfig(write_kubeconfig(tmp_path, server.url, user)) as kubernetes:
            await kubernetes.get(JOB)
            await kubernetes.get(JOB)
            while (tmp_path / "runs").read_text() == "1":
                await kubernetes.get(JOB)
        tokens = [request.headers["Authorization"] for request in server.requests]
        assert tokens[:2] == ["Bearer token-1-7", "Bearer token-1-7"]
        assert tokens[-1] == "Bearer token-2-7"
        assert sorted(set(tokens)) == ["Bearer token-1-7", "Bearer token-2-7"]

    async def test_an_exec_token_without_an_end_is_kept_until_it_is_refused(
        self, server: FaultServer, tmp_path: Path
    ) -> None:
        server.will("GET", says(200, b"{}"), says(401, b""), says(200, b"{}"))
        user = write_plugin(tmp_path, COUNTING.replace("LIFETIME", "0"))
        configuration = Configuration()
        credentials = KubeConfig(write_kubeconfig(tmp_path, server.url, user), retry_seconds=0)
        await credentials.refresh(configuration)
        async with Kubernetes(configuration, credentials=credentials) as kubernetes:
            await kubernetes.get(JOB)
            await kubernetes.get(JOB)
        tokens = [request.headers["Authorization"] for request in server.requests]
        assert tokens == ["Bearer token-1-7", "Bearer token-1-7", "Bearer token-2-7"]

    async def test_calls_at_the_same_time_run_the_plugin_once(self, tmp_path: Path) -> None:
        user = write_plugin(tmp_path, COUNTING.replace("LIFETIME", "60"))
        credentials = KubeConfig(write_kubeconfig(tmp_path, "http://127.0.0.1:1", user))
        await asyncio.gather(*(credentials.refresh(Configuration()) for _ in range(10)))
        assert (tmp_path / "runs").read_text() == "1"

    async def test_a_plugin_that_fails_later_leaves_the_token_it_gave(self, tmp_path: Path) -> None:
        user = write_plugin(tmp_path, COUNTING.replace("LIFETIME", "60"))
        credentials = KubeConfig(write_kubeconfig(tmp_path, "http://127.0.0.1:1", user), retry_seconds=0, renew_at=0.0)
        configuration = Configuration()
        await credentials.refresh(configuration)
        (tmp_path / "plugin").unlink()
        await credentials.refresh(configuration)
        assert configuration.api_key["BearerToken"] == "Bearer token-1-7"
        credentials.expire()
        with pytest.raises(CredentialError, match="cannot be run"):
            await credentials.refresh(configuration)

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ("raise SystemExit(3)", "ended with 3"),
            ("print('hunter2')", "did not print an ExecCredential"),
            ("import json; print(json.dumps({'apiVersion': 'v0', 'kind': 'x', 'status': {}}))", "speaks v0"),
            ("while True: print('x' * 100000)", "prints without end"),
        ],
    )
    async def test_a_plugin_that_fails_is_named_and_not_quoted(self, tmp_path: Path, body: str, told: str) -> None:
        path = write_kubeconfig(tmp_path, "http://127.0.0.1:1", write_plugin(tmp_path, body))
        with pytest.raises(Unauthorized, match=told) as caught:
            await Kubernetes.from_kubeconfig(path)
        assert "plugin" in caught.value.message
        assert "hunter2" not in caught.value.message

    async def test_a_plugin_that_hangs_is_ended(self, tmp_path: Path) -> None:
        body = "import os, pathlib, time\npathlib.Path(__file__).with_name('pid').write_text(str(os.getpid()))\n"
        path = write_kubeconfig(tmp_path, "http://127.0.0.1:1", write_plugin(tmp_path, body + "time.sleep(600)"))
        with pytest.raises(CredentialError, match="gave no answer"):
            await KubeConfig(path, exec_seconds=1.0).refresh(Configuration())
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)

    async def test_a_missing_file_says_where_it_looked(self, tmp_path: Path) -> None:
        with pytest.raises(Unauthorized, match="there is no kubeconfig at"):
            await Kubernetes.from_kubeconfig(str(tmp_path / "nowhere"))

    async def test_an_unknown_context_is_named(self, tmp_path: Path) -> None:
        path = write_kubeconfig(tmp_path, "http://127.0.0.1:1", {"token": "abc"})
        with pytest.raises(Unauthorized, match="there"):
            await Kubernetes.from_kubeconfig(path, "there")


class TestInCluster:
    @pytest.fixture
    async def secure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultServer]:
        (tmp_path / "token").write_text("first\n")
        async with FaultServer(write_authority(tmp_path)) as server:
            monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
            server.will("GET", says(200, b"{}"))
            yield server

    async def test_the_token_is_stripped_read_again_and_kept_while_its_file_is_empty(
        self, secure: FaultServer, tmp_path: Path
    ) -> None:
        async with await Kubernetes.from_in_cluster(tmp_path, reread=0) as kubernetes:
            await kubernetes.get(JOB)
            (tmp_path / "token").write_text("")
            await kubernetes.get(JOB)
            (tmp_path / "token").unlink()
            await kubernetes.get(JOB)
            (tmp_path / "token").write_text("second\n")
            await kubernetes.get(JOB)
        tokens = [request.headers["Authorization"] for request in secure.requests]
        assert tokens == ["Bearer first", "Bearer first", "Bearer first", "Bearer second"]

    async def test_a_refused_token_is_read_again_at_once(self, secure: FaultServer, tmp_path: Path) -> None:
        async with await Kubernetes.from_in_cluster(tmp_path) as kubernetes:
            await kubernetes.get(JOB)
            (tmp_path / "token").write_text("second\n")
            secure.will("GET", says(401, b""), says(200, b"{}"))
            await kubernetes.get(JOB)
        tokens = [request.headers["Authorization"] for request in secure.requests]
        assert tokens == ["Bearer first", "Bearer first", "Bearer second"]

    async def test_outside_a_cluster_it_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        with pytest.raises(Unauthorized, match="Service host/port is not set"):
            await Kubernetes.from_in_cluster(tmp_path)
