"""Named points at which a test may kill the process, to prove that a restart completes the work.

``ANGZARR_FAULT_POINT=name`` or ``name:3`` (the third time it is reached) arms one, when this module is imported.
Unarmed, ``reached`` does nothing.
"""

import os
import signal


def _arm(setting: str) -> "dict[str, int]":
    name, _, count = setting.partition(":")
    return {name: int(count or 1)} if name else {}


_armed = _arm(os.environ.get("ANGZARR_FAULT_POINT", ""))


def reached(point: str) -> None:
    """End the process at once if that point is armed and its turn has come."""
    if point in _armed:
        _armed[point] -= 1
        if _armed[point] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
