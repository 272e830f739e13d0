#!/bin/bash
# A turn of the factory on a Slurm cluster. Not run on a real one: see README.md here. What follows the name goes to `motorworks`:
#   sbatch --nodes 4 deploy/slurm.sh run tiny --clips CLIPS --artifacts ARTIFACTS --engine ray --workers 256
#SBATCH --job-name=motorworks
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=2G
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0 # nothing is reported to anybody
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address="$head:6379"

# On the first node: Ray's head and the command. On the others: Ray's workers, until the command has ended. It then stops every
# Ray of this user on the node, not only its own: so the nodes are exclusive.
exec srun --ntasks-per-node=1 --kill-on-bad-exit=1 \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" --num-cpus "${SLURM_CPUS_PER_TASK:-1}" \
    -- env RAY_ADDRESS="$address" motorworks "$@"
