"""Clips and nothing after them: read what lies there, and show what it is. `motorworks ingest PATH` is this recipe."""

from motorworks.factory.stages import ingest
from motorworks.factory.stages.ingest import IngestConfig
from motorworks.factory.step import RecipeOptions, Step


def clips(options: RecipeOptions) -> Step:
    """The door."""
    given = IngestConfig(paths=options.clips, licence_allow=options.licence_allow)
    return Step(name=f"clips/turn{options.turn}/ingest", run=ingest.run, config=given)
