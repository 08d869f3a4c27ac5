"""Where a request's credential comes from and how it stays fresh.

kubernetes-asyncio reads the files; what it leaves undone is done here: tokens are stripped and read again, a rotation
that shows an empty file does not fail a call, exec plugins have a deadline and are run again before their token ends.
"""

import asyncio
import base64
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import msgspec

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REREAD_SECONDS = 60.0
RETRY_SECONDS = 10.0  # after a refused credential or a failed refresh; a plugin must not be run by every request
EXEC_SECONDS = 30.0
EXEC_OUTPUT_BYTES = 1 << 20


logger = logging.getLogger(__name__)


class CredentialError(Exception):
    """No usable credential; the message names the file or plugin, never what it said."""


class Configuration(Protocol):
    """The part of ``kubernetes_asyncio.client.Configuration`` that is set here."""

    api_key: dict[str, str]
    ssl_ca_cert: str | None
    cert_file: str | None
    key_file: str | None
    refresh_api_key_hook: Any


class Credentials(Protocol):
    async def refresh(self, configuration: Any) -> None:
        """Called before every request: cheap unless something is due."""
        ...

    def expire(self) -> None:
        """The server refused what we have: look again before the next request."""
        ...


class TokenFile:
    """A token that others rotate on disk. The last good one is kept while the file is empty or away."""

    def __init__(self, path: Path, *, period: float = REREAD_SECONDS) -> None:
        self._path = path
        self._period = period
        self._due = -inf
        self._token = ""

    def token(self) -> str:
        """As it is now. Raises ``CredentialError``."""
        if monotonic() >= self._due:
            self._token = self._read() or self._token
            self._due = monotonic() + self._period
        if not self._token:
            self._due = -inf
            raise CredentialError(f"the token file {self._path} is missing or empty")
        return self._token

    async def refresh(self, configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = f"Bearer {self.token()}"

    def expire(self) -> None:
        self._due = -inf

    def _read(self) -> str:
        try:
            return self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""


class _ExecStatus(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    status: _ExecStatus


class KubeConfig:
    """One context of a kubeconfig, with every way to log in that kubernetes-asyncio reads, and a refresh for each."""

    def __init__(
        self,
        path: str | None,
        context: str | None = None,
        *,
        exec_seconds: float = EXEC_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        renew_at: float = 0.9,
    ) -> None:
        """``renew_at``: the part of a token's life after which the plugin runs again."""
        self._path = path
        self._context = context
        self._exec_seconds = exec_seconds
        self._retry_seconds = retry_seconds
        self._renew_at = renew_at
        self._lock = asyncio.Lock()
        self._loader: Any = None
        self._loaded_at = -inf
        self._due = -inf
        self._valid_until = -inf

    async def refresh(self, configuration: Configuration) -> None:
        if monotonic() < self._due:
            return
        async with self._lock:
            if monotonic() >= self._due:
                await self._load_or_keep(configuration)

    def expire(self) -> None:
        self._valid_until = -inf
        if self._loader is not None and not self._loader.provider:  # an OIDC login holds a newer refresh token
            self._loader = None
        self._due = min(self._due, self._loaded_at + self._retry_seconds)

    async def _load_or_keep(self, configuration: Configuration) -> None:
        try:
            await self._load(configuration)
        except CredentialError as error:
            if monotonic() >= self._valid_until:
                raise
            logger.warning("the login is still good, but not renewed: %s", error)
            self._due = monotonic() + self._retry_seconds

    async def _load(self, configuration: Configuration) -> None:
        from kubernetes_asyncio.config import ConfigException  # noqa: PLC0415  # costs 0.4 s, so only when used

        lifetime = inf
        try:
            if self._loader is None:
                self._loader, lifetime = await self._open()
            async with asyncio.timeout(self._exec_seconds):
                await self._loader.load_and_set(configuration)
        except TimeoutError as error:
            raise CredentialError(f"no login within {self._exec_seconds:g} s") from error
        except (ConfigException, OSError, LookupError, TypeError, ValueError) as error:
            self._loader = None
            raise CredentialError(f"the kubeconfig cannot be used: {_brief(error)}") from error
        if "BearerToken" in configuration.api_key:
            configuration.api_key["BearerToken"] = configuration.api_key["BearerToken"].strip()
        self._schedule(lifetime)

    def _schedule(self, lifetime: float) -> None:
        self._loaded_at = monotonic()
        self._valid_until = self._loaded_at + lifetime
        if lifetime < inf:
            self._loader = None  # the next refresh runs the plugin again
        self._due = self._loaded_at + (lifetime * self._renew_at if lifetime < inf else REREAD_SECONDS)

    async def _open(self) -> tuple[Any, float]:
        """A loader whose user holds what the exec plugin gave, and for how many seconds that is good."""
        from kubernetes_asyncio.config import kube_config as theirs  # noqa: PLC0415  # costs 0.4 s, so only when used

        paths = self._path or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        merged: Any = theirs.KubeConfigMerger(paths).config
        if merged is None:
            raise CredentialError(f"there is no kubeconfig at {paths}")
        context = merged["contexts"].get_with_name(self._context or merged["current-context"])["context"]
        lifetime = inf
        user = merged["users"].get_with_name(context.value.get("user"), safe=True) if merged.safe_get("users") else None
        if user is not None and "exec" in user["user"]:
            cluster = merged["clusters"].get_with_name(context["cluster"])["cluster"].value
            lifetime = await self._log_in(user["user"].value, cluster, Path(user.path or paths).parent)
        return theirs.KubeConfigLoader(merged, self._context, config_base_path=None), lifetime

    async def _log_in(self, user: dict[str, Any], cluster: dict[str, Any], folder: Path) -> float:
        status = await run_exec_plugin(user.pop("exec"), cluster, folder, self._exec_seconds)
        if status.token:
            user["token"] = status.token.strip()
        if status.client_certificate_data and status.client_key_data:
            user["client-certificate-data"] = _base64(status.client_certificate_data)
            user["client-key-data"] = _base64(status.client_key_data)
        if status.expiration_timestamp is None:
            return inf
        return max(1.0, (status.expiration_timestamp - datetime.now(UTC)).total_seconds())


async def run_exec_plugin(
    spec: Mapping[str, Any], cluster: Mapping[str, Any], folder: Path, seconds: float
) -> _ExecStatus:
    """client.authentication.k8s.io: run ``spec``, ended after ``seconds``. Its stderr may hold secrets: not kept."""
    command = str(spec["command"])
    if "/" in command:
        command = str(folder / command)  # relative to the kubeconfig, as kubectl does
    info: dict[str, Any] = {"interactive": False}
    if spec.get("provideClusterInfo"):
        info["cluster"] = {
            "server": cluster.get("server"),
            "tls-server-name": cluster.get("tls-server-name"),
            "certificate-authority-data": cluster.get("certificate-authority-data"),
        }
    request = {"apiVersion": spec["apiVersion"], "kind": "ExecCredential", "spec": info}
    environment = {
        **os.environ,
        **{item["name"]: item["value"] for item in spec.get("env") or ()},
        "KUBERNETES_EXEC_INFO": msgspec.json.encode(request).decode(),
    }
    try:
        async with asyncio.timeout(seconds):
            answer = await _output([command, *map(str, spec.get("args") or ())], environment)
    except TimeoutError as error:
        raise CredentialError(f"the exec plugin {command} gave no answer within {seconds:g} s") from error
    except OSError as error:
        raise CredentialError(f"the exec plugin {command} cannot be run: {error.strerror}") from error
    return _exec_status(command, spec["apiVersion"], answer)


def _exec_status(command: str, api_version: str, answer: bytes) -> _ExecStatus:
    try:
        credential = msgspec.json.decode(answer, type=_ExecCredential)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise CredentialError(f"the exec plugin {command} did not print an ExecCredential") from None
    if credential.api_version != api_version:
        raise CredentialError(f"the exec plugin {command} speaks {credential.api_version[:64]}, not {api_version}")
    status = credential.status
    if not status.token and not (status.client_certificate_data and status.client_key_data):
        raise CredentialError(f"the exec plugin {command} gave neither a token nor a certificate with its key")
    return status


async def _output(arguments: list[str], environment: Mapping[str, str]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output = await _bounded(process, arguments[0])
        code = await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its children hold the pipe too
            await process.wait()
    if code != 0:
        raise CredentialError(f"the exec plugin {arguments[0]} ended with {code}: run it by hand to see why")
    return output


async def _bounded(process: asyncio.subprocess.Process, command: str) -> bytes:
    output = bytearray()
    while process.stdout is not None and (chunk := await process.stdout.read(65536)):
        output += chunk
        if len(output) > EXEC_OUTPUT_BYTES:
            raise CredentialError(f"the exec plugin {command} prints without end")
    return bytes(output)


def _base64(text: str) -> str:
    return base64.standard_b64encode(text.encode()).decode("ascii")


def _brief(error: Exception) -> str:
    # a parser's message quotes the file, and the file holds tokens
    from kubernetes_asyncio.config import ConfigException  # noqa: PLC0415  # costs 0.4 s, so only when used

    return str(error)[:200] if isinstance(error, ConfigException) else type(error).__name__
