"""Quantities like 500m and 2Gi."""

from decimal import Decimal

_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def read_quantity(text: str) -> Decimal:
    for suffix, bits in _BINARY.items():
        if text.endswith(suffix):
            return Decimal(text[: -len(suffix)]) * Decimal(2**bits)
    suffix = text[-1] if text[-1] in "numkMGTPE" else ""
    return Decimal(text[: len(text) - len(suffix)]).scaleb(_SUFFIXES[suffix])
