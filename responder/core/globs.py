"""Globs as Argo CD reads them (gobwas/glob without separators): ``*`` crosses slashes, ``{a,b}`` are alternatives."""

from functools import lru_cache

import re2


@lru_cache(maxsize=10_000)  # the same few projects and namespaces are asked about at every step
def glob_matches(pattern: str, text: str) -> bool:
    compiled = _compiled(pattern)
    return pattern == text if compiled is None else compiled.fullmatch(text) is not None


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> "re2._Regexp | None":
    """None for a pattern that is none: it stands for itself."""
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    try:
        return re2.compile(_translated(pattern), options)
    except re2.error:
        return None


def _translated(pattern: str) -> str:
    out: list[str] = []
    depth = at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\" and at < len(pattern):
            out.append(re2.escape(pattern[at]))
            at += 1
        elif char == "[" and (end := pattern.find("]", at + 1)) > 0:
            body = pattern[at:end]
            out.append("[" + ("^" if body[0] == "!" else "") + body.removeprefix("!").replace("\\", "\\\\") + "]")
            at = end + 1
        elif char in "{}":
            depth += 1 if char == "{" else -1
            out.append("(?:" if char == "{" else ")")
        else:
            special = {"*": ".*", "?": "."}.get(char) or ("|" if char == "," and depth > 0 else "")
            out.append(special or re2.escape(char))
    return "".join(out)
