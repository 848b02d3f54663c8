//! The write transaction: the write connection, its prepared statements, and values cached for one transaction.
//!
//! Statements are found by the address of their text: rusqlite's own cache hashes the text, which costs more than running
//! the shorter statements. Used on the write thread only.

use rusqlite::{Connection, OptionalExtension, Params, Row, Statement};

use crate::{rollups::HOUR_MS, rows::SqlRow};

static BEGIN: &str = "BEGIN IMMEDIATE";
static COMMIT: &str = "COMMIT";
static NEXT_MESSAGE_NUMBER: &str = sql!("sqlite/accept/allocate_message_number");
static SAVE_HOUR: &str = sql!("sqlite/accept/save_hour");
static HAS_RECIPIENTS: &str = sql!("sqlite/accept/check_recipients_exist");
static ROLLUP_POSITION: &str = sql!("sqlite/report/read_rollup_position");

/// The write connection during its transactions.
pub struct WriteTransaction<'c> {
    connection: &'c Connection,
    statements: Vec<(&'static str, Statement<'c>)>,
    cache: TransactionCache,
}

/// Values that are read once per transaction.
#[derive(Default)]
struct TransactionCache {
    next_number: Option<i64>,
    rollup_position: Option<i64>,
    has_recipients: Option<bool>,
    hours: Vec<AcceptedHour>,
}

/// The range of message numbers that this transaction accepted in one hour.
struct AcceptedHour {
    hour: i64,
    first_number: i64,
    last_number: i64,
}

impl<'c> WriteTransaction<'c> {
    /// Wraps a connection, without prepared statements.
    pub fn new(connection: &'c Connection) -> Self {
        Self { connection, statements: Vec::new(), cache: TransactionCache::default() }
    }

    /// Returns a statement, prepared at its first use. The text must be a `static`, so that its address identifies it.
    pub fn statement(&mut self, sql: &'static str) -> rusqlite::Result<&mut Statement<'c>> {
        let prepared_index = self.statements.iter().position(|(text, _)| std::ptr::eq(*text, sql));
        let statement_index = if let Some(statement_index) = prepared_index {
            statement_index
        } else {
            self.statements.push((sql, self.connection.prepare(sql)?));
            self.statements.len() - 1
        };
        Ok(&mut self.statements[statement_index].1)
    }

    /// Runs a statement and returns the number of changed rows.
    pub fn execute(&mut self, sql: &'static str, values: impl Params) -> rusqlite::Result<usize> {
        self.statement(sql)?.execute(values)
    }

    /// Returns all rows of a query.
    pub fn query_all<T>(
        &mut self,
        sql: &'static str,
        values: impl Params,
        decode: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.statement(sql)?.query_map(values, decode)?.collect()
    }

    /// Returns the only row of a query.
    pub fn query_one<T>(
        &mut self,
        sql: &'static str,
        values: impl Params,
        decode: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.statement(sql)?.query_row(values, decode)
    }

    /// Returns the first row of a query; none if there is no row.
    pub fn query_optional<T>(
        &mut self,
        sql: &'static str,
        values: impl Params,
        decode: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.query_one(sql, values, decode).optional()
    }

    /// Takes the write lock; waits for other processes up to the lock timeout.
    pub fn begin(&mut self) -> rusqlite::Result<()> {
        self.cache = TransactionCache::default();
        self.execute(BEGIN, []).map(drop)
    }

    /// Commits everything since `begin`.
    pub fn commit(&mut self) -> rusqlite::Result<()> {
        for accepted in std::mem::take(&mut self.cache.hours) {
            self.execute(SAVE_HOUR, [accepted.hour, accepted.first_number, accepted.last_number])?;
        }
        self.execute(COMMIT, []).map(drop)
    }

    /// Rolls back everything since `begin`, unless SQLite did so after a failure.
    pub fn rollback(&mut self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK")
    }

    /// Returns the number for one more message.
    pub fn next_message_number(&mut self, created_at_ms: i64) -> rusqlite::Result<i64> {
        let message_number = match self.cache.next_number {
            Some(message_number) => message_number,
            None => self.query_one(NEXT_MESSAGE_NUMBER, [], |row| row.integer("number"))?,
        };
        self.cache.next_number = Some(message_number + 1);
        let hour = created_at_ms.div_euclid(HOUR_MS);
        match self.cache.hours.iter_mut().find(|accepted| accepted.hour == hour) {
            Some(accepted) => accepted.last_number = message_number,
            None => self.cache.hours.push(AcceptedHour {
                hour,
                first_number: message_number,
                last_number: message_number,
            }),
        }
        Ok(message_number)
    }

    /// Returns whether any recipient has a status. If none has, no recipient needs to be checked.
    pub fn has_recipients(&mut self) -> rusqlite::Result<bool> {
        if let Some(has_recipients) = self.cache.has_recipients {
            return Ok(has_recipients);
        }
        let has_recipients = self.query_one(HAS_RECIPIENTS, [], |row| row.bool("has_recipients"))?;
        self.cache.has_recipients = Some(has_recipients);
        Ok(has_recipients)
    }

    /// Remembers that this transaction set the status of a recipient.
    pub fn mark_has_recipients(&mut self) {
        self.cache.has_recipients = Some(true);
    }

    /// Returns the greatest delivery id that the rollups have counted.
    pub fn rollup_position(&mut self) -> rusqlite::Result<i64> {
        if let Some(rollup_position) = self.cache.rollup_position {
            return Ok(rollup_position);
        }
        let rollup_position = self.query_one(ROLLUP_POSITION, [], |row| row.integer("value"))?;
        self.cache.rollup_position = Some(rollup_position);
        Ok(rollup_position)
    }

    /// Remembers that this transaction moved the rollup position.
    pub fn set_rollup_position(&mut self, position: i64) {
        self.cache.rollup_position = Some(position);
    }
}
