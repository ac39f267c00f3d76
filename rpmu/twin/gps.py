"""The GPS receiver: a pulse at every second, and sentences that name it some tenths of a second later.

The model is an MTK3339 at 9600 baud: the pulse has nanoseconds of noise and a saw-tooth, lasts 100 ms and comes only
with a fix; the sentences begin 0.15 s after it and then take their time on the line, byte by byte (10 bits each). PMTK
commands are obeyed and acknowledged as the module does. After a cold start it knows neither date nor position, then
the date, then both. It can lose its power, and with it what it was told, or give way to a receiver of another make that
obeys nothing. Nothing here reads a clock: the twin says which second begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from rpmu.twin import nmea
from rpmu.twin.faults import Fault, Faults
from rpmu.twin.signals import NS_PER_S
from rpmu.twin.uart import Transmitter

COLD_SECOND = 315_964_786  # 1980-01-05 23:59:46, what the module's clock says at power-up
COLD_MILLISECOND = 5
FIRMWARE = "PMTK705,AXN_2.31_3339_13101700,5632,PA6H,1.0"
ACCEPTED_UNHEEDED = {"286", "301", "313", "397"}  # jamming filter, SBAS, speed threshold
SYNCHRONISED = (0.175, 0.002)  # PMTK255: first byte 170 to 180 ms after the pulse, s and its standard deviation
RESTART_FIX_S = {"101": 1, "102": 33, "103": 35, "104": 35}  # hot, warm, cold, full cold start
SPEEDS = (4800, 9600, 14400, 19200, 38400, 57600, 115200)
OTHER_MAKE_FIX_S = 4.0  # of the receiver that comes with `gps_swap`, which knows the date at once
OTHER_MAKE_RATES = dict.fromkeys(nmea.RATE_FIELDS, 1)
SPURIOUS_S = 1e-3  # length of a spurious pulse


@dataclass(frozen=True)
class GpsSettings:
    """The receiver's habits.

    Attributes:
        pps_jitter_ns: white noise of the pulse, standard deviation.
        pps_sawtooth_ns: half height of the saw-tooth that its own clock's granularity makes.
        pps_width_s: length of the pulse.
        nmea_delay_s: from the pulse to the first byte.
        nmea_jitter_s: standard deviation of that.
        baud_rate: of the serial line, after power-up.
        obeys: it understands PMTK; a receiver of another make does not.
        cold_start_s: time to the first fix; 0 starts with one.
        cold_leap_error_s: whole seconds by which its UTC is wrong after a cold start, until `almanac_s` has passed.
        almanac_s: how long it takes to learn of the leap seconds.
        place: where it is.
    """

    pps_jitter_ns: float = 10.0
    pps_sawtooth_ns: float = 5.0
    pps_width_s: float = 0.1
    nmea_delay_s: float = 0.15
    nmea_jitter_s: float = 0.01
    baud_rate: int = 9600
    obeys: bool = True
    cold_start_s: float = 0.0
    cold_leap_error_s: int = 0
    almanac_s: float = 750.0
    place: nmea.Place = field(default_factory=nmea.Place)


@dataclass(frozen=True)
class Edge:
    """One edge of the PPS line: true UTC (integer ns plus a fraction) and the level after it."""

    utc_ns: int
    fraction_ns: float
    high: bool


class GpsReceiver:
    """The receiver.

    Args:
        start_ns: UTC at which it is switched on.
        settings: its habits.
        faults: what goes wrong when.
        seed: of its noise.
    """

    def __init__(self, start_ns: int, settings: GpsSettings, faults: Faults, seed: int = 0) -> None:
        self._start_ns = start_ns
        self._settings = settings
        self._faults = faults
        self._seed = seed
        self._fix_at_ns = start_ns + round(settings.cold_start_s * NS_PER_S)
        self._cold = settings.cold_start_s > 0
        self._booted_ns = start_ns
        self._uart = Transmitter(start_ns, settings.baud_rate)
        self._forget_settings()
        self._outage: Fault | None = None  # the last one that it came back from
        self._heard = b""
        self.refused_commands = 0

    def _forget_settings(self) -> None:
        s = self._settings
        self._rates = dict(nmea.DEFAULT_RATES)
        self._pps_mode, self._pps_width_s = 3, s.pps_width_s  # PMTK285: 3 is only with a fix, 4 always
        self._delay_s, self._delay_jitter_s = s.nmea_delay_s, s.nmea_jitter_s
        self._uart.baud_rate = s.baud_rate

    @property
    def baud_rate(self) -> int:
        """Speed of its serial line now."""
        return self._uart.baud_rate

    def has_fix(self, second: int) -> bool:
        """Whether there is a position fix at a second."""
        outage, t = self._last_outage(second), second - self._start_ns / NS_PER_S
        if outage is not None and t < outage.end_s + self._fix_after_s(outage):
            return False
        return second * NS_PER_S >= self._fix_at_ns and not self._faults.value("gps_loss", second)

    def _last_outage(self, second: int, *names: str) -> Fault | None:
        """The latest loss of power, or change of the receiver, that has begun."""
        t = second - self._start_ns / NS_PER_S
        found = self._faults.between(0.0, t + 1e-9, *(names or ("gps_power", "gps_swap")))
        return found[-1] if found else None

    def _fix_after_s(self, outage: Fault) -> float:
        return outage.value if outage.name == "gps_power" else OTHER_MAKE_FIX_S

    def _has_power(self, second: int) -> bool:
        return self._faults.value("gps_power", second) is None and self._faults.value("gps_swap", second) is None

    def pulse(self, second: int) -> list[Edge]:
        """The edges of the PPS line that belong to a second (UTC s)."""
        faults = self._faults
        pulses_s = []
        if not faults.value("pps_missing", second) and (self.has_fix(second) or self._pps_mode == 4):
            rng = np.random.default_rng([self._seed, second, 0x99])
            s = self._settings
            late_ns = s.pps_jitter_ns * rng.standard_normal() + s.pps_sawtooth_ns * rng.uniform(-1.0, 1.0)
            late_ns += (faults.value("pps_late", second) or 0.0) * 1e3
            swap = self._last_outage(second, "gps_swap")
            late_ns += swap.value * 1e3 if swap is not None else 0.0
            pulses_s = [(late_ns, self._pps_width_s)]
            double_s = faults.value("pps_double", second)
            if double_s:
                pulses_s.append((late_ns + double_s * NS_PER_S, self._pps_width_s))
        for _ in range(round(faults.value("pps_spurious", second) or 0)):
            rng = np.random.default_rng([self._seed, second, len(pulses_s), 0x5B])
            pulses_s.append((rng.uniform(0.15, 0.95) * NS_PER_S, SPURIOUS_S))
        return _edges(second, pulses_s) if self._has_power(second) else []

    def begin_second(self, second: int) -> None:
        """Put the sentences of a second (UTC s) on the line."""
        self._come_back(second)
        if not self._has_power(second):
            self._uart.clear(second * NS_PER_S)
            return
        if self._faults.value("gps_silent", second):
            return
        rng = np.random.default_rng([self._seed, second, 0x4E])
        delay_s = max(0.0, self._delay_s + self._delay_jitter_s * rng.standard_normal())
        delay_s += self._faults.value("nmea_late", second) or 0.0
        talker = "GN" if self._last_outage(second, "gps_swap") is not None else "GP"
        sentences = nmea.epoch(self._what_it_knows(second), self._rates, talker)
        self._uart.send(second * NS_PER_S + round(delay_s * NS_PER_S), sentences)

    def _come_back(self, second: int) -> None:
        """After a loss of power, start with the settings of the factory; another make has others, and no command."""
        outage, t = self._last_outage(second), second - self._start_ns / NS_PER_S
        if outage is None or outage is self._outage or t < outage.end_s:
            return
        self._outage, self._booted_ns = outage, second * NS_PER_S
        if outage.name == "gps_swap":
            self._settings, self._cold = replace(self._settings, obeys=False, baud_rate=9600), False
        self._forget_settings()
        if outage.name == "gps_swap":
            self._rates = dict(OTHER_MAKE_RATES)
        else:
            self._cold, self._fix_at_ns = True, self._booted_ns + round(outage.value * NS_PER_S)
            self._uart.send(self._booted_ns, nmea.sentence("PMTK011,MTKGPS") + nmea.sentence("PMTK010,001"))

    def _what_it_knows(self, second: int) -> nmea.Fix:
        on_s = second - self._booted_ns // NS_PER_S
        place = self._settings.place
        if self._cold and second * NS_PER_S < self._booted_ns + 0.6 * (self._fix_at_ns - self._booted_ns):
            return nmea.Fix(COLD_SECOND + on_s, False, place, COLD_MILLISECOND)
        wrong_s = round(self._faults.value("nmea_second", second) or 0.0)
        if self._cold and on_s < self._settings.almanac_s:
            wrong_s += self._settings.cold_leap_error_s
        valid = self.has_fix(second) and not self._faults.value("nmea_void", second)
        leap_s, shown = self._leap(second)
        return nmea.Fix(second + wrong_s + leap_s, valid, place, leap=shown)

    def _leap(self, second: int) -> tuple[int, bool]:
        """By how much leap seconds have moved UTC at a second of the simulation, and whether it is shown as :60."""
        moved, shown = 0, False
        for fault in self._faults.between(0.0, math.inf, "leap_second", "leap_repeat"):
            since = second - (self._start_ns + round(fault.start_s * NS_PER_S)) // NS_PER_S
            if fault.name == "leap_second":
                moved -= round(fault.value) * (since >= 0)
                shown = shown or (fault.value > 0 and since == 0)
            else:
                moved -= since > 0 or (since == 0 and fault.value == 59)
        return moved, shown

    def received(self, now_ns: int) -> bytes:
        """The bytes that have arrived completely up to now, each handed out once."""
        return self._uart.sent(now_ns)

    def command(self, data: bytes, now_ns: int) -> None:
        """Bytes from the host; commands are obeyed when their line is complete."""
        if not self._settings.obeys or not self._has_power(now_ns // NS_PER_S):
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        self._heard = self._heard[-256:]
        for line in lines:
            body = nmea.checked_body(line[line.rfind(b"$") :] if b"$" in line else line)  # finds its start in binary
            if body is None or not body.startswith("PMTK"):
                self.refused_commands += 1  # the module ignores what it cannot read
                continue
            for reply in self._obey(body[4:].split(","), now_ns):
                self._uart.send(now_ns, nmea.sentence(reply))

    def _obey(self, fields: list[str], now_ns: int) -> list[str]:
        """Carry out one PMTK command; the replies. Flags: 1 unknown, 2 known but failed, 3 done."""
        number, arguments = fields[0], fields[1:]
        if number in RESTART_FIX_S:
            self._restart(number, now_ns)
            return ["PMTK011,MTKGPS", "PMTK010,001"]
        if number == "605":
            return [FIRMWARE]
        if number == "414":
            return [f"PMTK514,{','.join(str(rate) for rate in self._rate_list())}"]
        if number == "000" or number in ACCEPTED_UNHEEDED:
            return [f"PMTK001,{int(number)},3"]
        if number == "251":  # takes effect without an answer
            self._set_baud(arguments)
            return []
        handler = {"314": self._set_rates, "285": self._set_pps, "220": self._set_interval, "255": self._synchronise}
        if number not in handler:
            self.refused_commands += 1
            return [f"PMTK001,{number},1"]
        try:
            done = handler[number]([int(argument) for argument in arguments])
        except ValueError:
            done = False
        return [f"PMTK001,{number},{3 if done else 2}"]

    def _restart(self, number: str, now_ns: int) -> None:
        self._booted_ns, self._fix_at_ns = now_ns, now_ns + RESTART_FIX_S[number] * NS_PER_S
        self._cold = number in ("103", "104")
        self._uart.clear(now_ns)

    def _rate_list(self) -> list[int]:
        rates = [0] * 19
        for kind, index in nmea.RATE_FIELDS.items():
            rates[index] = self._rates[kind]
        return rates

    def _set_rates(self, rates: list[int]) -> bool:
        if rates == [-1]:
            self._rates = dict(nmea.DEFAULT_RATES)
            return True
        if not 17 <= len(rates) <= 21 or not all(0 <= rate <= 5 for rate in rates):
            return False
        rates += [0] * 4
        self._rates = {kind: rates[nmea.RATE_FIELDS[kind]] for kind in nmea.DEFAULT_RATES}
        return True

    def _set_pps(self, mode_width: list[int]) -> bool:
        if len(mode_width) != 2 or not 0 <= mode_width[0] <= 4 or not 1 <= mode_width[1] <= 998:
            return False
        self._pps_mode, self._pps_width_s = mode_width[0], mode_width[1] * 1e-3
        return True

    def _set_interval(self, interval_ms: list[int]) -> bool:
        return interval_ms == [1000]  # the model has one fix a second

    def _synchronise(self, on: list[int]) -> bool:
        if on not in ([0], [1]):
            return False
        s = self._settings
        self._delay_s, self._delay_jitter_s = SYNCHRONISED if on == [1] else (s.nmea_delay_s, s.nmea_jitter_s)
        return True

    def _set_baud(self, rate: list[str]) -> None:
        if rate in ([str(known)] for known in SPEEDS):
            self._uart.baud_rate = int(rate[0])


def _edges(second: int, pulses: list[tuple[float, float]]) -> list[Edge]:
    """The edges of pulses (start in ns after the second, length in s); pulses that overlap are one."""
    edges: list[Edge] = []
    high_until_ns = -math.inf
    for start_ns, width_s in sorted(pulses):
        end_ns = start_ns + width_s * NS_PER_S
        if start_ns <= high_until_ns:
            edges.pop()
            end_ns = max(end_ns, high_until_ns)
        else:
            edges.append(_edge(second, start_ns, True))
        edges.append(_edge(second, end_ns, False))
        high_until_ns = end_ns
    return edges


def _edge(second: int, at_ns: float, high: bool) -> Edge:
    whole = math.floor(at_ns)
    return Edge(second * NS_PER_S + whole, at_ns - whole, high)
