"""Clips and nothing after them: read what lies there, look at it, and show what it is. `motorworks ingest PATH` is this recipe."""

from motorworks.factory.stages import examine, ingest
from motorworks.factory.stages.examine import ExamineConfig
from motorworks.factory.step import RecipeOptions, Step


def clips(options: RecipeOptions) -> Step:
    """The door, and a look at all that came in."""
    read = Step(name=f"clips/turn{options.turn}/ingest", run=ingest.run, config=ingest.given(options))
    return Step(name=f"clips/turn{options.turn}/examine", run=examine.run, config=ExamineConfig(), inputs={"clips": read})
