"""Reads an HdrHistogram log with the package `hdrhistogram` and prints what it finds, one line per interval.

    python3 read.py LOG

Columns, tab-separated: tag, start and length in ms since 1970, count, then p50, p99 and max.
"""

import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader


def main(path):
    reader = HistogramLogReader(path, HdrHistogram(1, 60_000_000_000, 3))
    while (interval := reader.get_next_interval_histogram()) is not None:
        start, end = interval.get_start_time_stamp(), interval.get_end_time_stamp()
        quantiles = [interval.get_value_at_percentile(p) for p in (50, 99)]
        fields = [interval.get_tag(), f"{start:.0f}", f"{end - start:.0f}", interval.get_total_count()]
        print(*fields, *quantiles, interval.get_max_value(), sep="\t")


main(sys.argv[1])
