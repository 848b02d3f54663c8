use super::*;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn an_opt_out_is_heard_in_every_writing() {
    let keywords = Keywords::default();
    for text in [
        "STOP",
        " stop\r\n",
        "StopAll",
        "unsubscribe",
        "Cancel",
        "end",
        "quit",
        "OPTOUT",
        "Opt out",
        "opt-out",
        "REVOKE",
        "ARRET",
        "Arrêt",
        "ARRE\u{302}T",
        "Stop.",
        "STOP!",
        "\"STOP\"",
        "'stop'",
        "«STOP»",
        "“Stop”",
        "STOP ALL",
        "stop  all",
        "STOP 🙏",
        "🛑STOP",
        "STOP🙏🏽",
        "\u{200F}STOP",
        "STOP\u{200E}",
        "\u{FEFF}STOP",
        "ST\u{200B}OP",
        "STOP\0",
        "ＳＴＯＰ",
        "𝐒𝐓𝐎𝐏",
        "\n\nSTOP",
        "STOP\nSent from my phone",
        "stop\u{2028}x",
        "¡STOP!",
        "STOP،",
        "لغو",
        "لغو.",
        "لغو\u{200C}",
        "لَغو",
        "لغو ۱۱",
        "لغو۱۱",
        "خاموش",
        "«خاموش»",
        "توقف",
    ] {
        assert_eq!(keywords.action_of(text), Some(KeywordAction::OptOut), "{text:?}");
    }
}

#[test]
fn opt_in_and_help_are_heard_likewise() {
    let keywords = Keywords::default();
    for text in ["START", "yes ", "UnStop", "Start!", "\"YES\"", "شروع", "فعال"] {
        assert_eq!(keywords.action_of(text), Some(KeywordAction::OptIn), "{text:?}");
    }
    for text in ["HELP", "help?", "Info", "AIDE", "راهنما", "كمك"] {
        assert_eq!(keywords.action_of(text), Some(KeywordAction::Help), "{text:?}");
    }
}

#[test]
fn a_keyword_within_a_sentence_means_nothing() {
    let keywords = Keywords::default();
    let long = format!("STOP{}", "!".repeat(200));
    for text in [
        "",
        "\u{200B}",
        "!!",
        "please stop",
        "stop it",
        "non-stop",
        "yes please",
        "STΟP",
        "ends",
        "hello\nSTOP",
        "لغو نکنید",
        &long,
    ] {
        assert_eq!(keywords.action_of(text), None, "{text:?}");
    }
}

#[test]
fn words_can_be_taken_off_and_replaced_by_channel_sender_and_language() {
    let mut without_cancel = Keywords::default();
    without_cancel.remove(&words(&["Cancel", "END"])).unwrap();
    let mut own = Keywords::of_languages(&["fa"]);
    own.replace(KeywordAction::OptOut, &words(&["Nein", "لغو"])).unwrap();
    let sms: ConfigName = "sms".parse().unwrap();
    let rules = KeywordRules::new(vec![
        KeywordRule {
            channel: Some(sms.clone()),
            sender: Some(normalize_sender("+98 3000 1")),
            keywords: own,
        },
        KeywordRule { channel: Some(sms), sender: None, keywords: without_cancel },
    ]);
    for (channel, sender, text, action) in [
        ("sms", "0098 30001", "nein!", Some(KeywordAction::OptOut)),
        ("sms", "9830001", "STOP", None),
        ("sms", "30002", "CANCEL", None),
        ("sms", "30002", "end.", None),
        ("sms", "30002", "STOP", Some(KeywordAction::OptOut)),
        ("voice", "30002", "CANCEL", Some(KeywordAction::OptOut)),
    ] {
        let channel: ConfigName = channel.parse().unwrap();
        assert_eq!(rules.find(&channel, sender).action_of(text), action, "{channel} {sender} {text}");
    }
    assert_eq!(Keywords::default().remove(&words(&["!"])), Err("!".to_owned()));
    assert!(Keywords::of_languages(&[]).has_no_opt_out());
}

#[test]
fn the_first_line_is_without_margins() {
    assert_eq!(first_line(" \u{200B}\n\t STOP \u{FEFF}\r\nx"), "STOP");
    assert_eq!(first_line(""), "");
}
