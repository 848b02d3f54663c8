//! Tests of the adapter against aiosmtpd and against servers that violate the protocol.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::Transcript;
use crate::testing::conformance;
use crate::testing::peer::PeerProcess;
use postrider_core::testing::certificates::TestCertificate;

fn smtp(port: u16, overrides: &str) -> Smtp {
    smtp_with_transcript(port, overrides, None)
}

fn smtp_with_transcript(port: u16, overrides: &str, transcript: Option<Transcript>) -> Smtp {
    let encryption = if overrides.contains("tls =") { "" } else { "tls = \"none\"" };
    let table = format!(
        "host = \"localhost\"\nport = {port}\nfrom = \"Shop <shop@example.org>\"\n{encryption}\n{overrides}"
    );
    let settings = SmtpSettings::read(table.parse().unwrap()).unwrap();
    let mut context = conformance::sample_context();
    if let Some(transcript) = transcript {
        context.http_clients = context.http_clients.with_transcript(transcript);
    }
    Smtp::new(&context, &settings).unwrap()
}

async fn start_peer(arguments: &[&str]) -> PeerProcess {
    PeerProcess::start("smtp_server.py", arguments).await
}

fn message_to(address: &str) -> OutboundMessage {
    OutboundMessage { to: address.to_owned(), ..conformance::sample_message() }
}

#[tokio::test]
async fn a_mail_arrives_unchanged() {
    let mut peer = start_peer(&[]).await;
    let smtp = smtp(peer.port(), "bounces_to = \"bounces@example.org\"");
    let message =
        OutboundMessage { body: "Grüße\n.\n..a\nسلام".to_owned(), ..message_to("user@example.com") };
    let result = smtp.send(&message).await;
    let id = format!("{}.{}@example.org", message.message_id, message.delivery_id);
    assert_eq!(result.outcome, Outcome::Accepted { reference: Some(id.clone()) });
    assert_eq!(result.code.as_deref(), Some("250 2.0.0"));
    let mail = peer.next_message().await;
    assert_eq!(mail["sender"], "bounces@example.org");
    assert_eq!(mail["to"], serde_json::json!(["user@example.com"]));
    assert_eq!(mail["hello"], "example.org");
    let content = mail["content"].as_str().unwrap();
    assert!(content.contains(&format!("Message-ID: <{id}>\r\n")), "{content}");
    assert!(content.contains("Subject: =?utf-8?b?R3LDvMOfZSAmIDUwJQ==?=\r\n"), "{content}");
    let text = content.split_once("\r\n\r\n").unwrap().1.replace("\r\n", "");
    let text = String::from_utf8(BASE64.decode(text).unwrap()).unwrap();
    assert_eq!(text, "Grüße\r\n.\r\n..a\r\nسلام");
}

#[tokio::test]
async fn refusals_become_outcomes_with_their_codes() {
    let peer = start_peer(&[]).await;
    let smtp = smtp(peer.port(), "");
    for (address, outcome, code) in [
        ("rcpt.550.5.1.1@example.com", "invalid_recipient", "550 5.1.1"),
        ("rcpt.450.4.2.0.greylisted@example.com", "deferred", "450 4.2.0"),
        ("rcpt.552.5.2.2@example.com", "deferred", "552 5.2.2"),
        ("rcpt.421.4.3.2@example.com", "unavailable", "421 4.3.2"),
        ("rcpt.451.4.7.28@example.com", "throttled", "451 4.7.28"),
        ("mail.554.5.6.0@example.com", "rejected", "554 5.6.0"),
        ("mail.550.5.7.26@example.com", "misconfigured", "550 5.7.26"),
        ("mail.451.4.3.0@example.com", "unavailable", "451 4.3.0"),
        ("fine@example.com", "accepted", "250 2.0.0"),
    ] {
        let result = smtp.send(&message_to(address)).await;
        assert_eq!((result.outcome.as_str(), result.code.as_deref()), (outcome, Some(code)), "{address}");
    }
}

#[tokio::test]
async fn no_reply_after_the_mail_is_unknown() {
    let mut peer = start_peer(&[]).await;
    let result = smtp(peer.port(), "").send(&message_to("drop.data@example.com")).await;
    assert_eq!(result.outcome.as_str(), "unknown", "{result:?}");
    peer.next_message().await;
    let impatient = smtp(peer.port(), "data_timeout = \"1s\"");
    let result = impatient.send(&message_to("hang.data@example.com")).await;
    let Outcome::Unknown { reason } = result.outcome else { panic!("{result:?}") };
    assert_eq!(reason, "timeout waiting for the reply to the mail");
}

#[tokio::test]
async fn the_reply_to_the_final_dot_may_take_longer_than_the_call_timeout() {
    let peer = start_peer(&[]).await;
    let mut smtp = smtp(peer.port(), "data_timeout = \"3s\"");
    smtp.call_timeout = Duration::from_secs(1);
    let result = smtp.send(&message_to("hang.data@example.com")).await;
    assert_eq!(result.outcome.as_str(), "unknown", "{result:?}");
    assert_eq!(smtp.extra_call_time(), Duration::from_secs(3));
    assert!(!smtp.repeats_unknown());
}

#[tokio::test]
async fn a_late_reply_to_the_final_dot_is_accepted_and_the_mail_sent_once() {
    let mut peer = start_peer(&[]).await;
    let mut smtp = smtp(peer.port(), "");
    smtp.call_timeout = Duration::from_secs(1);
    let result = smtp.send(&message_to("slow.data@example.com")).await;
    assert_eq!(result.outcome.as_str(), "accepted", "{result:?}");
    peer.next_message().await;
    smtp.send(&message_to("next@example.com")).await;
    assert_eq!(peer.next_message().await["to"], serde_json::json!(["next@example.com"]));
}

#[tokio::test]
async fn a_non_ascii_address_needs_a_server_that_supports_it() {
    let mut peer = start_peer(&[]).await;
    let result = smtp(peer.port(), "").send(&message_to("üser@example.com")).await;
    assert_eq!(result.outcome.as_str(), "accepted", "{result:?}");
    assert_eq!(peer.next_message().await["to"], serde_json::json!(["üser@example.com"]));
    let ascii_only = start_peer(&["--no-smtputf8"]).await;
    let smtp = smtp(ascii_only.port(), "");
    let result = smtp.send(&message_to("üser@example.com")).await;
    assert_eq!(result.outcome.as_str(), "unavailable", "the next provider is asked: {result:?}");
    assert!(smtp.concerns_destination(result.code.as_deref().unwrap()), "{result:?}");
    assert_eq!(smtp.send(&message_to("user@bücher.example")).await.outcome.as_str(), "accepted");
}

#[tokio::test]
async fn a_connection_is_reused_and_replaced_when_it_is_lost() {
    let mut peer = start_peer(&[]).await;
    let smtp = smtp(peer.port(), "mails_per_connection = 2");
    let mut ports = Vec::new();
    for _ in 0..3 {
        assert_eq!(smtp.send(&message_to("user@example.com")).await.outcome.as_str(), "accepted");
        ports.push(peer.next_message().await["peer"].clone());
    }
    assert_eq!(ports[0], ports[1]);
    assert_ne!(ports[1], ports[2]);
    let port = peer.port();
    drop(peer);
    let result = smtp.send(&message_to("user@example.com")).await;
    assert_eq!(result.outcome.as_str(), "unavailable", "no server at port {port}: {result:?}");
}

#[tokio::test]
async fn tls_is_verified_and_required() {
    let (trusted_ca, other_ca) = (TestCertificate::authority(), TestCertificate::authority());
    let valid = trusted_ca.sign(&["localhost"]);
    let wrong_host = trusted_ca.sign(&["elsewhere.example"]);
    let login = ["--user", "gateway", "--password", "hunter2"];
    for mode in ["starttls", "tls"] {
        let start = |certificate: &TestCertificate| {
            let paths = [certificate.certificate_path(), certificate.key_path()];
            let [file, key] = paths.map(|path| path.display().to_string());
            async move {
                let mut arguments = vec!["--tls", mode, "--certificate", &file, "--key", &key];
                arguments.extend(login);
                start_peer(&arguments).await
            }
        };
        let settings = |ca: &TestCertificate, password: &str| {
            let certificate_path = ca.certificate_path();
            let file = certificate_path.display();
            format!(
                "tls = \"{mode}\"\nca_file = \"{file}\"\nusername = \"gateway\"\npassword = \"{password}\""
            )
        };
        let mut peer = start(&valid).await;
        let result =
            smtp(peer.port(), &settings(&trusted_ca, "hunter2")).send(&message_to("user@example.com")).await;
        assert_eq!(result.outcome.as_str(), "accepted", "{mode}: {result:?}");
        let mail = peer.next_message().await;
        assert_eq!((&mail["tls"], &mail["user"]), (&true.into(), &"gateway".into()), "{mail}");

        let result =
            smtp(peer.port(), &settings(&trusted_ca, "wrong")).send(&message_to("user@example.com")).await;
        assert_eq!(result.outcome.as_str(), "misconfigured", "{mode}: {result:?}");
        assert_eq!(result.code.as_deref(), Some("535 5.7.8"));
        let result =
            smtp(peer.port(), &settings(&other_ca, "hunter2")).send(&message_to("user@example.com")).await;
        assert_eq!(result.outcome.as_str(), "misconfigured", "{mode}: {result:?}");
        let other_host = start(&wrong_host).await;
        let result = smtp(other_host.port(), &settings(&trusted_ca, "hunter2"))
            .send(&message_to("user@example.com"))
            .await;
        let reason = result.outcome.reason().unwrap_or_default();
        assert!(reason.contains("invalid certificate of localhost"), "{mode}: {result:?}");
    }
    let plain = start_peer(&[]).await;
    let overrides = format!("tls = \"starttls\"\nca_file = \"{}\"", trusted_ca.certificate_path().display());
    let result = smtp(plain.port(), &overrides).send(&message_to("user@example.com")).await;
    assert_eq!(result.outcome.as_str(), "misconfigured", "{result:?}");
}

#[tokio::test]
async fn plain_and_login_work_and_the_transcript_hides_the_password() {
    let mut peer = start_peer(&["--user", "gateway", "--password", "hunter2"]).await;
    for auth in ["plain", "login"] {
        let transcript = Transcript::new(&["hunter2".to_owned()]);
        let overrides = format!("username = \"gateway\"\npassword = \"hunter2\"\nauth = \"{auth}\"");
        let smtp = smtp_with_transcript(peer.port(), &overrides, Some(transcript.clone()));
        let result = smtp.send(&message_to("user@example.com")).await;
        assert_eq!(result.outcome.as_str(), "accepted", "{auth}: {result:?}");
        assert_eq!(peer.next_message().await["user"], "gateway");
        let lines = transcript.lines();
        let has = |line: &str| lines.iter().any(|recorded| recorded.starts_with(line));
        for line in [
            "< 220 ",
            "> EHLO example.org",
            "< 250-AUTH",
            "> MAIL FROM:<shop@example.org>",
            "> From: Shop",
            "> .",
        ] {
            assert!(has(line), "{line} is not in {lines:#?}");
        }
        assert!(has(&format!("> AUTH {}", auth.to_uppercase())), "{lines:#?}");
        let text = lines.join("\n");
        for secret in ["hunter2", &BASE64.encode("hunter2"), &BASE64.encode("\0gateway\0hunter2")] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn an_account_check_logs_in_and_sends_nothing() {
    let mut peer = start_peer(&["--user", "gateway", "--password", "hunter2"]).await;
    let login = |password: &str| format!("username = \"gateway\"\npassword = \"{password}\"");
    let AccountCheck::Passed(summary) = smtp(peer.port(), &login("hunter2")).check_account().await else {
        panic!("the password is right")
    };
    assert!(summary.contains("logged in"), "{summary}");
    let AccountCheck::Failed(reason) = smtp(peer.port(), &login("wrong")).check_account().await else {
        panic!("the password is wrong")
    };
    assert!(reason.contains("535") && !reason.contains("wrong;"), "{reason}");
    // The first mail that arrives is this one, so the checks sent none.
    let message = message_to("after.check@example.com");
    smtp(peer.port(), &login("hunter2")).send(&message).await;
    let mail = peer.next_message().await;
    assert_eq!(mail["to"], serde_json::json!(["after.check@example.com"]));
}

#[tokio::test]
async fn the_adapter_conforms() {
    let peer = start_peer(&[]).await;
    conformance::check_provider(&smtp(peer.port(), "")).await;
}

/// Starts a server that answers each line it receives with the next of `lines`, and then closes the connection.
async fn scripted_server(lines: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            for line in lines {
                stream.write_all(line.as_bytes()).await.ok();
                let mut received = String::new();
                if stream.read_line(&mut received).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            stream.flush().await.ok();
        }
    });
    port
}

#[tokio::test]
async fn a_connection_lost_before_the_mail_is_unavailable() {
    for lines in [
        &["220 hi\r\n"] as &[&str],
        &["HTTP/1.1 400 Bad Request\r\n"],
        &["220 hi\r\n", "250-x\r\n250 SIZE\r\n", "250 ok\r\n", "250 ok\r\n"],
    ] {
        let port = scripted_server(lines.to_vec().leak()).await;
        let result = smtp(port, "").send(&message_to("user@example.com")).await;
        assert_eq!(result.outcome.as_str(), "unavailable", "{lines:?}: {result:?}");
    }
    let port = scripted_server(&["554 no service for you\r\n"]).await;
    assert_eq!(smtp(port, "").send(&message_to("user@example.com")).await.outcome.as_str(), "misconfigured");
}

#[tokio::test]
async fn bytes_injected_before_tls_are_discarded() {
    let ca = TestCertificate::authority();
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let attack = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = [0; 1024];
        for line in ["220 hi\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n250 AUTH PLAIN\r\n235 in\r\n"] {
            stream.write_all(line.as_bytes()).await.unwrap();
            assert_ne!(stream.read(&mut received).await.unwrap(), 0, "a command");
        }
        // Must be the first byte of a TLS handshake.
        received[0]
    });
    let overrides = format!(
        "tls = \"starttls\"\nca_file = \"{}\"\nusername = \"gateway\"\npassword = \"hunter2\"",
        ca.certificate_path().display()
    );
    let result = smtp(port, &overrides).send(&message_to("user@example.com")).await;
    assert_eq!(result.outcome.as_str(), "unavailable", "{result:?}");
    assert_eq!(attack.await.unwrap(), 0x16);
}

#[test]
fn invalid_settings_are_rejected_with_key_and_remedy() {
    let from = "from = \"shop@example.org\"";
    for (table, expected) in [
        ("host = \"mail.example.org\"", "missing field `from`"),
        (&format!("host = \"smtp://mail\"\n{from}"), "host: must be a host name"),
        ("host = \"mail\"\nfrom = \"shop\"", "from: not an email address"),
        ("host = \"mail\"\nfrom = \"a@b.c\\r\\nBcc: x\"", "from: must be one line"),
        (&format!("host = \"mail\"\n{from}\nusername = \"a\""), "password: is missing"),
        (&format!("host = \"mail\"\n{from}\npassword = \"hunter2\""), "username: is missing"),
        (&format!("host = \"mail\"\n{from}\ntls = \"ssl\""), "tls: unknown variant"),
        (&format!("host = \"mail\"\n{from}\nsubject = \"a\\nb\""), "subject: must be one line"),
        (&format!("host = \"mail\"\n{from}\npasword = \"hunter2\""), "pasword"),
    ] {
        let error = SmtpSettings::read(table.parse().unwrap()).err().unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{table}: {error}");
    }
    let missing = format!("host = \"mail\"\n{from}\nca_file = \"/nowhere/ca.pem\"");
    let settings = SmtpSettings::read(missing.parse().unwrap()).unwrap();
    let error = Smtp::new(&conformance::sample_context(), &settings).err().unwrap().to_string();
    assert!(error.starts_with("ca_file: /nowhere/ca.pem cannot be read"), "{error}");
}
