"""The registry of mutators, and those that know nothing of a file but its bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from random import Random

Mutator = Callable[[bytes, Random], bytes]

# Family (what the bytes must be: any, zip, config, hdf5, wire, xspace) → name → mutator.
MUTATORS: dict[str, dict[str, Mutator]] = defaultdict(dict)


def mutator(family: str) -> Callable[[Mutator], Mutator]:
    """Register a function that damages bytes of `family`; the same generator state gives the same damage."""

    def register(function: Mutator) -> Mutator:
        MUTATORS[family][function.__name__] = function
        return function

    return register


def span(data: bytes, rng: Random) -> tuple[int, int]:
    """A random part of `data`: short ones are as likely as long ones."""
    length = min(len(data), int(2 ** rng.uniform(0, 18)))
    start = rng.randint(0, len(data) - length)
    return start, start + length


@mutator("any")
def flip_bytes(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


@mutator("any")
def flip_at_an_end(data: bytes, rng: Random) -> bytes:
    """Headers and directories are at the ends, where a flip matters most."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        offset = rng.randrange(min(len(data), 2048))
        changed[offset if rng.random() < 0.5 else -1 - offset] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)


@mutator("any")
def truncate(data: bytes, rng: Random) -> bytes:
    return data[: rng.choice((0, 1, 4, 100, len(data) - 1, rng.randrange(len(data))))]


@mutator("any")
def delete_chunk(data: bytes, rng: Random) -> bytes:
    start, end = span(data, rng)
    return data[:start] + data[end:]


@mutator("any")
def repeat_chunk(data: bytes, rng: Random) -> bytes:
    start, end = span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 3)) + data[end:]


@mutator("any")
def insert_chunk(data: bytes, rng: Random) -> bytes:
    at, length = rng.randint(0, len(data)), rng.choice((1, 7, 512, 4096))
    return data[:at] + rng.choice((bytes(length), rng.randbytes(length), b"\xff" * length)) + data[at:]


@mutator("any")
def zero_chunk(data: bytes, rng: Random) -> bytes:
    start, end = span(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


@mutator("any")
def move_chunk(data: bytes, rng: Random) -> bytes:
    start, end = span(data, rng)
    rest = data[:start] + data[end:]
    at = rng.randint(0, len(rest))
    return rest[:at] + data[start:end] + rest[at:]


@mutator("any")
def decode_as_text(data: bytes, rng: Random) -> bytes:
    """What a text editor or a careless download makes of a binary file."""
    return rng.choice(
        (
            data.decode("utf-8", "replace").encode(),
            data.replace(b"\n", b"\r\n"),
            data.replace(b"\r\n", b"\n"),
            data.decode("latin-1").encode("utf-8"),
        )
    )
