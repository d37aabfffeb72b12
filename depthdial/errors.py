"""Errors that a user can act on: what failed, where, what was expected, what to do next."""


class DepthDialError(Exception):
    """Base of every error that depthdial raises on purpose; its text is meant for the user."""


class ConfigError(DepthDialError):
    """A configuration, device, target or trace file does not say what is needed."""


class DataError(DepthDialError):
    """Input images or labels are missing, unreadable or inconsistent."""


class ArtefactError(DepthDialError):
    """A file that depthdial wrote is missing, damaged or of another version."""


class NetworkError(DepthDialError):
    """A network cannot be built, or cannot be a dial as it is."""


class DeployError(DepthDialError):
    """A configuration could not be exported, compiled, checked or run."""


class DeviceError(DepthDialError):
    """A device cannot be reached, prepared or measured."""


class MeasurementError(DeviceError):
    """A measurement was made but does not hold up."""


class ScheduleError(DepthDialError):
    """A schedule cannot be built from the given conditions and configurations."""
