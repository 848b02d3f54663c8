//! An SMSC for tests: node-smpp in a process of its own, scripted by `tests/peers/smpp.js`.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use postrider_core::inbound::CallbackItem;
use postrider_core::receipt::ReceiptStatus;

/// Maximum time to wait for an event before the test fails.
const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct SmscPeer {
    child: Child,
    commands: ChildStdin,
    events: UnboundedReceiver<Value>,
    /// Events that were received and not taken yet.
    pending: VecDeque<Value>,
    port: u64,
    scheme: &'static str,
}

impl Drop for SmscPeer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl SmscPeer {
    pub async fn start(options: Value) -> Self {
        let root = postrider_core::testing::workspace_root();
        let peers = root.join("target/peers");
        let node = peers.join("python/bin/node");
        let mut command = Command::new(&node);
        command
            .env("NODE_PATH", peers.join("node_modules"))
            .arg(root.join("tests/peers/smpp.js"))
            .arg(options.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn();
        let mut child =
            child.unwrap_or_else(|error| panic!("{}: {error}; run ./start.sh test", node.display()));
        let commands = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (event_sender, events) = unbounded_channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.map_while(|line| event_sender.send(serde_json::from_str(&line).unwrap()).ok()).count();
        });
        let mut peer = Self {
            child,
            commands,
            events,
            pending: VecDeque::new(),
            port: 0,
            scheme: if options["key"].is_null() { "smpp" } else { "smpps" },
        };
        peer.port = peer.next_event("listening").await["port"].as_u64().unwrap();
        peer
    }

    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    /// Returns the next event of that name; the others stay pending.
    pub async fn next_event(&mut self, event: &str) -> Value {
        if let Some(at) = self.pending.iter().position(|pending| pending["event"] == event) {
            return self.pending.remove(at).unwrap();
        }
        let next = async {
            loop {
                let received = self.events.recv().await.unwrap_or_else(|| {
                    panic!("the peer exited after {:?}; run ./start.sh test", self.pending)
                });
                if received["event"] == event {
                    return received;
                }
                self.pending.push_back(received);
            }
        };
        match tokio::time::timeout(EVENT_TIMEOUT, next).await {
            Ok(received) => received,
            Err(_) => panic!("no event {event} among {:?}", self.pending),
        }
    }

    /// Returns the number of pending events of that name.
    pub fn pending_count(&mut self, event: &str) -> usize {
        while let Ok(received) = self.events.try_recv() {
            self.pending.push_back(received);
        }
        self.pending.iter().filter(|pending| pending["event"] == event).count()
    }

    /// Runs a command and waits until it is done.
    pub async fn run_command(&mut self, command: Value) {
        writeln!(self.commands, "{command}").unwrap();
        self.next_event("done").await;
    }

    /// Sets the responses to the next messages.
    pub async fn plan_responses(&mut self, steps: Value) {
        self.run_command(json!({ "do": "plan", "steps": steps })).await;
    }

    /// Sends a receipt in the form of appendix B of SMPP 3.4.
    pub async fn send_receipt(&mut self, session: usize, id: &str, stat: &str) {
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2607211403 done date:2607211404 stat:{stat} err:000 text:"
        );
        self.send_deliver_sm(session, json!({ "esm_class": 4, "short_message": text })).await;
    }

    pub async fn send_deliver_sm(&mut self, session: usize, pdu: Value) {
        self.run_command(json!({ "do": "deliver", "session": session, "pdu": pdu })).await;
    }
}

/// Returns the next receipts and texts.
pub(super) async fn receive(smpp: &super::Smpp) -> Vec<CallbackItem> {
    loop {
        let mut items = crate::Provider::receive(smpp).await;
        items.retain(|item| !matches!(item, CallbackItem::AccountAccepted | CallbackItem::Unreadable(_)));
        if !items.is_empty() {
            return items;
        }
    }
}

pub(super) fn expect_delivered(items: &[CallbackItem], reference: &str) {
    let receipt = match items {
        [CallbackItem::Receipt(receipt)] => receipt,
        [CallbackItem::TextReceipt(text_receipt)] => &text_receipt.receipt,
        _ => panic!("expected one receipt: {items:?}"),
    };
    assert_eq!((receipt.reference.as_str(), &receipt.status), (reference, &ReceiptStatus::Delivered));
}
