"""The order of folding, slow and obvious."""

from kernels.fold import layout


def naive_order(rows: list[list[int]]) -> list[list[int]]:
    """Event rows by line, ts, phase, station (cycles start from the last station up), epoch, seq, arrival."""

    def key(row: list[int]) -> tuple[int, ...]:
        station = row[layout.E_STATION]
        if row[layout.E_PHASE] == layout.PHASE_CYCLE_START:
            station = -station
        places = (layout.E_EPOCH, layout.E_SEQ, layout.E_ARRIVAL)
        return row[layout.E_LINE], row[layout.E_TS], row[layout.E_PHASE], station, *(row[k] for k in places)

    return sorted(rows, key=key)
