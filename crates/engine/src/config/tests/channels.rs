//! Tests of disabled channels and address kinds.

use super::{TWO_PROVIDERS, load};
use postrider_core::{address::AddressKind, channel::Addressing};

#[test]
fn a_disabled_channel_is_left_out_everywhere() {
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
    let error = load(&channels("false")).unwrap_err();
    assert!(error.contains("enabled is false for every channel"), "{error}");
    let only_disabled = channels("true").replace("\"sms\", ", "");
    let error = load(&only_disabled).unwrap_err();
    assert!(error.contains("lists only disabled channels"), "{error}");
}

#[test]
fn a_configured_address_kind_precedes_the_one_of_the_name() {
    for (address, expected) in [
        ("url", Addressing::Only(AddressKind::Url)),
        ("opaque", Addressing::Only(AddressKind::Any)),
        ("mixed", Addressing::Mixed),
    ] {
        let channel = format!(
            "{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\naddress = \"{address}\"\nsubject = \"News\"\n"
        );
        let channel = load(&channel).unwrap().channels.remove(0);
        assert_eq!((channel.addressing, channel.subject.as_deref()), (expected, Some("News")));
    }
    let channel = format!("{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\"]\nsubject = \"a\\nb\"\n");
    let error = load(&channel).unwrap_err();
    assert!(error.contains("subject must be one line"), "{error}");
}
