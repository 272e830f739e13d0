"""Who and what else is on the road."""

AGENT_KINDS = ("car", "van", "truck", "bus", "emergency", "cyclist", "pedestrian", "child", "cone", "barrier", "debris")
CAR, VAN, TRUCK, BUS, EMERGENCY, CYCLIST, PEDESTRIAN, CHILD, CONE, BARRIER, DEBRIS = range(len(AGENT_KINDS))
FIRST_WALKER, FIRST_OBJECT = PEDESTRIAN, CONE  # kinds from here are on foot; kinds from there are things


def is_vehicle(kind: int) -> bool:
    """A motor vehicle."""
    return kind < CYCLIST


def is_vulnerable(kind: int) -> bool:
    """A pedestrian, a child or a cyclist: a vulnerable road user."""
    return CYCLIST <= kind < FIRST_OBJECT


def is_object(kind: int) -> bool:
    """A thing that cannot move by itself."""
    return kind >= FIRST_OBJECT
