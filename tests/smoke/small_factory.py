"""The tiny recipe, ten times smaller: everything is done, nothing is done well."""

from dataclasses import replace
from unittest import mock

from motorworks.factory.recipe import step_named
from motorworks.factory.step import RecipeOptions, Step
from recipes import own as whole_own
from recipes.tiny import TINY, chain

SMALL = replace(
    TINY,
    num_recordings=4,
    num_redriven=2,
    pretrain_steps=4,
    sft_steps=4,
    teacher_iterations=2,
    teacher_envs=8,
    rl_rounds=(0.5, 0.0),
    rl_steps=32,
    rl_fit_steps=3,
    rl_last_fit_steps=4,
    gate_scenarios=2,
    distil_warm_steps=4,
    distil_rounds=(0.0,),
    distil_steps=32,
    distil_fit_steps=3,
    distil_last_fit_steps=4,
    distil_polish_steps=32,
    num_envs=4,
    num_scenarios=2,
    num_tail=4,
    num_drives=2,
    num_plans=500,
    batch_size=16,
    threads=1,
)


def small(options: RecipeOptions) -> tuple[Step, ...]:
    """For tests/smoke."""
    return chain("small", SMALL, options)


def small_to_sft(options: RecipeOptions) -> tuple[Step, ...]:
    """The same steps as far as sft: what the test that kills a run can afford to make again."""
    return (step_named(small(options), f"small/turn{options.turn}/sft"),)


def own(options: RecipeOptions) -> Step:
    """`motorworks run own`, with few steps and drives."""
    with mock.patch.multiple(whole_own, STEPS=(4, 2), NUM_RECORDINGS=4):
        goal = whole_own.own(options)
    return replace(goal, config=replace(goal.config, num_scenarios=2, num_envs=2))
