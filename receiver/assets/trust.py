"""Trusted certificate authorities: the system's, and the operator's own."""

import atexit
import shutil
import ssl
import tempfile
from pathlib import Path

import httpcore2


def trusting(ca_file: str | None, *, check_name: bool = True) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and those in *ca_file*.

    Without *check_name*, the caller must check the certificate's name.

    Raises:
        ValueError: it cannot be read, or holds no certificate; the message says which.
    """
    context = httpcore2.default_ssl_context()
    context.check_hostname = check_name
    if ca_file is not None:
        _trust(context, ca_file)
    return context


def require_certificate(ca_file: str | None) -> None:
    """Refuse a file that `trusting` could not use; None is valid.

    Raises:
        ValueError: it cannot be read, or holds no certificate; the message says which.
    """
    if ca_file is not None:
        _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca_file)


def _trust(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError as error:
        raise ValueError(f"{ca_file} holds no certificate in PEM form") from error
    except OSError as error:
        raise ValueError(f"cannot read {ca_file}: {error.strerror}") from error


def bundle(*files: str) -> str:
    """Join *files* into one, for a library that accepts only one; it exists until the process ends."""
    folder = tempfile.mkdtemp(prefix="receiver-ca-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "ca.pem"
    path.write_bytes(b"\n".join(Path(file).read_bytes() for file in files))
    return str(path)
