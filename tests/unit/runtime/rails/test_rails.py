"""Each validator, the guardrails-ai adapter with the real library, and the proof before the first request."""

import asyncio
import time

import pytest

from llmops_runtime.environment import private_home, quiet_libraries
from llmops_runtime.failures import TaskFailed
from llmops_runtime.rails.builtin import validator_of
from llmops_runtime.rails.chain import build_rails, prove
from llmops_runtime.rails.validator import Caught, Passed
from llmops_spec.guardrail import GuardrailSpec, Rail


def validator(**content):
    return validator_of(Rail.model_validate({**content, "onError": "closed"}))


@pytest.mark.parametrize(
    ("rail", "text", "judgement"),
    [
        ({"maxLength": {"characters": 3}}, "abc", Passed()),
        ({"maxLength": {"characters": 3}}, "abcd", Caught("4 characters, allowed are 3", "abc")),
        ({"denyPattern": {"patterns": ["x+y"]}}, "a XXY b", Caught("the pattern `x+y` was found")),
        ({"denyPattern": {"patterns": ["^no$", "never"]}}, "no way", Passed()),
        ({"denyPattern": {"patterns": ["größe"]}}, "die GRÖSSE der Größe", Caught("the pattern `größe` was found")),
        ({"personalData": {}}, "write ada@example.org", Caught("email in the text", "write [email]")),
        ({"personalData": {}}, "mine is +49 30 1234567", Caught("phone in the text", "mine is [phone]")),
        ({"personalData": {}}, "order 12345678", Passed()),
    ],
)
def test_judgements(rail, text, judgement) -> None:
    assert validator(**rail).judge(text) == judgement


def test_patterns_take_linear_time() -> None:
    rail = validator(denyPattern={"patterns": ["(a+)+$", "(a|aa)*b"]})
    started = time.perf_counter()
    rail.judge("a" * 100_000 + "!")
    assert time.perf_counter() - started < 2  # Python's own expressions would not end


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1"])
def test_patterns_that_cannot_be_used(pattern) -> None:
    with pytest.raises(TaskFailed, match=r"the deny pattern .* cannot be used"):
        validator(denyPattern={"patterns": [pattern]})


def proven(*rails, stage="input") -> None:
    content = [{"onError": "closed", **rail} for rail in rails]
    guardrail = GuardrailSpec.model_validate({stage: content})
    asyncio.run(prove(build_rails([guardrail], lambda _line: None)))


MAX = {"maxLength": {"characters": 3}}


@pytest.mark.parametrize("stage", ["input", "output"])
def test_rails_are_proven(stage) -> None:
    proven({**MAX, "canary": "abcd", "benign": "abc"}, stage=stage)
    with pytest.raises(TaskFailed, match=rf"guardrail 1.{stage}.2 maxLength did not catch its canary"):
        proven(MAX, {**MAX, "canary": "abc"}, stage=stage)
    with pytest.raises(TaskFailed, match="did not let its benign text through"):
        proven({**MAX, "canary": "abcd", "benign": "abcdef"}, stage=stage)


@pytest.fixture(scope="module")
def guardrails_home(tmp_path_factory) -> None:
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    for name in ("HOME", "NLTK_DATA"):
        patch.setenv(name, str(home))
    private_home(home)
    quiet_libraries()
    yield
    patch.undo()


def guardrails_ai(name="llmops/banned-phrases", **parameters):
    return {"guardrailsAi": {"validator": name, "parameters": parameters}}


@pytest.mark.slow
@pytest.mark.usefixtures("guardrails_home")
def test_banned_phrases_by_the_real_library() -> None:
    rail = validator(**guardrails_ai(phrases=["secret sauce", "c++"]))
    assert rail.judge("the recipe") == Passed()
    assert rail.judge("secrets saucepan") == Passed()
    assert rail.judge("the Secret\n SAUCE!") == Caught("1 banned phrases", "the ***!")
    assert rail.judge("c++, or C++") == Caught("2 banned phrases", "***, or ***")
    proven({**guardrails_ai(phrases=["bad"]), "canary": "so bad", "benign": "badly done"})


@pytest.mark.slow
@pytest.mark.usefixtures("guardrails_home")
@pytest.mark.parametrize(
    ("rail", "message"),
    [
        (guardrails_ai("acme/none"), "no installed guardrails-ai validator is registered as `acme/none`"),
        (guardrails_ai(), "refuses its parameters"),
        (guardrails_ai(phrases="text"), "refuses its parameters: `phrases` must be a list"),
        (guardrails_ai(phrases=[" "]), "refuses its parameters"),
    ],
)
def test_what_guardrails_ai_would_let_pass_is_a_failure(rail, message) -> None:
    with pytest.raises(TaskFailed, match=message):
        validator(**rail)


@pytest.mark.slow
@pytest.mark.usefixtures("guardrails_home")
def test_the_validator_works_in_a_guard_of_theirs() -> None:
    validator(**guardrails_ai(phrases=["x"]))
    from guardrails import Guard

    from llmops_runtime.rails.banned_phrases import BannedPhrases

    outcome = Guard().use(BannedPhrases(phrases=["bad"], on_fail="fix")).validate("so bad")
    assert (outcome.validation_passed, outcome.validated_output) == (True, "so ***")
