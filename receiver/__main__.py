"""The `receiver` command."""

import signal


def main() -> None:
    """Run the command, once its code is imported."""
    # That takes a third of a second, and Ctrl-C would show where in it. Until then it just ends the process.
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # not if it is ignored, as after nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from receiver.cli.main import main as run  # noqa: PLC0415

    signal.signal(signal.SIGINT, handler)
    run()


if __name__ == "__main__":
    main()
