"""Images hold nothing here: a name says whether it can be pulled, and a table what its image would bring along."""

import hashlib
from collections.abc import Mapping

import msgspec

_ABSENT = "does-not-exist"
_INVALID = "invalid"


class Image(msgspec.Struct, frozen=True, rename="camel"):
    """What an image says of itself."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    working_dir: str = "/"
    user: int = 0


class PullError(Exception):
    """``reason`` is that of the waiting container."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Images:
    """``table``: images by the beginning of their names, the longest counts. ``pushed`` can be pulled all the same."""

    def __init__(self, table: Mapping[str, Image]) -> None:
        self._table = dict(table)
        self.pushed: set[str] = set()
        self.present: set[str] = set()

    def bring(self, prefix: str, data: bytes) -> None:
        """Raises ValueError for what is no image."""
        self._table[prefix] = msgspec.json.decode(data, type=Image)

    def find(self, name: str) -> Image:
        """Raises PullError, in the words of containerd."""
        if name not in self.pushed:
            if _INVALID in name:
                message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": '
                raise PullError("InvalidImageName", message + "invalid reference format")
            if _ABSENT in name:
                full = full_name(name)
                message = f'rpc error: code = NotFound desc = failed to pull and unpack image "{full}": '
                raise PullError("ErrImagePull", message + f"failed to resolve reference: {full}: not found")
        self.present.add(name)
        prefixes = [prefix for prefix in self._table if name.startswith(prefix)]
        return self._table[max(prefixes, key=len)] if prefixes else Image()


def full_name(name: str) -> str:
    first, slash, _ = name.partition("/")
    host = "" if slash and ("." in first or ":" in first) else "docker.io/"
    library = "" if slash else "library/"
    tag = "" if ":" in name.rpartition("/")[2] or "@" in name else ":latest"
    return f"{host}{library}{name}{tag}"


def image_id(name: str) -> str:
    return f"{full_name(name).partition('@')[0].rpartition(':')[0]}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def read_images(data: bytes) -> dict[str, Image]:
    return msgspec.json.decode(data, type=dict[str, Image])
