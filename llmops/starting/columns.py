"""Recognise what the columns of a user's rows are: item id, cluster, input, target, and which task they make.

Names are hints and values decide: a column called `id` whose values repeat is no item id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llmops.errors import Exit, OperationFailed
from llmops.starting.rows import Row

Task = Literal["label", "answer"]

_KEY = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w.-]+|\d{5,}")
"""A word of letters and digits. A bare number only where it is long: `4` is a rating, and `2024` a year."""

MAX_LABELS = 100
LEAST_CLUSTERS = 12
"""A column with fewer different values says what kind a row is, and hardly who it belongs to."""
_INPUT_NAMES = ("question", "text", "input", "prompt", "query", "message", "utterance", "review", "sentence", "ticket",
                "description", "body", "content", "title", "comment", "request", "instruction",
                "frage", "pregunta", "domanda", "pergunta", "vraag", "вопрос", "質問", "问题", "texte", "texto",
                "testo", "tekst", "текст", "文章", "文本",
                "nachricht", "mensaje", "messaggio")  # fmt: skip
_ANSWER_NAMES = ("answer", "response", "output", "completion", "reply", "solution", "summary",
                 "antwort", "réponse", "reponse", "respuesta", "risposta", "resposta", "antwoord", "ответ", "回答",
                 "答え", "答案", "lösung", "solución")  # fmt: skip
_LABEL_NAMES = ("label", "intent", "category", "class", "sentiment", "topic", "tag", "type", "target", "priority",
                "department", "verdict", "language", "kategorie", "catégorie", "categoria", "categoría", "etiqueta",
                "étiquette", "klasse", "classe", "clase", "категория", "метка", "分類", "标签")  # fmt: skip
_ITEM_NAMES = ("item_id", "id", "row_id", "uid", "uuid", "key", "item")
_CLUSTER_NAMES = ("cluster", "group", "question_id", "source", "document", "conversation", "thread", "session", "user",
                  "customer", "author", "speaker", "patient", "account", "template", "parent")  # fmt: skip
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What each column was taken for, with the reason."""

    task: Task
    input: str
    target: str
    item: str | None
    cluster: str | None
    reasons: Mapping[str, str]
    """By role."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user said on the command line; None leaves it to us."""

    task: Task | None = None
    input: str | None = None
    target: str | None = None
    item: str | None = None
    cluster: str | None = None


def recognise(rows: Sequence[Row], wishes: Wishes) -> Columns:
    """Say what the columns are.

    Raises:
        OperationFailed: no column can be the input or the target; or a wish names none.
    """
    facts = {name: _Facts.of(name, rows) for name in dict.fromkeys(key for row in rows for key in row)}
    for role in ("input", "target", "item", "cluster"):
        wanted = getattr(wishes, role)
        if wanted is not None and wanted not in facts:
            raise _unclear(f"there is no column `{wanted}`", facts)
    _refuse_shared(wishes, facts)
    reasons: dict[str, str] = {}
    item = _item(facts, wishes, reasons)
    target, task = _target(facts, wishes, {item, wishes.input, wishes.cluster}, reasons)
    _refuse_as_label(facts, target, task)
    text = _input(facts, wishes, {item, target, wishes.cluster}, reasons)
    cluster = _cluster(facts, wishes, {item, target, text}, reasons)
    return Columns(task=task, input=text, target=target, item=item, cluster=cluster, reasons=reasons)


def _refuse_shared(wishes: Wishes, facts: Mapping[str, _Facts]) -> None:
    named = [one for one in (wishes.input, wishes.target, wishes.item, wishes.cluster) if one is not None]
    twice = next((one for one in named if named.count(one) > 1), None)
    if twice is not None:
        raise _unclear(f"`{twice}` is asked to be two things", facts)


def _refuse_as_label(facts: Mapping[str, _Facts], target: str, task: Task) -> None:
    distinct = facts[target].distinct
    if task == "label" and distinct > MAX_LABELS:
        raise _unclear(f"`{target}` has {distinct} different values; a label has at most {MAX_LABELS}", facts)
    if task == "label" and distinct < 2:
        raise _unclear(f"`{target}` has the same value in every row, so there is nothing to tell apart", facts)


@dataclass(frozen=True, kw_only=True)
class _Facts:
    name: str
    filled: int
    """Rows with a value."""
    distinct: int
    rows: int
    mean_length: float
    """Characters of a filled value."""
    words: float
    """Mean words of a filled value."""
    numbered: float
    """Share of filled values that are one word with a digit, as keys are."""

    @classmethod
    def of(cls, name: str, rows: Sequence[Row]) -> _Facts:
        values = [str(value) for row in rows if (value := row.get(name)) not in (None, "")]
        count = max(len(values), 1)
        return cls(
            name=name,
            filled=len(values),
            distinct=len(set(values)),
            rows=len(rows),
            mean_length=sum(map(len, values)) / count,
            numbered=sum(_KEY.fullmatch(value) is not None for value in values) / count,
            words=sum(map(_words, values)) / count,
        )

    def named(self, hints: Sequence[str]) -> int | None:
        """Rank of the first hint that is a word of the name, or the whole of it."""
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name).casefold()
        words = {spaced, "_".join(re.findall(r"[^\W_]+", spaced)), *re.findall(r"[^\W_]+", spaced)}
        return next((rank for rank, hint in enumerate(hints) if hint in words), None)

    @property
    def is_label_like(self) -> bool:
        """Few short values, each of them several times."""
        return 2 <= self.distinct <= min(MAX_LABELS, self.filled // 4) and self.words <= 5

    @property
    def looks_like_keys(self) -> bool:
        """Named as an id, or written as ids are: `c-0042`, `20481`."""
        return self.name.casefold().endswith("id") or self.numbered > 0.9

    @property
    def is_full(self) -> bool:
        return self.filled >= 0.9 * self.rows


def _words(text: str) -> float:
    """Words of a text; two characters count as one where a script writes words without spaces."""
    return max(len(text.split()), len(_CJK.findall(text)) / 2)


def _item(facts: Mapping[str, _Facts], wishes: Wishes, reasons: dict[str, str]) -> str | None:
    if wishes.item:
        if facts[wishes.item].distinct != facts[wishes.item].rows:
            raise _unclear(f"`{wishes.item}` cannot be the item id: its values repeat or are missing", facts)
        reasons["item"] = "you said so"
        return wishes.item
    unique = [one for one in facts.values() if one.distinct == one.rows and one.named(_ITEM_NAMES) is not None]
    if not unique:
        reasons["item"] = "no column is named like an id and unique; rows get ids from their content"
        return None
    reasons["item"] = "its values are unique"
    return min(unique, key=lambda one: one.named(_ITEM_NAMES) or 0).name


def _target(
    facts: Mapping[str, _Facts], wishes: Wishes, taken: set[str | None], reasons: dict[str, str]
) -> tuple[str, Task]:
    free = [one for one in facts.values() if one.name not in taken and one.is_full]
    if wishes.target:
        chosen = facts[wishes.target]
        reasons["target"] = "you said so"
        return chosen.name, wishes.task or ("label" if chosen.is_label_like else "answer")
    answers = [one for one in free if one.named(_ANSWER_NAMES) is not None and not one.is_label_like]
    labels = [one for one in free if one.is_label_like]
    if answers and wishes.task != "label":
        reasons["target"] = "its name says answer, and its values are free text"
        return min(answers, key=lambda one: one.named(_ANSWER_NAMES) or 0).name, "answer"
    if labels and wishes.task != "answer":
        best = min(labels, key=_label_rank)
        reasons["target"] = f"{best.distinct} short values that repeat"
        return best.name, "label"
    wordy = [one for one in free if one.words > 1 and not one.is_label_like]
    asked = 1 if wishes.input else 2
    if len(wordy) == asked and wishes.task != "label":
        reasons["target"] = "the other of two columns of text" if wishes.input else "the second of two columns of text"
        return wordy[-1].name, "answer"
    raise _unclear("no column can be told to be the label or the answer", facts)


def _label_rank(one: _Facts) -> tuple[int, int]:
    named = one.named((*_LABEL_NAMES, *_ANSWER_NAMES))
    penalty = 1000 if one.named(_CLUSTER_NAMES) is not None else 0
    return ((named if named is not None else 500) + penalty, one.distinct)


def _input(facts: Mapping[str, _Facts], wishes: Wishes, taken: set[str | None], reasons: dict[str, str]) -> str:
    if wishes.input:
        reasons["input"] = "you said so"
        return wishes.input
    free = [one for one in facts.values() if one.name not in taken and one.is_full and not one.is_label_like]
    named = [one for one in free if one.named(_INPUT_NAMES) is not None and one.words > 1]
    if named:
        reasons["input"] = "its name and its words say text"
        return min(named, key=lambda one: one.named(_INPUT_NAMES) or 0).name
    wordy = [one for one in free if one.words > 2]  # an id has one word, a name two
    if not wordy:
        raise _unclear("no column can be told to be the input text", facts)
    reasons["input"] = "it has the most words"
    return max(wordy, key=lambda one: one.words).name


def _cluster(
    facts: Mapping[str, _Facts], wishes: Wishes, taken: set[str | None], reasons: dict[str, str]
) -> str | None:
    if wishes.cluster:
        reasons["cluster"] = "you said so"
        return wishes.cluster
    candidates = [
        one
        for one in facts.values()
        if one.name not in taken and one.is_full and one.words <= 3
        if LEAST_CLUSTERS <= one.distinct <= 0.8 * one.rows
    ]
    hinted = [one for one in candidates if one.named(_CLUSTER_NAMES) is not None or one.looks_like_keys]
    if not hinted:
        reasons["cluster"] = "no column groups rows that belong together"
        return None
    best = min(hinted, key=lambda one: (one.named(_CLUSTER_NAMES) is None, one.named(_CLUSTER_NAMES) or 0))
    reasons["cluster"] = f"{best.distinct} values group {best.rows} rows"
    return best.name


def _unclear(what: str, facts: Mapping[str, _Facts]) -> OperationFailed:
    shown = ", ".join(f"`{one.name}` ({one.distinct} distinct of {one.filled})" for one in list(facts.values())[:12])
    shown += ", …" if len(facts) > 12 else ""  # a line that can be read
    return OperationFailed(
        f"{what}; the columns are {shown}",
        help="name them: `--input COLUMN --target COLUMN`, and if need be `--task label|answer`, `--cluster`, `--item`",
        exit_code=Exit.FINDINGS,
    )
