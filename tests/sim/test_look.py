"""Light and weather: reproducible, forced where asked, refused out of range."""

import numpy as np
import pytest

from motorworks.sim.look import CLEAR, check_look, draw_look


def test_the_same_seed_is_the_same_look_and_a_forced_condition_moves_no_other() -> None:
    plain, same, foggy = draw_look(np.random.default_rng(3)), draw_look(np.random.default_rng(3)), draw_look(np.random.default_rng(3), fog_m=40.0)
    assert plain == same
    assert foggy.fog_m == 40.0 and foggy._replace(fog_m=plain.fog_m) == plain


@pytest.mark.parametrize(("name", "value"), [("fog_m", 0.0), ("dirt", 1.5), ("rain", -0.1), ("night", np.nan), ("dropout", 256)])
def test_an_impossible_condition_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        draw_look(np.random.default_rng(0), **{name: value})


def test_a_wrong_look_is_refused() -> None:
    with pytest.raises(ValueError, match="exposure"):
        check_look(CLEAR._replace(exposure=np.float64(9.0)))
