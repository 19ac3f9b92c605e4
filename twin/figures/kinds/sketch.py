"""Cases of mergeable quantiles."""

from fractions import Fraction
from typing import Any

from twin.figures.exact import nearest_rank, percentile, whole
from twin.figures.kinds.given import Given, Kind, need
from twin.figures.sketch import BITS, Histogram, bounds_of, ddsketch_gamma, ddsketch_key, digest, index_of, lcg, of


def _index(given: Given) -> Any:
    bits = given.get("sub_bucket_bits", BITS)
    indices = [index_of(value, bits) for value in need(given, "values")]
    return {
        "index": indices,
        "bounds": [bounds_of(index, bits) for index in indices],
        "max_relative_width": Fraction(1, 2**bits),
    }


def _merge(given: Given) -> Any:
    bits = given.get("sub_bucket_bits", BITS)
    values = (
        given["values"]
        if "values" in given
        else lcg(whole(need(given, "n"), "n", 0, 10_000_000), whole(given.get("seed", 1), "seed"))
    )
    histogram = of(values, bits)
    for partitions in (n for n in given.get("partitions_to_try", []) if isinstance(n, int) and n > 0):
        merged = Histogram(bits)
        for start in range(partitions):
            merged.merge(of(values[start::partitions], bits))
        if merged.pairs() != histogram.pairs():
            raise AssertionError(f"{partitions} partitions give another histogram")
    quantiles = given.get("quantiles", [])
    return {
        "first_values": values[:5],
        "sum": sum(values),
        "buckets_used": len(histogram.counts),
        "sha256_of_sorted_pairs": digest(histogram.counts),
        "quantile_bucket_bounds": [histogram.quantile_bounds(p) for p in quantiles],
        "exact_nearest_rank": [percentile(values, p) for p in quantiles],
    }


def _rank(given: Given) -> Any:
    return {"rank": [[nearest_rank(n, p) for p in need(given, "p")] for n in need(given, "n")]}


def _ddsketch(given: Given) -> Any:
    alpha = need(given, "alpha")
    return {"gamma": ddsketch_gamma(alpha), "key": [ddsketch_key(x, alpha) for x in need(given, "x")]}


def _choice(given: Given) -> Any:
    """What can be measured here: the histogram of this package. The other libraries are not among its dependencies."""
    values = lcg(20_000)
    once = of(values).pairs()
    merged = Histogram()
    for start in range(16):
        merged.merge(of(values[start::16]))
    return {
        "log_linear_integer": {
            "same_run_repeated": of(values).pairs() == once,
            "partitions": merged.pairs() == once,
            "order": of(reversed(values)).pairs() == once,
        }
    }


KINDS: dict[str, Kind] = {
    "log_linear_index": _index,
    "log_linear_merge": _merge,
    "quantile_rank": _rank,
    "ddsketch_bound": _ddsketch,
    "choice": _choice,
}
