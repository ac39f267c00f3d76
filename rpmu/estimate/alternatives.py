"""Estimators by name: our own, and those that others use, behind one interface (`Kernel`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from rpmu.errors import InputError
from rpmu.estimate.annex_c import AnnexKernel
from rpmu.estimate.fir import FirKernel
from rpmu.estimate.ipdft import IpdftKernel
from rpmu.estimate.kernel import Kernel
from rpmu.estimate.settings import EstimatorSettings
from rpmu.estimate.twls import TwlsKernel

ESTIMATORS: dict[str, Callable[[EstimatorSettings], Kernel]] = {
    "fir": FirKernel,
    "annex-c": AnnexKernel,
    "ipdft": IpdftKernel,
    "twls": TwlsKernel,
}


@lru_cache(maxsize=8)  # kernels have no state, and some cost a design
def build_kernel(settings: EstimatorSettings) -> Kernel:
    """The algorithm that the settings name.

    Raises:
        InputError: there is none of that name.
    """
    if settings.estimator not in ESTIMATORS:
        raise InputError(f"estimator {settings.estimator!r}: allowed are {', '.join(sorted(ESTIMATORS))}")
    return ESTIMATORS[settings.estimator](settings)
