//! The configuration file.

use postrider_engine::config::{Config, Environment};

use crate::texts;

/// Loads the input as a configuration file. An error must be one line and must not contain the secret of a seed.
pub fn run(input: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), input).expect("write the file");
    if let Err(error) = Config::load(Some(file.path()), &Environment::default(), &[]) {
        let message = error.to_string();
        assert!(!message.is_empty() && message.lines().count() == 1, "{message:?}");
    }
}

/// Returns the example configuration and a small one with every kind of table.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../console.example.toml"),
        "listen = \"127.0.0.1:8080\"\n[providers.red]\nkind = \"http\"\nurl = \"https://example.org/{to}\"\n\
         [channels.sms]\nproviders = [\"red\"]\nweights = [1]\nstrategy = \"weighted\"\n[[keys]]\nname = \"shop\"\n\
         key = \"0123456789abcdef\"\nscopes = [\"send\"]\n[retry]\nbase = \"1s\"\n",
    ])
}
