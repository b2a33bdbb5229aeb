//! What the users did, kept apart from everything that the system says of it.
//!
//! Every value that a user writes is a token of its own. Of each it is known what the author saw in its place: who
//! writes over a value that he sees gives it up, and who does not see it must not make it vanish without a trace.

use std::collections::{BTreeMap, BTreeSet};

use crate::people::Word;

/// Clocks may be wrong by that much, where nothing makes them jump.
const MISTAKEN_US: u64 = 8_000_000;

/// A value that a user wrote.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) tab: usize,
    pub(crate) collection: &'static str,
    pub(crate) id: String,
    /// The field; empty: the entity was deleted.
    pub(crate) path: String,
    pub(crate) state: State,
    /// Tokens that were written by someone who saw this one.
    pub(crate) replaced_by: Vec<u32>,
    /// The user took it back.
    pub(crate) taken_back: bool,
    /// Its author saw no value there: to the rules a value that came and went in between is none (rule 13).
    pub(crate) over_nothing: bool,
    /// It came with its entity: whoever takes it back takes back all of that.
    pub(crate) is_insert: bool,
    /// When it was written.
    pub(crate) at_us: u64,
}

/// What became of a write on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Shown, and not yet known to be stored.
    Provisional,
    /// The app was told that it is stored.
    Durable,
    /// The app was told that it is not.
    Failed,
    /// Its tab was gone before: either may be.
    Unknown,
}

/// An amount that moved between accounts, or was counted.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) tab: usize,
    /// None: it was counted, and comes from nowhere.
    pub(crate) from: Option<usize>,
    pub(crate) to: usize,
    pub(crate) amount: i64,
    pub(crate) state: State,
    /// When it was made.
    pub(crate) at_us: u64,
}

impl Move {
    pub(crate) fn put(&self, sums: &mut [i64]) {
        if let Some(from) = self.from {
            sums[from] -= self.amount;
        }
        sums[self.to] += self.amount;
    }
}

/// What a call wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect {
    Token(u32),
    Move(usize),
    /// The undo of a value.
    Back(u32),
    /// Something said of a person.
    Word(usize),
}

/// Everything that was written.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) tokens: Vec<Token>,
    pub(crate) moves: Vec<Move>,
    pub(crate) words: Vec<Word>,
    /// By tab and number of the write.
    calls: BTreeMap<(usize, u64), Vec<Effect>>,
    /// Ids of notes, in the order in which they were made.
    pub(crate) notes: Vec<String>,
    /// Notes whose deletion somebody took back: he saw them gone, and makes them anew.
    pub(crate) made_again: BTreeSet<String>,
    /// Calls that the app was told are stored.
    pub(crate) acked: u64,
    /// Tabs of stores that were wiped: what their devices remember of what they sent went with it.
    wiped: Vec<usize>,
    /// The time of the world.
    pub(crate) now_us: u64,
    /// Notes where somebody took something back, decided or deleted.
    pub(crate) turned: BTreeSet<String>,
    /// Notes under ids that several use: which, and when.
    pub(crate) made: Vec<(String, u64)>,
    /// The tokens of each transaction over several notes.
    pub(crate) pairs: Vec<Vec<u32>>,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A new token in a field in which the author sees `saw`.
    pub(crate) fn token(&mut self, tab: usize, collection: &'static str, id: &str, path: &str, saw: &[u32]) -> u32 {
        let number = self.tokens.len() as u32;
        for seen in saw {
            if let Some(seen) = self.tokens.get_mut(*seen as usize) {
                seen.replaced_by.push(number);
            }
        }
        self.tokens.push(Token {
            tab,
            collection,
            id: id.to_owned(),
            path: path.to_owned(),
            state: State::Provisional,
            replaced_by: Vec::new(),
            taken_back: false,
            over_nothing: false,
            is_insert: false,
            at_us: self.now_us,
        });
        number
    }

    /// Whether somebody made a note after it had been deleted, or at any time.
    pub(crate) fn was_made_after(&self, deletion: &Token, or_before: bool) -> bool {
        let is_after = |at_us: u64| or_before || at_us + MISTAKEN_US > deletion.at_us;
        self.made.iter().any(|(id, at_us)| *id == deletion.id && is_after(*at_us))
    }

    /// Whether a value was written by somebody who saw another, or saw one that was. Not by way of a removal: who saw
    /// nothing there may never have seen what was removed.
    pub(crate) fn is_written_over_by(&self, seen: u32, by: u32) -> bool {
        let mut looked = BTreeSet::from([seen]);
        let mut next = vec![seen];
        while let Some(token) = next.pop() {
            for later in self.tokens.get(token as usize).map_or(&[][..], |token| &token.replaced_by) {
                if *later == by {
                    return true;
                }
                let removes = self.tokens.get(*later as usize).is_some_and(|token| token.path.starts_with('-'));
                if looked.insert(*later) && !removes {
                    next.push(*later);
                }
            }
        }
        false
    }

    /// Who writes where he sees nothing sees that others removed what was there.
    pub(crate) fn removals(&self, id: &str, path: &str) -> Vec<u32> {
        let is_one = |token: &Token| token.id == id && token.path.strip_prefix('-') == Some(path);
        let all = self.tokens.iter().enumerate().filter(|(_, token)| is_one(token));
        all.map(|(number, _)| number as u32).collect()
    }

    /// What a call of a tab wrote.
    pub(crate) fn call(&mut self, tab: usize, write: u64, effects: Vec<Effect>) {
        self.calls.insert((tab, write), effects);
    }

    /// What a call wrote.
    pub(crate) fn effects(&self, tab: usize, write: u64) -> Vec<Effect> {
        self.calls.get(&(tab, write)).cloned().unwrap_or_default()
    }

    /// The app was told what became of a call.
    pub(crate) fn told(&mut self, tab: usize, write: u64, state: State) {
        if state == State::Durable {
            self.acked += 1;
        }
        for effect in self.effects(tab, write) {
            self.set(effect, state);
        }
    }

    /// The tab is gone: of what it had not been told nothing is known.
    pub(crate) fn tab_died(&mut self, tab: usize) {
        let unknown: Vec<Effect> =
            self.calls.iter().filter(|((of, _), _)| *of == tab).flat_map(|(_, effects)| effects.clone()).collect();
        for effect in unknown {
            let is_open = match effect {
                Effect::Token(token) => self.tokens[token as usize].state == State::Provisional,
                Effect::Move(at) => self.moves[at].state == State::Provisional,
                Effect::Word(at) => self.words[at].state == State::Provisional,
                Effect::Back(_) => false,
            };
            if is_open {
                self.set(effect, State::Unknown);
            }
        }
    }

    /// The engine refused the call: nothing was written.
    pub(crate) fn refuse(&mut self, effect: Effect) {
        self.set(effect, State::Failed);
    }

    /// The store of these tabs was deleted.
    pub(crate) fn wiped(&mut self, tabs: &[usize]) {
        self.wiped.extend_from_slice(tabs);
    }

    /// The server went back to a copy. Devices bring back what they sent since; those whose store was deleted in the
    /// meantime do not know of it any more.
    pub(crate) fn restored(&mut self) {
        let wiped = std::mem::take(&mut self.wiped);
        self.forget(&wiped);
    }

    /// Nobody can know any more what these tabs wrote.
    pub(crate) fn forget(&mut self, tabs: &[usize]) {
        self.forget_since(tabs, 0);
    }

    /// Nobody can know any more what these tabs wrote from then on.
    pub(crate) fn forget_since(&mut self, tabs: &[usize], at_us: u64) {
        for token in self.tokens.iter_mut().filter(|token| tabs.contains(&token.tab) && token.at_us >= at_us) {
            token.state = State::Unknown;
        }
        for one in self.moves.iter_mut().filter(|one| tabs.contains(&one.tab) && one.at_us >= at_us) {
            one.state = State::Unknown;
        }
        for word in self.words.iter_mut().filter(|word| tabs.contains(&word.tab) && word.at_us >= at_us) {
            word.state = State::Unknown;
        }
    }

    fn set(&mut self, effect: Effect, state: State) {
        match effect {
            Effect::Token(token) => self.tokens[token as usize].state = state,
            Effect::Move(at) => self.moves[at].state = state,
            Effect::Word(at) => self.words[at].state = state,
            Effect::Back(_) => {}
        }
    }
}

/// The text of a token, as it stands in a document.
pub(crate) fn text_of(token: u32, canary: Option<usize>) -> String {
    match canary {
        Some(user) => format!("t{token} canary-u{user}"),
        None => format!("t{token}"),
    }
}

/// The token of a text.
pub(crate) fn token_of(text: &str) -> Option<u32> {
    text.strip_prefix('t')?.split(' ').next()?.parse().ok()
}
