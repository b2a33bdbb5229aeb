//! One request: its head, then its body in pieces as they arrive, then its end.

use gloo_net::http::{Request, RequestBuilder, Response};
use js_sys::{Reflect, Uint8Array};
use tidewire_core::io::Fetch;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ReadableStreamDefaultReader, RequestCache};

use crate::env::time;
use crate::error::text_of;

/// What the engine folds in one go: a whole network chunk can be megabytes and would block the page.
const PIECE_BYTES: u32 = 128 * 1024;
/// After this much work on one body the browser gets a turn.
const TURN_MS: u64 = 6;

/// The head of an answer.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) json: bool,
}

/// An answer whose body is still to come.
pub(crate) struct Answer {
    pub(crate) head: Head,
    response: Response,
}

/// Sends a request and waits for the head of the answer.
pub(crate) async fn send(url: &str, fetch: Fetch, signal: &AbortSignal) -> Result<Answer, String> {
    let builder = match &fetch.body {
        Some(_) => Request::post(url).header("content-type", "application/json"),
        None => Request::get(url),
    };
    let builder = builder.header("accept", "application/x-ndjson, application/json");
    let builder = authorize(builder, fetch.bearer.as_deref()).cache(RequestCache::NoStore).abort_signal(Some(signal));
    let request = match fetch.body {
        Some(body) => builder.body(body),
        None => builder.build(),
    };
    let response = request.map_err(|error| error.to_string())?.send().await.map_err(|error| error.to_string())?;
    Ok(Answer { head: head(&response), response })
}

fn authorize(builder: RequestBuilder, bearer: Option<&str>) -> RequestBuilder {
    match bearer {
        Some(token) => builder.header("authorization", &format!("Bearer {token}")),
        None => builder,
    }
}

fn head(response: &Response) -> Head {
    let headers = response.headers();
    Head {
        status: response.status(),
        retry_after_ms: headers.get("retry-after").and_then(|text| retry_after_ms(&text)),
        json: headers.get("content-type").is_some_and(|text| is_json(&text)),
    }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(u64::from(seconds) * 1_000);
    }
    let date = js_sys::Date::parse(text);
    // `as` makes a date in the past 0.
    date.is_finite().then(|| (date - js_sys::Date::now()) as u64)
}

/// A captive portal or a proxy answers 200 with a page of its own: only what says that it is JSON is read as JSON.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "application/json" | "application/x-ndjson" | "application/ndjson")
        || kind.ends_with("+json")
}

impl Answer {
    /// The body, to be taken piece by piece as it arrives.
    pub(crate) fn pieces(self) -> Pieces {
        let reader = self.response.body().map(|stream| stream.get_reader().unchecked_into());
        Pieces { reader, response: Some(self.response), chunk: Uint8Array::default(), turn_began: time::now().mono_ms }
    }

    /// The whole body as text.
    pub(crate) async fn text(self) -> Result<String, String> {
        self.response.text().await.map_err(|error| error.to_string())
    }
}

/// A body in pieces.
pub(crate) struct Pieces {
    reader: Option<ReadableStreamDefaultReader>,
    /// Read as a whole where the browser gives no stream.
    response: Option<Response>,
    /// What has arrived and was not taken yet.
    chunk: Uint8Array,
    turn_began: u64,
}

impl Pieces {
    /// The next piece, or nothing at the end of the body.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(reader) = &self.reader else {
            let Some(response) = self.response.take() else { return Ok(None) };
            return response.binary().await.map(Some).map_err(|error| error.to_string());
        };
        if time::now().mono_ms.saturating_sub(self.turn_began) >= TURN_MS {
            time::breathe().await;
            self.turn_began = time::now().mono_ms;
        }
        while self.chunk.length() == 0 {
            match next_chunk(reader).await.map_err(|error| text_of(&error))? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(None),
            }
        }
        let end = self.chunk.length().min(PIECE_BYTES);
        let piece = self.chunk.subarray(0, end).to_vec();
        self.chunk = self.chunk.subarray(end, self.chunk.length());
        Ok(Some(piece))
    }
}

async fn next_chunk(reader: &ReadableStreamDefaultReader) -> Result<Option<Uint8Array>, JsValue> {
    let step = JsFuture::from(reader.read()).await?;
    if Reflect::get(&step, &"done".into())?.is_truthy() {
        return Ok(None);
    }
    Ok(Some(Reflect::get(&step, &"value".into())?.unchecked_into()))
}
