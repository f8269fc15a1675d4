"""A platform for blinded reader studies in MRI."""

__version__ = "0.1.0"
