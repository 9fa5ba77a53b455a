"""The variance that a bias and a dark leave in the frames that they are subtracted from."""

import numpy as np

from bmp_astro.memory import empty

_BAND_PIXELS = 2**17  # half a MiB of float32: temporaries stay in a core's own cache


def masters_variance(
    bias_sigma: np.ndarray | None,
    dark_sigma: np.ndarray | None,
    *,
    dark_scale: float = 1.0,
    shared_bias: bool = False,
    has_bias: bool = False,
) -> np.ndarray | None:
    r"""Variance that a master bias and a master dark add to that of a frame.

    It is :math:`V_B + s^2 U_D^2` of the variance :math:`V_B` of the bias, the scale :math:`s` of
    the dark, and the variance :math:`U_D^2` of the dark, that of the bias which was taken off it
    included. When that is the bias of the frame too, its error is partly taken off again with the
    dark: :math:`V_B` becomes :math:`(1 - 2 s) V_B`.

    Parameters
    ----------
    bias_sigma, dark_sigma : `~numpy.ndarray` or None
        Standard deviation of the bias and of the dark, adu, ``(ny, nx)``; None where there is no
        such master, or its error is not known.
    dark_scale : float
        What the dark is multiplied by.
    shared_bias : bool
        The dark was freed of the same bias. Without ``dark_sigma`` that makes no difference.
    has_bias : bool
        The variance of the frame has that of the bias already: only what the dark changes is left.

    Returns
    -------
    `~numpy.ndarray` of float32 or None
        adu2, ``(ny, nx)``; None where nothing is added. It may be negative with ``has_bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from bmp_astro.kernels.masters_variance import masters_variance
    >>> bias, dark = np.array([[1.0]]), np.array([[2.0]])
    >>> masters_variance(bias, dark), masters_variance(bias, dark, shared_bias=True)
    (array([[5.]], dtype=float32), array([[3.]], dtype=float32))
    """
    bias_share = (0 if has_bias else 1) - (
        2 * dark_scale if shared_bias and dark_sigma is not None else 0
    )
    parts = [
        (sigma, np.float32(share))
        for sigma, share in ((bias_sigma, bias_share), (dark_sigma, dark_scale**2))
        if sigma is not None and share != 0
    ]
    if not parts:
        return None
    ny, nx = parts[0][0].shape
    total = empty((ny, nx), np.float32)
    step = max(1, _BAND_PIXELS // max(nx, 1))
    with np.errstate(all="ignore"):  # what is not finite is flagged in the frame
        for start in range(0, ny, step):
            band = slice(start, start + step)
            sigma, share = parts[0]
            np.multiply(np.square(sigma[band], dtype=np.float32), share, out=total[band])
            for sigma, share in parts[1:]:
                total[band] += np.square(sigma[band], dtype=np.float32) * share
    return total
