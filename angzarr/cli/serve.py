"""``angzarr serve``: a business server, for a coordinator beside it."""

from typing import Annotated

import typer

from angzarr.cli.loading import load

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command(name="serve", no_args_is_help=True)
def serve(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="APP",
            help="A built router or an application as module:attribute, such as `players:players`.",
            show_default=False,
        ),
    ],
    address: Annotated[
        str,
        typer.Option(
            help="host:port, or unix:/path. By default what TRANSPORT_TYPE, PORT, UDS_BASE_PATH and the others say.",
            show_default=False,
        ),
    ] = "",
    health_service: Annotated[
        str, typer.Option(help="A further name to report health under.", show_default=False)
    ] = "",
    grace: Annotated[float, typer.Option(min=0, help="Seconds that calls in flight get at the end.")] = 5.0,
) -> None:
    """Serve routers over gRPC, without a coordinator.

    A production coordinator calls this process; it stores nothing itself. SIGTERM and SIGINT end it gracefully.

    Examples:

        angzarr serve players:players
        angzarr serve players:app --address 127.0.0.1:50052
    """
    from angzarr.server import configure_logging
    from angzarr.server import serve as serve_routers
    from angzarr.server.runners import run_blocking

    routers = load(spec)
    configure_logging()

    async def run() -> None:
        await serve_routers(
            routers, address=address or None, health_service=health_service or None, grace=grace
        )

    run_blocking(run)
