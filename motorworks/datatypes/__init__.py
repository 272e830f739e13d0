"""The nouns, one file each, in flow order: clip, scenario, scene, observation, trajectory, rollout, score, failure."""
