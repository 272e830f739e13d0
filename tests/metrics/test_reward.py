"""A worse fact never earns more: each term alone, and the whole. And what may never be rewarded cannot be."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.metrics.reward import (
    BlocksSiren,
    Collision,
    Comfort,
    Completion,
    Following,
    GaveNoWay,
    LaneOffset,
    OffRoad,
    Progress,
    RedLight,
    Reward,
    RewardTerm,
    SpeedLimit,
    StepFacts,
    StopSign,
    WrongWay,
)
from motorworks.metrics.thresholds import NEVER_REWARDED

TERMS: tuple[RewardTerm, ...] = (
    Progress(),
    Completion(),
    Collision(),
    OffRoad(),
    WrongWay(),
    RedLight(),
    StopSign(),
    GaveNoWay(),
    BlocksSiren(),
    LaneOffset(),
    SpeedLimit(),
    Comfort(),
    Following(),
)
RULES = ("red_light", "stop_sign", "gave_no_way", "blocks_siren")
NUM = 64


def some_facts(seed: int) -> StepFacts:
    rng = np.random.default_rng(seed)
    flags = {name: rng.random(NUM) < 0.3 for name in ("collision", "at_fault", "off_road", "completed", "wrong_way", *RULES)}
    flags["at_fault"] &= flags["collision"]
    return StepFacts(
        progress_m=rng.normal(0.5, 1, NUM),
        lateral_offset_m=rng.normal(0, 1, NUM),
        speed_mps=rng.uniform(0, 14, NUM),
        accel_mps2=rng.normal(0, 3, NUM),
        curvature_per_m=rng.normal(0, 0.05, NUM),
        speed_limit_mps=rng.uniform(6, 12, NUM),
        min_gap_m=rng.uniform(0, 30, NUM),
        **flags,
    )


def worse_facts(facts: StepFacts, amount: float) -> dict[str, StepFacts]:
    """Each fact made worse alone, by name."""
    away = np.sign(facts.lateral_offset_m) * amount
    return {
        "progress": dataclasses.replace(facts, progress_m=facts.progress_m - amount),
        "completion": dataclasses.replace(facts, completed=np.zeros(NUM, bool)),
        "collision": dataclasses.replace(facts, collision=np.ones(NUM, bool)),
        "fault": dataclasses.replace(facts, collision=np.ones(NUM, bool), at_fault=np.ones(NUM, bool)),
        "off_road": dataclasses.replace(facts, off_road=np.ones(NUM, bool)),
        "wrong_way": dataclasses.replace(facts, wrong_way=np.ones(NUM, bool)),
        **{name: dataclasses.replace(facts, **{name: np.ones(NUM, bool)}) for name in RULES},
        "lane_offset": dataclasses.replace(facts, lateral_offset_m=facts.lateral_offset_m + away),
        "limit": dataclasses.replace(facts, speed_limit_mps=facts.speed_limit_mps - amount),
        "braking": dataclasses.replace(facts, accel_mps2=facts.accel_mps2 + np.sign(facts.accel_mps2) * amount),
        "cornering": dataclasses.replace(facts, curvature_per_m=facts.curvature_per_m * (1 + amount)),
        "gap": dataclasses.replace(facts, min_gap_m=np.maximum(facts.min_gap_m - amount, 0.0)),
    }


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), amount=st.floats(0.01, 5.0))
def test_a_worse_fact_never_earns_more_in_a_term(term: RewardTerm, seed: int, amount: float) -> None:
    facts = some_facts(seed)
    for name, worse in worse_facts(facts, amount).items():
        assert np.all(term(worse) <= term(facts) + 1e-12), name


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), amount=st.floats(0.01, 5.0))
def test_a_worse_fact_never_earns_more_in_the_whole(seed: int, amount: float) -> None:
    reward = Reward(factors=(LaneOffset(), SpeedLimit(), Comfort(), Following()))
    facts = some_facts(seed)
    for name, worse in worse_facts(facts, amount).items():
        assert np.all(reward(worse)[0] <= reward(facts)[0] + 1e-12), name


MOVES = {
    "progress": "progress",
    "completion": "completion",
    "collision": "collision",
    "off_road": "off_road",
    "wrong_way": "wrong_way",
    **{name: name for name in RULES},
    "lane_offset": "lane_offset",
    "speed_limit": "limit",
    "comfort": "cornering",
    "following": "gap",
}


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_each_term_answers_to_its_own_fact(term: RewardTerm) -> None:
    facts = some_facts(1)
    assert np.any(term(worse_facts(facts, 3.0)[MOVES[term.name]]) < term(facts))


def test_metres_at_the_limit_by_hand() -> None:
    still = np.zeros(1, bool)
    facts = StepFacts(
        progress_m=np.ones(1),
        collision=still,
        at_fault=still,
        off_road=still,
        completed=still,
        wrong_way=still,
        **dict.fromkeys(RULES, still),
        lateral_offset_m=np.zeros(1),
        speed_mps=np.full(1, 10.0),
        accel_mps2=np.zeros(1),
        curvature_per_m=np.zeros(1),
        speed_limit_mps=np.full(1, 10.0),
        min_gap_m=np.full(1, 99.0),
    )
    reward = Reward()
    assert reward(facts)[0] == pytest.approx(0.1)
    assert reward(dataclasses.replace(facts, collision=~still, at_fault=~still))[0] == pytest.approx(0.1 - 5.0)
    for name, penalty in (("red_light", 3.0), ("stop_sign", 2.0), ("gave_no_way", 2.0), ("blocks_siren", 0.05)):
        assert reward(dataclasses.replace(facts, **{name: ~still}))[0] == pytest.approx(0.1 - penalty), name
    assert reward(dataclasses.replace(facts, speed_limit_mps=np.full(1, 10.0 - 2.23)))[0] == pytest.approx(0.0)


@pytest.mark.parametrize("name", sorted(NEVER_REWARDED))
@pytest.mark.parametrize("place", ["gains", "factors", "penalties"])
def test_what_may_never_be_rewarded_is_refused_everywhere(name: str, place: str) -> None:
    with pytest.raises(ValueError, match="NEVER_REWARDED"):
        Reward(**{place: (Progress(name=name),)})


def test_two_terms_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share a name"):
        Reward(gains=(Progress(), Progress(metres_per_point=5.0)))


def test_a_batch_is_its_items() -> None:
    facts, reward = some_facts(3), Reward()
    together = reward(facts)[0]
    for item in range(0, NUM, 7):
        one = StepFacts(**{field.name: getattr(facts, field.name)[item : item + 1] for field in dataclasses.fields(StepFacts)})
        assert reward(one)[0][0] == together[item]


def test_a_fact_that_is_not_a_number_is_refused_by_the_name_of_its_term() -> None:
    facts = some_facts(2)
    facts.progress_m[5] = np.nan
    with pytest.raises(ValueError, match="reward term progress is not finite for item 5"):
        Reward()(facts)
