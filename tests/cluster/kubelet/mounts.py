"""Volumes as folders on the host, written as the kubelet writes them, and where a container has them mounted."""

import base64
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.cluster.kubelet.api import ApiError, Json
from tests.cluster.kubelet.environment import ConfigError, expand, field_of, read_config_map, read_secret
from tests.cluster.kubelet.host import Host

_TOKEN_SECONDS: Final = 3607
_MODE: Final = 0o644
_READ_ONLY: Final = ("secret", "configMap", "projected", "downwardAPI")


class MountError(Exception):
    """``str`` is what the Event FailedMount says."""


class Mount(msgspec.Struct, frozen=True):
    source: str
    target: str
    read_only: bool


class Volumes:
    """Those of one Pod. ``set_up`` may be called again after a MountError."""

    def __init__(self, host: Host, pod: Json, address: str, folder: Path) -> None:
        self._host = host
        self._pod = pod
        self._address = address
        self._folder = folder
        self._namespace: str = pod["metadata"]["namespace"]
        self.places: dict[str, Path] = {}  # those that are set up

    @property
    def missing(self) -> Sequence[Json]:
        return [volume for volume in self._pod["spec"].get("volumes", ()) if volume["name"] not in self.places]

    async def set_up(self, volume: Json) -> None:
        name = volume["name"]
        try:
            self.places[name] = await self._made(volume)
        except (ConfigError, ApiError) as error:
            raise MountError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    async def _made(self, volume: Json) -> Path:
        place = self._folder / str(volume["name"])
        if "hostPath" in volume:
            return Path(volume["hostPath"]["path"])
        if "emptyDir" in volume:
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o777)
            return place
        source = next((volume[kind] for kind in _READ_ONLY if kind in volume), None)
        if source is None:
            raise ConfigError(f"this kubelet knows no such volume: {', '.join(volume.keys() - {'name'})}")
        parts = source["sources"] if "projected" in volume else [volume]
        files: dict[str, tuple[bytes, int]] = {}
        for part in parts:
            files |= await self._files_of(part, source.get("defaultMode", _MODE))
        _write(place, files)
        return place

    async def _files_of(self, part: Json, mode: int) -> dict[str, tuple[bytes, int]]:
        if "secret" in part:
            source = part["secret"]
            return await self._keys_of(source, source.get("secretName") or source.get("name"), mode, secret=True)
        if "configMap" in part:
            return await self._keys_of(part["configMap"], part["configMap"]["name"], mode, secret=False)
        if "serviceAccountToken" in part:
            source = part["serviceAccountToken"]
            return {source["path"]: ((await self._token(source)).encode(), mode)}
        if "downwardAPI" in part:
            items = part["downwardAPI"].get("items", ())
            return {
                item["path"]: (field_of(self._pod, item["fieldRef"]["fieldPath"], self._address).encode(), mode)
                for item in items
                if "fieldRef" in item
            }
        raise ConfigError(f"this kubelet knows no such source: {', '.join(part)}")

    async def _keys_of(self, source: Json, name: str, mode: int, *, secret: bool) -> dict[str, tuple[bytes, int]]:
        optional = source.get("optional", False)
        reader = read_secret if secret else read_config_map
        data = await reader(self._host, self._namespace, name)
        if data is None:
            if optional:
                return {}
            raise ConfigError(f'{"secret" if secret else "configmap"} "{name}" not found')
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        files = {}
        for item in items:
            if item["key"] in data:
                content = data[item["key"]]
                files[item["path"]] = (
                    base64.b64decode(content) if secret else content.encode(),
                    item.get("mode", mode),
                )
            elif not optional:
                raise ConfigError(f"references non-existent {'secret' if secret else 'config'} key: {item['key']}")
        return files

    async def _token(self, source: Json) -> str:
        metadata = self._pod["metadata"]
        account = self._pod["spec"].get("serviceAccountName", "default")
        audience = [source["audience"]] if "audience" in source else []
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {
            "audiences": audience,
            "expirationSeconds": source.get("expirationSeconds", _TOKEN_SECONDS),
            "boundObjectRef": bound,
        }
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token"
        answer = await self._host.api.call("POST", path, request)
        return str(answer["status"]["token"])

    def mounts_of(self, container: Json, variables: Mapping[str, str]) -> list[Mount]:
        kinds = {volume["name"]: volume for volume in self._pod["spec"].get("volumes", ())}
        mounts = []
        for wanted in container.get("volumeMounts", ()):
            source = self.places[wanted["name"]]
            part = wanted.get("subPath") or expand(wanted.get("subPathExpr", ""), variables)
            if part:
                source = source / part
                if not source.exists():  # the kubelet makes a folder of it, whatever was meant
                    source.mkdir(parents=True)
            kind = kinds[wanted["name"]]
            fixed = any(name in kind for name in _READ_ONLY)
            read_only = fixed or wanted.get("readOnly", False)
            mounts.append(Mount(str(source.resolve()), wanted["mountPath"], read_only))
        return sorted(mounts, key=lambda mount: mount.target.count("/"))


def _write(place: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """The kubelet's way: files in a dated folder, ``..data`` leads to it, and a link for each first part of a path."""
    dated = f"..{time.strftime('%Y_%m_%d_%H_%M_%S', time.gmtime())}.{os.urandom(4).hex()}"
    (place / dated).mkdir(parents=True)
    place.chmod(0o755)
    for path, (content, mode) in files.items():
        file = place / dated / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
    (place / "..data").symlink_to(dated)
    for first in sorted({path.split("/")[0] for path in files}):
        (place / first).symlink_to(f"..data/{first}")
