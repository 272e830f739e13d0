"""What the numbers in a town's rasters and rows mean."""

import math

PAINT_M_PER_PX = 0.2
HEADING_M_PER_PX = 0.5
GRASS, ASPHALT, WHITE, YELLOW, VERGE, JUNCTION, PAVEMENT, KERB, PARKING, ISLAND, RED_ASPHALT = range(11)  # materials of the paint
OFF_CODE, JUNCTION_CODE = -128, -127  # other codes of the heading map: lane yaw * HEADING_SCALE
HEADING_SCALE = 120.0 / math.pi
TREE, BUILDING, LAMP_POST, SIGN, SIGNAL_HEAD, HEDGE, BOLLARD = range(32, 39)  # kinds of scenery; above the kinds of agents
SIGN_STOP, SIGN_YIELD, SIGN_LIMIT, SIGN_SCHOOL, SIGN_CROSSING, SIGN_ROUNDABOUT, SIGN_WORKS = range(7)
STOP_LINE, YIELD_LINE = range(2)
SCENERY_COLUMNS = ("x_m", "y_m", "yaw_rad", "half_length_m", "half_width_m", "height_m", "kind", "shade", "value")
