"""A container's environment variables and command, as the kubelet makes them of the Pod."""

import asyncio
import base64
import re
from collections.abc import Mapping, Sequence
from math import ceil

from tests.cluster.kubelet.api import ApiError, Json
from tests.cluster.kubelet.host import ADDRESS, Host
from tests.cluster.kubelet.images import Image
from tests.cluster.kubelet.quantity import read_quantity

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RETRY_SECONDS = 0.5
_REFERENCE = re.compile(r"\$(\$|\(([^()]+)\))")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigError(Exception):
    """Of CreateContainerConfigError; ``str`` is what the kubelet says."""


async def read_secret(host: Host, namespace: str, name: str) -> dict[str, str] | None:
    """Base64 values, by key; None when there is no such Secret."""
    return await _data_of(host, f"/api/v1/namespaces/{namespace}/secrets/{name}", "data")


async def read_config_map(host: Host, namespace: str, name: str) -> dict[str, str] | None:
    return await _data_of(host, f"/api/v1/namespaces/{namespace}/configmaps/{name}", "data")


async def _data_of(host: Host, path: str, field: str) -> dict[str, str] | None:
    """Waits while the API server is away: the real kubelet has a cache."""
    while True:
        try:
            answer = await host.api.call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            if not error.passing:
                raise ConfigError(f"failed to sync cache: {error}") from error
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            data: dict[str, str] = answer.get(field) or {}
            return data


def expand(text: str, values: Mapping[str, str]) -> str:
    """``$(NAME)``; one that is not defined stays as it is, ``$$`` is a dollar."""

    def replaced(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return str(values.get(match[2], match[0]))

    return _REFERENCE.sub(replaced, text)


def field_of(pod: Json, path: str, address: str) -> str:
    """Raises ConfigError for a path that it does not know."""
    metadata, spec = pod["metadata"], pod["spec"]
    if keyed := _KEYED.fullmatch(path):
        return str(metadata.get(keyed[1], {}).get(keyed[2], ""))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": ADDRESS,
        "status.hostIPs": ADDRESS,
        "status.podIP": address,
        "status.podIPs": address,
    }
    for name in ("labels", "annotations"):
        known[f"metadata.{name}"] = "\n".join(f'{k}="{v}"' for k, v in sorted(metadata.get(name, {}).items()))
    if path not in known:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(known[path])


def resource_of(container: Json, reference: Json) -> str:
    """0 when nothing is asked for; the real kubelet tells the node's size instead."""
    kind, _, name = reference["resource"].partition(".")
    amount = container.get("resources", {}).get(kind, {}).get(name, "0")
    divisor = reference.get("divisor", "1")
    return str(ceil(read_quantity(amount) / (read_quantity(divisor) or 1)))


class Variables:
    """Builds the variables of one container; a missing reference is a ConfigError."""

    def __init__(self, host: Host, pod: Json, container: Json, address: str) -> None:
        self._host = host
        self._pod = pod
        self._container = container
        self._address = address
        self._namespace: str = pod["metadata"]["namespace"]

    async def build(self, image: Image) -> dict[str, str]:
        base = {"PATH": PATH, "HOSTNAME": self._pod["metadata"]["name"], "HOME": "/root" if image.user == 0 else "/"}
        base |= image.env
        base |= {"KUBERNETES_SERVICE_HOST": self._host.service_host, "KUBERNETES_SERVICE_PORT": self._host.service_port}
        base["KUBERNETES_SERVICE_PORT_HTTPS"] = self._host.service_port
        for source in self._container.get("envFrom", ()):
            base |= await self._all_of(source)
        for variable in self._container.get("env", ()):
            value = await self._value_of(variable, base)
            if value is not None:
                base[variable["name"]] = value
        return base

    async def _all_of(self, source: Json) -> dict[str, str]:
        prefix = source.get("prefix", "")
        reference = source.get("secretRef") or source["configMapRef"]
        secret = "secretRef" in source
        data = await self._read(reference, secret=secret)
        return {prefix + key: _decoded(value, secret=secret) for key, value in data.items()}

    async def _read(self, reference: Json, *, secret: bool) -> dict[str, str]:
        reader = read_secret if secret else read_config_map
        data = await reader(self._host, self._namespace, reference["name"])
        if data is None and not reference.get("optional", False):
            raise ConfigError(f'{"secret" if secret else "configmap"} "{reference["name"]}" not found')
        return data or {}

    async def _value_of(self, variable: Json, known: Mapping[str, str]) -> str | None:
        source = variable.get("valueFrom")
        if source is None:
            return expand(variable.get("value", ""), known)
        if "fieldRef" in source:
            return field_of(self._pod, source["fieldRef"]["fieldPath"], self._address)
        if "resourceFieldRef" in source:
            return resource_of(self._container, source["resourceFieldRef"])
        secret = "secretKeyRef" in source
        reference = source["secretKeyRef"] if secret else source["configMapKeyRef"]
        data = await self._read(reference, secret=secret)
        key = reference["key"]
        if key in data:
            return _decoded(data[key], secret=secret)
        if reference.get("optional", False):
            return None
        kind = "Secret" if secret else "ConfigMap"
        raise ConfigError(f"couldn't find key {key} in {kind} {self._namespace}/{reference['name']}")


def _decoded(value: str, *, secret: bool) -> str:
    return base64.b64decode(value).decode(errors="surrogateescape") if secret else value


def command_of(container: Json, image: Image, variables: Mapping[str, str]) -> Sequence[str]:
    """``command`` replaces the image's entrypoint and its command, ``args`` the command alone."""
    command = [expand(word, variables) for word in container.get("command", ())]
    args = [expand(word, variables) for word in container.get("args", ())]
    if command:
        return command + args
    return [*image.entrypoint, *(args or image.command)]
