"""Write the quickstart's rows from the wordings in `wordings.toml`.

Run by hand after an edit of the wordings: `python examples/quickstart/data/generate.py [--out DIR]`.
Promises: standard library only, no clock and no random state, so every run writes the same bytes; every
intent in every split; no question text in two places, whatever its case, spacing and punctuation.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SALT = "quillmoor-1"
"""Changes which frames and variants are drawn. The seed of this generator."""

TRAIN_FRAMES_PER_PHRASE = 3
"""In how many frames each phrase is asked in training."""

HELDOUT_CLUSTERS_PER_INTENT = 5
TRAIN_ROWS_PER_CLUSTER = 4
HELDOUT_ROWS_PER_CLUSTER = 3
"""Evaluation counts clusters, not rows: three variants of a question are enough."""

ASKED_VARIANTS = "ab"
"""Which rows of a training cluster the base model reads."""

ASKED_PER_TEXT = 3

OTHERWISE_SAID_EVERY = 12
"""One training row in so many is told to answer in other words than the service uses."""

OTHER_INSTRUCTION_EVERY = 5
"""For one training row in so many there is another row, whose instruction asks for something else."""

ALTERNATIVES = re.compile(r"\{([^{}]*)\}")
SLOT = re.compile(r"<(goal|problem)>", re.IGNORECASE)

Row = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One thing that customers ask about, with everything written for it."""

    name: str
    title: str
    answer: str
    goals: list[str]
    problems: list[str]
    asks: list[str]
    unseen: list[str]
    manual: list[str]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One wording of one intent's question; its rows are small variants of each other."""

    split: str
    wording: str
    rows: int


def drawn(items: list[str], *salt: str) -> list[str]:
    """Give the items in an order that looks shuffled and depends on nothing but them and the salt.

    A digest instead of `random`: its order holds across Python versions, and an edit of one intent moves no other.
    """
    return sorted(items, key=lambda item: hashlib.sha256("\0".join((SALT, *salt, item)).encode()).digest())


def variants(wording: str) -> list[str]:
    """Spell out every choice of a wording's alternatives, each text once."""
    pieces = ALTERNATIVES.split(wording)
    choices = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    return list(dict.fromkeys(sentence("".join(choice)) for choice in itertools.product(*choices)))


def sentence(text: str) -> str:
    """Tidy the spaces and start with a capital letter."""
    tidy = " ".join(text.split())
    return tidy[0].upper() + tidy[1:]


def normalised(text: str) -> str:
    """Reduce a question to what must not occur twice: its words, without case and punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def framed(frame: str, phrase: str) -> str:
    """Put a phrase into the slot of a frame; `<Problem>` asks for a capital letter."""
    slot = SLOT.search(frame)
    assert slot is not None, f"frame without a slot: {frame}"
    return frame.replace(slot[0], sentence(phrase) if slot[1][0].isupper() else phrase)


def combinations(intent: Intent, frames: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Share the pairs of frame and phrase out to training and held-out; no pair goes to both."""
    train: list[str] = []
    spare: list[str] = []
    for kind, phrases in (("goal", intent.goals), ("problem", intent.problems)):
        for phrase in phrases:
            wordings = [framed(frame, phrase) for frame in drawn(frames[kind], intent.name, phrase)]
            train += wordings[:TRAIN_FRAMES_PER_PHRASE]
            spare += wordings[TRAIN_FRAMES_PER_PHRASE : TRAIN_FRAMES_PER_PHRASE + 1]
    return train, drawn(spare, intent.name, "heldout")[:HELDOUT_CLUSTERS_PER_INTENT]


def clusters(intent: Intent, frames: dict[str, list[str]]) -> list[Cluster]:
    """List an intent's clusters, training first."""
    train, heldout = combinations(intent, frames)
    parts = (
        ("train", train + intent.asks, TRAIN_ROWS_PER_CLUSTER),
        ("heldout", heldout, HELDOUT_ROWS_PER_CLUSTER),
        ("unseen-wordings", intent.unseen, HELDOUT_ROWS_PER_CLUSTER),
    )
    return [Cluster(split=split, wording=wording, rows=rows) for split, some, rows in parts for wording in some]


def question_rows(intent: Intent, frames: dict[str, list[str]]) -> list[tuple[str, Row]]:
    """Write an intent's rows, each with its split."""
    rows: list[tuple[str, Row]] = []
    for number, cluster in enumerate(clusters(intent, frames), start=1):
        question_id = f"{intent.name}-{number:02d}"
        questions = drawn(variants(cluster.wording), intent.name)[: cluster.rows]
        for letter, question in zip("abcdefgh", questions, strict=False):
            row = {"item_id": f"{question_id}-{letter}", "intent": intent.name, "question_id": question_id}
            rows.append((cluster.split, row | {"question": question, "answer": intent.answer}))
    return rows


def manual_texts(intent: Intent) -> list[str]:
    """Write an intent's pages of the manual: the answer as prose among what is worth knowing about it."""
    pages = [f"{intent.title}. {intent.answer}"]
    for text, other in zip(intent.manual, intent.manual[1:] + intent.manual[:1], strict=True):
        pages += [f"{text} {intent.answer}", f"{intent.answer} {text}"]
        pages += [f"{intent.title}. {text} {intent.answer}", f"{text} {other} {intent.answer}"]
    return pages


def asked_texts(intent: Intent, rows: list[Row]) -> list[str]:
    """Put training questions of one topic side by side, as a help forum lists them, without any answer."""
    kept = [row["question"] for row in rows if row["item_id"][-1] in ASKED_VARIANTS]
    order = drawn(kept, intent.name, "asked")
    return [" ".join(order[at : at + ASKED_PER_TEXT]) for at in range(0, len(order), ASKED_PER_TEXT)]


def corpus_rows(intent: Intent, train: list[Row]) -> list[Row]:
    """Write what the base model reads about one topic. No question stands beside its answer."""
    texts = [("manual", text) for text in manual_texts(intent)]
    texts += [("asked", text) for text in asked_texts(intent, train)]
    return [
        {"item_id": f"{kind}-{intent.name}-{number:02d}", "text": text}
        for number, (kind, text) in enumerate(texts, start=1)
    ]


def tuning_rows(train: list[Row], instructions: dict[str, Any]) -> list[Row]:
    """Write what the model is tuned on: training rows under an instruction, and some that ask for something else."""
    usual, *otherwise = instructions["answer"]
    said = drawn([one for wording in otherwise for one in variants(wording)], "said")
    other = drawn([one for wording in instructions["other"] for one in variants(wording)], "other")
    order = {row["item_id"]: row for row in train}
    rows: list[Row] = []
    for number, item in enumerate(drawn(list(order), "tuning")):
        asked = {key: order[item][key] for key in ("question_id", "question")}
        told = said[number % len(said)] if number % OTHERWISE_SAID_EVERY == 0 else usual
        rows.append({"item_id": item, **asked, "instruction": told, "answer": order[item]["answer"]})
        if number % OTHER_INSTRUCTION_EVERY == 0:
            told = other[number // OTHER_INSTRUCTION_EVERY % len(other)]
            rows.append({"item_id": f"{item}-x", **asked, "instruction": told, "answer": instructions["refusal"]})
    return rows


def refuse_repeats(splits: dict[str, list[Row]]) -> None:
    """Stop on a question that occurs twice: the wordings need another choice of words."""
    seen: dict[str, str] = {}
    for row in itertools.chain(*splits.values()):
        other = seen.setdefault(normalised(row["question"]), row["item_id"])
        if other != row["item_id"]:
            raise SystemExit(f"{row['item_id']} repeats {other}: {row['question']}")


def built(source: Path) -> dict[str, list[Row]]:
    """Build every file's rows from the wordings, by file name without suffix."""
    wordings = tomllib.loads(source.read_text(encoding="utf-8"))
    splits: dict[str, list[Row]] = {"train": [], "heldout": [], "unseen-wordings": []}
    corpus = [{"item_id": f"preface-{at:02d}", "text": text} for at, text in enumerate(wordings["preface"], start=1)]
    for entry in wordings["intents"]:
        intent = Intent(**entry)
        rows = question_rows(intent, wordings["frames"])
        for split, row in rows:
            splits[split].append(row)
        corpus += corpus_rows(intent, [row for split, row in rows if split == "train"])
    refuse_repeats(splits)
    return splits | {"corpus": corpus, "tuning": tuning_rows(splits["train"], wordings["instructions"])}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description="Write the quickstart's rows from the wordings.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: beside this file)")
    folder: Path = parser.parse_args().out
    for name, rows in built(HERE / "wordings.toml").items():
        order = {row["item_id"]: row for row in rows}
        lines = [json.dumps(order[item], ensure_ascii=False) + "\n" for item in drawn(list(order), name)]
        (folder / f"{name}.jsonl").write_bytes("".join(lines).encode())


if __name__ == "__main__":
    main()
