"""Where the programs of the real cluster come from: a folder that is given, or built from pinned Go modules, once."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

TOOLS = Path(__file__).with_name("tools")
_VERSIONS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_BEAT = 15.0  # seconds between two lines of progress


class MissingBinariesError(Exception):
    """A whole sentence that says what to do."""


class Tool(msgspec.Struct, frozen=True):
    """A module of ``tools/``, and what is built from it: name of the binary -> main package."""

    module: str
    packages: Mapping[str, str]
    variables: Mapping[str, str] = {}  # set by the linker
    tags: str = ""


_KUBERNETES = {"gitVersion": "v1.36.3", "gitMajor": "1", "gitMinor": "36", "gitTreeState": "clean"}
_COMMANDS = ("kube-apiserver", "kube-controller-manager", "kubectl")
BUILT = (
    Tool("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Tool(
        "kubernetes",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in _COMMANDS},
        {f"{package}.{name}": value for package in _VERSIONS for name, value in _KUBERNETES.items()},
    ),
    Tool(
        "argocd",
        {"argocd": "github.com/argoproj/argo-cd/v3/cmd"},
        {"github.com/argoproj/argo-cd/v3/common.version": "3.5.7"},
    ),
    Tool("migrate", {"migrate": "github.com/golang-migrate/migrate/v4/cmd/migrate"}, tags="postgres mysql"),
)
_DEBIAN = {
    "git": "git",
    "mariadb-install-db": "mariadb-server",
    "mariadbd": "mariadb-server",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
}
_ARGOCD_FILES = (
    "manifests/crds/application-crd.yaml",
    "manifests/crds/applicationset-crd.yaml",
    "manifests/crds/appproject-crd.yaml",
    "notifications_catalog/install.yaml",
    "hack/git-verify-wrapper.sh",
)


class Binaries(msgspec.Struct, frozen=True):
    """A folder with every binary, the CRDs and the notifications catalog; some binaries may stand elsewhere."""

    folder: Path
    elsewhere: Mapping[str, Path] = {}

    def path(self, name: str) -> Path:
        return self.elsewhere.get(name, self.folder / name)

    @property
    def custom_resources(self) -> list[Path]:
        return sorted(self.folder.glob("*-crd.yaml"))

    def missing(self) -> list[str]:
        names = [name for tool in BUILT for name in tool.packages]
        files = [Path(name).name for name in _ARGOCD_FILES]
        return [name for name in (*names, *files) if not self.path(name).is_file()]


def check_machine() -> None:
    """What is not built must be there."""
    if os.geteuid() != 0:
        raise MissingBinariesError("its kubelet makes mount and PID namespaces: run it as root")
    searched = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    packages = {package for program, package in _DEBIAN.items() if not shutil.which(program, path=searched)}
    if not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        packages.add("postgresql")
    if packages:
        raise MissingBinariesError(f"RUNLEVEL=1 apt-get install {' '.join(sorted(packages))}")


def find_binaries(environ: Mapping[str, str] = os.environ) -> Binaries:
    """Those that ``RESPONDER_TEST_BIN`` holds, or our own, built when they are not there yet."""
    if given := environ.get("RESPONDER_TEST_BIN"):
        binaries = Binaries(Path(given))
        if missing := binaries.missing():
            raise MissingBinariesError(f"RESPONDER_TEST_BIN={given} lacks {', '.join(missing)}")
        return binaries
    if _go_version() < (1, 21):  # from there on it fetches what a go.mod asks for
        raise MissingBinariesError("there is no Go to build them: install Go 1.26 or set RESPONDER_TEST_BIN")
    elsewhere = _assets(environ)
    folder = cache(environ) / f"cluster-{_pins()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _build_all(folder, elsewhere)
    return Binaries(folder, elsewhere)


def _go_version() -> tuple[int, ...]:
    """(0,) without Go."""
    if shutil.which("go") is None:
        return (0,)
    said = subprocess.run(["go", "env", "GOVERSION"], cwd=TOOLS, capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in re.findall(r"\d+", said))


def _assets(environ: Mapping[str, str]) -> dict[str, Path]:
    """What the folder that Kubernetes' own test tools use has of ours."""
    folder = environ.get("KUBEBUILDER_ASSETS")
    names = [name for tool in BUILT for name in tool.packages] if folder else []
    return {name: Path(folder or "", name) for name in names if Path(folder or "", name).is_file()}


def cache(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base, "argocd-hook-responder")


def _pins() -> str:
    """Changes with every pin, with how they are built, and with the Go version."""
    files = sorted(TOOLS.glob("*/go.*"))
    content = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(content + repr((BUILT, _go_version())).encode()).hexdigest()[:16]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Two runs do not build twice: the second waits for the first."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is making what the cluster needs; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_all(folder: Path, elsewhere: Mapping[str, Path]) -> None:
    wanted = [tool for tool in BUILT if not tool.packages.keys() <= elsewhere.keys()]
    say(f"building the cluster's programs into {folder}, once: 10 to 18 minutes on two cores when nothing is cached")
    unfinished = folder.with_suffix(".building")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    started = time.monotonic()
    for number, tool in enumerate(wanted, 1):
        _build(tool, unfinished, f"{number} of {len(wanted)}: {', '.join(tool.packages)}")
    _copy_argocd_files(unfinished)
    unfinished.rename(folder)
    say(f"built in {_minutes(time.monotonic() - started)}")


def _build(tool: Tool, folder: Path, what: str) -> None:
    link = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in tool.variables.items())])
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-tags={tool.tags}", f"-ldflags={link}"]
    module = TOOLS / tool.module
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
    for name, package in tool.packages.items():
        command = ["go", "build", "-v", *flags, "-o", str(folder / name), package]
        with subprocess.Popen(command, cwd=module, env=environment, stderr=subprocess.PIPE, text=True) as build:
            _follow(build, what)
        if build.returncode:
            raise MissingBinariesError(f"{name} could not be built: see above")


def _follow(build: subprocess.Popen[str], what: str) -> None:
    """``go build -v`` names each package that it compiles; anything else is said at once."""
    compiled, started, ended = [0], time.monotonic(), threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT):
            say(f"  {what}: {compiled[0]} packages compiled, {_minutes(time.monotonic() - started)}")

    ticker = threading.Thread(target=beat)
    ticker.start()
    try:
        for line in build.stderr or ():
            if re.fullmatch(r"[\w./~-]+\n", line):
                compiled[0] += 1
            elif not line.startswith("go: downloading"):
                say("  " + line.rstrip())
    finally:
        ended.set()
        ticker.join()


def _copy_argocd_files(folder: Path) -> None:
    """The module has them; a program alone cannot make an API server know an Application."""
    command = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3"]
    listed = subprocess.run(command, cwd=TOOLS / "argocd", capture_output=True, text=True, check=True)
    for name in _ARGOCD_FILES:
        copied = folder / Path(name).name
        shutil.copyfile(Path(listed.stdout.strip(), name), copied)  # without its mode: modules are read-only
        copied.chmod(0o755 if copied.suffix == ".sh" else 0o644)


def _minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
