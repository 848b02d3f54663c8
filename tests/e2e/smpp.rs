//! Text messages through an SMSC of another implementation (node-smpp), from the request to the receipt.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::peer_programs::peers_folder;
use super::test_gateway::{TestGateway, wait_until};

/// The SMSC of `tests/peers/smpp.js`; killed when dropped.
struct SmscProcess {
    child: Child,
    commands: ChildStdin,
    port: String,
}

impl Drop for SmscProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl SmscProcess {
    /// Starts an SMSC that sends a receipt with `state` for every message.
    fn with_receipt_state(state: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let peers = peers_folder();
        let mut command = Command::new(peers.join("python/bin/node"));
        command.env("NODE_PATH", peers.join("node_modules"));
        command.arg(root.join("tests/peers/smpp.js")).arg(format!("{{\"receipts\":\"{state}\"}}"));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("node is installed; run ./start.sh test");
        let commands = child.stdin.take().expect("piped stdin");
        let mut output = BufReader::new(child.stdout.take().expect("piped stdout"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the port; run ./start.sh test");
        let event: serde_json::Value = serde_json::from_str(&line).expect("an event");
        // Drains the output, because a full pipe would block the SMSC.
        std::thread::spawn(move || output.lines().map_while(Result::ok).count());
        Self { child, commands, port: event["port"].to_string() }
    }

    fn gateway(&self, more: &str) -> TestGateway {
        TestGateway::new(&format!(
            "[providers.smsc]\nkind = \"smpp\"\nbase_url = \"smpp://127.0.0.1:{}\"\nsystem_id = \"gwuser\"\n\
             password = \"s3cret\"\nfrom = \"Acme\"\nreconnect_delay = \"50ms\"\n{more}\n\
             [channels.sms]\nproviders = [\"smsc\"]\n[retry]\nbase = \"100ms\"\ncap = \"200ms\"\n",
            self.port
        ))
    }

    fn send_command(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("the SMSC reads commands");
    }
}

#[test]
fn a_short_and_a_long_message_are_delivered() {
    let smsc = SmscProcess::with_receipt_state("DELIVRD");
    let gateway = smsc.gateway("");
    let _console = gateway.start_serve(&[]);
    for body in ["hello", &"a long one ".repeat(40)] {
        let id = gateway.send("09122222222", body);
        gateway.wait_for_state(&id, &["delivered"]);
    }
}

#[test]
fn a_number_that_a_receipt_reports_invalid_gets_no_more_messages() {
    let smsc = SmscProcess::with_receipt_state("UNDELIV");
    let gateway = smsc.gateway("invalid_errors = [\"1\"]");
    let _console = gateway.start_serve(&[]);
    let id = gateway.send("09122222222", "hello");
    gateway.wait_for_state(&id, &["failed"]);
    assert!(gateway.run_ok(&["recipient", "09122222222"]).contains("is inactive"));
}

#[test]
fn a_recipient_who_sends_stop_gets_no_more_messages_and_a_cut_connection_loses_nothing() {
    let mut smsc = SmscProcess::with_receipt_state("DELIVRD");
    let gateway = smsc.gateway("");
    let _console = gateway.start_serve(&[]);
    let first = gateway.send("09122222222", "hello");
    gateway.wait_for_state(&first, &["delivered"]);
    smsc.send_command("{\"do\":\"drop\"}");
    let second = gateway.send("09122222223", "hello again");
    gateway.wait_for_state(&second, &["delivered"]);
    let stop = "{\"do\":\"deliver\",\"pdu\":{\"source_addr_ton\":1,\"source_addr\":\"989122222223\",\
                \"destination_addr\":\"30001\",\"short_message\":\"STOP\"}}";
    smsc.send_command(stop);
    wait_until("the recipient has opted out", || {
        gateway.run_ok(&["recipient", "09122222223"]).contains("is opted_out")
    });
}
