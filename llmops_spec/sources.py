"""Where bytes come from that do not lie in the project: the Hugging Face Hub, object stores, web servers.

Models and datasets name these; `llmops lock` resolves them once, and compile reads what it wrote.
"""

from typing import Annotated, Final, Self, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from llmops_spec.base import SpecModel, exactly_one
from llmops_spec.secret import Secret, SecretHolder

HUB: Final = "https://huggingface.co"
"""The Hugging Face Hub, where a project names no other endpoint."""
REPOSITORY_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*$"
URL_PATTERN: Final = r"^https?://[^\s\\@#]+$"
HOST_PATTERN: Final = (
    r"^(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+"
    r"|[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$"
)
"""A leading dot takes in all below a name, which therefore has two labels at least: `.com` is no owner's."""
_NEVER: Final = r"/\\\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
"""In no part of a name: what parts it, a backslash, control characters, what turns or hides other text."""
_PART: Final = rf"([^.{_NEVER}]([^:{_NEVER}][^{_NEVER}]*)?|\.[^.:{_NEVER}][^{_NEVER}]*|\.\.[^{_NEVER}]+)"
"""One part of a name: not empty, not `.` or `..`, no drive's letter with its colon."""
NAME_BELOW_PATTERN: Final = rf"^{_PART}(/{_PART})*$"

Host: TypeAlias = Annotated[str, StringConstraints(pattern=HOST_PATTERN, max_length=300)]
RemoteName: TypeAlias = Annotated[str, StringConstraints(pattern=NAME_BELOW_PATTERN, max_length=512)]
"""Name of a file below a remote folder, and below the folder that it is put in: as it is, with no escapes."""


class FromHuggingFace(SpecModel):
    repository: str = Field(pattern=REPOSITORY_PATTERN, max_length=200)
    revision: str = Field(min_length=1, max_length=100, pattern=r"^[^\s?#%\\]+$")
    """Branch, tag or commit. `llmops lock` writes down the commit that it means."""


class FromHttp(SpecModel):
    """A folder of a web server that holds a model."""

    url: str = Field(pattern=URL_PATTERN, max_length=2000)
    """Address of the folder."""
    files: list[RemoteName] = Field(min_length=1, max_length=1000)
    """Names below it: a web server lists nothing."""


class FromS3(SpecModel):
    """A folder of an object store that speaks S3, which holds a model."""

    uri: str = Field(pattern=rf"^s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](/([^{_NEVER}]|/)*)?$", max_length=1200)
    """Bucket and key as they are, with no escapes: a blank is a blank."""
    endpoint: str | None = Field(default=None, pattern=URL_PATTERN, max_length=1000)
    """Address of the store. If absent, Amazon's in `region`. Keys go to a store only where `AWS_ENDPOINT_URL_S3` or
    `AWS_ENDPOINT_URL` names it too."""
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$", max_length=50)


class RemoteModel(SpecModel):
    """Exactly one of the alternatives."""

    hugging_face: FromHuggingFace | None = None
    http: FromHttp | None = None
    s3: FromS3 | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self


class HuggingFaceFile(FromHuggingFace):
    """A file of a dataset's repository."""

    file: RemoteName


class HttpFile(SpecModel):
    # as long as a folder's address and the longest name below it, with every character escaped
    url: str = Field(pattern=URL_PATTERN, max_length=8200)


class RemoteFile(SpecModel):
    """Exactly one of the alternatives."""

    hugging_face: HuggingFaceFile | None = None
    http: HttpFile | None = None
    s3: FromS3 | None = None
    """One object: the address is the object's own."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self)
        return self

    @property
    def name(self) -> str:
        """The file's name with its folders; its ending says the format."""
        if self.hugging_face is not None:
            return self.hugging_face.file
        if self.s3 is not None:
            return self.s3.uri
        return self.http.url.partition("?")[0] if self.http is not None else ""


class Hub(SecretHolder):
    endpoint: str = Field(default=HUB, pattern=URL_PATTERN, max_length=500)
    """A mirror that speaks the Hub's API, in place of the Hub."""
    token: Secret | None = None
    """For gated and private repositories. A mirror gets it only where `HF_ENDPOINT` names that mirror too."""


class Sources(SpecModel):
    """What `llmops lock` and `fetch` may reach."""

    allowed_hosts: list[Host] = Field(default_factory=list)
    """Hosts beside those of the Hub, Amazon S3 and the well-known registries: `models.example.com` by HTTPS,
    `.example.com` for all below it, `10.0.0.5:9000` for exactly this port, which may then be an inner address and
    plain HTTP."""
    hub: Hub = Field(default_factory=Hub)
