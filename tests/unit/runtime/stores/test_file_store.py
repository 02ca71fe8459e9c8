"""The folder store: whole or not at all, never overwritten, nothing outside its folder."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from llmops_runtime.stores import StoreUnknown, open_store
from llmops_runtime.stores.file import FileStore
from llmops_spec.store import StoreCorrupt, load_manifest, make_ref, materialise, publish, read_output

KEY = "a" * 64


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def content(stream: BinaryIO) -> bytes:
    with stream:
        return stream.read()


def test_what_is_put_is_got_and_never_replaced(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    assert store.put_if_absent("k/one", written(tmp_path / "f", b"first")) is True
    assert store.put_if_absent("k/one", written(tmp_path / "f", b"second")) is False
    assert content(store.get("k/one")) == b"first"
    assert list(store.names()) == ["k/one"]
    assert list((tmp_path / "store" / ".tmp").iterdir()) == []


def test_names_are_sorted_and_kept_to_the_prefix(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    for name in ("b/x", "a/objects/2", "a/objects/1", "ab/x"):
        store.put_if_absent(name, written(tmp_path / "f", b""))
    assert list(store.names()) == ["a/objects/1", "a/objects/2", "ab/x", "b/x"]
    assert list(store.names("a/")) == ["a/objects/1", "a/objects/2"]
    assert list(store.names("a")) == ["a/objects/1", "a/objects/2", "ab/x"]
    assert list(store.names("c/")) == []


def test_deleting_removes_the_object_and_its_empty_folders(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    store.put_if_absent("k/objects/1", written(tmp_path / "f", b""))
    store.delete("k/objects/1")
    assert not (tmp_path / "store" / "k").exists()
    with pytest.raises(FileNotFoundError):
        store.delete("k/objects/1")
    with pytest.raises(FileNotFoundError):
        store.get("k/objects/1")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a//b", "", ".tmp/x", "a/.hidden", "a\0b", "a b"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    store = FileStore(tmp_path / "store")
    for attempt in (
        lambda: store.get(name),
        lambda: store.delete(name),
        lambda: store.put_if_absent(name, written(tmp_path / "f", b"")),
    ):
        with pytest.raises(OSError, match="not a name"):
            attempt()


def no_hard_links(_source: Path, _target: Path) -> None:
    raise OSError(errno.EPERM, "not on this file system")


@pytest.mark.parametrize("link", [os.link, no_hard_links])
def test_one_of_many_writers_wins(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    store = FileStore(tmp_path / "store", link=link)
    won: list[int] = []
    barrier = threading.Barrier(8)

    def write(number: int) -> None:
        source = written(tmp_path / f"source-{number}", bytes([number]) * 100_000)
        barrier.wait()
        if store.put_if_absent("k/one", source):
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert content(store.get("k/one")) == bytes([won[0]]) * 100_000


def test_a_full_disk_leaves_no_half_object(tmp_path: Path) -> None:
    import resource

    store = FileStore(tmp_path / "store")
    source = written(tmp_path / "f", b"x" * 50_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            store.put_if_absent("k/one", source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert list(store.names()) == []
    assert list((tmp_path / "store" / ".tmp").iterdir()) == []


def test_publishing_twice_adopts_what_is_stored(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    for turn, data in enumerate((b"first", b"second")):
        folder = tmp_path / str(turn)
        (folder / "model").mkdir(parents=True)
        written(folder / "model" / "weights", data)
        publish(store, KEY, folder)
    assert read_output(store, make_ref(KEY, "model/weights")) == b"first"
    copy = materialise(store, make_ref(KEY, "model"), tmp_path / "copy")
    assert (copy / "weights").read_bytes() == b"first"


def test_changed_bytes_are_not_used(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    folder = tmp_path / "made"
    folder.mkdir()
    written(folder / "one", b"good")
    manifest = publish(store, KEY, folder)
    written(tmp_path / "store" / KEY / "objects" / manifest.outputs["one"].digest, b"evil")
    with pytest.raises(StoreCorrupt):
        read_output(store, make_ref(KEY, "one"))
    with pytest.raises(StoreCorrupt):
        materialise(store, make_ref(KEY, "one"), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_without_a_manifest_the_key_is_absent(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    store.put_if_absent(f"{KEY}/objects/{KEY}", written(tmp_path / "f", b""))
    assert load_manifest(store, KEY) is None


def test_a_store_is_opened_by_its_url(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    store = open_store(f"file:{folder}")
    store.put_if_absent("a", written(tmp_path / "f", b"1"))
    assert (folder / "a").read_bytes() == b"1"
    assert content(open_store(f"file://{str(folder).replace(' ', '%20')}").get("a")) == b"1"
    assert (folder / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("url", ["s3://bucket", "file:relative", "nothing", ""])
def test_an_unknown_url_says_what_there_is(url: str) -> None:
    with pytest.raises(StoreUnknown, match=r"file|absolute"):
        open_store(url)
