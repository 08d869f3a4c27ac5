"""Settings: strict, frozen, read once. Unknown keys are refused; secrets are named by file, never written here.

A relative path stands beside the file that names it.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from responder.core.actions import Mode
from responder.core.duration import Duration
from responder.core.strictyaml import Document, FileError, Model

_SIZE = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class ConfigError(Exception):
    """Every fault of one file, each with its place: ``file:line:column: reason``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parse_size(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no size: write it like 512KiB, 100MiB or 2GiB")
    return int(match[1]) * _BYTES[match[2]]


def _web_address(value: str) -> str:
    if value and not re.match(r"https?://\S+$", value):
        raise ValueError("expected an address that begins with https:// or http://")
    return value


def _some_time(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("expected more than 0s")
    return value


def _database(value: str) -> str:
    if not re.match(r"sqlite://.", value):
        raise ValueError("expected sqlite:///absolute/path.db; other databases are not there yet")
    return value


def _plain_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value):
        raise ValueError("a name is written with a-z, 0-9 and -")
    return value


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=1)]
Span = Annotated[Duration, AfterValidator(_some_time)]
Name = Annotated[str, AfterValidator(_plain_name)]
Address = Annotated[str, AfterValidator(_web_address)]


class Listen(Model):
    host: str = "0.0.0.0"  # noqa: S104 - a Pod listens on its own address; the NetworkPolicy says who may come
    port: int = Field(default=8080, ge=0, le=65535)
    url: Address = ""  # how people reach us, for links in alerts


class ArgoCD(Model):
    name: str = "argocd"
    namespace: str = "argocd"
    application_namespaces: tuple[str, ...] = ()  # beside its own; "*" is every namespace
    url: Address = ""


class ArgoCDApi(Model):
    """Argo CD's REST API, with a project-role token that may get applications and logs."""

    url: Address
    token_file: Path
    ca_file: Path | None = None


class ClusterConfig(Model):
    """A destination cluster; Argo CD runs in the first. Without ``url`` and kubeconfig it is the one our Pod is in."""

    name: str = "in-cluster"
    server: str = "https://kubernetes.default.svc"  # as Applications name it
    kubeconfig: Path | None = None
    context: str | None = None
    url: Address = ""  # plain URL, for the demo and tests
    token_file: Path | None = None
    argocd_api: ArgoCDApi | None = None  # a cluster that we cannot reach: the logs of its hooks come by Argo CD
    namespaces: tuple[str, ...] = ()  # empty: the whole cluster

    @model_validator(mode="after")
    def _is_reached_one_way(self) -> "ClusterConfig":
        if self.url and (self.kubeconfig or self.context):
            raise ValueError(f"cluster {self.name}: url, or a kubeconfig and context: not both")
        if self.argocd_api and (self.url or self.kubeconfig or self.context or self.namespaces):
            raise ValueError(
                f"cluster {self.name}: argocd_api is for a cluster that we cannot reach: name and server only"
            )
        if self.argocd_api and "server" not in self.model_fields_set:
            raise ValueError(f"cluster {self.name}: argocd_api needs server, as Applications name that cluster")
        if self.token_file and not self.url:
            raise ValueError(f"cluster {self.name}: token_file goes with url; a kubeconfig has its own credentials")
        return self


class StoreConfig(Model):
    url: Annotated[str, AfterValidator(_database)] = "sqlite:///var/lib/responder/responder.db"

    @property
    def path(self) -> Path:
        """``sqlite:///var/lib/x.db`` is the absolute path, ``sqlite://x.db`` one beside us."""
        return Path(self.url.removeprefix("sqlite://"))


class Webhook(Model):
    token_files: tuple[Path, ...] = Field(default=(), max_length=2)  # two, so that a token can be rotated
    body_limit: Size = 3 << 20
    read_deadline: Span = timedelta(seconds=10)


class StaticToken(Model):
    name: str  # who it is, in the audit
    token_file: Path
    role: Literal["viewer", "operator"] = "viewer"


class Access(Model):
    static_tokens: tuple[StaticToken, ...] = ()


class Recorder(Model):
    follows: int = Field(default=200, ge=1)  # logs followed at once
    memory: Size = 64 << 20  # of all rings together
    head: Size = 64 << 10  # kept of each log's beginning
    tail: Size = 448 << 10  # and of its end
    line: Size = 16 << 10  # longer lines are cut
    spill_every: Span = timedelta(seconds=2)
    stuck_after: Span = timedelta(seconds=30)
    running_limit: Span = timedelta(minutes=30)  # a hook that runs longer is reported
    sidecars: tuple[str, ...] = (
        "istio-proxy", "linkerd-proxy", "cloud-sql-proxy", "cloudsql-proxy", "vault-agent", "envoy", "dapr", "daprd",
    )  # fmt: skip


class Redaction(Model):
    key_file: Path | None = None  # absent: a new key at each start, equal values are comparable within one run


class ReceiverConfig(Model):
    name: Name
    type: Literal["alertmanager", "webhook", "slack"]
    urls: tuple[Annotated[str, Field(min_length=1), AfterValidator(_web_address)], ...] = ()
    url_file: Path | None = None  # when the URL is itself a secret (Slack)
    secret_file: Path | None = None  # signing secret (webhook)
    token_file: Path | None = None  # bearer token
    timeout: Span = timedelta(seconds=10)
    repeat_every: Span = timedelta(minutes=1)  # Alertmanager: kept alive
    template: Path | None = None

    @model_validator(mode="after")
    def _has_an_address(self) -> "ReceiverConfig":
        if not self.urls and self.url_file is None:
            raise ValueError(f"receiver {self.name} needs urls or url_file")
        return self


class Routing(Model):
    annotation: str = "hook-responder.io/owner"
    projects: Mapping[str, str] = Field(default_factory=dict)  # project -> owner
    receivers: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)  # owner -> receivers
    default: tuple[str, ...] = ()  # receivers
    default_owner: str = "platform"


class Promotion(Model):
    service_label: str = "app.kubernetes.io/part-of"
    environment_label: str = "hook-responder.io/environment"
    environments: tuple[str, ...] = ()  # in their order of promotion


class Ceilings(Model):
    """Resyncs, Argo CD's own runs counted too, whatever the rules say (I3)."""

    per_application_day: int = Field(default=12, ge=0)
    per_responder_hour: int = Field(default=20, ge=0)
    per_cause: int = Field(default=8, ge=1)  # at a time, of Applications that fail for one cause


class Actions(Model):
    mode: Mode = Mode.SHADOW
    ceilings: Ceilings = Ceilings()
    expire_after: Span = timedelta(minutes=15)
    historic_after: Span = timedelta(minutes=30)
    alert_floor: Span = timedelta(minutes=10)
    own_applications: tuple[str, ...] = ("*/hook-responder", "*/argocd-hook-responder")  # never acted upon
    group_wait: Duration = timedelta(seconds=10)  # so that one dead database is one page
    opt_in_manual: bool = False  # resync Applications without auto-sync


class KillSwitch(Model):
    namespace: str = "hook-responder"
    name: str = "responder-killswitch"


class LeaseConfig(Model):
    """With it several processes may run, of which one works. SQLite has one process anyway, so it is off."""

    enabled: bool = False
    namespace: str = "hook-responder"
    name: str = "hook-responder"
    lasts: Span = timedelta(seconds=15)  # without a sign of its holder; then another takes it


class Retention(Model):
    incidents: Span = timedelta(days=90)
    logs: Span = timedelta(days=30)
    audit: Span = timedelta(days=365)
    size: Size = 10 << 30


class Settings(Model):
    listen: Listen = Listen()
    argocd: ArgoCD = ArgoCD()
    clusters: tuple[ClusterConfig, ...] = (ClusterConfig(),)
    store: StoreConfig = StoreConfig()
    webhook: Webhook = Webhook()
    access: Access = Access()
    recorder: Recorder = Recorder()
    redaction: Redaction = Redaction()
    signatures: tuple[Path, ...] = ()
    rules: Path | None = None
    receivers: tuple[ReceiverConfig, ...] = ()
    routing: Routing = Routing()
    promotion: Promotion = Promotion()
    actions: Actions = Actions()
    killswitch: KillSwitch = KillSwitch()
    lease: LeaseConfig = LeaseConfig()
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _names_agree(self) -> "Settings":
        if not self.clusters:
            raise ValueError("clusters: expected at least the one that Argo CD runs in; leave it out for our own")
        if self.clusters[0].argocd_api:
            raise ValueError(
                "clusters: the first is the one that Argo CD runs in; it is watched, not asked by argocd_api"
            )
        for what, names in (
            ("clusters", [c.name for c in self.clusters]),
            ("receivers", [r.name for r in self.receivers]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"{what}: two have the same name")
        wanted = {*self.routing.default, *(n for group in self.routing.receivers.values() for n in group)}
        if missing := sorted(wanted - {r.name for r in self.receivers}):
            raise ValueError(f"routing names receivers that are not configured: {', '.join(missing)}")
        return self


def load_settings(path: Path) -> Settings:
    """Read and check ``responder.yaml``; raises ``ConfigError`` with every fault and its line."""
    return parse_settings(read_text(path), str(path), path.parent)


def parse_settings(text: str, file: str, folder: Path = Path()) -> Settings:
    """``folder`` is where the file stands."""
    try:
        settings: Settings = _beside(Document(text, file).read(Settings), folder)
    except FileError as error:
        raise ConfigError(error.problems) from error
    return settings


def _beside(value: Any, folder: Path) -> Any:
    match value:
        case Path():
            return folder / value
        case tuple():
            return tuple(_beside(item, folder) for item in value)
        case Model():
            return value.model_copy(update={name: _beside(part, folder) for name, part in value})
        case _:
            return value


def read_text(path: Path) -> str:
    """A file that people write; raises ``ConfigError``."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}:1: is no UTF-8 text: save it as UTF-8"]) from error
    except ValueError as error:
        raise ConfigError([f"{str(path)!r} is no path"]) from error


def read_secret(path: Path) -> str:
    """A secret from its file, without the newline that editors add; an empty one is an error."""
    try:
        return read_key(path).decode().strip() or _empty(path)
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: secret is no UTF-8 text"]) from error


def read_key(path: Path) -> bytes:
    """A secret of any bytes."""
    try:
        return path.read_bytes() or _empty(path)
    except OSError as error:
        raise ConfigError([f"{path}: secret cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigError([f"{str(path)!r} is no path"]) from error


def _empty(path: Path) -> NoReturn:
    raise ConfigError([f"{path}: secret is empty"])
