//! Channels made of the notification service's own variables.

use super::super::*;
use super::{TWO, load, load_with};
use crate::domain::channel::{Addressing, UnknownPolicy};
use crate::domain::route::Strategy;

/// The default configuration of the notification service.
const SERVICE: [(&str, &str); 6] = [
    ("CHANNEL_SMS", "TwilioSmsService,BackupSmsService"),
    ("CHANNEL_EMAIL", "AmazonSimpleEmailService, BackupEmailService"),
    ("CHANNEL_PUSH", "PushyService"),
    (
        "CHANNEL_MIX",
        "PushyService,AmazonSimpleEmailService,TwilioSmsService",
    ),
    ("CHANNEL_FAIL", "AlwaysFailService"),
    ("USED_CHANNELS", " CHANNEL_SMS , CHANNEL_EMAIL,CHANNEL_FAIL"),
];

#[test]
fn the_services_own_variables_make_channels() {
    let (config, warnings) = Config::load(None, &Environment::from(SERVICE), &[]).unwrap();
    let used = config.used_channels.iter().map(Name::as_str);
    assert_eq!(used.collect::<Vec<_>>(), ["sms", "email", "fail"]);
    let channel = |name: &str| {
        let mut channels = config.channels.iter();
        channels.find(|channel| channel.name.as_str() == name).unwrap()
    };
    assert_eq!(channel("sms").providers.len(), 2);
    assert_eq!(channel("sms").strategy, Strategy::Failover);
    let address = |index: usize| {
        config.providers[index]
            .settings
            .get("address")
            .and_then(toml::Value::as_str)
    };
    let names = config.providers.iter().map(|provider| provider.name.as_str());
    assert_eq!(names.clone().next(), Some("AlwaysFailService"));
    let addresses = (0..names.count()).map(address).collect::<Vec<_>>();
    let [phone, email] = [Some("phone"), Some("email")];
    assert_eq!(addresses, [None, email, email, phone, phone]);
    assert!(config.names_used_channels);
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(warnings[0].contains("TwilioSmsService has no [providers.TwilioSmsService]"));
}

#[test]
fn a_name_of_the_file_goes_before_an_alias() {
    let file = "[providers.red]\nkind = \"mock\"\n[providers.TwilioSmsService]\nkind = \"mock\"\nrate = 3.0\n\
                [channels.sms]\nproviders = [\"red\"]\nunknown = \"hold\"\n";
    let variables = [
        ("CHANNEL_SMS", "TwilioSmsService, red"),
        ("USED_CHANNELS", "CHANNEL_SMS"),
    ];
    let (config, warnings) = load_with(file, &Environment::from(variables)).unwrap();
    let names = config.channels[0].providers.iter().map(Name::as_str);
    assert_eq!(names.collect::<Vec<_>>(), ["TwilioSmsService", "red"]);
    assert_eq!(config.channels[0].unknown, UnknownPolicy::Hold);
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_channel_of_the_service_may_mix_kinds() {
    let mut variables = SERVICE;
    variables[5].1 = "CHANNEL_MIX";
    let (config, _) = Config::load(None, &Environment::from(variables), &[]).unwrap();
    assert_eq!(config.channels[0].providers.len(), 3);
    assert!(matches!(config.channels[0].address, Addressing::ByProviders(_)));
    let file = "[providers.PushyService]\nkind = \"http\"\nurl = \"https://push.example\"\n";
    let (config, _) = load_with(file, &Environment::from(variables)).unwrap();
    let pushy = config
        .providers
        .iter()
        .find(|provider| provider.kind == "http")
        .unwrap();
    assert_eq!(pushy.settings.get("address"), Some(&toml::Value::from("push")));
}

#[test]
fn the_used_channels_are_all_unless_they_are_named() {
    let two =
        format!("{TWO}[channels.sms]\nproviders = [\"red\"]\n[channels.email]\nproviders = [\"blue\"]\n");
    assert_eq!(load(&two).unwrap().used_channels.len(), 2);
    let one = load(&format!("used_channels = [\"sms\"]\n{two}")).unwrap();
    assert_eq!(one.used_channels, ["sms".parse().unwrap()]);
    assert!(one.names_used_channels && !load(&two).unwrap().names_used_channels);
}

#[test]
fn a_variable_that_names_nothing_stops_the_start() {
    for (variables, words) in [
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMZ", "PushyService")],
            "USED_CHANNELS: used_channels names CHANNEL_SMS, but there is no such variable: set it to its \
             providers, or correct the name (did you mean CHANNEL_SMZ?)",
        ),
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMS", "TwilioService")],
            "CHANNEL_SMS: names TwilioService, but there is no [providers.TwilioService], nor is it one of \
             TwilioSmsService, BackupSmsService, AmazonSimpleEmailService, BackupEmailService, PushyService, \
             AlwaysFailService; add it or correct the name (did you mean TwilioSmsService?)",
        ),
        (
            [("USED_CHANNELS", "CHANNEL_SMS"), ("CHANNEL_SMS", " , ")],
            "CHANNEL_SMS: channels.sms.providers has no provider that is enabled; list at least one, such as \
             providers = [\"red\"]",
        ),
        (
            [("USED_CHANNELS", "sms,fax"), ("CHANNEL_FAX", "x")],
            "USED_CHANNELS: used_channels names fax, but there is no [channels.fax]; add it or correct the name",
        ),
    ] {
        let refused = Config::load(None, &Environment::from(variables), &[]).unwrap_err();
        assert_eq!(refused.to_string(), words);
    }
}
