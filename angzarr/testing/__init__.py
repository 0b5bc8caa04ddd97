"""Tests of event-sourced applications: scenarios, generated messages, laws, machines, and the builders of books.

Names are imported on first use; what generates examples needs hypothesis (``pip install angzarr[testing]``), the
builders and scenarios do not.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypothesis.stateful import invariant

    from angzarr.messages import frozen
    from angzarr.testing.applications import ApplicationMachine, application_machine
    from angzarr.testing.builders import (
        DEFAULT_TEST_NAMESPACE,
        make_command_book,
        make_command_page,
        make_cover,
        make_event_book,
        make_event_page,
        make_timestamp,
        pack_event,
        testing_pack_event,
        uuid_for,
        uuid_obj_for,
        uuid_str_for,
    )
    from angzarr.testing.context import ScenarioContext
    from angzarr.testing.histories import commands_for, event_books
    from angzarr.testing.laws import LawBroken, check_laws, router_laws
    from angzarr.testing.machines import AggregateMachine, aggregate_machine
    from angzarr.testing.scenarios import Scenario, ScenarioFailure, scenario
    from angzarr.testing.strategies import messages

_MODULES = {
    "angzarr.messages": "frozen",
    "angzarr.testing.applications": "ApplicationMachine application_machine",
    "angzarr.testing.builders": """
        DEFAULT_TEST_NAMESPACE make_command_book make_command_page make_cover make_event_book make_event_page
        make_timestamp pack_event testing_pack_event uuid_for uuid_obj_for uuid_str_for
    """,
    "angzarr.testing.context": "ScenarioContext",
    "angzarr.testing.histories": "commands_for event_books",
    "angzarr.testing.laws": "LawBroken check_laws router_laws",
    "angzarr.testing.machines": "AggregateMachine aggregate_machine",
    "angzarr.testing.scenarios": "Scenario ScenarioFailure scenario",
    "angzarr.testing.strategies": "messages",
    "hypothesis.stateful": "invariant",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "DEFAULT_TEST_NAMESPACE",
    "AggregateMachine",
    "ApplicationMachine",
    "LawBroken",
    "Scenario",
    "ScenarioContext",
    "ScenarioFailure",
    "aggregate_machine",
    "application_machine",
    "check_laws",
    "commands_for",
    "event_books",
    "frozen",
    "invariant",
    "make_command_book",
    "make_command_page",
    "make_cover",
    "make_event_book",
    "make_event_page",
    "make_timestamp",
    "messages",
    "pack_event",
    "router_laws",
    "scenario",
    "testing_pack_event",
    "uuid_for",
    "uuid_obj_for",
    "uuid_str_for",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    try:
        value = getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ImportError(
            f"angzarr.testing.{name} needs hypothesis: pip install 'angzarr[testing]'"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
