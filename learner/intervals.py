"""How sure a share is. Plain numbers: the web process counts too."""

Z = 1.959963984540054  # 95 % of a normal distribution lie within


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share; (0, 1) where nothing was counted. Wilson 1927."""
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    center = share + Z**2 / (2 * n)
    reach = Z * (share * (1 - share) / n + Z**2 / (4 * n**2)) ** 0.5
    low, high = (center - reach) / (1 + Z**2 / n), (center + reach) / (1 + Z**2 / n)
    return max(0.0, low), min(1.0, high)
