"""The circuit breaker: after failures in a row a client leaves a broken server alone for a while."""

from dataclasses import dataclass

from angzarr.arguments import is_number, is_whole
from angzarr.client.failures import CircuitOpenError, refused_argument
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import ClientError
from angzarr.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class BreakerConfig:
    """When a circuit opens, and when it is tried again.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, a field makes no sense; details ``field``.
    """

    failures: int = 5
    """Failures in a row (UNAVAILABLE, no connection, broken connection) that open the circuit."""

    reset_after: float = 10.0
    """Seconds after which one call is let through, to see whether the server is back."""

    def __post_init__(self) -> None:
        if not is_whole(self.failures) or self.failures < 1:
            raise refused_argument(f"a whole number, 1 or more, expected, got {self.failures!r}", "failures")
        seconds = self.reset_after
        if not is_number(seconds) or seconds <= 0:
            raise refused_argument(f"seconds above 0 expected, got {seconds!r}", "reset_after")


class Breaker:
    """The state of one endpoint's circuit.

    Args:
        config: when it opens.
        endpoint: named in errors and logs.
    """

    def __init__(self, config: BreakerConfig, endpoint: str) -> None:
        self._config = config
        self._endpoint = endpoint
        self._failures = 0
        self._closed_again_at: float | None = None

    def check(self, now: float) -> None:
        """Let a call through, or not. When the time has come one call is let through as a trial.

        Raises:
            CircuitOpenError: CIRCUIT_OPEN; details ``endpoint`` and ``retry_after`` in seconds.
        """
        if self._closed_again_at is None:
            return
        if now < self._closed_again_at:
            raise CircuitOpenError(
                messages.CIRCUIT_OPEN,
                code=codes.CIRCUIT_OPEN,
                details={
                    keys.ENDPOINT: self._endpoint,
                    keys.RETRY_AFTER: round(self._closed_again_at - now, 3),
                },
            )
        self._closed_again_at = now + self._config.reset_after

    def succeeded(self) -> None:
        """A call was answered, with whatever status but UNAVAILABLE."""
        if self._closed_again_at is not None:
            _log.info("circuit_closed", endpoint=self._endpoint)
        self._failures = 0
        self._closed_again_at = None

    def failed(self, error: ClientError, now: float) -> None:
        """A call failed; only failures of the connection count."""
        if isinstance(error, CircuitOpenError):
            return
        if not error.is_connection_error():
            self.succeeded()
            return
        self._failures += 1
        if self._failures >= self._config.failures:
            if self._closed_again_at is None:
                _log.warning("circuit_opened", endpoint=self._endpoint, failures=self._failures)
            self._closed_again_at = now + self._config.reset_after
