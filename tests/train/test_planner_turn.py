"""Step time, the search and a turn: hand-made sums, and what must hold whatever the assumptions."""

import math
from dataclasses import replace

import pytest

from motorworks.models.config import family
from motorworks.train.planner import shapes
from motorworks.train.planner.assumptions import Assumptions, ranges
from motorworks.train.planner.gpus import GPUS
from motorworks.train.planner.memory import saved, sharded_step
from motorworks.train.planner.search import ASSUMED, choose, shardings
from motorworks.train.planner.sharding import Sharding
from motorworks.train.planner.step_time import mfu, ring_s, step_time
from motorworks.train.planner.turn import plan_turn, swings

H100, USUAL = GPUS["h100"], Assumptions()


def test_a_ring_moves_its_bytes_once_less_a_share():
    assumed = replace(USUAL, link_efficiency=0.5, hop_us=10.0)
    assert ring_s(8e9, 8, 100.0, assumed) == pytest.approx(7 / 8 * 8e9 / 50e9 + 7 * 10e-6)
    assert ring_s(8e9, 1, 100.0, assumed) == 0.0


def test_one_gpu_computes_and_moves_and_talks_to_nobody():
    config, cut = family("1b"), Sharding(micro_batch=64, checkpoint=False, reshard=False)
    assumed = replace(USUAL, straggler=0.0)
    time, flops = step_time(config, cut, H100, assumed), shapes.forward_flops(config)
    products = 64 * (3 * sum(flops.values()) + 2 * flops["eye"]) / (989.4e12 * USUAL.kernel_efficiency)
    assert time.products_s == pytest.approx(products)
    assert time.between_s == pytest.approx(4 * saved(config, cut, itemsize=2) / (3350e9 * 0.8))
    assert (time.tensor_links_s, time.exposed_s, time.replicas_s) == (0, 0, 0)
    assert time.total_s == pytest.approx(products + time.between_s + 28 * shapes.num_params(config) / (3350e9 * 0.8))
    assert mfu(config, cut, H100, time.total_s) == pytest.approx(USUAL.kernel_efficiency * products / time.total_s, rel=1e-6)


@pytest.mark.parametrize(
    ("member", "mlp_dim", "cut", "published"),
    [
        # bf16, compiled: benchmarks/asyncTP_llama3_h100_2025-06 (full recompute) and llama3_h100_202412 (some recompute) of torchtitan
        ("72b", 28_672, Sharding(shard=32, tp=8, micro_batch=16), 597),
        ("7b", 14_336, Sharding(shard=8, micro_batch=2), 6_667),
        ("7b", 14_336, Sharding(shard=128, micro_batch=2), 6_514),
    ],
)
def test_rates_that_others_measured_on_h100_are_met(member, mlp_dim, cut, published):
    # Llama 3.1's shapes on rows of 8,192 tokens with its vocabulary; their H100s have 2.4 TB/s
    llama = replace(family(member), mlp_dim=mlp_dim, num_thought=8192 - 11, num_vocab=128_256, latents_per_frame=1, num_frames=1)
    assert shapes.num_tokens(llama) == pytest.approx(8192, abs=5)
    time = step_time(llama, cut, replace(H100, hbm_gb_per_s=2400), USUAL)
    per_gpu = shapes.num_tokens(llama) * cut.samples_per_step / time.total_s / cut.num_ranks
    assert per_gpu == pytest.approx(published, rel=0.15)


def test_collectives_beyond_the_overlap_are_seen():
    config, cut = family("7b"), Sharding(shard=64, micro_batch=1)
    none, all_of_it = (step_time(config, cut, H100, replace(USUAL, overlap=share)) for share in (1e-9, 1.0))
    assert none.exposed_s + none.hidden_s == pytest.approx(all_of_it.exposed_s + all_of_it.hidden_s)
    assert none.hidden_s < 1e-6 < all_of_it.hidden_s
    # gathered twice in bf16 and reduced in fp32: 8 bytes a parameter over the nodes' eight network cards at 75 %
    assert none.exposed_s == pytest.approx(63 / 64 * 8 * shapes.num_params(config) / (400e9 * 0.75), rel=0.15)


@pytest.mark.parametrize(("member", "gpu", "num_gpus"), [("72b", "h100", 10_000), ("7b", "a100", 64), ("1b", "l40s", 8), ("small", "h100", 1)])
def test_the_choice_fits_fills_the_ranks_and_no_other_is_faster(member, gpu, num_gpus):
    config, room = family(member), (GPUS[gpu].memory_gb - USUAL.reserve_gb) * 1e9
    choice = choose(config, GPUS[gpu], num_gpus, USUAL)
    for one in (choice.best, *choice.others):
        assert one.sharding.num_ranks == num_gpus and one.memory.total <= room
        assert one.samples_per_s <= choice.best.samples_per_s
        assert one.sharding.samples_per_step * shapes.num_tokens(config) <= USUAL.batch_tokens
        assert config.kv_heads % one.sharding.tp == 0
    assert 0.05 < mfu(config, choice.best.sharding, GPUS[gpu], choice.best.time.total_s) < USUAL.kernel_efficiency
    assert choice.num_tried == len(list(shardings(config, GPUS[gpu], num_gpus, USUAL)))


def test_more_of_everything_is_never_slower():
    config, usual = family("72b"), choose(family("72b"), H100, 1024, USUAL).best.samples_per_s
    for better in ({"nic_gb_per_s": 100.0}, {"hbm_gb_per_s": 6000.0}, {"memory_gb": 141.0}, {"peak_flops": 2e15}):
        assert choose(config, replace(H100, **better), 1024, USUAL).best.samples_per_s >= usual
    assert choose(config, H100, 1024, replace(USUAL, batch_tokens=1e6)).best.samples_per_s < usual


def test_an_assumption_that_a_choice_reads_is_named_as_such():
    usual = choose(family("1b"), H100, 8, USUAL).best
    lowest = replace(USUAL, **{one.name: low for one, low, _ in ranges() if one.name not in ASSUMED})
    highest = replace(USUAL, **{one.name: high for one, _, high in ranges() if one.name not in ASSUMED})
    assert choose(family("1b"), H100, 8, lowest).best == choose(family("1b"), H100, 8, highest).best == usual


def test_a_turn_is_the_sum_of_its_stages_and_ten_times_the_clips_take_ten_times_the_training():
    config, choice = family("72b"), choose(family("72b"), H100, 10_000, USUAL)
    small, large = (plan_turn(config, H100, 10_000, num, USUAL, choice) for num in (20e6, 200e6))
    assert small.days == pytest.approx(sum(stage.hours for stage in small.stages) / 24)
    hours = [{stage.name: stage.hours for stage in turn.stages} for turn in (small, large)]
    assert hours[1]["pretrain"] == pytest.approx(10 * hours[0]["pretrain"]) and hours[1]["between stages"] == hours[0]["between stages"]
    # 20M clips × half kept × 40 samples, at the step's rate and the goodput of section "copies" (95.8 %)
    assert hours[0]["pretrain"] == pytest.approx(20e6 * 0.5 * 40 / choice.best.samples_per_s / 0.958 / 3600, rel=0.003)
    assert small.usd(2.0) == pytest.approx(small.days * 24 * 10_000 * 2.0)


def test_the_widest_swing_is_first_and_one_for_which_nothing_fits_last():
    config = family("1b")
    least = min(sharded_step(config, cut).total for cut in shardings(config, H100, 8, USUAL))
    tight = replace(H100, memory_gb=least / 1e9 + 9.0)  # room beside a reserve of 8 GB, none beside 12
    moved = swings(config, tight, 8, 1e6, USUAL, choose(config, tight, 8, USUAL))
    assert {one.name for one in moved} == {one.name for one, _, _ in ranges()}
    widths = [one.days for one in moved[:-1]]
    assert widths == sorted(widths, reverse=True) and widths[0] > 0
    assert moved[-1].name == "reserve_gb" and math.isnan(moved[-1].days_at_high)
