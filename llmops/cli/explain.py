"""`llmops explain`: print the page of a check, policy or diagnostic."""

from __future__ import annotations

from importlib.resources import files

import click

from compiler.diagnostics.suggestions import did_you_mean, nearest
from llmops.cli.console import say
from llmops.discovery import policy_packs
from llmops.errors import OperationFailed
from policies.pack_reader import load_pack
from policies.rules import Rule


@click.command()
@click.argument("code")
def command(code: str) -> None:
    """Print why a finding matters, with a bad and a good example.

    \b
    Example:
      llmops explain unknown-reference
      llmops explain GOV-01
    """
    folder = files("compiler.diagnostics") / "pages"
    pages = {one.name.removesuffix(".md"): one for one in folder.iterdir() if one.name.endswith(".md")}
    rules = {rule.id: rule for name, data in policy_packs().items() for rule in load_pack(name, data).rules}
    if code in pages:
        say(pages[code].read_text(encoding="utf-8").rstrip())
    elif code.upper() in rules:
        say(_rule_page(rules[code.upper()]))
    else:
        known = [*pages, *rules]
        listed = f"docs/reference/findings.md lists the {len(pages)} findings, and docs/reference/policies.md the rules"
        help_ = did_you_mean(code, known) if nearest(code, known) else listed
        raise OperationFailed(f"there is no page `{code}`", help=help_)


def _rule_page(rule: Rule) -> str:
    """A policy rule in the words of its pack."""
    lines = [f"# {rule.id}: {rule.title}", "", f"Severity: {rule.severity}.", "", rule.message]
    if rule.help:
        lines += ["", f"What to do: {rule.help}"]
    lines += ["", "The rule, in CEL, must be true:", "", f"    {rule.expression.text}"]
    if rule.references:
        lines += ["", f"References: {', '.join(rule.references)}"]
    return "\n".join(lines)
