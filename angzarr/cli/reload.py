"""Running a command, and running it again when files change."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream, Process

_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class _Changed:
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ended:
    process: Process
    code: int


@dataclass(frozen=True, slots=True)
class _Stopped:
    pass


_Event = _Changed | _Ended | _Stopped


class Reloader:
    """Keeps a child process running that is replaced whenever a Python file changes.

    The child has a process group and a standard input of its own: Ctrl-C reaches the parent only, which then ends the
    child in order, and a child whose parent was killed sees its input end.

    Args:
        command: the child's command line.
        paths: directories to watch, with everything below them.
        environment: additional variables of the child.
    """

    def __init__(self, command: Sequence[str], paths: Sequence[Path], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._paths = list(paths)
        self._environment = {**os.environ, **environment}

    async def run(self) -> int:
        """Run until SIGINT or SIGTERM, or until the first child ends by itself; a later one that fails to start is
        waited out until the next change.

        Returns:
            The exit code.
        """
        send, receive = anyio.create_memory_object_stream[_Event](16)
        watching, ended = anyio.Event(), anyio.Event()
        async with send, receive, anyio.create_task_group() as group:
            group.start_soon(self._signals, send)
            group.start_soon(self._watch, send, watching, ended)
            await watching.wait()
            try:
                code = await self._supervise(group, send, receive)
            finally:
                ended.set()
                group.cancel_scope.cancel()
        return code

    async def _supervise(
        self,
        group: anyio.abc.TaskGroup,
        send: ObjectSendStream[_Event],
        receive: ObjectReceiveStream[_Event],
    ) -> int:
        child: Process | None = await self._start(group, send)
        reloaded = False
        while True:
            match await receive.receive():
                case _Stopped():
                    code = await _end(child)
                    return 0 if code == -signal.SIGTERM else code
                case _Ended(process, code) if process is child:
                    if not reloaded or code == 0:
                        return code
                    child = None
                    sys.stderr.write("waiting for a change\n")
                case _Changed(files):
                    sys.stderr.write(f"{', '.join(files)} changed, starting again\n")
                    reloaded = True
                    await _end(child)
                    child = await self._start(group, send)
                case _:
                    pass  # a child that was replaced has ended

    async def _start(self, group: anyio.abc.TaskGroup, send: ObjectSendStream[_Event]) -> Process:
        process = await anyio.open_process(
            self._command, stdin=-1, stdout=None, stderr=None, env=self._environment, start_new_session=True
        )
        group.start_soon(self._wait, process, send)
        return process

    async def _wait(self, process: Process, send: ObjectSendStream[_Event]) -> None:
        async with process:
            code = await process.wait()
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await send.send(_Ended(process, code))

    async def _signals(self, send: ObjectSendStream[_Event]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                await send.send(_Stopped())

    async def _watch(self, send: ObjectSendStream[_Event], watching: anyio.Event, ended: anyio.Event) -> None:
        from watchfiles import PythonFilter, awatch

        # It watches before it first waits, that is before what is called soon. Cancelled, it goes on for seconds.
        asyncio.get_running_loop().call_soon(watching.set)
        async for changes in awatch(*self._paths, watch_filter=PythonFilter(), stop_event=ended):
            files = sorted({Path(path).name for _, path in changes})
            await send.send(_Changed(tuple(files[:3])))


async def _end(process: Process | None) -> int:
    if process is None or process.returncode is not None:
        return process.returncode or 0 if process is not None else 0
    process.terminate()
    with anyio.move_on_after(_PATIENCE):
        return await process.wait()
    process.kill()
    return await process.wait()
