"""What a PMU measures, as values: phasor, analog and digital channels, and the PMU that holds them.

One set of values serves all three configuration frames. CFG-3 carries more than CFG-1 and CFG-2; what a frame cannot
carry keeps its default when it is decoded, and is left out (CFG-3's extras) or refused (a scale that does not fit)
when it is encoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

from rpmu.c37118.fields import AnalogKind, Format, PhasorComponent
from rpmu.errors import InputError

UNKNOWN_PLACE = float("inf")  # CFG-3: infinity says that the position is not given
NO_GLOBAL_ID = bytes(16)


@dataclass(frozen=True)
class PhasorChannel:
    """One phasor.

    Attributes:
        name: channel name; 16 ASCII characters in CFG-1 and CFG-2, 255 bytes of UTF-8 in CFG-3.
        is_current: amperes instead of volts.
        scale: V or A per bit of an integer phasor (CFG-2: in steps of 1e-5; CFG-3: float32). No meaning for floats:
            leave it 1.
        angle_rad: CFG-3 only: subtracted from the angle of the phasor as sent, rad.
        component: CFG-3 only: sequence or phase.
        modifications: CFG-3 only: the 16 flags of PHSCALE on what was done to the phasor.
        user: CFG-3 only: the user's byte of PHSCALE.
    """

    name: str
    is_current: bool = False
    scale: float = 1.0
    angle_rad: float = 0.0
    component: PhasorComponent = PhasorComponent.ZERO_SEQUENCE
    modifications: int = 0
    user: int = 0


@dataclass(frozen=True)
class AnalogChannel:
    """One analog value.

    Attributes:
        name: channel name.
        kind: `AnalogKind`, or 65 to 255 for the user's own (CFG-1 and CFG-2 only).
        scale: per bit of an integer value (CFG-2: a whole number).
        offset: CFG-3 only: added after `scale`.
    """

    name: str
    kind: int = AnalogKind.POINT_ON_WAVE
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class DigitalWord:
    """Sixteen status bits.

    Attributes:
        names: the 16 names, bit 0 first.
        normal: the normal state of each bit.
        valid: which bits are inputs at all.
    """

    names: tuple[str, ...] = ("",) * 16
    normal: int = 0
    valid: int = 0xFFFF


@dataclass(frozen=True)
class PmuConfig:
    """One PMU of a stream.

    Attributes:
        name: station name.
        idcode: the PMU's own IDCODE (the stream's, when it is the only one).
        format: which numbers its data frames are made of.
        phasors: phasor channels.
        analogs: analog channels.
        digitals: digital words.
        nominal_hz: 50 or 60.
        cfgcnt: CFGCNT: goes up by one with every change of the configuration.
        global_id: CFG-3 only: G_PMU_ID, 16 bytes.
        latitude_deg: CFG-3 only: WGS 84, north positive; infinite when not given.
        longitude_deg: CFG-3 only: east positive.
        elevation_m: CFG-3 only.
        service_class: CFG-3 only: "M" or "P".
        window_us: CFG-3 only: length of the measurement window.
        group_delay_us: CFG-3 only: delay of the measurement chain.
    """

    name: str
    idcode: int
    format: Format = Format.FLOAT_POLAR
    phasors: tuple[PhasorChannel, ...] = ()
    analogs: tuple[AnalogChannel, ...] = ()
    digitals: tuple[DigitalWord, ...] = ()
    nominal_hz: int = 60
    cfgcnt: int = 0
    global_id: bytes = NO_GLOBAL_ID
    latitude_deg: float = UNKNOWN_PLACE
    longitude_deg: float = UNKNOWN_PLACE
    elevation_m: float = UNKNOWN_PLACE
    service_class: str = "M"
    window_us: int = 0
    group_delay_us: int = 0

    def channel_names(self) -> tuple[str, ...]:
        """All names in the order of CHNAM: phasors, analogs, then 16 per digital word."""
        phasors = (channel.name for channel in self.phasors)
        analogs = (channel.name for channel in self.analogs)
        return (*phasors, *analogs, *chain.from_iterable(word.names for word in self.digitals))

    def check(self) -> None:
        """Refuse values that no configuration frame can carry.

        Raises:
            InputError: the first such value.
        """
        where = f"PMU {self.name!r}: "
        for name, value in (("IDCODE", self.idcode), ("CFGCNT", self.cfgcnt)):
            _check_range(where + name, value, 0, 0xFFFF)
        _check_range(where + "format", self.format, 0, 15)
        if self.nominal_hz not in (50, 60):
            raise InputError(f"{where}nominal_hz is {self.nominal_hz}, but must be 50 or 60")
        for kind, channels in (("phasors", self.phasors), ("analogs", self.analogs), ("digital words", self.digitals)):
            _check_range(f"{where}number of {kind}", len(channels), 0, 0xFFFF)
        for analog in self.analogs:
            _check_range(f"{where}analog {analog.name!r}: kind", analog.kind, 0, 0xFF)
        for word in self.digitals:
            if len(word.names) != 16:
                raise InputError(f"{where}a digital word has {len(word.names)} names, but must have 16")
            _check_range(f"{where}normal state of a digital word", word.normal, 0, 0xFFFF)
            _check_range(f"{where}valid inputs of a digital word", word.valid, 0, 0xFFFF)

    def plain(self) -> PmuConfig:
        """The same for CFG-1 and CFG-2: names in ASCII, at most 16 characters; scales of floats (no meaning) 1."""
        phasors = [replace(channel, name=_short(channel.name)) for channel in self.phasors]
        analogs = [replace(channel, name=_short(channel.name)) for channel in self.analogs]
        if self.format & Format.FLOAT_PHASORS:
            phasors = [replace(channel, scale=1.0) for channel in phasors]
        if self.format & Format.FLOAT_ANALOGS:
            analogs = [replace(channel, scale=1.0) for channel in analogs]
        return replace(
            self,
            name=_short(self.name),
            phasors=tuple(phasors),
            analogs=tuple(analogs),
            digitals=tuple(replace(word, names=tuple(map(_short, word.names))) for word in self.digitals),
        )


def _short(name: str) -> str:
    return name.encode("ascii", "replace")[:16].decode("ascii")


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} is {value}, but must lie in {low} to {high}")
