"""Names stay distinct and texts stay texts, whatever a spec says (T54, T59)."""

from __future__ import annotations

import io

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from backends.kubernetes.names import digest_name, plain_name
from compiler.yaml_writer import Noted, write_yaml

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?", fullmatch=True)
roles = st.sampled_from(["engine", "gateway"])
digests = st.text("0123456789abcdef", min_size=8, max_size=64)

HOSTILE = [
    "$(id)",
    "`id`",
    "x'; id; '",
    "x\nEOF\nid",
    "x\nspec:\n  hostNetwork: true",
    'x"\nkind: ClusterRoleBinding',
    "a\n---\nkind: Pod\n",
    "a: b",
    "# no comment",
    "- item",
    "!!python/object/apply:os.system [id]",
    "*alias",
    "&anchor",
    "{{ evil }}",
    "${{ toJSON(secrets) }}",
    "yes",
    "0o14",
    "1:30",
    "1_000",
    "2026-01-01",
    "NULL",
    "~",
    "",
    " x ",
    "\u202egnp.exe",
    "\u2028\u0085\x01\x7f",
    "\U0001f600 é 中文",
    "''' + __import__('os').system('id') + '''",
    "\\",
    "\\n\"'",
    "line one\nline two\n",
    "line one\n\nline two\n\n",
    " indented\nblock\n",
    "trailing \nblank\n",
    "tab\there\nblock\n",
]


def _encodable(value):
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


texts = st.one_of(st.sampled_from(HOSTILE), st.text(), st.text("ab \n\t:#-'\"{}", max_size=20))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=20,
)
encodable = st.dictionaries(texts, values, min_size=1, max_size=5).filter(_encodable)


@given(st.lists(st.tuples(names, roles, digests), max_size=20, unique=True))
def test_names_are_valid_short_and_distinct(paths):
    made = [digest_name(resource, role, content=content) for resource, role, content in paths]
    made += list({(resource, role): plain_name(resource, role) for resource, role, _ in paths}.values())
    assert len(set(made)) == len(made)
    for name in made:
        assert len(name) <= 63
        assert name == name.lower()
        assert name[0].isalpha()
        assert name[-1].isalnum()
        assert all(one.isalnum() or one == "-" for one in name)


def test_names_that_could_meet_do_not():
    assert plain_name("a", "engine") == "a-engine"
    assert plain_name("1a", "engine") != plain_name("x-1a", "engine")
    assert plain_name("x" * 50, "gateway") == "x" * 50 + "-gateway"


@settings(max_examples=100)
@given(encodable)
def test_what_is_written_is_read_back_by_every_reader(document):
    text = write_yaml(document)
    assert text == write_yaml(document)
    assert yaml.load(text, Loader=yaml.CSafeLoader) == document
    loaded = YAML(typ="safe", pure=True).load(io.BytesIO(text))
    assert loaded == document


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_adds_no_line_of_structure(text):
    plain = write_yaml({"kind": "Pod", "value": "harmless"}).decode().splitlines()
    written = write_yaml({"kind": "Pod", "value": text}).decode().splitlines()
    assert written[0] == plain[0]
    assert all(line.startswith(("value:", "  ")) or not line for line in written[1:])
    assert not any(one in "\n".join(written) for one in "\u202e\u2028\x01\x7f\x85")


def test_a_note_is_a_comment():
    text = write_yaml({"uses": Noted(text="a/b@c", note="v1")}, heading=["written by a machine"]).decode()
    assert text == '# written by a machine\nuses: "a/b@c" # v1\n'
    assert yaml.safe_load(text) == {"uses": "a/b@c"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_no_object_but_its_own_value(new_spec, staging, schema_errors, text):
    spec = new_spec()
    spec.set("Service", "support", "metadata.annotations", {"note": text})
    spec.set("Service", "support", "metadata.owner", f"x{text}")
    spec.set("Prompt", "support-answer", "spec.messages.0.content", f"x{text}")
    spec.set("Environment", "staging", "spec.images.runtime", f"x{text}")
    spec.set("Service", "support", "spec.smoke", {"question": text})
    compiled = spec.compile()
    assert compiled.errors == []
    assert _shape(compiled) == _shape(staging)
    assert [error for body in (*compiled.jobs, *compiled.standing) for error in schema_errors(body, "1.34")] == []
    for path, data in compiled.files.items():
        found = list(yaml.load_all(data, Loader=yaml.CSafeLoader))
        assert len(found) == 1, path


def _shape(compiled):
    return [
        (one["apiVersion"], one["kind"], sorted(one), sorted(one.get("spec", {})))
        for one in (*compiled.jobs, *compiled.standing)
    ]
