"""The server of angzarr-client 0.3.1 for benchmarks/rpc_server.py; run in an environment of its own.

Arguments: a serialized FileDescriptorSet of tests/bank/protos, and a directory for the requests and the path to call.
"""

import os
import sys
from pathlib import Path

import dispatch_theirs
from angzarr_client import run_command_handler_server
from angzarr_client.proto.angzarr import command_handler_pb2


def main() -> None:
    directory = Path(sys.argv[2])
    for size in (10, 100, 1000):
        (directory / f"{size}.bin").write_bytes(dispatch_theirs.request(size, 2))
    (service,) = (
        found
        for name, found in command_handler_pb2.DESCRIPTOR.services_by_name.items()
        if name == "CommandHandlerService"
    )
    (directory / "path").write_text(f"/{service.full_name}/Handle")
    run_command_handler_server(dispatch_theirs.fluent(2).__self__, os.environ["PORT"])


if __name__ == "__main__":
    main()
