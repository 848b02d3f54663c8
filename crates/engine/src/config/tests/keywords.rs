//! `[[keywords]]`: what is read, and the messages about what is wrong.

use super::*;
use postrider_core::keywords::KeywordAction;

fn with_keywords(rest: &str) -> String {
    format!("{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\n[[keywords]]\n{rest}\n")
}

#[test]
fn keywords_are_read_by_channel_sender_and_language() {
    let config = load(&with_keywords(
        "channel = \"sms\"\nsender = \"+98 3000 1\"\nlanguages = [\"fa\"]\nopt_out = [\"Nein\"]\nwithout = [\"فعال\"]\nhelp_reply = \"Reply STOP\"",
    ))
    .unwrap();
    let rules = |sender: &str| config.keywords.find(&"sms".parse().unwrap(), sender).clone();
    let own = rules("98 30001");
    assert_eq!(own.action_of("nein!"), Some(KeywordAction::OptOut));
    assert_eq!(own.action_of("STOP"), None);
    assert_eq!(own.action_of("فعال"), None);
    assert_eq!(own.help_reply.as_deref(), Some("Reply STOP"));
    assert_eq!(rules("30002").action_of("STOP"), Some(KeywordAction::OptOut), "the built-in ones");
}

#[test]
fn an_error_in_keywords_names_line_key_and_remedy() {
    let long_reply = format!("help_reply = \"{}\"", "x".repeat(135));
    for (rest, expected) in [
        (
            "chanel = \"sms\"",
            "line 8: keywords[0].chanel is not a known key; correct or remove it (console.example.toml lists all keys) (did you mean channel?)",
        ),
        (
            "channel = \"smss\"",
            "line 8: keywords[0].channel is not an enabled channel: smss (did you mean sms?)",
        ),
        (
            "languages = [\"tlh\"]",
            "line 8: keywords[0].languages has no built-in keywords for tlh; known are ",
        ),
        ("opt_out = [\"!\"]", "line 8: keywords[0].opt_out has a word without letters and digits: \"!\""),
        (
            "without = [\"STOP\", \"🙏\"]",
            "line 8: keywords[0].without has a word without letters and digits: \"🙏\"",
        ),
        ("opt_in = \"START\"", "line 8: keywords[0].opt_in must be a list"),
        (&long_reply, "line 8: keywords[0].help_reply is longer than 134 characters"),
    ] {
        let error = load(&with_keywords(rest)).unwrap_err();
        assert!(error.contains(expected), "{rest}: {error}");
    }
    let error = load(&format!("keywords = 3\n{TWO_PROVIDERS}")).unwrap_err();
    assert!(error.contains("line 1: keywords must be tables: write [[keywords]]"), "{error}");
}
