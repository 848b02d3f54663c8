//! The statements a move needs, in both dialects: files of the same names with places for tables and columns.
//!
//! Names come from the stores' own schemas and stand in quotes; values never get into a text.

use super::table::Table;

macro_rules! phrases {
    ($($name:ident: $file:literal,)*) => {
        /// One dialect's statements.
        pub struct Phrases {
            $(pub $name: &'static str,)*
            /// Fills columns that only this dialect has.
            pub derive: Option<&'static str>,
            /// Empties the table of leases that only this dialect has into the rows that both have.
            pub leases: Option<&'static str>,
            /// The list of months that only this dialect has: a closed store loses none.
            pub months: Option<&'static str>,
            mark: char,
        }

        /// SQLite's.
        pub static SQLITE: Phrases = Phrases {
            $($name: include_str!(concat!("../../../sql/sqlite", $file)),)*
            derive: Some(include_str!("../../../sql/sqlite/move_hours.sql")),
            leases: None,
            months: None,
            mark: '?',
        };

        /// PostgreSQL's.
        pub static POSTGRES: Phrases = Phrases {
            $($name: include_str!(concat!("../../../sql/postgres", $file)),)*
            derive: None,
            leases: Some(include_str!("../../../sql/postgres/move_leases.sql")),
            months: Some("months"),
            mark: '$',
        };
    };
}

phrases! {
    columns: "/move_columns.sql",
    meta: "/move_meta.sql",
    meta_set: "/move_meta_set.sql",
    meta_drop: "/move_meta_drop.sql",
    lift: "/move_lift.sql",
    mine: "/move_mine.sql",
    patience: "/patience.sql",
    first: "/move_first.sql",
    next: "/move_next.sql",
    count: "/move_count.sql",
    fetch: "/move_fetch.sql",
    put: "/move_put.sql",
    erase: "/move_erase.sql",
    empty: "/move_empty.sql",
    log: "/move_log.sql",
    note: "/move_note.sql",
    changes: "/move_changes.sql",
    hold: "/move_hold.sql",
    held: "/move_held.sql",
    in_hand: "/move_in_hand.sql",
    lock: "/move_lock.sql",
    ready: "/move_ready.sql",
    close: "/move_close.sql",
    guard: "/move_guard.sql",
    forget_table: "/move_forget_table.sql",
    forget: "/move_forget.sql",
    reopen: "/move_reopen.sql",
    bookmarks: "/move_bookmarks.sql",
    bookmark_set: "/move_bookmark_set.sql",
    bookmarks_all: "/move_bookmarks_all.sql",
    numbers: "/move_numbers.sql",
    finish: "/move_finish.sql",
    analyze: "/move_analyze.sql",
}

impl Phrases {
    /// The names of all tables that are held and closed during a move, copied or not; leases first, as with everybody
    /// who locks both.
    pub fn fenced(&self, tables: &[Table]) -> Vec<Table> {
        let leases = self.leases.map(|_| Table::of_leases());
        let copied = tables.iter().map(|table| Table::named(&table.name));
        leases.into_iter().chain(copied).collect()
    }

    /// A statement about one table.
    pub fn about(&self, phrase: &str, table: &Table) -> String {
        let keys = || table.key.iter().map(|place| &table.columns[*place]);
        let changed = table.columns.iter().enumerate();
        let changed = changed.filter(|(place, _)| table.key.is_empty() || !table.key.contains(place));
        let mut sets = changed.map(|(_, column)| set(&column.name)).collect::<Vec<_>>();
        if sets.is_empty() {
            sets = keys().map(|column| set(&column.name)).collect();
        }
        let part_of = |row: &str| list(keys().map(|column| format!("{row}.\"{}\"", column.name)));
        let slots = list((1..=table.key.len()).map(|place| format!("key{place}")));
        phrase
            .replace("{name}", &table.name)
            .replace("{table}", &quoted(&table.name))
            .replace(
                "{columns}",
                &list(table.columns.iter().map(|column| quoted(&column.name))),
            )
            .replace("{key}", &list(keys().map(|column| quoted(&column.name))))
            .replace("{sets}", &sets.join(", "))
            .replace("{slots}", &slots)
            .replace("{new}", &part_of("NEW"))
            .replace("{old}", &part_of("OLD"))
    }

    /// A statement about several tables.
    pub fn about_all(&self, phrase: &str, tables: &[Table]) -> String {
        let names = tables.iter().map(|table| quoted(&table.name));
        phrase.replace("{tables}", &list(names))
    }

    /// A statement with so many values in a row: `?1, ?2`.
    pub fn with_marks(&self, sql: &str, count: usize) -> String {
        let marks = (1..=count).map(|place| format!("{}{place}", self.mark));
        sql.replace("{marks}", &list(marks))
    }
}

fn set(name: &str) -> String {
    format!("{0} = excluded.{0}", quoted(name))
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
