"""The prediction of each row of a table. Called by `llmops size batch`.

A row never stops the others: what cannot be read gives the verdict `unknown`, with the reason under `missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from compiler.diagnostics.suggestions import did_you_mean
from llmops.sizing.cells import UnreadableCellError
from llmops.sizing.rows import Row
from llmops.sizing.serving_rows import predict_serving, predict_throughput
from llmops.sizing.subjects import Subject, UnknownSubjectError, find_subject
from llmops.sizing.training_rows import predict_training

OUTPUT_COLUMNS: Final = (
    "verdict",
    "weights_gib_per_gpu",
    "budget_gib",
    "available_kv_gib",
    "kv_tokens",
    "max_concurrency",
    "margin_gib",
    "peak_gib_low",
    "peak_gib",
    "peak_gib_high",
    "dominant_term",
    "output_tok_s_low",
    "output_tok_s_high",
    "total_tok_s_low",
    "total_tok_s_high",
    "regime",
    "missing",
)

_IN_ARITHMETIC: Final = (ArithmeticError, LookupError, TypeError, ValueError)
"""What arithmetic over the facts of a stranger's configuration may end in. Readers bound each fact; should a
combination of them fail nevertheless, it costs its own row, and no other."""

_Predict = Callable[[Mapping[str, str], Subject], dict[str, str]]
_TASKS: Final[Mapping[str, _Predict]] = {
    "serving": predict_serving,
    "training": predict_training,
    "throughput": predict_throughput,
}


def _find(text: str, beside: Path) -> Subject:
    return find_subject(text, beside=beside)


@dataclass
class Predictions:
    """Predicts rows, and remembers the models that it has read and the rows that it has seen."""

    beside: Path
    """The table's folder, from where paths of models may start."""
    find: Callable[[str, Path], Subject] = _find
    """The model that a cell names."""
    _subjects: dict[str, Subject | str] = field(default_factory=dict[str, "Subject | str"])
    """By the text of the cell: the model, or why there is none."""
    _known: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict[tuple[str, ...], dict[str, str]])

    def predict(self, row: Row) -> dict[str, str]:
        """The output cells of one row, those that its task does not have left out."""
        if row.problem is not None:
            return _unreadable(row, row.problem)
        key = tuple(row.cells.values())
        if key not in self._known:
            self._known[key] = self._predict(row)
        return self._known[key]

    def _predict(self, row: Row) -> dict[str, str]:
        task = row.cells["task"].casefold()
        if task not in _TASKS:
            said = f"task `{task[:40]}` is not known; {did_you_mean(task, _TASKS)}" if task else "task is not given"
            return _unreadable(row, said)
        subject = self._subject(row.cells.get("model", ""))
        if isinstance(subject, str):
            return _unreadable(row, subject)
        try:
            return _TASKS[task](row.cells, subject)
        except (UnreadableCellError, UnknownSubjectError) as error:
            return _unreadable(row, str(error))
        except _IN_ARITHMETIC as error:
            return _unreadable(row, f"the model's facts cannot be computed with ({error})")

    def _subject(self, text: str) -> Subject | str:
        if text not in self._subjects:
            try:
                self._subjects[text] = self.find(text, self.beside)
            except UnknownSubjectError as error:
                self._subjects[text] = str(error)
            except _IN_ARITHMETIC as error:
                self._subjects[text] = f"the model's facts cannot be read ({error})"
        return self._subjects[text]


def _unreadable(row: Row, why: str) -> dict[str, str]:
    throughput = row.cells.get("task", "").casefold() == "throughput"
    return {"verdict": "unknown", "missing": why, **({"regime": "unknown"} if throughput else {})}
