"""All that `motorworks plan` says, as values: every number a Quantity with its formula or source."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from motorworks.factory.report.charts import number
from motorworks.models.config import ModelConfig, family
from motorworks.models.scaled import BATCH_SIZE, LR_TIMES_WIDTH, trained
from motorworks.train.planner import shapes
from motorworks.train.planner.assumptions import Assumptions
from motorworks.train.planner.goodput import Failures, best_interval_s, goodput
from motorworks.train.planner.gpus import Gpu
from motorworks.train.planner.quantity import Quantity
from motorworks.train.planner.search import Choice, choose
from motorworks.train.planner.step_time import mfu
from motorworks.train.planner.turn import Swing, Turn, failures_of, plan_turn, swings

PUBLISHED_RATES = (2.34, 3.79, 6.50)  # failures a thousand node-days: RSC-2, Llama 3, RSC-1
GB, S_PER_DAY = 1e9, 86_400.0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One plan, whole."""

    member: str
    config: ModelConfig
    gpu: Gpu
    num_gpus: int
    assumed: Assumptions
    choice: Choice
    turns: tuple[Turn, ...]
    swings: tuple[Swing, ...]  # of the last turn
    groups: dict[str, tuple[Quantity, ...]]
    proof: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        best = self.choice.best
        return {
            "member": self.member,
            "gpu": asdict(self.gpu),
            "num_gpus": self.num_gpus,
            "sharding": asdict(best.sharding),
            "quantities": {group: [asdict(one) for one in found] for group, found in self.groups.items()},
            "turns": [{**asdict(turn), "days": turn.days, "usd": turn.usd(self.gpu.usd_per_hour[1])} for turn in self.turns],
            "swings": [{name: None if value != value else value for name, value in asdict(one).items()} for one in self.swings],  # NaN is no JSON
            "assumptions": asdict(self.assumed),
            "proof": self.proof,
        }


def plan_facts(member: str, gpu: Gpu, num_gpus: int, clips: tuple[float, ...], assumed: Assumptions) -> Planned:
    """Chooses, times, counts; raises ValueError where nothing fits."""
    config = family(member)
    choice = choose(config, gpu, num_gpus, assumed)
    turns = tuple(plan_turn(config, gpu, num_gpus, num, assumed, choice) for num in clips)
    return Planned(
        member=member,
        config=config,
        gpu=gpu,
        num_gpus=num_gpus,
        assumed=assumed,
        choice=choice,
        turns=turns,
        swings=tuple(swings(config, gpu, num_gpus, clips[-1], assumed, choice)),
        groups={
            "model": _model(config),
            "plan": _plan(config, choice),
            "memory of the fullest rank": _memory(gpu, assumed, choice),
            "step": _step(config, gpu, choice),
            "staying up": _staying_up(config, gpu, num_gpus, assumed, choice),
            "turn": tuple(one for turn in turns for one in _turn(gpu, turn)),
        },
    )


def _model(config: ModelConfig) -> tuple[Quantity, ...]:
    says = {"eye": "stem, ViT, resampler", "decoder": "blocks", "ends": "embeddings, projections, heads, last norm"}
    params = [
        Quantity(name=f"parameters, {part}", value=shapes.num_params(config, part) / 1e9, unit="G", how=f"sum over the shapes of {what}")
        for part, what in says.items()
    ]
    flops, tokens, six = shapes.train_flops(config), shapes.num_tokens(config), 6 * shapes.num_params(config) / 1e9
    return (
        *params,
        Quantity(name="parameters", value=shapes.num_params(config) / 1e9, unit="G", how="equal to the module's, tested for every member"),
        Quantity(name="tokens of a sample", value=tokens, unit="", how="latents, ego, instruction, ACT, thought, ACT: decoder positions"),
        Quantity(name="images of a sample", value=config.num_frames + 1, unit="", how="frames and the next one, which the world head foresees"),
        Quantity(
            name="FLOP of a sample",
            value=flops / 1e12,
            unit="TFLOP",
            how="3 × forward + the images without a gradient; causal attention; no recompute",
        ),
        Quantity(name="FLOP of a token", value=flops / tokens / 1e9, unit="GFLOP", how=f"the eye's share included; 6 × parameters: {six:.0f}"),
        Quantity(
            name="learning rate",
            value=trained(config).lr * 1e6,
            unit="× 1e-6",
            how=f"{LR_TIMES_WIDTH} / width, measured at widths 16 and 96 with batches of {BATCH_SIZE} (docs/scaling.md): a first guess",
        ),
    )


def _plan(config: ModelConfig, choice: Choice) -> tuple[Quantity, ...]:
    cut = choice.best.sharding
    tokens = cut.samples_per_step * shapes.num_tokens(config)
    return (
        Quantity(name="tensor parallel", value=cut.tp, unit="ranks", how="neighbours in a node share a block's matrices, and the eye's MLPs"),
        Quantity(name="FSDP shard", value=cut.shard, unit="ranks", how="groups that hold one copy of the states"),
        Quantity(name="HSDP replicate", value=cut.replicate, unit="copies", how="GPUs / (shard × tp)"),
        Quantity(name="micro-batch", value=cut.micro_batch, unit="samples", how="of a tensor-parallel group at once"),
        Quantity(name="micro-batches", value=cut.accumulate, unit="", how="a step; gradients accumulate"),
        Quantity(name="activation checkpoints", value=float(cut.checkpoint), unit="1 yes", how="blocks computed again backward"),
        Quantity(name="gathered twice", value=float(cut.reshard), unit="1 yes", how="weights freed after the forward pass (reshard_after_forward)"),
        Quantity(name="samples of a step", value=cut.samples_per_step, unit="", how="micro-batch × micro-batches × shard × replicate"),
        Quantity(name="tokens of a step", value=tokens / 1e6, unit="M", how="samples × tokens; at most the assumption batch_tokens"),
        Quantity(name="plans tried", value=choice.num_tried, unit="", how=f"{choice.num_fitting} fit; the fastest of them by its own model"),
    )


def _memory(gpu: Gpu, assumed: Assumptions, choice: Choice) -> tuple[Quantity, ...]:
    says = {
        "weights": "4 B × its parameters: fp32 masters",
        "grads": "4 B × its parameters, reduced in fp32",
        "optimizer": "8 B × its parameters: AdamW's two moments",
        "gathered": "bf16 weights at work, padded to the group; gradients on their way in fp32",
        "activations": "what autograd keeps, from shapes",
        "logits": "words, proposals, losses",
        "temporaries": "backward pass of one block, recompute included",
    }
    taken = choice.best.memory
    kinds = [Quantity(name=name, value=getattr(taken, name) / GB, unit="GB", how=how) for name, how in says.items()]
    room = Quantity(name="room", value=gpu.memory_gb - assumed.reserve_gb, unit="GB", how=f"{gpu.memory_gb:.0f} GB less the reserve")
    return (*kinds, Quantity(name="all", value=taken.total / GB, unit="GB", how="their sum: the moment of most"), room)


def _step(config: ModelConfig, gpu: Gpu, choice: Choice) -> tuple[Quantity, ...]:
    says = {
        "products_s": "FLOP with recompute / (peak × kernel_efficiency), or reading the weights if that takes longer",
        "between_s": "traffic × bytes kept for the backward pass / (HBM × hbm_efficiency)",
        "tensor_links_s": "all-reduces of cut matrices over NVLink × link_efficiency; nothing hidden",
        "exposed_s": "FSDP's collectives beyond overlap × computing",
        "replicas_s": "all-reduce of the rank's fp32 gradients over replicas",
        "optimizer_s": "28 B a parameter of the rank / HBM",
        "straggler_s": "the assumption straggler of all before",
    }
    best = choice.best
    time, tokens = best.time, shapes.num_tokens(config)
    parts = [Quantity(name=name.removesuffix("_s").replace("_", " "), value=getattr(time, name), unit="s", how=how) for name, how in says.items()]
    return (
        *parts,
        Quantity(name="step", value=time.total_s, unit="s", how="their sum; a formula, not a measurement"),
        Quantity(name="hidden", value=time.hidden_s, unit="s", how="of FSDP's collectives, behind computing; not in the sum"),
        Quantity(name="MFU", value=100 * mfu(config, best.sharding, gpu, time.total_s), unit="%", how="model FLOP / (step × GPUs × dense bf16 peak)"),
        Quantity(name="samples a second", value=best.samples_per_s, unit="1/s", how="samples of a step / step"),
        Quantity(name="tokens a day", value=best.samples_per_s * tokens * S_PER_DAY / 1e12, unit="T", how="before failures"),
    )


def rates(assumed: Assumptions) -> list[float]:
    """The published failure rates and the assumed one, rising."""
    return sorted({*PUBLISHED_RATES, assumed.failures})


def failures_at(gpu: Gpu, num_gpus: int, assumed: Assumptions, rate: float) -> Failures:
    """Of a job at another rate."""
    return failures_of(gpu, num_gpus, replace(assumed, failures=rate))


def _staying_up(config: ModelConfig, gpu: Gpu, num_gpus: int, assumed: Assumptions, choice: Choice) -> tuple[Quantity, ...]:
    found, kept = [], {}
    for rate in rates(assumed):
        failures = failures_at(gpu, num_gpus, assumed, rate)
        interval_s = best_interval_s(failures)
        kept[rate] = goodput(failures, interval_s)
        at = f"at {rate:.3g} failures / 1,000 node-days"
        found += [
            Quantity(name=f"between failures, {at}", value=failures.mtbf_s / 3600, unit="h", how="1 / (nodes × rate)"),
            Quantity(name=f"between checkpoints, {at}", value=interval_s / 60, unit="min", how="sqrt(2 C (M + D + R)), Young/Daly"),
            Quantity(name=f"goodput, {at}", value=100 * kept[rate], unit="%", how="T / (M exp((D + R)/M) (exp((T + C)/M) - 1)), Daly 2006"),
        ]
    share = mfu(config, choice.best.sharding, gpu, choice.best.time.total_s)
    low, high = min(kept.values()), max(kept.values())
    how = f"MFU × goodput; {100 * share * low:.1f} to {100 * share * high:.1f} over the rates"
    return (*found, Quantity(name="effective MFU", value=100 * share * kept[assumed.failures], unit="%", how=how))


def _turn(gpu: Gpu, turn: Turn) -> tuple[Quantity, ...]:
    low, usual, high = gpu.usd_per_hour
    name = f"{turn.num_clips / 1e6:.4g}M clips"
    dollars = f"GPUs × hours × {usual} $/h; {turn.usd(low) / 1e6:.3g} to {turn.usd(high) / 1e6:.3g} M$ for {low} to {high} $/h"
    return (
        Quantity(name=f"{name}, time", value=turn.days, unit="days", how="stages one after the other, failures included"),
        Quantity(name=f"{name}, cost", value=turn.usd(usual) / 1e6, unit="M$", how=dollars),
    )


def matters_most(planned: Planned) -> str:
    """The assumption with the widest swing, in words."""
    most, usual = planned.swings[0], planned.turns[-1].days
    return f"{most.name} most, {number(most.days_at_low)} to {number(most.days_at_high)} days instead of {number(usual)}"


def proof_rows(proof: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What was built and how far the formulas are from it."""
    built, said = proof["memory"]["peak"], proof["said_peak_bytes"]
    return [
        ("ranks", f"{proof['num_ranks']:,}", "fake process group; the trainer's own cut, on rank 0"),
        ("parameters", f"{proof['params']:,}", "counted on the wrapped module; equal to the table"),
        ("on rank 0", f"{proof['params_rank_0']:,}", "equal to the formula"),
        (
            "peak of a step",
            f"{built / 1e9:.2f} GB",
            f"tracked on fake tensors at {proof['depths']} blocks, extrapolated; the formula says {said / 1e9:.2f}",
        ),
        ("grown", f"{proof['grown_bytes'] / 1e9:.2f} GB", "of this process's memory: nothing was allocated"),
        ("took", f"{proof['took_s']:.0f} s", ""),
    ]
