//! The `sql!` macro, which embeds a statement of the folder `sql/`.
//!
//! `sql/common` has the statements that both backends run with the same text. They number their parameters `$1`, `$2`, … in
//! the order of their first use: SQLite takes `$1` for a name and numbers names in this order. A test checks the order.

/// Embeds `sql/<backend or common>/<subject>/<name>.sql`, written as `sql!("<backend or common>/<subject>/<name>")`.
macro_rules! sql {
    ($($part:literal),+) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/", $($part,)+ ".sql"))
    };
}
