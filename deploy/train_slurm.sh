#!/bin/bash
# One training step over many machines on a Slurm cluster, by torchrun. Not run on a real one: see README.md here. What follows the name goes
# to `motorworks stage`; the step's inputs must be there:
#   sbatch --nodes 4 deploy/train_slurm.sh tiny/turn1/pretrain --artifacts ARTIFACTS
#SBATCH --job-name=motorworks-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# A process that dies takes the others with it; torchrun starts all again, and they go on from the last snapshot. SIGTERM (the time is up, or
# others need the machines) makes them take one first: the same command goes on from it, Slurm itself gives it after a preemption.
exec srun --ntasks-per-node=1 --kill-on-bad-exit=1 \
    torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "${RANKS_PER_NODE:-1}" --max-restarts 3 \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$head:29500" \
    -m motorworks.factory.cli stage "$@"
