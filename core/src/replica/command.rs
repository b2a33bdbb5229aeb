//! What the app asks for beside reads and writes: pause, now, retry, discard, edit, undo.

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, MutationId};
use crate::io::{Input, Now};
use crate::json;
use crate::json::{Fields, Value};
use crate::log::record::{Discard, Record};
use crate::model::edit::Edit;
use crate::model::mutation::Mutation;
use crate::model::schema::{Settings, read_settings};
use crate::replica::adopt::Adoption;
use crate::replica::op::{Edits, Op, WriteRequest};
use crate::replica::tabs::{LOOK, MEND, Message};
use crate::replica::{Phase, Replica};

/// A command of the app.
#[derive(Debug)]
pub enum Command {
    /// No more requests until `resume`.
    Pause,
    /// Requests again.
    Resume,
    /// Everything that waits is tried at once.
    Now,
    /// Nothing but the queue is of interest here.
    Drain,
    /// A dead letter is sent again, under a new number (rule 7).
    Retry {
        /// Its number.
        n: MutationId,
    },
    /// A dead letter or an unsent mutation is given up.
    Discard {
        /// Its number.
        n: MutationId,
    },
    /// What is confirmed of some entities.
    Confirmed {
        /// Their collection.
        collection: CollectionName,
        /// Which.
        ids: Vec<EntityId>,
    },
    /// An entity that may not be on this device.
    Fetch {
        /// Its collection.
        collection: CollectionName,
        /// Which.
        id: EntityId,
    },
    /// More collections, or other settings of them.
    Declare {
        /// With their settings.
        collections: Settings,
    },
    /// A dead letter is sent again with other values.
    Edit {
        /// Its number.
        n: MutationId,
        /// The changes.
        fields: Edits,
    },
    /// What was written before its user signed in.
    Adoption(Adoption),
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// `bad-message`, and those of what is in it.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let n = || MutationId::read(fields.need("n")?);
        Ok(match fields.text("do")? {
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "now" => Self::Now,
            "drain" => Self::Drain,
            "retry" => Self::Retry { n: n()? },
            "discard" => Self::Discard { n: n()? },
            "confirmed" => Self::Confirmed {
                collection: CollectionName::read(fields.need("c")?)?,
                ids: fields.list("ids", EntityId::read)?,
            },
            "fetch" => Self::Fetch {
                collection: CollectionName::read(fields.need("c")?)?,
                id: EntityId::read(fields.need("id")?)?,
            },
            "declare" => Self::Declare { collections: read_settings(&fields, "collections")? },
            "edit" => Self::Edit { n: n()?, fields: Edits::read(&fields)? },
            "claim" | "claimed" | "adopt" => Self::Adoption(Adoption::read(&fields)?),
            other => return Err(CoreError::new(Code::BadMessage, format!("there is no command `{other}`"))),
        })
    }
}

impl Replica {
    /// Carries out a command.
    ///
    /// # Errors
    /// `not-in-queue` for a number that is not there or cannot be changed any more.
    pub fn command(&mut self, now: Now, command: Command) -> Result<Value, CoreError> {
        let done = match command {
            Command::Pause => self.tell_all("pause"),
            Command::Resume => self.tell_all("resume"),
            Command::Now => self.tell_all("now"),
            Command::Drain => self.only_drain(),
            Command::Retry { n } => self.retry(n, Edits::default())?,
            Command::Edit { n, fields } => self.retry(n, fields)?,
            Command::Discard { n } => self.discard(n)?,
            Command::Adoption(step) => self.adoption(step)?,
            Command::Confirmed { collection, ids } => return Ok(self.confirmed(&collection, &ids)),
            Command::Declare { collections } => self.declare(&collections),
            Command::Fetch { collection, id } => self.fetch(now, &collection, &id),
        };
        self.advance(now);
        Ok(done)
    }

    pub(crate) fn tell_all(&mut self, what: &str) -> Value {
        self.act(what);
        self.tell_tabs(&Message::Do(what.to_owned()));
        json!({})
    }

    /// What all tabs do, whichever was asked.
    pub(crate) fn act(&mut self, what: &str) {
        match what {
            "pause" => self.session.paused = true,
            "resume" => {
                self.session.paused = false;
                self.hurry();
            }
            "now" => self.hurry(),
            "hello" => self.say_status_again(),
            MEND if !self.tabs.lacks => self.tabs.mends = Some(self.state.unsealed.records),
            LOOK => self.lane.wants_check = self.state.last > 0,
            other => self.take_declaration(other),
        }
    }

    fn hurry(&mut self) {
        self.session.retry();
        self.pushing.hurry();
        self.pulling.backoff.not_before_ms = 0;
        self.fetching.backoff.not_before_ms = 0;
        self.live.hurry();
        self.pulling.wanted = true;
    }

    /// A new mutation with the old one's `at`, `was` and base (rule 7).
    fn retry(&mut self, n: MutationId, fields: Edits) -> Result<Value, CoreError> {
        let refused = self.writes.refused.get(n);
        let letter = self.state.letters.get(&n).map(|letter| &letter.edit);
        let failed = refused.map(|refused| &refused.edit).or(letter).ok_or_else(|| gone(n))?;
        let mut mutation = Mutation::clone(&*failed.whole()?);
        for path in fields.unset {
            mutation.set.remove(&path);
        }
        if !fields.set.is_empty() {
            // What is given has the names of this version, and what is left of the edit has to have them, too.
            mutation = self.brought_here(mutation)?;
        }
        mutation.set.extend(fields.set);
        mutation.check()?;
        let mut draft = self.writes.draft();
        let refused = self.writes.refused.take(n);
        let atomic = refused.as_ref().is_some_and(|(atomic, _)| *atomic);
        if refused.is_none() {
            mutation.retry_of = Some(n);
        }
        let edit = Edit::of(mutation);
        for member in refused.map_or_else(|| vec![edit.clone()], |(_, members)| members) {
            let is_it = (&member.collection, &member.id, member.at) == (&edit.collection, &edit.id, edit.at);
            self.touch(&member.collection, &member.id, false);
            self.writes.show(&mut draft, if is_it { edit.clone() } else { member }, None);
        }
        Ok(json!({"write": self.writes.add(draft, atomic, None)}))
    }

    fn discard(&mut self, n: MutationId) -> Result<Value, CoreError> {
        if let Some((_, edits)) = self.writes.refused.take(n) {
            for edit in edits {
                self.touch(&edit.collection, &edit.id, false);
            }
            return Ok(json!({}));
        }
        let letter = self.state.letters.get(&n).map(|letter| &letter.edit);
        let edit = letter.or_else(|| self.state.queue.get(&n).map(|entry| &entry.edit));
        let edit = edit.ok_or_else(|| gone(n))?;
        let (c, id) = edit.target();
        self.give_up(Discard { n, at: Some(edit.at), c: Some(c), id: Some(id) });
        Ok(json!({}))
    }

    /// What the user gave up goes to the log before what the server says, and is kept until it is there.
    pub(crate) fn give_up(&mut self, discard: Discard) {
        let draft = self.writes.draft();
        self.writes.add_saved(Record::Discard(discard), draft);
    }

    /// The inverse of a write, as a new write.
    ///
    /// # Errors
    /// `not-in-queue` if the write is too old to be remembered, or those of the inverse write.
    pub fn undo(&mut self, now: Now, write: u64) -> Result<Value, CoreError> {
        let ops = self
            .writes
            .take_undo(write)
            .ok_or_else(|| CoreError::new(Code::NotInQueue, "this write is not known here, or was undone"))?;
        let is_others = |op: &Op| matches!(op, Op::Delete { c, id, .. } if self.state.alias(c, id).is_some());
        if ops.iter().any(is_others) {
            let message =
                "what this write inserted became one with an entity that was there: change or delete that one";
            return Err(CoreError::new(Code::NotInQueue, message));
        }
        let atomic = ops.len() > 1;
        for (collection, id) in ops.iter().filter_map(Op::target) {
            self.touch(collection, id, false);
        }
        let undone = self.write(now, WriteRequest { atomic, ops, call: None }, "")?;
        self.advance(now);
        Ok(undone)
    }

    /// Takes in what the shell has to say.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.phase == Phase::Closed && !matches!(input, Input::Stored { .. }) {
            return;
        }
        match input {
            Input::Stored { token, result } => self.stored(now, token, result),
            Input::LockHeld => self.lock_held(),
            Input::LockLost => self.lock_lost(now),
            Input::Online(online) => self.online_changed(now, online),
            Input::Visible(visible) => self.visible_changed(visible),
            Input::Whole => self.be_whole(),
            other => self.hear(now, other),
        }
        self.advance(now);
    }

    /// What comes from other tabs, the timer and the network. A function of its own: a browser compiles a function
    /// whole when it is first called, and a first write needs none of this.
    #[inline(never)]
    fn hear(&mut self, now: Now, input: Input) {
        match input {
            Input::Message(bytes) => self.message(now, &bytes),
            Input::Wake => self.woken(),
            other => self.hear_network(now, other),
        }
    }

    /// What comes of requests, which only the leader makes.
    #[inline(never)]
    fn hear_network(&mut self, now: Now, input: Input) {
        match input {
            Input::Response { token, status, retry_after_ms, json } => {
                let retry_after_ms = retry_after_ms.unwrap_or_default();
                let _ = self.push_response(now, token, status, retry_after_ms, json)
                    || self.pull_response(now, token, status, retry_after_ms, json)
                    || self.fetch_response(token, status, retry_after_ms, json);
            }
            Input::Chunk { token, bytes } => {
                let _ = self.push_chunk(now, token, &bytes)
                    || self.pull_chunk(now, token, &bytes)
                    || self.fetch_chunk(token, &bytes);
            }
            Input::Finished { token } => {
                let _ =
                    self.push_finished(now, token) || self.pull_finished(now, token) || self.fetch_finished(now, token);
            }
            Input::NetFailed { token, .. } => {
                let _ = self.push_broke(now, token) || self.pull_broke(now, token) || self.fetch_broke(now, token);
            }
            Input::SocketOpen { token } => self.socket_open(now, token),
            Input::SocketMessage { token, text } => self.socket_message(now, token, &text),
            Input::SocketClosed { token, code } => self.socket_closed(now, token, code),
            Input::Token { result } => self.token_came(now, result),
            // The others did not come here.
            _ => {}
        }
    }

    fn online_changed(&mut self, now: Now, online: bool) {
        if std::mem::replace(&mut self.session.online, online) == online {
            return;
        }
        if online {
            self.hurry();
        } else {
            self.lost(now);
            self.stop_network(now);
        }
    }

    /// Messages between tabs are hints: a page that comes back reads the log (rule 2).
    fn visible_changed(&mut self, visible: bool) {
        self.session.visible = visible;
        if visible {
            self.lane.wants_read = true;
            self.hurry();
        }
    }
}

fn gone(n: MutationId) -> CoreError {
    CoreError::new(Code::NotInQueue, format!("nothing in the queue has the number {n} any more"))
}
