//! Reads a request's body: bounded in size, compressed or not, and in time by its size, so that a drip does not hold a
//! connection.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use flate2::write::GzDecoder;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tidewire_core::error::Code;
use tokio::time::Instant;

use crate::error::{Error, reason};

/// Each of these bytes buys a body one more second: the slowest uplink that is served has 128 kbit/s.
const BYTES_PER_SECOND_MIN: usize = 16 * 1024;

/// Bytes of a body that is too large which are read after all, so that its sender gets an answer.
const DISCARD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// ... and the time for it.
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

/// Reads all of a body. `most` holds for what travels and for what comes out of it.
pub(super) async fn read(headers: &HeaderMap, body: Body, most: usize, patience: Duration) -> Result<Vec<u8>, Error> {
    let mut sink = Sink::new(headers, most)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut chunks = body.into_data_stream();
    if announced.is_some_and(|length| length > most) {
        return Err(too_large(chunks, most).await);
    }
    let started = Instant::now();
    let mut travelled = 0;
    loop {
        let bought = Duration::from_secs((travelled / BYTES_PER_SECOND_MIN) as u64);
        let next = tokio::time::timeout_at(started + patience + bought, chunks.next()).await;
        match next {
            Err(_) => return Err(Error::new(Code::Timeout, "the body came too slowly: send less at a time")),
            Ok(None) => return sink.finish().map_err(|error| refused(&error, most)),
            Ok(Some(Err(_))) => return Err(Error::new(Code::BadMessage, "the body was cut off")),
            Ok(Some(Ok(chunk))) => {
                travelled += chunk.len();
                match sink.take(&chunk) {
                    Ok(()) if travelled <= most => {}
                    Err(error) if error.kind() != io::ErrorKind::StorageFull => return Err(refused(&error, most)),
                    _ => return Err(too_large(chunks, most).await),
                }
            }
        }
    }
}

/// Parses a message. What is not JSON is told apart from what is no such message.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() { Code::BadMessage } else { Code::BadJson };
        Error::new(code, format!("the body is not the message that this address takes: {}", reason(&error)))
    })
}

/// Where a body's bytes go.
enum Sink {
    Plain(Bounded),
    Gzip(GzDecoder<Bounded>),
}

impl Sink {
    fn new(headers: &HeaderMap, most: usize) -> Result<Self, Error> {
        let bounded = Bounded { bytes: Vec::new(), most };
        match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes()) {
            None | Some(b"identity") => Ok(Self::Plain(bounded)),
            Some(b"gzip") => Ok(Self::Gzip(GzDecoder::new(bounded))),
            Some(_) => Err(Error::new(Code::BadMessage, "send the body as it is, or with the content-encoding gzip")),
        }
    }

    fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(bounded) => bounded.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes),
            Self::Gzip(decoder) => decoder.finish().map(|bounded| bounded.bytes),
        }
    }
}

fn refused(error: &io::Error, most: usize) -> Error {
    if error.kind() == io::ErrorKind::StorageFull {
        return over(most);
    }
    Error::new(Code::BadMessage, "the body is not the gzip that its content-encoding says")
}

/// A body has more than this.
pub(super) fn over(most: usize) -> Error {
    Error::new(Code::TooLarge, format!("the body has more than {most} bytes: send less at a time"))
}

/// Bytes up to a bound: a small body must not unpack to a large one.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.most {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
    refused(&io::ErrorKind::StorageFull.into(), most)
}
