//! Reads a request's body: bounded in size, and in time by its size, so that a drip does not hold a connection.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tidewire_core::error::Code;
use tokio::time::Instant;

use crate::error::Error;

/// Each of these bytes buys a body one more second: the slowest uplink that is served has 128 kbit/s.
const BYTES_PER_SECOND_MIN: usize = 16 * 1024;

/// Bytes of a body that is too large which are read after all, so that its sender gets an answer.
const DISCARD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// ... and the time for it.
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

/// Reads all of a body.
pub(super) async fn read(headers: &HeaderMap, body: Body, most: usize, patience: Duration) -> Result<Vec<u8>, Error> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Error::new(Code::BadMessage, "send the body without a content-encoding"));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut chunks = body.into_data_stream();
    if announced.is_some_and(|length| length > most) {
        return Err(too_large(chunks, most).await);
    }
    let started = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let bought = Duration::from_secs((bytes.len() / BYTES_PER_SECOND_MIN) as u64);
        let next = tokio::time::timeout_at(started + patience + bought, chunks.next()).await;
        match next {
            Err(_) => return Err(Error::new(Code::Timeout, "the body came too slowly: send less at a time")),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(_))) => return Err(Error::new(Code::BadMessage, "the body was cut off")),
            Ok(Some(Ok(chunk))) if bytes.len() + chunk.len() > most => return Err(too_large(chunks, most).await),
            Ok(Some(Ok(chunk))) => bytes.extend_from_slice(&chunk),
        }
    }
}

/// Parses a message. What is not JSON is told apart from what is no such message.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() { Code::BadMessage } else { Code::BadJson };
        Error::new(code, format!("the body is not the message that this address takes: {error}"))
    })
}

/// The rest is read and thrown away for a while: a browser that still sends when the connection closes never sees why.
async fn too_large(mut chunks: BodyDataStream, most: usize) -> Error {
    let mut left = DISCARD_BYTES_MAX;
    let discard = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Whether the end came or the patience ended, the answer is the same.
    let _ = tokio::time::timeout(DISCARD_PATIENCE, discard).await;
    Error::new(Code::TooLarge, format!("the body has more than {most} bytes: send less at a time"))
}
