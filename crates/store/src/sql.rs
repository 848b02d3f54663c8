//! The `sql!` macro, which embeds a statement of the folder `sql/`.

/// Embeds `sql/<backend>/<subject>/<name>.sql`, written as `sql!("<backend>/<subject>/<name>")`.
macro_rules! sql {
    ($($part:literal),+) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/", $($part,)+ ".sql"))
    };
}
