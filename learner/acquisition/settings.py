"""The settings of strategies, each once, with its help text. Nothing here imports torch."""

from dataclasses import dataclass

from learner.settings import setting


@dataclass(frozen=True)
class PowerBaldSettings:
    """BALD with noise, so that a query is not the same image twenty times."""

    beta: float = setting(1.0, "how closely the scores are followed: 0 chooses at random, much above 1 as bald")


@dataclass(frozen=True)
class BatchBaldSettings:
    """What a whole query tells about the model."""

    max_images: int = setting(2000, "only so many images with the highest BALD are looked at together", low=1)
    max_batch: int = setting(20, "images chosen together; the rest of a query follows by BALD", low=1)
    configurations: int = setting(1000, "joint labels that are kept exactly or sampled", low=2)


@dataclass(frozen=True)
class KmeansSettings:
    """One cluster for each label."""

    starts: int = setting(3, "runs of k-means from other starts, of which the best counts", low=1)


@dataclass(frozen=True)
class KmeansShareSettings(KmeansSettings):
    """Fewer clusters than labels."""

    per_cluster: int = setting(5, "labels in each cluster, those that are there included", low=1)


@dataclass(frozen=True)
class DensitySettings:
    """Clusters of any form and number, and noise between them."""

    metric: str = setting("cosine", "euclidean or cosine", choices=("euclidean", "cosine"))
    eps: float = setting(0.0, "largest distance of neighbours, in the metric; 0: by the elbow of the sorted distances")
    min_points: int = setting(5, "neighbours that make an image a core, itself included", low=2)
    components: int = setting(
        50, "principal components first, because in many dimensions all distances are alike", low=1
    )
    max_images: int = setting(5000, "beyond so many images the clusters are found on a random subset", low=2)
    noise: str = setting(
        "last", "images in no cluster: last (after all clusters), or cluster (as one more)", choices=("last", "cluster")
    )


@dataclass(frozen=True)
class OpticsSettings(DensitySettings):
    """The same without one distance for all."""

    eps: float = setting(0.0, "largest distance of neighbours that is looked at, in the metric; 0: any")
    max_images: int = setting(2000, "beyond so many images the clusters are found on a random subset", low=2)


@dataclass(frozen=True)
class TypiclustSettings:
    """Typical images of the largest uncovered clusters."""

    max_clusters: int = setting(500, "at most so many clusters", low=1)
    neighbors: int = setting(20, "neighbours that make an image typical", low=1)
    min_cluster: int = setting(5, "clusters of up to so many images count as labeled once")


@dataclass(frozen=True)
class ProbcoverSettings:
    """Balls around images."""

    radius: float = setting(0.0, "of a ball, in the embedding; 0: so that most balls are of one cluster")
    purity: float = setting(0.95, "share of balls that are of one cluster, where the radius is to be found", high=1)


@dataclass(frozen=True)
class HerdingSettings:
    """A Gaussian kernel between images."""

    bandwidth: float = setting(0.35, "of the kernel, in units of the median distance between two images", low=1e-3)
    targets: int = setting(10_000, "beyond so many images the mean over them is taken over a random subset", low=1)


@dataclass(frozen=True)
class MaxHerdingSettings(HerdingSettings):
    """The same, where it is used to cover."""

    bandwidth: float = setting(0.5, "of the kernel, in units of the median distance between two images", low=1e-3)


@dataclass(frozen=True)
class InformationDensitySettings:
    """Uncertain images that are like many others."""

    beta: float = setting(1.0, "how much the likeness counts")


@dataclass(frozen=True)
class ClueSettings(KmeansSettings):
    """Clusters in which uncertain images weigh more."""

    temperature: float = setting(1.0, "of the probabilities whose entropy is the weight: below 1 sharper", low=1e-3)


@dataclass(frozen=True)
class DropquerySettings(KmeansSettings):
    """Images whose prediction changes when features are dropped."""

    dropout: float = setting(0.75, "share of the features that is dropped", high=0.99)
    samples: int = setting(3, "predictions with dropped features", low=1)
    candidates: int = setting(25, "images for each one asked, at least; else fewer changes suffice", low=1)


@dataclass(frozen=True)
class BaitSettings:
    """Fisher information of the last layer."""

    ridge: float = setting(1.0, "added to the diagonal, as if so much was known before", low=1e-6)
    oversample: float = setting(2.0, "images chosen for each one asked; then the least useful go", low=1)
