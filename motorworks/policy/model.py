"""A network at the wheel: remembers latents, asks for proposals, drives the most likely one, steadied. Knows no torch."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.observation import NUM_PAST_POSES, Observation
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Plan
from motorworks.geometry.array import Array
from motorworks.policy.infer import Infer
from motorworks.policy.steady import STEADIED, Steady, SteadyConfig
from motorworks.tokens.action import ActionCodec
from motorworks.tokens.camera import NUM_CAMERA, CameraCodec
from motorworks.tokens.ego import EgoCodec
from motorworks.tokens.image import HEIGHT_PX, WIDTH_PX, ImageCodec
from motorworks.tokens.text import BEGIN_ID, END_ID, NUM_THOUGHT, PAD_ID, TextCodec


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """What one `Infer.plan` call was given; kept for training on the policy's own drives and for surprise."""

    latents: Float[Array, "batch picture latent channel"]
    latents_valid: Bool[Array, "batch picture"]
    ego: Float[Array, "batch ego"]
    instruction_ids: Int64[Array, "batch 8"]


class ModelPolicy:
    """Policy over an Infer. Thinking writes one word per `act` (10 words a second), so a thought appears about a second
    after the moment it is about; between thoughts the last complete one stays on the plan. It does not steer the fast plan."""

    privileged = False
    uses_camera = True

    def __init__(
        self,
        infer: Infer,
        *,
        name: str,
        body: Body = CAR,
        think_every: int = 0,
        stride_steps: int = 1,
        steady: SteadyConfig = STEADIED,
    ) -> None:
        """`think_every`: start a new thought after that many acts (0: never think). `stride_steps`: 0.1 s steps from one act to the next."""
        if think_every < 0:
            raise ValueError(f"think_every {think_every} must not be negative; 0 switches thinking off")
        if stride_steps < 1 or infer.frame_gap_steps % stride_steps:
            raise ValueError(f"stride_steps {stride_steps} must divide the {infer.frame_gap_steps} steps between the model's frames")
        self.name, self.infer, self.body, self.think_every, self.stride_steps = name, infer, body, think_every, stride_steps
        self.last_inputs: ModelInputs | None = None
        self._image, self._text, self._ego, self._action = ImageCodec(), TextCodec(), EgoCodec(), ActionCodec(body=body)
        self._camera, self._steady = CameraCodec(image=self._image), Steady(steady, stride_steps=stride_steps)
        self._latents: Float[Array, "age batch view latent channel"] | None = None  # newest first
        self._valid: Bool[Array, "age batch view"] | None = None
        self._age: Int64[Array, " batch"] | None = None  # steps since the episode began
        self._acts = 0
        self._subject: ModelInputs | None = None  # what the current thought is about
        self._words: Int64[Array, "batch 16"] | None = None
        self._length = 0
        self._thoughts: list[Thought | None] = []

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item: the proposal with the highest probability, as `policy.steady` has it, and all of them."""
        inputs = self._remember(observation)
        controls, logits = self.infer.plan(inputs.latents, inputs.latents_valid, inputs.ego, inputs.instruction_ids)
        self.last_inputs = inputs
        if not (np.isfinite(controls).all() and np.isfinite(logits).all()):
            raise FloatingPointError(f"policy {self.name}: the model answered NaN or infinite controls")
        proposals = self._action.denormalise(controls)
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Plan(
            trajectory=self._steady.choose(proposals, logits, observation.speed_mps, observation.first),
            proposals=proposals,
            scores=(scores / scores.sum(axis=1, keepdims=True)).astype(np.float32),
            thoughts=self._think(inputs, observation.first) if self.think_every else None,
        )

    def _remember(self, observation: Observation) -> ModelInputs:
        num, gap = len(observation.speed_mps), self.infer.frame_gap_steps // self.stride_steps
        now, valid = self._see(observation)
        if self._latents is None or self._valid is None or self._latents.shape[1] != num:
            ages = gap * (self.infer.num_frames - 1) + 1
            self._latents, self._valid = np.zeros((ages, *now.shape), np.float32), np.zeros((ages, *valid.shape), bool)
        self._latents = np.concatenate([now[None], self._latents[:-1]])
        self._valid = np.concatenate([valid[None], self._valid[:-1] & ~observation.first[:, None]])
        oldest_first = slice(None, None, -gap)
        return ModelInputs(
            latents=np.concatenate(list(self._latents[oldest_first]), axis=1),
            latents_valid=np.concatenate(list(self._valid[oldest_first]), axis=1),
            ego=self._encode_ego(observation),
            instruction_ids=self._text.encode_instruction(observation.instructions),
        )

    def _see(self, observation: Observation) -> tuple[Float[Array, "batch view latent channel"], Bool[Array, "batch view"]]:
        """Latents of the first cameras of the rig, as many as the model has views, and which of them gave a picture."""
        num, views = len(observation.speed_mps), self.infer.num_views
        front = None if observation.frames is None else observation.frames[:, None]
        frames = front if views == 1 or observation.rig_frames is None else observation.rig_frames
        images, valid = np.zeros((num, views, HEIGHT_PX, WIDTH_PX, 3), np.uint8), np.zeros((num, views), bool)
        if frames is not None:
            given = min(views, frames.shape[1])
            images[:, :given] = self._image.encode(frames[:, :given])
            valid[:, :given] = True if observation.rig_valid is None else observation.rig_valid[:, :given]
        cameras = np.zeros((num, views, NUM_CAMERA), np.float32)
        known = self._camera.encode(observation.cameras[:views])
        cameras[:, : len(known)] = known
        if valid.any():
            seen = self.infer.see(images[valid], cameras[valid])
            now = np.zeros((num, views, *seen.shape[1:]), np.float32)
            now[valid] = seen
        elif self._latents is not None:
            now = np.zeros((num, *self._latents.shape[2:]), np.float32)
        else:  # cameras off from the start: one black image tells how large latents are
            now = np.zeros((num, views, *self.infer.see(images[:1, 0], cameras[:1, 0]).shape[1:]), np.float32)
        return now, valid

    def _encode_ego(self, observation: Observation) -> Float[Array, "batch ego"]:
        ego = self._ego.encode(observation.speed_mps, observation.yaw_rate_radps, observation.past_poses_rig, self.body.name)
        before = self._age if self._age is not None and len(self._age) == len(ego) else np.full(len(ego), -self.stride_steps)
        self._age = np.where(observation.first, 0, before + self.stride_steps)
        early = self._age < NUM_PAST_POSES  # as in training: a past that was not lived is unknown
        ego[early] = self._ego.without_history(ego[early])
        return ego

    def _think(self, inputs: ModelInputs, first: Bool[Array, " batch"]) -> tuple[Thought | None, ...]:
        num = len(inputs.ego)
        if len(self._thoughts) != num:
            self._thoughts, self._words, self._acts = [None] * num, None, 0
        if self._words is not None:
            self._words[first] = PAD_ID  # a restarted episode drops the sentence it was in; it joins the next one
        self._thoughts = [None if restarted else thought for restarted, thought in zip(first, self._thoughts, strict=True)]
        if self._words is None and self._acts % self.think_every == 0:
            self._subject, self._length = inputs, 1
            self._words = np.full((num, NUM_THOUGHT), PAD_ID, np.int64)
            self._words[:, 0] = BEGIN_ID
        self._acts += 1
        if self._words is not None and self._subject is not None:
            self._write_word(self._words, self._subject)
        return tuple(self._thoughts)

    def _write_word(self, words: Int64[Array, "batch 16"], subject: ModelInputs) -> None:
        logits = self.infer.think(subject.latents, subject.latents_valid, subject.ego, subject.instruction_ids, words)
        writing = (words[:, 0] == BEGIN_ID) & ~(words == END_ID).any(axis=1)
        words[writing, self._length] = logits[writing, self._length - 1].argmax(axis=-1)
        self._length += 1
        writing &= words[:, self._length - 1] != END_ID
        if self._length == NUM_THOUGHT or not writing.any():
            for item, row in enumerate(words):
                if row[0] == BEGIN_ID:
                    self._thoughts[item] = self._text.decode_thought(row)  # None where the words make no thought
            self._words = None
