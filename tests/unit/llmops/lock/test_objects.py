"""Object stores that speak S3, as moto's server does, and how requests to them are signed."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as OtherCredentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from compiler.locked_files import locked_files
from compiler.plan import SourceFile
from llmops.errors import Exit, OperationFailed
from llmops.lock.addresses import AllowList, parse_url
from llmops.lock.fetcher import Fetcher, Unreachable
from llmops.lock.objects import Bucket, Credentials, sign_request
from llmops.lock.resolving import Remote
from llmops_spec.lock import LockedFile, RowsSource
from llmops_spec.secret import SecretValue
from llmops_spec.sources import FromS3, RemoteFile, RemoteModel
from tests.harness.hub import LLAMA
from tests.harness.project import MemoryReader
from tests.unit.llmops.lock.conftest import Reply, Slept, Web

NO_FILES = MemoryReader({})
CREDENTIALS = Credentials(key_id="AKIDEXAMPLE", secret=SecretValue("canary"))


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The address of an object store; everything in it is gone with the module."""
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(store: str) -> Any:
    made = boto3.client(
        "s3", endpoint_url=store, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    made.create_bucket(Bucket="models")
    yield made
    while found := made.list_objects_v2(Bucket="models").get("Contents", []):
        made.delete_objects(Bucket="models", Delete={"Objects": [{"Key": one["Key"]} for one in found]})
    made.delete_bucket(Bucket="models")
    made.close()


@pytest.fixture
def remote(store: str, slept: Slept, monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store)
    url = parse_url(store)
    fetcher = Fetcher(allowed=AllowList.of([f"{url.host}:{url.port}"]), sleep=slept)
    return Remote(fetcher=fetcher, endpoint="https://hub.example", credentials=CREDENTIALS)


def locked(data: bytes) -> LockedFile:
    return LockedFile(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def test_a_folder_of_a_bucket_is_locked(client: Any, remote: Remote, store: str) -> None:
    for name, data in LLAMA.items():
        client.put_object(Bucket="models", Key=f"llama/{name}", Body=data)
    client.put_object(Bucket="models", Key="llama/", Body=b"")
    client.put_object(Bucket="models", Key="llama-2/config.json", Body=b"{}")
    source = RemoteModel(s3=FromS3(uri="s3://models/llama", endpoint=store))
    found = remote.model("model/base", source)
    loaded = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    assert found.files == {name: locked(LLAMA[name]) for name in loaded}
    assert found.config["model_type"] == "llama"
    assert found.passed_over == [".gitattributes", "README.md", "pytorch_model.bin"]


def test_a_long_list_goes_on(web: Web, fetcher: Fetcher) -> None:
    page = "<ListBucketResult><Contents><Key>many/{}</Key><Size>1</Size></Contents>{}</ListBucketResult>"
    more = "<NextContinuationToken>a/b=</NextContinuationToken>"
    web.pages["/models/"] = [Reply(body=page.format("1", more).encode()), Reply(body=page.format("2", "").encode())]
    bucket = Bucket(fetcher=fetcher, source=FromS3(uri="s3://models/many/", endpoint=web.url))
    assert bucket.objects() == {"1": 1, "2": 1}
    assert web.asked[1].target.endswith("&continuation-token=a%2Fb%3D")


def test_odd_keys_are_locked_as_they_can_be_fetched(client: Any, remote: Remote, store: str) -> None:
    odd = ["odd#1.json", "odd%41.json", "what?.json", "a b/@c d.json", "ü+&=;~.json"]
    for name in odd:
        client.put_object(Bucket="models", Key=f"odd folder/{name}", Body=name.encode())
    entry = remote.model("model/base", RemoteModel(s3=FromS3(uri="s3://models/odd folder", endpoint=store)))
    assert entry.files == {name: locked(name.encode()) for name in odd}
    for name, planned in locked_files(entry).items():
        file = SourceFile.model_validate_json(planned.model_dump_json()).remote  # as a saved plan is read again
        assert file is not None
        url, sign = remote.address(file, "models")
        assert remote.fetcher.digest(url, sign=sign) == locked(name.encode())


def test_a_digest_that_the_store_checked_is_taken(client: Any, remote: Remote, store: str) -> None:
    client.put_object(Bucket="models", Key="a/model.safetensors", Body=b"weights", ChecksumAlgorithm="SHA256")
    told: list[int] = []
    bucket = Bucket(fetcher=remote.fetcher, source=FromS3(uri="s3://models/a", endpoint=store), credentials=CREDENTIALS)
    assert bucket.locked("model.safetensors", None, told.append) == locked(b"weights")
    assert told == []


def test_without_one_the_object_is_read(client: Any, remote: Remote, store: str) -> None:
    client.put_object(Bucket="models", Key="a/b.safetensors", Body=b"weights", ChecksumAlgorithm="CRC32")
    told: list[int] = []
    bucket = Bucket(fetcher=remote.fetcher, source=FromS3(uri="s3://models/a", endpoint=store), credentials=CREDENTIALS)
    assert bucket.locked("b.safetensors", 7, told.append) == locked(b"weights")
    assert sum(told) == 7


def test_one_object_is_rows(client: Any, remote: Remote, store: str) -> None:
    client.put_object(Bucket="models", Key="rows/a b.jsonl", Body=b'{"a": 1}\n{"a": 2}\n')
    file = RemoteFile(s3=FromS3(uri="s3://models/rows/a b.jsonl".replace(" ", "%20"), endpoint=store))
    with pytest.raises(OperationFailed, match="does not exist"):  # an address is taken as it is: no escapes
        remote.split("dataset/a", "train", RowsSource(remote=file), NO_FILES)
    client.put_object(Bucket="models", Key="rows/a.jsonl", Body=b'{"a": 1}\n{"a": 2}\n')
    file = RemoteFile(s3=FromS3(uri="s3://models/rows/a.jsonl", endpoint=store))
    assert remote.split("dataset/a", "train", RowsSource(remote=file), NO_FILES).rows == 2


def test_what_is_not_there_is_told(client: Any, remote: Remote, store: str) -> None:
    for uri, says in (
        ("s3://models/nothing", "holds nothing"),
        ("s3://no-such-bucket/a", "does not exist"),
    ):
        with pytest.raises(OperationFailed, match=says) as told:
            remote.model("model/base", RemoteModel(s3=FromS3(uri=uri, endpoint=store)))
        assert told.value.exit_code == Exit.FINDINGS


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(status=403), "not open to everybody"),
        (Reply(status=301, headers={"x-amz-bucket-region": "eu-north-1"}), "in region `eu-north-1`"),
        (Reply(body=b"<html>"), "not what S3 answers"),
        (Reply(body=b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "declares entities"),
        (Reply(body=b"<a><Contents><Key>k</Key><Size>many</Size></Contents></a>"), "not what S3 answers"),
        (Reply(body=b"<a><Contents><Key>m/../../x</Key><Size>1</Size></Contents></a>"), "no name below"),
        (Reply(body=b"<a><Contents><Key>other/x</Key><Size>1</Size></Contents></a>"), "not asked for"),
        (Reply(body=b"<a><Contents><Key>m/%b</Key><Size>1</Size></Contents></a>" % (b"x" * 1023)), "not asked for"),
    ],
)
def test_a_store_that_answers_otherwise_is_told(web: Web, fetcher: Fetcher, reply: Reply, says: str) -> None:
    web.pages["/models/"] = reply
    remote = Remote(fetcher=fetcher, endpoint="https://hub.example")
    source = RemoteModel(s3=FromS3(uri="s3://models/m", endpoint=web.url))
    with pytest.raises((OperationFailed, Unreachable), match=says):
        remote.model("model/base", source)
    assert "authorization" not in web.asked[0].headers


SESSION = Credentials(key_id="AKIDEXAMPLE", secret=SecretValue("canary"), session=SecretValue("canary"))
LISTED = Reply(body=b"<a><Contents><Key>m/a.model</Key><Size>1</Size></Contents></a>")


@pytest.mark.parametrize(
    ("name", "value", "goes"),
    [
        ("AWS_ENDPOINT_URL_S3", "{store}", True),
        ("AWS_ENDPOINT_URL_S3", "{store}/", True),
        ("AWS_ENDPOINT_URL", "{store}", True),
        ("AWS_ENDPOINT_URL_S3", "{store}.other.example", False),
        ("AWS_ENDPOINT_URL_S3", "", False),
        ("HF_ENDPOINT", "{store}", False),
    ],
)
def test_keys_go_to_a_store_that_the_user_named_alone(
    web: Web, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, name: str, value: str, *, goes: bool
) -> None:
    monkeypatch.setenv(name, value.replace("{store}", web.url))
    web.pages = {"/models/": LISTED, "/models/m/a.model": Reply(body=b"x")}
    remote = Remote(fetcher=fetcher, endpoint="https://hub.example", credentials=SESSION)
    entry = remote.model("model/base", RemoteModel(s3=FromS3(uri="s3://models/m", endpoint=web.url)))
    file = locked_files(entry)["a.model"].remote
    assert file is not None
    url, sign = remote.address(file, "models")
    assert bool(sign("GET", parse_url(url))) is goes
    for one in web.asked:
        assert ({"authorization", "x-amz-security-token"} <= set(one.headers)) is goes
        assert goes or "AKIDEXAMPLE" not in str(one.headers)


def test_whose_keys_were_held_back_is_told_how_to_send_them(web: Web, fetcher: Fetcher) -> None:
    web.pages["/models/"] = Reply(status=403)
    remote = Remote(fetcher=fetcher, endpoint="https://hub.example", credentials=SESSION)
    with pytest.raises(OperationFailed, match="not open to everybody") as told:
        remote.model("model/base", RemoteModel(s3=FromS3(uri="s3://models/m", endpoint=web.url)))
    assert f"AWS_ENDPOINT_URL_S3={web.url}" in told.value.help


def test_amazons_own_store_gets_keys_by_https() -> None:
    remote = Remote(fetcher=Fetcher(allowed=AllowList.of([])), endpoint="https://hub.example", credentials=SESSION)
    url, sign = remote.address(RemoteFile(s3=FromS3(uri="s3://models/a.jsonl")), "datasets")
    assert url.startswith("https://")
    assert "x-amz-security-token" in sign("GET", parse_url(url))


def test_a_bucket_has_the_address_that_amazon_gives_it() -> None:
    fetcher = Fetcher(allowed=AllowList.of([]))

    def address(uri: str, name: str = "a") -> str:
        return Bucket(fetcher=fetcher, source=FromS3(uri=uri, region="eu-west-1")).address(name)

    assert address("s3://models/x") == "https://models.s3.eu-west-1.amazonaws.com/x/a"
    assert address("s3://models") == "https://models.s3.eu-west-1.amazonaws.com/a"
    assert address("s3://my.models/x") == "https://s3.eu-west-1.amazonaws.com/my.models/x/a"
    assert address("s3://models/x/y.jsonl", "") == "https://models.s3.eu-west-1.amazonaws.com/x/y.jsonl"


@pytest.mark.parametrize(
    "url",
    [
        "https://models.s3.eu-west-1.amazonaws.com/a/config.json",
        "https://models.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC+c.json",
        "https://models.s3.eu-west-1.amazonaws.com/?list-type=2&prefix=a%2Fb&continuation-token=x%2B%3D%3D",
        "http://127.0.0.1:9000/models/a?versionId=",
    ],
)
@pytest.mark.parametrize("session", [None, "token"])
def test_a_signature_is_the_one_that_amazons_own_library_makes(
    url: str, session: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dt.datetime(2026, 5, 4, 3, 2, 1, tzinfo=dt.UTC)
    ours = Credentials(
        key_id="AKIDEXAMPLE", secret=SecretValue("canary"), session=SecretValue(session) if session else None
    )
    headers = sign_request("GET", parse_url(url), {}, ours, region="eu-west-1", now=now)
    request = AWSRequest(method="GET", url=url, headers={"X-Amz-Content-SHA256": hashlib.sha256(b"").hexdigest()})
    theirs = S3SigV4Auth(OtherCredentials("AKIDEXAMPLE", "canary", session), "s3", "eu-west-1")
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: now.replace(tzinfo=None))
    request.context["payload_signing_enabled"] = True
    theirs.add_auth(request)
    assert headers["Authorization"] == request.headers["Authorization"]
