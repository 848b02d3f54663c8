//! A provider's server that a test holds by the strings: it answers, hangs or hangs up exactly as told.
//!
//! Raw bytes over a real socket, because the interesting answers are those that no HTTP server would give.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

pub mod openssl;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the stub does when it has read a request.
#[derive(Clone, Debug)]
pub enum StubAction {
    /// Writes these bytes and waits for the next request.
    Respond(Vec<u8>),
    /// Writes these bytes and closes the connection.
    RespondAndClose(Vec<u8>),
    /// Writes these bytes and then nothing more, ever.
    RespondAndStall(Vec<u8>),
}

/// What a stub does at the count-th request (from 1), which it has read.
type StubScript = dyn Fn(usize, &str) -> StubAction + Send + Sync;

/// A listening stub; it ends with the test.
pub struct HttpStub {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    accept_task: JoinHandle<()>,
}

impl HttpStub {
    /// A stub that follows its acts request by request and repeats the last one.
    pub async fn start(acts: Vec<StubAction>) -> Self {
        Self::scripted(move |count, _| acts.get(count - 1).or(acts.last()).unwrap().clone()).await
    }

    /// A stub that does what the count of the request (from 1) and its text say.
    pub async fn scripted(play: impl Fn(usize, &str) -> StubAction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let noted = heard.clone();
        let play: Arc<StubScript> = Arc::new(play);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_connection(stream, play.clone(), noted.clone()));
            }
        });
        Self {
            address,
            requests: heard,
            accept_task: listening,
        }
    }

    /// The requests so far, head and body as they came.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for HttpStub {
    fn drop(&mut self) {
        self.accept_task.abort();
    }
}

async fn serve_connection(mut stream: TcpStream, play: Arc<StubScript>, noted: Arc<Mutex<Vec<String>>>) {
    let mut unread = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut unread).await {
        let count = {
            let mut heard = noted.lock().unwrap();
            heard.push(request.clone());
            heard.len()
        };
        let (bytes, goes_on) = match play(count, &request) {
            StubAction::Respond(bytes) => (bytes, true),
            StubAction::RespondAndClose(bytes) => (bytes, false),
            StubAction::RespondAndStall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending::<()>().await;
                return;
            }
        };
        // The caller may have heard enough and gone.
        if stream.write_all(&bytes).await.is_err() || !goes_on {
            return;
        }
    }
}

/// One request with its body; none at the end of the connection.
async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(unread).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                unread.clear();
                return Some(text);
            }
        }
        let mut part = vec![0; 16 * 1024];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        unread.extend_from_slice(&part[..count]);
    }
}

/// An answer with a status, more header lines (each with its line end) and a body.
pub fn response(status: u16, headers: &str, body: &str) -> StubAction {
    StubAction::Respond(response_bytes(status, headers, body))
}

/// The bytes of such an answer.
pub fn response_bytes(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Stub\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
