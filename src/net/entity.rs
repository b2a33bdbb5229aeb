//! One entity, read from the server past the store: for what an app does not replicate.

use gloo_timers::callback::Timeout;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::io::{Fetch, TokenWhy};
use web_sys::AbortController;

use crate::driver::Driver;
use crate::error::text_of;
use crate::net::http;

/// The entity as JSON, or nothing where there is none that this user may see. A refused token is renewed once.
pub(crate) async fn fetch(driver: &Driver, collection: &str, id: &str) -> Result<Option<String>, CoreError> {
    let token = match driver.last_token() {
        Some(token) => Some(token),
        None => ask(driver, TokenWhy::Start).await?,
    };
    match fetch_as(driver, collection, id, token).await {
        Err(error) if error.code == Code::Unauthorized => {
            let token = ask(driver, TokenWhy::Rejected).await?;
            fetch_as(driver, collection, id, token).await
        }
        result => result,
    }
}

async fn ask(driver: &Driver, why: TokenWhy) -> Result<Option<String>, CoreError> {
    driver.token(why).await.map_err(|message| CoreError::new(Code::Unauthorized, message))
}

async fn fetch_as(
    driver: &Driver,
    collection: &str,
    id: &str,
    bearer: Option<String>,
) -> Result<Option<String>, CoreError> {
    let abort = AbortController::new().map_err(|thrown| CoreError::new(Code::Internal, text_of(&thrown)))?;
    let signal = abort.signal();
    let timeout = driver.config.timeout_ms().min(i32::MAX as u64) as u32;
    // Runs until the answer is there: dropping it stops it.
    let _timeout = Timeout::new(timeout, move || abort.abort());
    let part = |text: &str| String::from(js_sys::encode_uri_component(text));
    let path = format!("entities/{}/{}", part(collection), part(id));
    let url = driver.config.endpoint(&path);
    let not_reached = |message: String| match signal.aborted() {
        true => CoreError::new(Code::Timeout, "the server did not answer in time: try again"),
        false => CoreError::new(Code::Offline, message),
    };
    let answer = http::send(&url, Fetch { path, body: None, bearer }, &signal).await.map_err(not_reached)?;
    match (answer.head.status, answer.head.json) {
        (200, true) => answer.text().await.map(Some).map_err(not_reached),
        (404, _) => Ok(None),
        (status, _) => Err(refusal(status)),
    }
}

fn refusal(status: u16) -> CoreError {
    let (code, message) = match status {
        401 => (Code::Unauthorized, "the server did not accept the token: sign in again"),
        403 => (Code::Forbidden, "this user may not read this entity"),
        426 => (Code::UpgradeRequired, "this release is too old or too new for the server: reload"),
        429 => (Code::RateLimited, "too many requests: try again later"),
        500.. => (Code::ServerError, "the server failed: try again later"),
        _ => (Code::BadResponse, "the answer is not the server's: is the address right?"),
    };
    CoreError::new(code, message)
}
