//! `POST push`: mutations in, a verdict for each out, after they are on the disk. The live channel asks the same.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use tidewire_core::error::Code;
use tidewire_core::protocol::message::{Push, PushAnswer};

use super::body;
use crate::error::Error;
use crate::http::answer::Answer;
use crate::policy::Principal;
use crate::state::{AppState, State as Server, check_owner, check_version, now_ms};

pub(super) async fn push(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<PushAnswer>, Error> {
    let identity = state.identify(&headers).await?;
    let bytes = body::read(&headers, body, state.config.max_push_bytes, state.timeouts.body).await?;
    state.check_still(&identity)?;
    Ok(Answer(decide(&state, identity.principal, &bytes).await?))
}

/// What a user's push comes to, whichever way it came.
pub(crate) async fn decide(state: &Server, author: Principal, bytes: &[u8]) -> Result<PushAnswer, Error> {
    if bytes.len() > state.config.max_push_bytes {
        return Err(body::over(state.config.max_push_bytes));
    }
    // The server's clock at arrival: the sender's stamps are corrected by the difference (rule 20).
    let now = now_ms();
    let push = parse(bytes)?;
    check(&push, state.config.max_push_mutations)?;
    check_owner(push.owner.as_ref(), &author.owner)?;
    if push.history.as_ref().is_some_and(|known| known != state.store.history()) {
        // Its revisions say nothing here; what this server lost has to come first (rule 24).
        return Err(Error::new(Code::HistoryChanged, "this server was restored from a backup: pull, then push again"));
    }
    let history = push.history.is_none().then(|| state.store.history().to_owned());
    Ok(PushAnswer { history, ..state.store.push(author, push, now).await? })
}

/// A message of another version may look otherwise, so its version is asked for first if it cannot be read.
fn parse(bytes: &[u8]) -> Result<Push, Error> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    body::parse::<Push>(bytes).map_err(|error| {
        match body::parse::<Version>(bytes).map(|found| check_version(found.v)) {
            Ok(Err(version)) => version.into(),
            _ => error,
        }
    })
}

fn check(push: &Push, most: usize) -> Result<(), Error> {
    check_version(push.v)?;
    if push.mutations.len() > most {
        let count = push.mutations.len();
        let message = format!("a push takes at most {most} mutations, this one has {count}: send fewer at a time");
        return Err(Error::new(Code::TooLarge, message));
    }
    // Log keys are IndexedDB's, which end at 2^53.
    let in_range = |key: u64| key <= 1 << 53;
    if !in_range(push.floor.0) || !push.mutations.iter().all(|item| in_range(item.n.0)) {
        return Err(Error::new(Code::BadMessage, "a mutation's number is out of range"));
    }
    Ok(())
}
