"""A little waiting more, up to a fifth, the same whenever it is asked: what failed together does not come together."""

import hashlib


def jitter(*names: str) -> float:
    digest = hashlib.blake2b("/".join(names).encode(), digest_size=2).digest()
    return int.from_bytes(digest) / 0xFFFF / 5
