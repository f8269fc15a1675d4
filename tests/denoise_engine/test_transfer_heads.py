"""Heads synthesised from label maps: the one that tests shares nothing with those that train."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.transfer.heads import SOURCES, Head, load_head
from denoise_engine.transfer.label_maps import synthesise

SHAPE = (48, 48, 48)


def _labels() -> NDArray[np.int16]:
    """White matter inside of grey, in air."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2)
    return np.select([radius < 0.7, radius < 0.9], [2, 3], 0).astype(np.int16)


@pytest.fixture
def heads(tmp_path: Path) -> dict[str, Head]:
    """The heads of all label maps, as if they were maps of one and the same person."""
    (tmp_path / "anatomy").mkdir()
    maps = [source for source in SOURCES if source.is_label_map]
    for source in maps:
        nibabel.save(nibabel.Nifti1Image(_labels(), np.eye(4)), tmp_path / source.path)  # type: ignore[attr-defined,no-untyped-call]
    return {source.path: load_head(tmp_path, source) for source in maps}


def test_neither_texture_nor_field_nor_contrast_of_the_test_head_is_a_training_heads(
    heads: dict[str, Head],
) -> None:
    test = [head for head in heads.values() if head.source.part != "train"]
    train = [head for head in heads.values() if head.source.part == "train"]
    assert len(test) == 1
    assert len(train) == 2
    for other in train:
        assert abs(_alike(_texture(test[0]), _texture(other))) < 0.3
        assert abs(_alike(_field(test[0]), _field(other))) < 0.9
        assert test[0].tissues.grey != pytest.approx(other.tissues.grey, rel=1e-3)


def test_training_heads_are_those_that_the_shipped_weights_learned_from(
    heads: dict[str, Head],
) -> None:
    for head in heads.values():
        if head.source.part == "train":
            assert head.labels is not None
            as_then, _ = synthesise(head.labels, np.random.default_rng((0, 77)))
            np.testing.assert_array_equal(head.volume, as_then)


def _white(head: Head) -> NDArray[np.bool_]:
    assert head.labels is not None
    return np.asarray(ndimage.binary_erosion(head.labels == 2, iterations=6))


def _texture(head: Head) -> NDArray[np.float32]:
    smooth = ndimage.gaussian_filter(head.volume, 3)
    return np.asarray((head.volume - smooth)[_white(head)])


def _field(head: Head) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(head.volume, 3)[_white(head)])


def _alike(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])
