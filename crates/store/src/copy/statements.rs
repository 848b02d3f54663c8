//! The statements of a move for both backends, in files with placeholders for tables and columns. Each statement has
//! one file for each backend, or one file for both.
//!
//! Names come from the schemas and are quoted. Values are always parameters.

use super::table::{CopyTable, LEASES_TABLE};

macro_rules! copy_statements {
    (
        backend: { $($name:ident: $file:literal,)* }
        common: { $($common_name:ident: $common_file:literal,)* }
    ) => {
        /// The statements of one backend.
        pub struct CopyStatements {
            $(pub $name: &'static str,)*
            $(pub $common_name: &'static str,)*
            /// Fills columns that only this backend has.
            pub fill_columns: Option<&'static str>,
            /// Merges the leases, which only this backend keeps in a table, into the deliveries.
            pub merge_leases: Option<&'static str>,
            /// The table of partitions, which only this backend has. A closed store must not drop a partition.
            pub partitions_table: Option<&'static str>,
        }

        /// The statements of SQLite.
        pub static SQLITE: CopyStatements = CopyStatements {
            $($name: sql!("sqlite/", $file),)*
            $($common_name: sql!("common/", $common_file),)*
            fill_columns: Some(sql!("sqlite/copy/fill_hour_bounds")),
            merge_leases: None,
            partitions_table: None,
        };

        /// The statements of PostgreSQL.
        pub static POSTGRES: CopyStatements = CopyStatements {
            $($name: sql!("postgres/", $file),)*
            $($common_name: sql!("common/", $common_file),)*
            fill_columns: None,
            merge_leases: Some(sql!("postgres/copy/merge_leases")),
            partitions_table: Some("partitions"),
        };
    };
}

copy_statements! {
    backend: {
        list_columns: "copy/list_columns",
        read_meta: "copy/read_meta",
        save_meta: "copy/save_meta",
        lift_receiving_mark: "copy/lift_receiving_mark",
        check_move: "copy/check_move",
        set_lock_timeout: "maintenance/set_lock_timeout",
        fetch_rows: "copy/fetch_rows",
        upsert_rows: "copy/upsert_rows",
        delete_rows: "copy/delete_rows",
        create_change_log: "copy/create_change_log",
        create_change_triggers: "copy/create_change_triggers",
        create_claims_guard: "copy/create_claims_guard",
        pause_claims: "copy/pause_claims",
        count_open_rounds: "copy/count_open_rounds",
        lock_tables: "copy/lock_tables",
        count_detached_partitions: "copy/count_detached_partitions",
        create_moved_guard: "copy/create_moved_guard",
        create_receiving_guard: "copy/create_receiving_guard",
        drop_table_triggers: "copy/drop_table_triggers",
        drop_state: "copy/drop_state",
        drop_moved_guard: "copy/drop_moved_guard",
        create_progress_table: "copy/create_progress_table",
        read_last_number: "copy/read_last_number",
        set_last_number: "copy/set_last_number",
        analyze_tables: "copy/analyze_tables",
    }
    common: {
        delete_meta: "copy/delete_meta",
        read_first_page: "copy/read_first_page",
        read_next_page: "copy/read_next_page",
        count_rows: "copy/count_rows",
        delete_all_rows: "copy/delete_all_rows",
        read_changes: "copy/read_changes",
        save_progress: "copy/save_progress",
        read_progress: "copy/read_progress",
    }
}

impl CopyStatements {
    /// Returns all tables that are guarded during a move, copied or not. The table of leases comes first, because every
    /// transaction locks leases before other tables.
    pub fn guarded_tables(&self, tables: &[CopyTable]) -> Vec<CopyTable> {
        let leases = self.merge_leases.map(|_| CopyTable::with_name(LEASES_TABLE));
        let copied = tables.iter().map(|table| CopyTable::with_name(&table.name));
        leases.into_iter().chain(copied).collect()
    }

    /// Returns a statement about one table.
    pub fn for_table(&self, statement: &str, copied_table: &CopyTable) -> String {
        let columns = || copied_table.columns.iter();
        let keys = || copied_table.key_columns();
        let has_other_columns = copied_table.columns.len() > copied_table.key.len();
        // A row with only key columns sets these again, because SQL has no empty assignment list.
        let set_columns = columns()
            .enumerate()
            .filter(|(index, _)| !has_other_columns || !copied_table.key.contains(index))
            .map(|(_, column)| format!("{0} = excluded.{0}", quoted(&column.name)));
        let keys_of_row =
            |row: &str| comma_separated(keys().map(|column| format!("{row}.{}", quoted(&column.name))));
        let key_columns = comma_separated((1..=copied_table.key.len()).map(|index| format!("key{index}")));
        statement
            .replace("{name}", &copied_table.name)
            .replace("{table}", &quoted(&copied_table.name))
            .replace("{columns}", &comma_separated(columns().map(|column| quoted(&column.name))))
            .replace("{key}", &comma_separated(keys().map(|column| quoted(&column.name))))
            .replace("{sets}", &comma_separated(set_columns))
            .replace("{key_columns}", &key_columns)
            .replace("{new}", &keys_of_row("NEW"))
            .replace("{old}", &keys_of_row("OLD"))
    }

    /// Returns a statement about several tables.
    pub fn for_tables(&self, statement: &str, tables: &[CopyTable]) -> String {
        let names = tables.iter().map(|table| quoted(&table.name));
        statement.replace("{tables}", &comma_separated(names))
    }

    /// Returns a statement with `count` parameters in a row: `$1, $2`.
    pub fn with_placeholders(&self, sql: &str, count: usize) -> String {
        let parameters = (1..=count).map(|index| format!("${index}"));
        sql.replace("{parameters}", &comma_separated(parameters))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn comma_separated(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
