"""Operators are counted to one kind of work each. Nothing is timed here."""

from bench.step_time import KINDS, by_kind


def test_every_operator_is_of_one_kind_and_the_rest_is_what_they_leave():
    spent = {
        "aten::mm": 40.0,
        "aten::addmm": 10.0,
        "aten::mkldnn_convolution": 7.0,
        "aten::convolution_backward": 8.0,
        "aten::_scaled_dot_product_flash_attention_for_cpu_backward": 5.0,
        "aten::bmm": 1.0,
        "aten::_fused_adamw_": 2.0,
        "Optimizer.step#AdamW.step": 1.0,
        "aten::mul": 9.0,
        "## Call CompiledFxGraph f7mru ##": 3.0,
    }
    assert by_kind(spent, 100.0) == dict(zip(KINDS, (50.0, 15.0, 6.0, 3.0, 26.0), strict=True))
