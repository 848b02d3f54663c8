//! The running phase of `serve` and `work`. It ends at a signal, or when a part of the process stops unexpectedly.

use super::http_server::HttpServer;
use super::signals::TerminationSignals;
use super::systemd;
use postrider_core::error::Error;
use postrider_engine::background::BackgroundTasks;

/// Waits for a signal or a failure; returns the failure.
pub(super) async fn wait_until_stopped(
    signals: &mut TerminationSignals,
    tasks: &mut BackgroundTasks,
    server: Option<&mut HttpServer>,
) -> Option<Error> {
    let server_failure = async {
        match server {
            Some(server) => server.wait_for_failure().await,
            None => std::future::pending().await,
        }
    };
    let task_failure = tokio::select! {
        () = signals.recv() => None,
        error = server_failure => Some(error),
        error = tasks.wait_for_failure() => Some(error),
    };
    systemd::notify_stopping();
    log::info!("stopping: finishing requests and calls in flight");
    task_failure
}
