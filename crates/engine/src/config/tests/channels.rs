//! Tests of disabled channels and address kinds.

use super::{TWO_PROVIDERS, load};
use postrider_core::channel::Addressing;
use postrider_core::recipient::AddressKind;

#[test]
fn a_channel_that_is_switched_off_is_left_out_everywhere() {
    let channels = |enabled: &str| {
        format!(
            "used_channels = [\"sms\", \"email\"]\n{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\nenabled = {enabled}\n\
             [channels.email]\nproviders = [\"blue\"]\nenabled = false\n"
        )
    };
    let config = load(&channels("true")).unwrap();
    let names = config.channels.iter().map(|channel| channel.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["sms"]);
    assert_eq!(config.used_channels, ["sms".parse().unwrap()]);
    let refused = load(&channels("false")).unwrap_err();
    assert!(
        refused.contains("enabled is false for every channel"),
        "{refused}"
    );
    let only_off = channels("true").replace("\"sms\", ", "");
    let refused = load(&only_off).unwrap_err();
    assert!(
        refused.contains("names only channels that are not enabled"),
        "{refused}"
    );
}

#[test]
fn an_address_that_is_written_down_holds_whatever_the_name_says() {
    for (word, wanted) in [
        ("url", Addressing::Only(AddressKind::Url)),
        ("opaque", Addressing::Only(AddressKind::Any)),
        ("mixed", Addressing::Mixed),
    ] {
        let channel = format!(
            "{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\naddress = \"{word}\"\nsubject = \"News\"\n"
        );
        let channel = load(&channel).unwrap().channels.remove(0);
        assert_eq!(
            (channel.addressing, channel.subject.as_deref()),
            (wanted, Some("News"))
        );
    }
    let channel = format!("{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\nsubject = \"a\\nb\"\n");
    let refused = load(&channel).unwrap_err();
    assert!(refused.contains("subject must be one line"), "{refused}");
}
