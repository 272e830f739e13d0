"""Where the time of a training step goes, by kind of work, as torch's profiler sees it on one thread."""

import time
from collections.abc import Mapping

_MARKS = {
    "products": ("aten::mm", "aten::addmm"),
    "convolutions": ("aten::mkldnn_convolution", "aten::convolution_backward"),
    "attention": ("aten::_scaled_dot_product", "aten::bmm", "aten::baddbmm"),  # a softmax on its own is in the rest
    "optimiser": ("aten::_fused_adamw_", "Optimizer."),
}
KINDS = (*_MARKS, "rest")  # norms, activations, casts, copies, and Python between the calls


class StepTimes:
    """Called after every step with its number, counted from 1; looks at those after `first`, up to `last`."""

    def __init__(self, first: int, last: int) -> None:
        from torch.profiler import ProfilerActivity, profile

        self.first, self.last, self._seconds = first, last, 0.0
        self._profile = profile(activities=[ProfilerActivity.CPU])

    def __call__(self, step: int) -> None:
        if step == self.first:
            self._profile.start()
            self._seconds = -time.perf_counter()
        if step == self.last:
            self._seconds += time.perf_counter()
            self._profile.stop()

    def ms(self) -> dict[str, float]:
        """Milliseconds of one step for each of KINDS."""
        spent = {event.key: event.self_cpu_time_total / 1e3 for event in self._profile.key_averages()}
        return {kind: whole / (self.last - self.first) for kind, whole in by_kind(spent, 1e3 * self._seconds).items()}


def by_kind(spent: Mapping[str, float], whole: float) -> dict[str, float]:
    """Times of operators added up by kind; the rest is what they leave of the whole."""
    found = {kind: sum(time for name, time in spent.items() if name.startswith(marks)) for kind, marks in _MARKS.items()}
    return {**found, "rest": whole - sum(found.values())}
