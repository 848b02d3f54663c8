//! `/api.json` describes the HTTP APIs correctly: schemathesis generates valid and invalid requests from it and
//! checks every response of a running gateway against it.

use std::path::PathBuf;
use std::process::Command;

use super::peer_programs::peers_folder;
use super::test_gateway::TestGateway;

/// A gateway with one channel and one key; the secret of the key is `sesame`.
const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n\
                             [limits]\nwrong_keys_per_minute = 0\n[[keys]]\nname = \"tester\"\n\
                             sha256 = \"d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272\"\n\
                             scopes = [\"send\", \"read\"]\n";

fn schemathesis_program() -> PathBuf {
    let program = peers_folder().join("python/bin/schemathesis");
    assert!(program.exists(), "schemathesis is not installed: run ./start.sh test");
    program
}

/// Runs schemathesis and returns whether it succeeded, with its output.
fn run_schemathesis(gateway: &TestGateway) -> (bool, String) {
    let url = format!("http://{}/api.json", gateway.address);
    let output = Command::new(schemathesis_program())
        .current_dir(gateway.folder.path())
        .arg("--config-file")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/schemathesis.toml"))
        .args(["run", &url, "--header", "X-Api-Key: sesame", "--seed", "17"])
        .args([
            "--request-timeout",
            "60",
            "--max-examples",
            "20",
            "--suppress-health-check",
            "all",
            "--continue-on-failure",
        ])
        .output()
        .expect("schemathesis runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn generated_requests_are_answered_as_the_description_states() {
    let gateway = TestGateway::new(CONFIG);
    let _serve = gateway.start_serve(&[]);
    let (success, output) = run_schemathesis(&gateway);
    assert!(success, "{output}\n{}", gateway.log());
}
