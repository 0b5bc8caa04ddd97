"""Chains of events, reactions and commands that come back to where they started."""

from collections.abc import Iterator

from angzarr.cli.wiring.model import Step, Wiring
from angzarr.router import decorators as marks

_Event = tuple[str, str]


def find_cycles(wiring: Wiring) -> Iterator[tuple[str, list[str]]]:
    """Every cycle once: the class that closes it, and the events and commands on the way."""
    edges = _edges(wiring)
    seen: set[frozenset[_Event]] = set()
    for start in sorted(edges):
        for path in _paths_back(start, edges):
            events = frozenset(event for event, _ in path)
            if events not in seen:
                seen.add(events)
                yield path[-1][1].info.cls.__name__, _told(start, path)


_Edges = dict[_Event, list[tuple[_Event, Step]]]


def _edges(wiring: Wiring) -> _Edges:
    """From an event to the events that reactions to it lead to, with the reacting method."""
    edges: _Edges = {}
    for step in wiring.steps:
        if step.info.kind not in ("saga", "process_manager") or step.mark != marks.HANDLES:
            continue
        for source in step.info.sources:
            for taken in step.takes:
                edges.setdefault((source, taken), []).extend(_reached(wiring, step))
    return edges


def _reached(wiring: Wiring, step: Step) -> Iterator[tuple[_Event, Step]]:
    for handler in wiring.steps:
        if (
            handler.info.kind == "command_handler"
            and handler.mark == marks.HANDLES
            and _may_cause(step, handler)
        ):
            emits = handler.emits if handler.is_annotated else handler.info.applies
            yield from (((handler.info.domain, event), step) for event in sorted(emits))


def _may_cause(step: Step, handler: Step) -> bool:
    """Whether a reaction may send what a handler handles; one whose source does not say may send anything."""
    if not step.sends:
        return handler.info.domain in step.info.targets and not (step.is_annotated and not step.emits)
    return any(
        sent.command in handler.takes and (sent.domain or handler.info.domain) == handler.info.domain
        for sent in step.sends
    )


def _paths_back(start: _Event, edges: _Edges) -> Iterator[list[tuple[_Event, Step]]]:
    stack: list[tuple[_Event, list[tuple[_Event, Step]]]] = [(start, [])]
    while stack:
        current, path = stack.pop()
        for reached, step in edges.get(current, []):
            if reached == start:
                yield [*path, (reached, step)]
            elif reached not in [event for event, _ in path] and len(path) < 20:
                stack.append((reached, [*path, (reached, step)]))


def _told(start: _Event, path: list[tuple[_Event, Step]]) -> list[str]:
    first = f"{start[0]}.{start[1].rpartition('.')[2]}"
    return [
        first,
        *(f"({step.info.cls.__name__}) {domain}.{name.rpartition('.')[2]}" for (domain, name), step in path),
    ]
