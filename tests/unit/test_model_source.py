"""What a MODEL is, told by its content and without TensorFlow."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from tfopt.errors import InputError
from tfopt.model import hdf5
from tfopt.model.source import identify

CONFIG = {"class_name": "Sequential", "module": "keras", "config": {"name": "m", "layers": []}}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize {}\n"


def hdf5_bytes() -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((3, 4), "float32")
    return memory.getvalue()


def sound_members() -> dict[str, bytes]:
    return {
        "metadata.json": b'{"keras_version": "3.9.9"}',
        "config.json": json.dumps(CONFIG).encode(),
        "model.weights.h5": hdf5_bytes(),
    }


def write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refused(path: Path | str) -> InputError:
    with pytest.raises(InputError) as caught:
        identify(str(path))
    for line in (caught.value.message, caught.value.hint):
        assert line
        assert line.isprintable()
        assert len(line) < 400
    return caught.value


def test_a_sound_archive(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "my model.keras", sound_members())
    source = identify(str(path))
    assert (source.path, source.name, source.format) == (str(path), "my model", "keras")
    assert source.size_bytes == path.stat().st_size
    assert source.keras_version == "3.9.9"
    assert not source.compiled


def test_the_name_of_the_file_proves_nothing(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "model.h5", sound_members(), zipfile.ZIP_DEFLATED)
    assert identify(str(path)).format == "keras"


@pytest.mark.parametrize("metadata", [b"", b"[]", b"{", b'{"keras_version": 3}', b"[" * 100_000])
def test_metadata_need_not_be_readable(metadata: bytes, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.keras", sound_members() | {"metadata.json": metadata})
    assert identify(str(path)).keras_version is None


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "is empty (0 bytes)", "copy it again"),
        (
            POINTER.format(254760514).encode(),
            "Git LFS pointer, not a model (134 bytes, points to a 254.8 MB",
            "git lfs",
        ),
        (b"<!DOCTYPE html><html>", "is a web page", "download the file itself"),
        (b"\x80\x04\x95" + b"x" * 100, "is a Python pickle", "never loaded"),
        (b"\x93NUMPY\x01\x00", "is a NumPy array", "--data"),
        (b"\x1c\x00\x00\x00TFL3" + b"\0" * 100, "is a TensorFlow Lite model", "converted"),
        (b"\x1f\x8b\x08" + b"\0" * 100, "is a compressed file", "unpack"),
        (b'{"class_name": "Sequential"}', "is a JSON text", "model_from_json"),
        (b"\0" * 5000, "only zeros", ".keras and HDF5"),
        (b"hello there", "text", ".keras and HDF5"),
        (b"PK\x03\x04" + b"\0" * 100, "truncated or damaged zip archive", "again"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "truncated or damaged HDF5", "again"),
    ],
)
def test_files_that_are_no_models(content: bytes, message: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    error = refused(path)
    assert error.message.startswith("model.keras is")
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"archive/data.pkl": b"x"}, "PyTorch"),
        ({"folder/saved_model.pb": b"x"}, "zipped SavedModel"),
        ({"x.npy": b"x"}, "NumPy archive"),
        ({"inner.keras": b"x"}, "around a Keras model"),
        ({"other.txt": b"x"}, "without config.json: it holds other.txt"),
        ({}, "without config.json: it holds nothing"),
    ],
)
def test_archives_that_are_no_models(members: dict[str, bytes], message: str, tmp_path: Path) -> None:
    assert message in refused(write_zip(tmp_path / "m.keras", members)).message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        (b"[1]", "holds a list"),
        (b"{}", "names no class"),
        (b'{"class_name": 3, "config": {}}', "names no class"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b"1" * 100_000, "not JSON"),
    ],
)
def test_damaged_configurations(config: bytes, message: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.keras", sound_members() | {"config.json": config})
    assert message in refused(path).message


def test_every_truncation_of_an_archive(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "whole.keras", sound_members()).read_bytes()
    path = tmp_path / "m.keras"
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        refused(path)


def test_a_changed_byte_in_the_weights_is_found(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.keras", sound_members())
    content = bytearray(path.read_bytes())
    content[content.index(b"\x89HDF") + 1000] ^= 1
    path.write_bytes(content)
    assert "model.weights.h5 cannot be read (Bad CRC-32" in refused(path).message


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    members = sound_members()
    members["model.weights.npz"] = members.pop("model.weights.h5")
    error = refused(write_zip(tmp_path / "m.keras", members))
    assert "Python pickle" in error.message
    assert "never loaded" in error.hint


def test_a_member_twice_is_ambiguous(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.keras", sound_members())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"{}")
    assert "config.json more than once" in refused(path).message


def test_weights_must_be_there(tmp_path: Path) -> None:
    members = sound_members()
    del members["model.weights.h5"]
    assert "model.weights.h5 is missing" in refused(write_zip(tmp_path / "m.keras", members)).message


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sound_members().items():
            archive.writestr(name, content)
        with archive.open("assets/zeros", "w") as member:
            for _ in range(100):
                member.write(bytes(2**20))
    started = time.monotonic()
    assert "zip bomb" in refused(path).message
    assert time.monotonic() - started < 1


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.keras", sound_members())
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    for offset in (20, 24):  # compressed and plain size of the first member
        content[central + offset : central + offset + 4] = (10**6).to_bytes(4, "little")
    path.write_bytes(content)
    assert "overlap or reach beyond its end" in refused(path).message


def test_an_encrypted_archive(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.keras", sound_members())
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "is encrypted" in refused(path).message


def hdf5_model(path: Path, **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        file["model_weights/dense/kernel"] = np.zeros((3, 4), "float32")
        for key, value in attributes.items():
            file.attrs[key] = value
    return path


def test_hdf5_under_any_name(tmp_path: Path) -> None:
    path = hdf5_model(
        tmp_path / "m.keras", model_config=json.dumps(CONFIG), keras_version="2.11.0", training_config="{}"
    )
    source = identify(str(path))
    assert (source.format, source.keras_version, source.compiled) == ("hdf5", "2.11.0", True)
    assert source.declared_bytes == 48


def test_hdf5_weights_without_a_network(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    path.write_bytes(hdf5_bytes())
    error = refused(path)
    assert "weights only" in error.message
    assert "load_weights" in error.hint


def test_hdf5_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["images"] = [1, 2]
    assert "it holds images" in refused(path).message


def test_hdf5_truncated(tmp_path: Path) -> None:
    path = hdf5_model(tmp_path / "m.h5", model_config=json.dumps(CONFIG))
    path.write_bytes(path.read_bytes()[:-100])
    assert "truncated" in refused(path).message


def test_hdf5_that_declares_more_than_it_stores(tmp_path: Path) -> None:
    path = hdf5_model(tmp_path / "m.h5", model_config=json.dumps(CONFIG))
    with h5py.File(path, "a") as file:
        file.create_dataset("model_weights/huge", (2**31, 2**10), "float32", chunks=(1024, 1024))
    assert "declares 8796093022208 bytes" in refused(path).message


def test_hdf5_links_to_other_files_are_refused(tmp_path: Path) -> None:
    path = hdf5_model(tmp_path / "m.h5", model_config=json.dumps(CONFIG))
    with h5py.File(path, "a") as file:
        file["model_weights/other"] = h5py.ExternalLink("/etc/passwd", "/")
    assert "link to another place" in refused(path).message


def test_hdf5_groups_in_a_circle_end(tmp_path: Path) -> None:
    path = hdf5_model(tmp_path / "m.h5", model_config=json.dumps(CONFIG))
    with h5py.File(path, "a") as file:
        file["model_weights/round"] = file["model_weights"]
    assert identify(str(path)).format == "hdf5"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import time; time.sleep(60)", "does not end"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashes the HDF5 library"),
        ("raise RuntimeError('no library')", "cannot be read as HDF5: RuntimeError: no library"),
    ],
)
def test_hdf5_that_hangs_or_crashes_its_library(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(script)
    monkeypatch.setattr(hdf5, "_PROBE", probe)
    monkeypatch.setattr(hdf5, "_START_S", 1.0)
    assert message in refused(hdf5_model(tmp_path / "m.h5", model_config="{}")).message


def test_no_such_file(tmp_path: Path) -> None:
    write_zip(tmp_path / "mobilenet.keras", sound_members())
    assert refused(tmp_path / "mobilnet.keras").hint == f"did you mean {tmp_path}/mobilenet.keras?"
    assert "app:NAME" in refused(tmp_path / "zzz").hint
    assert "folder does not exist" in refused(tmp_path / "no" / "m.keras").message


@pytest.mark.parametrize(
    "model", ["", "a\0b", "x" * 5000, "/dev/zero", "https://example.org/m.keras", "app:", "app:a/b"]
)
def test_things_that_are_no_files(model: str) -> None:
    refused(model)


def test_folders(tmp_path: Path) -> None:
    assert "holds nothing" in refused(tmp_path).message
    write_zip(tmp_path / "m.keras", sound_members())
    assert f"{tmp_path.name}/m.keras" in refused(tmp_path).hint


def test_a_saved_model_with_missing_parts(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert "saved_model.pb is empty" in refused(tmp_path).message
    (tmp_path / "saved_model.pb").write_text(POINTER.format(10**6))
    assert "Git LFS pointer" in refused(tmp_path).message
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").write_bytes(b"x")
    assert "variables.data-* is missing" in refused(tmp_path).message
    (tmp_path / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    assert f"{tmp_path.name}/variables/variables.data-00000-of-00001 is empty" in refused(tmp_path).message


def test_an_archive_that_lost_its_network(tmp_path: Path) -> None:
    members = sound_members()
    del members["config.json"]
    path = write_zip(tmp_path / "m.keras", members)
    assert refused(path).message == "m.keras has no network: config.json is missing from the archive"


def test_an_unzipped_model(tmp_path: Path) -> None:
    for name, content in sound_members().items():
        (tmp_path / name).write_bytes(content)
    source = identify(str(tmp_path))
    assert (source.format, source.keras_version, source.name) == ("keras", "3.9.9", tmp_path.name)
    (tmp_path / "model.weights.h5").unlink()
    assert "model.weights.h5 is missing" in refused(tmp_path).message


def test_identify_loads_neither_tensorflow_nor_numpy(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.keras", sound_members())
    code = (
        "import sys; from tfopt.model.source import identify; identify(sys.argv[1]); "
        "heavy = {'tensorflow', 'keras', 'numpy', 'h5py'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=Path(__file__).parents[2])


def test_a_link_that_leads_nowhere_is_said(tmp_path: Path) -> None:
    (tmp_path / "loop.keras").symlink_to("loop.keras")
    with pytest.raises(InputError, match=r"loop\.keras is a link that leads nowhere: loop\.keras"):
        identify(str(tmp_path / "loop.keras"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_probe_ends_with_its_parent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless")  # reading it does not end
    start = f"subprocess.Popen([sys.executable, {str(hdf5._PROBE)!r}, 'endless'])"
    code = f"import subprocess, sys; print({start}.pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = Path("/proc", parent.stdout.readline().strip())
        while "h5py" not in (child / "maps").read_text():
            time.sleep(0.05)
        parent.kill()
    ended = time.monotonic() + 10
    while child.exists() and "(zombie)" not in (child / "status").read_text():
        assert time.monotonic() < ended
        time.sleep(0.05)
