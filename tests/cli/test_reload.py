"""What runs a command again when files change, without the command line around it."""

from pathlib import Path

import anyio
import watchfiles

from angzarr.cli.reload import Reloader

CHANGES_A_FILE_AT_ONCE = """
cd "$HERE"
[ -e begun ] && exit 0
touch begun
echo > changed.py
read -r _
"""


_ = watchfiles
"""Imported before there is a loop that it could hold."""


async def test_a_change_while_the_command_starts_is_seen(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", CHANGES_A_FILE_AT_ONCE]
    with anyio.fail_after(30):
        assert await Reloader(command, [tmp_path], {"HERE": str(tmp_path)}).run() == 0
    assert (tmp_path / "begun").exists()
