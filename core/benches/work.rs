//! Does one piece of work once, under `valgrind --tool=callgrind`, which counts the instructions of `counted` alone:
//! `cargo xtask work`. Without a number it prints the names.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]
#![allow(unreachable_pub, reason = "modules of two benches and the tests")]

#[path = "workloads/mod.rs"]
mod workloads;
#[path = "../tests/world/mod.rs"]
mod world;

use std::any::Any;
use std::hint::black_box;

use workloads::Work;

fn main() {
    // Cargo adds words of its own.
    match std::env::args().find_map(|word| word.parse::<usize>().ok()) {
        None => workloads::ALL.iter().for_each(|(name, ..)| println!("{name}")),
        Some(which) => drop(black_box(counted(workloads::ALL[which].2()))),
    }
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted(work: Work) -> Box<dyn Any> {
    let made = work();
    // Not the last call in here, which would be a jump and not be seen to return.
    black_box(&made);
    made
}
