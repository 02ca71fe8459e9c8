"""Small data sets unlike each other, and an oracle: the contract that `check-data` would hold a project's rows to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmops.starting.columns import Wishes
from llmops.starting.start import Request, Started, start
from llmops.workspace import open_workspace
from llmops_runtime.data.contract import findings
from llmops_runtime.data.rows import NumberedRow, parse_rows
from llmops_spec.payloads.data import CheckDataPayload

Start = Callable[..., Started]


def csv_text(rows: Sequence[Mapping[str, object]], delimiter: str = ",") -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def json_lines(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def sentiment() -> str:
    """CSV with names that no template may use, and no ids."""
    goods = ["sturdy", "lovely", "quick", "bright"]
    bads = ["flimsy", "awful", "slow", "dim"]
    things = ["lamp", "chair", "kettle", "torch", "clock", "radio", "bench", "fan", "heater", "stool"]
    rows = [
        {"Review Text (en)": f"The {thing} is {word}, and I say so number {n}.", "Stars.given": stars, "größe": "M"}
        for n, thing in enumerate(things)
        for word, stars in [*((one, "pos") for one in goods), *((one, "neg") for one in bads)]
    ]
    return csv_text(rows)


def tickets() -> str:
    """JSONL of customers with several tickets each, personal data, numbers, and nested values."""
    kinds = {"billing": "the invoice is wrong", "outage": "nothing loads", "login": "my password fails"}
    rows = [
        {
            "ticket_id": f"T-{customer}-{number}",
            "customer_id": 1000 + customer,
            "body": f"Since day {customer} {said}, write to c{customer}.{number}@mail.example please",
            "priority_score": customer / 7,
            "open": customer % 2 == 0,
            "meta": {"agent": customer},
            "department": kind,
        }
        for customer in range(40)
        for number, (kind, said) in enumerate(kinds.items())
    ]
    return json_lines(rows)


def faq() -> str:
    """Questions with free-text answers that several of them share."""
    topics = ["a pass", "a locker", "the sauna", "a towel", "parking", "the café", "a lesson", "the slide"]
    asks = ["How do I get {}?", "What does {} cost?", "Is there {} for guests?", "Who do I ask about {}?",
            "May I reserve {}?", "When can I use {}?"]  # fmt: skip
    return json_lines(
        [
            {"question": ask.format(topic), "answer": f"At the desk we tell you everything about {topic}."}
            for topic in topics
            for ask in asks
        ]
    )


def spam() -> str:
    """Numeric labels, semicolons."""
    rows = [
        {"label": n % 2, "sms": f"{'win a prize' if n % 2 else 'see you at'} {n} {'now now' if n % 3 else 'today ok'}"}
        for n in range(120)
    ]
    return csv_text(rows, ";")


def japanese() -> str:
    """A script without spaces, and names without Latin letters."""
    kinds = {
        "天気": "明日の天気は晴れですか教えてください",
        "料理": "美味しいカレーの作り方を知りたいです",
        "交通": "駅までの電車は何時に出発しますか",
    }
    return json_lines(
        [{"文章": f"{text}その{n}番目の質問です", "分類": kind} for n in range(30) for kind, text in kinds.items()]
    )


_DATASETS = {
    "sentiment.csv": sentiment,
    "tickets.jsonl": tickets,
    "faq.jsonl": faq,
    "spam.csv": spam,
    "japanese.jsonl": japanese,
}


@pytest.fixture
def rows_of() -> Callable[[str], str]:
    """The content of one of the data sets, by its file name."""
    return lambda name: _DATASETS[name]()


@pytest.fixture
def contract_problems() -> Callable[[Path], list[str]]:
    return _contract_problems


@pytest.fixture
def begin(tmp_path: Path) -> Start:
    """Start a project in `tmp_path/project` from a file of this name and content."""

    def run(name: str, content: str | bytes, /, *, folder: str = "project", **wishes: Any) -> Started:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        named = {key: wishes.pop(key) for key in ("task", "input", "target", "item", "cluster") if key in wishes}
        return start(Request(folder=tmp_path / folder, data=path, wishes=Wishes(**named), **wishes))

    return run


def _contract_problems(project: Path) -> list[str]:
    """What `validate` and `check-data` would say of a project."""
    import yaml

    compilation = open_workspace(project).compile()
    said = [one.message for one in (*compilation.findings, *compilation.denials)]
    for document in yaml.safe_load_all((project / "data.yaml").read_text()):
        said += _row_problems(project, document["spec"])
    return said


def _row_problems(project: Path, spec: dict[str, Any]) -> list[str]:
    payload = CheckDataPayload.model_validate(
        {
            "columns": spec["columns"],
            "splits": {
                name: {
                    "rows": {"ref": f"store://{'0' * 64}/rows"},
                    "declaredRows": one["rows"],
                    "declaredClusters": one.get("clusters"),
                }
                for name, one in spec["splits"].items()
            },
            "itemColumn": spec.get("itemColumn"),
            "clusterColumn": spec.get("clusterColumn"),
            "inputColumns": spec.get("inputColumns", []),
            "targetColumn": spec.get("targetColumn"),
            "recipe": 1,
            "formatVersion": 1,
        }
    )
    splits: dict[str, list[NumberedRow]] = {}
    said: list[str] = []
    for name, one in spec["splits"].items():
        parsed = list(parse_rows((project / one["path"]).read_bytes(), file_format="jsonl", columns=payload.columns))
        splits[name] = [row for row in parsed if isinstance(row, NumberedRow)]
        said += [f"{name} {row.line}: {row.message}" for row in parsed if not isinstance(row, NumberedRow)]
    return said + [one.sentence() for one in findings(payload, splits)]
