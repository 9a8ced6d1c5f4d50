"""Failed attempts, as `show` commands print them."""

from collections.abc import Iterable, Mapping
from typing import Any

from receiver.cli.output import local_time, show_record


def show_attempts(attempts: Iterable[Mapping[str, Any]]) -> None:
    """Print a line for each of *attempts*, which are records."""
    for one in attempts:
        at = local_time(one["at"])
        said = f"; the answer: {one['said']}" if one["said"] else ""
        line = f"{one['number']} at {at} after {one['took_s']:.1f} s: {one['error']}{said}"
        show_record({"failed attempt": line}, as_json=False)
