"""One light frame before and after its reduction, as a picture for a page or a talk."""

from pathlib import Path

from .thumbnails import read_small, stretch

_WIDTH = 12.6  # inch
_PIXELS = 1024


def require_matplotlib() -> None:
    """Raise an ImportError that says what to install if matplotlib is absent."""
    try:
        import matplotlib  # noqa: F401  (only whether it is there)
    except ImportError as error:
        raise ImportError(
            "plots and pages need matplotlib, which is not installed: pip install bmp_astro[report]"
        ) from error


def before_after(
    raw_path: str | Path,
    product_path: str | Path,
    png_path: str | Path,
    master_path: str | Path | None = None,
) -> Path:
    """Draw a raw light frame beside its product, and a master if one is given.

    Each image is drawn in gray between its own zscale limits, first row at the bottom.

    Parameters
    ----------
    raw_path, product_path : str or Path
        FITS files; the first two-dimensional image of each is drawn.
    png_path : str or Path
        The picture to write; an older one is replaced.
    master_path : str or Path, optional
        A third FITS file.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    OSError
        If a file cannot be read.
    ValueError
        If it holds no two-dimensional image.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    paths = {"raw": raw_path, "reduced": product_path, "master": master_path}
    images = {
        f"{title}: {Path(path).name}": read_small(path, _PIXELS).means
        for title, path in paths.items()
        if path is not None
    }
    widths = [pixels.shape[1] / pixels.shape[0] for pixels in images.values()]
    figure = Figure(figsize=(_WIDTH, _WIDTH / sum(widths) + 0.2), layout="constrained")
    panels = figure.subplots(1, len(images), width_ratios=widths, squeeze=False)[0]
    for axes, (title, pixels) in zip(panels, images.items(), strict=True):
        axes.imshow(stretch(pixels), cmap="gray", vmin=0, vmax=255, origin="lower")
        axes.set_title(title, fontsize=10, loc="left", parse_math=False)
        axes.set_axis_off()
    figure.savefig(png_path, dpi=110, facecolor="white")
    return Path(png_path)
