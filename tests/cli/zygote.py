"""Runs command lines in processes of their own without paying for Python's start and the imports each time.

Started once; for every line of JSON on its stdin it forks, and the child becomes the command.
"""

import json
import os
import sys
import tempfile
from typing import IO, Any

from angzarr.cli import (
    _run,
    admin,
    app,
    check,
    dead_letters,
    doctor,
    events,
    new,
    projections,
    protos,
    send,
    state,
    why,
)

PRELOADED = (doctor, new, admin, app, check, dead_letters, events, projections, protos, send, state, why)


def main() -> None:
    """Serve until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        with (
            tempfile.TemporaryFile("w+") as stdin,
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
        ):
            stdin.write(request["stdin"])
            stdin.seek(0)
            pid = os.fork()
            if pid == 0:
                _become(request, stdin, out, err)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            answer = {"code": code, "out": _content(out), "err": _content(err)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _become(request: dict[str, Any], stdin: IO[str], out: IO[str], err: IO[str]) -> None:
    code = 70
    try:
        for target, source in enumerate((stdin, out, err)):
            os.dup2(source.fileno(), target)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(fd, mode) for fd, mode in ((0, "r"), (1, "w"), (2, "w"))
        )
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        sys.argv = ["angzarr", *request["argv"]]
        code = _run(request["argv"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


if __name__ == "__main__":
    main()
