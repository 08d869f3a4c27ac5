"""Finding the lines that any shipped signature may match in 100 MB of log, against ripgrep with the same patterns."""

import base64
import itertools
import random
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from responder.core.signatures import Signatures
from responder.shipped import signatures

SIZE = 100 << 20
ROUNDS = 5
_CORPUS = Path(__file__).parent.parent / "corpus" / "logs"
_PLAIN = "2026-11-21T03:14:15.926Z INFO  [main] o.example.Verifier - part {n} of 4000 compared, 250 rows in 12 ms\n"
_NAMED = re.compile(r"\(\?P<\w+>")  # ripgrep joins all patterns: a name stands once, a flag ends with its pattern
_BETWEEN = 1000  # plain lines between two failing migrations


def log() -> bytes:
    """Chatter with a failing migration now and then, as long migrations print."""
    parts, size = [], 0
    for number, path in enumerate(itertools.cycle(sorted(_CORPUS.glob("*.log")))):
        part = "".join(_PLAIN.format(n=number * _BETWEEN + n) for n in range(_BETWEEN)).encode() + path.read_bytes()
        parts.append(part)
        size += len(part)
        if size >= SIZE:
            return b"".join(parts)[:SIZE]
    raise AssertionError("there is a corpus")


def blobs() -> bytes:
    """Text without words, no two pieces of it alike: a certificate, a dump's rows."""
    return base64.encodebytes(random.Random(1).randbytes(SIZE // 40))  # noqa: S311 - it need not be secret


def scanned(found: Signatures, data: bytes) -> tuple[float, int]:
    began = time.perf_counter()
    lines = sum(1 for _ in found.scan(data))
    return time.perf_counter() - began, lines


def grepped(patterns: Path, file: Path) -> tuple[float, int]:
    began = time.perf_counter()
    done = subprocess.run(
        ["rg", "--no-config", "--text", "--threads", "1", "--dfa-size-limit", "1G", "--regex-size-limit", "1G",
         "--count", "--file", str(patterns), str(file)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return time.perf_counter() - began, int(done.stdout)


def main() -> None:
    data, found = log(), signatures()
    scanned(found, data[: 1 << 20])  # compiled at first use
    with tempfile.TemporaryDirectory(prefix="scan-") as folder:
        file, patterns = Path(folder) / "log", Path(folder) / "patterns"
        file.write_bytes(data)
        patterns.write_text(
            "".join(f"(?:{_NAMED.sub('(?:', s.pattern)})\n" for s in found.signatures), encoding="utf-8"
        )
        ours = [scanned(found, data) for _ in range(ROUNDS)]
        theirs = [grepped(patterns, file) for _ in range(ROUNDS)]
    for name, rounds in (("ours", ours), ("ripgrep", theirs)):
        rates = [SIZE / seconds / 1e6 for seconds, _ in rounds]
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(f"{name:8} {statistics.median(rates):>8,.0f} MB/s ({spread}), {rounds[0][1]:,} lines found")
    wordless = blobs()
    scanned(found, wordless[: 1 << 16])  # what is for such text alone is compiled at its first use
    print(f"base64   {len(wordless) / scanned(found, wordless)[0] / 1e6:>8,.0f} MB/s")
    share = statistics.median(s for s, _ in theirs) / statistics.median(s for s, _ in ours)
    print(f"ours against ripgrep: {share:.2f} ({len(found.signatures)} patterns, {ROUNDS} rounds of {SIZE >> 20} MiB)")


if __name__ == "__main__":
    main()
