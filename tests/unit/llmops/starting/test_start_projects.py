"""Projects from rows unlike each other validate, and their rows hold the contract that they declare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmops.errors import Exit, OperationFailed
from llmops.starting.start import Request, project_name, start

NAMES = ["sentiment.csv", "tickets.jsonl", "faq.jsonl", "spam.csv", "japanese.jsonl"]


def documents(project: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (one["kind"], one["metadata"]["name"]): one["spec"]
        for path in project.rglob("*.yaml")
        for one in yaml.safe_load_all(path.read_text())
    }


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_a_project_validates_and_its_rows_hold_their_contract(begin, rows_of, contract_problems, tmp_path, name):
    begin(name, rows_of(name))
    assert contract_problems(tmp_path / "project") == []


def test_the_contract_oracle_notices(begin, rows_of, contract_problems, tmp_path):
    begin("tickets.jsonl", rows_of("tickets.jsonl"))
    path = tmp_path / "project" / "data" / "heldout.jsonl"
    path.write_bytes((tmp_path / "project" / "data" / "train.jsonl").read_bytes())
    assert any("also stands in" in one for one in contract_problems(tmp_path / "project"))


def test_the_starter_project_needs_no_rows(contract_problems, tmp_path):
    made = start(Request(folder=tmp_path / "My Shop"))
    assert contract_problems(tmp_path / "My Shop") == []
    assert (made.identity.name, made.columns.task, made.kept.cluster) == ("my-shop", "label", "group")
    assert made.carried.units == "50 clusters"
    assert len(made.labels) == 5


@pytest.mark.parametrize(
    ("name", "roles", "task"),
    [
        ("sentiment.csv", ("Review Text (en)", "Stars.given", None, None), "label"),
        ("tickets.jsonl", ("body", "department", "ticket_id", "customer_id"), "label"),
        ("faq.jsonl", ("question", "answer", None, None), "answer"),
        ("spam.csv", ("sms", "label", None, None), "label"),
        ("japanese.jsonl", ("文章", "分類", None, None), "label"),
    ],
)
def test_columns_are_recognised(begin, rows_of, name, roles, task):
    found = begin(name, rows_of(name)).columns
    assert (found.input, found.target, found.item, found.cluster) == roles
    assert found.task == task
    assert all(found.reasons[role] for role in ("input", "target", "item", "cluster"))


def test_columns_that_no_template_may_use_are_renamed(begin, rows_of, tmp_path):
    made = begin("sentiment.csv", rows_of("sentiment.csv"))
    assert made.kept.names == {"Review Text (en)": "review_text_en", "Stars.given": "stars_given", "größe": "groe"}
    prompt = documents(tmp_path / "project")["Prompt", "project-prompt"]
    assert prompt["messages"][1]["content"] == "{{ review_text_en }}"
    assert prompt["output"]["labels"] == ["neg", "pos"]


def test_names_without_latin_letters_get_their_role(begin, rows_of):
    assert begin("j.jsonl", rows_of("japanese.jsonl")).kept.names == {"文章": "input", "分類": "target"}


@pytest.mark.parametrize("name", ["loop", "true", "in", "self", "_x", "if", "2nd", "a b", "a.b", "x" * 60, "None"])
def test_every_name_works_as_an_input(begin, contract_problems, tmp_path, name):
    begin(
        "rows.jsonl",
        "".join(json.dumps({name: f"some words of row {n}", "label": "ab"[n % 2]}) + "\n" for n in range(40)),
        input=name,
        target="label",
    )
    assert contract_problems(tmp_path / "project") == []


def test_clusters_stay_whole_and_every_label_is_on_both_sides(begin, rows_of, tmp_path):
    begin("tickets.jsonl", rows_of("tickets.jsonl"))
    train, heldout = (read(tmp_path / "project" / "data" / f"{one}.jsonl") for one in ("train", "heldout"))
    assert {row["customer_id"] for row in train}.isdisjoint(row["customer_id"] for row in heldout)
    assert {row["department"] for row in train} == {row["department"] for row in heldout}
    assert 0.2 <= len(heldout) / (len(train) + len(heldout)) <= 0.5


def test_types_are_kept_but_for_what_must_be_text(begin, rows_of, tmp_path):
    begin("tickets.jsonl", rows_of("tickets.jsonl"))
    spec = documents(tmp_path / "project")["Dataset", "project"]
    assert {name: one.get("type", "string") for name, one in spec["columns"].items()} == {
        "ticket_id": "string",
        "customer_id": "string",
        "body": "string",
        "priority_score": "number",
        "open": "boolean",
        "department": "string",
    }
    row = read(tmp_path / "project" / "data" / "train.jsonl")[0]
    assert isinstance(row["open"], bool)
    assert isinstance(row["customer_id"], str)


def test_nested_values_are_left_out_and_named(begin, rows_of):
    made = begin("tickets.jsonl", rows_of("tickets.jsonl"))
    assert made.table.nested == {"meta": 120}
    assert "meta" not in made.kept.columns


def test_personal_data_are_marked_and_redacted(begin, rows_of, tmp_path):
    made = begin("tickets.jsonl", rows_of("tickets.jsonl"))
    found = documents(tmp_path / "project")
    assert made.kept.personal == ["body"]
    assert found["Dataset", "project"]["columns"]["body"] == {"personalData": True}
    assert found["Dataset", "project"]["transforms"] == [{"redact": {"columns": ["body"]}}]
    assert found["Dataset", "project-corpus"]["transforms"] == [{"redact": {"columns": ["text"]}}]
    assert "@" not in found["Service", "project"]["smoke"]["body"]


def test_rows_that_differ_by_personal_data_alone_are_one(begin):
    rows = [{"text": f"please write to me{n}@mail.example about it", "label": "mail"} for n in range(10)] + [
        {"text": f"some other words {n}", "label": ["mail", "post"][n % 2]} for n in range(40)
    ]
    made = begin("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert made.kept.left_out == {"repeat another row": 9}


def test_clusters_that_are_addresses_are_written_as_numbers(begin, contract_problems, tmp_path):
    rows = [
        {"user": f"u{n % 20}@mail.example", "text": f"some words of row {n}", "label": "ab"[n % 2]} for n in range(80)
    ]
    made = begin("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert made.kept.cluster == "user"
    assert contract_problems(tmp_path / "project") == []
    assert "@" not in (tmp_path / "project" / "data" / "train.jsonl").read_text()


def test_ids_that_are_addresses_are_not_ids(begin, contract_problems, tmp_path):
    rows = [{"id": f"u{n}@mail.example", "text": f"some words {n}", "label": "ab"[n % 2]} for n in range(40)]
    made = begin("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert (made.columns.item, made.kept.item) == ("id", None)
    assert contract_problems(tmp_path / "project") == []


def test_labels_that_are_addresses_are_refused(begin, tmp_path):
    rows = [{"text": f"some words {n}", "label": f"agent{n % 2}@mail.example"} for n in range(40)]
    with pytest.raises(OperationFailed, match="the labels in `label` are e-mail addresses"):
        begin("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert not (tmp_path / "project").exists()


def test_what_is_left_out_is_counted(begin):
    rows = [{"id": n, "text": f"some words {n}", "label": "ab"[n % 2]} for n in range(60)]
    rows += [rows[0], {**rows[1], "id": 900}]
    rows += [{"id": 901, "text": " ", "label": "a"}, {"id": 902, "text": "no label here", "label": None}]
    rows += [{"id": 903, "text": "word " * 500, "label": "a"}, {"id": 904, "text": "SOME  words 2", "label": "b"}]
    made = begin("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert made.kept.left_out == {
        "repeat another row": 2,
        "have no `text`": 1,
        "have no `label`": 1,
        "are too long (at most 2000 bytes in, 1000 out)": 1,
    }
    assert made.kept.item == "id"
    assert made.kept.conflicting == 2
    assert made.kept.cluster == "input_group"  # two rows have one input


def test_a_huge_cell_leaves_its_row_out(begin):
    rows = "text,label\n" + "".join(f"some words {n},{'ab'[n % 2]}\n" for n in range(40)) + f"{'x' * 1_000_000},a\n"
    assert begin("rows.csv", rows).kept.left_out == {"are too long (at most 2000 bytes in, 1000 out)": 1}


def test_the_order_of_rows_changes_no_split(begin, rows_of, tmp_path):
    lines = rows_of("tickets.jsonl").splitlines(keepends=True)
    begin("one.jsonl", "".join(lines), folder="one", name="same")
    begin("two.jsonl", "".join(reversed(lines)), folder="two", name="same")
    one, two = (
        sorted((tmp_path / name / "data" / "heldout.jsonl").read_text().splitlines()) for name in ("one", "two")
    )
    assert one == two


def test_the_corpus_holds_no_pair_and_nothing_held_out(begin, rows_of, tmp_path):
    begin("faq.jsonl", rows_of("faq.jsonl"))
    data = tmp_path / "project" / "data"
    corpus = {row["text"] for row in read(data / "corpus.jsonl")}
    train, heldout = read(data / "train.jsonl"), read(data / "heldout.jsonl")
    assert corpus == {row["question"] for row in train} | {row["answer"] for row in train}
    assert corpus.isdisjoint(row["question"] for row in heldout)


def test_gates_compare_with_what_they_must_beat(begin, rows_of, tmp_path):
    begin("spam.csv", rows_of("spam.csv"), folder="labels", floor=0.66)
    begin("faq.jsonl", rows_of("faq.jsonl"), folder="answers")
    labels, answers = documents(tmp_path / "labels"), documents(tmp_path / "answers")
    assert labels["Gate", "labels-quality"]["criteria"] == [
        {"metric": "label-accuracy", "betterThan": {"constant": "majority-class"}},
        {"metric": "label-accuracy", "atLeast": 0.66},
    ]
    assert answers["Gate", "answers-quality"]["criteria"] == [
        {"metric": "rouge-l", "betterThan": {"model": "answers-base"}}
    ]


def test_budgets_hold_the_longest_row_in_bytes(begin, tmp_path):
    rows = [{"text": f"{'ü' * 150} {n}", "label": "ab"[n % 2]} for n in range(40)]
    begin("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows), input="text")
    found = documents(tmp_path / "project")
    assert found["Prompt", "project-prompt"]["variables"]["text"]["maxTokens"] >= 303
    assert found["Model", "project-tiny"]["contextLength"] >= 303 + 2
    rail = found["Guardrail", "project-rails"]["input"][0]
    assert 153 <= rail["maxLength"]["characters"] < len(rail["canary"])


def test_options_overrule_what_is_recognised(begin, rows_of, tmp_path):
    made = begin(
        "tickets.jsonl", rows_of("tickets.jsonl"),
        task="label", input="body", target="open", owner="desk", licence="MIT", name="t2",
    )  # fmt: skip
    assert (made.columns.input, made.columns.target) == ("body", "open")
    assert made.labels == ["false", "true"]
    spec = documents(tmp_path / "project")
    assert spec["Dataset", "t2"]["licence"] == "MIT"


def test_held_out_answers_that_training_lacks_are_told(begin):
    rows = [{"question": f"what about thing {n}?", "answer": f"thing {n} is fine, we think"} for n in range(60)]
    assert begin("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).known_answers == 0


def test_a_floor_out_of_reach_is_refused_with_the_number(begin, rows_of, tmp_path):
    with pytest.raises(OperationFailed, match=r"at most 0\.9\d can be shown by them, so a floor of 0.99") as told:
        begin("spam.csv", rows_of("spam.csv"), floor=0.99)
    assert "bring at least" in told.value.help
    assert not (tmp_path / "project").exists()


def test_more_is_held_out_where_a_gate_needs_it(begin):
    rows = [{"text": f"some words {n}", "label": "ab"[n % 2]} for n in range(40)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    assert len(begin("a.jsonl", text, folder="a", floor=0.8).carried.split.heldout) == 16
    assert len(begin("b.jsonl", text, folder="b", floor=0.85).carried.split.heldout) == 20


def test_a_licence_that_policies_refuse_is_refused(begin, rows_of, tmp_path):
    with pytest.raises(OperationFailed, match="licence"):
        begin("spam.csv", rows_of("spam.csv"), licence="unknown")
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("name", ["Shop", "a" * 41, "", "a/b", "-a"])
def test_an_unfit_name_is_refused(begin, rows_of, name):
    with pytest.raises(OperationFailed, match="cannot name a project"):
        begin("spam.csv", rows_of("spam.csv"), name=name)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My Shop!", "my-shop"), ("été", "ete"), ("質問", "project"), ("x" * 80, "x" * 40), ("-", "project")],
)
def test_a_folder_names_its_project(folder, name):
    assert project_name(folder) == name


def test_a_folder_that_holds_something_is_refused(begin, rows_of, tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "mine.txt").write_text("precious")
    with pytest.raises(OperationFailed, match="is not empty: it holds `mine"):
        begin("spam.csv", rows_of("spam.csv"))
    assert [one.name for one in (tmp_path / "project").iterdir()] == ["mine.txt"]


def test_an_empty_folder_and_a_fresh_repository_are_filled(begin, rows_of, contract_problems, tmp_path):
    (tmp_path / "project" / ".git").mkdir(parents=True)
    inode = (tmp_path / "project").stat().st_ino
    begin("spam.csv", rows_of("spam.csv"))
    assert (tmp_path / "project").stat().st_ino == inode  # a shell that stands in it sees the files
    assert contract_problems(tmp_path / "project") == []
    assert not list((tmp_path / "project").glob(".llmops*"))


def test_a_folder_that_cannot_be_made_is_told(begin, rows_of, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OperationFailed, match=r"cannot be (read|written)|is a file"):
        begin("spam.csv", rows_of("spam.csv"), folder="file/project")


def test_nothing_is_left_when_the_project_would_not_validate(begin, rows_of, tmp_path):
    with pytest.raises(OperationFailed):
        begin("spam.csv", rows_of("spam.csv"), licence="none")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["spam.csv"]


HOSTILE = {
    "empty.jsonl": (b"", "holds no rows"),
    "empty.csv": (b"", "holds no rows"),
    "header.csv": (b"text,label\n", "holds no rows"),
    "binary.csv": (bytes(range(256)), "is not text"),
    "latin.csv": ("text,label\ncafé,a\n".encode("latin-1"), "is not UTF-8 text"),
    "wide.csv": ("text,label\nhello,a\n".encode("utf-16"), "is UTF-16"),
    "wide.jsonl": ('{"text": "a"}'.encode("utf-16-le"), "is not text"),
    "ragged.csv": (b"text,label\na,b\na,b,c\n", "line 3 has 3 values, and the header 2"),
    "quotes.csv": (b'text,label\n"a,b\n', "is not CSV"),
    "twice.csv": (b"text,text\na,b\n", "empty or repeated names"),
    "twice.jsonl": (b'{"a": 1, "a": 2}\n', "line 1 is not a row: it names `a` twice"),
    "nan.jsonl": (b'{"text": "a", "score": NaN}\n', "line 1 is not a row: `NaN` is not a JSON number"),
    "huge.jsonl": (b'{"text": "a", "score": 1e999}\n', "column `score` holds a number that is too large"),
    "half.jsonl": (b'{"text": "\\ud800"}\n', "half of a surrogate pair"),
    "nul.jsonl": (b'{"text": "a\\u0000"}\n', "holds a NUL character"),
    "deep.jsonl": (b'{"text": ' + b"[" * 100_000 + b"}\n", "line 1 is not a row"),
    "array.json": (b'[{"text": "a"}]', "is one JSON array"),
    "scalar.jsonl": (b"3\n", "line 1 is not a JSON object"),
    "table.xlsx": (b"PK", "is neither a `.jsonl` nor a `.csv` file"),
    "three.csv": (b"text,label\nsome words,a\nother words,b\nmore words,a\n", "no column can be told"),
    "equal.csv": (b"text,label\n" + b"some words,a\n" * 50, "no column can be told"),
    "column.csv": (b"text\n" + b"".join(b"some words %d\n" % n for n in range(50)), "no column can be told"),
    "numbers.csv": (b"a,b\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in range(50)), "to be the input text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_a_sentence(begin, tmp_path, name):
    content, said = HOSTILE[name]
    with pytest.raises(OperationFailed) as told:
        begin(name, content)
    assert said in told.value.what
    assert "\n" not in told.value.what
    assert told.value.exit_code == Exit.FINDINGS
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(OperationFailed, match="cannot be read: No such file"):
        start(Request(folder=tmp_path / "project", data=tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"target": "nothing"}, "there is no column `nothing`"),
        ({"input": "sms", "target": "sms"}, "`sms` is asked to be two things"),
        ({"item": "label"}, "`label` cannot be the item id"),
        ({"task": "label", "target": "sms"}, "`sms` has 120 different values; a label has at most 100"),
    ],
)
def test_wishes_that_cannot_be_are_refused(begin, rows_of, wishes, said):
    with pytest.raises(OperationFailed, match=said):
        begin("spam.csv", rows_of("spam.csv"), **wishes)


def test_three_rows_can_show_nothing(begin):
    with pytest.raises(OperationFailed, match="too few to show anything") as told:
        begin("r.csv", b"text,label\nsome words,a\nother words,b\nmore words,a\n", target="label", task="label")
    assert told.value.help.startswith("bring at least 10 rows")


def test_two_hundred_labels_are_refused(begin):
    rows = "text,label\n" + "".join(f"some words {n},l{n % 200}\n" for n in range(2000))
    with pytest.raises(OperationFailed, match="200 different values; a label has at most 100"):
        begin("rows.csv", rows, task="label", target="label")
