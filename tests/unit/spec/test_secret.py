"""Secrets: references that hold no value, and values that no printer, pickler or formatter gives away."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest
from pydantic import ValidationError

from llmops_spec.environment import Environment, Mlflow
from llmops_spec.secret import KubernetesSecret, Secret, SecretValue, without_secrets

CANARY = "canary-93ab6e10"
WRONG = [
    CANARY,
    7,
    [CANARY],
    {"value": CANARY},
    {"env": f"{CANARY} "},
    {"file": [CANARY]},
    {"kubernetesSecret": CANARY},
    {"kubernetesSecret": {"name": f"{CANARY}_", "key": "k"}},
    {"env": "A", "file": CANARY},
]


def test_a_reference_is_exactly_one_of_three() -> None:
    assert Secret.model_validate({"env": "TOKEN"}) == Secret(env="TOKEN")
    assert Secret.model_validate({"file": "~/token"}).file == "~/token"
    at = KubernetesSecret(name="mlflow", key="token")
    assert Secret.model_validate({"kubernetesSecret": {"name": "mlflow", "key": "token"}}).kubernetes_secret == at
    for given in ({}, {"env": "A", "file": "b"}):
        with pytest.raises(ValidationError, match="exactly one of env, file, kubernetesSecret"):
            Secret.model_validate(given)


@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_what_stands_in_place_of_a_reference_is_not_repeated(given: object) -> None:
    part = {"uri": "http://127.0.0.1", "token": given}
    whole = {"metadata": {"name": "e"}, "spec": {"target": {"local": {}}, "tracking": {"mlflow": part}}}
    for model, value in ((Mlflow, part), (Environment, whole), (Secret, given)):
        with pytest.raises(ValidationError) as caught:
            model.model_validate(value)
        assert CANARY not in str(caught.value) + repr(caught.value)


def test_an_inline_value_is_told_to_become_a_reference() -> None:
    with pytest.raises(ValidationError, match="write a reference"):
        Mlflow.model_validate({"uri": "http://127.0.0.1", "token": CANARY})


@pytest.mark.parametrize("uri", [None, "sqlite:///x.db"])
def test_a_token_is_for_a_server(uri: str | None) -> None:
    with pytest.raises(ValidationError, match="`token` is for a tracking server"):
        Mlflow(uri=uri, token=Secret(env="TOKEN"))


def test_a_value_has_no_printable_form(caplog: pytest.LogCaptureFixture) -> None:
    value = SecretValue(CANARY)
    logging.getLogger("any").warning("given %s, %r", value, [value])
    shown = [str(value), repr(value), f"{value}", f"{value!r:>80}", "%s" % value, "{:^99}".format(value), caplog.text]  # noqa: UP031, UP032  # ways to print
    assert all("(secret)" in one for one in shown)
    assert CANARY not in "".join([*shown, repr(vars(type(value))), *dir(value)])
    assert value.reveal() == CANARY


def test_a_value_cannot_be_written_or_copied() -> None:
    value = SecretValue(CANARY)
    for write in (pickle.dumps, json.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            write(value)
        assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert not hasattr(value, "__dict__")


def test_texts_lose_their_secrets() -> None:
    assert without_secrets("a ab abc", ("ab", "abc", "")) == "a (secret) (secret)"
