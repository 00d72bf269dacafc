"""Damage to zip archives: members, directories, checksums, bombs; and to what a member holds."""

from __future__ import annotations

import io
import struct
import zipfile
from random import Random

from bench.fuzzing.mutators import MUTATORS, mutator

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_NAMES = (
    "../../evil",
    "/tmp/evil",
    "assets/../../evil",
    "a" * 60_000,
    "\x1b[31mred",
    "[bold]x[/]",
    "=cmd()",
    "evil\\x",
)


def read_members(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def write_members(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of `members`, names said twice included."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", compression) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)  # of no particular time: the same damage is the same bytes
            info.compress_type = compression
            archive.NameToInfo.pop(name, None)  # else it warns of a name said twice
            archive.writestr(info, content)
    return memory.getvalue()


@mutator("zip")
def drop_member(data: bytes, rng: Random) -> bytes:
    members = read_members(data)
    members.pop(rng.randrange(len(members)))
    return write_members(members)


@mutator("zip")
def empty_member(data: bytes, rng: Random) -> bytes:
    members = read_members(data)
    at = rng.randrange(len(members))
    members[at] = (members[at][0], b"")
    return write_members(members)


@mutator("zip")
def repeat_member(data: bytes, rng: Random) -> bytes:
    members = read_members(data)
    return write_members([*members, rng.choice(members)])


@mutator("zip")
def rename_member(data: bytes, rng: Random) -> bytes:
    members = read_members(data)
    at = rng.randrange(len(members))
    members[at] = (rng.choice((*_NAMES, *(name for name, _ in members), members[at][0].upper())), members[at][1])
    return write_members(members)


@mutator("zip")
def add_members(data: bytes, rng: Random) -> bytes:
    """Foreign members, with hostile names or in the tens of thousands."""
    names = rng.choice((_NAMES, tuple(f"assets/{number}" for number in range(20_000)), ("model.weights.npz",)))
    return write_members([*read_members(data), *((name, b"x") for name in names)])


@mutator("zip")
def swap_members(data: bytes, rng: Random) -> bytes:
    members = read_members(data)
    contents = [content for _, content in members]
    rng.shuffle(contents)
    return write_members([(name, content) for (name, _), content in zip(members, contents, strict=True)])


@mutator("zip")
def compress(data: bytes, rng: Random) -> bytes:
    return write_members(read_members(data), rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))


@mutator("zip")
def bomb(data: bytes, rng: Random) -> bytes:
    """A member that inflates a thousandfold, up to 500 MB, sometimes with a directory that does not say so."""
    target = rng.choice((CONFIG, WEIGHTS, "assets/bomb", "metadata.json"))
    members = {name: content for name, content in read_members(data) if name != target}
    memory = io.BytesIO()
    filling = rng.choice((b" ", b"\0", b"[")) * 2**20
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
        archive.NameToInfo.clear()
        info = zipfile.ZipInfo(target)
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w") as member:
            for _ in range(rng.choice((8, 100, 500))):
                member.write(filling)
    found = memory.getvalue()
    return _patch_directory(found, 24, struct.pack("<I", 1000)) if rng.random() < 0.4 else found


@mutator("zip")
def lie_about_sizes(data: bytes, rng: Random) -> bytes:
    """Declared sizes, offsets, checksums, flags and methods of the central directory."""
    offset, width = rng.choice(((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (38, 4), (42, 4)))
    value = rng.choice((0, 1, 2, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32)))
    packed = struct.pack("<I", value)[:width]
    return _patch_directory(data, offset, packed, rng)


@mutator("zip")
def lie_in_end_record(data: bytes, rng: Random) -> bytes:
    end = data.rfind(b"PK\x05\x06")
    at, changed = end + rng.randrange(4, 22), bytearray(data)
    if end >= 0:
        changed[at] = rng.randrange(256)
    return bytes(changed)


def _patch_directory(data: bytes, offset: int, value: bytes, rng: Random | None = None) -> bytes:
    """Overwrite a field of one entry (without `rng`, of every entry) of the central directory."""
    starts = [at for at in range(len(data) - 46) if data.startswith(b"PK\x01\x02", at)] if len(data) < 2**16 else []
    at = data.rfind(b"PK\x01\x02")
    while at >= 0 and len(data) >= 2**16 and len(starts) < 50:
        starts.append(at)
        at = data.rfind(b"PK\x01\x02", 0, at)
    changed = bytearray(data)
    for start in [rng.choice(starts)] if rng and starts else starts:
        changed[start + offset : start + offset + len(value)] = value
    return bytes(changed)


def in_member(data: bytes, name: str, family: str, rng: Random) -> bytes:
    """Damage of `family` to what the member `name` holds, in an archive that is sound otherwise."""
    change = rng.choice(list(MUTATORS[family].values()))
    return write_members(
        [(member, change(content, rng) if member == name else content) for member, content in read_members(data)]
    )


@mutator("zip")
def damage_weights(data: bytes, rng: Random) -> bytes:
    return in_member(data, WEIGHTS, rng.choice(("any", "hdf5")), rng)


@mutator("zip")
def damage_config_text(data: bytes, rng: Random) -> bytes:
    return in_member(data, CONFIG, "any", rng)
