//! A server that listens, and sockets of its live channel.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidewire_server::{Timeouts, serve};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Server, TOML};

pub struct Live {
    pub server: Server,
    pub address: String,
    pub task: JoinHandle<std::io::Result<()>>,
}

pub struct Socket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Live {
    pub async fn start(timeouts: Timeouts) -> Self {
        Self::start_with(TOML, timeouts).await
    }

    pub async fn start_with(toml: &str, timeouts: Timeouts) -> Self {
        let server = Server::start_with(toml, timeouts).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("ws://{}/api/sync/live", listener.local_addr().expect("an address"));
        let task = tokio::spawn(serve::serve(listener, server.state.clone()));
        Self { server, address, task }
    }

    pub async fn connect(&self, origin: Option<&str>) -> Result<Socket, WsError> {
        let mut request = self.address.as_str().into_client_request().expect("a request");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().expect("a header"));
        }
        tokio_tungstenite::connect_async(request).await.map(|(socket, _)| Socket(socket))
    }

    /// A socket that is ready, and its `ready`.
    pub async fn ready(&self, auth: Value) -> (Socket, Value) {
        let mut socket = self.connect(None).await.expect("a socket");
        socket.say(&auth).await;
        let ready = socket.hear().await;
        assert_eq!(ready["t"], "ready", "{ready}");
        (socket, ready)
    }

    pub fn auth(&self, user: &str) -> Value {
        self.auth_with(&self.server.token(user))
    }

    pub fn auth_with(&self, token: &str) -> Value {
        json!({"t": "auth", "v": 1, "token": token, "replica": "reader", "collections": ["notes", "drafts"]})
    }
}

impl Socket {
    pub async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    /// All at once.
    pub async fn say_all(&mut self, messages: &[Value]) {
        for message in messages {
            self.0.feed(Message::text(message.to_string())).await.expect("buffered");
        }
        self.0.flush().await.expect("sent");
    }

    pub async fn next(&mut self) -> Option<Result<Message, WsError>> {
        tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.expect("something within 10 s")
    }

    pub async fn hear(&mut self) -> Value {
        match self.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("no message but {other:?}"),
        }
    }

    /// The code of the close, and the error message before it, if any.
    pub async fn closed(&mut self) -> (u16, Value) {
        let mut error = Value::Null;
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => error = serde_json::from_str(&text).expect("JSON"),
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), error["code"].clone()),
                Some(Ok(_)) => {}
                other => panic!("no close but {other:?}"),
            }
        }
    }
}
