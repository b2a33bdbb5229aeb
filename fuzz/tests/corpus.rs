//! The kept corpus: each input has the properties of its target, and the seeds are those of today's transcripts.

use std::collections::BTreeMap;

use tidewire_fuzz::campaign::{self, Until};
use tidewire_fuzz::targets::TARGETS;
use tidewire_fuzz::{corpus, seeds};

#[test]
fn every_input_of_the_corpus_holds() {
    for target in &TARGETS {
        let inputs = corpus::read(target.name).expect("a directory for each target");
        assert!(inputs.len() >= 5, "{} has inputs to begin with", target.name);
        for (name, input) in inputs {
            if let Err(message) = campaign::execute(target, &input) {
                panic!("fuzz/corpus/{}/{name}: {message}", target.name);
            }
        }
    }
}

#[test]
fn the_seeds_are_those_of_the_transcripts() {
    let mut stored = BTreeMap::new();
    for target in &TARGETS {
        let inputs = corpus::read(target.name).expect("a directory");
        stored.extend(inputs.into_iter().map(|(name, input)| ((target.name, name), input)));
    }
    for ((target, name), seed) in seeds::all().expect("transcripts") {
        let found = stored.get(&(target, name.clone()));
        assert!(
            found == Some(&seed),
            "fuzz/corpus/{target}/{name}: write the seeds anew with `cargo xtask fuzz --corpus`"
        );
    }
}

/// A short run in this test as well: what a change breaks at once shows without a tool.
#[test]
fn a_few_hundred_inputs_of_each_target_hold() {
    for target in &TARGETS {
        let inputs: Vec<Vec<u8>> = corpus::read(target.name).expect("a corpus").into_iter().map(|(_, i)| i).collect();
        let outcome = campaign::run(target, &inputs, 7, Until::Executions(inputs.len() as u64 + 300));
        assert!(outcome.fingerprints > 2, "{} tells outcomes apart", target.name);
        if let Some(failure) = outcome.failure {
            panic!("{}: {}\n{}", target.name, failure.message, String::from_utf8_lossy(&failure.input));
        }
    }
}
