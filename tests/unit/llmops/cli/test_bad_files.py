"""Spec files and the files that they name, at fault in every way: one finding with its place, and what to do."""

import os

import pytest

from llmops.errors import Exit

from .conftest import HEAD, Command

_SPLIT = "{path: data/train.jsonl, rows: 3}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ["missing-project", "llmops.yaml"]),
        (b"# nothing but a comment\n", ["missing-project", "llmops.yaml"]),
        (b"\x00\x01\xff\xfe", ["not-utf8", "llmops.yaml:1:"]),
        (b"- a\n- b\n", ["wrong-type", "llmops.yaml:1:1", "mapping"]),
        (b"kind: [Project\n", ["yaml-syntax", "llmops.yaml:"]),
        (b"apiVersion: v1\nkind: ConfigMap\n", ["foreign-document", "exclude"]),
        (HEAD.encode() + b"kind: Projekt\nmetadata: {name: rows}\n", ["unknown-kind", "`Project`"]),
        (HEAD.encode() + b"kind: Project\nmetadata: {name: rows}\nspec: {exclude: [../up]}\n", ["`../up`"]),
    ],
)
def test_a_project_file_that_is_none(rows: Command, content: bytes, said: list[str]) -> None:
    sound = (rows.root / "llmops.yaml").read_bytes()
    rows.write({"llmops.yaml": content})
    rows("validate", code=Exit.FINDINGS).says(*said)
    rows.write({"llmops.yaml": sound})
    rows("validate")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF\x00\xff\xfe\x80", ["not-utf8", "dataset.yaml:1:"]),
        (b"apiVersion: apps/v1\nkind: Deployment\n", ["foreign-document", "dataset.yaml:1:13", "exclude"]),
        (b"apiVersion: llmops.dev/v9\nkind: Dataset\nmetadata: {name: rows}\n", ["foreign-document", "llmops.dev/v9"]),
        (HEAD.encode() + b"kind: Dataste\nmetadata: {name: rows}\n", ["unknown-kind", "dataset.yaml:2:7", "`Dataset`"]),
        (b"just text\n", ["wrong-type", "dataset.yaml:1:1"]),
        (b"a: b: c\n", ["yaml-syntax", "dataset.yaml:1:"]),
        (HEAD.encode() + b"kind: Dataset\nmetadata: {name: rows}\nspec: &a {x: 1}\n", ["yaml-anchor"]),
        (HEAD.encode() + b"kind: Dataset\nmetadata: {name: Rows Of Us}\nspec: {columns: {a: {}}, splits: {train: "
         + _SPLIT.encode() + b"}}\n", ["invalid-value", "dataset.yaml:3:", "lower-case"]),
        (b"\xef\xbb\xbf" + b"x" * (1 << 20) + b"\n", ["yaml-too-large"]),
    ],
    ids=["binary", "foreign", "newer", "kind", "text", "syntax", "anchor", "name", "large"],
)  # fmt: skip
def test_a_spec_file_that_cannot_be_used_is_one_finding_and_says_nothing_of_what_names_it(
    quickstart: Command, content: bytes, said: list[str]
) -> None:
    """Models, trainings and evaluations name the datasets of this file: of them nothing is said."""
    name = "support" if b"rows" in content else "any"
    (quickstart.root / "data.yaml").rename(quickstart.root / "dataset.yaml")
    sound = (quickstart.root / "dataset.yaml").read_bytes()
    first, _, others = sound.partition(b"---\n")
    assert b"name: support\n" in first
    quickstart.write({"dataset.yaml": content.replace(b"name: rows", b"name: " + name.encode()), "corpus.yaml": others})
    known = b"foreign-document" not in b"".join(one.encode() for one in said) or b"llmops.dev" in content
    ended = quickstart("validate", code=Exit.FINDINGS)
    if known:
        ended.says(*said)
    else:  # a document of somebody else's is no dataset of ours
        assert "foreign-document" in ended.out
        assert "`support` is not defined" in ended.out
    quickstart.write({"dataset.yaml": sound, "corpus.yaml": "# empty\n"})
    quickstart("validate")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rows: 3", 'rows: "3"', ["wrong-type", "dataset.yaml:9:50", "a whole number"]),
        ("rows: 3", "rows: 3.5", ["wrong-type", "a whole number"]),
        ("rows: 3", "rows: 0", ["invalid-value", "at least 1"]),
        ("rows: 3", "rows: ", ["wrong-type", "empty"]),
        ("rows: 3", "rows: yes", ["wrong-type", "`yes`"]),
        ("columns: {question: {}, answer: {}}", "columns: []", ["wrong-type", "a mapping", "a list"]),
        ("licence: Apache-2.0", "licence: [Apache-2.0]", ["wrong-type", "text", "a list"]),
        ("licence: Apache-2.0", "licence: 2", ["wrong-type", "text", "`2`"]),
        ("inputColumns: [question]", "inputColumns: question", ["wrong-type", "a list", "`question`"]),
        ("targetColumn: answer", "targetColumn: anwser", ["unknown-column", "`answer`"]),
        ("data/train.jsonl", "data/trian.jsonl", ["missing-file", "data/trian.jsonl", "dataset.yaml:9:"]),
        ("data/train.jsonl", "../train.jsonl", ["../train.jsonl", "dataset.yaml:9:"]),
        ("data/train.jsonl", "data", ["unsupported-data-format", "`data`", "dataset.yaml:9:"]),
        ("metadata: {name: rows, owner: us}", "metadata: {owner: us}", ["missing-field", "metadata.name"]),
        ("kind: Dataset", "kind: Dataset\nkind: Dataset", ["duplicate-key", "dataset.yaml:3:1"]),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_finding_at_its_place(rows: Command, old: str, new: str, said: list[str]) -> None:
    sound = (rows.root / "dataset.yaml").read_text()
    rows.edit("dataset.yaml", old, new)
    rows("validate", code=Exit.FINDINGS).says("dataset.yaml", *said)
    rows("apply", "--env", "local", code=Exit.FINDINGS).says(*said)
    assert not (rows.root / ".llmops" / "store").exists()
    rows.write({"dataset.yaml": sound})
    rows("validate")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("service.yaml", "model: support-lora", "model: suport-lora", ["unknown-reference", "`support-lora`"]),
        ("training.yaml", "base: tiny-llama", "base: support-base", ["reference-cycle", "training.yaml:5:9"]),
        ("models.yaml", "chatTemplate: chat.jinja", "chatTemplate: none.jinja", ["none.jinja", "models.yaml:"]),
        ("service.yaml", "kind: Service", "kind: Sevrice", ["unknown-kind", "`Service`"]),
    ],
)
def test_what_the_graph_shows(quickstart: Command, file: str, old: str, new: str, said: list[str]) -> None:
    quickstart.edit(file, old, new)
    quickstart("validate", code=Exit.FINDINGS).says(*said)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, ["missing-file", "`weights`", "config.json"]),
        ({"weights/config.json": "{}"}, ["missing-weights", "`weights`"]),
        ({"weights/config.json": "{}", "weights/pytorch_model.bin": "pickle"}, ["unsafe-weights", "pytorch_model.bin"]),
    ],
    ids=["no folder", "no weights", "pickled"],
)
def test_a_model_folder(rows: Command, files: dict[str, str], said: list[str]) -> None:
    spec = "spec: {licence: MIT, contextLength: 64, from: {path: weights}}\n"
    model = f"kind: Model\nmetadata: {{name: ours, owner: us}}\n{spec}"
    rows.write({"model.yaml": HEAD + model, **files})
    rows("validate", code=Exit.FINDINGS).says(*said)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("file", ["llmops.yaml", "dataset.yaml", "data/train.jsonl"])
def test_a_file_that_may_not_be_read(rows: Command, file: str) -> None:
    (rows.root / file).chmod(0)
    rows("validate", code=Exit.FINDINGS).says(file)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", ["line 2", "character 2"]),
        ("[1, 2]", ["line 2"]),
        ('{"question": "q"}', ["line 2", "answer"]),
        ('{"question": "q", "answer": "a", "more": 1}', ["line 2", "more"]),
        ('{"question": 1, "answer": "a"}', ["line 2", "question"]),
        ("\udcff\udcfe", ["line 2"]),
    ],
)
def test_rows_that_do_not_fit_fail_the_check_and_the_next_run_goes_on(
    rows: Command, line: str, said: list[str]
) -> None:
    path = rows.root / "data" / "train.jsonl"
    sound = path.read_bytes()
    lines = sound.splitlines()
    path.write_bytes(b"\n".join([lines[0], line.encode(errors="surrogateescape"), *lines[2:]]) + b"\n")

    rows("apply", "--env", "local", code=Exit.STEP_FAILED).says("check-data/rows", *said)

    path.write_bytes(sound)
    rows("apply", "--env", "local")


def test_fewer_rows_than_declared_fail_the_check(rows: Command) -> None:
    rows.edit("dataset.yaml", "rows: 3", "rows: 4")
    rows("apply", "--env", "local", code=Exit.STEP_FAILED).says("check-data/rows", "3", "4")
