"""The compiled passes: the same network as the library's operations, whatever size and threads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from denoise_engine.ddlr import compiled
from denoise_engine.ddlr.folded import FoldedDDLR
from denoise_engine.errors import BackendError
from denoise_engine.models import find_model, load_model
from denoise_engine.runtime import choose_backend

from .reference_output import SIGMA, STORED


@pytest.fixture(scope="module")
def passes() -> compiled.Passes:
    compiled.build()
    compiled.load.cache_clear()
    found = compiled.load()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return load_model(find_model("ddlr")).network


def _inputs(slices: int, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(slices)
    y, x = np.mgrid[:rows, :columns]
    clean = 60 + 80 * (x > columns / 2) + 30 * np.sin(x / 4) * np.cos(y / 6)
    noisy = clean + 8 * rng.standard_normal((slices, 1, rows, columns))
    level = 8 * (1 + 0.5 * np.linspace(-1, 1, columns)) * np.ones_like(noisy)
    return torch.from_numpy(noisy).float(), torch.from_numpy(level).float()


# One that fills the room exactly, one that does not, several slices.
@pytest.mark.parametrize("shape", [(1, 58, 74), (1, 53, 77), (3, 40, 47)])
@pytest.mark.parametrize("kind", ["level", "levels", "map"])
def test_it_is_the_same_network(
    passes: compiled.Passes, network, shape: tuple[int, int, int], kind: str
) -> None:
    image, level = _inputs(*shape)
    if kind == "level":
        level = torch.full((1, 1, 1, 1), 8.0)
    elif kind == "levels":
        level = (6.0 + torch.arange(shape[0])).reshape(-1, 1, 1, 1)
    with torch.inference_mode():
        reference = network(image, level)
    difference = (FoldedDDLR(network, passes=passes)(image, level) - reference) / level
    assert difference.square().mean().sqrt() < 0.05
    # The bias of one pixel's rounding would be that of a whole region.
    assert abs(difference.mean()) < 0.005


def test_transform_and_adjoint_without_a_layer_between_return_the_image(
    passes: compiled.Passes, network
) -> None:
    """In float32 but for the layer, so to the precision of bfloat16, and the mean exactly."""
    image, _ = _inputs(1, 50, 60)
    padded = torch.nn.functional.pad(image, (6,) * 4, mode="reflect")
    basis, one = compiled.dct_basis(network.dct.kernels), torch.ones(48)
    # Thresholds of almost nothing keep every component as it is.
    layer, mean = passes.analyse(padded, basis, one, torch.full((1, 56, 66), 1e-9))
    expected = network.dct(padded)
    torch.testing.assert_close(mean, expected[:, 0], rtol=1e-5, atol=1e-4)
    found = layer[:, :, :56, :66].float()
    torch.testing.assert_close(found, expected[:, 1:], rtol=2**-8, atol=1e-4)
    assert not layer[:, :, 56:].any()
    assert not layer[..., 66:].any()
    back = passes.synthesise(layer, mean, basis, one)
    assert (back - image).abs().max() < 0.5


def test_the_stored_output_of_the_reference(passes: compiled.Passes, network) -> None:
    with np.load(STORED, allow_pickle=False) as stored:
        image, expected = torch.from_numpy(stored["image"])[None, None], stored["output"]
    for level in (torch.full((1, 1, 1, 1), SIGMA), torch.full(tuple(image.shape), SIGMA)):
        difference = FoldedDDLR(network, passes=passes)(image, level)[0, 0].numpy() - expected
        assert float(np.sqrt(np.mean(difference**2))) < 0.05 * SIGMA


def test_the_number_of_threads_changes_nothing(passes: compiled.Passes, network) -> None:
    image, level = _inputs(2, 60, 70)
    padded = torch.nn.functional.pad(image / level, (6,) * 4, mode="reflect")
    basis, one = compiled.dct_basis(network.dct.kernels), torch.ones(48)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            layer, mean = passes.analyse(padded, basis, one, None)
            passes.shrink(layer, None, mean)
            results.append(passes.synthesise(layer, mean, basis, one))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


def test_the_backend_says_that_they_are_in_use(passes: compiled.Passes) -> None:
    assert str(choose_backend("cpu", "bfloat16")) == "cpu, bfloat16, channels-last, compiled"
    assert str(choose_backend("cpu", "float32")) == "cpu, float32, contiguous"


@pytest.mark.parametrize(
    ("compiler", "said"),
    [
        ("no-such-compiler", r"no C\+\+ compiler “no-such-compiler”"),
        ("", r"no C\+\+ compiler “”"),
        ("false", "could not be compiled: false ended with 1"),
        # It compiles, but what it makes lacks a name, as of another compiler's OpenMP.
        ("c++ -Wl,--wrap=memset", "cannot be loaded: undefined symbol"),
    ],
)
def test_without_a_working_compiler_one_sentence_and_nothing_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, said: str
) -> None:
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setattr(compiled, "FOLDER", tmp_path / "_build")
    with pytest.raises(BackendError, match=said):
        compiled.build()
    assert not list(tmp_path.rglob("*.*"))


def test_a_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "FOLDER", tmp_path / "none" / "_build")
    with pytest.raises(BackendError, match="_build”: No such file"):
        compiled.build()


def test_a_library_cut_short_is_not_loaded_but_named_and_built_again(
    passes: compiled.Passes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The loader of the system stops the program on some of these."""
    whole = compiled.build()
    monkeypatch.setattr(compiled, "FOLDER", tmp_path / "_build")
    compiled.FOLDER.mkdir()
    for left in (0, 8000, 16000):
        caplog.clear()
        (compiled.FOLDER / whole.name).write_bytes(whole.read_bytes()[:left])
        assert compiled.load.__wrapped__() is None
        assert "is damaged. The denoiser runs without" in caplog.text
    again = compiled.build()
    assert compiled.library_path() == again
    assert compiled.load.__wrapped__() is not None


def test_what_was_built_for_another_processor_is_not_loaded(
    passes: compiled.Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiled.library_path() is not None
    monkeypatch.setattr(compiled, "_processor", lambda: "flags: fewer")
    assert compiled.library_path() is None


def test_a_tensor_that_lies_elsewhere_is_refused(passes: compiled.Passes, network) -> None:
    image, _ = _inputs(1, 50, 60)
    padded = torch.nn.functional.pad(image, (6,) * 4, mode="reflect").transpose(2, 3)[..., :40]
    with pytest.raises(BackendError, match="cannot read"):
        passes.analyse(padded, compiled.dct_basis(network.dct.kernels), torch.ones(48), None)


@pytest.mark.parametrize("wrong", ["level", "type", "basis", "scale"])
def test_a_tensor_of_another_size_or_type_is_refused(
    passes: compiled.Passes, network, wrong: str
) -> None:
    """The compiled code would read beyond its end."""
    padded, basis = torch.ones(2, 1, 62, 72), compiled.dct_basis(network.dct.kernels)
    scale, level = torch.ones(48), torch.ones(2, 56, 66)
    if wrong == "level":
        level = level[:1]
    elif wrong == "type":
        padded = padded.half()
    elif wrong == "basis":
        basis = basis[:6]
    else:
        scale = scale[:47]
    with pytest.raises(BackendError, match="cannot read"):
        passes.analyse(padded, basis, scale, level)
