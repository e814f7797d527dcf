"""STRATEGIES: which images to ask next. One family per file; a row says what it needs and nothing else is computed.

A strategy is `select(candidates, size, rng, settings) -> Picks`, in asking order.
"""

from dataclasses import dataclass

from learner.acquisition import settings
from learner.registry import Row
from learner.settings import NoSettings

_PROBS = frozenset({"probs"})
_MC = frozenset({"mc"})  # mean_probs and expected_entropy
_EMBEDDING = frozenset({"embedding"})
_GRADIENT = frozenset({"probs", "penultimate"})


_TRUTH = frozenset({"truth"})  # the class of every image: simulations alone know it


@dataclass(frozen=True)
class StrategyRow(Row):
    stage: str = ""  # what it is recommended for: cold start, few labels, many labels, any, the study, simulations

    @property
    def is_oracle(self) -> bool:
        """Does it look at what nobody can know? Then people cannot choose it, and reports only show it."""
        return "truth" in self.needs


STRATEGIES: dict[str, StrategyRow] = {
    "auto": StrategyRow(
        "one of the others, by the labels so far and the method", NoSettings,
        "learner.acquisition.auto:select_auto", stage="any",
    ),
    "random": StrategyRow(
        "every image equally likely", NoSettings, "learner.acquisition.baseline:select_random", stage="any"
    ),
    "stratified": StrategyRow(
        "as many images of each class, at random: an oracle, which only simulations have", NoSettings,
        "learner.acquisition.baseline:select_stratified", _TRUTH, stage="simulations",
    ),
    # the prediction
    "least_confidence": StrategyRow(
        "the likeliest class is least likely", NoSettings,
        "learner.acquisition.uncertainty:select_least_confidence", _PROBS, "Lewis & Gale 1994", "many labels",
    ),
    "margin": StrategyRow(
        "the two likeliest classes are closest", NoSettings,
        "learner.acquisition.uncertainty:select_margin", _PROBS, "Scheffer et al. 2001", "many labels",
    ),
    "entropy": StrategyRow(
        "the prediction is most spread out", NoSettings,
        "learner.acquisition.uncertainty:select_entropy", _PROBS, "Shannon 1948", "many labels",
    ),
    # stochastic predictions
    "bald": StrategyRow(
        "the stochastic predictions disagree most", NoSettings,
        "learner.acquisition.bayesian:select_bald", _MC, "Houlsby et al. 2011; Gal et al. 2017", "many labels",
    ),
    "power_bald": StrategyRow(
        "a draw by how much the stochastic predictions disagree, for a diverse query", settings.PowerBaldSettings,
        "learner.acquisition.bayesian:select_power_bald", _MC, "Kirsch et al. 2023", "many labels",
    ),
    "batch_bald": StrategyRow(
        "the images whose labels together tell most about the model; for queries of up to 20",
        settings.BatchBaldSettings, "learner.acquisition.batch_bald:select_batch_bald",
        frozenset({"mc", "samples"}), "Kirsch et al. 2019", "many labels",
    ),
    "variation_ratios": StrategyRow(
        "fewest stochastic predictions agree with the most frequent one", NoSettings,
        "learner.acquisition.bayesian:select_variation_ratios", frozenset({"mc", "votes"}), "Freeman 1965",
        "many labels",
    ),
    "mean_std": StrategyRow(
        "the stochastic probabilities scatter most", NoSettings,
        "learner.acquisition.bayesian:select_mean_std", frozenset({"mc", "std"}), "Kampffmeyer et al. 2016",
        "many labels",
    ),
    # clusters and coverage
    "kmeans": StrategyRow(
        "the image nearest to the centroid of each cluster, as many clusters as labels", settings.KmeansSettings,
        "learner.acquisition.clustering:select_kmeans", _EMBEDDING, "Zhdanov 2019", "cold start",
    ),
    "kmeans_top": StrategyRow(
        "the images nearest to the centroids of fewer clusters", settings.KmeansShareSettings,
        "learner.acquisition.clustering:select_kmeans_top", _EMBEDDING, stage="the study",
    ),
    "kmeans_random": StrategyRow(
        "images of fewer clusters at random", settings.KmeansShareSettings,
        "learner.acquisition.clustering:select_kmeans_random", _EMBEDDING, stage="the study",
    ),
    "dbscan": StrategyRow(
        "images of the clusters of DBSCAN at random", settings.DensitySettings,
        "learner.acquisition.density:select_dbscan", _EMBEDDING, "Ester et al. 1996", "the study",
    ),
    "optics": StrategyRow(
        "images of the clusters of OPTICS at random", settings.OpticsSettings,
        "learner.acquisition.density:select_optics", _EMBEDDING, "Ankerst et al. 1999", "the study",
    ),
    "coreset": StrategyRow(
        "always the image farthest from everything labeled or chosen", NoSettings,
        "learner.acquisition.coreset:select_coreset", _EMBEDDING, "Sener & Savarese 2018", "many labels",
    ),
    "typiclust": StrategyRow(
        "the most typical image of each large cluster that has no label", settings.TypiclustSettings,
        "learner.acquisition.typiclust:select_typiclust", _EMBEDDING, "Hacohen et al. 2022", "cold start",
    ),
    "probcover": StrategyRow(
        "the image whose neighbourhood holds most images that no other one holds", settings.ProbcoverSettings,
        "learner.acquisition.probcover:select_probcover", _EMBEDDING, "Yehuda et al. 2022", "cold start",
    ),
    "max_herding": StrategyRow(
        "the image that brings all others nearest to one that is chosen", settings.MaxHerdingSettings,
        "learner.acquisition.herding:select_max_herding", _EMBEDDING, "Bae et al. 2024", "few labels",
    ),
    "rdss": StrategyRow(
        "images whose mean is that of all, and that keep apart", settings.HerdingSettings,
        "learner.acquisition.herding:select_rdss", _EMBEDDING, "Shao et al. 2024", "cold start",
    ),
    "information_density": StrategyRow(
        "the prediction is spread out, and many images are alike", settings.InformationDensitySettings,
        "learner.acquisition.information_density:select_information_density", _PROBS | _EMBEDDING,
        "Settles & Craven 2008", "many labels",
    ),
    # both
    "badge": StrategyRow(
        "images that would change the model much, each in another way", NoSettings,
        "learner.acquisition.badge:select_badge", _GRADIENT, "Ash et al. 2020", "many labels",
    ),
    "clue": StrategyRow(
        "the image nearest to the centroid of each cluster, in which uncertain images weigh more",
        settings.ClueSettings, "learner.acquisition.hybrid:select_clue", _GRADIENT, "Prabhu et al. 2021",
        "many labels",
    ),
    "dropquery": StrategyRow(
        "images whose prediction changes when features are dropped, one of each cluster", settings.DropquerySettings,
        "learner.acquisition.hybrid:select_dropquery", _GRADIENT | {"head"}, "Gupte et al. 2024", "few labels",
    ),
    "bait": StrategyRow(
        "images that leave least to be known about all predictions", settings.BaitSettings,
        "learner.acquisition.bait:select_bait", _GRADIENT, "Ash et al. 2021; Huseljic et al. 2024", "few labels",
    ),
}  # fmt: skip


def needs_no_model(name: str) -> bool:
    """Can this strategy choose before there is any label?"""
    return STRATEGIES[name].needs <= _EMBEDDING | _TRUTH


def for_people() -> list[str]:
    """The strategies that need nothing that only a simulation has."""
    return [name for name, row in STRATEGIES.items() if not row.is_oracle]


def is_oracle(told: str) -> bool:
    """Is a strategy, as rows name it, with its label or without, one that knows the truth?"""
    row = STRATEGIES.get(told.partition(" (")[0])
    return row is not None and row.is_oracle
