"""One file per layout: recordings of the field in, clips in our frames and units out."""
