"""The steps of a state machine, and what can be made of one: simpler ones, and such that make up for others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any as AnyValue

import betterproto
from hypothesis.strategies import DataObject
from hypothesis.vendor import pretty

from angzarr.codec import clone
from angzarr.testing.fields import values_of

__all__ = ["Step", "Steps"]


@dataclass(frozen=True)
class Step:
    """One step of a machine.

    Attributes:
        rule: hypothesis's rule.
        arguments: what its function is called with.
    """

    rule: AnyValue
    arguments: Mapping[str, AnyValue]

    @property
    def can_be_repeated(self) -> bool:
        """Whether its arguments say what happens; those that draw more while the rule runs do not."""
        return not any(isinstance(value, DataObject) for value in self.arguments.values())

    def told(self) -> str:
        """The step as text."""
        arguments = ", ".join(f"{key}={pretty.pretty(value)}" for key, value in self.arguments.items())
        return f"{self.rule.function.__name__}({arguments})"

    def simpler(self) -> Iterator["Step"]:
        """The step with one argument made simpler."""
        for name, candidates in getattr(self.rule.function, "simplify", {}).items():
            for value in candidates(self.arguments[name]):
                yield self._with(name, value)

    def amounts(self) -> Iterator[int]:
        """The whole numbers in its messages."""
        for _, _, amount in self._numbers():
            yield amount

    def lowered(self) -> Iterator[tuple["Step", int]]:
        """The step with one number of a message made less, and by how much."""
        for name, field, amount in self._numbers():
            for lower in (0, 1, amount // 2):
                if lower < amount:
                    yield self._with_number(name, field, lower), amount - lower

    def changed_by(self, difference: int) -> Iterator["Step"]:
        """The step with one number of a message changed by so much; none falls below zero."""
        for name, field, amount in self._numbers():
            if amount + difference >= 0:
                yield self._with_number(name, field, amount + difference)

    def _numbers(self) -> Iterator[tuple[str, str, int]]:
        for name in getattr(self.rule.function, "simplify", {}):
            message = self.arguments[name]
            if isinstance(message, betterproto.Message):
                for field, value in values_of(message):
                    if type(value) is int and value > 0:
                        yield name, field.name, value

    def _with_number(self, name: str, field: str, value: int) -> "Step":
        changed = clone(self.arguments[name])
        setattr(changed, field, value)
        return self._with(name, changed)

    def _with(self, name: str, value: AnyValue) -> "Step":
        return replace(self, arguments={**self.arguments, name: value})


Steps = tuple[Step, ...]
