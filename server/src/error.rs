//! How the server says no, over HTTP and on the live channel: one body, one table of status codes, nothing internal.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tidewire_core::error::{Code, CoreError};
use tidewire_core::protocol::message::ErrorBody;

use crate::auth::Unverified;
use crate::http::answer::Answer;
use crate::store::StoreError;

/// A refusal or a failure on the way to an answer.
#[derive(Debug)]
pub enum Error {
    /// Something that the client may know.
    Refused(CoreError),
    /// The store failed; the client learns only that.
    Store(StoreError),
    /// The keys of the issuer of tokens cannot be read.
    KeysUnavailable,
}

/// What is said of that.
pub(crate) const KEYS_UNAVAILABLE: &str = "whose token this is cannot be said at present: try again";

impl Error {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(CoreError::new(code, message))
    }

    /// What the client is told.
    pub fn body(&self) -> ErrorBody {
        match self {
            Self::Refused(error) => {
                ErrorBody { code: error.code, message: error.message.to_string(), path: error.path.clone() }
            }
            Self::Store(StoreError::Overloaded) => plain("the server is busy: try again in a second"),
            Self::KeysUnavailable => plain(KEYS_UNAVAILABLE),
            Self::Store(_) => plain("the server failed; its log has the reason: try again"),
        }
    }

    /// The status of the answer. A failure of the store is told to the log here.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Refused(error) => status_of(error.code),
            Self::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) => {
                tracing::error!(%error, "a request failed in the store");
                match error {
                    StoreError::Overloaded | StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                }
            }
        }
    }
}

/// The longest reason of a parser that is passed on.
const REASON_CHARS_MAX: usize = 200;
/// ... of which so much is its end: the place in the text.
const REASON_END_CHARS: usize = 40;

/// Why a parser refused a text. It quotes what it found, and that may be all that was sent: the middle is left out.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text: Vec<char> = error.to_string().chars().collect();
    if text.len() <= REASON_CHARS_MAX {
        return text.into_iter().collect();
    }
    let (begin, end) = (&text[..REASON_CHARS_MAX - REASON_END_CHARS], &text[text.len() - REASON_END_CHARS..]);
    begin.iter().chain(&['…']).chain(end).collect()
}

fn plain(message: &str) -> ErrorBody {
    ErrorBody { code: Code::ServerError, message: message.to_owned(), path: None }
}

/// The status of a code. `docs/PROTOCOL.md` has the same table.
pub fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::WrongUser => StatusCode::FORBIDDEN,
        Code::NotFound | Code::UnknownCollection => StatusCode::NOT_FOUND,
        Code::Timeout => StatusCode::REQUEST_TIMEOUT,
        Code::HistoryChanged => StatusCode::CONFLICT,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::ServerError | Code::Internal | Code::Storage | Code::Corrupt => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Seconds that the client waits before it tries again.
pub(crate) fn retry_after(status: StatusCode) -> Option<u32> {
    (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1)
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Answer(self.body())).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after(status) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unverified> for Error {
    fn from(error: Unverified) -> Self {
        match error {
            Unverified::Refused(error) => Self::Refused(error),
            Unverified::Unavailable => Self::KeysUnavailable,
        }
    }
}

impl From<CoreError> for Error {
    fn from(error: CoreError) -> Self {
        Self::Refused(error)
    }
}
