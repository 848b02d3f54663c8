//! A scriptable HTTP server: it responds, hangs or closes the connection as the test scripts it.
//!
//! It writes raw bytes to a socket, because the interesting responses are those that no HTTP server sends.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The stub's reaction to a request.
#[derive(Clone, Debug)]
pub enum StubAction {
    /// Writes these bytes and waits for the next request.
    Respond(Vec<u8>),
    /// Writes these bytes and closes the connection.
    RespondAndClose(Vec<u8>),
    /// Writes these bytes and then nothing more.
    RespondAndStall(Vec<u8>),
}

/// Returns the action for the number of a request (from 1) and its text.
type StubScript = dyn Fn(usize, &str) -> StubAction + Send + Sync;

/// A listening server. Stops when it is dropped.
pub struct HttpStub {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    accept_task: JoinHandle<()>,
}

impl HttpStub {
    /// Starts a stub that takes one action after the other and repeats the last one.
    pub async fn start(actions: Vec<StubAction>) -> Self {
        Self::scripted(move |number, _| actions.get(number - 1).or(actions.last()).unwrap().clone()).await
    }

    /// Starts a stub whose action depends on the number of the request (from 1) and its text.
    pub async fn scripted(script: impl Fn(usize, &str) -> StubAction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = requests.clone();
        let script: Arc<StubScript> = Arc::new(script);
        let accept_task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_connection(stream, script.clone(), recorded.clone()));
            }
        });
        Self { address, requests, accept_task }
    }

    /// Returns the text of all requests so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for HttpStub {
    fn drop(&mut self) {
        self.accept_task.abort();
    }
}

async fn serve_connection(mut stream: TcpStream, script: Arc<StubScript>, requests: Arc<Mutex<Vec<String>>>) {
    let mut unread = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut unread).await {
        let number = {
            let mut requests = requests.lock().unwrap();
            requests.push(request.clone());
            requests.len()
        };
        let (bytes, keeps_open) = match script(number, &request) {
            StubAction::Respond(bytes) => (bytes, true),
            StubAction::RespondAndClose(bytes) => (bytes, false),
            StubAction::RespondAndStall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return std::future::pending().await;
            }
        };
        // The client may have closed the connection already.
        if stream.write_all(&bytes).await.is_err() || !keeps_open {
            return;
        }
    }
}

/// Reads one request with its body. None at the end of the connection.
async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(unread).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                unread.clear();
                return Some(text);
            }
        }
        let mut buffer = vec![0; 16 * 1024];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        unread.extend_from_slice(&buffer[..count]);
    }
}

/// Responds with a status, further header lines (each with its line end) and a body.
pub fn response(status: u16, headers: &str, body: &str) -> StubAction {
    StubAction::Respond(response_bytes(status, headers, body))
}

/// Returns the bytes of such a response.
pub fn response_bytes(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Stub\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
