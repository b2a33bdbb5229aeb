//! Numbers out of order, twice, of transactions that are not whole, of another content: one user's own disorder.

use super::case::{Family, PUSH};
use super::site::Site;

fn item(n: &str, tx: &str, id: &str) -> String {
    let tx = if tx.is_empty() { String::new() } else { format!("\"tx\":{tx},") };
    let m = format!(r#"{{"c":"notes","id":"{id}","kind":"insert","base":0,"at":[1,0],"set":{{"/title":"t"}}}}"#);
    format!(r#"{{"n":{n},{tx}"m":{m}}}"#)
}

fn void(n: &str) -> String {
    format!(r#"{{"n":{n}}}"#)
}

/// Every order of three numbers, and every way to tie them into transactions.
pub fn orders(site: &Site) -> Family<'_> {
    let mut family = Family::new("order", site);
    let numbers = ["[1,0]", "[1,1]", "[2,0]"];
    let txs = ["", "[1,0]", "[1,1]", "[9,9]"];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 2]] {
        for (at, tx) in txs.iter().enumerate() {
            let same: Vec<String> = order.map(|n| item(numbers[n], tx, "same")).into();
            let own: Vec<String> = order.map(|n| item(numbers[n], tx, &format!("o{n}"))).into();
            let mixed: Vec<String> =
                order.iter().enumerate().map(|(i, n)| item(numbers[*n], txs[(at + i) % 4], &format!("m{n}"))).collect();
            family.push(format!("{order:?} tx {tx} of one entity"), &same.join(","));
            family.push(format!("{order:?} tx {tx}"), &own.join(","));
            family.push(format!("{order:?} tx mixed {at}"), &mixed.join(","));
            let with_void = [own[0].clone(), void(numbers[order[1]]), own[2].clone()].join(",");
            family.push(format!("{order:?} tx {tx} and a void"), &with_void);
        }
    }
    family
}

/// A push again: with the same content, with another, with less of it, above its own floor.
pub fn replays(site: &Site) -> Family<'_> {
    let mut family = Family::new("replay", site);
    let push = |replica: &str, floor: &str, items: &str| {
        format!(r#"{{"v":1,"replica":"{replica}","fence":1,"floor":{floor},"now":1,"mutations":[{items}]}}"#)
    };
    for k in 0..12_usize {
        let replica = format!("replay{k}");
        let first = item("[5,0]", "", &format!("first{k}"));
        let other = item("[5,0]", "", &format!("other{k}"));
        let second = item("[6,0]", "", &format!("second{k}"));
        let floor = format!("[{},0]", k);
        let steps = match k % 6 {
            0 => [first.clone(), first.clone(), second],
            1 => [first.clone(), other, second],
            2 => [second, first.clone(), first.clone()],
            3 => [first.clone(), void("[5,0]"), second],
            4 => [void("[5,0]"), first.clone(), second],
            _ => [format!("{first},{second}"), second.clone(), format!("{second},{first}")],
        };
        for (at, items) in steps.iter().enumerate() {
            family.post(format!("{k} step {at}"), PUSH, push(&replica, "[0,0]", items));
            family.post(format!("{k} step {at} above its floor"), PUSH, push(&replica, &floor, items));
        }
        for fence in ["0", "1", "9007199254740991"] {
            let text = push(&replica, "[0,0]", &first).replace("\"fence\":1", &format!("\"fence\":{fence}, \"x\":{k}"));
            family.post(format!("{k} fence {fence}"), PUSH, text);
        }
    }
    for (count, name) in [(999, "999 voids"), (1_000, "1,000 voids"), (1_001, "1,001 voids"), (5_000, "5,000 voids")] {
        let items: Vec<String> = (1..=count).map(|n| void(&format!("[{n},0]"))).collect();
        family.push(name, &items.join(","));
    }
    let members: Vec<String> = (0..501).map(|n| item(&format!("[1,{n}]"), "[1,0]", &format!("t{n}"))).collect();
    family.push("a transaction of 501", &members.join(","));
    for history in ["\"\"", "\"h\"", "\"2297cd2032028cfb1dafc1c274e1ef1c\"", "null"] {
        let head = format!(r#"{{"v":1,"replica":"r","history":{history},"fence":1,"floor":[0,0],"now":1"#);
        family.post(format!("history {history}"), PUSH, format!(r#"{head},"mutations":[]}}"#));
    }
    family
}
