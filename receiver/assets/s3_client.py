"""boto3's client for one bucket's store: its credentials, whom it trusts, and how long it waits."""

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, InvalidRegionError
from botocore.httpsession import get_cert_path

from receiver.assets.trust import bundle
from receiver.errors import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddressingStyle = Literal["auto", "path", "virtual"]

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 20
"""A completion may take longer; the next attempt finds its result."""
_ATTEMPTS: Final = 2
"""Uploads are retried soon anyway, and a hanging bucket blocks a slot for this many timeouts."""

_REFUSED: Final = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "InvalidClientTokenId"),
    *("AccessDenied", "XAdminUserNotFound", "403"),
}
"""Of credentials, in the words of Amazon S3, of Garage and of versitygw; the answer to a HEAD has none."""


def open_session(region: str | None) -> boto3.Session:
    """Return the source of credentials: boto3's own chain.

    Raises:
        ConfigError: the AWS configuration is malformed.
    """
    try:
        return boto3.Session(region_name=region)
    except BotoCoreError as error:
        raise _unusable(error) from error


def certificates(ca_file: str | None) -> str:
    """Return the file with the trusted authorities: botocore's choice, and those in *ca_file*.

    Raises:
        ConfigError: the AWS configuration is malformed.
    """
    if ca_file:
        return bundle(str(get_cert_path(True)), ca_file)  # noqa: FBT003  botocore's
    try:
        told = botocore.session.get_session().get_config_variable("ca_bundle")
    except BotoCoreError as error:
        raise _unusable(error) from error
    return str(told or os.environ.get("REQUESTS_CA_BUNDLE") or get_cert_path(True))  # noqa: FBT003


def open_client(
    session: boto3.Session,
    endpoint_url: str | None,
    threads: int,
    addressing_style: AddressingStyle,
    verify: str,
) -> "S3Client":
    """Return a client that opens no connection yet; `open_s3` documents the arguments.

    Raises:
        ConfigError: *endpoint_url* or the AWS configuration is malformed.
    """
    if addressing_style == "auto" and endpoint_url is not None:
        addressing_style = "path"
    if endpoint_url is not None and not endpoint_url.startswith(("https://", "http://")):
        raise _not_a_url()
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=threads,
        s3={"addressing_style": addressing_style},
        # Every upload names its own checksum; some compatible stores do not know trailing checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        client = session.client("s3", endpoint_url=endpoint_url, config=config, verify=verify)
    except InvalidRegionError as error:
        instead = "if it is not set, AWS_DEFAULT_REGION or the AWS profile names one"
        raise ConfigError(f"write the name of a region, such as eu-west-1; {instead}", "s3_region") from error
    except ValueError as error:  # only the endpoint is parsed here
        raise _not_a_url() from error
    except BotoCoreError as error:
        raise _unusable(error) from error
    client.meta.events.register("after-call.s3", partial(_renew_refused, session))
    return client


def _renew_refused(session: boto3.Session, parsed: Mapping[str, Any], **_: object) -> None:
    """Read the credentials again after a refusal: boto3 reads files and variables only once."""
    held = session.get_credentials()
    if parsed.get("Error", {}).get("Code") in _REFUSED and type(held) is Credentials:
        with suppress(BotoCoreError):  # a file that is being written
            if found := botocore.session.get_session().get_credentials():
                keys: Any = found.get_frozen_credentials()
                held.access_key, held.secret_key, held.token = keys.access_key, keys.secret_key, keys.token


def secrets(session: boto3.Session) -> list[str]:
    """Return the secrets that a store's answer may quote."""
    found = session.get_credentials()
    return [each for each in (found.access_key, found.secret_key, found.token) if each] if found else []


def _not_a_url() -> ConfigError:
    # Never quoted: people put credentials into URLs.
    return ConfigError("write an http or https URL", "s3_endpoint_url")


def _unusable(error: BotoCoreError) -> ConfigError:
    return ConfigError(f"the AWS configuration is unusable: {type(error).__name__}")
