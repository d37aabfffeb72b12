#!/usr/bin/env bash
# The whole test suite. Tests of Slurm wait most of their time, so all others run beside them; what they say comes last.
set -uo pipefail
python=$1

mkdir -p logs
"$python" -m pytest -m slurm >logs/slurm-tests.txt 2>&1 &
slurm=$!
trap 'kill "$slurm" 2>/dev/null' INT TERM
"$python" -m pytest -m "not (slurm or gpu)"
rest=$?
wait "$slurm"
slurm=$?
cat logs/slurm-tests.txt
exit $((rest ? rest : slurm))
