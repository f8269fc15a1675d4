"""What every method comes down to: noisy slices and their noise maps in, denoised slices out.

A filter knows nothing of estimates, strengths, grids or bias; those are the same for all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import BackendError, ModelError
from denoise_engine.methods import nonlocal_means, wavelet
from denoise_engine.models import available_models, find_model, load_model
from denoise_engine.runtime import REFERENCE, Backend, Device, Precision, choose_backend

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]


class Filter(Protocol):
    """A method, ready to run.

    Attributes
    ----------
    name, version : str
    sha256 : str
        Of the weights; empty where there are none.
    snr_range : tuple of float or None
        Lowest and highest ratio of mean body signal to noise SD that it was trained for; None if
        it was not trained.
    backend : Backend
    needs_whole_slices : bool
        Whether what it does to a pixel depends on the whole slice, so that its effect on noise
        cannot be measured on small tiles.
    """

    name: str
    version: str
    sha256: str
    snr_range: tuple[float, float] | None
    backend: Backend
    needs_whole_slices: bool

    def __call__(self, images: Floats, sigma: Floats, progress: Progress | None = None) -> Floats:
        """(slices, rows, columns) images and noise maps → denoised images."""
        ...


@dataclass(frozen=True)
class Description:
    """A method as it is listed, without loading it.

    Attributes
    ----------
    name, version, summary, source : str
    sha256 : str
        Of the weights; empty where there are none.
    """

    name: str
    version: str
    summary: str
    source: str
    sha256: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "source": self.source,
            "weights_sha256": self.sha256,
        }


@dataclass(frozen=True)
class _Classical:
    """A method without training, for slices whose noise SD is 1."""

    description: Description
    slice_filter: Callable[[Floats], Floats]


def _classical_methods() -> dict[str, _Classical]:
    from_library = f"scikit-image {version('scikit-image')}"
    listed = [
        _Classical(
            Description("nlm", from_library, "non-local means", nonlocal_means.SOURCE),
            nonlocal_means.nonlocal_means,
        ),
        _Classical(
            Description(
                "wavelet",
                from_library,
                "wavelet shrinkage (BayesShrink), averaged over shifts",
                wavelet.SOURCE,
            ),
            wavelet.wavelet_shrinkage,
        ),
    ]
    return {method.description.name: method for method in listed}


def describe_methods() -> dict[str, Description]:
    """Return every method by name: the shipped networks, then the comparators.

    Raises
    ------
    ModelError
        If the list of networks cannot be read.
    """
    networks = {
        name: Description(
            name,
            file.version,
            "dDLR: convolutions and soft shrinkage of the components of a sliding DCT",
            "Kidoh M, et al. Magn Reson Med Sci 2020;19:195-206.",
            file.sha256,
        )
        for name, file in available_models().items()
    }
    return networks | {name: m.description for name, m in _classical_methods().items()}


def open_filter(
    name: str, device: Device, precision: Precision, memory_limit: int | None = None
) -> Filter:
    """Make a method ready to run.

    Raises
    ------
    ModelError
        If there is no such method, or its weights are not the ones that were validated.
    BackendError
        If it cannot run on the device or in the precision that was asked for.
    """
    classical = _classical_methods()
    if name in classical:
        return _ClassicalFilter(classical[name], device, precision)
    if name not in available_models():
        known = ", ".join(describe_methods())
        raise ModelError(f"There is no model or method “{name}”; there is: {known}.")
    return _NetworkFilter(name, choose_backend(device, precision), memory_limit)


class _NetworkFilter:
    """A trained network."""

    needs_whole_slices = False

    def __init__(self, name: str, backend: Backend, memory_limit: int | None) -> None:
        from denoise_engine.inference import DEFAULT_MEMORY, NetworkRunner

        loaded = load_model(find_model(name))
        self.name = name
        self.version = loaded.file.version
        self.sha256 = loaded.file.sha256
        self.card: dict[str, Any] = loaded.card
        lowest, highest = loaded.card["snr_range"]
        self.snr_range: tuple[float, float] | None = (float(lowest), float(highest))
        self.backend = backend
        limit = DEFAULT_MEMORY if memory_limit is None else memory_limit
        self._runner = NetworkRunner(loaded.network, backend, limit)

    def __call__(self, images: Floats, sigma: Floats, progress: Progress | None = None) -> Floats:
        return self._runner(images, sigma, progress)


class _ClassicalFilter:
    """A method for noise of SD 1, brought to any noise map.

    The image is divided by the map before and multiplied by it afterwards, so that the method meets
    the same noise everywhere; with one level for the whole image this changes nothing but the unit.
    """

    sha256 = ""
    snr_range: tuple[float, float] | None = None
    needs_whole_slices = True
    backend = REFERENCE

    def __init__(self, method: _Classical, device: Device, precision: Precision) -> None:
        choose_backend(device, precision)  # refuses what there is not
        if device == "cuda":
            raise BackendError(f"“{method.description.name}” does not run on a GPU.")
        if precision == "bfloat16":
            raise BackendError(f"“{method.description.name}” runs in float32 only.")
        self.name = method.description.name
        self.version = method.description.version
        self._slice_filter = method.slice_filter

    def __call__(self, images: Floats, sigma: Floats, progress: Progress | None = None) -> Floats:
        out = np.empty(images.shape, dtype=np.float32)
        for k, (image, level) in enumerate(zip(images, sigma, strict=True)):
            # Where there is no noise there is nothing to take away, and nothing to divide by.
            noisy = level > 0
            safe = np.where(noisy, level, np.float32(1))
            denoised = self._slice_filter(image / safe) * safe
            out[k] = np.where(noisy, denoised, image)
            if progress is not None:
                progress(k + 1, len(images))
        return out
