"""A name that a server or a lock gives for a file stays below the folder that the file is put in."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llmops_spec.lock import LockedFile, LockedModel
from llmops_spec.sources import NAME_BELOW_PATTERN, FromHttp, FromHuggingFace, HuggingFaceFile, RemoteModel, Sources

ONE = LockedFile(sha256="a" * 64, bytes=1)
SOURCE = RemoteModel(hugging_face=FromHuggingFace(repository="a/b", revision="main"))
EVIL = [
    "",
    ".",
    "..",
    "/a",
    "a/",
    "a//b",
    "../a",
    "../../../../owned.json",
    "a/../b",
    "a/..",
    "./a",
    "a/.",
    "..\\a",
    "a\\b",
    "C:",
    "C:/a",
    "c:a",
    "a\x00b",
    "a\nb",
    "a\n",
    "a\x7f",
    "a\u202eb",
    "\ufeffa",
    "a" * 513,
]
GOOD = ["a", "a/b.json", ".a", "..a", "...", "a..", "a/.b/..c", "odd#1 %2F?.json", "a@b", "ü/ю.json", " ", "aa:b", "x"]


@pytest.mark.parametrize("name", EVIL)
def test_a_name_that_leads_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        LockedModel.sealed(resource="model/a", source=SOURCE, files={name: ONE})
    with pytest.raises(ValidationError):
        LockedModel.sealed(resource="model/a", source=SOURCE, files={}, passed_over=[name])
    with pytest.raises(ValidationError):
        FromHttp(url="https://models.example.com/a", files=[name])
    with pytest.raises(ValidationError):
        HuggingFaceFile(repository="a/b", revision="main", file=name)


@pytest.mark.parametrize("name", GOOD)
def test_any_other_is_taken_as_it_is(name: str) -> None:
    assert set(LockedModel.sealed(resource="model/a", source=SOURCE, files={name: ONE}).files) == {name}
    assert HuggingFaceFile(repository="a/b", revision="main", file=name).file == name


@given(st.text(alphabet=st.sampled_from("./\\:aB%# \n\x00"), max_size=9))
def test_what_the_pattern_takes_stays_below(name: str) -> None:
    taken = re.fullmatch(NAME_BELOW_PATTERN, name) is not None
    parts = name.split("/")
    plain = not set(parts) & {"", ".", ".."} and not set(name) & set("\\\n\x00")
    drives = any(one[1:2] == ":" for one in parts)
    assert taken == (plain and not drives)
    if taken:
        assert not PurePosixPath(name).is_absolute()
        assert PureWindowsPath("C:/home", name).is_relative_to("C:/home")


@pytest.mark.parametrize("host", [".com", ".localhost", ".a.", "..com", ".-a.com", ".a..com"])
def test_all_below_one_label_is_nobodys_to_allow(host: str) -> None:
    with pytest.raises(ValidationError):
        Sources(allowed_hosts=[host])


@pytest.mark.parametrize("host", [".example.com", ".a.example.com", "localhost:9000", "10.0.0.5:9000", "[::1]:80"])
def test_a_host_that_somebody_has_is_allowed(host: str) -> None:
    assert Sources(allowed_hosts=[host]).allowed_hosts == [host]
