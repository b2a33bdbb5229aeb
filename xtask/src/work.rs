//! `cargo xtask work`: nothing costs more than it did. It counts, where a clock would guess: the instructions of fixed
//! pieces of work (`core/benches/work.rs` under callgrind) and the bytes of fixed exchanges (the tests `wire_bytes`).
//!
//! What is right is in `core/benches/work.txt`, written by `cargo xtask work --bless` and read in review.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, output};

const FILE: &str = "core/benches/work.txt";
const HEAD: &str = "\
# What the work of core/benches/work.rs and the exchanges of the tests `wire_bytes` cost: kind, name, count.
# `cargo xtask work` fails if one of them costs more; `cargo xtask work --bless` writes this file anew.
";
const INSTRUCTIONS: &str = "instructions";
const BYTES: &str = "bytes";
/// Of instructions a thousandth part: compilers lay out code anew when something else changes.
const MORE_INSTRUCTIONS: u64 = 30;
/// What glibc copies and compares with when it is to use nothing that only some processors have: the count is to be
/// the same on each.
const ANY_PROCESSOR: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX_Fast_Unaligned_Load,-BMI2,-ERMS,\
    -FSRM,-RTM,-SSE4_2";
/// Numbers in messages have now and then a digit more.
const MORE_BYTES: u64 = 5;

/// By kind and name.
type Counts = BTreeMap<(String, String), u64>;

/// Measures and compares. Returns whether nothing costs more; with `bless` the file is what was measured.
pub fn run(workspace: &Workspace, bless: bool) -> Result<bool> {
    let mut found = instructions(workspace)?;
    found.extend(bytes(workspace)?);
    let path = workspace.path(FILE);
    if bless {
        fs::write(&path, HEAD.to_owned() + &write(&found)).with_context(|| format!("cannot write {FILE}"))?;
        println!("wrote {FILE}: look at the difference");
        return Ok(true);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let problems = compare(&read(&text)?, &found);
    for line in &problems {
        println!("{line}");
    }
    if problems.is_empty() {
        println!("{} counts, none above {FILE}", found.len());
    } else {
        println!("If that is worth it: cargo xtask work --bless, and say in the commit why.");
    }
    Ok(problems.is_empty())
}

/// What costs more than it did, what nobody measured, and what nobody wrote down.
fn compare(known: &Counts, found: &Counts) -> Vec<String> {
    let mut problems = Vec::new();
    for (key @ (kind, name), before) in known {
        let more = if kind == BYTES { MORE_BYTES } else { MORE_INSTRUCTIONS };
        match found.get(key) {
            None => problems.push(format!("{kind} of {name}: not measured any more")),
            Some(now) if *now * 1_000 > before * (1_000 + more) => {
                let percent = (*now as f64 / *before as f64 - 1.0) * 100.0;
                problems.push(format!("{kind} of {name}: {now}, {percent:.1} % more than {before}"));
            }
            Some(_) => {}
        }
    }
    let new = found.keys().filter(|key| !known.contains_key(*key));
    problems.extend(new.map(|(kind, name)| format!("{kind} of {name}: not in {FILE}")));
    problems
}

fn instructions(workspace: &Workspace) -> Result<Counts> {
    let program = build(workspace)?;
    let names = output(&mut Command::new(&program))?;
    let names: Vec<&str> = names.lines().collect();
    let mut counts = Counts::new();
    let together = std::thread::available_parallelism().map_or(1, usize::from);
    for chunk in names.iter().enumerate().collect::<Vec<_>>().chunks(together) {
        let running = chunk.iter().map(|(which, _)| callgrind(&program, *which)).collect::<Result<Vec<Child>>>()?;
        for ((_, name), child) in chunk.iter().zip(running) {
            let count = collected(child).with_context(|| format!("valgrind of {name}"))?;
            counts.insert((INSTRUCTIONS.into(), (**name).to_owned()), count);
        }
    }
    Ok(counts)
}

/// The program that does the work, optimised.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let arguments = ["bench", "--package", "tidewire-core", "--bench", "work", "--no-run", "--message-format", "json"];
    let messages = output(workspace.cargo().args(arguments))?;
    let program = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "work").then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    program.context("cargo named no program for the bench `work`")
}

fn callgrind(program: &Path, which: usize) -> Result<Child> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    // Preparing the work is not the work.
    command.args(["--collect-atstart=no", "--toggle-collect=work::counted"]);
    // Addresses, environment and path are part of what a program reads.
    let (Some(dir), Some(name)) = (program.parent(), program.file_name()) else { bail!("no program: {program:?}") };
    command.current_dir(dir).env_clear().env("GLIBC_TUNABLES", ANY_PROCESSOR);
    command.arg(Path::new(".").join(name)).arg(which.to_string());
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    child.context("valgrind cannot be started: apt-get install valgrind")
}

/// What callgrind says when it ends: `==7==  Collected : 1094544`.
fn collected(child: Child) -> Result<u64> {
    let out = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&out.stderr);
    let count = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match count {
        Some(count) if out.status.success() && count > 0 => Ok(count),
        _ => bail!("no count: {text}"),
    }
}

/// The lines that the tests print.
fn bytes(workspace: &Workspace) -> Result<Counts> {
    let mut counts = Counts::new();
    for package in ["tidewire-core", "tidewire-server"] {
        let arguments = ["test", "--quiet", "--package", package, "--test", "wire_bytes", "--", "--nocapture"];
        let printed = output(workspace.cargo().args(arguments))?;
        // A test's own dots stand before its first line.
        let lines = printed.lines().filter_map(|line| Some(&line[line.find("bytes  ")?..]));
        counts.extend(read(&lines.collect::<Vec<_>>().join("\n"))?);
    }
    Ok(counts)
}

/// Lines of kind, name and count, two blanks or more between them.
fn read(text: &str) -> Result<Counts> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let read = |line: &str| {
        let parts: Vec<&str> = line.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect();
        let [kind, name, count] = parts[..] else { bail!("no count: {line}") };
        Ok(((kind.to_owned(), name.to_owned()), count.parse().with_context(|| format!("no count: {line}"))?))
    };
    lines.map(read).collect()
}

fn write(counts: &Counts) -> String {
    counts.iter().map(|((kind, name), count)| format!("{kind:12}  {name:44}  {count:>11}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: u64, bytes: u64) -> Counts {
        read(&format!("# a remark\n\ninstructions  fold/inserts    {instructions}\nbytes  push of 1  {bytes}\n"))
            .unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&write(&counts(7, 8))).unwrap(), counts(7, 8));
        assert!(read("instructions  fold").is_err() && read("bytes  push  many").is_err());
    }

    #[test]
    fn more_work_is_a_problem_and_a_little_more_is_not() {
        let known = counts(1_000_000, 1_000);
        for good in [(1_000_000, 1_000), (1_030_000, 1_005), (1, 1)] {
            assert_eq!(compare(&known, &counts(good.0, good.1)), Vec::<String>::new());
        }
        assert_eq!(
            compare(&known, &counts(1_031_000, 1_006)),
            [
                "bytes of push of 1: 1006, 0.6 % more than 1000",
                "instructions of fold/inserts: 1031000, 3.1 % more than 1000000",
            ],
        );
    }

    #[test]
    fn what_was_not_measured_or_not_written_down_is_a_problem() {
        let known = counts(1, 1);
        assert_eq!(compare(&known, &Counts::new()).len(), 2);
        assert_eq!(compare(&Counts::new(), &known).len(), 2);
    }
}
