"""A model over many processes: FSDP2 and DTensor, as the plan beside the model (models.parallel_plan) says. The numbers stay those of one."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module
from torch.nn import functional as F

from motorworks.models.driving_model import DrivingModel, ModelInput, ModelOutput
from motorworks.models.parallel_plan import blocks_of, check_tensor_size, tensor_cuts
from motorworks.train.batch import Batch, again, look
from motorworks.train.context import cut_sequence
from motorworks.train.pipeline import cut_blocks
from motorworks.train.ranks import Ranks, local
from motorworks.train.rows import cut_rows, join_rows


class Seeing(nn.Module):
    """A model and what its eyes need before it, as one call: FSDP gathers what lies outside the blocks once a step.

    With `parts`, samples and images go through it in so many, each of which keeps what it said and is computed again in the backward pass, when
    the gradient of the whole batch is known (as GradCache, Gao et al. 2021, arXiv 2101.06983). In a pipeline the stages cut samples themselves.
    The state comes a third time: FSDP learns from a tensor's gradient that the backward pass has begun, and looks into no dataclass for one.
    """

    def __init__(self, model: DrivingModel, *, even_if_blind: bool, parts: int = 1, piped: bool = False) -> None:
        super().__init__()
        self.model, self.even_if_blind, self.parts, self.piped = model, even_if_blind, parts, piped
        self.look: Callable[..., tuple[ModelInput, Tensor]] = look  # on fake tensors one that is told what else it would count

    def forward(self, batch: Batch, *, thought: bool) -> tuple[ModelOutput, Float[Tensor, "b ahead l c"], Float[Tensor, "b d"]]:
        inputs, ahead = self.look(self.model, batch, thought=thought, even_if_blind=self.even_if_blind, parts=self.parts)
        if self.parts == 1 or self.piped:
            output = self.model(inputs)
        else:
            output = join_rows([again(self.model, part) for part in cut_rows(inputs, self.parts)])
        return output, ahead, output.state


def parallelise(model: DrivingModel, ranks: Ranks, *, precision: str = "fp32", parts: int = 1) -> Seeing:
    """Cuts `model` in place over `ranks.mesh`: blocks over `pipe`, tokens over `context`, columns and rows over `tensor`, then every block and
    the rest over `shard`, with copies over `replicate`. With bf16, weights travel and multiply in bf16; gradients are summed, and weights kept,
    in fp32."""
    if ranks.mesh is None:
        return Seeing(model, even_if_blind=False, parts=parts)
    piped, in_context = ranks.num_stages > 1, dist.get_world_size(ranks.context_group) > 1
    if (piped or in_context) and (model.config.latent_thoughts or any(head.needs_memory for head in model.action_heads.values())):
        raise ValueError(
            "a head of tokens and latent thoughts go on from a remembered sequence, which is whole: leave ParallelPlan.pipe and context 1"
        )
    cut_blocks(model, ranks.pipe_group, max(parts, ranks.num_stages))
    cut_sequence(model, ranks.context_group)
    cut_matrices(model, ranks.mesh["tensor"])
    if ranks.num_data > 1:
        if model.vision.tower is not None:
            raise ValueError("a member with an eye of Hugging Face trains in one process: a rank without an image cannot ask it; use its own eye")
        model.vision.norm_out = NormOverRanks(model.vision.norm_out, ranks)
        model.vision.stem.unshuffle = UnshuffleOrNone(2)
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32) if precision == "bf16" else MixedPrecisionPolicy()
    data = ranks.mesh["replicate", "shard"] if ranks.mesh["replicate"].size() > 1 else ranks.mesh["shard"]
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")  # nothing writes into a model's output
    seeing = Seeing(model, even_if_blind=True, parts=parts, piped=piped)
    for block in blocks_of(model):
        fully_shard(block, mesh=data, mp_policy=policy, reshard_after_forward=ranks.reshard)
    fully_shard(seeing, mesh=data, mp_policy=policy)
    return seeing


def cut_matrices(model: DrivingModel, mesh: DeviceMesh) -> None:
    """Cuts columns and rows over a mesh of one dimension, in place."""
    if mesh.size() > 1:
        check_tensor_size(model.config, mesh.size())
        cuts = tensor_cuts(model).items()
        styles: dict[str, ParallelStyle] = {name: ColwiseParallel() if cut == "column" else RowwiseParallel() for name, cut in cuts}
        parallelize_module(model, mesh, styles)


class NormOverRanks(nn.BatchNorm1d):
    """`LatentNorm` whose statistics are those of the images of all data ranks, as if one process had seen them. A rank may bring no image."""

    def __init__(self, whole: nn.BatchNorm1d, ranks: Ranks) -> None:
        super().__init__(whole.num_features, eps=whole.eps, momentum=whole.momentum, affine=False, device=whole.running_mean.device)
        self.load_state_dict(whole.state_dict())
        self.ranks = ranks

    def forward(self, x_NC: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        if not self.training or not torch.is_grad_enabled():
            return F.batch_norm(x_NC, self.running_mean, self.running_var, eps=self.eps)
        x = x_NC.float()
        count = self.ranks.sum_over_data(x.new_tensor(float(len(x))))
        mean = self.ranks.sum_over_data(x.sum(0)) / count.clamp(min=1)
        var = self.ranks.sum_over_data((x - mean).square().sum(0)) / count.clamp(min=1)
        if self.too_few(count):
            return F.batch_norm(x_NC, self.running_mean, self.running_var, eps=self.eps)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        return ((x - mean) * torch.rsqrt(var + self.eps)).to(x_NC.dtype)

    @staticmethod
    def too_few(count: Float[Tensor, ""]) -> bool:
        """Whether so many images have no spread. A fake tensor cannot be asked: train.planner.prove answers for it."""
        return bool(count < 2)


class UnshuffleOrNone(nn.PixelUnshuffle):
    """Of no image too, which torch's forgets the shape of."""

    def forward(self, pixels_BCHW: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if len(pixels_BCHW):
            return super().forward(pixels_BCHW)
        _, channels, height, width = pixels_BCHW.shape
        factor = self.downscale_factor
        return pixels_BCHW.reshape(0, channels * factor**2, height // factor, width // factor)


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], limit: float, *, staged: Iterable[Tensor] = (), pipe_group: Any = None) -> Float[Tensor, ""]:
    """The norm of all gradients together, which are scaled down to `limit` where it is larger. As torch.nn.utils.clip_grad_norm_, also where
    tensors lie on different meshes: what other ranks hold counts, copies count once. Of those `staged` the other stages hold others."""
    parameters = [value for value in parameters if value.grad is not None]
    apart = {id(value) for value in staged}
    if not any(isinstance(value.grad, DTensor) for value in parameters):
        return torch.nn.utils.clip_grad_norm_(parameters, limit)
    alike: dict[tuple[DeviceMesh, tuple[int, ...], bool], list[Tensor]] = defaultdict(list)
    for value in parameters:
        # what FSDP cuts of columns is no Shard to torch, but no copy either
        cut = tuple(dim for dim, placement in enumerate(value.grad.placements) if not placement.is_replicate())
        alike[value.grad.device_mesh, cut, id(value) in apart].append(local(value.grad))
    of_all, of_stage = torch.zeros((), device=local(parameters[0]).device), torch.zeros((), device=local(parameters[0]).device)
    for (mesh, cut, elsewhere), grads in alike.items():
        square = torch.stack(torch._foreach_norm(grads)).square().sum()
        for dim in cut:
            dist.all_reduce(square, group=mesh.get_group(dim))
        (of_stage if elsewhere else of_all).add_(square)
    if apart:
        dist.all_reduce(of_stage, group=pipe_group)
    norm = (of_all + of_stage).sqrt()
    torch._foreach_mul_([grad for grads in alike.values() for grad in grads], (limit / (norm + 1e-6)).clamp(max=1.0))
    return norm
