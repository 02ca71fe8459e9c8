"""Two data sets unlike the example, written for these tests: requests to a town hall, and questions to a museum."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
from pathlib import Path

_DESKS = {
    "Waste": [
        "my bin was not emptied",
        "the paper container overflows",
        "I need a larger bin",
        "garden waste piles up",
    ],
    "Parking": [
        "a car blocks my drive",
        "I lost my parking permit",
        "the meter took my coins",
        "the garage gate is stuck",
    ],
    "Register": ["I moved to another flat", "my passport runs out", "we had a baby", "I need a birth certificate"],
    "Parks": ["a bench is broken", "the playground swing came off", "a tree fell on the path", "the fountain is dry"],
}
_FRAMES = [
    "Hello, {}. Who can help?",
    "Since {day} {}, and nobody came.",
    "I am writing because {}.",
    "Good {part}, {}; what should I do?",
    "As I said on {day}, {}.",
    "{} in {street} street.",
    "Please note that {} near the {place}.",
    "It is {day} and {} again.",
]
_DAYS = ["Monday", "Tuesday", "Friday"]
_STREETS = ["Mill", "Harbour", "Station", "Church"]
_PLACES = ["market", "school", "bridge"]


def town_hall(path: Path, *, citizens: int = 110) -> Path:
    """A CSV of requests with the desk that each belongs to; a citizen writes two or three."""
    wordings = [
        (desk, frame.format(problem, day=day, part="morning", street=street, place=place))
        for desk, problems in _DESKS.items()
        for problem, frame, day, street, place in itertools.product(problems, _FRAMES, _DAYS, _STREETS, _PLACES)
    ]
    unique = sorted({text: desk for desk, text in wordings}.items(), key=lambda pair: _drawn(pair[0]))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Request Text", "Desk", "Citizen"])
        for number, (text, desk) in enumerate(unique):
            writer.writerow([text[:1].upper() + text[1:], desk, f"c-{number % citizens:04}"])
    return path


_TOPICS = {
    "the opening hours": "The museum is open from ten to six, and until nine on Thursdays.",
    "the ticket price": "A ticket costs twelve coins; children enter free.",
    "the cloakroom": "Leave coats and bags in the lockers behind the stairs.",
    "the guided tour": "Tours start at noon below the big clock.",
    "the whale hall": "The whale hall is on the second floor, past the minerals.",
    "taking photographs": "Photographs are welcome without flash and tripod.",
    "the cafe": "The cafe in the courtyard serves soup and cake.",
    "the lift": "The lift is beside the north entrance and takes wheelchairs.",
}
_QUESTIONS = [
    "Can you tell me about {}?",
    "What should I know about {}?",
    "{}: how does that work?",
    "We wonder about {} for {who}.",
    "Do you have anything on {} for {who}?",
    "{who} asks about {}.",
    "I could not find {} on your page.",
    "Is there a rule for {}?",
    "Where do I read about {} before {when}?",
    "One question on {} for {when}, please.",
    "My teacher wants to know about {}.",
    "Help me with {}, I come {when}.",
]
_WHO = ["my class", "two visitors", "a group", "our club"]
_WHEN = ["tomorrow", "the weekend", "the holidays"]


def museum(path: Path) -> Path:
    """JSON lines of questions with one of eight answers; `thread` joins the variants of one wording."""
    rows: list[dict[str, str]] = []
    for topic, answer in _TOPICS.items():
        for number, question in enumerate(_QUESTIONS):
            texts = sorted({question.format(topic, who=who, when=when) for who in _WHO for when in _WHEN})
            thread = f"{topic.split()[-1]}-{number}"
            rows += [{"thread": thread, "query": text, "reply": answer} for text in texts[:7]]
    rows.sort(key=lambda row: _drawn(row["query"]))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _drawn(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
