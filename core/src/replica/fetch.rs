//! Entities that are asked for one by one: what the app wants and this device does not keep, and one's own edits of
//! collections that are not replicated, once they took effect.
//!
//! ```text
//! any tab: command ─► wanted ─► (message) ─► the leader: GET ─► Fetched ─► every tab: event `fetched`
//! ```
//!
//! Who asked waits for the event, for as long as it likes. A request that fails is made again while somebody may wait.
//! Of one that the server refuses every tab hears `fetch-refused`, and it is not made again without a reason.
//!
//! The invariant: an answer takes effect only if nothing newer about its entity came while it was under way.

use crate::error::Code;
use crate::ids::{CollectionName, EntityId, Rev};
use crate::io::{Durability, Fetch, Now, Output, Token};
use crate::json;
use crate::json::{Fields, JsonLimits, Value};
use crate::limits::FETCHES_MAX;
use crate::log::kept::Fetched;
use crate::log::record::Record;
use crate::model::change::Change;
use crate::protocol::message::ErrorBody;
use crate::queue::backoff::Backoff;
use crate::replica::Replica;
use crate::replica::tabs::Message;
use crate::small::SmallMap;
use crate::store::state::Status;

/// The beginning of what one tab tells another that it wants.
pub(crate) const FETCH: &str = "fetch ";

/// The beginning of what the leader tells the others that the server refused: an event follows.
pub(crate) const REFUSED: &str = "refused ";

/// What is wanted, and the requests under way.
#[derive(Debug, Default)]
pub struct Fetching {
    /// What the app asked for in some tab, and until when it may wait; taken out when the answer is in the log.
    wanted: Vec<(CollectionName, EntityId, u64)>,
    flights: Vec<Flight>,
    /// What the server refused to give, though the app did not ask: not again before there is another token.
    refused: Vec<(CollectionName, EntityId)>,
    pub(crate) backoff: Backoff,
    /// How often what was asked for was on the device, and how often not.
    pub(crate) counts: SmallMap<CollectionName, (u64, u64)>,
}

#[derive(Debug)]
struct Flight {
    token: Token,
    collection: CollectionName,
    id: EntityId,
    /// The id that was asked for, which the server says became this one's.
    asked: Option<EntityId>,
    status: u16,
    retry_after_ms: u64,
    json: bool,
    body: Vec<u8>,
    started_ms: u64,
    deadline_ms: u64,
    /// The newest revision of it that was known when the server was asked: so old is the word that it has none.
    known: Rev,
    /// The newest one that came another way since then.
    told: Rev,
    /// The answer is on its way into the log.
    landing: bool,
}

impl Fetching {
    fn flight(&mut self, token: Token) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.token == token && !flight.landing)
    }

    fn is_flying(&self, collection: &CollectionName, id: &EntityId) -> bool {
        let is_it = |flight: &Flight| flight.id == *id || flight.asked.as_ref() == Some(id);
        self.flights.iter().any(|flight| flight.collection == *collection && is_it(flight))
    }

    /// The server told of changes: an answer under way may be older. `all`: also of entities that they do not name.
    pub(crate) fn hear(&mut self, changes: &[Change], all: bool) {
        for flight in self.flights.iter_mut().filter(|flight| !flight.landing) {
            for change in changes.iter().filter(|change| change.c == flight.collection && change.id == flight.id) {
                flight.told = flight.told.max(change.rev);
            }
            flight.told = if all { Rev::MAX } else { flight.told };
        }
    }

    /// There is another token: what one may see with it is another question.
    pub(crate) fn token_came(&mut self) {
        self.refused.clear();
    }
}

impl Replica {
    /// The app wants an entity. `hit`: it is here. `id`: what the event of its answer is going to name.
    pub(crate) fn fetch(&mut self, now: Now, collection: &CollectionName, id: &EntityId) -> Value {
        let to = self.state.alias(collection, id);
        let id = to.as_ref().unwrap_or(id);
        let hit = self.see(collection, id).is_some();
        let counts = self.fetching.counts.or_default(collection.clone());
        *(if hit { &mut counts.0 } else { &mut counts.1 }) += 1;
        self.event(json!({"type": "health"}));
        if hit {
            self.note_use(collection, id);
        } else if self.config.url.is_some() {
            self.wish_for(now, collection.clone(), id.clone());
            if !self.tabs.leads() {
                let text = json::write_text(&json!({"c": collection, "id": id}));
                self.tell_tabs(&Message::Do(format!("{FETCH}{text}")));
            }
        }
        json!({"hit": hit, "id": id})
    }

    /// Another tab wants one.
    #[inline(never)]
    pub(crate) fn take_wish(&mut self, now: Now, text: &str) {
        let value = json::parse(text.as_bytes(), JsonLimits::MESSAGE).unwrap_or_default();
        let Ok(fields) = Fields::of(&value) else { return };
        let target = (fields.opt("c", CollectionName::read), fields.opt("id", EntityId::read));
        if let (Ok(Some(collection)), Ok(Some(id))) = target {
            self.wish_for(now, collection, id);
        }
    }

    fn wish_for(&mut self, now: Now, collection: CollectionName, id: EntityId) {
        let until_ms = now.mono_ms + self.config.timeout_ms;
        self.fetching.wanted.retain(|(c, i, until)| (c, i) != (&collection, &id) && *until > now.mono_ms);
        self.fetching.wanted.push((collection, id, until_ms));
    }

    pub(crate) fn advance_fetch(&mut self, now: Now) {
        let late: Vec<Token> = self
            .fetching
            .flights
            .iter()
            .filter(|f| !f.landing && f.deadline_ms <= now.mono_ms)
            .map(|f| f.token)
            .collect();
        for token in late {
            self.output(Output::Abort { token });
            self.fetch_failed(now, token, 0);
        }
        if !self.lane.has_server_records() {
            self.fetching.flights.retain(|flight| !flight.landing);
        }
        self.fetching.wanted.retain(|(.., until)| *until > now.mono_ms);
        let next = self.next_fetches();
        if next.is_empty() || self.session.ready().is_none() || self.state.fence != self.tabs.fence() {
            return;
        }
        if !self.fetching.backoff.is_ready(now.mono_ms) {
            return self.wish(self.fetching.backoff.not_before_ms);
        }
        for (collection, id) in next {
            self.start_fetch(now, collection, id, None);
        }
        if let Some(deadline) = self.fetching.flights.iter().map(|flight| flight.deadline_ms).min() {
            self.wish(deadline);
        }
    }

    fn next_fetches(&self) -> Vec<(CollectionName, EntityId)> {
        let fetching = &self.fetching;
        let has_none = self.config.replicate.values().any(|options| options.is_none);
        if fetching.wanted.is_empty() && self.evictions.refetch.is_empty() && !has_none {
            return Vec::new();
        }
        let mut next: Vec<(CollectionName, EntityId)> = Vec::new();
        let mut add = |collection: &CollectionName, id: &EntityId, asks: bool| {
            let is_it = |(c, i): &(CollectionName, EntityId)| (c, i) == (collection, id);
            let is_new = !fetching.is_flying(collection, id) && !next.iter().any(is_it);
            if is_new
                && (asks || !fetching.refused.iter().any(is_it))
                && fetching.flights.len() + next.len() < FETCHES_MAX
            {
                next.push((collection.clone(), id.clone()));
            }
        };
        for (collection, id, _) in &fetching.wanted {
            add(collection, id, true);
        }
        // Edits that took effect where no pull tells of it.
        let queue = self.state.queue.values().filter(|_| has_none);
        for entry in queue.filter(|entry| matches!(entry.status, Status::Settled(_))) {
            let (collection, id) = (&entry.edit.collection, &entry.edit.id);
            if self.config.is_none(collection) {
                add(collection, id, false);
            }
        }
        // What the server changed while an edit of it was on its way into the log.
        for (collection, id) in &self.evictions.refetch {
            add(collection, id, false);
        }
        next
    }

    fn start_fetch(&mut self, now: Now, collection: CollectionName, id: EntityId, asked: Option<EntityId>) {
        self.metrics.request_started(0);
        let token = self.token();
        let path = format!("entities/{collection}/{}", escaped(id.as_str()));
        self.output(Output::Fetch { token, request: Fetch { path, body: None, bearer: self.session.bearer() } });
        let deadline_ms = now.mono_ms + self.config.timeout_ms;
        let (status, retry_after_ms, json, landing) = (0, 0, false, false);
        let started_ms = now.mono_ms;
        let body = Vec::new();
        let (known, told) = (self.newest_of(&collection, &id), 0);
        self.fetching.flights.push(Flight {
            token,
            collection,
            id,
            asked,
            status,
            retry_after_ms,
            json,
            body,
            started_ms,
            deadline_ms,
            known,
            told,
            landing,
        });
    }

    pub(crate) fn fetch_response(&mut self, token: Token, status: u16, retry_after_ms: u64, json: bool) -> bool {
        let Some(flight) = self.fetching.flight(token) else { return false };
        (flight.status, flight.retry_after_ms, flight.json) = (status, retry_after_ms, json);
        true
    }

    pub(crate) fn fetch_chunk(&mut self, token: Token, bytes: &[u8]) -> bool {
        let Some(flight) = self.fetching.flight(token) else { return false };
        flight.body.extend_from_slice(bytes);
        self.metrics.bytes_down += bytes.len() as u64;
        true
    }

    pub(crate) fn fetch_finished(&mut self, now: Now, token: Token) -> bool {
        let Some(flight) = self.fetching.flight(token) else { return false };
        let (status, retry_after_ms, started_ms) = (flight.status, flight.retry_after_ms, flight.started_ms);
        let (told, c, id, asked) = (flight.told, flight.collection.clone(), flight.id.clone(), flight.asked.clone());
        let body = std::mem::take(&mut flight.body);
        let error = json::parse(&body, JsonLimits::MESSAGE).ok().as_ref().and_then(ErrorBody::read);
        let known = flight.known;
        let got = Some(body).filter(|_| status == 200 && flight.json).and_then(|body| Change::read(&body).ok());
        let got = got.filter(|row| row.c == c && (row.id == id || asked.is_none()));
        if let Some(other) = got.as_ref().map(|row| &row.id).filter(|other| **other != id).cloned() {
            // Whether something newer of that one came meanwhile was not noted.
            self.fetching.flights.retain(|flight| flight.token != token);
            self.start_fetch(now, c, other, Some(id));
            return true;
        }
        let row = match status {
            200 => got,
            404 if error.as_ref().is_some_and(|error| error.code == Code::NotFound) => Some(Change {
                id,
                c,
                rev: known,
                at: 0,
                by: None,
                g: Vec::new(),
                doc: None,
                delta: None,
                evicted: false,
            }),
            _ => None,
        };
        match row {
            Some(row) => {
                flight.landing = true;
                self.fetching.backoff.reset();
                self.metrics.pull_done(now.mono_ms - started_ms);
                self.reached(now);
                self.pushing.other_succeeded();
                if row.rev < told {
                    // It is asked for again.
                    self.fetching.flights.retain(|flight| flight.token != token);
                    return true;
                }
                let record = Fetched { fence: self.tabs.fence(), at: now.wall_ms, row, asked };
                self.append(vec![Record::Fetched(Box::new(record))], Durability::Relaxed);
            }
            None if self.refused(now, status, error.as_ref()) => {
                self.fetching.flights.retain(|flight| flight.token != token);
            }
            None if (400..500).contains(&status) && ![408, 425, 429].contains(&status) => {
                self.fetch_refused(token, error);
            }
            None => self.fetch_failed(now, token, retry_after_ms),
        }
        true
    }

    /// The server does not give it, and would not if it were asked again.
    #[inline(never)]
    fn fetch_refused(&mut self, token: Token, error: Option<ErrorBody>) {
        let Some(at) = self.fetching.flights.iter().position(|flight| flight.token == token) else { return };
        let Flight { collection, id, asked, status, .. } = self.fetching.flights.remove(at);
        let id = asked.unwrap_or(id);
        self.metrics.failures += 1;
        let code = error.map_or(Code::BadResponse, |error| error.code);
        let message = format!("the server refused to give this entity, with HTTP {status}");
        let before = self.fetching.wanted.len();
        self.fetching.wanted.retain(|(c, i, _)| (c, i) != (&collection, &id));
        if self.fetching.wanted.len() < before {
            let error = json!({"code": code, "message": message, "retryable": false});
            let event = json!({"type": "fetch-refused", "collection": collection, "id": id, "error": error});
            self.tell_tabs(&Message::Do(format!("{REFUSED}{}", json::write_text(&event))));
            self.event(event);
        } else {
            self.event(json!({"type": "watchdog", "code": code, "message": message, "collection": collection}));
            self.fetching.refused.push((collection, id));
        }
    }

    /// The leader's request was refused; it may have been this tab's wish.
    #[inline(never)]
    pub(crate) fn take_refusal(&mut self, text: &str) {
        if let Ok(event) = json::parse(text.as_bytes(), JsonLimits::MESSAGE) {
            self.event(event);
        }
    }

    /// The answer is in the log.
    #[inline(never)]
    pub(crate) fn fetch_landed(&mut self, collection: &CollectionName, id: &EntityId) {
        self.fetching.wanted.retain(|(c, i, _)| (c, i) != (collection, id));
        self.evictions.refetch.retain(|(c, i)| (c, i) != (collection, id));
        self.event(json!({"type": "fetched", "collection": collection, "id": id}));
    }

    /// The newest revision that is known of an entity: what is shown, and edits that the server has decided.
    fn newest_of(&self, c: &CollectionName, id: &EntityId) -> Rev {
        let entity = self.state.entity(c.as_str(), id.as_str());
        let confirmed = entity.and_then(|entity| entity.confirmed.as_ref()).map_or(0, |confirmed| confirmed.rev);
        let pending = entity.into_iter().flat_map(|entity| &entity.pending).filter_map(|n| self.state.queue.get(n));
        pending.fold(confirmed, |rev, entry| match entry.status {
            Status::Settled(settled) => rev.max(settled),
            _ => rev,
        })
    }

    fn fetch_failed(&mut self, now: Now, token: Token, retry_after_ms: u64) {
        let Some(at) = self.fetching.flights.iter().position(|flight| flight.token == token) else { return };
        let flight = self.fetching.flights.remove(at);
        self.metrics.failures += 1;
        self.fetching.backoff.fail(now.mono_ms, self.config.bounds(), retry_after_ms, &mut self.random);
        self.wish(self.fetching.backoff.not_before_ms);
        if flight.status < 400 {
            self.lost(now);
        }
    }

    pub(crate) fn fetch_broke(&mut self, now: Now, token: Token) -> bool {
        let is_ours = self.fetching.flight(token).is_some();
        if is_ours {
            self.fetch_failed(now, token, 0);
        }
        is_ours
    }

    pub(crate) fn abort_fetches(&mut self) {
        for flight in std::mem::take(&mut self.fetching.flights) {
            if !flight.landing {
                self.output(Output::Abort { token: flight.token });
            }
        }
    }
}

/// As a segment of an address.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            out.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 });
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}
