"""STRATEGIES: which images to ask next. One family per file; a row says what it needs and nothing else is computed.

A strategy is `select(candidates, size, rng, settings) -> Picks`, in asking order.
"""

from learner.config import NoSettings, TypiclustSettings
from learner.registry import Row

_PROBS = frozenset({"probs"})
_MC = frozenset({"mc"})
_EMBEDDING = frozenset({"embedding"})

STRATEGIES: dict[str, Row] = {
    "random": Row("every image equally likely", NoSettings, "learner.acquisition.baseline:select_random"),
    "least_confidence": Row(
        "the likeliest class is least likely", NoSettings,
        "learner.acquisition.uncertainty:select_least_confidence", _PROBS, "Lewis & Gale 1994",
    ),
    "margin": Row(
        "the two likeliest classes are closest", NoSettings,
        "learner.acquisition.uncertainty:select_margin", _PROBS, "Scheffer et al. 2001",
    ),
    "entropy": Row(
        "the prediction is most spread out", NoSettings,
        "learner.acquisition.uncertainty:select_entropy", _PROBS, "Shannon 1948",
    ),
    "bald": Row(
        "the stochastic predictions disagree most", NoSettings,
        "learner.acquisition.bayesian:select_bald", _MC, "Houlsby et al. 2011; Gal et al. 2017",
    ),
    "typiclust": Row(
        "the most typical image of each large cluster that has no label", TypiclustSettings,
        "learner.acquisition.typiclust:select_typiclust", _EMBEDDING, "Hacohen et al. 2022",
    ),
}  # fmt: skip


def needs_no_model(name: str) -> bool:
    """Can this strategy choose before there is any label?"""
    return STRATEGIES[name].needs <= _EMBEDDING
