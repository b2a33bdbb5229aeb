//! Any edits of two devices, cut pulls, reloads and full disks, with a filter and a bound: in the end the device that
//! keeps a part has what matches, as the server has it, and the server has lost nothing by it. After its disk was full
//! it may have less.

use crate::world;

use proptest::prelude::*;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::limits::GUEST_MS;
use world::partial::{device, fetch, office, open_only, reopen};
use world::{Fault, World, delete, insert, set};

#[derive(Debug, Clone)]
enum Step {
    /// A device changes whether a deal is open, or its name; it is made where it is not there.
    Set {
        there: bool,
        deal: usize,
        open: Option<bool>,
    },
    Delete {
        there: bool,
        deal: usize,
    },
    Fetch(usize),
    Cut(usize),
    Lost,
    Network(bool),
    /// Nothing fits on the disk any more, or anything does.
    Full(bool),
    Reopen,
    Pass(u64),
}

const DEALS: usize = 6;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deal = || 0..DEALS;
    prop::collection::vec(
        prop_oneof![
            6 => (any::<bool>(), deal(), any::<Option<bool>>())
                .prop_map(|(there, deal, open)| Step::Set { there, deal, open }),
            1 => (any::<bool>(), deal()).prop_map(|(there, deal)| Step::Delete { there, deal }),
            2 => deal().prop_map(Step::Fetch),
            1 => (200..2_000_usize).prop_map(Step::Cut),
            1 => Just(Step::Lost),
            1 => any::<bool>().prop_map(Step::Network),
            1 => any::<bool>().prop_map(Step::Full),
            1 => Just(Step::Reopen),
            3 => prop_oneof![Just(0_u64), Just(100), Just(2_000), Just(GUEST_MS + 60_000)].prop_map(Step::Pass),
        ],
        1..25,
    )
}

fn id(deal: usize) -> String {
    format!("d{deal:02}")
}

/// Edits a deal as its device sees it.
fn edit(world: &mut World, tab: usize, deal: usize, open: Option<bool>, number: usize) {
    let (id, name) = (id(deal), format!("edit {number}"));
    let op = match (world.row(tab, &id), open) {
        // Not kept is not absent: to make it again would be refused, and hold what follows.
        (None, _) if stored(world).iter().any(|(known, _)| *known == id) => return,
        (None, open) => {
            let op = insert(&id, json!({"open": open == Some(true), "name": name}));
            let request = json!({"atomic": false, "ops": [op]});
            // It may be there, and not be kept: the server says so.
            let _exists = world.tabs[tab].engine.write(world.now, &request.to_string(), "");
            return;
        }
        (Some(_), Some(open)) => set(&id, "/open", open),
        (Some(_), None) => set(&id, "/name", name.as_str()),
    };
    world.write(tab, op);
}

fn stored(world: &World) -> Vec<(String, Value)> {
    let is_deal = |c: &str, deleted: bool| c == "deals" && !deleted;
    let entities = world.server.store.entities.iter();
    let entities = entities.filter(|((c, _), row)| is_deal(c.as_str(), row.stored.deleted));
    entities.map(|((_, id), row)| (id.to_string(), row.stored.doc.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_part_is_what_matches_as_the_server_has_it(steps in steps()) {
        let (mut world, b) = office(DEALS);
        world.server.page = 1;
        let mut a = device(&mut world, &open_only());
        let profile = world.tabs[a].profile;
        let mut was_full = false;
        world.run(1_000);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Set { there, deal, open } => edit(&mut world, if there { b } else { a }, deal, open, number),
                Step::Delete { there, deal } => {
                    let tab = if there { b } else { a };
                    if world.row(tab, &id(deal)).is_some() {
                        world.write(tab, delete(&id(deal)));
                    }
                }
                Step::Fetch(deal) => {
                    fetch(&mut world, a, &id(deal));
                }
                Step::Cut(bytes) => world.pull_faults.push_back(Fault::Cut(bytes)),
                Step::Lost => world.push_faults.push_back(Fault::AnswerLost),
                Step::Full(true) => {
                    world.disks[profile].fill();
                    was_full = true;
                }
                Step::Full(false) => world.disks[profile].bytes_max = None,
                Step::Network(on) => world.set_network(on),
                Step::Reopen => a = reopen(&mut world, a, &open_only()),
                Step::Pass(ms) => world.run(ms),
            }
        }
        world.disks[profile].bytes_max = None;
        world.pull_faults.clear();
        world.push_faults.clear();
        world.set_network(true);
        world.run(120_000);
        // What the server refused is the author's to decide, and pins its deal.
        let failed: Vec<String> = [a, b].iter().flat_map(|tab| {
            let failed = world.view(*tab, "queue")["failed"].clone();
            failed.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }).collect();
        // An edit behind an insert that was refused waits for it, and is shown; nothing else is.
        let pending = world.view(a, "queue")["pending"].clone();
        let waits: Vec<&str> = pending.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
        prop_assert!(waits.iter().all(|id| failed.iter().any(|known| known == id)), "{:?}", waits);
        let stored = stored(&world);
        for (id, doc) in stored.iter().filter(|(id, _)| !waits.contains(&id.as_str())) {
            let row = world.row(a, id);
            if doc["open"] == json!(true) && !was_full || row.is_some() {
                let row = row.unwrap_or_default();
                prop_assert_eq!((&row["open"], &row["name"]), (&doc["open"], &doc["name"]), "{} {:?}", id, failed);
            }
        }
        for deal in 0..DEALS {
            let is_stored = stored.iter().any(|(known, _)| *known == id(deal));
            prop_assert!(is_stored || world.row(a, &id(deal)).is_none(), "{}", id(deal));
        }
        world.run(GUEST_MS + 60_000);
        for (id, doc) in stored.iter().filter(|(id, _)| !failed.contains(id)) {
            let (is_here, is_open) = (world.row(a, id).is_some(), doc["open"] == json!(true));
            prop_assert!(is_here == is_open || was_full && !is_here, "{}", id);
        }
    }
}
