"""E-mail addresses and phone numbers are found, and what only looks like them is not."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_spec.personal_data import find_personal, redact

FOUND = [
    ("write to jane.doe@example.com please", "write to [email] please"),
    ("jane@mail.example.co.uk, thanks", "[email], thanks"),
    ("J_O+tag@firma-nord.de.", "[email]."),
    ("<müller@post.example>", "<[email]>"),
    ("My number is +49 30 901820-12", "My number is [phone]"),
    ("+1 555 010 1234", "[phone]"),
    ("+15550101234", "[phone]"),
    ("+44 (0)20 7946 0958 works", "[phone] works"),
    ("reach me at (555) 010-1234 tonight", "reach me at [phone] tonight"),
    ("555-010-1234 or 555.010.1234", "[phone] or [phone]"),
    ("1-800-555-0199", "[phone]"),
    ("ask 030 1234567 first", "ask [phone] first"),
    ("0171/2345678", "[phone]"),
    ("020 7946 0958", "[phone]"),
    ("06 12 34 56 78", "[phone]"),
    ("call 5550101234", "call [phone]"),
    ("Tel.: 0171-2345678", "Tel.: [phone]"),
    ("phone number 555 0101", "phone number [phone]"),
    ("about order 12345678, call 555 010 1234", "about order 12345678, call [phone]"),
    ("a@b.example and +49 171 2345678", "[email] and [phone]"),
]

NOT_PERSONAL = [
    "delivered on 2024-01-02 and on 02.01.2024",
    "from 2024-01-02 10:30:15 to 2024-01-03",
    "it costs 1.299.000,50 or $1,299,000.00",
    "€ 1 000 000 in all",
    "order 555-123-4567 is late",
    "serial 030 1234567",
    "invoice no. 0171 2345678",
    "order 4711-2024-000123",
    "ticket #5551234567",
    "SN 202401023344",
    "part 12.34.56.78",
    "the address 192.168.100.200",
    "version 10.15.7.2024",
    "card 4111 1111 1111 1111",
    "ISBN 978-3-16-148410-0",
    "call me on 2024-01-02",
    "we phone between 9 and 17",
    "+20 points, +10.000.000 users",
    "pi is 3.1415926535",
    "0.1234567 or 0,1234567",
    "icon@2x.png and @handle",
    "torch@2.13.0",
    "git clone git@host.example:team/project",
    "user@host without a top level",
    "a UUID 123e4567-e89b-12d3-a456-426614174000",
    "temperature 20-25 °C, 1013 hPa, 1500000 steps",
    "sizes 200 300 4000",
    "press F12, 404, 500, 1024x768",
]


@pytest.mark.parametrize(("text", "redacted"), FOUND)
def test_personal_text_is_replaced(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize("text", NOT_PERSONAL)
def test_what_only_looks_personal_stays(text: str) -> None:
    assert find_personal(text) == []
    assert redact(text) == text


@given(st.text(alphabet="0123456789 +-().@/a.com", max_size=80))
def test_redacting_leaves_nothing_to_redact_twice_over(text: str) -> None:
    spans = find_personal(text)
    assert all(one.start < one.end for one in spans)
    assert all(left.end <= right.start for left, right in itertools.pairwise(spans))


@pytest.mark.parametrize(
    "text",
    [
        "call 5550101234 " * 15_000,
        "+1 " * 20_000,
        "1" * 100_000,
        "a." * 50_000 + "@",
        "a@" + "b." * 50_000,
        "(12)" * 20_000,
    ],
)
def test_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    started = time.process_time()
    find_personal(text)
    assert time.process_time() - started < 2
