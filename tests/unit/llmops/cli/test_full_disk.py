"""A disk that is really full: a file system of a megabyte, with the project's store and state on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from llmops.errors import Exit

from .conftest import Command


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A mounted file system of one mebibyte; skipped where this user may mount none."""
    mount, place = shutil.which("mount"), tmp_path / "disk"
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs `mount` and root")
    place.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"this user may mount no file system: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _put_state_on(rows: Command, disk: Path) -> None:
    (rows.root / ".llmops").symlink_to(disk, target_is_directory=True)


def _fill(disk: Path) -> Path:
    """Leave no block; the file that does it."""
    stuff = disk / "stuff"
    with stuff.open("wb", buffering=0) as stream:
        try:
            while stream.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return stuff


def test_data_that_do_not_fit_are_one_message_and_the_next_run_goes_on(rows: Command, small_disk: Path) -> None:
    _put_state_on(rows, small_disk)
    text = "".join(f'{{"question": "question number {n}", "answer": "a {n}"}}\n' for n in range(30_000))
    rows.write({"data/train.jsonl": text})
    assert len(text) > 1024 * 1024

    ended = rows.process("apply", "--env", "local")
    assert ended.code == Exit.STEP_FAILED, ended.err
    ended.says("No space left on device")
    left = [one for one in small_disk.rglob("*") if one.is_file() and "manifest" in one.name]
    assert left == []  # no half of a result counts as one

    rows.write({"data/train.jsonl": text[:2000].rpartition("\n")[0] + "\n"})
    ended = rows.process("apply", "--env", "local")
    assert ended.code == Exit.CLEAN, ended.out + ended.err


def test_a_disk_without_a_free_block_is_one_message_and_the_next_run_goes_on(rows: Command, small_disk: Path) -> None:
    _put_state_on(rows, small_disk)
    assert rows.process("apply", "--env", "local").code == Exit.CLEAN
    rows.write({"data/train.jsonl": "".join(f'{{"question": "r {n}", "answer": "b {n}"}}\n' for n in range(4))})
    stuff = _fill(small_disk)

    ended = rows.process("apply", "--env", "local")
    assert ended.code in (Exit.STEP_FAILED, Exit.MISUSE), ended.out + ended.err
    ended.says("full")

    stuff.unlink()
    ended = rows.process("apply", "--env", "local")
    assert ended.code == Exit.CLEAN, ended.out + ended.err
