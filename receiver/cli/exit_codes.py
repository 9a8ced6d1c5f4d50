"""The meaning of exit statuses."""

from enum import IntEnum

from receiver.errors import ReceiverError


class ExitCode(IntEnum):
    """Every exit status of `receiver`."""

    OK = 0
    FAILED = 1
    """Any other error; for `receiver verify`: not genuine."""
    USAGE = 2
    """An argument or a setting is wrong; nothing was sent."""
    AUTHENTICATION = 3
    PERMISSION = 4
    """The key lacks a scope, the address is not allowed, or there are too few credits."""
    NOT_FOUND = 5
    RATE_LIMIT = 6
    GENERATION_FAILED = 7
    TIMED_OUT = 8
    OUTCOME_UNKNOWN = 9
    """It may have been accepted, and charged: check before you repeat it."""
    NETWORK = 10
    """The provider, or an asset's host, did not answer properly."""
    INTERRUPTED = 130


def exit_code(error: ReceiverError) -> ExitCode:
    """Return the exit status that *error* ends the command with."""
    from receiver import errors
    from receiver.client import errors as client

    table: tuple[tuple[type[ReceiverError], ExitCode], ...] = (
        (errors.ConfigError, ExitCode.USAGE),
        (client.InvalidRequest, ExitCode.USAGE),
        (errors.GenerationClaimed, ExitCode.USAGE),
        (client.Unauthorized, ExitCode.AUTHENTICATION),
        (client.Forbidden, ExitCode.PERMISSION),
        (client.NotFound, ExitCode.NOT_FOUND),
        (client.NotCharged, ExitCode.NOT_FOUND),
        (client.RateLimited, ExitCode.RATE_LIMIT),
        (client.GenerationFailed, ExitCode.GENERATION_FAILED),
        (client.WaitTimeout, ExitCode.TIMED_OUT),
        (client.OutcomeUnknown, ExitCode.OUTCOME_UNKNOWN),
        (errors.ClientError, ExitCode.NETWORK),
    )
    return next((code for kind, code in table if isinstance(error, kind)), ExitCode.FAILED)
