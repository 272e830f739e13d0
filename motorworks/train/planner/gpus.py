"""What GPUs and their nodes can do by their makers' data sheets, one way, dense, bf16; and what an hour costs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU in a node of its kind. Bandwidths in one direction; `usd_per_hour` low, usual, high, rented."""

    name: str
    peak_flops: float
    memory_gb: float
    hbm_gb_per_s: float
    link_gb_per_s: float  # to its neighbours in the node
    nic_gb_per_s: float  # its share of the node's network
    usd_per_hour: tuple[float, float, float]
    gpus_per_node: int = 8
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        if min(self.peak_flops, self.memory_gb, self.hbm_gb_per_s, self.link_gb_per_s, self.nic_gb_per_s) <= 0:
            raise ValueError(f"GPU {self.name}: every rate and size must be positive")
        if list(self.usd_per_hour) != sorted(self.usd_per_hour):
            raise ValueError(f"GPU {self.name}: usd_per_hour must be low, usual, high, not {self.usd_per_hour}")


_H100_PRICE = (
    "price: one-year reservations of March 2026 at 2.35 $/h (SemiAnalysis in techreaderdaily.com), 1.79 (CoreWeave, gridstackhub.ai) to 4.90 (AWS)"
)
_MERCATUS = "price: mercatus-ai.com/blog/cloud-gpu-pricing, May 2026, long-tail to hyperscaler"
_NO_PRICE = "price: a guess, not looked up"

GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu(
            name="h100",
            peak_flops=989.4e12,
            memory_gb=80,
            hbm_gb_per_s=3350,
            link_gb_per_s=450,
            nic_gb_per_s=50,
            usd_per_hour=(1.79, 2.35, 4.90),
            sources=(
                "NVIDIA H100 SXM data sheet: 1,979 TFLOP/s bf16 with sparsity, half of it dense; 80 GB; 3.35 TB/s; NVLink 900 GB/s both ways",
                "DGX H100: eight ConnectX-7 of 400 Gb/s for eight GPUs",
                _H100_PRICE,
            ),
        ),
        Gpu(
            name="h200",
            peak_flops=989.4e12,
            memory_gb=141,
            hbm_gb_per_s=4800,
            link_gb_per_s=450,
            nic_gb_per_s=50,
            usd_per_hour=(2.50, 3.50, 7.00),
            sources=("NVIDIA H200 SXM data sheet: as H100 with 141 GB at 4.8 TB/s", "DGX H200: eight ConnectX-7 of 400 Gb/s", _MERCATUS),
        ),
        Gpu(
            name="a100",
            peak_flops=312e12,
            memory_gb=80,
            hbm_gb_per_s=2039,
            link_gb_per_s=300,
            nic_gb_per_s=25,
            usd_per_hour=(0.80, 1.30, 3.00),
            sources=(
                "NVIDIA A100 80GB SXM data sheet: 312 TFLOP/s bf16 dense; 2,039 GB/s; NVLink 600 GB/s both ways",
                "DGX A100: eight ConnectX-6 of 200 Gb/s for eight GPUs",
                _MERCATUS,
            ),
        ),
        Gpu(
            name="b200",
            peak_flops=2250e12,
            memory_gb=180,
            hbm_gb_per_s=8000,
            link_gb_per_s=900,
            nic_gb_per_s=50,
            usd_per_hour=(3.00, 4.50, 8.00),
            sources=(
                "DGX B200 data sheet: 72 PFLOP/s fp8 with sparsity for eight GPUs, a quarter of it bf16 dense; 1,440 GB and 64 TB/s for eight",
                "NVLink 5: 1.8 TB/s both ways; eight ConnectX-7 of 400 Gb/s",
                _NO_PRICE,
            ),
        ),
        Gpu(
            name="l40s",
            peak_flops=362.05e12,
            memory_gb=48,
            hbm_gb_per_s=864,
            link_gb_per_s=32,
            nic_gb_per_s=25,
            usd_per_hour=(0.70, 1.00, 2.00),
            sources=(
                "NVIDIA L40S data sheet: 362.05 TFLOP/s bf16 dense; 48 GB at 864 GB/s; PCIe 4.0 x16, 64 GB/s both ways, no NVLink",
                "network: 200 Gb/s a GPU, a guess",
                _NO_PRICE,
            ),
        ),
    )
}
