import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from angzarr.errors import InvalidArgumentError
from angzarr.log import get_logger
from angzarr.server.logs import configure_logging


@pytest.fixture(autouse=True)
def _configuration_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_lines_go_to_stderr_when_it_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    get_logger("angzarr.here").info("server_started", address="[::]:50052")
    captured = capsys.readouterr()
    line = json.loads(captured.err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "address": "[::]:50052",
        "event": "server_started",
        "logger": "angzarr.here",
        "level": "info",
    }
    assert captured.out == ""


def test_the_standard_librarys_loggers_come_out_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    logging.getLogger("other").warning("slow %s", "query", extra={"seconds": 3})
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["seconds"]) == ("slow query", "warning", 3)


def test_bound_context_is_part_of_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
        get_logger("a").info("one")
        logging.getLogger("b").info("two")
    get_logger("a").info("three")
    assert [line.get("correlation_id") for line in lines(capsys)] == ["c-1", "c-1", None]


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    get_logger("a").debug("hidden")
    configure_logging(json=True, level="debug")
    get_logger("a").debug("shown")
    assert [line["event"] for line in lines(capsys)] == ["shown"]


def test_configuring_twice_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    configure_logging(json=True)
    get_logger("a").info("once")
    assert len(lines(capsys)) == 1


def test_an_exception_brings_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        get_logger("a").exception("failed")
    (line,) = lines(capsys)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("RuntimeError: broken")


def test_people_get_text_in_colour(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=False)
    get_logger("a").info("server_started", port=1)
    text = capsys.readouterr().err
    assert "server_started" in text
    assert "\x1b[" in text


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="no such log level: 'LOUD'"):
        configure_logging(level="LOUD")


def test_without_configuration_the_library_logs_through_the_standard_library(
    caplog: pytest.LogCaptureFixture,
) -> None:
    structlog.reset_defaults()
    get_logger("angzarr.there").warning("slow", seconds=2)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("angzarr.there", "'slow' seconds=2")
    ]


def test_importing_configures_nothing() -> None:
    structlog.reset_defaults()
    __import__("angzarr.server")
    assert not structlog.is_configured()
