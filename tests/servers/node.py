"""Node, the program whose printing of JSON the provider signs."""

import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

from tests.servers.require import missing

_SCRIPT: Final = """
const decoder = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true});
const print = (line) => {
  try {
    const text = decoder.decode(Buffer.from(line, "hex"));
    return Buffer.from(JSON.stringify(JSON.parse(text)), "utf8").toString("hex");
  } catch { return "refused"; }
};
const lines = require("fs").readFileSync(0, "latin1").split("\\n");
process.stdout.write(lines.map(print).join("\\n"));
"""


def stringify_all(bodies: Sequence[bytes]) -> list[bytes | None]:
    """Return `JSON.stringify(JSON.parse(body))` of each, or None where Node throws, from one Node process."""
    node = shutil.which("node") or missing("node", "no `node` on the path")
    lines = "\n".join(body.hex() for body in bodies)
    done = subprocess.run([node, "-e", _SCRIPT], input=lines, capture_output=True, text=True, check=True)
    return [None if line == "refused" else bytes.fromhex(line) for line in done.stdout.split("\n")]
