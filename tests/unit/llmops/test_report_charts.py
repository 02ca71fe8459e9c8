"""Where the charts of a report put what they draw."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmops.report.charts import interval_plot, interval_scale, interval_words, smoothed, training_curve
from llmops.report.data import CurvePoint, ReportedCriterion
from llmops.report.svg import Scale, element, scale_around, ticks

Found = dict[str, str]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def criterion(**changes: object) -> ReportedCriterion:
    facts: dict[str, object] = {
        "criterion": "exact-match ≥ 0.75",
        "metric": "exact-match",
        "verdict": "pass",
        "reason": "",
        "estimate": 0.85,
        "low": 0.8,
        "high": 0.9,
        "bar": 0.75,
    }
    return ReportedCriterion.model_validate(facts | changes)


def drawn(one: ReportedCriterion) -> ET.Element:
    plot = interval_plot(one, "p")
    assert plot is not None
    return ET.fromstring(str(plot))


def of_class(root: ET.Element, name: str) -> list[Found]:
    return [dict(one.attrib) for one in root.iter() if name in one.get("class", "").split()]


def labels(root: ET.Element, name: str) -> list[str]:
    return [one.text or "" for one in root.iter("text") if one.get("class") == name]


class TestIntervals:
    def test_places_are_shares_of_the_metrics_range(self) -> None:
        root = drawn(criterion())
        assert (of_class(root, "bounds")[0]["x1"], of_class(root, "bounds")[0]["x2"]) == ("80%", "90%")
        assert [one["x1"] for one in of_class(root, "cap")] == ["80%", "90%"]
        assert of_class(root, "bar")[0]["x1"] == of_class(root, "bar")[0]["x2"] == "75%"
        assert next(one.get("x") for one in root.iter("svg") if one.get("x")) == "85%"
        assert labels(root, "tick") == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        assert labels(root, "bar-label") == ["bar 0.75"]

    @pytest.mark.parametrize(("direction", "place"), [("at-least", ("75%", "25%")), ("at-most", ("0%", "75%"))])
    def test_good_side_is_shaded(self, direction: str, place: tuple[str, str]) -> None:
        shaded = of_class(drawn(criterion(direction=direction)), "good-side")[0]
        assert (shaded["x"], shaded["width"]) == place

    @pytest.mark.parametrize(
        ("verdict", "shape", "tone"),
        [("pass", "circle", "good"), ("fail", "rect", "bad"), ("inconclusive", "path", "open")],
    )
    def test_verdict_is_a_shape_and_a_colour_and_a_word(self, verdict: str, shape: str, tone: str) -> None:
        root = drawn(criterion(verdict=verdict))
        assert [one.tag for one in root.iter() if one.get("class") == "dot"] == [shape]
        assert tone in root.get("class", "").split()
        assert (root.findtext("title") or "").endswith(verdict)

    def test_difference_is_drawn_around_zero_with_its_margin(self) -> None:
        one = criterion(baseline="model:base", metric="rouge-l", estimate=0.01, low=-0.01, high=0.03, bar=-0.02)
        root, scale = drawn(one), interval_scale(one)
        assert scale is not None
        assert of_class(root, "zero")[0]["x1"] == scale.percent(0.0)
        assert scale.inside(0.0)
        assert labels(root, "bar-label") == ["bar −0.02"]
        assert labels(root, "side") == ["← baseline better", "candidate better →"]

    def test_where_less_is_better_the_sides_are_turned(self) -> None:
        one = criterion(baseline="model:base", metric="latency-seconds", bar=0.0, direction="at-most")
        assert labels(drawn(one), "side") == ["← candidate better", "baseline better →"]

    def test_zero_is_always_on_the_axis_of_a_difference(self) -> None:
        scale = interval_scale(criterion(baseline="b", estimate=0.86, low=0.82, high=0.9, bar=0.8))
        assert scale is not None
        assert scale.low < 0.0

    def test_narrow_interval_is_drawn_closer_but_inside_the_range(self) -> None:
        scale = interval_scale(criterion(estimate=0.993, low=0.987, high=0.997, bar=0.98))
        assert scale is not None
        assert 0.95 < scale.low < 0.98
        assert scale.high == 1.0

    def test_metric_without_upper_end_begins_at_its_lower_end(self) -> None:
        scale = interval_scale(
            criterion(metric="latency-seconds", direction="at-most", estimate=1.2, low=1.0, high=1.5, bar=5.0)
        )
        assert scale is not None
        assert scale.low == 0.0
        assert scale.high > 5.0

    def test_absent_bound_is_open_to_the_end_of_the_axis(self) -> None:
        root = drawn(criterion(high=None, bar=0.5))
        assert [(one["x1"], one["x2"]) for one in of_class(root, "open-end")] == [("85%", "100%")]
        assert [one["x1"] for one in of_class(root, "cap")] == ["80%"]
        assert "no upper bound" in (root.findtext("desc") or "")

    def test_words_say_all_that_is_drawn(self) -> None:
        assert interval_words(criterion()) == "estimate 0.85, lower bound 0.8, upper bound 0.9, bar at least 0.75"
        compared = criterion(baseline="b", estimate=0.1, low=-0.05, high=0.2, bar=0.0)
        assert interval_words(compared).startswith("paired difference +0.1, lower bound −0.05, upper bound +0.2")

    @pytest.mark.parametrize("absent", ["estimate", "bar"])
    def test_nothing_is_drawn_without_estimate_or_bar(self, absent: str) -> None:
        assert interval_plot(criterion(**{absent: None}), "p") is None

    def test_nothing_is_drawn_that_numbers_cannot_span(self) -> None:
        assert interval_plot(criterion(metric="own", low=-1.7e308, high=1.7e308), "p") is None

    @pytest.mark.parametrize("baseline", [None, "model:base"])
    @pytest.mark.parametrize("metric", ["exact-match", "latency-seconds", "own"])
    @given(low=NUMBERS, estimate=NUMBERS, high=NUMBERS, bar=NUMBERS)
    def test_any_numbers_stay_on_the_chart(
        self, metric: str, baseline: str | None, low: float, estimate: float, high: float, bar: float
    ) -> None:
        plot = interval_plot(
            criterion(metric=metric, baseline=baseline, low=low, estimate=estimate, high=high, bar=bar), "p"
        )
        if plot is not None:
            places = [float(one) for one in re.findall(r'(?:x|x1|x2|width)="([^"]*)%"', str(plot))]
            assert places
            assert all(0.0 <= one <= 100.0 for one in places)

    def test_hostile_name_is_escaped(self) -> None:
        root = drawn(criterion(criterion="</svg><script>\x00"))
        assert root.findtext("title") == "</svg><script>\\u0000: pass"


class TestCurves:
    def points(self, losses: list[float], rate: float = 0.01) -> list[CurvePoint]:
        return [CurvePoint(step=at, loss=loss, learning_rate=rate) for at, loss in enumerate(losses, 1)]

    def lines(self, points: list[CurvePoint]) -> dict[str, list[tuple[float, float]]]:
        plot = training_curve("tune", points, "c")
        assert plot is not None
        found = ET.fromstring(str(plot)).iter("polyline")
        pairs = {one.get("class", ""): one.get("points", "").split() for one in found}
        return {
            name: [(float(x), float(y)) for x, _, y in (pair.partition(",") for pair in given)]
            for name, given in pairs.items()
        }

    def test_known_values_stand_at_known_places(self) -> None:
        # 0 to 4 with 12 % of room above; below it the axis ends at 0.
        line = self.lines(self.points([4.0, 2.0, 0.0]))["smooth"]
        top = 4.0 * 1.12
        assert line == [
            (33.33, pytest.approx(100 * (1 - 4 / top), abs=0.01)),
            (66.67, pytest.approx(100 * (1 - 2 / top), abs=0.01)),
            (100.0, 100.0),
        ]

    def test_falling_loss_goes_down_the_page(self) -> None:
        heights = [y for _, y in self.lines(self.points([3.0, 2.5, 1.0, 0.5]))["smooth"]]
        assert heights == sorted(heights)

    def test_many_points_are_shown_each_and_smoothed(self) -> None:
        lines = self.lines(self.points([2.0 + (-1) ** at for at in range(100)]))
        assert len(lines["raw"]) == len(lines["smooth"]) == 100
        assert max(y for _, y in lines["smooth"]) < max(y for _, y in lines["raw"])
        assert "raw" not in self.lines(self.points([2.0] * 49))

    def test_smoothing_is_a_mean_over_neighbours(self) -> None:
        values = [0.0] * 50 + [1.0] * 50
        means = smoothed(values)  # two to each side
        assert means[:48] == [0.0] * 48
        assert means[49:51] == [pytest.approx(0.4), pytest.approx(0.6)]
        assert means[-1] == 1.0

    def test_flat_curve_is_in_the_middle_and_no_error(self) -> None:
        lines = self.lines(self.points([6.9, 6.9, 6.9], rate=0.0))
        assert {y for _, y in lines["smooth"]} == {50.0}
        assert {y for _, y in lines["rate"]} == {100.0}

    def test_single_point_can_be_seen(self) -> None:
        (start, _), (end, _) = self.lines(self.points([1.0]))["smooth"]
        assert end > start

    @pytest.mark.parametrize(
        ("count", "expected"),
        [(2, ["0", "1", "2"]), (14, ["0", "5", "10"]), (100, ["0", "20", "40", "60", "80", "100"])],
    )
    def test_steps_on_the_axis_are_whole(self, count: int, expected: list[str]) -> None:
        plot = training_curve("tune", self.points([1.0] * count), "c")
        root = ET.fromstring(str(plot))
        below = [
            one.text for one in root.iter("text") if one.get("class") == "tick" and (one.get("x") or "")[-1] == "%"
        ]
        assert below == expected

    def test_no_points_no_curve(self) -> None:
        assert training_curve("tune", [], "c") is None

    @given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=60))
    @example([(0.0, -5e-324)])
    @example([(5e-324, 0.0), (0.0, 0.0)])
    @example([(-1.0, -1.0), (-2.0, 1.0)])
    def test_any_numbers_stay_on_the_chart(self, given_points: list[tuple[float, float]]) -> None:
        points = [CurvePoint(step=at, loss=x, learning_rate=y) for at, (x, y) in enumerate(given_points, 1)]
        plot = training_curve("tune", points, "c")
        if plot is not None:
            for line in re.findall(r'points="([^"]*)"', str(plot)):
                assert all(0 <= float(one) <= 101 for pair in line.split() for one in pair.split(","))


class TestScales:
    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [
            (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (0.93, 1, ["0.94", "0.96", "0.98", "1.00"]),
            (-0.03, 0.02, ["−0.03", "−0.02", "−0.01", "0", "0.01", "0.02"]),
            (0, 250, ["0", "50", "100", "150", "200", "250"]),
            (0, 1e-5, ["0", "2e−06", "4e−06", "6e−06", "8e−06", "1e−05"]),
        ],
    )
    def test_ticks_are_round(self, low: float, high: float, expected: list[str]) -> None:
        assert [tick.label for tick in ticks(Scale(low=low, high=high))] == expected

    @given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
    def test_ticks_lie_on_the_scale_and_differ(self, low: float, span: float) -> None:
        scale = Scale(low=low, high=low + span)
        found = ticks(scale)
        slack = 1e-6 * span
        assert all(scale.low - slack <= one.value <= scale.high + slack for one in found)
        assert 1 <= len(found) <= 12

    def test_equal_values_get_room_on_both_sides(self) -> None:
        scale = scale_around([2.0, 2.0], least=1.0)
        assert scale is not None
        assert math.isclose(scale.share(2.0), 0.5)

    def test_element_escapes_text_and_attributes(self) -> None:
        assert (
            element("text", "a<b", text_anchor='"x', class_="k") == '<text text-anchor="&#34;x" class="k">a&lt;b</text>'
        )
