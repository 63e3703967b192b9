"""Real questions that show whether a part is ready."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path


async def http_status(port: int, path: str, *, timeout_seconds: float = 3) -> int:
    """Status of a plain GET on loopback; 0 when there was no answer."""
    status, _ = await http_get(port, path, timeout_seconds=timeout_seconds)
    return status


async def http_get(port: int, path: str, *, timeout_seconds: float = 3) -> tuple[int, str]:
    """Status and what followed the headers of a GET on loopback; (0, "") when there was no answer."""
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
                )
                await writer.drain()
                answer = (await reader.read()).decode(errors="replace")
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return 0, ""
    head, _, body = answer.partition("\r\n\r\n")
    words = head.split(" ", 2)
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), body


async def service_is_serving(
    port: int, certificate_directory: Path, *, timeout_seconds: float = 3
) -> bool:
    """Whether the service on `port` says SERVING to `certificate_directory`'s identity, over mTLS."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    directory = certificate_directory.resolve()
    try:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=(directory / "authorities.pem").read_bytes(),
            private_key=(directory / "key.pem").read_bytes(),
            certificate_chain=(directory / "certificate.pem").read_bytes(),
        )
    except OSError:
        return False
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout_seconds
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
