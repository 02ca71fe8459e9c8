"""The page of a report: complete in itself, well-formed, inert, and the same for the same data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.plan import PolicyFinding
from llmops.report.data import (
    CurvePoint,
    ReportData,
    ReportedCriterion,
    ReportedEvidence,
    ReportedService,
    ReportedStep,
    ReportedVerdict,
)
from llmops.report.page import render_report
from llmops_spec.formats import NewerFormat
from llmops_spec.payloads.data import BagOfWords, DataProfile, PersonalDataFound, SplitProfile
from policies.gates.results import Counts, CriterionVerdict, GateVerdict

EVIL = "<script>alert(1)</script>\"'&--><img src=x onerror=alert(2)>]]></title></style></svg>"
VOID = {"meta", "br", "hr", "img", "link", "input", "wbr", "base"}
LOADING = {"src", "srcset", "data", "poster", "background", "action", "formaction", "xlink:href", "ping", "cite"}


@dataclass
class Seen(HTMLParser):
    """What stands on a page: elements, attributes, text by element, and tags that do not match."""

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self.open_tags or self.open_tags.pop() != tag:
            self.unmatched.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open_tags[-1] if self.open_tags else "", data))

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(data for tag, data in self.texts if tag != "style"))

    def values(self, name: str) -> list[str]:
        return [value for _, one, value in self.attributes if one == name]


def read(page: str) -> Seen:
    seen = Seen()
    seen.feed(page)
    seen.close()
    return seen


def criterion(**changes: object) -> ReportedCriterion:
    facts: dict[str, object] = {
        "criterion": "exact-match ≥ 0.75",
        "metric": "exact-match",
        "verdict": "pass",
        "reason": "the low bound 0.8 is on the good side of the bar 0.75",
        "estimate": 0.85,
        "low": 0.8,
        "high": 0.9,
        "bar": 0.75,
        "method": "Student's t over units",
        "planned": 360,
        "scored": 358,
        "errored": 2,
        "units": 120,
    }
    return ReportedCriterion.model_validate(facts | changes)


def verdict(*criteria: ReportedCriterion, word: str = "pass", blocks: bool = False) -> ReportedVerdict:
    return ReportedVerdict.model_validate(
        {
            "verdict": word,
            "blocks": blocks,
            "reason": "every criterion is shown to hold",
            "alpha": 0.05,
            "combine": "all-shown-good",
            "onInconclusive": "block",
            "falseShipAtMost": 0.05,
            "falseBlockAtMost": 0.1,
            "criteria": list(criteria),
        }
    )


def step(kind: str, name: str, state: str = "done", **changes: object) -> ReportedStep:
    facts = {
        "id": f"{kind}/{name}",
        "kind": kind,
        "name": name,
        "action": "run",
        "state": state,
        "reason": "first time",
    }
    return ReportedStep.model_validate(facts | changes)


def empty(**changes: object) -> ReportData:
    facts = {
        "project": "quickstart",
        "environment": "local",
        "target": "local",
        "outcome": "Nothing to do.",
        "exit_code": 0,
        "finished_at": "2026-08-14T09:41:27+00:00",
    }
    return ReportData.model_validate(facts | changes)


def rich(text: str = "support", long: str = "") -> ReportData:
    """A report with everything in it; `text` stands wherever an author may write."""
    said = text + long
    return empty(
        project=said,
        environment=text,
        target=text,
        outcome=said,
        finished_at=text,
        steps=[
            step(text, said, "failed", reason=text, seconds=3.1, notes={"error": text, "help": text, "why": [text]}),
            step("evaluate", "support-eval", seconds=12.3, notes={text: text, "items": 360}),
            step("decide", "support-quality", "not-run"),
        ],
        policies=[
            PolicyFinding(rule=text, resource=text, message=text, place=text, blocks=True),
            PolicyFinding(rule="owner", resource="Model a", message=text, place="a.yaml:1:1", blocks=False),
        ],
        notes=[said, f"`{text}` is code"],
        profiles={
            text: DataProfile(
                splits={
                    "heldout": SplitProfile(rows=360, clusters=120, distinct_targets=40),
                    "train": SplitProfile(rows=4606, clusters=1200, distinct_targets=40, leaked_rows=7),
                    text: SplitProfile(rows=285, clusters=96),
                },
                bag_of_words=BagOfWords(accuracy={"heldout": 0.9417}, majority={"heldout": 0.025}, classes=40),
                personal_data=[PersonalDataFound(column=text, split=text, rows=4, first_line=811, kinds=[text])],
            ),
            "other": DataProfile(splits={"train": SplitProfile(rows=1)}, bag_of_words_reason=text),
        },
        curves={text: [CurvePoint(step=at, loss=3.0 / at, learning_rate=0.01) for at in range(1, 80)], "none": []},
        verdicts={
            text: verdict(
                criterion(criterion=text, reason=said, advice=text, method=text, slice=text, verdict="inconclusive"),
                criterion(metric=text, baseline=text, bar=0.0, estimate=0.1, low=0.05, high=0.15),
                word="inconclusive",
                blocks=True,
            ),
            "safety": verdict(criterion()),
        },
        evidence=[
            ReportedEvidence(
                gate=text,
                key_id=text,
                assurance=text,
                statement_digest=text,
                subject={text: text},
                provenance={text: {"nested": text}},
            )
        ],
        services=[
            ReportedService(name=text, url=text, model=text),
            ReportedService(name="support", url="http://127.0.0.1:8080/v1", model="support-lora"),
        ],
    )


PAGES = {"empty": empty(), "rich": rich(), "hostile": rich(EVIL, "y" * 5000)}


@pytest.mark.parametrize("name", PAGES)
class TestEveryPage:
    def test_is_well_formed(self, name: str) -> None:
        seen = read(render_report(PAGES[name]))
        assert (seen.unmatched, seen.open_tags) == ([], [])
        assert seen.tags[0] == "html"
        assert seen.tags.count("h1") == seen.tags.count("main") == 1

    def test_loads_nothing_and_runs_nothing(self, name: str) -> None:
        seen = read(render_report(PAGES[name]))
        assert not {"script", "img", "link", "iframe", "object", "embed", "base", "form"} & set(seen.tags)
        assert not [one for one in seen.attributes if one[1] in LOADING or one[1].startswith("on")]
        style = "".join(data for tag, data in seen.texts if tag == "style")
        assert style.strip()
        assert "url(" not in style
        assert "@import" not in style
        assert "default-src 'none'" in "".join(seen.values("content"))

    def test_links_lead_into_the_page_or_to_a_service(self, name: str) -> None:
        seen = read(render_report(PAGES[name]))
        ids = seen.values("id")
        assert len(ids) == len(set(ids))
        for href in seen.values("href"):
            assert href in {f"#{one}" for one in ids}
        for labelled in seen.values("aria-labelledby"):
            assert set(labelled.split()) <= set(ids)

    def test_every_drawing_has_words_or_is_beside_them(self, name: str) -> None:
        page = render_report(PAGES[name])
        charts = [one for one in re.findall(r"<svg[^>]*>", page) if 'class="chart' in one]
        assert all("aria-labelledby" in one or "aria-label" in one for one in charts)
        assert all('aria-hidden="true"' in one for one in re.findall(r'<svg class="mark[^>]*>', page))


class TestHostileText:
    def test_stands_as_text(self) -> None:
        page = render_report(PAGES["hostile"])
        assert EVIL in read(page).text
        assert EVIL not in page
        assert "<img" not in page

    @given(st.text(alphabet=st.sampled_from("<>&\"'`=/ {}%#-!]\x00\x1b\u202e\u2028\ud800ab\u05d0"), max_size=40))
    @settings(max_examples=25, deadline=None)
    def test_changes_no_element(self, text: str) -> None:
        # Backticks set code: that adds `code` elements and nothing else.
        text = text.replace("`", "'").encode("utf-8", "replace").decode()
        page = render_report(rich(text or "x"))
        page.encode("utf-8")
        plain = read(render_report(rich("<x>")))
        assert sorted(read(page).tags) == sorted(plain.tags)

    def test_control_and_turning_characters_become_visible(self) -> None:
        page = render_report(empty(outcome="a\x00b\x1b[31m \u202egnp.exe \u2066x \ufffe"))
        assert "a\\u0000b\\u001b[31m \\u202egnp.exe \\u2066x \\ufffe" in page
        assert not set("\x00\x1b\u202e\u2066\ufffe") & set(page)

    def test_other_scripts_stay_as_they_are(self) -> None:
        assert "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \U0001f469\u200d\U0001f52c" in render_report(
            empty(outcome="\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \U0001f469\u200d\U0001f52c")
        )

    def test_is_isolated_from_the_text_around_it(self) -> None:
        assert re.search(r"<h1>\s*<bdi>\u05e9</bdi>", render_report(empty(outcome="\u05e9")))

    def test_is_cut_where_it_is_very_long(self) -> None:
        page = render_report(empty(outcome="y" * 5000))
        assert "y" * 2000 + "… (3,000 more characters)" in page
        assert "y" * 2001 not in page

    @pytest.mark.parametrize(
        "url", ["http://a", "javascript:alert(1)", "data:text/html,x", "http://a\u202eb", "http://[", " x"]
    )
    def test_is_no_link(self, url: str) -> None:
        seen = read(render_report(empty(services=[ReportedService(name="s", url=url, model="m")])))
        assert "a" not in [tag for tag, name, value in seen.attributes if name == "href" and not value.startswith("#")]


class TestBytes:
    def test_are_equal_for_equal_data(self) -> None:
        assert render_report(rich()) == render_report(rich())

    def test_do_not_depend_on_the_order_of_mappings(self) -> None:
        data = rich()
        turned = data.model_copy(
            update={
                "profiles": dict(reversed(data.profiles.items())),
                "curves": dict(reversed(data.curves.items())),
                "verdicts": dict(reversed(data.verdicts.items())),
                "steps": [one.model_copy(update={"notes": dict(reversed(one.notes.items()))}) for one in data.steps],
            }
        )
        assert turned == data
        assert render_report(turned) == render_report(data)

    def test_are_the_same_after_writing_and_reading_the_data(self) -> None:
        data = rich()
        assert render_report(ReportData.model_validate_json(data.model_dump_json(by_alias=True))) == render_report(data)


class TestContent:
    def test_outcome_and_gates_come_before_details(self) -> None:
        page = render_report(rich())
        places = [page.index(one) for one in ("<h1>", 'class="glance"', 'id="gates"', 'id="steps"', 'id="data"')]
        assert places == sorted(places)

    def test_worst_gate_comes_first(self) -> None:
        words = {"a": "pass", "b": "inconclusive", "c": "fail", "d": "pass"}
        data = empty(verdicts={name: verdict(criterion(), word=word) for name, word in words.items()})
        assert re.findall(r'<h2><a href="#gate-\d"><bdi>([^<]*)', render_report(data)) == [
            "c",
            "b",
            "a",
            "d",
        ]

    def test_gate_says_its_verdict_counts_method_and_errors(self) -> None:
        text = read(render_report(empty(verdicts={"quality": verdict(criterion())}))).text
        assert "358 of 360 items scored, 2 errored; 120 independent clusters" in text
        assert "Student's t over units" in text
        assert "0.8 to 0.9" in text
        assert "at least 0.75" in text
        assert "A good change is failed in at most 10 %." in text
        assert "Inconclusive means that the bar lies between the bounds" in re.sub(r" +", " ", text)

    def test_advice_stands_only_where_a_criterion_has_not_passed(self) -> None:
        advised = [criterion(advice="measure more"), criterion(advice="improve it", verdict="fail")]
        text = read(render_report(empty(verdicts={"quality": verdict(*advised)}))).text
        assert "improve it" in text
        assert "measure more" not in text

    def test_a_verdict_is_read_as_a_gate_writes_it(self) -> None:
        one = CriterionVerdict(
            criterion="rouge-l ≥ 0.8",
            metric="rouge-l",
            verdict="inconclusive",
            reason="the bar lies within",
            estimate=float("nan"),
            bar=1,
            counts=Counts(planned=9, scored=9, units=9),
        )
        written = GateVerdict(
            verdict="inconclusive",
            blocks=True,
            reason="not shown",
            alpha=0.05,
            combine="all-shown-good",
            on_inconclusive="block",
            false_ship_at_most=0.05,
            false_block_at_most=0.05,
            criteria=(one,),
        ).to_json()
        assert ReportedVerdict.model_validate(written).model_dump(by_alias=True) == written

    def test_data_profile_puts_baselines_beside_counts(self) -> None:
        text = read(render_report(rich())).text
        # The train split comes first, and has no baseline.
        assert re.search(r"Longest answer train 4,606 1,200 40 – – 0 7", text)
        assert "heldout 360 120 40 94.2 % 2.5 %" in text
        assert "first at line 811" in text

    def test_failed_step_is_told_at_the_top(self) -> None:
        notes = {"error": "the training diverged", "help": "lower `learningRate`", "loss": 9}
        page = render_report(empty(steps=[step("train", "a", "failed", notes=notes)]))
        assert page.index("the training diverged") < page.index("<main>")
        assert page.count("the training diverged") == 1
        assert "lower <code>learningRate</code>" in page
        assert "train/a" in read(page).text

    def test_an_error_that_is_the_headline_is_not_said_twice(self) -> None:
        data = empty(outcome="It diverged.", steps=[step("train", "a", "failed", notes={"error": "it diverged"})])
        assert render_report(data).casefold().count("it diverged") == 1

    def test_strip_counts_states_of_a_kind_of_step(self) -> None:
        steps = [step("fetch", "a", seconds=1.0), step("fetch", "b", "cached"), step("fetch", "c", "cached")]
        assert "1 ran, 2 from the store" in read(render_report(empty(steps=steps))).text

    def test_empty_report_says_so(self) -> None:
        text = read(render_report(empty())).text
        assert "No gate was decided in this run." in text
        assert "The plan has no steps." in text

    def test_unknown_exit_code_is_shown(self) -> None:
        assert "exit code 77" in read(render_report(empty(exit_code=77))).text


class TestData:
    def test_newer_format_is_refused(self) -> None:
        with pytest.raises(NewerFormat, match="newer llmops"):
            empty(formatVersion=2)

    def test_format_version_is_written(self) -> None:
        assert empty().model_dump(by_alias=True)["formatVersion"] == 1
