"""Reading secrets on this machine: the value where it is there, else one sentence that does not hold it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.errors import Exit, OperationFailed
from llmops.io.secrets import read_secret
from llmops_spec.secret import KubernetesSecret, Secret

CANARY = "canary-0f27b1"


def _read(secret: Secret, root: Path) -> str:
    return read_secret(secret, root, purpose="the token of the server").reveal()


def test_a_variable_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_A_TEST", CANARY)
    assert _read(Secret(env="TOKEN_OF_A_TEST"), tmp_path) == CANARY


@pytest.mark.parametrize("name", ["token", "~/token", "{root}/token"])
def test_a_file_is_read_below_the_project_the_home_or_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text(f"{CANARY}\n")
    assert _read(Secret(file=name.format(root=tmp_path)), tmp_path) == CANARY


def test_what_is_missing_is_named_with_its_purpose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN_OF_A_TEST", raising=False)
    with pytest.raises(OperationFailed) as caught:
        _read(Secret(env="TOKEN_OF_A_TEST"), tmp_path)
    assert caught.value.what == "the token of the server should be in the variable `TOKEN_OF_A_TEST`, which is not set"
    assert caught.value.exit_code is Exit.MISUSE
    (tmp_path / "large").write_text("x" * 70_000)
    (tmp_path / "folder").mkdir()
    for name, why in (
        ("none", "No such file"),
        ("folder", "not a file"),
        ("large", "larger than 65536 bytes"),
        ("~nobody-of-that-name/x", "home"),
    ):
        with pytest.raises(OperationFailed, match=f"`{name}`, which cannot be read: .*{why}"):
            _read(Secret(file=name), tmp_path)


def test_a_secret_of_a_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperationFailed, match="in a Secret object of a cluster"):
        _read(Secret(kubernetes_secret=KubernetesSecret(name="hub", key="token")), tmp_path)


@pytest.mark.parametrize(
    "content", ["", " \n", f"{CANARY}\nX-Other: header", f"{CANARY}\0", f"{CANARY}\u00e9", "\udcff"]
)
def test_what_no_header_can_carry_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(OperationFailed, match=r"is empty in|is more than one line") as caught:
        _read(Secret(file="token"), tmp_path)
    assert CANARY not in caught.value.what + caught.value.help
