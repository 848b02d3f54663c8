use super::*;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW_SECRET: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

#[test]
fn the_example_of_the_reference_is_signed_with_one_and_with_two_secrets() {
    let body = br#"{"type":"message.delivered","timestamp":"2026-07-21T14:03:09Z","data":{"message_id":"01J9ZC5T","to":"+989121234567","status":"delivered"}}"#;
    let sign = |secrets: &[&str]| {
        let secrets = SigningSecrets::parse(secrets).unwrap();
        secrets.sign("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1_784_642_589, body)
    };
    let one = "v1,NxW2e6Kzw8FR6SjcH1Pt7tfp2jrNuFOvBxUThdwXp9Y=";
    assert_eq!(sign(&[SECRET]), one);
    let both = format!("{one} v1,x51SrwJ+csCotwzzA1k682BVpebpaEKS4MOCktPHebY=");
    assert_eq!(sign(&[SECRET, NEW_SECRET]), both);
}

#[test]
fn the_example_of_the_reference_libraries_is_signed() {
    let secrets = SigningSecrets::parse(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
    let signature = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn prefix_and_padding_are_optional_and_an_invalid_secret_is_not_shown() {
    let bare = SECRET.trim_start_matches(SIGNING_SECRET_PREFIX).trim_end_matches('=');
    assert_eq!(SigningSecrets::parse(&[bare]), SigningSecrets::parse(&[SECRET]));
    for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_hunter2!", &format!("whsec_{}", "A".repeat(200))] {
        let error = SigningSecrets::parse(&[SECRET, wrong]).unwrap_err();
        assert!(error.contains("number 2") && !error.contains("hunter2"), "{error}");
    }
    assert_eq!(format!("{:?}", SigningSecrets::parse(&[SECRET, NEW_SECRET])), "Ok(SigningSecrets(2))");
}
