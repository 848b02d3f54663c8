//! Queries on a read connection, decoded row by row.

use rusqlite::{Connection, OptionalExtension, Params, Row};

/// Returns all rows of a query.
pub fn query_all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    decode: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(values, decode)?.collect()
}

/// Returns the only row of a query.
pub fn query_one<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    decode: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.prepare_cached(sql)?.query_row(values, decode)
}

/// Returns the first row of a query; none if there is no row.
pub fn query_optional<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    decode: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    query_one(connection, sql, values, decode).optional()
}
