//! The compatible APIs with unmodified clients: the SDKs of Twilio for Python and Node.js, that of Vonage for Node.js.

use std::path::PathBuf;
use std::process::Command;

use super::peer_programs::peers_folder;
use super::test_gateway::TestGateway;

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "token-of-the-shop";

fn gateway() -> TestGateway {
    TestGateway::new(&format!(
        "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n\
         [compat.twilio]\nenabled = true\n[compat.vonage]\nenabled = true\n\
         [events]\nnetworks = [\"127.0.0.1\"]\n\
         [[keys]]\nname = \"shop\"\nscopes = [\"send\", \"read\"]\ntwilio_sid = \"{SID}\"\n\
         twilio_token = \"{TOKEN}\"\nvonage_key = \"vkey\"\nvonage_secret = \"vonage-secret\"\n"
    ))
}

/// Runs a client, which prints `ok` if everything was as it expects.
fn expect_ok(gateway: &TestGateway, program: &str, script: &str, arguments: &[&str]) {
    let peers = peers_folder();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let output = Command::new(peers.join("python/bin").join(program))
        .env("NODE_PATH", peers.join("node_modules"))
        .arg(script)
        .arg(format!("http://{}", gateway.address))
        .args([SID, TOKEN])
        .args(arguments)
        .output()
        .expect("the clients are installed; run ./start.sh test");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.trim(), "ok", "{err}\n{}", gateway.log());
}

#[test]
fn the_python_sdk_of_twilio_works_with_another_base_url() {
    let gateway = gateway();
    let _serve = gateway.start_serve(&[]);
    expect_ok(&gateway, "python", "twilio_client.py", &[]);
}

#[test]
fn the_node_sdks_of_twilio_and_vonage_work_with_another_base_url() {
    let gateway = gateway();
    let _serve = gateway.start_serve(&[]);
    expect_ok(&gateway, "node", "sms_clients.js", &["vkey", "vonage-secret"]);
}
