"""Signatures that know a text again: in thousands of nights hooks print the same few lines."""

from collections.abc import Sequence

from responder.core.signatures import Match, Signatures


class Remembering(Signatures):
    def __init__(self, of: Signatures) -> None:
        super().__init__(of.signatures, of.tools.values(), of.tables, of.advice)
        self._scanned: dict[tuple[bytes, int], Sequence[tuple[int, int]]] = {}
        self._matched: dict[str, list[Match]] = {}

    def scan(self, data: bytes, start: int = 0) -> Sequence[tuple[int, int]]:
        if (data, start) not in self._scanned:
            self._scanned[data, start] = tuple(super().scan(data, start))
        return self._scanned[data, start]

    def matches(self, text: str) -> list[Match]:
        if text not in self._matched:
            self._matched[text] = super().matches(text)
        return self._matched[text]
