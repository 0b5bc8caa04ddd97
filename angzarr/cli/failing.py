"""From exceptions of every layer to what a user of the command line is told."""

from angzarr.cli.errors import FAILED, UNREACHABLE, WRONG_INPUT, CommandLineError
from angzarr.cli.jsonform import JsonError
from angzarr.error_codes import keys
from angzarr.errors import BuildError, ClientError, DispatchError, GRPCError, OutcomeUnknownError

_REMEDIES = {
    "STORE_LOCKED": "stop the other coordinator, or give another --store",
    "STORE_NOT_SQLITE": "give another --store",
    "STORE_FOREIGN": "give another --store",
    "STORE_SCHEMA_NEWER": "install the angzarr version that wrote it, or a newer one",
    "STORE_UNWRITABLE": "make the directory writable, or give another --store",
    "BIND_FAILED": "stop whatever listens there, or choose another address: see --help",
    "INVALID_TRANSPORT_MODE": "set ANGZARR_MODE to standalone or distributed",
    "INVALID_PORT": "set the variable to a port, such as 1310",
    "INVALID_ENVIRONMENT": "set the variable as said, or unset it for the default",
    "ENDPOINT_INVALID_URI": "write host:port, or the path of a socket such as /tmp/angzarr/ch-player.sock",
}


def explain(error: BaseException) -> CommandLineError | None:
    """What to tell about an exception; None when it is nobody's mistake but ours.

    Args:
        error: whatever a command raised; of a group, its first member counts.
    """
    if isinstance(error, BaseExceptionGroup):
        explained = [explain(member) for member in error.exceptions]
        return explained[0] if explained and all(explained) else None
    if isinstance(error, CommandLineError):
        return error
    if isinstance(error, JsonError):
        return CommandLineError(str(error), remedy=error.remedy, exit_code=WRONG_INPUT)
    if isinstance(error, BuildError):
        return _told(f"the application cannot be built: {error.message}", error.code, error.details, FAILED)
    if isinstance(error, DispatchError):
        return _told(str(error), error.error_code, error.extras, FAILED)
    if isinstance(error, GRPCError):
        return _grpc(error)
    if isinstance(error, ClientError):
        return _client(error)
    return None


def _grpc(error: GRPCError) -> CommandLineError:
    text = error.grpc_details or error.message
    if isinstance(error, OutcomeUnknownError):
        told = _told(
            f"{text}; the command may have been executed or not", error.code, error.details, UNREACHABLE
        )
        told.remedy = "look at the events before you send it again, or send it with --sequence"
        return told
    told = _told(text, error.code, error.details, UNREACHABLE if error.is_connection_error() else FAILED)
    if error.current_events is not None:
        told.remedy = (
            f"see what happened meanwhile; the next sequence is {error.current_events.next_sequence}"
        )
    if error.code == "GRPC_ERROR":
        told.code = error.grpc_code.name
    return told


def _client(error: ClientError) -> CommandLineError:
    local = WRONG_INPUT if error.is_invalid_argument() else FAILED
    exit_code = UNREACHABLE if error.is_connection_error() else local
    return _told(error.message, error.code, error.details, exit_code)


def _told(text: str, code: str, details: dict[str, str], exit_code: int) -> CommandLineError:
    shown = ", ".join(f"{key}: {value}" for key, value in details.items() if key != keys.CAUSE and value)
    cause = details.get(keys.CAUSE, "")
    message = text + (f" ({shown})" if shown else "") + (f": {cause}" if cause and cause not in text else "")
    return CommandLineError(message, remedy=_REMEDIES.get(code, ""), exit_code=exit_code, code=code)
