"""``python -m tests.cluster.kubelet --help``"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from tests.cluster.kubelet import __doc__ as about
from tests.cluster.kubelet.kubelet import Options, serve


def read_options() -> Options:
    parser = argparse.ArgumentParser(
        "python -m tests.cluster.kubelet", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--listen", required=True, metavar="127.0.0.1:PORT")
    parser.add_argument("--cert", type=Path, required=True, help="serving certificate, valid for 127.0.0.1")
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--ca", type=Path, required=True, help="signs the API server's client certificate")
    parser.add_argument("--state", type=Path, required=True, help="a folder of its own; emptied at the start")
    parser.add_argument("--node", default="node-1")
    parser.add_argument("--control", type=Path, help="UNIX socket for orders, see control.py")
    parser.add_argument("--images", type=Path, help="JSON: image name prefix -> entrypoint, command, env, workingDir")
    parser.add_argument("--back-off", type=float, default=10.0, help="seconds of the first wait after a crash")
    return Options(**vars(parser.parse_args()))


async def run_until_told(options: Options) -> None:
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(options))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)


def main() -> None:
    options = read_options()
    if os.geteuid() != 0:
        sys.exit("the process kubelet needs root: it makes mount and PID namespaces")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(run_until_told(options))


if __name__ == "__main__":
    main()
