"""Codecs between nouns and arrays: images, ego motion, text, actions, scenes."""
