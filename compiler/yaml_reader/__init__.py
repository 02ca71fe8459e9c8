"""Read the bytes of one YAML file into located values and a list of problems.

Called by `compiler.passes.parse`, and by whatever else reads YAML that people wrote. Pure: bytes in, values out.

Promises, whatever the bytes are:
- no exception; every mistake is a `YamlProblem` with its place, and reading goes on as far as the text makes sense;
- bytes, depth and nodes are limited before memory is spent on them, and libyaml's own costs stay linear;
- scalars follow the YAML 1.2 core schema: `yes`, `off`, `1:30` and `1_000` are text, `012` is the integer 12;
- lines and columns are 1-based and count code points, a byte order mark aside. Lines end at LF, CR LF or CR only.

The parser is libyaml's, read as events by recursive descent: one pass, no node tree in between. Anchors, aliases,
merge keys, tags and directives are refused, since a reviewer must see a value where it is used.
"""

from __future__ import annotations

from compiler.yaml_reader.builder import MAX_DEPTH, MAX_NODES, read_yaml
from compiler.yaml_reader.model import MAX_PROBLEMS, YamlDocument, YamlFile, YamlProblem, YamlRule
from compiler.yaml_reader.text import MAX_BYTES

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "MAX_PROBLEMS",
    "YamlDocument",
    "YamlFile",
    "YamlProblem",
    "YamlRule",
    "read_yaml",
]
