"""When steps ended."""

import time


class Stopwatch:
    """Of the steps after the warm ones, up to `steps`. It is called after each with its number, counted from 1: by `fit` or by Trainer."""

    def __init__(self, warm_steps: int, steps: int, *, device: str = "cpu") -> None:
        if not 1 <= warm_steps < steps:
            raise ValueError(f"the steps, {steps}, must be more than the warm ones, {warm_steps}, of which there must be one or more")
        self.warm_steps, self.steps, self._on_gpu = warm_steps, steps, device.startswith("cuda")
        self._at_s: dict[int, float] = {}

    def __call__(self, step: int, *_: object) -> None:
        if step in (self.warm_steps, self.steps):  # no wait for the device but where time is read
            if self._on_gpu:
                import torch

                torch.cuda.synchronize()
            self._at_s[step] = time.perf_counter()

    @property
    def step_s(self) -> float:
        """Of one step."""
        return (self._at_s[self.steps] - self._at_s[self.warm_steps]) / (self.steps - self.warm_steps)
