"""Which llmops a pipeline installs, and from where: a file that the repository owns.

Rendered once, by `llmops compile --ci` where there is none, and then held by `llmops validate` against the version
that renders the pipeline. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from backends.ci.paths import REQUIREMENTS

_EXAMPLES: Final = """\
# Which llmops the pipeline installs, and from where. Say it in one of these ways, and commit this file.
# A public index may hold a stranger's package of the same name, so nothing is taken from one unless you say so.
#
# An index that you trust:
#   --index-url https://packages.example.com/simple
#   llmops=={version}
# A release, with its digest (`pip hash FILE` prints it):
#   llmops @ https://packages.example.com/llmops-{version}-py3-none-any.whl#sha256=...
# A wheel in this repository:
#   ./wheels/llmops-{version}-py3-none-any.whl
"""
_KNOWN: Final = """\
# Which llmops the pipeline installs, and from where: what this file was rendered with. It is yours to change.
llmops @ {origin}
"""
_VERSION: Final = re.compile(r"llmops(?:\[[^]]*\])?\s*==\s*([^\s;#]+)|/llmops-([^-/]+)-[^/]*\.whl")


def first_requirements(version: str, *, origin: str | None) -> bytes:
    """The file to begin with. `origin` is the address, with its digest, that this llmops was installed from."""
    return (_KNOWN.format(origin=origin) if origin is not None else _EXAMPLES.format(version=version)).encode()


def requirements_fault(text: str | None, *, version: str) -> str | None:
    """What is wrong with the file, as a sentence; None where a pipeline of this version can install from it."""
    lines = [line.strip() for line in (text or "").splitlines()]
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    if not wanted:
        return f"`{REQUIREMENTS}` does not say where llmops comes from"
    found = [one or other for one, other in _VERSION.findall("\n".join(wanted))]
    if found and version not in found:
        return f"`{REQUIREMENTS}` names version {found[0]} of llmops, and the pipeline was rendered by {version}"
    return None
