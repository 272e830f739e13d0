"""Settings that no stage could carry out are refused before anything is trained."""

from functools import partial

import pytest

from motorworks.factory.stages.distil import DistilConfig
from motorworks.factory.stages.on_policy import OnPolicyConfig
from motorworks.factory.stages.reward import RewardConfig
from motorworks.factory.stages.rl import RlConfig
from motorworks.train.fit_config import FitConfig, LossWeights

FIT = FitConfig(steps=1, batch_size=1, lr=1e-3, losses=LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.0), seed=0)


def loop(num_steps: int) -> OnPolicyConfig:
    return OnPolicyConfig(labeller_drives_frac=(1.0,), num_steps=num_steps, fit=FIT, stride=4)


@pytest.mark.parametrize("num_steps", [0, 30])
def test_steps_that_the_collector_would_refuse_hours_later(num_steps):
    asked = f"is {num_steps}, and must be a positive multiple of loop.stride, 4"
    with pytest.raises(ValueError, match=f"loop.num_steps {asked}"):
        loop(num_steps)
    for config in (RlConfig, partial(DistilConfig, warm_start=FIT)):
        with pytest.raises(ValueError, match=f"reward.num_steps {asked}"):
            config(loop=loop(32), reward=RewardConfig(num_steps=num_steps))
