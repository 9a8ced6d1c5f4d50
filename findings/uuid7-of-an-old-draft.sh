#!/usr/bin/env bash
# The Python package uuid7 0.1.0 makes UUIDs of an old draft. By the standard, those of 2026 are from the year 2203.
#
# RFC 9562, section 5.7: the first 48 bits of a UUIDv7 are milliseconds since 1970. The package follows a draft of 2021, with
# 36 bits of seconds before a fraction, and sets the same version 7. So in a table that holds both kinds its UUIDs sort behind
# all others, and whoever reads the time or prunes rows by it goes wrong. The packages uuid6 2025.0.1 and uuid-utils 1.2.0
# follow the RFC.
#
# Output seen 2026-11-30:
#   uuid7: version 7, of the present False, after 2200 True, sorts behind uuid6 True
#   uuid6: version 7, of the present True, after 2200 False, sorts behind uuid6 False
#   uuid_utils: version 7, of the present True, after 2200 False, sorts behind uuid6 False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check uuid7==0.1.0 uuid6==2025.0.1 uuid-utils==1.2.0
cat >show.py <<'PYTHON'
import time
from uuid import UUID

import uuid6
import uuid_extensions
import uuid_utils

made = {"uuid7": uuid_extensions.uuid7(), "uuid6": uuid6.uuid7(), "uuid_utils": uuid_utils.uuid7()}
time.sleep(0.01)
later = uuid6.uuid7()
for package, uuid in made.items():
    uuid = UUID(str(uuid))
    made_s = (uuid.int >> 80) / 1000
    present, far = abs(made_s - time.time()) < 3600, made_s > (2200 - 1970) * 365.2425 * 86400
    print(f"{package}: version {uuid.version}, of the present {present}, after 2200 {far}, sorts behind uuid6 {uuid > later}")
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
uuid7: version 7, of the present False, after 2200 True, sorts behind uuid6 True
uuid6: version 7, of the present True, after 2200 False, sorts behind uuid6 False
uuid_utils: version 7, of the present True, after 2200 False, sorts behind uuid6 False
SEEN
