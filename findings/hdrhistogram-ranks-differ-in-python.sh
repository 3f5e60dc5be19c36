#!/bin/sh
# Believed: a percentile of an HdrHistogram log is the same whichever of its libraries reads the log.
# What happens: the value at a percentile is the smallest one below or at which that share of all values lies. The Rust crate
#   rounds the rank up, as this says: p99 of 160 values is the 159th, for the 158th has 98.75 % of them. The Python package
#   rounds the rank to the nearest: the 158th. In a tail that is steep, as latencies have, the two are far apart.
# Versions: crate hdrhistogram 7.6.0, PyPI hdrhistogram 0.10.8 on CPython 3. Rust 1.95.
# Source: Python, hdrh/histogram.py: half is added to the share of the count, and the rest cut off. Rust, src/lib.rs,
#   `value_at_quantile`: `ceil`.
# Seen: Rust: p99 of 1 to 159 and 100000 is 159
#       Python: p99 of 1 to 159 and 100000 is 158
#       Rust: p99 of 158 ones and two of 1000 is 1000
#       Python: p99 of 158 ones and two of 1000 is 1
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "ranks"
version = "0.0.0"
edition = "2024"

[dependencies]
base64 = "=0.22.1"
hdrhistogram = { version = "=7.6.0", features = ["serialization"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! The 99th percentile of two histograms, and the histograms themselves for another reader.
use base64::prelude::{BASE64_STANDARD, Engine};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2DeflateSerializer},
};

fn main() {
    let even = (1..160).chain([100_000]).collect::<Vec<u64>>();
    let steep = [vec![1; 158], vec![1000; 2]].concat();
    for (words, values) in [("1 to 159 and 100000", even), ("158 ones and two of 1000", steep)] {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 1_000_000, 3).expect("bounds");
        for value in values {
            histogram.record(value).expect("within the bounds");
        }
        println!("Rust: p99 of {words} is {}", histogram.value_at_quantile(0.99));
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&histogram, &mut bytes).expect("a vector takes all");
        println!("encoded\t{words}\t{}", BASE64_STANDARD.encode(bytes));
    }
}
RUST
python3 -m venv "$work/python"
"$work/python/bin/pip" install --quiet --disable-pip-version-check hdrhistogram==0.10.8
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/encoded"
{
    grep '^Rust' "$work/encoded"
    grep '^encoded' "$work/encoded" | "$work/python/bin/python" -c '
import sys
from hdrh.histogram import HdrHistogram
for line in sys.stdin:
    _, words, encoded = line.rstrip("\n").split("\t")
    print("Python: p99 of", words, "is", HdrHistogram.decode(encoded).get_value_at_percentile(99))'
} > "$work/seen"
cat "$work/seen"
check() { grep -q "^$1\$" "$work/seen" || { echo "changed: not '$1'"; exit 1; }; }
check 'Rust: p99 of 1 to 159 and 100000 is 159'
check 'Python: p99 of 1 to 159 and 100000 is 158'
check 'Rust: p99 of 158 ones and two of 1000 is 1000'
check 'Python: p99 of 158 ones and two of 1000 is 1'
echo "as it was: the two libraries read different percentiles from the same log"
