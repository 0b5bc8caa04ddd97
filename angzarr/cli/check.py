"""``angzarr check``: wiring mistakes, found without running anything."""

from typing import Annotated

import typer

from angzarr.cli import options
from angzarr.cli.errors import wrong_input
from angzarr.cli.loading import load_app
from angzarr.cli.output import write_json, write_line
from angzarr.cli.wiring import RULES, Finding, Rule, Severity, check, wiring_of

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


@app.command(name="check", no_args_is_help=True)
def check_command(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="APP",
            help="The application as module:attribute, such as `players:app`.",
            show_default=False,
        ),
    ] = "",
    explain: Annotated[
        str, typer.Option(help="Say what a rule means and what to do, such as `AZ101`.", show_default=False)
    ] = "",
    rules: Annotated[bool, typer.Option("--rules", help="List the rules.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A rule to leave out; may be repeated.", show_default=False)
    ] = None,
    lenient: Annotated[bool, typer.Option("--lenient", help="Exit with 1 for errors only.")] = False,
    as_json: options.Json = False,
) -> None:
    """Look for mistakes in how the handlers of an application fit together.

    Commands that nobody handles, events that no one applies, sagas that go round in circles, gaps between upcasters.
    Exits with 1 when there is an error or a warning.

    Examples:

        angzarr check players:app
        angzarr check players:app --lenient --ignore AZ302
        angzarr check --explain AZ204
    """
    known = {rule.id: rule for rule in RULES}
    for name in [*(ignore or []), *([explain] if explain else [])]:
        if name not in known:
            raise wrong_input(f"{name!r} is no rule", f"the rules are {', '.join(known)}")
    if rules or explain:
        _describe([known[explain]] if explain else list(RULES), as_json=as_json, at_length=bool(explain))
        return
    if not spec:
        raise wrong_input("which application?", "write angzarr check module:attribute")
    findings = check(wiring_of(load_app(spec)), ignore=ignore or [])
    _report(findings, as_json=as_json)
    bad = {Severity.ERROR} if lenient else {Severity.ERROR, Severity.WARNING}
    if any(finding.severity in bad for finding in findings):
        raise typer.Exit(1)


def _describe(rules: list[Rule], *, as_json: bool, at_length: bool) -> None:
    if as_json:
        write_json(
            [
                {
                    "rule": rule.id,
                    "name": rule.name,
                    "severity": rule.severity.value,
                    "explanation": rule.explanation,
                }
                for rule in rules
            ]
        )
        return
    for rule in rules:
        write_line(
            (rule.id, "bold"), (f"  {rule.severity.value:7}", _STYLES[rule.severity]), (f"  {rule.name}", "")
        )
        if at_length:
            write_line((f"\n{rule.explanation}", ""))


def _report(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        write_json(
            [
                {
                    "rule": finding.rule,
                    "severity": finding.severity.value,
                    "where": finding.where,
                    "message": finding.message,
                }
                for finding in findings
            ]
        )
        return
    for finding in findings:
        write_line(
            (f"{finding.severity.value:7} ", _STYLES[finding.severity]),
            (f"{finding.rule} ", "bold"),
            (f"{finding.where}: ", "cyan"),
            (finding.message, ""),
        )
    counts = [(severity, sum(finding.severity is severity for finding in findings)) for severity in Severity]
    told = ", ".join(
        f"{count} {severity.value}{'' if count == 1 else 's'}" for severity, count in counts if count
    )
    write_line((told or "nothing found", "green" if not told else ""))
    if findings:
        write_line((f"angzarr check --explain {findings[0].rule} says more", "dim"))
