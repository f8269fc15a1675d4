"""Methods by name, each a function of a volume."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denoise_engine.denoiser import denoise
from denoise_engine.errors import ModelError, StrengthError
from denoise_engine.methods.filters import Description, describe_methods
from denoise_engine.models import find_model, read_card
from denoise_engine.noise_in_use import NoiseChoice
from denoise_engine.result import DenoiseResult
from denoise_engine.strength import Blend, Strength, TargetSnrGain


class Method(Protocol):
    """A denoising method.

    Attributes
    ----------
    name, version : str
    """

    name: str
    version: str

    def __call__(
        self,
        x: ArrayLike,
        noise_sd: NoiseChoice = None,
        strength: float | Strength = 1.0,
        target_snr_gain: float | None = None,
    ) -> NDArray[np.float32]:
        """Denoise a volume.

        Parameters
        ----------
        x : array_like
            (slices, rows, columns), magnitude, any unit; float32 is taken as it is.
        noise_sd : float, array_like or "map", optional
            Noise SD in the unit of ``x``: a number, a map of its shape, or "map" to estimate one.
            A number is estimated from the image if left out.
        strength : float or Strength
            Share of denoised image, 0 (returns the input) to 1.
        target_snr_gain : float, optional
            Instead of a share: as much denoising as raises SNR inside the body by this factor.

        Returns
        -------
        ndarray of float32
            (slices, rows, columns), unit of ``x``.

        Raises
        ------
        EngineError
            As for :func:`denoise_engine.denoise`.
        """
        ...

    def denoise(self, volume: ArrayLike, **settings: Any) -> DenoiseResult:
        """Denoise a volume and say how: :func:`denoise_engine.denoise` with this method."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what the method is, in plain JSON values; of a network, its card as well."""
        ...


class _NamedMethod:
    def __init__(self, description: Description, is_network: bool) -> None:
        self.name = description.name
        self.version = description.version
        self._description = description
        self._is_network = is_network

    def __repr__(self) -> str:
        return f"<method {self.name}, version {self.version}>"

    def __call__(
        self,
        x: ArrayLike,
        noise_sd: NoiseChoice = None,
        strength: float | Strength = 1.0,
        target_snr_gain: float | None = None,
    ) -> NDArray[np.float32]:
        chosen = _as_strength(strength, target_snr_gain)
        return self.denoise(x, noise=noise_sd, strength=chosen).volume

    def denoise(self, volume: ArrayLike, **settings: Any) -> DenoiseResult:
        return denoise(volume, model=self.name, **settings)

    def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = dict(self._description.as_json())
        if self._is_network:
            described["card"] = read_card(find_model(self.name))
        return described


def available_methods() -> tuple[str, ...]:
    """Return the names of all methods: the shipped networks, then the comparators."""
    return tuple(describe_methods())


def load_method(name: str) -> Method:
    """Return a method by name.

    The weights of a network are read, and their hash is checked, when it is first used.

    Raises
    ------
    ModelError
        If there is no such method.

    Examples
    --------
    >>> denoise = load_method("ddlr")
    >>> y = denoise(x, strength=0.5)  # doctest: +SKIP
    """
    known = describe_methods()
    if name not in known:
        raise ModelError(f"There is no method “{name}”; there is: {', '.join(known)}.")
    return _NamedMethod(known[name], is_network=bool(known[name].sha256))


def _as_strength(strength: float | Strength, target_snr_gain: float | None) -> Strength:
    if target_snr_gain is None:
        return strength if isinstance(strength, Strength) else Blend(float(strength))
    if strength != 1.0:
        raise StrengthError("Give a strength or a target gain, not both.")
    return TargetSnrGain(target_snr_gain)
