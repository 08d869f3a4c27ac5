"""Certificates, and what the kernel is asked to watch."""

import socket
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from responder.cluster.client import Kubernetes, Unavailable
from responder.cluster.connections import LOG_WINDOW, chunks, keep_alive
from tests.unit.cluster.authority import write_authority
from tests.unit.cluster.fault_server import FaultServer, says

JOB = "/apis/batch/v1/namespaces/shop/jobs/migrate"


async def test_a_rotated_authority_is_taken_up(tmp_path: Path) -> None:
    before = FaultServer(write_authority(tmp_path))
    async with AsyncExitStack() as stack:
        async with before:
            before.will("GET", says(200, b"{}"))
            url, ca = before.url, str(tmp_path / "ca.crt")
            kubernetes = await stack.enter_async_context(Kubernetes.from_url(url, ca=ca))
            await kubernetes.get(JOB)
        async with FaultServer(write_authority(tmp_path), port=before.port) as after:
            after.will("GET", says(200, b'{"rotated":true}'))
            assert await kubernetes.get(JOB) == b'{"rotated":true}'


async def test_an_authority_that_is_half_written_is_waited_for(tmp_path: Path) -> None:
    before = FaultServer(write_authority(tmp_path))
    async with AsyncExitStack() as stack:
        async with before:
            url, ca = before.url, tmp_path / "ca.crt"
            kubernetes = await stack.enter_async_context(Kubernetes.from_url(url, ca=str(ca)))
        async with FaultServer(write_authority(tmp_path), port=before.port) as after:
            after.will("GET", says(200, b"{}"))
            whole = ca.read_bytes()
            for half in (whole[:40], whole[:400]):
                ca.write_bytes(half)
                with pytest.raises(Unavailable, match="Certificate"):
                    await kubernetes.get(JOB, attempts=1)
            ca.write_bytes(whole)
            assert await kubernetes.get(JOB, attempts=1) == b"{}"


async def test_an_authority_without_key_identifiers_is_taken(tmp_path: Path) -> None:
    """EKS has such; Python 3.13 refuses it unless told otherwise."""
    async with FaultServer(write_authority(tmp_path, identified=False)) as server:
        server.will("GET", says(200, b"{}"))
        async with Kubernetes.from_url(server.url, ca=str(tmp_path / "ca.crt")) as kubernetes:
            assert await kubernetes.get(JOB) == b"{}"


async def test_a_stranger_with_another_authority_is_refused(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    write_authority(ours)
    stranger = FaultServer(write_authority(theirs))
    async with stranger, Kubernetes.from_url(stranger.url, ca=str(ours / "ca.crt")) as kubernetes:
        with pytest.raises(Unavailable, match="Certificate") as caught:
            await kubernetes.merge_patch(JOB, b"{}")
    assert not caught.value.sent
    assert stranger.requests == []


async def test_the_kernel_looks_after_a_silent_stream() -> None:
    async with FaultServer() as server, aiohttp.ClientSession() as session:
        server.will("GET", server.stream(b"first\n", hold=True))
        async with session.get(server.url) as response:
            keep_alive(response)
            assert response.connection is not None
            assert response.connection.transport is not None
            sock = response.connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            response.close()


async def test_a_log_that_nobody_reads_waits_with_its_sender() -> None:
    """The kernel doubles what it is asked for."""
    async with FaultServer() as server, aiohttp.ClientSession() as session:
        server.will("GET", server.stream(b"first\n", hold=True))
        async with session.get(server.url) as response:
            assert response.connection is not None
            assert response.connection.transport is not None
            sock = response.connection.transport.get_extra_info("socket")
            assert await anext(chunks(response)) == b"first\n"
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * LOG_WINDOW
            response.close()
