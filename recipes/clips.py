"""Clips and nothing after them: read what lies there, look at it, and show what it is. `motorworks ingest PATH` is this recipe."""

from motorworks.factory.stages import examine, ingest
from motorworks.factory.stages.examine import ExamineConfig
from motorworks.factory.stages.ingest import IngestConfig
from motorworks.factory.step import RecipeOptions, Step


def clips(options: RecipeOptions) -> Step:
    """The door, and a look at all that came in."""
    given = IngestConfig(paths=options.clips, licence_allow=options.licence_allow)
    read = Step(name=f"clips/turn{options.turn}/ingest", run=ingest.run, config=given)
    return Step(name=f"clips/turn{options.turn}/examine", run=examine.run, config=ExamineConfig(), inputs={"clips": read})
