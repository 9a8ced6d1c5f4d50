"""Whom a connection trusts, and our client certificate: the same three options for every system."""

import contextlib
import ssl
from dataclasses import dataclass

from receiver.destinations.options import SendingOptions, authorities, existing_file, option, setting
from receiver.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TlsOptions(SendingOptions):
    """Options of every destination that supports TLS. All are paths of PEM files."""

    ca_file: str | None = option(authorities, None)
    cert_file: str | None = option(existing_file, None)
    """Our certificate, then its intermediates."""
    key_file: str | None = option(existing_file, None)
    """Its private key, unencrypted; None: it is in `cert_file`."""


def check_certificate(name: str, options: TlsOptions, *, encrypted: bool) -> None:
    """Read the client certificate of the destination *name* once, to find mistakes at start.

    Raises:
        ConfigError: certificate and key do not match, or the connection is not *encrypted*.
    """
    cert, key = setting(name, "cert_file"), setting(name, "key_file")
    if options.key_file and not options.cert_file:
        raise ConfigError(f"{key} needs {cert}")
    if options.cert_file and not encrypted:
        raise ConfigError(f"{cert} needs TLS, which {setting(name, 'url')} does not ask for")
    try:
        context(options)
    except (OSError, ValueError):  # of which ssl.SSLError is one
        raise ConfigError(
            f"{cert} and {key} must be readable PEM files: a certificate and its own private key, unencrypted"
        ) from None


def advice(name: str, options: TlsOptions, *, encrypted: bool, scheme: str) -> str:
    """Say what may be missing if the other side hangs up before anything got through.

    With TLS 1.3, a client without a certificate is refused after the handshake, and the refusal is often
    lost.
    """
    if not encrypted:
        return f"; if it wants TLS, begin {setting(name, 'url')} with {scheme}"
    return "" if options.cert_file else f"; if it asks for a certificate, set {setting(name, 'cert_file')}"


def context(options: TlsOptions) -> ssl.SSLContext:
    """Return the TLS context for connections.

    Raises:
        OSError, ValueError: a file cannot be read.
    """
    made = ssl.create_default_context(cafile=options.ca_file)
    _load_certificate(made, options)
    return made


def renew(tls: ssl.SSLContext, options: TlsOptions) -> None:
    """Reload our certificate and authorities for new connections; keep the old ones if that fails."""
    with contextlib.suppress(OSError, ValueError):
        _load_certificate(tls, options)
    if options.ca_file:
        with contextlib.suppress(OSError, ValueError):
            tls.load_verify_locations(options.ca_file)


def _load_certificate(tls: ssl.SSLContext, options: TlsOptions) -> None:
    if options.cert_file:
        tls.load_cert_chain(options.cert_file, options.key_file, password=_no_password)


def _no_password() -> str:
    # Without it, OpenSSL would ask on the terminal.
    return ""
