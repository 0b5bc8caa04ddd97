"""``angzarr protos``: from proto files to Python."""

from pathlib import Path
from typing import Annotated

import typer

from angzarr.cli import options
from angzarr.cli.output import write_json, write_line

app: typer.Typer = typer.Typer(
    name="protos",
    help="Generate Python from proto files.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)


@app.command(name="compile", no_args_is_help=True)
def compile_command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SRC...",
            help="Directories that import statements start from; every *.proto below them is compiled.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The package directory to write; it is replaced as a whole.",
            show_default=False,
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Generate message classes that know their protobuf names.

    Package `a.b` becomes the module `OUT/a/b/__init__.py`; importing any of it registers every message. Proto
    files may import `angzarr_client/proto/angzarr/types.proto` and the well-known types. When something is wrong,
    nothing is written.

    Examples:

        angzarr protos compile protos/ --out poker/messages
        angzarr protos compile protos/ ../shared/protos --out shop/messages
    """
    from angzarr.cli.compiler.users import compile_protos

    compiled = compile_protos(sources, out)
    if as_json:
        write_json({"out": str(out), "files": compiled.files, "messages": compiled.messages})
        return
    for package, messages in compiled.messages.items():
        names = ", ".join(name.removeprefix(f"{package}.") for name in messages)
        write_line((package or "(no package)", "bold"), (f"  {names}", ""))
    count = sum(map(len, compiled.messages.values()))
    write_line((f"{count} messages from {compiled.files} files in {out}", "green"))


@app.command(name="path")
def path_command() -> None:
    """Print the directory that the wire contract's own proto files lie below.

    Example:

        protoc -I "$(angzarr protos path)" -I protos --go_out=. protos/player.proto
    """
    from angzarr.cli.compiler.shipped import proto_root

    write_line((str(proto_root()), ""))
