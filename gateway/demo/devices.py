"""Four devices of a small water works with a roof of solar cells. Physics only in so far as the numbers agree:
the tank's level is the integral of its flows, the pump's power goes with the cube of its speed, what the meter
counts is what the others use and make.

Each has `step(dt)` for its own state, `image` with its registers, and `publish()` to bring state into registers.
"""

from __future__ import annotations

import math

from gateway.demo.modbus_server import (
    COIL,
    DISCRETE,
    HOLDING,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    INPUT,
    Image,
    Refused,
    fill,
    float32,
    int16,
    uint32,
)

DAY_S = 900.0
"""One day of sun in the demo, in seconds: a quarter of an hour, so that one sees it move."""


class Sun:
    """Irradiance over a shortened day with passing clouds, W/m2. Starts in mid-morning."""

    def __init__(self, phase: float = 0.38) -> None:
        self._time = phase * DAY_S
        self.irradiance = 0.0

    def step(self, dt: float) -> None:
        self._time += dt
        height = math.sin((self._time / DAY_S % 1.0 - 0.25) * 2 * math.pi)
        waves = sum(math.sin(self._time / period + shift) for period, shift in ((23, 0), (41, 1.3), (67, 4.1)))
        clouds = 1.0 - 0.18 * max(0.0, waves)
        self.irradiance = max(0.0, 950.0 * height * clouds)


class Inverter:
    """A string inverter of 12 kW: power follows the sun, limited by a written limit in percent."""

    RATED_W = 12_000.0
    OFF, MPPT, THROTTLED = 1, 4, 5  # SunSpec operating states

    def __init__(self, sun: Sun) -> None:
        self.image = Image(on_write=self._write)
        self._sun = sun
        self.limit_percent = 100
        self.power = 0.0
        self.energy_wh = 41_237_800.0
        self.temperature = 31.0
        self.state = self.OFF
        self.publish()

    def step(self, dt: float) -> None:
        possible = self.RATED_W * self._sun.irradiance / 1000 * 0.97
        limit = self.RATED_W * self.limit_percent / 100
        self.power = min(possible, limit)
        self.state = self.OFF if possible < 20 else self.THROTTLED if possible > limit else self.MPPT
        self.energy_wh += self.power * dt / 3600
        self.temperature += (24.0 + self.power / 320 - self.temperature) * dt / 60

    def publish(self) -> None:
        holding = self.image.tables[HOLDING]
        volts = 0.0 if self.state == self.OFF else 580.0 + self._sun.irradiance / 9
        amps = self.power / 0.97 / volts if volts else 0.0
        fill(holding, 0, (self.state, int16(self.power / 10), *uint32(self.energy_wh)))
        fill(holding, 4, (round(volts * 10), round(amps * 100), int16(self.temperature * 10)))
        fill(holding, 7, (0, 0, 0, self.limit_percent))  # 7 to 9: reserved, read as 0

    def _write(self, table: str, address: int, value: int) -> None:
        if (table, address) != (HOLDING, 10):
            raise Refused(ILLEGAL_ADDRESS)
        if not 0 <= value <= 100:
            raise Refused(ILLEGAL_VALUE)
        self.limit_percent = value
        self.publish()


class Tank:
    """An elevated tank of 2 m3: what the pump brings, less what the town takes."""

    VOLUME_M3 = 2.0

    def __init__(self) -> None:
        self.image = Image()
        self.level = 52.0  # percent
        self.outflow = 0.0  # m3/h
        self.inflow = 0.0
        self.temperature = 14.2
        self._time = 0.0
        self.publish()

    def step(self, dt: float) -> None:
        self._time += dt
        self.outflow = 9.0 + 3.0 * math.sin(self._time / 31) + 1.5 * math.sin(self._time / 7.3)
        if self.level <= 0.5:
            self.outflow = min(self.outflow, self.inflow)
        change = (self.inflow - self.outflow) * dt / 3600
        self.level = max(0.0, min(100.0, self.level + change / self.VOLUME_M3 * 100))
        self.temperature = 14.2 + 0.6 * math.sin(self._time / 200)

    def publish(self) -> None:
        fill(self.image.tables[INPUT], 0, (round(self.level * 100), int16(self.temperature * 10)))
        fill(self.image.tables[INPUT], 2, float32(self.outflow))
        fill(self.image.tables[DISCRETE], 0, (int(self.level > 90), int(self.level < 15)))


class Pump:
    """A pump with its drive. In automatic it keeps the tank between two levels; a written `run` takes it over by
    hand. It never fills a full tank: the high-level switch stops it whatever was written.
    """

    RATED_RPM = 1500.0
    RATED_W = 3_000.0
    RATED_FLOW = 24.0  # m3/h
    MANUAL, AUTOMATIC = 0, 1
    _START, _STOP, _INTERLOCK = 35.0, 85.0, 97.0

    def __init__(self, tank: Tank) -> None:
        self.image = Image(on_write=self._write)
        self._tank = tank
        self.mode = self.AUTOMATIC
        self.run = True
        self.setpoint = 1350  # rpm
        self.speed = 0.0
        self.motor_temperature = 26.0
        self.starts = 217
        self.seconds = 4_731_000.0
        self._ripple = 0.0
        self.publish()

    @property
    def power(self) -> float:
        """Electrical power in W: affinity law, plus the drive itself."""
        return self.RATED_W * (self.speed / self.RATED_RPM) ** 3 + 18.0

    def step(self, dt: float) -> None:
        level = self._tank.level
        if self.mode == self.AUTOMATIC and (level < self._START or level > self._STOP):
            self._turn(level < self._START)
        if level > self._INTERLOCK:
            self._turn(on=False)
        target = float(self.setpoint) if self.run else 0.0
        self._ripple += dt
        wanted = target * (1 + 0.002 * math.sin(self._ripple * 1.7))
        self.speed += (wanted - self.speed) * min(1.0, dt / 0.8)
        self._tank.inflow = self.RATED_FLOW * self.speed / self.RATED_RPM if self.speed > 150 else 0.0
        self.motor_temperature += (24.0 + self.power / 75 - self.motor_temperature) * dt / 45
        self.seconds += dt if self.run else 0.0

    def publish(self) -> None:
        running = int(self.speed > 75)
        share = self.speed / self.RATED_RPM
        pressure = 0.35 + 2.8 * share**2  # bar: static head of the tank and what the speed adds
        fill(self.image.tables[HOLDING], 0, (self.setpoint, self.mode))
        fill(self.image.tables[COIL], 0, (int(self.run),))
        fill(self.image.tables[DISCRETE], 0, (running, int(self._tank.level > self._INTERLOCK)))
        cells = self.image.tables[INPUT]
        fill(cells, 0, (round(self.speed * 10), round(self._tank.inflow * 100), round(pressure * 1000)))
        fill(cells, 3, (round(self.power), int16(self.motor_temperature * 10), self.starts))
        fill(cells, 6, uint32(self.seconds))

    def _turn(self, on: bool) -> None:
        self.starts += int(on and not self.run)
        self.run = on

    def _write(self, table: str, address: int, value: int) -> None:
        if (table, address) == (COIL, 0):
            self.mode = self.MANUAL
            self._turn(bool(value) and self._tank.level <= self._INTERLOCK)
        elif (table, address) == (HOLDING, 0):
            if not 0 <= value <= self.RATED_RPM:
                raise Refused(ILLEGAL_VALUE)
            self.setpoint = value
        elif (table, address) == (HOLDING, 1):
            if value not in {self.MANUAL, self.AUTOMATIC}:
                raise Refused(ILLEGAL_VALUE)
            self.mode = value
        else:
            raise Refused(ILLEGAL_ADDRESS)
        self.publish()


class Meter:
    """The three-phase meter at the point of connection: pump and house, less the sun. Import and export count."""

    def __init__(self, pump: Pump, inverter: Inverter) -> None:
        self.image = Image()
        self._pump = pump
        self._inverter = inverter
        self.power = 0.0  # W, negative when the roof makes more than is used
        self.import_wh = 18_402_350.0
        self.export_wh = 9_117_420.0
        self._time = 0.0
        self.publish()

    def step(self, dt: float) -> None:
        self._time += dt
        house = 1_450 + 420 * math.sin(self._time / 53) + 160 * math.sin(self._time / 11)
        self.power = house + self._pump.power - self._inverter.power
        if self.power > 0:
            self.import_wh += self.power * dt / 3600
        else:
            self.export_wh -= self.power * dt / 3600

    def publish(self) -> None:
        cells = self.image.tables[INPUT]
        shares = (0.36, 0.31, 0.33)
        volts = [231.0 + 1.2 * math.sin(self._time / 17 + 2.1 * phase) - self.power / 9000 for phase in range(3)]
        for phase, (share, volt) in enumerate(zip(shares, volts, strict=True)):
            fill(cells, 2 * phase, float32(volt))
            fill(cells, 6 + 2 * phase, float32(abs(self.power) * share / volt))
        fill(cells, 12, float32(self.power))
        fill(cells, 14, float32(50.0 + 0.02 * math.sin(self._time / 13)))
        fill(cells, 16, uint32(self.import_wh))
        fill(cells, 18, uint32(self.export_wh))
