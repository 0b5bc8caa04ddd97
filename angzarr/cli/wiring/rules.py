"""The rules, each with an id, what it finds, and why that matters."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from angzarr.cli.wiring.cycles import find_cycles
from angzarr.cli.wiring.findings import Finding, Severity
from angzarr.cli.wiring.model import Wiring
from angzarr.cli.wiring.usage import messages_of, used_messages
from angzarr.messages import full_name
from angzarr.messages.covers import WILDCARD_DOMAIN
from angzarr.router import decorators as marks

_Found = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: what it is called, for good.
        name: the same for people.
        severity: how bad it is not to keep it.
        explanation: what it means, and what to do.
        find: (where, message) of each place that does not keep it.
    """

    id: str
    name: str
    severity: Severity
    explanation: str
    find: Callable[[Wiring], _Found]


def check(wiring: Wiring, *, ignore: Iterable[str] = ()) -> list[Finding]:
    """Apply every rule.

    Args:
        wiring: the application.
        ignore: ids of rules to leave out.

    Returns:
        The findings, worst first.
    """
    left_out = set(ignore)
    found = [
        Finding(rule.id, rule.severity, where, message)
        for rule in RULES
        if rule.id not in left_out
        for where, message in rule.find(wiring)
    ]
    order = list(Severity)
    return sorted(found, key=lambda finding: (order.index(finding.severity), finding.rule, finding.where))


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _unhandled_commands(wiring: Wiring) -> _Found:
    for step in wiring.steps:
        for sent in step.sends:
            domains = [sent.domain] if sent.domain else list(step.info.targets)
            served = [domain for domain in domains if domain in wiring.command_domains]
            if served and not any(sent.command in wiring.handled(domain) for domain in served):
                yield (
                    step.where,
                    f"sends {_short(sent.command)} to {', '.join(served)}, where nobody handles it",
                )


def _undeclared_targets(wiring: Wiring) -> _Found:
    for step in wiring.steps:
        for sent in step.sends:
            if sent.domain and step.info.targets and sent.domain not in step.info.targets:
                declared = ", ".join(step.info.targets)
                yield (
                    step.where,
                    f"sends {_short(sent.command)} to {sent.domain}, but declares {declared} as target",
                )


def _unapplied_events(wiring: Wiring) -> _Found:
    for step in wiring.steps:
        if step.info.kind != "command_handler" or step.mark == marks.APPLIES:
            continue
        for event in sorted(step.emits - step.info.applies.keys()):
            yield step.where, f"emits {_short(event)}, which {step.info.cls.__name__} does not apply"


def _unemitted_events(wiring: Wiring) -> _Found:
    for info in wiring.of_kind("command_handler"):
        emitted, complete = wiring.emitted(info.domain)
        upcast = {full_name(new) for other in wiring.of_kind("upcaster") for _, new in other.upcasts}
        if complete:
            for event in sorted(info.applies.keys() - emitted - upcast - info.facts.keys()):
                yield (
                    info.cls.__name__,
                    f"applies {_short(event)}, which no handler of {info.domain} says it emits",
                )


def _unknown_sources(wiring: Wiring) -> _Found:
    for info in wiring.of_kind("saga", "process_manager", "projector"):
        for domain in (*info.sources, *info.domains):
            if domain not in wiring.event_domains and domain != WILDCARD_DOMAIN:
                yield info.cls.__name__, f"listens to {domain!r}, which no handler of the application serves"


def _unknown_targets(wiring: Wiring) -> _Found:
    for info in wiring.of_kind("saga", "process_manager"):
        for domain in info.targets:
            if domain not in wiring.command_domains:
                yield (
                    info.cls.__name__,
                    f"sends commands to {domain!r}, which no handler of the application serves",
                )


def _deaf_reactions(wiring: Wiring) -> _Found:
    for info in wiring.of_kind("saga", "process_manager", "projector"):
        domains = [*info.sources, *info.domains]
        known = [wiring.emitted(domain) for domain in domains]
        if WILDCARD_DOMAIN in domains or not all(complete for _, complete in known):
            continue
        applied = {name for other in wiring.handlers if other.domain in domains for name in other.applies}
        emitted = {name for names, _ in known for name in names} | applied
        for event in sorted(info.handles.keys() - emitted):
            yield (
                info.cls.__name__,
                f"waits for {_short(event)}, which no handler of {', '.join(domains)} emits",
            )


def _rejections_of_nothing(wiring: Wiring) -> _Found:
    for info in wiring.handlers:
        for domain, command in info.rejected:
            handled = {_short(name) for name in wiring.handled(domain)} | wiring.handled(domain)
            if domain not in wiring.command_domains:
                yield info.cls.__name__, f"handles rejections from {domain!r}, which no handler serves"
            elif command not in handled:
                yield info.cls.__name__, f"handles rejections of {command!r}, which is no command of {domain}"


def _unheard_rejections(wiring: Wiring) -> _Found:
    heard = {(domain, _short(command)) for info in wiring.handlers for domain, command in info.rejected}
    for step in wiring.steps:
        for sent in step.sends:
            domain = sent.domain or (step.info.targets[0] if len(step.info.targets) == 1 else "")
            if domain in wiring.command_domains and (domain, _short(sent.command)) not in heard:
                yield (
                    step.where,
                    f"sends {_short(sent.command)} to {domain}, and nobody handles its rejection",
                )


def _cycles(wiring: Wiring) -> _Found:
    for where, path in find_cycles(wiring):
        yield where, " → ".join(path)


def _upcaster_gaps(wiring: Wiring) -> _Found:
    for info in wiring.of_kind("upcaster"):
        readers = [
            other
            for other in wiring.handlers
            if info.domain in (other.domain, other.pm_domain, *other.sources, *other.domains)
            and other.kind != "upcaster"
        ]
        if not readers:
            yield info.cls.__name__, f"translates events of {info.domain!r}, which no handler serves or reads"
            continue
        known = {name for other in readers for name in (*other.applies, *other.handles, *other.facts)}
        old = {full_name(before) for other in wiring.of_kind("upcaster") for before, _ in other.upcasts}
        for before, after in info.upcasts:
            if full_name(after) not in known | old:
                yield (
                    info.cls.__name__,
                    f"turns {_short(full_name(before))} into {_short(full_name(after))}, which nobody reads",
                )


def _unused_messages(wiring: Wiring) -> _Found:
    for name in sorted(messages_of(wiring) - used_messages(wiring)):
        yield _short(name), "is neither handled nor emitted, applied, reacted to, or part of another message"


def _unannotated(wiring: Wiring) -> _Found:
    for step in wiring.steps:
        if step.info.kind == "command_handler" and step.mark == marks.HANDLES and not step.is_annotated:
            yield step.where, "does not say in its return annotation which events it emits"


RULES: tuple[Rule, ...] = (
    Rule(
        "AZ101",
        "unhandled command",
        Severity.ERROR,
        "A saga or process manager sends a command that no command handler of the target domain handles. Each one ends "
        "as a rejection, or in the dead letters. Write the handler, or send what the domain knows.",
        _unhandled_commands,
    ),
    Rule(
        "AZ102",
        "undeclared target",
        Severity.ERROR,
        "A saga or process manager sends to a domain that it does not declare as target. A production coordinator "
        "probes and routes by what is declared. Add the domain to target or targets.",
        _undeclared_targets,
    ),
    Rule(
        "AZ103",
        "upcaster gap",
        Severity.ERROR,
        "An upcaster translates an event into one that nobody applies, handles or translates further, so the old "
        "events are lost on the way. Translate into the event of today.",
        _upcaster_gaps,
    ),
    Rule(
        "AZ201",
        "event without applier",
        Severity.WARNING,
        "A command handler emits an event that its own state does not take in, so the next command is decided as if it "
        "had not happened. Write @applies for it, if only with `pass` where the state really does not change.",
        _unapplied_events,
    ),
    Rule(
        "AZ202",
        "unknown source",
        Severity.WARNING,
        "A saga, process manager or projector listens to a domain that the application has no handlers for. Fine when "
        "the domain lives in another process; else probably a misspelt name.",
        _unknown_sources,
    ),
    Rule(
        "AZ203",
        "unknown target",
        Severity.WARNING,
        "A saga or process manager sends commands to a domain that the application has no command handler for. Fine "
        "when the domain lives in another process; else probably a misspelt name.",
        _unknown_targets,
    ),
    Rule(
        "AZ204",
        "cycle",
        Severity.WARNING,
        "An event leads, through sagas, process managers and the commands they send, back to itself. Such a chain runs "
        "for ever unless a handler refuses or ignores at some point. Check that one does.",
        _cycles,
    ),
    Rule(
        "AZ205",
        "rejection of nothing",
        Severity.WARNING,
        "@rejected names a command that the domain does not have, so it is never called. Probably a misspelt name.",
        _rejections_of_nothing,
    ),
    Rule(
        "AZ206",
        "reaction to nothing",
        Severity.WARNING,
        "A saga, process manager or projector handles an event that no handler of its domains says it emits. Probably "
        "a leftover, or the wrong source.",
        _deaf_reactions,
    ),
    Rule(
        "AZ207",
        "unused message",
        Severity.WARNING,
        "A message is declared in the same protobuf package as commands of the application, and nothing uses it. A "
        "command without its handler, or an event without its emitter. Write what is missing, or remove the message.",
        _unused_messages,
    ),
    Rule(
        "AZ301",
        "event that nobody emits",
        Severity.NOTE,
        "An applier is for an event that no handler of the domain says it emits. Keep it for events of the past; "
        "remove it otherwise.",
        _unemitted_events,
    ),
    Rule(
        "AZ302",
        "unheard rejection",
        Severity.NOTE,
        "A command may be refused by its target, and nobody has @rejected for that. The refusal goes by the "
        "coordinator's default. Write @rejected on the aggregate whose event led to the command, if it has something "
        "to take back.",
        _unheard_rejections,
    ),
    Rule(
        "AZ303",
        "unknown emissions",
        Severity.NOTE,
        "A handler does not say in its return annotation which events it emits, so the rules about events cannot look "
        "at it. Annotate it, such as `-> PlayerRegistered` or `-> list[Bet | Fold]`.",
        _unannotated,
    ),
)
