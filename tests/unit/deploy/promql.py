"""Which of our series an expression names, and whether promtool can read it."""

import re
import subprocess
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from responder.metrics import Metrics


def our_series() -> set[str]:
    """Every series name that /metrics can show."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
    return {
        family.name + suffix
        for family in Metrics(CollectorRegistry()).registry.collect()
        for suffix in suffixes.get(family.type, ("",))
    }


def named_series(expression: str) -> set[str]:
    return set(re.findall(r"\bresponder_\w+", expression))


def promtool(*arguments: str, cwd: Path) -> str:
    """Empty when promtool is content, else what it says."""
    run = subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, timeout=50, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def unreadable(expressions: list[str], folder: Path) -> str:
    rules = [{"record": f"e{number}", "expr": expression} for number, expression in enumerate(expressions)]
    (folder / "expressions.yaml").write_text(yaml.safe_dump({"groups": [{"name": "e", "rules": rules}]}))
    return promtool("check", "rules", "expressions.yaml", cwd=folder)
