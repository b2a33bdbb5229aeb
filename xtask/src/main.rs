//! The project's own tools, run as `cargo xtask <command>`.
//!
//! Not a build system: each command is one step which `scripts/test.mjs` and `scripts/start.mjs` call.
//! Every command can be run again at any time and does nothing when nothing changed.

mod build;
mod fuzz;
mod inputs;
mod kit;
mod order;
mod sim;
mod size;
mod split;
mod tidy;
mod work;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const USAGE: &str = "\
cargo xtask build [--release|--dev]   the browser module, into pkg/dist
cargo xtask kit [--release|--dev]     the module of the test kit, into pkg/dist/testing
cargo xtask tidy                      the house rules
cargo xtask size [--functions|--json] what takes room in the browser module, by crate or by function
cargo xtask work [--bless]            instructions and bytes of fixed work, against core/benches/work.txt
cargo xtask sim --seeds N | --seed S  the simulator (docs/TESTING.md); --start S, --trace, --wasm
cargo xtask fuzz [--minutes N]        bytes that nobody meant (docs/TESTING.md); --target T, --seed S, --input FILE
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = Workspace::find().and_then(|workspace| match args.as_slice() {
        ["build"] | ["build", "--release"] => build::run(&workspace, build::Mode::Release).map(|()| true),
        ["build", "--dev"] => build::run(&workspace, build::Mode::Dev).map(|()| true),
        ["kit"] | ["kit", "--release"] => kit::run(&workspace, build::Mode::Release).map(|()| true),
        ["kit", "--dev"] => kit::run(&workspace, build::Mode::Dev).map(|()| true),
        ["tidy"] => tidy::run(&workspace),
        ["size"] => size::run(&workspace, size::Format::Text).map(|()| true),
        ["size", "--functions"] => size::run(&workspace, size::Format::Functions).map(|()| true),
        ["size", "--json"] => size::run(&workspace, size::Format::Json).map(|()| true),
        ["work"] => work::run(&workspace, false),
        ["work", "--bless"] => work::run(&workspace, true),
        ["sim", words @ ..] => sim::run(&workspace, words),
        ["fuzz", words @ ..] => fuzz::run(&workspace, words),
        _ => {
            eprint!("{USAGE}");
            Ok(false)
        }
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
