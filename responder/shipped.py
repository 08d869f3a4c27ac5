"""What comes with the package as data: signatures and snippets. Read here, parsed by the core."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from responder.core.signaturefile import SHIPPED, parse_signatures
from responder.core.signatures import Signatures


def signatures(extra: Sequence[Path] = (), *, check_samples: bool = False) -> Signatures:
    """Those we ship and the user's own files. Ours are checked by our tests, the user's at every start.

    Raises ``SignatureError``, ``OSError`` for a file of the user's.
    """
    if not extra and not check_samples:
        return _ours()
    theirs = {str(path): path.read_bytes() for path in extra}
    return parse_signatures(_files() | theirs, check_samples=True)


@cache  # immutable, and compiled once
def _ours() -> Signatures:
    return parse_signatures(_files(), check_samples=False)


def _files() -> dict[str, bytes]:
    """By a name that no file of the user's has: theirs stand beside ours, whatever they are called."""
    shipped = sorted((f for f in files("responder.signatures").iterdir() if f.name.endswith(".yaml")), key=_name)
    return {f"{SHIPPED}{f.name}": f.read_bytes() for f in shipped}


def _name(file: Traversable) -> str:
    return file.name


def snippet(name: str) -> str:
    """What to paste into a neighbour, as ``deploy/`` ships it."""
    return (files("responder") / "snippets" / f"{name}.yaml").read_text(encoding="utf-8")
