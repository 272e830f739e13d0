"""The inference socket: what a policy asks of a network. A torch model and a vehicle bundle look the same through it."""

from typing import Protocol

from jaxtyping import Bool, Float, Int64, UInt8

from motorworks.geometry.array import Array


class Infer(Protocol):
    """Numpy in, numpy out, batch first. `latents` are what camera pictures became: frames, oldest first, and in each its views, the one that
    looks ahead first."""

    num_frames: int  # moments a plan looks at
    frame_gap_steps: int  # 10 Hz steps between them
    num_views: int  # cameras at each

    def see(self, images: UInt8[Array, "batch 64 128 3"], cameras: Float[Array, "batch 16"] | None = None) -> Float[Array, "batch latent channel"]:
        """Latents of each image; remembered by the policy, so every image is seen once. `cameras` (tokens.camera) for a model that asks."""
        ...

    def plan(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
    ) -> tuple[Float[Array, "batch proposal 64 2"], Float[Array, "batch proposal"]]:
        """Normalised controls of every proposal, and their logits."""
        ...

    def think(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
        thought_ids: Int64[Array, "batch 16"],
    ) -> Float[Array, "batch 16 vocab"]:
        """Logits; position i scores the word that follows `thought_ids[:, i]` (padding after the prefix does not matter)."""
        ...

    def foresee(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
    ) -> Float[Array, "batch latent channel"]:
        """Latents expected 0.5 s ahead if the best plan is driven. Not in a vehicle bundle: the world head is dropped there."""
        ...
