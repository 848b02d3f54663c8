//! Servers that this binary runs as a child process: a bare HTTP server with a constant response, a provider stub, an SMSC.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::{get, post};

use crate::smsc;

/// Serves a role until killed.
pub async fn serve_role(role: &str) {
    let at = std::env::var("POSTRIDER_BENCH_AT").expect("an address");
    let router = match role {
        "smpp" | "smpp-receipts" => return smsc::serve_smsc(at, role == "smpp-receipts").await,
        "bare" => Router::new().route("/", get(|| async { "{\"Data\":[],\"Message\":\"\"}" })),
        _ => Router::new().route("/messages", post(accept_texting_message)),
    };
    let listener = tokio::net::TcpListener::bind(at).await.expect("bind");
    axum::serve(listener, router).await.expect("serve");
}

/// Accepts a message as the providers of system C do.
async fn accept_texting_message(_body: axum::body::Bytes) -> ([(&'static str, &'static str); 1], String) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    ([("content-type", "application/json")], format!("{{\"message_id\":\"stub-{number}\"}}"))
}
