"""SIGTERM and SIGINT as events: the first asks to stop, the second to hurry."""

import asyncio
import signal
import threading
from types import TracebackType
from typing import Self

_STOP = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Turns the signals into events inside its ``with`` block, in the main thread; elsewhere it stays silent.

    Attributes:
        stop: set by the first signal.
        hurry: set by the second.
    """

    def __init__(self) -> None:
        self.stop: asyncio.Event = asyncio.Event()
        self.hurry: asyncio.Event = asyncio.Event()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _STOP:
                asyncio.get_running_loop().add_signal_handler(number, self._received)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in _STOP:
                asyncio.get_running_loop().remove_signal_handler(number)

    def _received(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()
