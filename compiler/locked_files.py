"""Where each file of a locked source is fetched from: at the commit that was locked, never at the branch.

Called by `compiler.artifacts` for the `fetch` steps, and by `llmops.lock.resolving`, so that what is locked is what is
fetched. Pure.
"""

from __future__ import annotations

from urllib.parse import quote

from compiler.plan import SourceFile
from llmops_spec.lock import LockedModel, LockedSplit
from llmops_spec.sources import FromHuggingFace, FromS3, HttpFile, HuggingFaceFile, RemoteFile, RemoteModel


def locked_files(entry: LockedModel) -> dict[str, SourceFile]:
    """Every file of a locked model, by its name in the model's folder."""
    return {
        name: SourceFile(
            remote=file_of(entry.source, entry.commit, name), repository="models", digest=one.sha256, bytes=one.bytes
        )
        for name, one in entry.files.items()
    }


def locked_rows(entry: LockedSplit) -> RemoteFile:
    """The rows of a locked split."""
    remote = entry.source.remote
    assert remote is not None  # a split of the project is read there
    if remote.hugging_face is None:
        return remote
    return RemoteFile(hugging_face=remote.hugging_face.model_copy(update=_at(remote.hugging_face, entry.commit)))


def file_of(source: RemoteModel, commit: str | None, name: str) -> RemoteFile:
    """One file of a remote model."""
    hub, web, bucket = source.hugging_face, source.http, source.s3
    if hub is not None:
        revision = _at(hub, commit)["revision"]
        return RemoteFile(hugging_face=HuggingFaceFile(repository=hub.repository, revision=revision, file=name))
    if web is not None:
        return RemoteFile(http=HttpFile(url=f"{web.url.rstrip('/')}/{quote(name)}"))
    assert bucket is not None  # exactly one of the three
    uri = f"{bucket.uri.rstrip('/')}/{name}"
    return RemoteFile(s3=FromS3(uri=uri, endpoint=bucket.endpoint, region=bucket.region))


def _at(hub: FromHuggingFace, commit: str | None) -> dict[str, str]:
    return {"revision": commit or hub.revision}
