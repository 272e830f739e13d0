"""The town as a Gymnasium environment: importing this registers `motorworks/Town-v0`.

`gymnasium.make("motorworks.sim.gym:motorworks/Town-v0")` imports and makes in one. Needs the `[worlds]` extra.
"""

import gymnasium

TOWN_ID = "motorworks/Town-v0"


def register() -> None:
    """Tells Gymnasium of the town; again and again does no harm."""
    if TOWN_ID not in gymnasium.registry:
        gymnasium.register(
            id=TOWN_ID,
            entry_point="motorworks.sim.gym.town_env:TownEnv",
            vector_entry_point="motorworks.sim.gym.town_vector_env:TownVectorEnv",
        )


register()
