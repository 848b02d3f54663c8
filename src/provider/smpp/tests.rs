//! The adapter over real sockets.

use super::*;

pub(super) fn table(more: &str) -> toml::Table {
    let mut table: toml::Table = "base_url = \"smpp://127.0.0.1:1\"\nsystem_id = \"gwuser\"\npassword = \"s3cret\"\nfrom = \"Acme\""
        .parse()
        .unwrap();
    table.extend(more.parse::<toml::Table>().unwrap());
    table
}

pub(super) fn settings(more: &str) -> Settings {
    Settings::read(table(more)).unwrap()
}
