"""What class, rate and nominal frequency mean to an estimator: ranges, design rates and report instants.

IEC/IEEE 60255-118-1:2018 names eleven reporting rates. A rate that is none of them is served by the next faster bank
(fewer reports of the same filter), so one report a minute costs no design of its own. Report instants are integers:
report k lies at k * numerator / denominator seconds of UTC, and no float time is ever accumulated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rpmu.errors import InputError

STANDARD_RATES = {50: (10, 25, 50, 100), 60: (10, 12, 15, 20, 30, 60, 120)}
NS = 1_000_000_000


def check_class(nominal_hz: int, performance_class: str) -> None:
    """Refuse a nominal frequency or a class that the standard does not know."""
    if nominal_hz not in STANDARD_RATES:
        raise InputError(f"nominal frequency {nominal_hz} Hz: allowed are 50 and 60")
    if performance_class not in ("P", "M"):
        raise InputError(f"performance class {performance_class!r}: allowed are 'P' and 'M'")


def design_rate(nominal_hz: int, reporting_rate: int) -> int:
    """The standard rate whose filters serve `reporting_rate` (negative: seconds per report).

    Raises:
        InputError: the rate is 0 or above the standard's fastest.
    """
    fastest = STANDARD_RATES[nominal_hz][-1]
    if reporting_rate == 0 or reporting_rate > fastest:
        raise InputError(
            f"reporting rate {reporting_rate}: allowed at {nominal_hz} Hz are 1 to {fastest} reports/s, "
            "or a negative number for seconds per report"
        )
    return next(rate for rate in STANDARD_RATES[nominal_hz] if rate >= reporting_rate)


def frequency_range_hz(performance_class: str, rate: int) -> float:
    """Half range of the frequency test, Hz (60255-118-1 table 2)."""
    return 2.0 if performance_class == "P" else min(rate / 5, 5.0)


def latency_limit_s(performance_class: str, rate: int) -> float:
    """Largest reporting latency, s (60255-118-1, 2/Fs and 7/Fs)."""
    return (2 if performance_class == "P" else 7) / rate


@dataclass(frozen=True)
class ReportClock:
    """The instants k * numerator / denominator s of UTC at which reports are due.

    Attributes:
        reporting_rate: reports per second; negative: seconds per report.
        numerator: seconds per `denominator` reports.
        denominator: reports per `numerator` seconds.
        places_ns: UTC, ns, of the first `denominator` reports.
    """

    reporting_rate: int
    numerator: int = field(init=False)
    denominator: int = field(init=False)
    _numerator_ns: int = field(init=False, repr=False)
    places_ns: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        numerator, denominator = max(1, -self.reporting_rate), max(1, self.reporting_rate)
        object.__setattr__(self, "numerator", numerator)
        object.__setattr__(self, "denominator", denominator)
        object.__setattr__(self, "_numerator_ns", numerator * NS)
        places = tuple((2 * i * numerator * NS + denominator) // (2 * denominator) for i in range(denominator))
        object.__setattr__(self, "places_ns", places)

    def time_ns(self, k: int) -> int:
        """UTC, ns, of report k, rounded on its own."""
        periods = k // self.denominator
        return periods * self._numerator_ns + self.places_ns[k - periods * self.denominator]

    def after(self, time_ns: int) -> int:
        """The first report at or after a UTC instant."""
        return -((-time_ns * self.denominator) // (self.numerator * NS))

    def offset_ns(self, k: int, time_ns: int) -> float:
        """Time from `time_ns` to report k, ns, without the rounding to whole ns: exact integers until the division."""
        return (k * self._numerator_ns - time_ns * self.denominator) / self.denominator

    def turns(self, k: int, nominal_hz: int) -> float:
        """Fraction of a nominal cycle at report k: frac(nominal_hz * t), exact."""
        return (k * self.numerator * nominal_hz) % self.denominator / self.denominator
