"""Starts one container: ``python -I -S shim.py FD`` reads its specification from the socket FD, then is its parent.

A program of its own, standard library alone: it must start in milliseconds and must not fork the kubelet. The
container's first process is PID 1 of a new PID namespace, as in any container: signals for which it has no handler do
nothing to it, and nothing that it started outlives it. What fails before the command runs is told over the socket.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path

NEWNS, NEWUTS, NEWPID = 0x20000, 0x4000000, 0x20000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
PDEATHSIG = 1
OWN = ("/proc", "/sys", "/dev", "/run", "/var/run")  # the container's own; other mounts of the host are shown to it
NODES = ("null", "zero", "full", "random", "urandom", "tty")
NOT_STARTED = 128

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, data)]
    check(libc.mount(texts[0], texts[1], texts[2], flags, texts[3]), f"mount {source} on {target}")


def die_with_parent() -> None:
    check(libc.prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def under(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def mounts_of_host() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = {line.split(" ")[4].replace("\\040", " ") for line in lines}
    return sorted(point for point in points if point != "/" and not under(point, OWN))


def make_root(base: str) -> None:
    """The host's files under a layer of our own in memory: written things vanish with the container."""
    mount("none", "/", None, REC | PRIVATE)
    shown = [point for point in mounts_of_host() if not under(point, (base,))]
    mount("tmpfs", base, "tmpfs", 0, "mode=755")
    for name in ("upper", "work", "root"):
        (Path(base) / name).mkdir()
    mount("overlay", f"{base}/root", "overlay", 0, f"lowerdir=/,upperdir={base}/upper,workdir={base}/work")
    for point in shown:
        if Path(point).is_dir():
            bind(point, f"{base}/root{point}", read_only=True)
    os.chroot(f"{base}/root")
    os.chdir("/")


def bind(source: str, target: str, *, read_only: bool) -> None:
    if Path(source).is_dir():
        Path(target).mkdir(parents=True, exist_ok=True)
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).touch()
    mount(source, target, None, BIND)
    if read_only:
        mount("none", target, None, BIND | REMOUNT | RDONLY)


def make_devices(nodes: dict[str, int]) -> None:
    mount("tmpfs", "/dev", "tmpfs", NOSUID, "mode=755")
    for name, fd in nodes.items():
        bind(f"/proc/self/fd/{fd}", f"/dev/{name}", read_only=False)
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        Path(f"/dev/{name}").symlink_to(f"/proc/self/fd{target}")
    Path("/dev/shm").mkdir()  # noqa: S108  # the container's own
    mount("tmpfs", "/dev/shm", "tmpfs", NOSUID | NODEV, "mode=1777")  # noqa: S108  # the container's own


def become(spec: dict[str, object]) -> None:
    """Mounts come after chroot: before, a link like /var/run -> /run leads out of the new root."""
    volumes = [(os.open(str(each["source"]), os.O_PATH), each) for each in spec["mounts"]]  # type: ignore[attr-defined]  # JSON
    nodes = {name: os.open(f"/dev/{name}", os.O_PATH) for name in NODES}
    sys_fd = os.open("/sys", os.O_PATH)
    # descriptors hold mounts of the namespace they were opened in, so all this happens after unshare
    make_root(str(spec["base"]))
    mount("proc", "/proc", "proc", NOSUID | NODEV)
    mount(f"/proc/self/fd/{sys_fd}", "/sys", None, BIND | REC)
    make_devices(nodes)
    mount("tmpfs", "/run", "tmpfs", NOSUID | NODEV, "mode=755")
    for fd, each in volumes:
        bind(f"/proc/self/fd/{fd}", str(each["target"]), read_only=bool(each["read_only"]))
    hostname = str(spec["hostname"]).encode()
    check(libc.sethostname(hostname, len(hostname)), "sethostname")
    workdir = str(spec["workdir"])
    Path(workdir).mkdir(parents=True, exist_ok=True)
    if spec["read_only_root"]:
        mount("none", "/", None, BIND | REMOUNT | RDONLY)
    os.setgroups(spec["groups"])  # type: ignore[arg-type]  # JSON
    os.setgid(spec["gid"])  # type: ignore[arg-type]  # JSON
    os.setuid(spec["uid"])  # type: ignore[arg-type]  # JSON
    os.chdir(workdir)


def first_process(spec: dict[str, object], told: socket.socket) -> None:
    """Never returns."""
    command = [str(word) for word in spec["command"]]  # type: ignore[attr-defined]  # JSON
    try:
        become(spec)
        die_with_parent()  # after setuid, which forgets it
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(command[0], command, spec["env"])  # type: ignore[arg-type]  # noqa: S606  # JSON; a shell would be another command
    except FileNotFoundError:
        told.sendall(f'exec: "{command[0]}": executable file not found in $PATH'.encode())
    except PermissionError as error:
        told.sendall(f'exec: "{command[0]}": permission denied ({error})'.encode())
    except Exception as error:  # noqa: BLE001  # whatever it is, the kubelet must be told
        told.sendall(repr(error).encode())
    finally:
        os._exit(NOT_STARTED)


def main() -> int:
    die_with_parent()
    told = socket.socket(fileno=int(sys.argv[1]))
    told.set_inheritable(False)
    with told.makefile("rb") as stream:
        spec = json.loads(stream.readline())
    check(libc.unshare(NEWNS | NEWUTS | NEWPID), "unshare")
    forwarded = {signal.SIGTERM: signal.SIGTERM, signal.SIGUSR1: signal.SIGKILL}
    signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
    child = os.fork()
    if child == 0:
        first_process(spec, told)
    for number, sent in forwarded.items():
        signal.signal(number, lambda *_, sent=sent: os.kill(child, sent))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, forwarded)
    told.close()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)  # the container alone holds its output: its end is the end of the log
    os.dup2(null, 2)
    _, status = os.waitpid(child, 0)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    os._exit(main())  # no clean-up of an interpreter is needed: twice as fast
