"""The documentation shows no Python of its own: its code comes from files that are tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
INCLUDED = re.compile(r'^--8<-- "([^":]+):(\w+)"$', re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_a_page_is_included_from_a_tested_file(page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    assert [block for block in blocks if not INCLUDED.fullmatch(block.strip())] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_includes_is_there(page: Path) -> None:
    for path, section in INCLUDED.findall(page.read_text()):
        text = (ROOT / path).read_text()
        assert text.count(f"--8<-- [start:{section}]") == text.count(f"--8<-- [end:{section}]") == 1


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"^  - .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == [page.name for page in PAGES]
