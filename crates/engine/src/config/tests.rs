//! Tests of loading: accepted forms and error messages.

use postrider_core::address::{AddressKind, PhoneRegion, PhoneStrictness};
use postrider_core::{channel::Addressing, priority::Priority, routing::RoutingStrategy};
use std::{path::PathBuf, time::Duration};

use super::keys::CONFIG_KEYS;
use super::*;

mod accounts;
mod channels;
mod inbound;
mod keywords;
mod legacy_environment;
mod limits_of_keys;
mod trust;

const TWO_PROVIDERS: &str = "[providers.red]\nkind = \"mock\"\n[providers.blue]\nkind = \"mock\"\n";

struct ConfigFile {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn write_config(text: &str) -> ConfigFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console.toml");
    std::fs::write(&path, text).unwrap();
    ConfigFile { _folder: folder, path }
}

fn load_with(text: &str, environment: &Environment) -> Result<(Config, Vec<String>), String> {
    let file = write_config(text);
    let folder = format!("{}/", file.path.parent().unwrap().display());
    Config::load(Some(&file.path), environment, &[]).map_err(|error| error.to_string().replace(&folder, ""))
}

fn load(text: &str) -> Result<Config, String> {
    load_with(text, &Environment::default()).map(|(config, _)| config)
}

/// Returns the example file with all lines uncommented that begin with a single `#`.
fn uncommented_example() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text = include_str!("../../../../console.example.toml");
    text.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

fn collect_key_paths(table: &toml::Table, prefix: &str, found: &mut Vec<String>) {
    for (name, value) in table {
        let name = if prefix == "channels." || prefix == "providers." { "NAME" } else { name };
        match value {
            toml::Value::Table(inner) if !name.ends_with("weights") => {
                collect_key_paths(inner, &format!("{prefix}{name}."), found);
            }
            toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => {
                for inner in values.iter().filter_map(toml::Value::as_table) {
                    collect_key_paths(inner, &format!("{prefix}{name}."), found);
                }
            }
            _ => found.push(format!("{prefix}{name}")),
        }
    }
}

#[test]
fn without_file_and_environment_the_configuration_is_test_mode() {
    let (config, warnings) = Config::load(None, &Environment::default(), &[]).unwrap();
    assert_eq!(config, Config::test_mode());
    assert_eq!(warnings, Vec::<String>::new());
    assert!(config.is_test_mode);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.store_url, "sqlite:postrider.db");
    assert_eq!(config.work.lease, Duration::from_secs(60));
    assert_eq!(config.channels.len(), 1);
    assert_eq!(config.providers.len(), 2);
}

#[test]
fn the_example_file_unchanged_equals_the_defaults() {
    assert_eq!(load(include_str!("../../../../console.example.toml")), Ok(Config::test_mode()));
}

#[test]
fn the_example_file_contains_every_key_and_no_other() {
    let mut example_paths = Vec::new();
    collect_key_paths(&uncommented_example().parse().unwrap(), "", &mut example_paths);
    example_paths.sort();
    example_paths.dedup();
    let mut key_paths = CONFIG_KEYS.iter().map(|key| key.path.to_owned()).collect::<Vec<_>>();
    key_paths.sort();
    assert_eq!(example_paths, key_paths);
}

#[test]
fn the_example_file_is_valid_with_every_key_uncommented() {
    let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let environment = Environment::from([
        ("OPERATOR_KEY", "0123456789abcdef"),
        ("EVENTS_SECRET", secret),
        ("SHOP_EVENTS_SECRET", secret),
        ("SHOP_PASSWORD", "pass1234"),
        ("SHOP_TWILIO_TOKEN", "token"),
        ("SHOP_VONAGE_SECRET", "secret"),
        ("SHOP_SMPP_PASSWORD", "pass1234"),
    ]);
    let (config, warnings) = load_with(&uncommented_example(), &environment).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.channels[0].strategy, RoutingStrategy::Weighted(vec![30, 70]));
    assert_eq!(config.channels[0].retry.tries_max, 12);
    assert_eq!(config.keys.len(), 2);
    assert!(!config.is_test_mode);
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_program() {
    let defaults =
        CONFIG_KEYS.iter().filter_map(|key| Some((key.environment_variable()?, key.default.to_owned())));
    let (config, _) = Config::load(None, &defaults.collect(), &[]).unwrap();
    assert_eq!(config, Config::test_mode());

    let lines = CONFIG_KEYS.iter().filter(|key| !key.default.is_empty()).filter_map(|key| {
        let name = key.path.strip_prefix("providers.NAME.")?;
        let quoted = matches!(key.kind, keys::ValueKind::Duration | keys::ValueKind::Choice(_));
        let value = if quoted { format!("\"{}\"", key.default) } else { key.default.to_owned() };
        Some(format!("{name} = {value}\n"))
    });
    let explicit = format!("{TWO_PROVIDERS}{}", lines.collect::<String>());
    assert_eq!(load(&explicit), load(TWO_PROVIDERS));
}

#[test]
fn the_environment_overrides_the_file_and_the_command_line_overrides_both() {
    let file = write_config("listen = \"127.0.0.1:1\"\n[work]\nconcurrency = 1\nlease = \"61s\"\n");
    let environment = Environment::from([
        ("POSTRIDER_LISTEN", "127.0.0.1:2"),
        ("POSTRIDER_WORK_CONCURRENCY", "2"),
        ("POSTRIDER_STORE_URL", "sqlite:two.db"),
        ("POSTRIDER_MASK_NUMBERS", "false"),
        ("POSTRIDER_SCHEDULE_REPORT", "never"),
        ("POSTRIDER_QUEUE_URL", ""),
    ]);
    let overrides = [("listen", "127.0.0.1:3".to_owned())];
    let (config, _) = Config::load(Some(&file.path), &environment, &overrides).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.public_url, "http://127.0.0.1:3");
    assert_eq!(config.work.concurrency, 2);
    assert_eq!(config.work.lease, Duration::from_secs(61));
    assert_eq!(config.store_url, "sqlite:two.db");
    assert_eq!(config.queue_url, "memory:");
    assert!(!config.mask_numbers);
    assert_eq!(config.schedule.report, None);
    assert_eq!(config.schedule.resend, Some(Duration::from_secs(60)));
}

#[test]
fn copies_after_silence_are_bounded_by_channel_and_provider() {
    let config = |channel: &str| {
        load(&format!(
            "[providers.red]\nkind = \"mock\"\nunknown_retries = 0\n[providers.blue]\nkind = \"mock\"\n\
             [channels.sms]\nproviders = [\"red\", \"blue\"]\n{channel}\n"
        ))
    };
    let loaded = config("unknown_retries = 3").unwrap();
    assert_eq!(loaded.channels[0].unknown_retries, 3);
    let of_providers = loaded.providers.iter().map(|provider| provider.unknown_retries);
    assert_eq!(of_providers.collect::<Vec<_>>(), [None, Some(0)]);
    assert_eq!(config("").unwrap().channels[0].unknown_retries, 1);
    assert_eq!(config("unknown = \"hold\"\nunknown_retries = 0").unwrap().channels[0].unknown_retries, 0);
    let error = config("unknown = \"hold\"\nunknown_retries = 2").unwrap_err();
    assert!(error.contains("must be 0 with unknown"), "{error}");
}

#[test]
fn a_channel_is_read_with_all_its_settings() {
    let config = load(&format!(
        "region = \"DE\"\nnumbers = \"valid\"\n{TWO_PROVIDERS}[retry]\nmax_tries = 7\n\
         [channels.codes]\nproviders = [\"red\", \"blue\"]\nstrategy = \"failover\"\nunknown = \"hold\"\n\
         bounce = \"resend\"\npriority = \"high\"\nretry = {{ base = \"1s\" }}\n\
         [channels.email]\nproviders = [\"blue\"]\n[channels.push]\nproviders = [\"blue\"]\n"
    ))
    .unwrap();
    assert_eq!(Some(config.phone.region), PhoneRegion::parse("DE"));
    assert_eq!(config.phone.strictness, PhoneStrictness::Valid);
    let names = |index: usize| config.channels[index].name.as_str().to_owned();
    assert_eq!([names(0), names(1), names(2)], ["codes", "email", "push"]);
    let codes = &config.channels[0];
    assert_eq!(codes.strategy, RoutingStrategy::Failover);
    assert_eq!(codes.unknown_retries, 0);
    assert_eq!(config.channels[1].unknown_retries, 1);
    assert_eq!(codes.bounce_resends, 1);
    assert_eq!(codes.priority, Priority::High);
    assert_eq!(codes.retry.base, Duration::from_secs(1));
    assert_eq!(codes.retry.tries_max, 7);
    let by_providers = Addressing::ByProviders;
    assert_eq!(codes.addressing, by_providers(AddressKind::Phone));
    assert_eq!(config.channels[1].addressing, by_providers(AddressKind::Email));
    assert_eq!(config.channels[2].addressing, by_providers(AddressKind::Push));
}

#[test]
fn a_disabled_provider_is_left_out_of_every_channel() {
    let blue_disabled = TWO_PROVIDERS.replace("[providers.blue]\n", "[providers.blue]\nenabled = false\n");
    let channel = "[channels.sms]\nproviders = [\"red\", \"blue\"]\nstrategy = \"weighted\"\nweights = {red=1, blue=9}\n";
    let config = load(&format!("{blue_disabled}{channel}")).unwrap();
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.channels[0].providers.len(), 1);
    assert_eq!(config.channels[0].strategy, RoutingStrategy::Weighted(vec![1]));
    assert!(!config.is_test_mode);
}

#[test]
fn an_error_names_its_origin_and_its_remedy() {
    let channel =
        |rest: &str| format!("{TWO_PROVIDERS}[channels.sms]\nproviders = [\"red\", \"blue\"]\n{rest}");
    let provider = |rest: &str| format!("[providers.red]\nkind = \"mock\"\n{rest}");
    let key = |rest: &str| format!("[[keys]]\nname = \"shop\"\nscopes = [\"send\"]\n{rest}");
    for (text, expected) in [
        (
            "listn = \"127.0.0.1:80\"".to_owned(),
            "line 1: listn is not a known key; correct or remove it (console.example.toml lists all keys) (did you mean listen?)",
        ),
        (
            "[work]\n\nleese = \"60s\"".to_owned(),
            "line 3: work.leese is not a known key; correct or remove it (console.example.toml lists all keys) (did you mean lease?)",
        ),
        (
            "[works]\nlease = \"60s\"".to_owned(),
            "line 1: works is not a known key; correct or remove it (console.example.toml lists all keys) (did you mean work?)",
        ),
        ("work = 3".to_owned(), "line 1: work must be a table: write [work]"),
        ("keys = 3".to_owned(), "line 1: keys must be tables: write [[keys]]"),
        (
            "[work]\nlease = 60".to_owned(),
            "line 2: work.lease must be a duration such as \"500ms\", \"30s\", \"20m\" or \"24h\", but is 60",
        ),
        ("[retry]\nmax_age = \"99y\"".to_owned(), "line 2: retry.max_age must be at most 3650d"),
        ("[work]\nlease = \"0s\"".to_owned(), "line 2: work.lease must be greater than zero"),
        (
            "[work]\nconcurrency = 0".to_owned(),
            "line 2: work.concurrency must be a whole number from 1 to 100000, but is 0",
        ),
        (
            "[work]\nlease = \"30s\"".to_owned(),
            "line 2: work.lease is 30s, but a round over all providers of [channels.sms] can take 26s: raise it to at least 31s, or lower timeout and connect_timeout of its providers",
        ),
        (
            "[limits]\nmessage_chars_max = 100000".to_owned(),
            "limits.body_bytes_max is too small for a message of limits.message_chars_max characters: raise it to at least 1200000, or lower limits.message_chars_max",
        ),
        ("insecure = \"yes\"".to_owned(), "line 1: insecure must be true or false, but is \"yes\""),
        (
            "region = \"Iran\"".to_owned(),
            "line 1: region must be a country's two capital letters, such as \"IR\" or \"DE\"",
        ),
        ("numbers = \"some\"".to_owned(), "line 1: numbers must be one of possible, valid, but is \"some\""),
        (
            "listen = \"8080\"".to_owned(),
            "line 1: listen must be an address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"",
        ),
        ("public_url = \"x\"".to_owned(), "line 1: public_url must begin with http:// or https://"),
        ("[retry]\nbase = \"2h\"".to_owned(), "retry.cap is shorter than base; raise cap or lower base"),
        ("[retry]\nfactor = 0.5".to_owned(), "line 2: retry.factor must be from 1 to 100"),
        (
            channel("").replace("\"blue\"]", "\"blu\"]"),
            "line 6: channels.sms.providers lists unknown provider blu: add [providers.blu] or correct the name (did you mean blue?)",
        ),
        (
            channel("").replace("\"blue\"]", "\"red\"]"),
            "line 6: channels.sms.providers lists provider red twice",
        ),
        (
            channel("").replace("\"red\", \"blue\"", ""),
            "line 6: channels.sms.providers has no enabled provider; list at least one, such as providers = [\"red\"]",
        ),
        (
            channel("strategy = \"random\""),
            "line 7: channels.sms.strategy must be one of failover, round_robin, weighted, least_busy, but is \"random\"",
        ),
        (
            channel("weights = { red = 1 }"),
            "line 7: channels.sms.weights is only for strategy = \"weighted\"; set that or remove the weights",
        ),
        (
            channel("strategy = \"weighted\"\nweights = { red = 1, grey = 2 }"),
            "line 8: channels.sms.weights has a weight for grey, which is not a provider of this channel",
        ),
        (
            channel("strategy = \"weighted\"\nweights = { red = 1 }"),
            "line 8: channels.sms.weights has no weight for blue; 0 makes it a last resort",
        ),
        (
            channel("strategy = \"weighted\"\nweights = { red = 0, blue = 0 }"),
            "line 8: channels.sms.weights are all 0; at least one must be greater",
        ),
        (
            channel("retry = { bse = \"1s\" }"),
            "line 7: channels.sms.retry.bse is not a known key; correct or remove it (console.example.toml lists all keys) (did you mean base?)",
        ),
        (
            provider("rate = 0"),
            "line 3: providers.red.rate must be greater than 0 parts per second; omit it for no limit, or set enabled = false",
        ),
        (
            provider("burst = 5"),
            "line 3: providers.red.burst must be greater than 0 and at most 1, a share of rate; 0.05 is 5 %",
        ),
        (provider("cooldown_max = \"25h\""), "line 3: providers.red.cooldown_max must be at most 24h"),
        (
            provider("token = \"${env:RED_TOKEN}\""),
            "line 3: providers.red.token needs environment variable RED_TOKEN, which is not set",
        ),
        (
            provider("headers = { a = \"${env:RED_TOKEN}\" }"),
            "line 3: providers.red.headers.a needs environment variable RED_TOKEN, which is not set",
        ),
        (
            provider("token = \"${env:RED\""),
            "line 3: providers.red.token has a ${ without a }; write ${env:NAME} or ${file:PATH}",
        ),
        (
            "[providers.red]\nrate = 3".to_owned(),
            "providers.red.kind is missing; set the adapter, such as \"http\"",
        ),
        (
            "[providers.\"re d\"]\nkind = \"mock\"".to_owned(),
            "line 1: providers.re d is not a valid name; use 1 to 64 letters, digits, -, _ or .",
        ),
        (
            key("sha256 = \"12\""),
            "line 4: keys[0].sha256 must be 64 hexadecimal digits; create them with: printf %s KEY | sha256sum",
        ),
        (
            key("key = \"short\""),
            "line 4: keys[0].key is shorter than 16 characters; create one with: openssl rand -hex 32",
        ),
        (key(""), "keys[0].sha256 is missing; set sha256, or key = \"${env:NAME}\""),
        (
            key("key = \"0123456789abcdef\"").replace("send", "write"),
            "line 3: keys[0].scopes must contain some of \"send\", \"read\", \"admin\"",
        ),
        ("listen = ".to_owned(), "line 1: not valid TOML: "),
    ] {
        let error = load(&text).unwrap_err();
        let error_without_file = error.trim_start_matches("console.toml").trim_start_matches([':', ' ']);
        assert!(error_without_file.starts_with(expected), "\n  actual: {error}\nexpected: {expected}");
    }
}

#[test]
fn a_wrong_variable_is_named_and_a_strange_one_only_warned_of() {
    let invalid_environment = Environment::from([("POSTRIDER_WORK_LEASE", "soon")]);
    let error = load_with("", &invalid_environment).unwrap_err();
    assert!(error.starts_with("POSTRIDER_WORK_LEASE: work.lease must be a duration"), "{error}");
    let invalid_environment = Environment::from([("POSTRIDER_WORK_CONCURRENCY", "many")]);
    let error = load_with("", &invalid_environment).unwrap_err();
    assert!(error.starts_with("POSTRIDER_WORK_CONCURRENCY: must be a whole number"), "{error}");

    let environment = Environment::from([
        ("POSTRIDER_STORE_ULR", "sqlite:x"),
        ("POSTRIDER_RED", "0123456789abcdef"),
        ("POSTRIDER_CONFIG", "x"),
    ]);
    let text = "[[keys]]\nname = \"shop\"\nkey = \"${env:POSTRIDER_RED}\"\nscopes = [\"send\"]\n";
    let (_, warnings) = load_with(text, &environment).unwrap();
    let expected = "unknown environment variable POSTRIDER_STORE_ULR (did you mean POSTRIDER_STORE_URL?)";
    assert_eq!(warnings, [expected]);
}

#[test]
fn the_url_of_a_backend_is_checked_with_its_line() {
    for (section, expected) in [
        ("store", "line 2: store.url must begin with \"sqlite:\" or \"postgres://\""),
        ("queue", "line 2: queue.url must be \"memory:\" or begin with \"redis://\""),
        ("cache", "line 2: cache.url must be \"memory:\" or begin with \"memcache://\""),
    ] {
        let error = load(&format!("[{section}]\nurl = \"mysql://x\"\n")).unwrap_err();
        assert!(error.contains(expected), "{error}");
        let error = load(&format!("[{section}]\nulr = \"x\"\n")).unwrap_err();
        assert!(error.ends_with("(did you mean url?)"), "{error}");
    }
}

#[test]
fn variables_of_other_programs_cause_no_warning_and_a_far_name_no_suggestion() {
    let environment = Environment::from([
        ("POSTRIDER_MOVE_FROM", "sqlite:a.db"),
        ("POSTRIDER_MOVE_TO", "sqlite:b.db"),
        ("POSTRIDER_PORT", "tcp://192.0.2.1:80"),
        ("POSTRIDER_SERVICE_HOST", "192.0.2.1"),
        ("POSTRIDER_SERVICE_PORT", "80"),
        ("POSTRIDER_SERVICE_PORT_HTTP", "80"),
        ("POSTRIDER_PORT_80_TCP", "tcp://192.0.2.1:80"),
        ("POSTRIDER_PORT_80_TCP_PROTO", "tcp"),
        ("POSTRIDER_PORT_80_TCP_PORT", "80"),
        ("POSTRIDER_PORT_80_TCP_ADDR", "192.0.2.1"),
        ("POSTRIDER_QUEUE_PORT_6379_TCP_ADDR", "192.0.2.1"),
        ("POSTRIDER_ORT", "x"),
    ]);
    let (_, warnings) = load_with("region = \"DE\"\n", &environment).unwrap();
    assert_eq!(warnings, ["unknown environment variable POSTRIDER_ORT"]);
}

#[test]
fn unusual_settings_cause_warnings() {
    let text = format!("{TWO_PROVIDERS}timeout = \"40s\"\n[channels.sms]\nproviders = [\"red\"]\n");
    let (_, warnings) = load_with(&text, &Environment::default()).unwrap();
    assert!(warnings[0].contains("no channel uses [providers.blue]"), "{warnings:?}");
    assert!(warnings[1].contains("work.grace is shorter"), "{warnings:?}");
}

#[test]
fn secrets_come_from_variables_and_files_and_are_never_printed() {
    let file = write_config(
        "[queue]\nurl = \"redis://:hunter2@localhost/0\"\n[providers.red]\nkind = \"http\"\n\
         url = \"http://red/?to={to}&who=${env:RED}\"\npassword = \"hunter2\"\nheaders = { X = \"a ${file:red.txt} b\" }\n\
         [[keys]]\nname = \"shop\"\nkey = \"${file:red.txt}-hunter2-hunter2\"\nscopes = [\"send\"]\n",
    );
    std::fs::write(file.path.with_file_name("red.txt"), "hunter2\n").unwrap();
    let environment = Environment::from([("RED", "hunter2")]);
    let (config, _) = Config::load(Some(&file.path), &environment, &[]).unwrap();
    let settings = &config.providers[0].settings;
    assert_eq!(settings["url"].as_str(), Some("http://red/?to={to}&who=hunter2"));
    assert_eq!(settings["headers"]["X"].as_str(), Some("a hunter2 b"));
    assert_eq!(config.providers[0].secret_values(), ["a hunter2 b", "hunter2"]);
    let printed = format!("{config:?} {config:#?}");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("${env:RED}"), "{printed}");
}

#[test]
fn the_values_of_placeholders_are_secrets_under_any_name() {
    let environment = Environment::from([("A", "x1"), ("B", "12"), ("C", "34")]);
    for (setting, expected) in
        [("a = \"${env:A}\"", vec!["x1"]), ("a = \"x/${env:B}/y${env:C}\"", vec!["12", "34"])]
    {
        let text = format!("[providers.red]\nkind = \"http\"\n{setting}\n");
        let (config, _) = load_with(&text, &environment).unwrap();
        assert_eq!(config.providers[0].secret_values(), expected, "{setting}");
    }
}

#[test]
fn a_listen_address_other_than_loopback_needs_keys_or_insecure() {
    let key = "[[keys]]\nname = \"shop\"\nkey = \"0123456789abcdef\"\nscopes = [\"send\"]\n";
    for (text, is_allowed) in [
        ("", true),
        ("listen = \"[::1]:80\"", true),
        ("listen = \"127.9.9.9:80\"", true),
        ("listen = \"0.0.0.0:80\"", false),
        ("listen = \"[::]:80\"", false),
        ("listen = \"0.0.0.0:80\"\ninsecure = true", true),
        (&format!("listen = \"0.0.0.0:80\"\n{key}"), true),
    ] {
        let config = load(text).unwrap();
        assert_eq!(check_listen_address(&config, config.listen).is_ok(), is_allowed, "{text}");
    }
}

#[test]
fn the_admin_scope_includes_all_others() {
    let key = |scopes: &[Scope]| ApiKey {
        name: "shop".to_owned(),
        sha256: Some([0; 32]),
        scopes: scopes.to_vec(),
        user_per_hour: None,
        limits: Default::default(),
        is_shared: false,
        account: Default::default(),
        events: Default::default(),
    };
    assert!([Scope::Send, Scope::Read, Scope::Admin].iter().all(|scope| key(&[Scope::Admin]).allows(*scope)));
    assert!(key(&[Scope::Send]).allows(Scope::Send));
    assert!(!key(&[Scope::Send]).allows(Scope::Read));
    assert!(!key(&[Scope::Send, Scope::Read]).allows(Scope::Admin));
}

#[test]
fn an_error_names_a_missing_file() {
    let error = Config::load(Some("nowhere.toml".as_ref()), &Environment::default(), &[]).unwrap_err();
    assert!(error.to_string().contains("nowhere.toml"), "{error}");
}
