"""Sole and shifting bottleneck time per station with the package active-period-method.

Usage: active_periods.py STATES: Parquet with station, timestamp and status (active or not), a row per change. Only the
package's own calls are timed.
"""

import json
import sys
import time

import pandas as pd
from active_period_method import ActivePeriodMethod


def main() -> None:
    states = pd.read_parquet(sys.argv[1])
    begun = time.perf_counter()
    method = ActivePeriodMethod(states)
    method.calculate_momentary_bottlenecks()
    average = method.calculate_average_bottlenecks()
    told: dict[str, object] = {"seconds": time.perf_counter() - begun}
    for kind in ("sole", "shifting"):
        mine = average[average["bottleneck_type"] == kind]
        told[kind] = {str(s): d.value for s, d in zip(mine["station"], mine["duration"], strict=True)}  # ns
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
