//! The adapter against aiosmtpd, and against servers that no library would write.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::peer::{PeerProcess, TestCertificate};
use crate::{Transcript, conformance};

fn smtp(port: u16, more: &str) -> Smtp {
    smtp_with_transcript(port, more, None)
}

fn smtp_with_transcript(port: u16, more: &str, tape: Option<Transcript>) -> Smtp {
    let usual = if more.contains("tls =") {
        ""
    } else {
        "tls = \"none\""
    };
    let table =
        format!("host = \"localhost\"\nport = {port}\nfrom = \"Shop <shop@example.org>\"\n{usual}\n{more}");
    let settings = SmtpSettings::read(table.parse().unwrap()).unwrap();
    let mut context = conformance::sample_context();
    if let Some(tape) = tape {
        context.http_clients = context.http_clients.with_transcript(tape);
    }
    Smtp::new(&context, &settings).unwrap()
}

async fn start_peer(arguments: &[&str]) -> PeerProcess {
    PeerProcess::start("smtp_server.py", arguments).await
}

fn message_to(address: &str) -> OutboundMessage {
    OutboundMessage {
        to: address.to_owned(),
        ..conformance::sample_message()
    }
}

#[tokio::test]
async fn a_mail_server_takes_a_mail_and_keeps_its_letters() {
    let mut peer = start_peer(&[]).await;
    let smtp = smtp(peer.port(), "bounces_to = \"bounces@example.org\"");
    let parcel = OutboundMessage {
        body: "Grüße\n.\n..a\nسلام".to_owned(),
        ..message_to("user@example.com")
    };
    let answer = smtp.send(&parcel).await;
    let id = format!("{}.{}@example.org", parcel.message_id, parcel.delivery_id);
    assert_eq!(
        answer.outcome,
        Outcome::Accepted {
            reference: Some(id.clone())
        }
    );
    assert_eq!(answer.code.as_deref(), Some("250 2.0.0"));
    let mail = peer.next_message().await;
    assert_eq!(mail["sender"], "bounces@example.org");
    assert_eq!(mail["to"], serde_json::json!(["user@example.com"]));
    assert_eq!(mail["hello"], "example.org");
    let content = mail["content"].as_str().unwrap();
    assert!(content.contains(&format!("Message-ID: <{id}>\r\n")), "{content}");
    assert!(
        content.contains("Subject: =?utf-8?b?R3LDvMOfZQ==?= & 50%\r\n"),
        "{content}"
    );
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
        let answer = smtp.send(&message_to(address)).await;
        assert_eq!(
            (answer.outcome.as_str(), answer.code.as_deref()),
            (outcome, Some(code)),
            "{address}"
        );
    }
}

#[tokio::test]
async fn silence_after_the_mail_is_unknown() {
    let mut peer = start_peer(&[]).await;
    let answer = smtp(peer.port(), "")
        .send(&message_to("drop.data@example.com"))
        .await;
    assert_eq!(answer.outcome.as_str(), "unknown", "{answer:?}");
    peer.next_message().await;
    let mut hasty = smtp(peer.port(), "");
    hasty.call_timeout = Duration::from_secs(2);
    let answer = hasty.send(&message_to("hang.data@example.com")).await;
    let Outcome::Unknown { reason } = answer.outcome else {
        panic!("{answer:?}")
    };
    assert_eq!(reason, "no answer in time to the mail");
}

#[tokio::test]
async fn a_connection_carries_mail_after_mail_and_is_replaced_when_it_died() {
    let mut peer = start_peer(&[]).await;
    let smtp = smtp(peer.port(), "mails_per_connection = 2");
    let mut ports = Vec::new();
    for _ in 0..3 {
        assert_eq!(
            smtp.send(&message_to("user@example.com")).await.outcome.as_str(),
            "accepted"
        );
        ports.push(peer.next_message().await["peer"].clone());
    }
    assert_eq!(ports[0], ports[1]);
    assert_ne!(ports[1], ports[2]);
    let place = peer.port();
    drop(peer);
    let answer = smtp.send(&message_to("user@example.com")).await;
    assert_eq!(
        answer.outcome.as_str(),
        "unavailable",
        "nobody is at {place}: {answer:?}"
    );
}

#[tokio::test]
async fn tls_is_checked_and_never_left_out() {
    let (ours, theirs) = (
        TestCertificate::self_signed_ca(),
        TestCertificate::self_signed_ca(),
    );
    let fitting = ours.sign("DNS:localhost");
    let stranger = ours.sign("DNS:elsewhere.example");
    let secret = ["--user", "gateway", "--password", "hunter2"];
    for mode in ["starttls", "tls"] {
        let start = |certificate: &TestCertificate| {
            let (file, key) = (certificate.certificate_path(), certificate.key_path());
            async move {
                let mut arguments = vec!["--tls", mode, "--certificate", &file, "--key", &key];
                arguments.extend(secret);
                start_peer(&arguments).await
            }
        };
        let keys = |roots: &TestCertificate, password: &str| {
            let file = roots.certificate_path();
            format!(
                "tls = \"{mode}\"\nca_file = \"{file}\"\nusername = \"gateway\"\npassword = \"{password}\""
            )
        };
        let mut peer = start(&fitting).await;
        let answer = smtp(peer.port(), &keys(&ours, "hunter2"))
            .send(&message_to("user@example.com"))
            .await;
        assert_eq!(answer.outcome.as_str(), "accepted", "{mode}: {answer:?}");
        let mail = peer.next_message().await;
        assert_eq!(
            (&mail["tls"], &mail["user"]),
            (&true.into(), &"gateway".into()),
            "{mail}"
        );

        let answer = smtp(peer.port(), &keys(&ours, "wrong"))
            .send(&message_to("user@example.com"))
            .await;
        assert_eq!(answer.outcome.as_str(), "misconfigured", "{mode}: {answer:?}");
        assert_eq!(answer.code.as_deref(), Some("535 5.7.8"));
        let answer = smtp(peer.port(), &keys(&theirs, "hunter2"))
            .send(&message_to("user@example.com"))
            .await;
        assert_eq!(answer.outcome.as_str(), "misconfigured", "{mode}: {answer:?}");
        let elsewhere = start(&stranger).await;
        let answer = smtp(elsewhere.port(), &keys(&ours, "hunter2"))
            .send(&message_to("user@example.com"))
            .await;
        let reason = answer.outcome.reason().unwrap_or_default();
        assert!(
            reason.contains("localhost cannot be trusted"),
            "{mode}: {answer:?}"
        );
    }
    let plain = start_peer(&[]).await;
    let more = format!("tls = \"starttls\"\nca_file = \"{}\"", ours.certificate_path());
    let answer = smtp(plain.port(), &more)
        .send(&message_to("user@example.com"))
        .await;
    assert_eq!(answer.outcome.as_str(), "misconfigured", "{answer:?}");
}

#[tokio::test]
async fn both_ways_to_sign_in_work_and_the_dialogue_hides_the_password() {
    let mut peer = start_peer(&["--user", "gateway", "--password", "hunter2"]).await;
    for auth in ["plain", "login"] {
        let tape = Transcript::new(&["hunter2".to_owned()]);
        let more = format!("username = \"gateway\"\npassword = \"hunter2\"\nauth = \"{auth}\"");
        let smtp = smtp_with_transcript(peer.port(), &more, Some(tape.clone()));
        let answer = smtp.send(&message_to("user@example.com")).await;
        assert_eq!(answer.outcome.as_str(), "accepted", "{auth}: {answer:?}");
        assert_eq!(peer.next_message().await["user"], "gateway");
        let lines = tape.lines();
        let has = |line: &str| lines.iter().any(|told| told.starts_with(line));
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
        let all = lines.join("\n");
        for secret in [
            "hunter2",
            &BASE64.encode("hunter2"),
            &BASE64.encode("\0gateway\0hunter2"),
        ] {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
    }
}

#[tokio::test]
async fn a_check_signs_in_and_sends_nothing() {
    let peer = start_peer(&["--user", "gateway", "--password", "hunter2"]).await;
    let keys = |password: &str| format!("username = \"gateway\"\npassword = \"{password}\"");
    let AccountCheck::Passed(shown) = smtp(peer.port(), &keys("hunter2")).check_account().await else {
        panic!("it works")
    };
    assert!(shown.contains("signed in"), "{shown}");
    let AccountCheck::Failed(fault) = smtp(peer.port(), &keys("wrong")).check_account().await else {
        panic!("the password is wrong")
    };
    assert!(fault.contains("535") && !fault.contains("wrong;"), "{fault}");
}

#[tokio::test]
async fn the_contract_holds() {
    let peer = start_peer(&[]).await;
    conformance::check_provider(&smtp(peer.port(), "")).await;
}

/// A server that says these lines, one for each that it hears, and then hangs up.
async fn scripted_server(lines: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            for line in lines {
                stream.write_all(line.as_bytes()).await.ok();
                let mut heard = String::new();
                if stream.read_line(&mut heard).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            stream.flush().await.ok();
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_breaks_off_before_the_mail_has_not_taken_it() {
    for lines in [
        &["220 hi\r\n"] as &[&str],
        &["HTTP/1.1 400 Bad Request\r\n"],
        &["220 hi\r\n", "250-x\r\n250 SIZE\r\n", "250 ok\r\n", "250 ok\r\n"],
    ] {
        let port = scripted_server(lines.to_vec().leak()).await;
        let answer = smtp(port, "").send(&message_to("user@example.com")).await;
        assert_eq!(answer.outcome.as_str(), "unavailable", "{lines:?}: {answer:?}");
    }
    let port = scripted_server(&["554 no service for you\r\n"]).await;
    assert_eq!(
        smtp(port, "")
            .send(&message_to("user@example.com"))
            .await
            .outcome
            .as_str(),
        "misconfigured"
    );
}

#[tokio::test]
async fn what_an_attacker_puts_before_tls_is_not_heard_after_it() {
    let ours = TestCertificate::self_signed_ca();
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let attack = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = [0; 1024];
        for line in [
            "220 hi\r\n",
            "250-x\r\n250 STARTTLS\r\n",
            "220 go\r\n250 AUTH PLAIN\r\n235 in\r\n",
        ] {
            stream.write_all(line.as_bytes()).await.unwrap();
            assert_ne!(stream.read(&mut heard).await.unwrap(), 0, "an answer");
        }
        // Only the beginning of a TLS handshake may follow.
        heard[0]
    });
    let more = format!(
        "tls = \"starttls\"\nca_file = \"{}\"\nusername = \"gateway\"\npassword = \"hunter2\"",
        ours.certificate_path()
    );
    let answer = smtp(port, &more).send(&message_to("user@example.com")).await;
    assert_eq!(answer.outcome.as_str(), "unavailable", "{answer:?}");
    assert_eq!(attack.await.unwrap(), 0x16);
}

#[test]
fn wrong_settings_name_the_key_and_the_remedy() {
    let from = "from = \"shop@example.org\"";
    for (table, words) in [
        ("host = \"mail.example.org\"", "missing field `from`"),
        (
            &format!("host = \"smtp://mail\"\n{from}"),
            "host: write the server's name alone",
        ),
        ("host = \"mail\"\nfrom = \"shop\"", "from: is no address"),
        (
            "host = \"mail\"\nfrom = \"a@b.c\\r\\nBcc: x\"",
            "from: must be one line",
        ),
        (
            &format!("host = \"mail\"\n{from}\nusername = \"a\""),
            "password: is missing",
        ),
        (
            &format!("host = \"mail\"\n{from}\npassword = \"hunter2\""),
            "username: is missing",
        ),
        (
            &format!("host = \"mail\"\n{from}\ntls = \"ssl\""),
            "tls: unknown variant",
        ),
        (
            &format!("host = \"mail\"\n{from}\nsubject = \"a\\nb\""),
            "subject: must be one line",
        ),
        (
            &format!("host = \"mail\"\n{from}\npasword = \"hunter2\""),
            "pasword",
        ),
    ] {
        let refused = SmtpSettings::read(table.parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(words) && !refused.contains("hunter2"),
            "{table}: {refused}"
        );
    }
    let missing = format!("host = \"mail\"\n{from}\nca_file = \"/nowhere/ca.pem\"");
    let settings = SmtpSettings::read(missing.parse().unwrap()).unwrap();
    let refused = Smtp::new(&conformance::sample_context(), &settings)
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.starts_with("ca_file: /nowhere/ca.pem cannot be read"),
        "{refused}"
    );
}
