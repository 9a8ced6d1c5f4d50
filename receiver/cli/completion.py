"""`receiver completion`: the completion script for a shell."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  receiver completion bash > ~/.local/share/bash-completion/completions/receiver
    zsh:   receiver completion zsh > ~/.zfunc/_receiver   # a folder in $fpath
    fish:  receiver completion fish > ~/.config/fish/completions/receiver.fish
    """  # noqa: D301  # \b is click's own mark, and must be a backspace
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(ctx.find_root().command, {}, "receiver", "_RECEIVER_COMPLETE").source())
