"""The decorators under mypy: right methods pass, wrong ones are errors where they stand."""

import sys
from pathlib import Path

import anyio
import pytest

CASES = Path(__file__).with_name("typing_cases.py")
PROJECT = CASES.parents[2]


@pytest.mark.long
async def test_mypy_accepts_and_refuses_what_it_should(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is of the types session")
    found = await anyio.run_process(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(CASES)], cwd=PROJECT, check=False
    )
    assert (found.returncode, found.stdout.decode()) == (0, "Success: no issues found in 1 source file\n")
