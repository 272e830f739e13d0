"""A gate in closed loop: training towns, with seeds that no round draws from. Who drives better there decides; held-out towns stay shut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motorworks.policy.policy import Policy

NUM_ENVS = 4  # where drives are judged: few, because a drive that is stuck to the end keeps the others' places waiting


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """`num_scenarios` ordinary drives."""

    num_scenarios: int = 16
    num_towns: int = 64
    seed: int = 1010
    threads: int = 2


def completion_frac(config: GateConfig, policy: "Policy") -> float:
    """Mean share of the route."""
    from itertools import islice

    from motorworks.metrics.closed_loop import route_completion
    from motorworks.sim.curriculum import draw_scenarios
    from motorworks.sim.rollout import roll_out
    from motorworks.sim.seeds import TRAIN_SEEDS
    from motorworks.sim.town import Town

    scenarios = list(islice(draw_scenarios(TRAIN_SEEDS[: config.num_towns], seed=config.seed), config.num_scenarios))
    rollouts = roll_out(Town(min(NUM_ENVS, len(scenarios)), threads=config.threads), policy, scenarios)
    return sum(route_completion(rollout) for rollout in rollouts) / len(rollouts)


def better_of(config: GateConfig, policies: "Sequence[Policy]") -> "tuple[Policy, dict[str, float]]":
    """Who completes most (of equals the first), and what each completes."""
    found = {policy.name: completion_frac(config, policy) for policy in policies}
    return max(policies, key=lambda policy: found[policy.name]), found
