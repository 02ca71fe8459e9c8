"""What the Hub means by a revision, and what it may not make us believe."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable

import pytest

from llmops.errors import Exit, OperationFailed
from llmops.lock.fetcher import Fetcher, Unreachable
from llmops.lock.resolving import Remote
from llmops.lock.waiting import Patience
from llmops_spec.digests import digest
from llmops_spec.lock import LockedModel, RowsSource
from llmops_spec.secret import SecretValue
from llmops_spec.sources import FromHttp, HuggingFaceFile, RemoteFile, RemoteModel
from tests.harness.hub import CONFIG, TEMPLATE, WEIGHTS, HubRepository
from tests.harness.project import MemoryReader
from tests.unit.llmops.lock.conftest import Reply, Slept, Web, Wire, fetcher_of


def put(web: Web, repository: HubRepository, *, revision: str = "main", cdn: Web | None = None) -> None:
    """Serve a repository. Large files lie on the server `cdn`, where there is one."""
    api = f"/api/{repository.kind}/{repository.name}"
    web.pages[f"{api}/revision/{revision}"] = answer(repository.described())
    web.pages[f"{api}/tree/{repository.commit}"] = answer(repository.listed())
    for name, data in repository.files.items():
        path = repository.file_path(name)
        if cdn is not None and name.endswith(repository.large):
            cdn.pages[f"/{hashlib.sha256(data).hexdigest()}"] = Reply(body=data)
            there = f"{cdn.url}/{hashlib.sha256(data).hexdigest()}?signature=canary"
            web.pages[path] = Reply(status=302, headers={"Location": there})
        else:
            web.pages[path] = Reply(body=data)


def answer(value: object, **headers: str) -> Reply:
    return Reply(body=json.dumps(value).encode(), headers=headers)


def remote(web: Web, fetcher: Fetcher, token: str | None = None) -> Remote:
    return Remote(fetcher=fetcher, endpoint=web.url, token=SecretValue(token) if token else None)


def source(revision: str = "main") -> RemoteModel:
    return RemoteModel.model_validate({"huggingFace": {"repository": "some/model", "revision": revision}})


def lock(web: Web, fetcher: Fetcher, revision: str = "main") -> LockedModel:
    return remote(web, fetcher).model("model/base", source(revision))


def test_a_repository_is_locked_with_its_facts(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    put(web, repository)
    found = lock(web, fetcher)
    assert found.commit == repository.commit
    assert (found.licence, found.gated, found.intact) == ("apache-2.0", False, True)
    assert set(found.files) == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    assert found.passed_over == [".gitattributes", "README.md", "pytorch_model.bin"]
    for name, one in found.files.items():
        assert (one.sha256, one.bytes) == (
            hashlib.sha256(repository.files[name]).hexdigest(),
            len(repository.files[name]),
        )
    assert found.config == {name: value for name, value in CONFIG.items() if name != "id2label"}
    assert found.weight_bytes == len(WEIGHTS)
    assert found.chat_template == hashlib.sha256(TEMPLATE.encode()).hexdigest()
    tokenizer = {name: one.sha256 for name, one in found.files.items() if name.startswith("tokenizer")}
    assert found.tokenizer == digest(tokenizer)


def test_weights_are_not_read_to_be_locked(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    put(web, repository)
    lock(web, fetcher)
    read = {one.target for one in web.asked}
    assert repository.file_path("model.safetensors") not in read
    assert repository.file_path("config.json") in read


def test_what_the_safetensors_index_says_counts(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    index = {"metadata": {"total_size": 16_060_522_496}, "weight_map": {}}
    repository.files["model.safetensors.index.json"] = json.dumps(index).encode()
    put(web, repository)
    assert lock(web, fetcher).weight_bytes == 16_060_522_496


def test_a_text_that_is_too_long_for_its_name_is_not_read(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    repository.files["config.json"] = b" " * ((8 << 20) + 1)
    put(web, repository)
    with pytest.raises(OperationFailed, match=r"`config.json` is longer than the 8 MiB") as told:
        lock(web, fetcher)
    assert told.value.exit_code == Exit.FINDINGS
    assert repository.file_path("config.json") not in {one.target for one in web.asked}
    index = "model.safetensors.index.json"
    repository.files |= {"config.json": b"{}", index: b'{"weight_map": {}}' + b" " * (8 << 20)}
    put(web, repository)
    assert lock(web, fetcher).files[index].bytes > 8 << 20


def test_a_text_without_end_is_cut_off_where_it_is_too_long(web: Web, fetcher: Fetcher) -> None:
    """A web server says no length before, and may say none at all."""
    sent: list[int] = []

    def endless(wire: Wire) -> None:
        wire.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            wire.wfile.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
            sent.append(0x100000)

    web.pages["/m/config.json"] = endless
    folder = RemoteModel(http=FromHttp(url=f"{web.url}/m", files=["config.json"]))
    patient = dataclasses.replace(fetcher, patience=Patience(tries=1))
    with pytest.raises(OperationFailed, match=r"`config.json` is longer than the 8 MiB"):
        remote(web, patient).model("model/base", folder)
    assert sum(sent) < 40 << 20


def test_rows_of_a_gated_repository_say_so(web: Web, fetcher: Fetcher) -> None:
    for gated in (False, "auto"):
        put(web, HubRepository(kind="datasets", name="some/rows", files={"a.jsonl": b"{}\n"}, gated=gated))
        file = HuggingFaceFile(repository="some/rows", revision="main", file="a.jsonl")
        rows = RowsSource(remote=RemoteFile(hugging_face=file))
        assert remote(web, fetcher).split("dataset/a", "train", rows, MemoryReader({})).gated is bool(gated)


def test_a_template_of_its_own_wins(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    repository.files["chat_template.jinja"] = b"{{ messages }}"
    put(web, repository)
    assert lock(web, fetcher).chat_template == hashlib.sha256(b"{{ messages }}").hexdigest()


def test_numbers_that_readers_do_not_agree_on_become_text(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    repository.files["config.json"] = b'{"time_step_limit": [0.0, Infinity], "big": 123456789012345678901234567890}'
    put(web, repository)
    assert lock(web, fetcher).config == {"time_step_limit": [0.0, "inf"], "big": "123456789012345678901234567890"}


def test_a_gated_repository_says_so_and_a_licence_may_have_a_name(web: Web, fetcher: Fetcher) -> None:
    put(web, HubRepository(gated="manual", card={"license": "other", "license_name": "research-only"}))
    found = lock(web, fetcher)
    assert (found.gated, found.licence) == (True, "research-only")


def test_a_list_goes_on_over_pages(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    put(web, repository)
    listed, path = repository.listed(), f"/api/models/some/model/tree/{repository.commit}"
    web.pages[path] = [
        answer(listed[:3], Link=f'<{web.url}{path}?cursor=x>; rel="next"'),
        answer(listed[3:]),
    ]
    assert set(lock(web, fetcher).files) >= {"config.json", "model.safetensors"}


def test_a_list_that_goes_on_elsewhere_is_refused(web: Web, new_web: Callable[[], Web], slept: Slept) -> None:
    other, repository = new_web(), HubRepository()
    put(web, repository)
    path = f"/api/models/some/model/tree/{repository.commit}"
    web.pages[path] = answer([], Link=f'<{other.url}{path}>; rel="next"')
    with pytest.raises(Unreachable, match="another host"):
        lock(web, fetcher_of(web, other, slept=slept))
    assert other.asked == []


def test_a_list_without_end_is_given_up(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    put(web, repository)
    path = f"/api/models/some/model/tree/{repository.commit}"
    web.pages[path] = answer([], Link=f'<{web.url}{path}>; rel="next"')
    with pytest.raises(OperationFailed, match="does not end"):
        lock(web, fetcher)


@pytest.mark.parametrize(
    "name",
    [
        "../../config.json",
        "/etc/passwd",
        "a/../../b.json",
        "a//b.json",
        "./a.json",
        "a\\..\\b.json",
        "a\nb.json",
        "x" * 513,
    ],
)
def test_a_name_that_leaves_the_folder_is_refused(web: Web, fetcher: Fetcher, name: str) -> None:
    repository = HubRepository()
    put(web, repository)
    listed = [{"type": "file", "path": name, "size": 2, "oid": "0" * 40}]
    web.pages[f"/api/models/some/model/tree/{repository.commit}"] = answer(listed)
    with pytest.raises(Unreachable, match="no name below a folder"):
        lock(web, fetcher)


def test_other_bytes_than_the_commit_names_are_refused(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    put(web, repository)
    config = repository.files["config.json"]
    web.pages[repository.file_path("config.json")] = Reply(body=config.replace(b"llama", b"gemma"))
    with pytest.raises(Unreachable, match="changed on the way"):
        lock(web, fetcher)


def test_a_truncated_file_is_refused(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    put(web, repository)
    web.pages[repository.file_path("config.json")] = Reply(body=repository.files["config.json"][:-5])
    with pytest.raises(Unreachable, match="were expected"):
        lock(web, fetcher)


def test_a_commit_must_be_answered_by_itself(web: Web, fetcher: Fetcher) -> None:
    repository = HubRepository()
    put(web, repository, revision="f" * 40)
    with pytest.raises(Unreachable, match="says that revision"):
        lock(web, fetcher, "f" * 40)
    put(web, repository, revision=repository.commit)
    assert lock(web, fetcher, repository.commit).commit == repository.commit


def test_a_repository_that_moved_is_not_followed(web: Web, fetcher: Fetcher) -> None:
    """Whoever registers the old name again would be asked in its place."""
    moved = HubRepository()
    put(web, moved)
    web.pages["/api/models/some/model/revision/main"] = Reply(status=307, headers={"Location": "/api/new"})
    web.pages["/api/new"] = answer(dataclasses.replace(moved, name="new/model").described())
    with pytest.raises(OperationFailed, match="is called `new/model` now"):
        lock(web, fetcher)


def refused(status: int, code: str = "") -> Reply:
    return Reply(status=status, headers={"X-Error-Code": code} if code else {})


@pytest.mark.parametrize(
    ("reply", "token", "says", "helps", "exit_code"),
    [
        (refused(401, "GatedRepo"), None, "is gated, and no token was given", "HF_TOKEN", Exit.MISUSE),
        (refused(403, "GatedRepo"), "canary", "is gated, and this token may not read it", "accept its", Exit.MISUSE),
        (refused(403), "canary", "this token may not read it", "accept its terms", Exit.MISUSE),
        (refused(401, "RepoNotFound"), None, "does not exist, or is private", "HF_TOKEN", Exit.FINDINGS),
        (refused(404, "RepoNotFound"), "canary", "does not exist, or is private", "correct the name", Exit.FINDINGS),
        (refused(404, "RevisionNotFound"), None, "has no such revision", "a branch, a tag", Exit.FINDINGS),
        (refused(500), None, "HTTP 500, 3 times", "run the same command again", Exit.MISUSE),
        (Reply(body=b"<html>"), None, "no JSON", "", Exit.MISUSE),
        (Reply(body=b"[]"), None, "no object", "", Exit.MISUSE),
        (Reply(body=b'{"id": "some/model"}'), None, "has no `sha`", "", Exit.MISUSE),
    ],
)
def test_a_refusal_says_what_to_do(
    web: Web, fetcher: Fetcher, reply: Reply, token: str | None, says: str, helps: str, exit_code: Exit
) -> None:
    web.pages["/api/models/some/model/revision/main"] = reply
    with pytest.raises(OperationFailed) as told:
        remote(web, fetcher, token).model("model/base", source())
    assert says in told.value.what
    assert helps in told.value.help
    assert told.value.exit_code == exit_code
    assert "canary" not in told.value.what + told.value.help


def test_the_token_goes_to_the_hub_and_to_nobody_else(web: Web, new_web: Callable[[], Web], slept: Slept) -> None:
    cdn, repository = new_web(), HubRepository(large=(".json", ".safetensors"))
    put(web, repository, cdn=cdn)
    found = remote(web, fetcher_of(web, cdn, slept=slept), "canary").model("model/base", source())
    assert {one.headers.get("authorization") for one in web.asked} == {"Bearer canary"}
    assert cdn.asked
    assert all("canary" not in str(one.headers.values()) for one in cdn.asked)
    assert "canary" not in found.model_dump_json()


def test_a_digest_of_the_list_is_believed_only_for_its_bytes(
    web: Web, new_web: Callable[[], Web], slept: Slept
) -> None:
    cdn, repository = new_web(), HubRepository(large=("config.json",))
    put(web, repository, cdn=cdn)
    for page in cdn.pages:
        cdn.pages[page] = Reply(body=b"x" * len(repository.files["config.json"]))
    with pytest.raises(Unreachable, match="changed on the way"):
        lock(web, fetcher_of(web, cdn, slept=slept))
