"""What is locked is fetched when a plan is carried out: the locked bytes or none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from compiler.plan import Fetch, SourceFile
from llmops.apply.fetching import fetch_files
from llmops.apply.site import open_site
from llmops.errors import Exit, OperationFailed
from llmops.workspace import open_workspace
from tests.harness.hub import HubRepository
from tests.unit.llmops.lock.conftest import Reply, Web
from tests.unit.llmops.lock.test_fetcher import ranged
from tests.unit.llmops.lock.test_hub import put
from tests.unit.llmops.lock.test_lock_command import HEAD, Project

ROWS = b"".join(b'{"question": "q %d", "answer": "a %d"}\n' % (n, n) for n in range(3))
OTHER = b"".join(b'{"question": "p %d", "answer": "a %d"}\n' % (n, n) for n in range(3))


@pytest.fixture
def desk(tmp_path: Path, web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Project:
    """Rows of a web server and of the Hub, locked, on a machine that has applied nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LLMOPS_TRUST", raising=False)
    web.pages["/rows.jsonl"] = ranged(ROWS)
    put(web, HubRepository(kind="datasets", name="some/rows", files={"held out.jsonl": OTHER}))
    root = tmp_path / "project"
    root.mkdir()
    made = Project(root=root, web=web, capture=capsys)
    made.write(
        "llmops.yaml",
        HEAD + "kind: Project\nmetadata: {name: shop, owner: us}\n"
        f"spec: {{sources: {{allowedHosts: ['{web.host}'], hub: {{endpoint: '{web.url}'}}}}}}\n",
    )
    made.write(
        "environment.yaml",
        HEAD + "kind: Environment\nmetadata: {name: local, owner: us}\nspec: {target: {local: {}}}\n",
    )
    made.write(
        "data.yaml",
        HEAD + "kind: Dataset\nmetadata: {name: faq, owner: us}\nspec:\n  licence: Apache-2.0\n"
        "  columns: {question: {}, answer: {}}\n  inputColumns: [question]\n  targetColumn: answer\n  splits:\n"
        f"    train: {{source: {{http: {{url: '{web.url}/rows.jsonl'}}}}, rows: 3}}\n"
        "    heldout: {source: {huggingFace:"
        " {repository: some/rows, revision: main, file: held out.jsonl}}, rows: 3}\n",
    )
    made("lock")
    web.asked.clear()
    return made


def stored(desk: Project) -> set[bytes]:
    """Every object of the store, by its bytes."""
    objects = (desk.root / ".llmops" / "store").rglob("objects/*")
    return {one.read_bytes() for one in objects if one.is_file()}


def test_locked_rows_are_fetched_and_checked(desk: Project) -> None:
    desk("apply", "--env", "local")
    assert {ROWS, OTHER} <= stored(desk)
    assert {one.target.rpartition("/")[2] for one in desk.web.asked} == {"rows.jsonl", "held%20out.jsonl"}
    desk.web.asked.clear()
    desk("apply", "--env", "local")
    assert desk.web.asked == []
    assert not (desk.root / ".llmops" / "local" / "downloads").exists()


def test_other_bytes_than_were_locked_are_tampering(desk: Project) -> None:
    desk.web.pages["/rows.jsonl"] = Reply(body=OTHER)
    said = desk("apply", "--env", "local", code=Exit.TAMPERED)
    assert "other bytes" in said.err
    assert "llmops lock --upgrade" in said.err
    assert OTHER not in stored(desk)


def test_a_server_that_is_away_is_a_failed_step(desk: Project) -> None:
    desk.web.pages["/rows.jsonl"] = Reply(status=404)
    said = desk("apply", "--env", "local", code=Exit.STEP_FAILED)
    assert "fetch/faq@train" in said.err
    desk.web.pages["/rows.jsonl"] = ranged(ROWS)
    desk("apply", "--env", "local")
    assert ROWS in stored(desk)


def test_what_a_killed_run_has_downloaded_is_gone_on_from(desk: Project) -> None:
    part = desk.root / ".llmops" / "local" / "downloads" / f"{hashlib.sha256(ROWS).hexdigest()}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(ROWS[:40])
    desk("apply", "--env", "local")
    (asked,) = [one for one in desk.web.asked if one.target == "/rows.jsonl"]
    assert asked.headers["range"] == "bytes=40-"
    assert ROWS in stored(desk)


def test_the_way_a_file_comes_moves_no_key(desk: Project) -> None:
    """The same bytes from the project itself run nothing again."""
    desk("apply", "--env", "local")
    desk.write("data/train.jsonl", ROWS.decode())
    desk.edit("data.yaml", f"source: {{http: {{url: '{desk.web.url}/rows.jsonl'}}}}", "path: data/train.jsonl")
    said = desk("plan", "--env", "local").out
    assert "nothing to do: 3 steps are cached" in said


def fetch(desk: Project, folder: Path, output: str) -> None:
    """Fetch the project's file as some plan, which need not be ours, names it."""
    data = (desk.root / "llmops.yaml").read_bytes()
    source = SourceFile(path="llmops.yaml", digest=hashlib.sha256(data).hexdigest(), bytes=len(data))
    workspace = open_workspace(desk.root)
    with open_site(workspace, workspace.compile("local").environments["local"]) as site:
        fetch_files(site, Fetch(name="base", key="a" * 64, files={output: source}), folder, lambda _: None)


@pytest.mark.parametrize("output", ["weights/../../owned.json", "../owned.json", "..", ".", "/{outside}/owned.json"])
def test_an_output_outside_the_folder_of_its_step_is_refused(desk: Project, tmp_path: Path, output: str) -> None:
    folder = tmp_path / "step"
    folder.mkdir()
    with pytest.raises(OperationFailed, match="outside the step's folder") as told:
        fetch(desk, folder, output.replace("/{outside}", str(tmp_path)))
    assert told.value.exit_code == Exit.TAMPERED
    assert not (tmp_path / "owned.json").exists()


@pytest.mark.parametrize("output", ["weights/owned.json", "weights"])
def test_an_output_behind_a_link_that_leads_outside_is_refused(desk: Project, tmp_path: Path, output: str) -> None:
    folder, outside = tmp_path / "step", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "weights").symlink_to(outside if "/" in output else outside / "owned.json")
    with pytest.raises(OperationFailed, match="outside the step's folder"):
        fetch(desk, folder, output)
    assert list(outside.iterdir()) == []
    fetch(desk, folder, "other/owned.json")
    assert (folder / "other" / "owned.json").is_file()
