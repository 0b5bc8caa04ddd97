"""One coordinator per database file: an operating system lock on a file beside it, gone when its holder is."""

import os
import sys
from pathlib import Path

from angzarr.coordinator import errors
from angzarr.coordinator.errors import StoreOpenError

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """Exclusive use of a database file by this coordinator.

    Args:
        path: the database file; the lock is ``<path>.lock`` beside the file that it stands for, whatever links lead
            there, and holds the process id of its holder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StoreOpenError: STORE_LOCKED, another coordinator has it; the text names its process id.
            OSError: the lock file cannot be made.
        """
        descriptor = os.open(f"{os.path.realpath(self._path)}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(descriptor)
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise StoreOpenError(
                f"{self._path} is in use by another coordinator (pid {holder}): stop that one, "
                "or give this one a store of its own",
                code=errors.STORE_LOCKED,
                details={"path": self._path, "pid": holder},
                cause=error,
            ) from error
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; doing so twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _holder(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
