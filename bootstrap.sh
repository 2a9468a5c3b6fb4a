#!/usr/bin/env bash
# Build .venv from requirements.lock: every file is checked against its hash, nothing is resolved.
set -euo pipefail
cd "$(dirname "$0")"
VENV=${VENV:-.venv}
PYTHON=${PYTHON:-}
if [ -z "$PYTHON" ]; then
  echo "robo: no Python 3.11, 3.12 or 3.13 on PATH. Install one, or run: make PYTHON=/path/to/python3.12 <target>" >&2
  exit 2
fi
if [ ! -x "$VENV/bin/python" ]; then
  echo "robo: creating $VENV with $("$PYTHON" --version)"
  "$PYTHON" -m venv "$VENV" || { echo "robo: '$PYTHON -m venv' failed; on Debian or Ubuntu: apt-get install python3-venv" >&2; rm -rf "$VENV"; exit 2; }
fi
if [ ! -x "$VENV/bin/uv" ]; then
  # The installer itself comes from the lock too, hashes and all.
  awk '/^uv==/{keep=1} keep{print} keep && !/\\$/{exit}' requirements.lock > "$VENV/uv.lock.txt"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$VENV/uv.lock.txt" 2>"$VENV/pip.log" \
    || { cat "$VENV/pip.log" >&2; exit 1; }
fi
echo "robo: installing $(grep -c '==' requirements.lock) locked packages (about 1.3 GB unpacked; 15 s when cached, some minutes when not)"
"$VENV/bin/uv" pip sync --quiet --python "$VENV/bin/python" --require-hashes requirements.lock
"$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --no-deps --no-build-isolation --editable .
touch "$VENV/.installed"
echo "robo: environment ready"
