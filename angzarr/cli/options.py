"""Options that several subcommands share."""

from typing import Annotated

import typer

AppSpec = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="The application as module:attribute, such as `players:app`.",
        show_default=False,
    ),
]
Domain = Annotated[
    str, typer.Argument(metavar="DOMAIN", help="The domain, such as `player`.", show_default=False)
]
Root = Annotated[
    str,
    typer.Option(
        "--root",
        "-r",
        help="The aggregate: a UUID, or any text (a business key of the domain, such as `alice`).",
        show_default=False,
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to",
        envvar="ANGZARR_ENDPOINT",
        help="The coordinator: host:port, or the path of a socket. By default the domain's own socket below "
        "$ANGZARR_UDS_BASE, or what ANGZARR_MODE says.",
        show_default=False,
    ),
]
App = Annotated[
    str,
    typer.Option(
        "--app",
        envvar="ANGZARR_APP",
        help="Take the message types from this application. By default the coordinator is asked.",
        show_default=False,
    ),
]
Edition = Annotated[str, typer.Option(help="A timeline other than the main one.", show_default=False)]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for the answer.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON for machines.")]
