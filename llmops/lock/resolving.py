"""From a source to its entry in the lock: what it means now, which bytes that is, and what they state of themselves.

Called by `llmops.lock.locking`, and by `fetch` steps for the places of files. One method a kind of thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compiler.locked_files import file_of
from compiler.ports import Reader
from llmops.errors import Exit, OperationFailed
from llmops.io.secrets import read_secret
from llmops.lock.addresses import AllowList
from llmops.lock.display import ByteDisplay, Silent
from llmops.lock.fact_texts import FactTexts, Keep
from llmops.lock.fetcher import Fetcher, Signer, unsigned
from llmops.lock.hub import Repository, RepositoryKind, safe_name, token_may_go_to
from llmops.lock.model_folder import folder_facts, is_loaded
from llmops.lock.objects import Bucket, Credentials, credentials_from_environment, credentials_may_go_to
from llmops.lock.registry import Registry
from llmops.lock.rows import RowCounter
from llmops_spec.lock import LockedFile, LockedImage, LockedModel, LockedSplit, RowsSource
from llmops_spec.secret import Secret, SecretValue
from llmops_spec.sources import FromHttp, FromHuggingFace, FromS3, HuggingFaceFile, RemoteFile, RemoteModel, Sources


@dataclass(frozen=True, kw_only=True)
class _Folder:
    """What a remote folder turned out to hold."""

    files: Mapping[str, LockedFile]
    texts: Mapping[str, bytes]
    passed_over: list[str]
    commit: str | None = None
    gated: bool = False
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The outside world, as one project may see it."""

    fetcher: Fetcher
    endpoint: str
    """Of the Hub."""
    token: SecretValue | None = None
    """For the Hub."""
    credentials: Credentials | None = None
    """For object stores."""
    display: ByteDisplay = field(default_factory=Silent)

    def model(self, resource: str, source: RemoteModel) -> LockedModel:
        """Raises: OperationFailed: it is not there, not open to us, not what it should be, or out of reach."""
        if source.hugging_face is not None:
            folder = self._repository_folder(source.hugging_face)
        elif source.http is not None:
            folder = self._web_folder(source.http)
        else:
            assert source.s3 is not None  # exactly one of the three
            folder = self._bucket_folder(source.s3)
        facts = folder_facts(folder.files, folder.texts)
        return LockedModel.sealed(
            resource=resource,
            source=source,
            commit=folder.commit,
            gated=folder.gated,
            licence=folder.licence,
            chat_template=facts.chat_template,
            tokenizer=facts.tokenizer,
            weight_bytes=facts.weight_bytes,
            config=facts.config,
            files=dict(sorted(folder.files.items())),
            passed_over=sorted(folder.passed_over),
        )

    def split(self, resource: str, split: str, source: RowsSource, files: Reader) -> LockedSplit:
        """Raises: OperationFailed: as `model`."""
        name = source.path if source.path is not None else source.remote.name if source.remote is not None else ""
        with RowCounter(name) as counter:
            commit, gated, file = None, False, None
            if source.remote is not None:
                commit, gated, file = self._read(source.remote, counter.take)
            elif source.path is not None:
                file = _local(source.path, files, counter.take)
            assert file is not None  # exactly one of the two
            return LockedSplit.sealed(
                resource=resource,
                split=split,
                source=source,
                commit=commit,
                gated=gated,
                sha256=file.sha256,
                bytes=file.bytes,
                rows=counter.rows(),
            )

    def image(self, image: str) -> LockedImage:
        """Raises: OperationFailed: as `model`."""
        self.display.begin(f"image {image}", None)
        return LockedImage.sealed(image=image, digest=Registry(fetcher=self.fetcher).digest(image))

    def address(self, file: RemoteFile, repository_kind: RepositoryKind) -> tuple[str, Signer]:
        """Where a file of a locked source is downloaded, and who signs the request."""
        if file.hugging_face is not None:
            repository = self.repository(repository_kind, file.hugging_face)
            return repository.address(file.hugging_face.revision, file.hugging_face.file), repository.sign
        if file.http is not None:
            return file.http.url, unsigned
        assert file.s3 is not None  # exactly one of the three
        bucket = self._bucket(file.s3)
        return bucket.address(""), bucket.sign

    def repository(self, kind: RepositoryKind, source: FromHuggingFace) -> Repository:
        return Repository(
            fetcher=self.fetcher, endpoint=self.endpoint, kind=kind, name=source.repository, token=self.token
        )

    def _bucket(self, source: FromS3) -> Bucket:
        credentials = self.credentials if credentials_may_go_to(source.endpoint) else None
        return Bucket(fetcher=self.fetcher, source=source, credentials=credentials)

    def _repository_folder(self, source: FromHuggingFace) -> _Folder:
        repository = self.repository("models", source)
        self.display.begin(f"{source.repository}@{source.revision}", None)
        meant = repository.revision(source.revision)
        listed = repository.files(meant.commit)
        wanted = [one for one in listed if is_loaded(one.path)]
        texts = FactTexts.of(one.path for one in wanted)
        files: dict[str, LockedFile] = {}
        for one in wanted:
            keep = texts.keep(one.path, one.bytes)
            if one.sha256 is None or keep is not None:
                self.display.begin(f"{source.repository}: {one.path}", one.bytes)
            files[one.path] = repository.locked(meant.commit, one, keep)
        return _Folder(
            files=files,
            texts=texts.texts(),
            passed_over=[one.path for one in listed if not is_loaded(one.path)],
            commit=meant.commit,
            gated=meant.gated,
            licence=meant.licence,
        )

    def _web_folder(self, source: FromHttp) -> _Folder:
        texts = FactTexts.of(source.files)
        files: dict[str, LockedFile] = {}
        for name in source.files:
            url, _ = self.address(file_of(RemoteModel(http=source), None, safe_name(name)), "models")
            self.display.begin(url, None)
            keep = texts.keep(name, None)
            files[name] = self.fetcher.digest(url, sink=keep, advance=self.display.advance)
        return _Folder(files=files, texts=texts.texts(), passed_over=[])

    def _bucket_folder(self, source: FromS3) -> _Folder:
        bucket = self._bucket(source)
        self.display.begin(source.uri, None)
        objects = {safe_name(name): size for name, size in sorted(bucket.objects().items())}
        texts = FactTexts.of(objects)
        files: dict[str, LockedFile] = {}
        for name, size in objects.items():
            if is_loaded(name):
                self.display.begin(f"{source.uri.rstrip('/')}/{name}", size)
                keep = texts.keep(name, size)
                files[name] = bucket.locked(name, size, self.display.advance, keep)
        passed_over = [name for name in objects if not is_loaded(name)]
        return _Folder(files=files, texts=texts.texts(), passed_over=passed_over)

    def _read(self, source: RemoteFile, keep: Keep) -> tuple[str | None, bool, LockedFile]:
        """The commit that was meant, where there is one, whether it is gated, and the file, read to its end."""
        if source.hugging_face is not None:
            return self._dataset_file(source.hugging_face, keep)
        if source.http is not None:
            self.display.begin(source.http.url, None)
            return None, False, self.fetcher.digest(source.http.url, sink=keep, advance=self.display.advance)
        assert source.s3 is not None  # exactly one of the three
        self.display.begin(source.s3.uri, None)
        return None, False, self._bucket(source.s3).locked("", None, self.display.advance, keep)

    def _dataset_file(self, source: HuggingFaceFile, keep: Keep) -> tuple[str, bool, LockedFile]:
        repository = self.repository("datasets", source)
        self.display.begin(f"{source.repository}@{source.revision}: {source.file}", None)
        meant = repository.revision(source.revision)
        found = next((one for one in repository.files(meant.commit) if one.path == source.file), None)
        if found is None:
            raise OperationFailed(
                f"repository `{source.repository}` has no file `{source.file}` at `{source.revision}`",
                help="correct the file's name",
                exit_code=Exit.FINDINGS,
            )
        return meant.commit, meant.gated, repository.locked(meant.commit, found, keep)


def _local(path: str, files: Reader, keep: Keep) -> LockedFile:
    fact = files.fact(path)
    if fact is None:
        raise OperationFailed(f"`{path}` is not in the project", exit_code=Exit.FINDINGS)
    keep(files.read(path))
    return LockedFile(sha256=fact.digest, bytes=fact.bytes)


def open_remote(sources: Sources, root: Path, display: ByteDisplay) -> Remote:
    """The outside world as a project's `sources` allow it. The token is read where the project says, else `HF_TOKEN`.

    Raises:
        OperationFailed: the secret that the project names is not there.
    """
    token = None
    if token_may_go_to(sources.hub.endpoint):
        token = _token(sources.hub.token, root)
    allowed = AllowList.of(sources.allowed_hosts)
    return Remote(
        fetcher=Fetcher(allowed=allowed),
        endpoint=sources.hub.endpoint,
        token=token,
        credentials=credentials_from_environment(),
        display=display,
    )


def _token(named: Secret | None, root: Path) -> SecretValue | None:
    import os

    if named is not None and named.kubernetes_secret is not None:
        raise OperationFailed(
            "the token of the Hugging Face Hub is in a cluster, and it is needed here",
            help="name a variable or a file in `Project.spec.sources.hub.token`",
            exit_code=Exit.FINDINGS,
        )
    if named is not None:
        return read_secret(named, root, purpose="the token of the Hugging Face Hub")
    if not os.environ.get("HF_TOKEN"):
        return None
    return read_secret(Secret(env="HF_TOKEN"), root, purpose="the token of the Hugging Face Hub")
