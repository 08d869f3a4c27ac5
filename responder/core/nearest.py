"""What somebody probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(wrong: str, known: Iterable[str]) -> str:
    """What would be right: the nearest word, or all of them."""
    words = sorted(str(word) for word in known)
    near = get_close_matches(wrong[:100], words, n=1)
    if near:
        return f", did you mean {near[0]}?"
    return f", expected one of: {', '.join(words)}" if words else ""
