"""The family: vision, language backbone, action head, world head. Pure torch modules."""
