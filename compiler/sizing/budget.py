"""What every estimate gives back: line items with their provenance, a verdict, and the margin that it keeps.

Called by the serving and training estimates, by checks and by `llmops size`. Quantities are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

GIB: Final = 2**30

Provenance = Literal["exact", "derived", "measured", "guess"]
"""`exact`: read from the checkpoint's index or set by the user. `derived`: arithmetic over the configuration.
`measured`: a constant fitted to public logs. `guess`: no fact stands behind it."""

Verdict = Literal["fits", "marginal", "does-not-fit", "unknown"]

MARGIN_SHARE: Final = 0.025
MARGIN_BYTES: Final = GIB // 2
"""The need must hold after taking off 2.5 % of the budget or 0.5 GiB, whichever is larger: p90 of the errors against
public logs."""


@dataclass(frozen=True, kw_only=True)
class LineItem:
    """One term of a budget."""

    name: str
    bytes: int
    provenance: Provenance
    note: str = ""
    """The arithmetic, in words a person can check."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting that decided the outcome, with where it came from."""

    name: str
    value: float | int | str
    source: Literal["given", "engine default", "model", "assumed"]


@dataclass(frozen=True, kw_only=True)
class ServingBudget:
    """Memory of one GPU (the tightest rank) of one engine serving one model. -1 stands for no figure."""

    verdict: Verdict
    engine: str
    engine_version: str
    gpus: int
    total_bytes: int
    budget_bytes: int
    """What the engine allows itself on one GPU."""
    weights_bytes: int
    items: tuple[LineItem, ...]
    """What is taken off the budget, the weights among it; budget less their sum is the key-value pool."""
    pool_bytes: int
    """Key-value pool of one GPU; below 0 the weights and the rest do not fit by that much."""
    needed_bytes: int
    """Of the pool, for one sequence of the declared length."""
    margin_bytes: int
    kv_tokens: int
    """Tokens as the engine prints them."""
    concurrency: float
    """Sequences of the declared length that the pool holds."""
    settings: tuple[Setting, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why the verdict is not `fits`, each with its arithmetic."""
    missing: tuple[str, ...] = ()

    @property
    def headroom_bytes(self) -> int:
        """Pool beyond one sequence of the declared length; below 0 it does not fit by that much."""
        return self.pool_bytes - self.needed_bytes

    def setting(self, name: str) -> float | int | str | None:
        """The value of a setting that decided the outcome."""
        return next((one.value for one in self.settings if one.name == name), None)


def margin_of(budget_bytes: int, *, doubled: bool) -> int:
    """Bytes that must stay free for `fits`. Doubled where start-up memory varies more between machines."""
    margin = max(int(MARGIN_SHARE * budget_bytes), MARGIN_BYTES)
    return 2 * margin if doubled else margin


def verdict_of(headroom_bytes: int, margin_bytes: int) -> Verdict:
    """Fits above the margin, marginal within it on either side, does not fit below."""
    if headroom_bytes >= margin_bytes:
        return "fits"
    return "marginal" if headroom_bytes >= -margin_bytes else "does-not-fit"


def lowered(verdict: Verdict) -> Verdict:
    """The verdict where something was taken for granted: nothing fits by assumption."""
    return "marginal" if verdict == "fits" else verdict


def unknown_budget(engine: str, version: str, gpus: int, missing: tuple[str, ...], reason: str) -> ServingBudget:
    """A budget without figures, for facts that are missing."""
    return replace(_NOTHING, engine=engine, engine_version=version, gpus=gpus, missing=missing, reasons=(reason,))


_NOTHING: Final = ServingBudget(
    verdict="unknown",
    engine="",
    engine_version="",
    gpus=0,
    total_bytes=-1,
    budget_bytes=-1,
    weights_bytes=-1,
    items=(),
    pool_bytes=-1,
    needed_bytes=-1,
    margin_bytes=-1,
    kv_tokens=-1,
    concurrency=-1.0,
)
