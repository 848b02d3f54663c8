//! Tests of the credentials and rules of accounts.

use super::load;

const ACCOUNT: &str = "[[keys]]\nname = \"shop\"\nscopes = [\"send\"]\n";

#[test]
fn an_account_needs_a_key_or_another_credential() {
    assert!(load(ACCOUNT).unwrap_err().contains("keys[0].sha256 is missing"));
    let config = load(&format!("{ACCOUNT}user = \"shop\"\npassword = \"pass1234\"\n")).unwrap();
    assert_eq!(config.keys[0].sha256, None);
    assert_eq!(config.keys[0].account.login_names(), [("user", "shop")]);
}

#[test]
fn a_name_and_its_secret_stand_together() {
    for (line, error) in [
        ("user = \"shop\"", "keys[0].password is missing; it belongs to user"),
        ("password = \"pass1234\"", "keys[0].user is missing; it belongs to password"),
        ("smpp_system_id = \"shop\"", "keys[0].smpp_password is missing"),
        ("vonage_secret = \"s\"", "keys[0].vonage_key is missing"),
        ("user = \"\"\npassword = \"p\"", "keys[0].user must not be empty"),
        (
            "twilio_sid = \"AC12\"\ntwilio_token = \"t\"",
            "keys[0].twilio_sid must be AC and 32 hexadecimal digits",
        ),
        (
            "smpp_system_id = \"sixteen-letters!\"\nsmpp_password = \"p\"",
            "keys[0].smpp_system_id must be at most 15",
        ),
        ("prefixes = [\"98912\"]", "keys[0].prefixes lists \"98912\": write a plus and digits"),
        ("networks = [\"office\"]", "keys[0].networks is invalid"),
    ] {
        let found = load(&format!("{ACCOUNT}{line}\n")).unwrap_err();
        assert!(found.contains(error), "{line}: {found}");
    }
}

#[test]
fn the_channel_of_an_account_is_configured() {
    let login = "user = \"shop\"\npassword = \"pass1234\"\n";
    let error = load(&format!("{ACCOUNT}{login}channel = \"smss\"\n")).unwrap_err();
    assert!(error.contains("keys[0].channel is \"smss\", which is not configured"), "{error}");
    let config = load(&format!("{ACCOUNT}{login}channel = \"sms\"\n")).unwrap();
    assert_eq!(config.keys[0].account.channel.as_deref(), Some("sms"));
}

#[test]
fn a_login_belongs_to_one_account() {
    let login = "smpp_system_id = \"shop\"\nsmpp_password = \"pass1234\"\n";
    let bank = ACCOUNT.replace("shop", "bank");
    let error = load(&format!("{ACCOUNT}{login}{bank}{login}")).unwrap_err();
    assert!(error.contains("keys[1].smpp_system_id belongs to two accounts"), "{error}");
}

#[test]
fn no_secret_of_an_account_is_printed() {
    let secrets = "user = \"shop\"\npassword = \"hunter21\"\nvonage_key = \"shop\"\nvonage_secret = \"hunter22\"\n\
                   twilio_sid = \"AC0123456789abcdef0123456789abcdef\"\ntwilio_token = \"hunter23\"\n\
                   smpp_system_id = \"shop\"\nsmpp_password = \"hunter24\"\n";
    let config = load(&format!("{ACCOUNT}{secrets}")).unwrap();
    assert!(!format!("{config:?}").contains("hunter"));
}
