//! Tests of a session over an in-memory connection.

mod answers;

use std::sync::Mutex;

use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use super::*;
use crate::client::{StatusAction, SubmitOutcome};
use crate::command_status::ESME_RX_T_APPN;

/// Records events, and keeps the responses to `deliver_sm`.
#[derive(Default)]
struct RecordingHandler {
    events: Mutex<Vec<String>>,
    responses: Mutex<Vec<DeferredResponse>>,
    /// Status with which `deliver_sm` is answered at once.
    immediate_status: Option<u32>,
}

impl RecordingHandler {
    fn record(&self, event: String) {
        self.events.lock().unwrap().push(event);
    }

    fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }
}

impl ClientHandler for RecordingHandler {
    fn submit_status_action(&self, _status: u32) -> StatusAction {
        StatusAction::FailPart
    }

    fn is_account_error(&self, _status: u32) -> bool {
        false
    }

    fn part_accepted(&self, tag: u64, part: usize, message_id: &[u8]) {
        let id = String::from_utf8_lossy(message_id);
        self.record(format!("accepted {tag} {part} {id}"));
    }

    fn deliver(&self, _message: &ShortMessage, response: DeferredResponse) -> DeliverAction {
        if let Some(status) = self.immediate_status {
            return DeliverAction::Respond(status);
        }
        self.responses.lock().unwrap().push(response);
        DeliverAction::Later
    }
}

fn config() -> ClientConfig {
    ClientConfig {
        name: "blue".to_owned(),
        endpoint: crate::client::SmppEndpoint { host: "localhost".to_owned(), port: 2775, is_tls: false },
        tls: None,
        bind_body: Vec::new(),
        binds: 1,
        window_size: 10,
        enquire_link_interval: Duration::from_secs(30),
        reconnect_delay: Duration::from_secs(1),
        throttle_delay: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(5),
    }
}

/// The SMSC's end of a connection.
struct Smsc {
    stream: DuplexStream,
    received: Vec<u8>,
}

impl Smsc {
    async fn send(&mut self, command: u32, status: u32, sequence: u32, body: &[u8]) {
        let mut bytes = Vec::new();
        pdu::encode_pdu(&mut bytes, command, status, sequence, body);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Returns command, status and sequence number of the next PDU.
    async fn receive(&mut self) -> (u32, u32, u32) {
        loop {
            if let PduFrame::Complete(pdu, length) = pdu::split_frame(&self.received) {
                let header = (pdu.command, pdu.status, pdu.sequence);
                self.received.drain(..length);
                return header;
            }
            assert_ne!(self.stream.read_buf(&mut self.received).await.unwrap(), 0);
        }
    }
}

/// Runs a session next to `smsc_task`, which gets the SMSC's end of the connection and closes it by returning.
async fn run_with<F: Future<Output = ()>>(
    config: &ClientConfig,
    handler: &RecordingHandler,
    smsc_task: impl FnOnce(Smsc, UnboundedSender<SubmitJob>) -> F,
) -> SessionEnd {
    let (stream, smsc) = tokio::io::duplex(64 * 1024);
    let (job_sender, mut jobs) = unbounded_channel();
    let smsc = Smsc { stream: smsc, received: Vec::new() };
    let session = run_session(config, handler, Box::new(stream), Vec::new(), &mut jobs);
    tokio::join!(session, smsc_task(smsc, job_sender.clone())).0
}

fn lost_reason(end: &SessionEnd) -> &str {
    match end {
        SessionEnd::Lost(reason) => reason,
        SessionEnd::Unbound => "unbound",
        SessionEnd::Dropped => "dropped",
    }
}

fn job(parts: usize, tag: u64) -> (SubmitJob, oneshot::Receiver<SubmitOutcome>) {
    let (reply, outcome) = oneshot::channel();
    let job = SubmitJob {
        bodies: vec![b"body".to_vec(); parts].into(),
        tag,
        deadline: Instant::now() + Duration::from_secs(60),
        reply,
    };
    (job, outcome)
}

#[tokio::test]
async fn a_message_is_accepted_when_all_its_parts_are() {
    let handler = RecordingHandler::default();
    let (job, outcome) = job(2, 7);
    let end = run_with(&config(), &handler, |mut smsc, jobs| async move {
        jobs.send(job).ok().unwrap();
        for id in [b"a\0", b"b\0"] {
            let (command, status, sequence) = smsc.receive().await;
            assert_eq!((command, status), (command::SUBMIT_SM, ESME_ROK));
            smsc.send(SUBMIT_RESPONSE, ESME_ROK, sequence, id).await;
        }
        assert_eq!(outcome.await.unwrap(), SubmitOutcome::Accepted { message_id: b"b".to_vec() });
    })
    .await;
    assert_eq!(lost_reason(&end), "connection closed by the SMSC");
    assert_eq!(handler.events(), ["accepted 7 0 a", "accepted 7 1 b"]);
}

#[tokio::test]
async fn a_lost_connection_ends_messages_in_flight() {
    let handler = RecordingHandler::default();
    let (job, outcome) = job(1, 7);
    run_with(&config(), &handler, |mut smsc, jobs| async move {
        jobs.send(job).ok().unwrap();
        smsc.receive().await;
    })
    .await;
    let SubmitOutcome::SessionLost { may_have_been_sent, .. } = outcome.await.unwrap() else {
        panic!("the session was lost");
    };
    assert!(may_have_been_sent);
}

#[tokio::test]
async fn a_delivery_is_answered_when_its_response_is_released() {
    let handler = &RecordingHandler::default();
    run_with(&config(), handler, |mut smsc, _jobs| async move {
        smsc.send(command::DELIVER_SM, ESME_ROK, 5, &[]).await;
        smsc.send(command::ENQUIRE_LINK, ESME_ROK, 6, &[]).await;
        assert_eq!(smsc.receive().await, (pdu::response_id(command::ENQUIRE_LINK), ESME_ROK, 6));
        let response = handler.responses.lock().unwrap().pop().unwrap();
        response.send();
        assert_eq!(smsc.receive().await, (pdu::response_id(command::DELIVER_SM), ESME_ROK, 5));
    })
    .await;
}

#[tokio::test]
async fn a_full_handler_asks_for_a_later_delivery() {
    let handler = RecordingHandler { immediate_status: Some(ESME_RX_T_APPN), ..RecordingHandler::default() };
    run_with(&config(), &handler, |mut smsc, _jobs| async move {
        smsc.send(command::DATA_SM, ESME_ROK, 5, &[]).await;
        assert_eq!(smsc.receive().await, (pdu::response_id(command::DATA_SM), ESME_RX_T_APPN, 5));
    })
    .await;
}

#[tokio::test]
async fn an_unbind_is_answered_and_ends_the_session() {
    let handler = RecordingHandler::default();
    let end = run_with(&config(), &handler, |mut smsc, _jobs| async move {
        smsc.send(command::UNBIND, ESME_ROK, 9, &[]).await;
        assert_eq!(smsc.receive().await, (pdu::response_id(command::UNBIND), ESME_ROK, 9));
    })
    .await;
    assert!(matches!(end, SessionEnd::Unbound));
}

#[tokio::test]
async fn a_silent_connection_is_tested_and_then_lost() {
    let handler = RecordingHandler::default();
    let impatient = ClientConfig {
        enquire_link_interval: Duration::from_millis(1),
        response_timeout: Duration::from_millis(1),
        ..config()
    };
    let end = run_with(&impatient, &handler, |mut smsc, jobs| async move {
        assert_eq!(smsc.receive().await, (command::ENQUIRE_LINK, ESME_ROK, 1));
        // Keeps the connection open until the session ends.
        smsc.stream.read_buf(&mut smsc.received).await.unwrap();
        drop(jobs);
    })
    .await;
    assert_eq!(lost_reason(&end), "no response to enquire_link");
}

#[tokio::test]
async fn an_invalid_length_ends_the_session() {
    let handler = RecordingHandler::default();
    let end = run_with(&config(), &handler, |mut smsc, _jobs| async move {
        smsc.stream.write_all(&[0; 4]).await.unwrap();
        let mut rest = Vec::new();
        smsc.stream.read_to_end(&mut rest).await.unwrap();
        let PduFrame::Complete(nack, _) = pdu::split_frame(&rest) else {
            panic!("the generic_nack is written before the connection is closed: {rest:?}");
        };
        assert_eq!((nack.command, nack.status), (command::GENERIC_NACK, ESME_RINVCMDLEN));
    })
    .await;
    assert_eq!(lost_reason(&end), "invalid command_length from the SMSC");
}

#[tokio::test]
async fn a_dropped_connection_handle_unbinds() {
    let (stream, smsc) = tokio::io::duplex(64 * 1024);
    let mut smsc = Smsc { stream: smsc, received: Vec::new() };
    let (job_sender, mut jobs) = unbounded_channel();
    drop(job_sender);
    let handler = RecordingHandler::default();
    let end = run_session(&config(), &handler, Box::new(stream), Vec::new(), &mut jobs).await;
    assert!(matches!(end, SessionEnd::Dropped));
    assert_eq!(smsc.receive().await, (command::UNBIND, ESME_ROK, 1));
}
