"""For how many coils the bias of magnitude noise can be taken out."""

# SciPy's ₁F₁ loses a stretch of its range beyond this. Arrays of 64 elements have fewer effective
# channels, as neighbours share their noise.
MOST_COILS = 48


def is_possible(coils: object) -> bool:
    """Whether this is a whole number of coils that the mean is known for."""
    return not isinstance(coils, bool) and coils in range(1, MOST_COILS + 1)
