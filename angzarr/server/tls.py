"""TLS for servers. Business servers speak plaintext to the coordinator beside them unless they are told otherwise.

| variable | meaning |
|---|---|
| ANGZARR_TLS_CERTIFICATE | file of the server's certificate, and of those between it and its authority; PEM |
| ANGZARR_TLS_KEY | file of its private key, not encrypted; PEM |
| ANGZARR_TLS_CLIENT_ROOTS | file of the authorities that clients' certificates must come from: mutual TLS; PEM |
"""

import os
import ssl
from typing import NoReturn, TypeAlias

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import InvalidArgumentError
from angzarr.server import environment

ENV_CERTIFICATE = "ANGZARR_TLS_CERTIFICATE"
ENV_KEY = "ANGZARR_TLS_KEY"
ENV_CLIENT_ROOTS = "ANGZARR_TLS_CLIENT_ROOTS"

_Path: TypeAlias = str | os.PathLike[str]


def server_tls(
    certificate_chain: _Path, private_key: _Path, *, client_roots: _Path | None = None
) -> ssl.SSLContext:
    """A TLS context for a gRPC server: TLS 1.2 or later, HTTP/2 by ALPN.

    Args:
        certificate_chain: PEM file of the server's certificate, and of those between it and its authority.
        private_key: PEM file of its key, not encrypted.
        client_roots: PEM file of the authorities that clients' certificates must come from; None: clients need none.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, a file cannot be read or does not belong to the others; details
            ``field``, ``actual``, ``cause`` and ``expected``.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    try:
        context.load_cert_chain(certificate_chain, private_key, password=_no_password)
    except (OSError, ValueError) as error:
        field, path = _guilty(certificate_chain, private_key)
        _refuse(field, path, error, "PEM files of a certificate and of its private key")
    if client_roots is not None:
        try:
            context.load_verify_locations(client_roots)
        except (OSError, ValueError) as error:
            _refuse("client_roots", client_roots, error, "a PEM file of one or more certificates")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def tls_of_environment() -> ssl.SSLContext | None:
    """The TLS context that the environment asks for; None for plaintext.

    Raises:
        InvalidArgumentError: INVALID_ENVIRONMENT, one of the variables is missing beside another or names a file that
            will not do; details ``env_var`` and ``input``.
    """
    names = {"certificate_chain": ENV_CERTIFICATE, "private_key": ENV_KEY, "client_roots": ENV_CLIENT_ROOTS}
    values = {field: environment.text(name) for field, name in names.items()}
    if not any(values.values()):
        return None
    for field in ("certificate_chain", "private_key"):
        if not values[field]:
            environment.reject(names[field], "", f"{ENV_CERTIFICATE} and {ENV_KEY} go together")
    try:
        return server_tls(
            values["certificate_chain"], values["private_key"], client_roots=values["client_roots"] or None
        )
    except InvalidArgumentError as error:
        field = error.details[keys.FIELD]
        remedy = f"{error.details[keys.CAUSE]}; give {error.details[keys.EXPECTED]}"
        environment.reject(names[field], values[field], remedy)


def _guilty(certificate_chain: _Path, private_key: _Path) -> tuple[str, _Path]:
    """Which of two files is at fault, when ssl does not say: the key, unless the certificate alone cannot be read."""
    try:
        ssl.create_default_context(cafile=certificate_chain)
    except (OSError, ValueError):
        return "certificate_chain", certificate_chain
    return "private_key", private_key


def _refuse(field: str, path: _Path, error: Exception, expected: str) -> NoReturn:
    cause = str(error) or type(error).__name__
    raise InvalidArgumentError(
        f"{messages.INVALID_ARGUMENT}: {field} {os.fspath(path)!r}: {cause}; give {expected}",
        code=codes.INVALID_ARGUMENT,
        details={
            keys.FIELD: field,
            keys.ACTUAL: os.fspath(path),
            keys.CAUSE: cause,
            keys.EXPECTED: expected,
        },
    ) from error


def _no_password() -> str:
    raise ValueError("the private key is encrypted")
