#!/bin/bash
# The short form of `make test-slurm`: jobs that only write files, on a cluster of two nodes that is installed
# (root, Debian or Ubuntu), started and stopped here. Where that cannot be done it says why and succeeds; a failed test fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
CONF=/etc/slurm/slurm.conf

skip() { echo "skipped: tests on Slurm: $1"; exit 0; }

if [ -e $CONF ]; then
    grep -q '^# slurm-lab' $CONF || skip "this machine belongs to a cluster ($CONF), which they would disturb"
fi
if ! timeout 15 sinfo --noheader >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || skip "installing and starting Slurm needs root"
    command -v apt-get >/dev/null || skip "Slurm is installed by apt-get, which is not here"
    log=$(mktemp)
    trap 'tests/slurm/cluster.sh stop --purge || true; rm -f "$log"' EXIT
    trap 'exit 130' INT TERM
    timeout --foreground 240 tests/slurm/cluster.sh start >"$log" 2>&1 || skip "it could not be installed or started: $(tail -n 3 "$log" | tr '\n' ' ')"
fi
OMP_NUM_THREADS=1 timeout --foreground 600 .venv/bin/python -m pytest -q -rs -m "slurm and not slow" tests/slurm
