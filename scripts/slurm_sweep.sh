#!/usr/bin/env bash
# A study on a SLURM cluster: a Dask scheduler, workers on all other tasks, and sam-sde sweep beside them.
#   sbatch --ntasks=65 scripts/slurm_sweep.sh CONFIG OUT
# Submit it again after a time limit: what was computed is kept in OUT, and only the rest is done.
#SBATCH --job-name=sam-sde
#SBATCH --cpus-per-task=1
#SBATCH --signal=B:TERM@120
set -euo pipefail
config="$1" out="$2"
host="$(hostname)" port="${SAM_SDE_PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 10000))}"   # another one for each job

# The nodes of the job reach the scheduler by its name; choose an interface that nobody else does.
srun --ntasks=1 --nodes=1 --nodelist="$host" --overlap dask scheduler --host "$host" --port "$port" --no-dashboard &
scheduler=$!
until (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; do
  kill -0 "$scheduler" 2>/dev/null || { echo "error: no scheduler at $host:$port; choose another port with SAM_SDE_PORT" >&2; exit 1; }
  sleep 1
done
srun --ntasks="$((SLURM_NTASKS - 1))" --overlap dask worker "tcp://$host:$port" --nthreads 1 --no-dashboard &

sam-sde sweep "$config" --out "$out" --scheduler "tcp://$host:$port" &
study=$!
trap 'kill -TERM "$study"' TERM
status=0
wait "$study" || status=$?
kill -0 "$study" 2>/dev/null && { wait "$study" || status=$?; }   # the signal ended the first wait
kill $(jobs -p) 2>/dev/null || true
exit "$status"
