"""What can go wrong in the factory; each error knows the exit code that the command line ends with."""

import sys


class FactoryError(Exception):
    """Anything the factory says in one clear line; 1 is the exit code of a failed stage."""

    exit_code = 1


class StageFailed(FactoryError):
    """A stage raised: the line names the stage, the path where there is one, and the cause."""


class Busy(FactoryError):
    """Another live process is making the same artifact."""


class BadUsage(FactoryError):
    """The command or the recipe asks for something that cannot be: an unknown name, a clashing step."""

    exit_code = 2


class CannotFingerprint(BadUsage):
    """A config holds a value that cannot be written down, so no one could tell whether it changed."""


class KeptVersionChanged(BadUsage):
    """A kept version would have to be overwritten, because its fingerprint is no longer the same."""


class BadInput(FactoryError):
    """A path, clip or record given by the user cannot be read."""

    exit_code = 3


class RefusedBundle(FactoryError):
    """A vehicle bundle is not what was signed, is too old, or is for another vehicle."""

    exit_code = 4


def exit_code_of(error: BaseException) -> int:
    """The exit code for an error: its own, or that of what caused it."""
    drive = sys.modules.get("motorworks.drive.bundle")  # not imported here: most commands never see a bundle
    if drive is not None and isinstance(error, drive.BundleRefused):
        return RefusedBundle.exit_code
    return int(getattr(error, "exit_code", FactoryError.exit_code))
