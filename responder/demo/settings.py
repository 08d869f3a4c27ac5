"""How the demo configures the real responder, and what stands in its cluster before anything happens."""

import base64
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from responder.config import Settings
from responder.core.actions import Mode
from responder.demo.objects import Objects

TOKEN = "demo"  # noqa: S105 - of a service on localhost that ends with the demo
ARGOCD = "argocd"
OURS = "hook-responder"
_REDACTION_KEY = "only the demo is redacted with it"


def demo_settings(
    server: str, folder: Path, *, port: int, pager: str = "", application_namespaces: Sequence[str] = ()
) -> Settings:
    """``server``: URL of the in-memory API server; ``folder``: where the store and the token file go."""
    receivers = [_pager(pager, folder)] if pager else []
    token = folder / "token"
    token.write_text(TOKEN, encoding="utf-8")
    key = folder / "redaction-key"
    key.write_text(_REDACTION_KEY, encoding="utf-8")  # else each run would redact otherwise
    rules = folder / "rules.yaml"
    rules.write_text((files("responder.demo") / "rules.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return Settings.model_validate(
        {
            "listen": {"host": "127.0.0.1", "port": port},
            "argocd": {
                "name": "demo",
                "namespace": ARGOCD,
                "application_namespaces": application_namespaces,
            },
            "clusters": [{"name": "in-cluster", "url": server}],
            "store": {"url": f"sqlite://{folder / 'responder.db'}"},
            "webhook": {"token_files": [token]},
            "access": {"static_tokens": [{"name": "demo", "token_file": token, "role": "operator"}]},
            "redaction": {"key_file": key},
            "rules": rules,
            "receivers": receivers,
            "routing": {"default": [receiver["name"] for receiver in receivers]},
            "promotion": {"environments": ["staging", "production"]},
            "actions": {"mode": Mode.LIVE},
            "killswitch": {"namespace": OURS, "name": "responder-killswitch"},
        }
    )


def _pager(url: str, folder: Path) -> dict[str, object]:
    secret = folder / "pager-secret"
    secret.write_text(f"whsec_{base64.b64encode(b'only the demo is signed with it').decode()}", encoding="utf-8")
    return {"name": "pager", "type": "webhook", "urls": [url], "secret_file": secret}


def prepare(objects: Objects, namespaces: Iterable[str], projects: Iterable[str] = ()) -> None:
    """Namespaces, the AppProject that every Argo CD has and others as open as that one, a released kill switch."""
    for name in sorted({ARGOCD, OURS, "default", *namespaces}):
        objects.create("Namespace", {"metadata": {"name": name}})
    for name in sorted({"default", *projects}):
        objects.create(
            "AppProject",
            {
                "metadata": {"name": name, "namespace": ARGOCD},
                "spec": {
                    "sourceRepos": ["*"],
                    "sourceNamespaces": ["*"],
                    "destinations": [{"server": "*", "namespace": "*"}],
                    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                },
            },
        )
    objects.create(
        "ConfigMap",
        {"metadata": {"name": "responder-killswitch", "namespace": OURS}, "data": {"engaged": "false"}},
    )
