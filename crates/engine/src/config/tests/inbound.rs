//! Tests of the routes of inbound messages.

use super::{TWO_PROVIDERS, load};
use crate::config::InboundRoute;
use chrono::DateTime;
use postrider_core::inbound::InboundMessage;
use postrider_core::inbound_record::InboundTarget;
use postrider_core::name::ConfigName;

const KEY: &str = "[[keys]]\nname = \"shop\"\nkey = \"0123456789abcdef\"\nscopes = [\"send\"]\n";
const SECRETS: &str = "events.secrets = [\"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\"]\n";

fn load_route(keys: &str) -> Result<InboundRoute, String> {
    let text = format!("{SECRETS}{TWO_PROVIDERS}{KEY}[[inbound]]\nname = \"orders\"\n{keys}");
    load(&text).map(|config| config.inbound_routes[0].clone())
}

fn message(to: &str, body: &str) -> InboundMessage {
    InboundMessage {
        reference: None,
        from: "+989122222222".to_owned(),
        to: to.to_owned(),
        body: body.to_owned(),
        at: DateTime::UNIX_EPOCH,
        is_incomplete: false,
    }
}

#[test]
fn a_route_fits_by_number_keyword_pattern_and_provider() {
    let red: ConfigName = "red".parse().unwrap();
    let blue: ConfigName = "blue".parse().unwrap();
    for (keys, to, body, is_match) in [
        ("", "+983000", "anything", true),
        ("to = [\"+98 3000\"]", "983000", "anything", true),
        ("to = [\"+98 3000\"]", "983001", "anything", false),
        ("keyword = [\"Join\"]", "3000", "«JOIN!» now", true),
        ("keyword = [\"Join\"]", "3000", "please join", false),
        ("keyword = [\"Join\"]", "3000", "", false),
        ("pattern = \"(?i)^order [0-9]+$\"", "3000", "Order 17", true),
        ("pattern = \"(?i)^order [0-9]+$\"", "3000", "Order x", false),
        ("provider = \"red\"", "3000", "anything", true),
    ] {
        let route = load_route(keys).unwrap();
        assert_eq!(route.is_match(&red, &message(to, body)), is_match, "{keys}: {body}");
    }
    let route = load_route("provider = \"red\"").unwrap();
    assert!(!route.is_match(&blue, &message("3000", "anything")));
}

#[test]
fn a_route_has_one_target() {
    let email = "email = \"desk@example.com\"\nemail_channel = \"sms\"";
    for (keys, kind) in [
        ("webhook = \"https://shop.example/in\"", Some(InboundTarget::Webhook)),
        ("get_url = \"https://shop.example/in?from=%p&text=%a\"", Some(InboundTarget::GetUrl)),
        ("twilio_url = \"https://shop.example/in\"", Some(InboundTarget::TwilioUrl)),
        (email, Some(InboundTarget::Email)),
        ("account = \"shop\"", None),
    ] {
        let route = load_route(keys).unwrap();
        assert_eq!(route.target.map(|target| target.kind()), kind, "{keys}");
    }
}

#[test]
fn an_invalid_route_is_an_error_that_names_the_key() {
    let second_target = "webhook = \"https://shop.example/in\"\nget_url = \"https://shop.example/in\"";
    for (keys, expected) in [
        (second_target, "get_url is a second target"),
        ("webhook = \"http://127.0.0.1/in\"", "webhook"),
        ("webhook = \"account\"", "webhook is \"account\", but the account has no events_url"),
        ("account = \"shap\"", "account is not the name of a table in [[keys]]: shap"),
        ("provider = \"green\"", "provider is not an enabled provider: green"),
        ("email = \"desk@example.com\"", "email_channel is not an enabled channel"),
        ("keyword = [\"two words\"]", "keyword must list single words"),
        ("pattern = \"(\"", "pattern is not a regular expression"),
        ("[[inbound]]\nname = \"orders\"", "name is a duplicate"),
        ("[[inbound]]", "name is missing"),
    ] {
        let error = load_route(keys).unwrap_err();
        assert!(error.contains(expected), "{keys}: {error}");
    }
}
