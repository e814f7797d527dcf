"""What can go wrong in the learner; every message names the thing, the value and the way out."""


class LearnerError(Exception):
    """One clear line for a person. The command line prints it, a page shows it."""


class UnknownName(LearnerError):
    """A name that is not in its registry."""


class BadSetting(LearnerError):
    """A setting that does not exist or has a value it cannot have."""


class DatasetError(LearnerError):
    """A benchmark set that cannot be used as it is."""


class WeightsError(LearnerError):
    """Pretrained weights that are not there, or are not those of the net."""


class TooFewLabels(LearnerError):
    """Training needs labels of at least two classes."""


class NotFinite(LearnerError):
    """A loss or a score became NaN or infinite; the round that made it is given up."""


class OutOfMemory(LearnerError):
    """The machine or its graphics card has no room for what a round wants; trying again later may help."""


class NoDropout(LearnerError):
    """A strategy needs stochastic predictions and the net has no active dropout."""


class Cancelled(Exception):
    """Raised out of `report` when somebody asked to stop; never swallowed."""
