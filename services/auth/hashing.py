"""Our end of the password process: a bounded queue in front of it, and a new process when it dies."""

import asyncio
import contextlib
import json
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from services.kit import telemetry
from services.kit.errors import Overloaded, ServiceUnavailable

__all__ = ["Hasher", "Verdict"]

QUEUE_MAX = 32
_ANSWER_SECONDS_MAX = 5.0
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a secret is right, and its hash with today's parameters where the known one has older ones."""

    is_right: bool
    new_hash: str | None = field(repr=False)


class Hasher:
    """Hashes one secret after the other, in a process of its own."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: deque[tuple[dict[str, str], asyncio.Future[dict[str, Any]]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._dummy_hash = ""

    async def start(self) -> None:
        """Start the process, and make the hash that unknown identifiers are compared with."""
        self._dummy_hash = await self.hash("nobody has this secret")

    async def close(self) -> None:
        """End the process. Who still waits is told that we are unavailable."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        while self._waiting:
            _, waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(ServiceUnavailable())
        await self._stop_process()

    async def hash(self, secret: str) -> str:
        """The hash of a new secret. Raises Overloaded when too many wait."""
        answer = await self._ask({"secret": secret})
        return str(answer["hash"])

    async def verify(self, secret: str, known: str | None) -> Verdict:
        """Compare a secret with a hash; without a hash it is wrong, and takes as long. Raises Overloaded."""
        answer = await self._ask({"secret": secret, "hash": known or self._dummy_hash})
        is_right = bool(answer["isRight"]) and known is not None
        return Verdict(is_right, answer["newHash"] if is_right else None)

    async def _ask(self, question: dict[str, str]) -> dict[str, Any]:
        if len(self._waiting) >= QUEUE_MAX:
            raise Overloaded(retry_after_seconds=1)
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, waiter))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await waiter

    async def _work(self) -> None:
        """Serve who waits, in order. Who went away meanwhile costs no hash."""
        while self._waiting:
            question, waiter = self._waiting[0]
            if not waiter.done():
                answer = await self._exchange(question)
                if not waiter.done():
                    if answer is None:
                        waiter.set_exception(ServiceUnavailable())
                    else:
                        waiter.set_result(answer)
            self._waiting.popleft()

    async def _exchange(self, question: dict[str, str]) -> dict[str, Any] | None:
        """One question, asked again of a new process if this one dies over it."""
        raw = json.dumps(question).encode()
        for _ in range(_TRIES):
            try:
                process = await self._running()
                assert process.stdin is not None and process.stdout is not None
                async with asyncio.timeout(_ANSWER_SECONDS_MAX):
                    process.stdin.write(len(raw).to_bytes(4) + raw)
                    await process.stdin.drain()
                    length = int.from_bytes(await process.stdout.readexactly(4))
                    answer: dict[str, Any] = json.loads(await process.stdout.readexactly(length))
                    return answer
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                telemetry.log.error("hasher_restarts", fault=type(error).__name__)
                await self._stop_process()
        return None

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.auth.hasher",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        return self._process

    async def _stop_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
