"""The command from its arguments to its exit status."""

import gc
import sys

import click

from receiver.cli import cli
from receiver.cli.exit_codes import ExitCode, exit_code
from receiver.cli.output import say
from receiver.cli.streams import is_about_output, open_closed, unwritten
from receiver.errors import ConfigError, ReceiverError


def main() -> None:
    """Run the command. A refusal is one message and an exit status of its own, never a traceback."""
    # What a command imports stays in memory: collecting garbage among so many objects frees nothing.
    gc.set_threshold(100_000, 20, 20)
    open_closed()
    status = _run()
    if (fault := unwritten()) is not None:
        status = status or _not_written(fault)
    sys.exit(status)


def _run() -> int:
    try:
        status = cli.main(prog_name="receiver", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("receiver: interrupted")
        return ExitCode.INTERRUPTED
    except ReceiverError as error:
        say(f"receiver: {_message(error)}")
        return exit_code(error)
    except OSError as error:
        if not is_about_output(error):
            raise
        return _not_written(error)
    except UnicodeEncodeError:
        if all(map(_is_text, sys.argv)):
            raise
        say("receiver: an argument is not valid UTF-8")
        return ExitCode.USAGE
    return status if isinstance(status, int) else ExitCode.OK


def _not_written(fault: OSError) -> int:
    say(f"receiver: the output cannot be written: {fault.strerror}")
    return ExitCode.FAILED


def _is_text(argument: str) -> bool:
    """Whether *argument* is valid text. Only file names may be arbitrary bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def _message(error: ReceiverError) -> str:
    said = f"{error.code}: {error}"
    if isinstance(error, ConfigError):
        from receiver.settings import explain

        said = explain(error)  # the setting's name is more helpful than a code
    request_id = getattr(error, "request_id", None)
    if request_id:
        said += f" (request {request_id})"
    return "\n".join([said, *getattr(error, "__notes__", ())])
