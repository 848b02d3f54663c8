//! Text messages through another implementation's message centre, from the request to the receipt.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::test_gateway::{TestGateway, wait_until};

/// node-smpp, as `tests/peers/smpp.js` has it; ends with the test.
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
    /// Every message comes to that state.
    fn with_receipt_state(state: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let peers = root.join("target/peers");
        let mut command = Command::new(peers.join("python/bin/node"));
        command.env("NODE_PATH", peers.join("node_modules"));
        command
            .arg(root.join("tests/peers/smpp.js"))
            .arg(format!("{{\"receipts\":\"{state}\"}}"));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("node is installed; run ./start.sh test");
        let orders = child.stdin.take().expect("it listens");
        let mut said = BufReader::new(child.stdout.take().expect("it speaks"));
        let mut line = String::new();
        said.read_line(&mut line)
            .expect("it says where it is; run ./start.sh test");
        let event: serde_json::Value = serde_json::from_str(&line).expect("an event");
        // Its words are no longer needed, but somebody has to take them.
        std::thread::spawn(move || said.lines().map_while(Result::ok).count());
        Self {
            child,
            commands: orders,
            port: event["port"].to_string(),
        }
    }

    fn gateway(&self, more: &str) -> TestGateway {
        TestGateway::new(&format!(
            "[providers.centre]\nkind = \"smpp\"\nbase_url = \"smpp://127.0.0.1:{}\"\nsystem_id = \"gwuser\"\n\
             password = \"s3cret\"\nfrom = \"Acme\"\nreconnect_delay = \"50ms\"\n{more}\n\
             [channels.sms]\nproviders = [\"centre\"]\n[retry]\nbase = \"100ms\"\ncap = \"200ms\"\n",
            self.port
        ))
    }

    fn send_command(&mut self, order: &str) {
        writeln!(self.commands, "{order}").expect("it listens");
    }
}

#[test]
fn a_short_and_a_long_message_are_delivered() {
    let centre = SmscProcess::with_receipt_state("DELIVRD");
    let world = centre.gateway("");
    let _console = world.start_serve(&[]);
    for body in ["hello", &"a long one ".repeat(40)] {
        let id = world.send("09122222222", body);
        world.wait_for_state(&id, &["delivered"]);
    }
}

#[test]
fn a_number_that_a_receipt_reports_invalid_gets_no_more_messages() {
    let centre = SmscProcess::with_receipt_state("UNDELIV");
    let world = centre.gateway("invalid_errors = [\"1\"]");
    let _console = world.start_serve(&[]);
    let id = world.send("09122222222", "hello");
    world.wait_for_state(&id, &["failed"]);
    assert!(
        world
            .run_ok(&["recipient", "09122222222"])
            .contains("is inactive")
    );
}

#[test]
fn a_recipient_who_sends_stop_gets_no_more_messages_and_a_cut_connection_loses_nothing() {
    let mut centre = SmscProcess::with_receipt_state("DELIVRD");
    let world = centre.gateway("");
    let _console = world.start_serve(&[]);
    let first = world.send("09122222222", "hello");
    world.wait_for_state(&first, &["delivered"]);
    centre.send_command("{\"do\":\"drop\"}");
    let second = world.send("09122222223", "hello again");
    world.wait_for_state(&second, &["delivered"]);
    let stop = "{\"do\":\"deliver\",\"pdu\":{\"source_addr_ton\":1,\"source_addr\":\"989122222223\",\
                \"destination_addr\":\"30001\",\"short_message\":\"STOP\"}}";
    centre.send_command(stop);
    wait_until("the person who texted STOP has opted out", || {
        world
            .run_ok(&["recipient", "09122222223"])
            .contains("is opted_out")
    });
}
