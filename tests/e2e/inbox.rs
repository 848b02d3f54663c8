//! The clients and environment variables of the notification service (system B) with the real program, unchanged.

use super::test_gateway::{TestGateway, wait_until};

const INBOX_BODY: &str = r#"{"userId":"5689c3cf-5acf-4c14-bc32-8e0e6927a061","email":"user@test.com","pushToken":"123",
 "phoneNumber":"+48-123-456-789","message":"Simple test message"}"#;

const LEGACY_ENVIRONMENT: [(&str, &str); 6] = [
    ("CHANNEL_SMS", "TwilioSmsService,BackupSmsService"),
    ("CHANNEL_EMAIL", "AmazonSimpleEmailService,BackupEmailService"),
    ("CHANNEL_PUSH", "PushyService"),
    ("CHANNEL_MIX", "PushyService,AmazonSimpleEmailService,TwilioSmsService"),
    ("CHANNEL_FAIL", "AlwaysFailService"),
    ("USED_CHANNELS", "CHANNEL_SMS,CHANNEL_EMAIL,CHANNEL_FAIL"),
];

#[test]
fn the_default_configuration_runs_unchanged_and_channels_do_not_delay_each_other() {
    let gateway = TestGateway::new("");
    let _console = gateway.start_serve_with_env(&LEGACY_ENVIRONMENT);
    for number in 1..=3 {
        let response = gateway.post("/inbox/send", INBOX_BODY).expect("a response");
        assert_eq!(response.status, 201, "{response:?}");
        assert_eq!(response.body, format!(r#"{{"status":"success","data":{{"id":{number}}}}}"#));
    }
    let states = || {
        let listed = gateway.get("/v1/messages").expect("a response").json();
        let id = listed["messages"][0]["id"].as_str().expect("an id").to_owned();
        let message = gateway.message(&id);
        let deliveries = message["deliveries"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let of = |delivery: &serde_json::Value| {
            let attempts = delivery["attempts"].as_array().map_or(0, Vec::len);
            (text(&delivery["channel"]), text(&delivery["state"]), attempts)
        };
        deliveries.iter().map(of).collect::<Vec<_>>()
    };
    let expected = [("sms", "sent"), ("email", "sent"), ("fail", "waiting")];
    let expected = expected.map(|(channel, state)| (channel.to_owned(), state.to_owned(), 1));
    wait_until("two channels have sent and one has failed once", || states() == expected);
    assert!(gateway.log().contains("TwilioSmsService has no"), "{}", gateway.log());
}

#[test]
fn one_channel_may_mix_push_email_and_sms() {
    let gateway = TestGateway::new("");
    let mut variables = LEGACY_ENVIRONMENT.to_vec();
    variables[5].1 = "CHANNEL_MIX";
    let _console = gateway.start_serve_with_env(&variables);
    for (body, used) in [
        (INBOX_BODY, "123"),
        (&INBOX_BODY.replace("\"pushToken\":\"123\",", ""), "user@test.com"),
        (&INBOX_BODY.replace("\"email\":\"user@test.com\",\"pushToken\":\"123\",", ""), "+48123456789"),
    ] {
        let response = gateway.post("/inbox/send", body).expect("a response");
        assert_eq!(response.status, 201, "{response:?}");
        let recipient = || {
            let listed = gateway.get("/v1/messages").expect("a response").json();
            let id = listed["messages"][0]["id"].as_str().expect("an id").to_owned();
            gateway.message(&id)["deliveries"][0]["attempts"][0]["recipient"].clone()
        };
        wait_until("the provider for this kind of address has sent", || recipient() == used);
    }
}

#[test]
fn a_channel_that_does_not_exist_stops_the_start() {
    let gateway = TestGateway::new("");
    let mut command = gateway.command(&["serve"]);
    let output = command.env("USED_CHANNELS", "CHANNEL_FAX").output().expect("console starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("CHANNEL_FAX"), "{stderr}");
}
