//! What a piece of work writes with: the writing connection, its prepared statements, and what is known for
//! the length of one transaction.
//!
//! Statements are found by the address of their text: hashing the text, as rusqlite's own cache does, would
//! cost more than running the shorter ones. Never leaves the writer's thread.

use rusqlite::{Connection, Statement};

use crate::rollups::HOUR_MS;

static BEGIN: &str = "BEGIN IMMEDIATE";
static COMMIT: &str = "COMMIT";
static NEXT_MESSAGE_NUMBER: &str = include_str!("../../../../sql/sqlite/accept/allocate_message_number.sql");
static SAVE_HOUR: &str = include_str!("../../../../sql/sqlite/accept/save_hour.sql");
static HAS_RECIPIENTS: &str = include_str!("../../../../sql/sqlite/accept/check_recipients_exist.sql");
static ROLLUP_POSITION: &str = include_str!("../../../../sql/sqlite/report/read_rollup_position.sql");

/// The one place from which rows are written.
pub struct WriteTransaction<'c> {
    connection: &'c Connection,
    statements: Vec<(&'static str, Statement<'c>)>,
    cache: TransactionCache,
}

/// Read once in a transaction, true until its end.
#[derive(Default)]
struct TransactionCache {
    next_number: Option<i64>,
    rollup_position: Option<i64>,
    has_recipients: Option<bool>,
    hours: Vec<AcceptedHour>,
}

/// Which messages this transaction has accepted in an hour.
struct AcceptedHour {
    hour: i64,
    first_number: i64,
    last_number: i64,
}

impl<'c> WriteTransaction<'c> {
    /// A desk with nothing prepared yet.
    pub fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            statements: Vec::new(),
            cache: TransactionCache::default(),
        }
    }

    /// A statement, prepared at its first use. The text must be a `static`, so that its address names it.
    pub fn statement(&mut self, sql: &'static str) -> rusqlite::Result<&mut Statement<'c>> {
        let found = self
            .statements
            .iter()
            .position(|(text, _)| std::ptr::eq(*text, sql));
        let index = if let Some(index) = found {
            index
        } else {
            self.statements.push((sql, self.connection.prepare(sql)?));
            self.statements.len() - 1
        };
        Ok(&mut self.statements[index].1)
    }

    /// Takes the write lock, waiting for other processes as long as the busy time-out allows.
    pub fn begin(&mut self) -> rusqlite::Result<()> {
        self.cache = TransactionCache::default();
        self.statement(BEGIN)?.execute([]).map(drop)
    }

    /// Makes everything since `begin` durable.
    pub fn commit(&mut self) -> rusqlite::Result<()> {
        for hour in std::mem::take(&mut self.cache.hours) {
            self.statement(SAVE_HOUR)?
                .execute([hour.hour, hour.first_number, hour.last_number])?;
        }
        self.statement(COMMIT)?.execute([]).map(drop)
    }

    /// Undoes everything since `begin`. SQLite has done so itself after some failures.
    pub fn rollback(&mut self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK")
    }

    /// The running number for one more message, accepted at that time.
    pub fn next_message_number(&mut self, created_at_ms: i64) -> rusqlite::Result<i64> {
        let number = match self.cache.next_number {
            Some(number) => number,
            None => self
                .statement(NEXT_MESSAGE_NUMBER)?
                .query_row([], |row| row.get(0))?,
        };
        self.cache.next_number = Some(number + 1);
        let hour = created_at_ms.div_euclid(HOUR_MS);
        match self.cache.hours.iter_mut().find(|known| known.hour == hour) {
            Some(known) => known.last_number = number,
            None => self.cache.hours.push(AcceptedHour {
                hour,
                first_number: number,
                last_number: number,
            }),
        }
        Ok(number)
    }

    /// Whether anything was ever said of any recipient: while nothing was, nobody needs to be looked up.
    pub fn has_recipients(&mut self) -> rusqlite::Result<bool> {
        if let Some(recipients) = self.cache.has_recipients {
            return Ok(recipients);
        }
        let recipients = self.statement(HAS_RECIPIENTS)?.query_row([], |row| row.get(0))?;
        self.cache.has_recipients = Some(recipients);
        Ok(recipients)
    }

    /// Says that this transaction has said something of a recipient.
    pub fn mark_has_recipients(&mut self) {
        self.cache.has_recipients = Some(true);
    }

    /// Up to which delivery the report has counted.
    pub fn rollup_position(&mut self) -> rusqlite::Result<i64> {
        if let Some(folded) = self.cache.rollup_position {
            return Ok(folded);
        }
        let folded = self.statement(ROLLUP_POSITION)?.query_row([], |row| row.get(0))?;
        self.cache.rollup_position = Some(folded);
        Ok(folded)
    }

    /// Says that the report's mark has moved in this transaction.
    pub fn set_rollup_position(&mut self, folded: i64) {
        self.cache.rollup_position = Some(folded);
    }
}
