//! One request: its head, then its body in pieces as they arrive, then its end.

use js_sys::{Object, Promise, Reflect, Uint8Array};
use tidewire_core::io::Fetch;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ReadableStreamDefaultReader, RequestCache, RequestInit, Response};

use crate::env::time;
use crate::error::text_of;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch_with(url: &str, init: &RequestInit) -> Promise;
}

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
    let init = init(&fetch, signal).map_err(|thrown| text_of(&thrown))?;
    let response = JsFuture::from(fetch_with(url, &init)).await.map_err(|thrown| text_of(&thrown))?;
    let response: Response = response.unchecked_into();
    Ok(Answer { head: head(&response), response })
}

fn init(fetch: &Fetch, signal: &AbortSignal) -> Result<RequestInit, JsValue> {
    let init = RequestInit::new();
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(signal));
    let headers = Object::new();
    let header = |name: &str, value: &str| Reflect::set(&headers, &name.into(), &value.into());
    header("accept", "application/x-ndjson, application/json")?;
    if let Some(body) = &fetch.body {
        init.set_method("POST");
        init.set_body(&body.as_str().into());
        header("content-type", "application/json")?;
    }
    if let Some(token) = &fetch.bearer {
        header("authorization", &format!("Bearer {token}"))?;
    }
    init.set_headers(&headers);
    Ok(init)
}

fn head(response: &Response) -> Head {
    let headers = response.headers();
    let header = |name| headers.get(name).ok().flatten();
    Head {
        status: response.status(),
        retry_after_ms: header("retry-after").and_then(|text| retry_after_ms(&text)),
        json: header("content-type").is_some_and(|text| is_json(&text)),
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
        let text = settled(self.response.text()).await?;
        text.as_string().ok_or_else(|| "the answer is not text".to_owned())
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
            let whole = settled(response.array_buffer()).await?;
            return Ok(Some(Uint8Array::new(&whole).to_vec()));
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

async fn settled(promise: Result<Promise, JsValue>) -> Result<JsValue, String> {
    let value = match promise {
        Ok(promise) => JsFuture::from(promise).await,
        Err(thrown) => Err(thrown),
    };
    value.map_err(|thrown| text_of(&thrown))
}

async fn next_chunk(reader: &ReadableStreamDefaultReader) -> Result<Option<Uint8Array>, JsValue> {
    let step = JsFuture::from(reader.read()).await?;
    if Reflect::get(&step, &"done".into())?.is_truthy() {
        return Ok(None);
    }
    Ok(Some(Reflect::get(&step, &"value".into())?.unchecked_into()))
}
