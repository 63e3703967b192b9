"""The password process: `python -m services.auth.hasher`, argon2id over pipes, at low priority.

A process of its own, so that a storm of logins slows down logins and nothing else. Each message is a length (4 bytes,
big-endian) and JSON. Asked `{"secret"}` it answers `{"hash"}`; asked `{"secret", "hash"}` it answers
`{"isRight", "newHash"}`, where `newHash` is null unless the secret is right and the hash has older parameters.
It ends when its input ends. It logs nothing: everything it sees is secret.
"""

import json
import os
import sys
from typing import Any, BinaryIO

MEMORY_KIB = 46 * 1024
TIME_COST = 1
PARALLELISM = 1
NICENESS = 10
MESSAGE_BYTES_MAX = 64 * 1024


def main() -> None:
    """Answer until the input ends."""
    from argon2 import PasswordHasher

    os.nice(NICENESS)
    hasher = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=PARALLELISM)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while (question := _read(questions)) is not None:
        raw = json.dumps(_answer(hasher, question)).encode()
        answers.write(len(raw).to_bytes(4) + raw)
        answers.flush()


def _answer(hasher: Any, question: dict[str, str]) -> dict[str, Any]:
    from argon2.exceptions import InvalidHashError, VerificationError

    secret, known = question["secret"], question.get("hash")
    if known is None:
        return {"hash": hasher.hash(secret)}
    try:
        hasher.verify(known, secret)
    except (VerificationError, InvalidHashError):
        return {"isRight": False, "newHash": None}
    new = hasher.hash(secret) if hasher.check_needs_rehash(known) else None
    return {"isRight": True, "newHash": new}


def _read(stream: BinaryIO) -> dict[str, str] | None:
    header = stream.read(4)
    length = int.from_bytes(header)
    if len(header) < 4 or length > MESSAGE_BYTES_MAX:
        return None
    body = stream.read(length)
    if len(body) < length:
        return None
    question: dict[str, str] = json.loads(body)
    return question


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(0)
