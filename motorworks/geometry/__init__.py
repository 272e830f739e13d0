"""SE2/SE3, cameras, boxes, polylines."""
