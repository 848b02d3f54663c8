//! The notification service's clients and variables, as they are, on the real program.

use super::test_gateway::{TestGateway, wait_until};

const INBOX_BODY: &str = r#"{"userId":"5689c3cf-5acf-4c14-bc32-8e0e6927a061","email":"user@test.com","pushToken":"123",
 "phoneNumber":"+48-123-456-789","message":"Simple test message"}"#;

const LEGACY_ENVIRONMENT: [(&str, &str); 6] = [
    ("CHANNEL_SMS", "TwilioSmsService,BackupSmsService"),
    ("CHANNEL_EMAIL", "AmazonSimpleEmailService,BackupEmailService"),
    ("CHANNEL_PUSH", "PushyService"),
    (
        "CHANNEL_MIX",
        "PushyService,AmazonSimpleEmailService,TwilioSmsService",
    ),
    ("CHANNEL_FAIL", "AlwaysFailService"),
    ("USED_CHANNELS", "CHANNEL_SMS,CHANNEL_EMAIL,CHANNEL_FAIL"),
];

#[test]
fn the_default_configuration_runs_unchanged_and_channels_do_not_delay_each_other() {
    let world = TestGateway::new("");
    let _gateway = world.start_serve_with_env(&LEGACY_ENVIRONMENT);
    for number in 1..=3 {
        let answer = world.post("/inbox/send", INBOX_BODY).expect("an answer");
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(
            answer.body,
            format!(r#"{{"status":"success","data":{{"id":{number}}}}}"#)
        );
    }
    let states = || {
        let listed = world.get("/v1/messages").expect("an answer").json();
        let id = listed["messages"][0]["id"].as_str().expect("an id").to_owned();
        let message = world.message(&id);
        let deliveries = message["deliveries"].as_array().cloned().unwrap_or_default();
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let of = |delivery: &serde_json::Value| {
            let attempts = delivery["attempts"].as_array().map_or(0, Vec::len);
            (word(&delivery["channel"]), word(&delivery["state"]), attempts)
        };
        deliveries.iter().map(of).collect::<Vec<_>>()
    };
    let expected = [("sms", "sent"), ("email", "sent"), ("fail", "waiting")];
    let expected = expected.map(|(channel, state)| (channel.to_owned(), state.to_owned(), 1));
    wait_until("two channels have sent and one has failed once", || {
        states() == expected
    });
    assert!(world.log().contains("TwilioSmsService has no"), "{}", world.log());
}

#[test]
fn one_channel_may_mix_push_email_and_sms() {
    let world = TestGateway::new("");
    let mut variables = LEGACY_ENVIRONMENT.to_vec();
    variables[5].1 = "CHANNEL_MIX";
    let _gateway = world.start_serve_with_env(&variables);
    for (body, used) in [
        (INBOX_BODY, "123"),
        (&INBOX_BODY.replace("\"pushToken\":\"123\",", ""), "user@test.com"),
        (
            &INBOX_BODY.replace("\"email\":\"user@test.com\",\"pushToken\":\"123\",", ""),
            "+48123456789",
        ),
    ] {
        let answer = world.post("/inbox/send", body).expect("an answer");
        assert_eq!(answer.status, 201, "{answer:?}");
        let recipient = || {
            let listed = world.get("/v1/messages").expect("an answer").json();
            let id = listed["messages"][0]["id"].as_str().expect("an id").to_owned();
            world.message(&id)["deliveries"][0]["attempts"][0]["recipient"].clone()
        };
        wait_until("the mock that wants this address has it", || recipient() == used);
    }
}

#[test]
fn a_channel_that_does_not_exist_stops_the_start() {
    let world = TestGateway::new("");
    let mut command = world.command(&["serve"]);
    let refused = command
        .env("USED_CHANNELS", "CHANNEL_FAX")
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{words}");
    assert!(words.contains("CHANNEL_FAX"), "{words}");
}
