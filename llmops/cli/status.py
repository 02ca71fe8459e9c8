"""`llmops status`: show what runs, and what had to be started again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import click

from llmops.apply.servers import LivePair, PairHost
from llmops.apply.site import open_site
from llmops.apply.workers import LocalWorkers
from llmops.cli.console import say, say_json, style, table
from llmops.cli.findings import findings_exit, print_findings
from llmops.cli.options import environment_option, format_option, workspace
from llmops_spec.digests import Json
from llmops_spec.payloads.serving import Supervision


@click.command()
@environment_option
@format_option("text", "json")
@click.pass_context
def command(ctx: click.Context, environment: str, format_: str) -> None:
    """Show the services of an environment: where they answer, which model, in which processes, how often those had
    to be started again.

    \b
    Example:
      llmops -C examples/quickstart status --env local
    """
    project = workspace(ctx)
    compilation = project.compile(environment)
    if environment not in compilation.environments:
        print_findings(project, compilation, format_)
        sys.exit(findings_exit(compilation))
    with open_site(project, compilation.environments[environment]) as site:
        host = LocalWorkers.of(site).pairs
        pairs = {name: _Seen.of(pair, host) for name, pair in site.live_pairs().items()}
    if format_ == "json":
        say_json({name: one.facts() for name, one in pairs.items()})
    elif not pairs:
        say(f"nothing runs in `{environment}`; `llmops apply --env {environment}` starts it")
    else:
        rows = [one.row() for one in pairs.values()]
        say(table(rows, heads=("Service", "", "Address", "Model", "Processes", "Restarts")))


@dataclass(frozen=True, kw_only=True)
class _Seen:
    pair: LivePair
    healthy: bool
    supervision: Mapping[str, Supervision]

    @classmethod
    def of(cls, pair: LivePair, host: PairHost) -> Self:
        return cls(pair=pair, healthy=pair.is_healthy(), supervision=host.supervision(pair))

    def facts(self) -> dict[str, Json]:
        return {
            "healthy": self.healthy,
            "url": self.pair.url,
            "model": self.pair.model_name,
            "processes": [self.pair.engine_pid, self.pair.gateway_pid],
            "restarts": {
                role: {"count": one.restarts, "lastEnd": one.last_end, "gaveUp": one.gave_up}
                for role, one in self.supervision.items()
            },
        }

    def row(self) -> list[str]:
        word = style("healthy", "green") if self.healthy else style("down", "red")
        processes = f"{self.pair.engine_pid}, {self.pair.gateway_pid}"
        return [self.pair.service, word, self.pair.url, self.pair.model_name, processes, self._restarts()]

    def _restarts(self) -> str:
        told = [
            f"{role}: {one.restarts}, last after {one.last_end}{', given up' if one.gave_up else ''}"
            for role, one in self.supervision.items()
            if one.restarts
        ]
        return "; ".join(told) or "none"
