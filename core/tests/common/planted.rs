//! Whether a law finds bugs on purpose.

use tidewire_core::planted::{BUGS, plant};

/// Plants each of these bugs in turn: the law has to fail.
pub fn each_is_found(names: &[&str], law: impl Fn() -> Result<(), String>) {
    let mut missed = Vec::new();
    for name in names {
        let (bug, ..) = BUGS.iter().find(|(_, known, ..)| known == name).unwrap();
        plant(Some(*bug));
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&law)).map_or(true, |done| done.is_err());
        plant(None);
        if !found {
            missed.push(*name);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
