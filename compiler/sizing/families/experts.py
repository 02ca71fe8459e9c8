"""MLPs and mixtures of experts: which layers are sparse, how wide the experts are, what stands beside them.

Called by the decoder readers. Memory counts every expert; `Matrix.active` says how many work on a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from compiler.sizing.families.facts import Facts
from compiler.sizing.families.rules import Bias, Rules
from compiler.sizing.families.structure import column, row, vector
from compiler.sizing.layers import Matrix, Part, Split


@dataclass(frozen=True, kw_only=True)
class Experts:
    """The mixture of one sparse layer."""

    count: int
    active: int
    width: int
    shared_width: int = 0
    """Width of what works on every token beside the experts, all of it together."""


def read_experts(facts: Facts, rules: Rules) -> Experts | None:
    """The mixture that the configuration declares; None for dense models."""
    count = facts.number("num_experts")
    if count <= 1:
        return None
    width = _first(facts, rules.expert_width) or facts.needed("intermediate_size")
    return Experts(
        count=count,
        active=min(count, _first(facts, "num_experts_per_tok") or facts.needed("num_experts_per_tok")),
        width=width,
        shared_width=_shared_width(facts, width),
    )


def is_sparse(facts: Facts, index: int) -> bool:
    """Whether layer `index` has experts."""
    listed = _listed(facts, index)
    return _by_rule(facts, index) if listed is None else listed


def _listed(facts: Facts, index: int) -> bool | None:
    """As a list of the configuration says; None without one."""
    kinds = facts.words("mlp_layer_types")
    if index < len(kinds):
        return kinds[index] == "sparse"
    named = facts.numbers("moe_layers")
    if named:
        return index in named
    listed = facts.numbers("moe_layer_freq")
    if listed:
        return bool(listed[index]) if index < len(listed) else True
    return None


def _by_rule(facts: Facts, index: int) -> bool:
    period = facts.number("expert_layer_period")
    if period:
        return index % period == facts.number("expert_layer_offset")
    dense = max(facts.number("first_k_dense_replace"), facts.number("num_dense_layers"))
    if index < dense or index in facts.numbers("mlp_only_layers"):
        return False
    if facts.given("moe_layer_start_index") or facts.number("moe_layer_start_index"):
        return _within(facts, index)
    step = facts.number("decoder_sparse_step") or facts.number("interleave_moe_layer_step") or 1
    return (index + 1) % step == 0 and index % (facts.number("moe_layer_freq") or 1) == 0


def feed_forward(facts: Facts, rules: Rules, experts: Experts | None) -> tuple[Matrix, ...]:
    """The MLP of a dense layer, or router, experts and shared expert of a sparse one."""
    hidden = facts.number("hidden_size")
    if experts is None:
        bias = _flag(facts, rules.mlp_bias)
        return mlp(hidden, dense_width(facts, rules), gated=rules.gated_mlp, bias=bias)
    made = [*router(hidden, experts.count, bias=rules.router_bias)]
    made.extend(expert_matrices(hidden, experts, gated=rules.gated_mlp, bias=rules.expert_bias))
    if experts.shared_width:
        made.extend(mlp(hidden, experts.shared_width, gated=rules.gated_mlp, name="mlp.shared_expert"))
        if rules.shared_gate:
            made.append(vector("mlp.shared_expert_gate", Part.ROUTER, hidden))
    return tuple(made)


def dense_width(facts: Facts, rules: Rules) -> int:
    """Width of a dense MLP: as given, or four times the hidden size as the GPT families mean by its absence."""
    given = facts.number("intermediate_size_mlp") or _first(facts, "intermediate_size")
    if facts.model_type == "qwen":
        return given // 2  # the first Qwen counts both halves of the gated MLP
    if given and facts.flag("block_auto_adjust_ff_dim"):
        multiple = facts.number("block_multiple_of") or 1
        return multiple * ceil(int(2 * given / 3) * facts.share("block_ffn_dim_multiplier", 1.0) / multiple)
    if given:
        return given
    return 4 * facts.number("hidden_size") if not rules.gated_mlp else facts.needed("intermediate_size")


def mlp(hidden: int, width: int, *, gated: bool = True, bias: bool = False, name: str = "mlp") -> tuple[Matrix, ...]:
    """Two or three matrices of an MLP."""
    up = column(f"{name}.up_proj", Part.MLP, hidden, width, bias=bias)
    down = row(f"{name}.down_proj", Part.MLP, width, hidden, bias=bias)
    return (column(f"{name}.gate_proj", Part.MLP, hidden, width, bias=bias), up, down) if gated else (up, down)


def router(hidden: int, count: int, *, bias: bool) -> tuple[Matrix, ...]:
    """The router's row for each expert."""
    made = (vector("mlp.gate", Part.ROUTER, hidden * count),)
    return (*made, vector("mlp.gate.bias", Part.ROUTER, count)) if bias else made


def expert_matrices(
    hidden: int, experts: Experts, *, gated: bool, bias: bool, name: str = "mlp.experts"
) -> tuple[Matrix, ...]:
    """The experts' matrices, each with all its copies."""

    def one(part: str, inputs: int, outputs: int, split: Split) -> Matrix:
        return Matrix(
            name=f"{name}.{part}",
            part=Part.EXPERTS,
            inputs=inputs,
            outputs=outputs,
            split=split,
            bias=bias,
            copies=experts.count,
            active=experts.active,
        )

    up = one("up_proj", hidden, experts.width, Split.COLUMN)
    down = one("down_proj", experts.width, hidden, Split.ROW)
    return (one("gate_proj", hidden, experts.width, Split.COLUMN), up, down) if gated else (up, down)


def _first(facts: Facts, key: str) -> int:
    """A number, or the first of a list of them: some configurations give one for each layer."""
    return facts.number(key) or next(iter(facts.numbers(key)), 0)


def _shared_width(facts: Facts, width: int) -> int:
    if facts.model_type == "llama4_text":
        return width
    own = facts.number("shared_expert_intermediate_size") or facts.number("shared_intermediate_size")
    return own or _first(facts, "n_shared_experts") * width


def _within(facts: Facts, index: int) -> bool:
    first = facts.number("moe_layer_start_index")
    last = facts.number("moe_layer_end_index", -1)
    if last < 0:
        last = facts.number("num_hidden_layers") - 1
    interval = facts.number("moe_layer_interval") or 1
    return (index + 1) % interval == 0 and first <= index <= last


def _flag(facts: Facts, bias: Bias) -> bool:
    return facts.flag(bias) if isinstance(bias, str) else bias
