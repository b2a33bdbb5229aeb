//! Papers and their lines, which belong to teams: what users do with them, who was ever shown what of them, and what
//! has to hold. Whoever leaves a team loses sight of them; a line falls with its paper.

use std::collections::{BTreeMap, BTreeSet};

use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Raw, Value};
use tidewire_core::protocol::message::{Push, PushAnswer};

use crate::policy::OF_TEAMS;
use crate::scenario::Action;
use crate::server::{Server, user_name};
use crate::users::put;
use crate::world::World;

/// What every text of a team's begins with; its number and its author follow.
const MARK: &str = "canary-team-";

/// What there is of papers and lines.
#[derive(Debug, Default)]
pub(crate) struct Papers {
    /// Every id that was ever given, by collection.
    ids: BTreeMap<&'static str, Vec<String>>,
    /// Texts that were written.
    texts: u64,
    /// Who could see a text on the server at some time.
    readers: BTreeMap<String, BTreeSet<usize>>,
}

impl Papers {
    pub(crate) fn ids(&self, collection: &str) -> &[String] {
        self.ids.get(collection).map_or(&[], Vec::as_slice)
    }

    fn new_id(&mut self, collection: &'static str) -> String {
        let ids = self.ids.entry(collection).or_default();
        ids.push(format!("{}{}", collection.get(..1).unwrap_or_default(), ids.len()));
        ids.last().cloned().unwrap_or_default()
    }

    fn text(&mut self, author: usize) -> String {
        self.texts += 1;
        format!("{MARK}{}-u{author};", self.texts)
    }

    /// Notes who sees what the server holds now.
    pub(crate) fn note_readers(&mut self, server: &Server, users: &BTreeSet<usize>) {
        for user in users {
            for ((collection, _), row) in server.seen_by(*user) {
                let text = row.stored.doc.get("text").and_then(Value::as_str);
                if let (true, Some(text)) = (OF_TEAMS.contains(&collection), text) {
                    self.readers.entry(text.to_owned()).or_default().insert(*user);
                }
            }
        }
    }

    /// Of a text that one push brought and replaced nobody knows.
    fn could_see(&self, user: usize, text: &str) -> bool {
        self.readers.get(text).is_none_or(|readers| readers.contains(&user))
    }
}

impl World {
    /// What a user does with papers.
    pub(crate) fn use_papers(&mut self, action: &Action) {
        let (Action::File { device, tab, .. }
        | Action::Line { device, tab, .. }
        | Action::Retitle { device, tab, .. }
        | Action::Hand { device, tab, .. }
        | Action::Shred { device, tab, .. }) = *action
        else {
            return self.use_people(action);
        };
        let Some(tab) = self.usable(device, tab) else { return };
        let user = self.devices[self.tabs[tab].device].user;
        let op = match *action {
            Action::File { team, .. } => {
                let mut value = json!({"team": format!("{team}"), "text": self.papers.text(user)});
                // Some stay their author's, whatever becomes of him or of the team.
                if self.papers.texts.is_multiple_of(3) {
                    put(&mut value, "author", json!(user_name(user)));
                }
                Some(json!({"op": "insert", "c": "papers", "id": self.papers.new_id("papers"), "value": value}))
            }
            Action::Line { pick, .. } => self.shown_of_teams(tab, "papers", pick).map(|(id, paper)| {
                let mut value = json!({"paper": id, "text": self.papers.text(user)});
                put(&mut value, "team", paper.get("team").cloned().unwrap_or_default());
                json!({"op": "insert", "c": "lines", "id": self.papers.new_id("lines"), "value": value})
            }),
            Action::Retitle { pick, line, .. } => {
                let collection = OF_TEAMS[usize::from(!line)];
                self.shown_of_teams(tab, collection, pick).map(|(id, _)| {
                    let set = json!({"/text": self.papers.text(user)});
                    json!({"op": "patch", "c": collection, "id": id, "set": set})
                })
            }
            Action::Hand { pick, line, team, .. } => {
                let collection = OF_TEAMS[usize::from(!line)];
                self.shown_of_teams(tab, collection, pick).map(|(id, _)| {
                    let mut set = json!({"/team": format!("{team}")});
                    // A last word with it may lose against somebody's whose word is not shown any more.
                    if pick % 2 == 1 {
                        put(&mut set, "/text", json!(self.papers.text(user)));
                    }
                    json!({"op": "patch", "c": collection, "id": id, "set": set})
                })
            }
            Action::Shred { pick, .. } => {
                self.shown_of_teams(tab, "papers", pick).map(|(id, _)| json!({"op": "delete", "c": "papers", "id": id}))
            }
            _ => None,
        };
        if let Some(op) = op {
            self.write(tab, false, vec![op], Vec::new());
        }
    }

    /// A paper or line that a tab shows: this one, or one of the next.
    fn shown_of_teams(&self, tab: usize, collection: &str, pick: usize) -> Option<(String, Value)> {
        let ids = self.papers.ids(collection);
        let mut next = (pick..pick + ids.len().min(5)).filter_map(|pick| ids.get(pick % ids.len()));
        next.find_map(|id| Some((id.clone(), self.row(tab, collection, id)?)))
    }

    /// Somebody comes into a team, or leaves it.
    pub(crate) fn regroup(&mut self, user: usize, team: usize, is_in: bool) {
        let users = self.users();
        let Some(user) = users.iter().nth(user % users.len().max(1)).copied() else { return };
        if self.server.policy.admit(user, team, is_in).is_ok_and(|changed| changed) {
            self.labels.see(if is_in { "came into a team" } else { "left a team" });
            self.remark(|| format!("{} {} team {team}", user_name(user), if is_in { "comes into" } else { "leaves" }));
            self.after_commit();
        }
    }

    /// Everybody who has a device.
    pub(crate) fn users(&self) -> BTreeSet<usize> {
        self.devices.iter().map(|device| device.user).collect()
    }

    /// Invariants 11 and 12: of a paper nobody is sent what he may not see now; of what else tells of it (verdicts,
    /// conflicts) nothing that he never could see.
    pub(crate) fn check_teams(&mut self, device: usize, text: &str) {
        let own = self.devices[device].user;
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| rest.find(MARK)).map(|at| from + at) {
            let end = text.get(at..).and_then(|rest| rest.find(';')).map_or(text.len(), |end| at + end + 1);
            from = end;
            let Some(mark) = text.get(at..end) else { continue };
            if mark.ends_with(&format!("-u{own};")) {
                continue;
            }
            let row = row_of(text.get(..at).unwrap_or_default());
            let is_seen = match row {
                Some((collection, id)) if self.server.shows(own, collection, id) => true,
                Some((collection, id)) => {
                    let what = format!("device {device} of u{own} is sent {collection} {id}, not his to see: {text}");
                    return self.fail(12, what);
                }
                // Who comes to see an entity is told what once stood against his own values in it, and who may see it
                // no more is not told again (rule 27).
                // What he put back by an undo is his, whoever had written it first.
                None => match entity_of(text, at) {
                    Some((collection, id)) if self.server.entity(collection, id).is_some() && !is_yours(text, at) => {
                        self.server.shows(own, collection, id)
                    }
                    _ => self.papers.could_see(own, mark),
                },
            };
            if !is_seen {
                return self.fail(11, format!("device {device} of u{own} is sent {mark}, not his to see: {text}"));
            }
        }
    }

    /// Rule 27: of an entity that its author may not see a verdict says nothing that others wrote.
    pub(crate) fn check_verdicts(&mut self, device: usize, push: &str, answer: &str) {
        if !answer.contains(MARK) {
            return;
        }
        let (Ok(push), Ok(answer)) = (serde_json::from_str::<Push>(push), serde_json::from_str::<PushAnswer>(answer))
        else {
            return;
        };
        let own = self.devices[device].user;
        let edits: Vec<Value> = push.mutations.iter().map(|item| item.m.as_ref().map_or(Value::Null, read)).collect();
        for verdict in &answer.verdicts {
            let Some(at) = push.mutations.iter().position(|item| item.n == verdict.n) else { continue };
            let of = |index: usize, key: &str| edits.get(index)?.get(key)?.as_str();
            let (Some(collection), Some(id)) = (of(at, "c"), of(at, "id")) else { continue };
            // What follows in the same push may have taken it out of his sight.
            let is_last = (at + 1..edits.len()).all(|later| of(later, "id") != Some(id));
            let is_there = self.server.entity(collection, id).is_some();
            let told = json::to_text(&verdict.verdict);
            let is_own = |text: &str| text.split(';').next().is_some_and(|mark| mark.ends_with(&format!("-u{own}")));
            let mut marks = told.match_indices(MARK);
            let is_told = marks.any(|(at, _)| !is_yours(&told, at) && told.get(at..).is_some_and(|text| !is_own(text)));
            if is_last && is_there && is_told && !self.server.shows(own, collection, id) {
                return self.fail(11, format!("u{own} may not see {collection} {id}, and is told {told}"));
            }
        }
    }

    /// Invariant 10: no line is left without its paper.
    pub(crate) fn check_lines(&mut self) {
        for id in self.papers.ids("lines").to_vec() {
            let live = |collection: &str, id: &str| {
                self.server.entity(collection, id).filter(|row| !row.stored.deleted).map(|row| &row.stored.doc)
            };
            let Some(line) = live("lines", &id) else { continue };
            let paper = line.get("paper").and_then(Value::as_str).unwrap_or_default();
            if live("papers", paper).is_none() {
                return self.fail(10, format!("line {id} stands, and its paper {paper} is gone: {line}"));
            }
        }
    }
}

fn read(edit: &Raw) -> Value {
    json::parse(edit.get().as_bytes(), JsonLimits::MESSAGE).unwrap_or(Value::Null)
}

/// Whether this stands in a conflict as the value that its reader wrote.
fn is_yours(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.ends_with("\"yours\":\""))
}

/// Of which entity of a team's the conflict tells in which a text stands.
fn entity_of(text: &str, at: usize) -> Option<(&'static str, &str)> {
    const ROW: &str = "{\"id\":\"";
    let from = text.get(..at)?.rfind(ROW)?;
    let row = text.get(from..)?;
    let row = row.get(1..)?.find(ROW).map_or(row, |end| row.get(..end).unwrap_or(row));
    OF_TEAMS.into_iter().find_map(|name| {
        let (_, behind) = row.split_once(&format!("\"c\":\"{name}\",\"e\":\""))?;
        Some((name, behind.split_once('"')?.0))
    })
}

/// Of what row of a team's the text is in which it stands, by what stands before it.
fn row_of(before: &str) -> Option<(&'static str, &str)> {
    let (_, behind) = before.rsplit_once("{\"id\":\"")?;
    let (id, rest) = behind.split_once('"')?;
    let rest = rest.strip_prefix(",\"c\":\"")?;
    let collection = OF_TEAMS.into_iter().find(|name| rest.starts_with(&format!("{name}\"")))?;
    Some((collection, id))
}
