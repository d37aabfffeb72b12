#!/usr/bin/env bash
# The whole test suite. Tests of Slurm wait most of their time, so all others run beside them; what they say comes last.
set -uo pipefail
python=$1

mkdir -p logs
"$python" -m pytest -m slurm >logs/slurm-tests.txt 2>&1 &
slurm=$!
trap 'kill "$slurm" 2>/dev/null' INT TERM
"$python" -m pytest -n 2 -m "not (slow or ssh or slurm or aarch64 or gpu)"
quick=$?
"$python" -m pytest -m "(slow or ssh or aarch64) and not (slurm or gpu)"
slow=$?
wait "$slurm"
slurm=$?
cat logs/slurm-tests.txt
exit $((quick ? quick : slow ? slow : slurm))
