"""Damage to protobuf messages without their schema: fields, wire types, lengths, numbers."""

from __future__ import annotations

from random import Random

from bench.fuzzing.mutators import MUTATORS, mutator

# One field: its number, wire type and payload (the number's bytes for varints, the content for length-delimited).
Field = tuple[int, int, bytes]
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NUMBERS = (0, 1, 2, 127, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 1000, 10**15, 10**18)
_TEXTS = (
    b"",
    b"\xff\xfe",
    b"\x1b[31mred",
    b"[bold]x[/]",
    b"=cmd()",
    b"a\nb|c",
    b"x" * 10_000,
    b"\0",
    b"tfopt:layer:-1",
    b"a/b:C",
)


def varint(value: int) -> bytes:
    """`value` in base 128, lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("no varint")


def parse(data: bytes) -> list[Field]:
    """The fields of one message, not of those in it. Raises ValueError or IndexError where `data` is none."""
    fields, at = [], 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        start = at
        if kind == _VARINT:
            _, at = _read_varint(data, at)
        elif kind == _BYTES:
            length, start = _read_varint(data, at)
            at = start + length
        elif kind in (_FIXED32, _FIXED64):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("no message")
        if number == 0 or at > len(data):
            raise ValueError("no message")
        fields.append((number, kind, data[start:at]))
    return fields


def encode(fields: list[Field]) -> bytes:
    """The message that has these fields."""
    return b"".join(
        varint(number << 3 | kind) + (varint(len(payload)) if kind == _BYTES else b"") + payload
        for number, kind, payload in fields
    )


def _change(fields: list[Field], at: int, rng: Random) -> list[Field]:
    """One field changed, in one of many ways."""
    number, kind, payload = fields[at]
    way = rng.choice(
        ("value", "value", "value", "drop", "repeat", "many", "number", "kind", "move", "overlong", "nest")
    )
    if way == "value":
        if kind == _VARINT:
            payload = varint(rng.choice(_NUMBERS))
        elif kind == _BYTES:
            payload = rng.choice((*_TEXTS, MUTATORS["any"]["flip_bytes"](payload, rng) if payload else b"x"))
        else:
            payload = rng.randbytes(len(payload))
    elif way == "drop":
        return fields[:at] + fields[at + 1 :]
    elif way in ("repeat", "many"):
        return (
            fields[:at]
            + [fields[at]] * (2 if way == "repeat" else min(20_000, 2**22 // (len(payload) + 4)))
            + fields[at:]
        )
    elif way == "number":
        number = rng.choice((1, 2, 3, 4, 5, 6, 7, 99, 2**28))
    elif way == "kind":
        kind = rng.choice((0, 1, 2, 3, 4, 5, 6, 7))
    elif way == "move":
        other = rng.randrange(len(fields))
        return [*fields[:at], (number, kind, fields[other][2]), *fields[at + 1 :]]
    elif way == "overlong" and kind == _BYTES:
        return [*fields[:at], (number, _VARINT, varint(rng.choice((2**31, 2**63, len(payload) + 1))) + payload)]
    elif way == "nest":
        for _ in range(rng.choice((1, 90, 110, 5000))):
            payload = varint(number << 3 | _BYTES) + varint(len(payload)) + payload
        kind = _BYTES
    return [*fields[:at], (number, kind, payload), *fields[at + 1 :]]


def _descend(data: bytes, depth: int, rng: Random) -> bytes:
    try:
        fields = parse(data)
    except (ValueError, IndexError):
        fields = []
    if not fields:
        return MUTATORS["any"]["flip_bytes"](data, rng) if data else rng.randbytes(3)
    # A kind of field first: a plane has a few names and a hundred thousand events.
    number = rng.choice(sorted({field[0] for field in fields}))
    at = rng.choice([position for position, field in enumerate(fields) if field[0] == number])
    number, kind, payload = fields[at]
    if kind == _BYTES and payload and depth > 0:
        return encode([*fields[:at], (number, kind, _descend(payload, depth - 1, rng)), *fields[at + 1 :]])
    return encode(_change(fields, at, rng))


@mutator("wire")
def change_field(data: bytes, rng: Random) -> bytes:
    """One field, at a random depth."""
    return _descend(data, rng.randrange(7), rng)


@mutator("wire")
def change_fields(data: bytes, rng: Random) -> bytes:
    for _ in range(rng.randint(2, 6)):
        data = _descend(data, rng.randrange(1, 7), rng)
    return data


@mutator("wire")
def shuffle_fields(data: bytes, rng: Random) -> bytes:
    fields = parse(data)
    rng.shuffle(fields)
    return encode(fields[: rng.randint(1, len(fields))])
