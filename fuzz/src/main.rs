//! `cargo xtask fuzz`: each target for a while, on as many threads as there are processors.
#![allow(clippy::print_stdout, reason = "what it finds is for people")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use tidewire_fuzz::campaign::{self, Outcome, Until, catch_panics};
use tidewire_fuzz::targets::{TARGETS, Target};
use tidewire_fuzz::{corpus, seeds, targets};
use xxhash_rust::xxh64::xxh64;

const USAGE: &str = "\
cargo xtask fuzz                          every target for 3 seconds
cargo xtask fuzz --seconds N | --minutes N  ... for so long in all
cargo xtask fuzz --target T               one target: json, codec, segment, wire, request, cursor, patch, merge, …
cargo xtask fuzz --seed S                 other inputs than those of seed 1
cargo xtask fuzz --target T --input FILE  one input: what comes of it
cargo xtask fuzz --target T --keep-last FILE  ... each input before it is tried: for what ends the process
cargo xtask fuzz --corpus                 writes the seeds of the kept corpus anew, from the golden transcripts
";

/// How long each target runs unless told otherwise.
const EACH: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Words {
    targets: Vec<&'static Target>,
    each: Duration,
    seed: u64,
    input: Option<PathBuf>,
    corpus: bool,
}

fn main() -> ExitCode {
    let Some(words) = read(&env::args().skip(1).collect::<Vec<_>>()) else {
        eprint!("{USAGE}");
        return ExitCode::FAILURE;
    };
    if words.corpus {
        return match seeds::write() {
            Ok(count) => say(&format!("{count} inputs in fuzz/corpus"), ExitCode::SUCCESS),
            Err(error) => say(&format!("error: {error}"), ExitCode::FAILURE),
        };
    }
    catch_panics();
    if let (Some(path), [target]) = (&words.input, &words.targets[..]) {
        return one(target, path);
    }
    all(&words)
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    println!("{text}");
    code
}

fn read(args: &[String]) -> Option<Words> {
    let mut words = Words { targets: TARGETS.iter().collect(), each: EACH, seed: 1, input: None, corpus: false };
    let mut total = None;
    let mut args = args.iter();
    while let Some(word) = args.next() {
        match word.as_str() {
            "--corpus" => words.corpus = true,
            "--seconds" => total = Some(args.next()?.parse::<f64>().ok()?),
            "--minutes" => total = Some(args.next()?.parse::<f64>().ok()? * 60.0),
            "--seed" => words.seed = args.next()?.parse().ok()?,
            "--target" => words.targets = vec![targets::find(args.next()?)?],
            "--keep-last" => campaign::keep_last(args.next()?.into()),
            "--input" => words.input = Some(args.next()?.into()),
            _ => return None,
        }
    }
    if let Some(total) = total {
        let at_a_time = threads().min(words.targets.len());
        words.each = Duration::try_from_secs_f64(total * at_a_time as f64 / words.targets.len() as f64).ok()?;
    }
    Some(words)
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn one(target: &Target, path: &Path) -> ExitCode {
    match fs::read(path).map_err(|error| error.to_string()).and_then(|input| campaign::execute(target, &input)) {
        Ok(fingerprint) => say(&format!("{}: {fingerprint:016x}", target.name), ExitCode::SUCCESS),
        Err(message) => say(&format!("{} FAILED: {message}", target.name), ExitCode::FAILURE),
    }
}

fn all(words: &Words) -> ExitCode {
    let green = AtomicBool::new(true);
    let workers = threads().min(words.targets.len());
    thread::scope(|scope| {
        for worker in 0..workers {
            let green = &green;
            scope.spawn(move || {
                for target in words.targets.iter().skip(worker).step_by(workers) {
                    if !fuzz(target, words) {
                        green.store(false, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    if green.into_inner() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fuzz(target: &Target, words: &Words) -> bool {
    let inputs = match corpus::read(target.name) {
        Ok(inputs) => inputs.into_iter().map(|(_, input)| input).collect::<Vec<_>>(),
        Err(error) => {
            println!("{} FAILED: no corpus: {error}", target.name);
            return false;
        }
    };
    let outcome = campaign::run(target, &inputs, words.seed, Until::Elapsed(words.each));
    let speed = outcome.executions as f64 / words.each.as_secs_f64();
    println!(
        "{:10} {:>10} inputs, {speed:>8.0} a second, {:>4} kinds of outcomes",
        target.name, outcome.executions, outcome.fingerprints
    );
    keep(target, &outcome);
    let Some(failure) = outcome.failure else { return true };
    let path = store(target, "failed", &failure.input);
    println!("{} FAILED: {}", target.name, failure.message);
    println!("{}", String::from_utf8_lossy(&failure.input));
    println!("again: cargo xtask fuzz --target {} --input {path}", target.name);
    println!("once mended: into fuzz/corpus/{}, under a name that says what it was", target.name);
    false
}

/// What is of a new kind is left where somebody may look for seeds.
fn keep(target: &Target, outcome: &Outcome) {
    for input in &outcome.found {
        store(target, "found", input);
    }
}

fn store(target: &Target, what: &str, input: &[u8]) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz").join(what).join(target.name);
    let path = directory.join(format!("{:016x}", xxh64(input, 0)));
    // Where it cannot be kept it is on the screen.
    let _ = fs::create_dir_all(&directory).and_then(|()| fs::write(&path, input));
    path.display().to_string()
}
