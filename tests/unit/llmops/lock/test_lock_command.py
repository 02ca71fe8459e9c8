"""`llmops lock` on a project whose sources are servers of this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from compiler.locked_files import locked_files
from compiler.plan import SourceFile
from llmops.cli.main import run
from llmops.errors import Exit
from llmops.workspace import open_workspace
from llmops_spec.sources import RemoteFile
from tests.harness.hub import HubRepository
from tests.unit.llmops.lock.conftest import Reply, Web
from tests.unit.llmops.lock.test_hub import put

HEAD = "apiVersion: llmops.dev/v1alpha1\n"
MANIFEST = b'{"schemaVersion": 2}'
ROWS = b'question,answer\na,b\n"c\nd",e\n\n'


@dataclass(frozen=True, kw_only=True)
class Ended:
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Project:
    root: Path
    web: Web
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str, code: int = Exit.CLEAN) -> Ended:
        self.capture.readouterr()
        given = run(["-C", str(self.root), *words])
        out, err = self.capture.readouterr()
        assert given == code, out + err
        return Ended(out=out, err=err)

    @property
    def lock(self) -> Path:
        return self.root / "llmops.lock"

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))


@pytest.fixture
def repository() -> HubRepository:
    return HubRepository()


@pytest.fixture
def project(
    tmp_path: Path,
    web: Web,
    repository: HubRepository,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    """One model of the Hub, rows of a web server and of the project, an image by tag."""
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    put(web, repository)
    web.pages["/rows.csv"] = Reply(body=ROWS)
    web.pages["/v2/runtime/manifests/1"] = Reply(body=MANIFEST)
    made = Project(root=tmp_path, web=web, capture=capsys)
    made.write(
        "llmops.yaml",
        HEAD + "kind: Project\nmetadata: {name: shop}\n"
        f"spec: {{sources: {{allowedHosts: ['{web.host}'], hub: {{endpoint: '{web.url}'}}}}}}\n",
    )
    made.write(
        "environment.yaml",
        HEAD + "kind: Environment\nmetadata: {name: cluster, owner: us}\n"
        "spec:\n  target: {kubernetes: {namespace: shop}}\n  store: {pvc: {claim: store}}\n"
        f"  images: {{runtime: '{web.host}/runtime:1', engine: '{web.host}/runtime:1'}}\n",
    )
    made.write(
        "model.yaml",
        HEAD + "kind: Model\nmetadata: {name: base, owner: us}\n"
        "spec: {licence: Apache-2.0, from: {huggingFace: {repository: some/model, revision: main}}}\n",
    )
    made.write(
        "data.yaml",
        HEAD + "kind: Dataset\nmetadata: {name: faq, owner: us}\nspec:\n  licence: Apache-2.0\n"
        "  columns: {question: {}, answer: {}}\n  splits:\n"
        f"    train: {{source: {{http: {{url: '{web.url}/rows.csv'}}}}, rows: 2}}\n"
        "    heldout: {path: data/heldout.jsonl, rows: 2}\n",
    )
    made.write("data/heldout.jsonl", '{"question": "a", "answer": "b"}\n\n{"question": "c", "answer": "d"}')
    return made


def test_everything_is_locked_and_compile_takes_it(project: Project, repository: HubRepository) -> None:
    unlocked = project("validate", code=Exit.FINDINGS).out
    assert unlocked.count("error[unlocked-artifact]") == 2
    said = project("lock")
    found = yaml.safe_load(project.lock.read_text())
    assert found["formatVersion"] == 1
    (model,) = found["models"]
    assert (model["resource"], model["commit"]) == ("model/base", repository.commit)
    rows = {one["split"]: (one["rows"], one["sha256"]) for one in found["datasets"]}
    local = (project.root / "data/heldout.jsonl").read_bytes()
    assert rows == {"train": (2, _sha(ROWS)), "heldout": (2, _sha(local))}
    (image,) = found["images"]
    assert image["digest"] == f"sha256:{_sha(MANIFEST)}"
    assert "model/base" in said.out
    assert "new" in said.out
    project("validate")
    project("lock", "--check")


def test_what_is_locked_is_not_asked_for_again_and_the_file_stays_as_it_is(project: Project) -> None:
    project("lock")
    before, when = project.lock.read_bytes(), project.lock.stat().st_mtime_ns
    project.web.asked.clear()
    project.web.pages.clear()
    assert "up to date" in project("lock").out
    assert project.web.asked == []
    assert (project.lock.read_bytes(), project.lock.stat().st_mtime_ns) == (before, when)


def test_the_order_of_files_changes_no_byte(project: Project) -> None:
    project("lock")
    before = project.lock.read_bytes()
    (project.root / "data.yaml").rename(project.root / "zz.yaml")
    (project.root / "model.yaml").rename(project.root / "aa.yaml")
    project.lock.unlink()
    project("lock")
    assert project.lock.read_bytes() == before


def test_a_branch_that_moved_stays_locked_until_it_is_upgraded(project: Project, repository: HubRepository) -> None:
    project("lock")
    before = repository.commit
    repository.files["config.json"] = b'{"model_type": "other"}'
    put(project.web, repository)
    project("lock")
    assert before in project.lock.read_text()
    said = project("lock", "--upgrade", "base").out
    assert f"before: {before[:12]}" in said
    assert "(config changed)" in said
    found = yaml.safe_load(project.lock.read_text())
    assert (found["models"][0]["commit"], found["models"][0]["config"]) == (repository.commit, {"model_type": "other"})
    assert "unchanged" in project("lock", "--upgrade", "model/base").out


def test_only_what_is_named_is_upgraded(project: Project) -> None:
    project("lock")
    project.web.asked.clear()
    project("lock", "--upgrade", f"{project.web.host}/runtime:1")
    assert {one.target.split("/")[1] for one in project.web.asked} == {"v2"}
    wrong = project("lock", "--upgrade", "bse", code=Exit.MISUSE)
    assert "did you mean `base`" in wrong.err
    project("lock", "--upgrade", "base", "--check", code=Exit.MISUSE)


def test_check_says_what_is_missing_and_asks_nobody(project: Project) -> None:
    said = project("lock", "--check", code=Exit.FINDINGS)
    assert "model/base: not locked" in said.out
    assert "dataset/faq train: not locked" in said.out
    assert f"{project.web.host}/runtime:1: not locked" in said.out
    assert project.web.asked == []
    assert not project.lock.exists()


def test_check_says_what_moved_and_what_is_left_over(project: Project) -> None:
    project("lock")
    project.edit("model.yaml", "revision: main", "revision: v2")
    project.edit("data.yaml", "rows.csv", "other.csv")
    project.write("data/heldout.jsonl", '{"question": "a", "answer": "b"}\n{"question": "x", "answer": "y"}\n')
    project.edit("environment.yaml", "runtime:1", "runtime:2")
    said = project("lock", "--check", code=Exit.FINDINGS).out
    assert "model/base: moved since it was locked" in said
    assert "dataset/faq train: moved since it was locked" in said
    assert "dataset/faq heldout: `data/heldout.jsonl` changed since it was locked" in said
    assert f"{project.web.host}/runtime:1: locked, and nothing needs it any more" in said
    moved = project("validate", code=Exit.FINDINGS).out
    assert moved.count("error[unlocked-artifact]") == 2
    assert "locked as revision `main`" in moved


def test_what_nothing_needs_is_dropped(project: Project) -> None:
    project("lock")
    (project.root / "model.yaml").unlink()
    said = project("lock").out
    assert "removed" in said
    assert "models" not in yaml.safe_load(project.lock.read_text())


def test_a_locked_tag_is_its_digest_for_all_that_follows(project: Project) -> None:
    tag = f"{project.web.host}/runtime:1"
    assert "SEC-01" in project("validate", code=Exit.FINDINGS).out
    project("lock")
    assert "SEC-01" not in project("validate").out
    graph = open_workspace(project.root).compile("cluster").environments["cluster"].graph
    images = graph.environment.spec.images
    assert images is not None
    assert images.runtime == images.engine == f"{tag}@sha256:{_sha(MANIFEST)}"
    project.edit("environment.yaml", "runtime:1", "runtime:2")
    assert "SEC-01" in project("validate", code=Exit.POLICY_FAILED).out


def test_one_failure_leaves_the_rest_locked(project: Project) -> None:
    project.web.pages["/rows.csv"] = Reply(status=404)
    said = project("lock", code=Exit.FINDINGS)
    assert "failed" in said.out
    assert "/rows.csv does not exist" in said.err
    found = yaml.safe_load(project.lock.read_text())
    assert [one["resource"] for one in found["models"]] == ["model/base"]
    assert [one["split"] for one in found["datasets"]] == ["heldout"]
    project.web.pages["/rows.csv"] = Reply(body=ROWS)
    project.web.asked.clear()
    project("lock")
    assert {one.target for one in project.web.asked} == {"/rows.csv"}


def test_a_failed_upgrade_keeps_what_was_locked(project: Project) -> None:
    project("lock")
    before = project.lock.read_bytes()
    project.web.pages.clear()
    project("lock", "--upgrade", "base", code=Exit.FINDINGS)
    assert project.lock.read_bytes() == before


def test_an_edited_entry_stops_everything_until_it_is_resolved(project: Project, repository: HubRepository) -> None:
    project("lock")
    good = project.lock.read_bytes()
    project.edit("llmops.lock", repository.commit, "f" * 40)
    assert "error[edited-lock]" in project("validate", code=Exit.FINDINGS).out
    assert "its entry was edited" in project("lock", "--check", code=Exit.FINDINGS).out
    assert "--upgrade model/base" in project("lock", code=Exit.FINDINGS).err
    project("lock", "--upgrade", "base")
    assert project.lock.read_bytes() == good


@pytest.mark.parametrize(
    "text",
    [
        "<<<<<<< HEAD\nformatVersion: 1\n",
        "[]\n",
        "formatVersion: 2\n",
        "formatVersion: 1\nmodel: []\n",
        "a: &b 1\n",
        "",
    ],
)
def test_an_unreadable_lock_is_never_overwritten(project: Project, text: str) -> None:
    project.write("llmops.lock", text)
    for words in (("validate",), ("lock",), ("lock", "--check")):
        said = project(*words, code=Exit.FINDINGS).out
        assert said.count("error[") == 1, said
        assert "unreadable-lock" in said
    assert project.lock.read_text() == text


def test_a_spec_that_cannot_be_read_changes_no_lock(project: Project) -> None:
    project("lock")
    before = project.lock.read_bytes()
    project.edit("model.yaml", "repository:", "repo:")
    assert "unknown-key" in project("lock", code=Exit.FINDINGS).out
    assert project.lock.read_bytes() == before


def test_a_host_that_is_not_listed_is_not_asked(project: Project, new_web: Callable[[], Web]) -> None:
    other = new_web()
    project.edit("data.yaml", project.web.url, other.url)
    said = project("lock", code=Exit.FINDINGS)
    assert "allowedHosts" in said.err
    assert other.asked == []


def test_rows_that_the_lock_counted_are_held_against_the_declared_ones(project: Project) -> None:
    project("lock")
    project.edit("data.yaml", "heldout.jsonl, rows: 2", "heldout.jsonl, rows: 3")
    assert "error[too-few-rows]" in project("validate", code=Exit.FINDINGS).out
    project.write("data/heldout.jsonl", '{"question": "a", "answer": "b"}\n' * 3)
    project("validate")  # another file: the count says nothing of it


def test_a_token_is_sent_and_written_nowhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    said = project("lock")
    sent = {one.headers.get("authorization") for one in project.web.asked if one.target.startswith("/api/")}
    assert sent == {"Bearer hf_canary"}
    others = [one for one in project.web.asked if one.target.startswith(("/rows", "/v2"))]
    assert all("authorization" not in one.headers for one in others)
    assert "canary" not in said.out + said.err + project.lock.read_text()


def test_a_mirror_that_only_the_project_names_gets_no_token(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.delenv("HF_ENDPOINT")
    project("lock")
    assert all("authorization" not in one.headers for one in project.web.asked)


def test_hostile_text_of_a_repository_stays_text(project: Project, repository: HubRepository) -> None:
    """What a server says cannot become structure, an anchor or another document of the lock."""
    evil = {
        "model_type": "x\n---\nformatVersion: 9",
        "&a": "*a",
        "!!python": "!!python/object:os.system",
        "k: v": "# no",
    }
    repository.files["config.json"] = json.dumps(evil).encode()
    repository.card["license"] = "mit\nseal: 0"
    put(project.web, repository)
    project("lock")
    (model,) = yaml.safe_load(project.lock.read_text())["models"]
    assert model["config"] == evil
    assert "licence" not in model
    project("validate")


ODD = ["odd#1.json", "odd%41.json", "what?.json", "a b/@c d.json", "ü+&=;~.json", "odd #.safetensors"]


def fetched(project: Project) -> dict[str, RemoteFile]:
    """Where the steps of the cluster's saved plan bring the model's files from, by name."""
    compiled = open_workspace(project.root).compile("cluster").environments["cluster"].graph
    entry = compiled.lock.document.models[0]
    files = {name: SourceFile.model_validate_json(one.model_dump_json()) for name, one in locked_files(entry).items()}
    return {name: one.remote for name, one in files.items() if one.remote is not None}


def test_a_repository_with_odd_names_is_locked_as_it_can_be_fetched(
    project: Project, repository: HubRepository
) -> None:
    repository.files.update(dict.fromkeys(ODD, b"{}"))
    put(project.web, repository)
    project("lock")
    project("validate")
    found = fetched(project)
    assert set(ODD) <= set(found)
    assert all(one.hugging_face is not None and one.hugging_face.file == name for name, one in found.items())


def test_a_web_folder_with_odd_names_is_locked_where_it_is_fetched(project: Project) -> None:
    for name in ODD:
        project.web.pages[f"/m/{quote(name)}"] = Reply(body=b"{}")
    project.edit(
        "model.yaml",
        "{huggingFace: {repository: some/model, revision: main}}",
        json.dumps({"http": {"url": f"{project.web.url}/m/", "files": ODD}}, ensure_ascii=False),
    )
    project("lock")
    project("validate")
    asked = {one.target for one in project.web.asked if one.target.startswith("/m/")}
    found = fetched(project)
    assert set(found) == set(ODD)
    assert {one.http.url for one in found.values() if one.http is not None} == {project.web.url + one for one in asked}


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
