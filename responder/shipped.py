"""What comes with the package as data: signatures. Read here, parsed by the core."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from responder.config import ConfigError
from responder.core.signatures import SignatureError, Signatures, parse_signatures


def signatures(extra: Sequence[Path] = (), *, check_samples: bool = False) -> Signatures:
    """Those we ship and the user's own files. Ours are checked by our tests, the user's at every start."""
    ours = {f.name: f.read_bytes() for f in sorted(files("responder.signatures").iterdir(), key=_name) if _is_yaml(f)}
    theirs = {str(path): _read(path) for path in extra}
    try:
        return parse_signatures({**ours, **theirs}, check_samples=check_samples or bool(theirs))
    except SignatureError as error:
        raise ConfigError([str(error)]) from error


def _name(file: object) -> str:
    return str(getattr(file, "name", ""))


def _is_yaml(file: object) -> bool:
    return _name(file).endswith(".yaml")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error


def snippet(name: str) -> str:
    """What to paste into a neighbour, as ``deploy/`` ships it."""
    return (files("responder") / "snippets" / f"{name}.yaml").read_text(encoding="utf-8")
