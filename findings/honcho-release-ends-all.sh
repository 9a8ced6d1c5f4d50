#!/usr/bin/env bash
# honcho 2.0.0 and foreman 3.0.1 for Node end the web process of a Procfile as soon as its release command is done.
#
# Heroku's "The Procfile": `release` names a command that runs before a release is deployed, not a process of the app. Both
# runners start it beside the others, and end all when the first one ends, even in good order. So a Procfile that is right
# for a platform runs for a moment only. It stays up if the processes are named: `honcho start web`.
#
# Output seen 2026-11-30, of a web process that says so if it is left alone for 5 s:
#   honcho: ended early
#   foreman: ended early
#   honcho start web: left alone
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check honcho==2.0.0
npm install --silent --no-audit --no-fund foreman@3.0.1 >/dev/null
cat >Procfile <<'PROCFILE'
release: true
web: sleep 5 && touch left-alone
PROCFILE
ran() { # the name $1, then the command
  rm -f left-alone
  "${@:2}" >/dev/null 2>&1 || true
  if [ -e left-alone ]; then echo "$1: left alone"; else echo "$1: ended early"; fi
}
{
  ran honcho venv/bin/honcho start
  ran foreman node_modules/.bin/nf start
  ran 'honcho start web' venv/bin/honcho start web
} | tee seen
diff seen - <<'SEEN'
honcho: ended early
foreman: ended early
honcho start web: left alone
SEEN
