#!/bin/sh
# Believed: a thread takes two of the mappings of its process, its stack and the guard page below it. The limit of them
#   (`vm.max_map_count`, 65 530 as systems come) is then room for 32 000 threads.
# What happens: Rust's std gives each thread a second stack for the handler that says "stack overflow", with a guard page of its own.
#   That makes four mappings of a thread, and room for 16 000. At the limit it is mostly not the start of a thread that fails, with an error
#   that could be handled, but the mapping of the second stack in the new thread, which ends the process (not shown here).
# Versions: Rust 1.95, glibc 2.36, Linux 6.18.
# Source: library/std/src/sys/pal/unix/stack_overflow.rs, `get_stack` (mmap and mprotect of the guard page).
# Seen: 500 threads of std: 4.06 mappings each
#       500 threads of Python (glibc's own): 2.07 mappings each
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/main.rs" <<'RUST'
//! How many mappings a process has, before and after it has started threads that wait.
use std::{
    fs,
    sync::{Arc, Barrier},
    thread,
};

const THREADS: usize = 500;

/// Mappings of this process. Neighbours with the same rights are one: a stack of an odd size keeps them apart.
fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").expect("Linux").lines().count()
}

fn main() {
    let (begun, end) = (Arc::new(Barrier::new(THREADS + 1)), Arc::new(Barrier::new(THREADS + 1)));
    let before = mappings();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (begun, end) = (begun.clone(), end.clone());
            thread::spawn(move || {
                begun.wait();
                end.wait();
            })
        })
        .collect();
    begun.wait();
    let each = (mappings() - before) as f64 / THREADS as f64;
    println!("{THREADS} threads of std: {each:.2} mappings each");
    end.wait();
    threads.into_iter().for_each(|thread| thread.join().expect("it only waits"));
}
RUST
cat > "$work/threads.py" <<'PY'
"""The same with threads of glibc's own, which Python's are."""
import threading

THREADS = 500


def mappings():
    with open("/proc/self/maps") as maps:
        return len(maps.readlines())


end = threading.Event()
begun = threading.Barrier(THREADS + 1)


def wait():
    begun.wait()
    end.wait()


threads = [threading.Thread(target=wait) for _ in range(THREADS)]
before = mappings()
for thread in threads:
    thread.start()
begun.wait()
print(f"{THREADS} threads of Python (glibc's own): {(mappings() - before) / THREADS:.2f} mappings each")
end.set()
for thread in threads:
    thread.join()
PY
rustc --edition 2024 -O -o "$work/threads" "$work/main.rs"
"$work/threads" > "$work/seen"
python3 "$work/threads.py" >> "$work/seen"
cat "$work/seen"
# Single mappings more or fewer are those of allocators.
std=$(sed -n 's/^500 threads of std: \([0-9]*\)\.\([0-9]\).*/\1\2/p' "$work/seen")
glibc=$(sed -n 's/^500 threads of Python.*: \([0-9]*\)\.\([0-9]\).*/\1\2/p' "$work/seen")
[ "$std" -ge 38 ] && [ "$std" -le 45 ] || { echo "changed: a thread of std does not take four mappings"; exit 1; }
[ "$glibc" -le 32 ] || { echo "changed: a thread of glibc takes more than three"; exit 1; }
echo "as it was: a thread of std takes four mappings"
