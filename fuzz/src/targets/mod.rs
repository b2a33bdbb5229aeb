//! What is fuzzed, and what has to hold.

mod authority;
mod codec;
mod cursor;
mod identity;
mod json;
mod merge;
mod patch;
mod policy;
mod request;
mod segment;
mod wire;

use tidewire_core::error::CoreError;
use tidewire_core::protocol::message::Verdict;
use xxhash_rust::xxh64::xxh64;

/// A reader under test.
#[derive(Debug)]
pub struct Target {
    /// As on the command line, and the directory of its corpus.
    pub name: &'static str,
    /// Its properties.
    pub about: &'static str,
    /// Panics where one does not hold; else a fingerprint of what happened.
    pub run: fn(&[u8]) -> u64,
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    Target {
        name: "json",
        about: "the JSON door: canonical text is a fixed point; serde_json, and those who read parts, agree",
        run: json::run,
    },
    Target {
        name: "codec",
        about: "log records: what is read is written and read the same, packed too; one changed bit is noticed",
        run: codec::run,
    },
    Target {
        name: "segment",
        about: "segments and directories: rows come back as they were; a state is made of them without a panic",
        run: segment::run,
    },
    Target {
        name: "wire",
        about: "what a client reads of a server: read, written and read again it is the same, as serde has it",
        run: wire::run,
    },
    Target {
        name: "request",
        about: "what a server reads of a client: the same; limits of names, numbers and versions hold",
        run: request::run,
    },
    Target {
        name: "cursor",
        about: "cursors: nothing is continued that the log does not know; no scope but the reader's is planned",
        run: cursor::run,
    },
    Target {
        name: "patch",
        about: "diff and patch: apply after diff is the identity; both readers of an edit agree; limits hold",
        run: patch::run,
    },
    Target {
        name: "merge",
        about: "three-way merge: both orders give one document; again is nothing; who predicts predicts right",
        run: merge::run,
    },
    Target {
        name: "authority",
        about: "a push: one verdict each, the same when it comes again; who is refused changes nothing for others",
        run: authority::run,
    },
    Target {
        name: "identity",
        about: "natural keys and ids that became another's: one live entity for each key, one step for each id",
        run: identity::run,
    },
    Target {
        name: "policy",
        about: "who sees and writes what: no value makes another rule's group; what is masked is so in every part",
        run: policy::run,
    },
];

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// A fingerprint of several parts.
fn print(parts: &[&str]) -> u64 {
    parts.iter().fold(0, |sum, part| xxh64(part.as_bytes(), sum))
}

/// A fingerprint of a refusal: its code, and its message without the numbers in it.
fn refusal(error: &CoreError) -> u64 {
    let message: String = error.message.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    print(&[error.code.as_str(), &message])
}

/// What a verdict says, in a word.
fn kind(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Applied { .. } => "applied",
        Verdict::Merged { overwritten, displaced, .. } => match (overwritten.len(), displaced.len()) {
            (0, 0) => "merged",
            (_, 0) => "overwritten",
            (0, _) => "displaced",
            _ => "both",
        },
        Verdict::Conflict { .. } => "conflict",
        Verdict::Rejected { code, .. } => code.as_str(),
        Verdict::Held { .. } => "held",
        Verdict::Void => "void",
    }
}
