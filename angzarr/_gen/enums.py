"""The base of generated enums: betterproto's. Written by `nox -s protos`; do not edit."""

from typing import TYPE_CHECKING

import betterproto

if TYPE_CHECKING:
    from enum import IntEnum
    from typing import Self

    class Enum(IntEnum):
        """As type checkers have to see it; they cannot follow betterproto's own definition."""

        @classmethod
        def try_value(cls, value: int = 0) -> Self: ...
        @classmethod
        def from_string(cls, name: str) -> Self: ...

else:
    Enum = betterproto.Enum
